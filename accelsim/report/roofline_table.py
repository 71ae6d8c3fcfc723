"""The table of ``accelsim roofline``: ratios and rates of every layer, under the chosen dataflow and under each one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any

from accelsim.errors import NoMappingError
from accelsim.report.intensity import ROOFLINE_COLUMNS, LayerPoint, harmonic, layer_points, roofs
from accelsim.report.tables import BOUND_STYLES, TextColumn
from accelsim.result import Column, Result
from accelsim.simulation import simulate
from accelsim.units import engineering, percent

COLUMNS: dict[str, Column] = {
    **ROOFLINE_COLUMNS,
    "per_dataflow": Column("MACs/cycle", "What the layer reaches under each dataflow of the hardware that can run it."),
}
"""Every column of the table, in order."""


def rows(result: Result) -> list[dict[str, Any]]:
    """Return a record per distinct shape of layer, with the keys of ``COLUMNS``.

    Every dataflow of the hardware is simulated for the last column.
    """
    reached: list[dict[str, float]] = [{} for _ in layer_points(result)]
    asked = {name: value for name, value in result.options.items() if name != "storage"}  # its network is stored so
    for dataflow in result.hardware.dataflows:
        options = {**asked, "dataflow": dataflow}
        try:
            other = simulate(result.network, result.hardware, **options)
        except NoMappingError:
            continue  # some layer fits in no way under this dataflow; the others say what they reach
        for found, point in zip(reached, layer_points(other), strict=True):
            found[dataflow] = point.reached
    return [
        point.record() | {"per_dataflow": " ".join(f"{name} {rate:.3g}" for name, rate in found.items())}
        for point, found in zip(layer_points(result), reached, strict=True)
    ]


def data(result: Result, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the table as plain data, with the roofs."""
    most = roofs(result.hardware)
    return {
        "schema": 1,
        "network": result.network.name,
        "hardware": result.hardware.name,
        "options": dict(result.options),
        "roofs": {
            name: None if value == inf else value
            for name, value in (
                ("macs_per_cycle", most.macs_per_cycle),
                ("dram_bytes_per_cycle", most.dram_bytes_per_cycle),
                ("buffer_read_bytes_per_cycle", most.read_bytes_per_cycle),
                ("buffer_write_bytes_per_cycle", most.write_bytes_per_cycle),
            )
        },
        "layers": list(records),
    }


def text_columns(records: Sequence[Mapping[str, Any]]) -> list[TextColumn]:
    """Return the table as printed."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}"

    formats: list[tuple[str, str, int, Any]] = [
        ("layer", "layer", 100, str),
        ("layers", "repeats", 60, str),
        ("kind", "kind", 90, str),
        ("flow", "dataflow", 70, str),
        ("MACs", "macs", 50, engineering),
        ("time", "time_share", 80, percent),
        ("ideal MACs/byte", "ideal_macs_per_byte", 85, number),
        ("MACs/DRAM byte", "macs_per_dram_byte", 95, number),
        ("MACs/buffer byte", "macs_per_array_byte", 75, number),
        ("limit", "limit", 88, str),
        ("attainable MACs/cycle", "attainable", 92, number),
        ("reached", "reached", 96, number),
        ("per dataflow", "per_dataflow", 55, str),
    ]
    return [
        TextColumn(
            title,
            [text(record[key]) for record in records],
            keep,
            key in ("layer", "kind", "dataflow", "limit", "per_dataflow"),
            [BOUND_STYLES.get(record[key], "") for record in records] if key == "limit" else (),
        )
        for title, key, keep, text in formats
    ]


def lines(result: Result) -> list[str]:
    """Return the lines that follow the table: the roofs, and every kind of layer together."""
    most, points = roofs(result.hardware), layer_points(result)
    ridge = most.macs_per_cycle / most.dram_bytes_per_cycle
    ports = f"buffer to array {most.read_bytes_per_cycle:g}, array to buffer {most.write_bytes_per_cycle:g}"
    if not isfinite(most.array_bytes_per_cycle):
        ports = "memories and networks inside as their words and rates allow, layer by layer"
    found = [
        f"{result.network.name} on {result.hardware.name}: {most.macs_per_cycle:g} PEs, "
        f"{most.dram_bytes_per_cycle:g} bytes per cycle to and from DRAM, {ports}",
        f"  below {ridge:.3g} MACs per DRAM byte the PEs wait for DRAM",
    ]
    kinds = dict.fromkeys(point.kind for point in points)
    return found + [_kind_line(kind, [point for point in points if point.kind == kind]) for kind in kinds]


def _kind_line(kind: str, points: Sequence[LayerPoint]) -> str:
    return (
        f"  {kind:<10} {percent(sum(point.time_share for point in points)):>6} of time  "
        f"{harmonic(points, 'ideal_macs_per_byte'):>6.3g} MACs/byte ideal  "
        f"{harmonic(points, 'macs_per_dram_byte'):>6.3g} from DRAM  "
        f"{harmonic(points, 'macs_per_array_byte'):>6.3g} from the buffer  "
        f"{harmonic(points, 'reached'):>6.3g} of {harmonic(points, 'attainable'):.3g} MACs/cycle"
    )

"""What the page shows, as plain data: results, and for every column and metric its unit and its definition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelsim.dims import Operand
from accelsim.engine.analytical import LayerResult
from accelsim.report.files import inputs
from accelsim.report.intensity import ROOFLINE_COLUMNS, layer_points, roofs
from accelsim.report.occupancy import buffer_fills
from accelsim.report.plots import dram_words
from accelsim.report.tables import COMPARISON_COLUMNS, comparison_rows, shape_text
from accelsim.result import COLUMNS, Column, Result

PAGE_SCHEMA = 1
"""Version of the layout of the page's data."""

PAGE_COLUMNS: dict[str, Column] = {
    "shape": Column("", "Channels in and out, output height x width, filter height x width, /stride, g groups."),
    "dram_weights": Column("words", "Weights read from DRAM."),
    "dram_inputs": Column("words", "Inputs read from DRAM."),
    "dram_partial_sums": Column("words", "Partial sums read back from DRAM."),
    "dram_outputs": Column("words", "Outputs written to DRAM, partial sums among them."),
}
"""Columns of the page's layer table beyond those of the result."""

SHARE_COLUMNS: dict[str, Column] = {
    "macs": COLUMNS["macs"],
    "cycles": COLUMNS["cycles"],
    "energy": COLUMNS["energy"],
    "dram_words": COMPARISON_COLUMNS["dram_words"],
    "weights": COLUMNS["weights"],
}
"""What is split by kind, bound and dataflow."""


def layer_table_columns() -> dict[str, Column]:
    """Return the columns of the layer table, in order: the result's, the shape after the kind, the page's last."""
    shape = {"shape": PAGE_COLUMNS["shape"]}
    names = list(COLUMNS)
    after = names.index("kind") + 1
    return {name: COLUMNS[name] for name in names[:after]} | shape | COLUMNS | PAGE_COLUMNS


def metrics() -> list[dict[str, Any]]:
    """Return the metrics of the chart over layers: key, title, unit, definition, and the columns stacked in a bar."""
    energies = [name for name in COLUMNS if name.startswith("energy_") and name != "energy_unit"]
    traffic = list(PAGE_COLUMNS)[1:]
    stacks: list[tuple[str, str, list[str]]] = [
        ("cycles", "time", ["compute_cycles", "stall_cycles"]),
        ("energy", "energy", energies),
        ("dram_words", "DRAM traffic", traffic),
        ("glb_words", "global buffer traffic", ["glb_read_words", "glb_write_words"]),
        ("utilization", "utilization", []),
        ("macs_per_dram_byte", "MACs per DRAM byte", []),
        ("macs_per_glb_byte", "MACs per buffer byte", []),
        ("macs", "MACs", []),
    ]
    sums = {
        "dram_words": COMPARISON_COLUMNS["dram_words"],
        "glb_words": Column("words", "Words read from and written to the global buffer."),
    }
    return [
        {
            "key": key,
            "title": title,
            "unit": (COLUMNS.get(key) or sums[key]).unit,
            "help": (COLUMNS.get(key) or sums[key]).help,
            "parts": parts,
            # A ratio of layers of one shape is that of each; all else adds up over them.
            "adds_up": key not in ("utilization", "macs_per_dram_byte", "macs_per_glb_byte"),
        }
        for key, title, parts in stacks
    ]


def page_data(results: Sequence[Result], baseline: str | None = None) -> dict[str, Any]:
    """Return all that the page shows.

    Args:
        results: One or more results.
        baseline: Name of the network that counts as 1; None takes the fastest on each accelerator.
    """
    return {
        "schema": PAGE_SCHEMA,
        "columns": _described(layer_table_columns()),
        "totals": _described(COMPARISON_COLUMNS),
        "roofline": _described(ROOFLINE_COLUMNS),
        "shares": _described(SHARE_COLUMNS),
        "metrics": metrics(),
        "results": [result_data(result) for result in results],
        "rows": comparison_rows(results, baseline),
    }


def result_data(result: Result) -> dict[str, Any]:
    """Return one result: layers column by column, and for every shape its loop nest and what the buffers hold."""
    entries = result.layer_results
    records = [_record(record, entry) for record, entry in zip(result.records, entries, strict=True)]
    shapes: dict[object, int] = {}
    for entry in entries:
        shapes.setdefault(entry.layer.shape_key, len(shapes))
    first = {shapes[entry.layer.shape_key]: entry for entry in reversed(entries)}
    most = roofs(result.hardware)
    given = inputs(result)
    return {
        "network": result.network.name,
        "hardware": result.hardware.name,
        "options": dict(result.options),
        "energy_unit": str(result.hardware.energy_unit),
        "dataflows": list(dict.fromkeys([*result.hardware.dataflows, *(record["dataflow"] for record in records)])),
        "layers": {name: [_short(record[name]) for record in records] for name in layer_table_columns()},
        "shapes": [shapes[entry.layer.shape_key] for entry in entries],
        "details": [_detail(first[index], result) for index in range(len(shapes))],
        "points": [{name: _short(value) for name, value in point.record().items()} for point in layer_points(result)],
        "roofs": {
            "peak": most.macs_per_cycle,
            "dram": _short(most.dram_bytes_per_cycle),
            "buffer": _short(most.array_bytes_per_cycle),
        },
        "not_charged": sorted({str(layer.op) for layer in result.not_charged}),
        "network_sha256": given["network"]["sha256"],
        "hardware_sha256": given["hardware_sha256"],
        "config": given["hardware"],
        "parameters": given["network"]["parameters"],
        "facts": given["network"]["facts"],
    }


def _record(record: dict[str, Any], entry: LayerResult) -> dict[str, Any]:
    moved = {f"dram_{name}": words for name, words in dram_words(entry).items()}
    return {"shape": shape_text(entry.layer), **moved, **record}


def _detail(entry: LayerResult, result: Result) -> dict[str, Any]:
    """Return the loop nest as text, and what the buffers hold."""
    fills = [fill.plain() for fill in buffer_fills(entry, result.hardware)]
    return {"nest": str(entry.mapping), "fills": fills, "word_bytes": result.hardware.word_bits / 8}


def operand_names() -> dict[str, str]:
    """Return what the letters of operands stand for."""
    return {Operand.W.name: "weights", Operand.I.name: "inputs", Operand.O.name: "outputs"}


def _described(columns: dict[str, Column]) -> dict[str, dict[str, str]]:
    return {name: {"unit": column.unit, "help": column.help} for name, column in columns.items()}


def _short(value: Any) -> Any:
    """Return a value with at most seven digits after rounding, whole where it is; JSON has no infinity."""
    if not isinstance(value, float):
        return value
    if value in (float("inf"), float("-inf")):
        return None
    return int(value) if value.is_integer() else float(f"{value:.7g}")

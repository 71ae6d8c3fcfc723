"""The page of the report on compute/bandwidth ratios; every number in its sentences is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accelsim.report.intensity import roofs
from accelsim.report.ratios.study import (
    ARRAYS,
    BEST,
    BUFFERS_KIB,
    ENERGY,
    FORM_COLUMNS,
    GROUPS,
    LARGE,
    MACHINES,
    MOBILENET,
    SMALL,
    SQUEEZENEXT,
    TIME,
    Left,
    Study,
    form_rows,
    kind_rows,
    sweep_rows,
    what_is_left,
)
from accelsim.report.text import markdown_table
from accelsim.units import percent

Row = Mapping[str, Any]

Format = Callable[[Any], str]

_SHAPES: dict[str, Format] = {"ratio": "{:.2f}".format, "rate": "{:.1f}".format}


def readme(study: Study) -> str:
    """Return the page."""
    numbered = [f"{number}. {sentence}" for number, sentence in enumerate(findings(study), 1)]
    return "\n".join(
        [
            "# Compute/bandwidth ratios: standard, grouped, depthwise, pointwise\n",
            _introduction(),
            "## Findings\n",
            "\n".join(numbered) + "\n",
            "## One layer in five forms\n",
            _forms(form_rows(study)),
            "## What is left of the factor in MACs\n",
            _left(what_is_left(study)),
            "## Over array and buffer size\n",
            _sweep(sweep_rows(study)),
            "## MobileNet against SqueezeNext\n",
            _kinds(study, kind_rows(study)),
        ]
    )


def _introduction() -> str:
    return (
        "Regenerate with `accelsim reproduce roofline`; any network's own roofline is "
        "`accelsim roofline NET --hw HW`.\n\n"
        "A layer's rate is at most that of the array, what DRAM's bandwidth feeds it at its MACs per DRAM byte, and "
        "what the buffer's ports feed it at its MACs per byte between buffer and array. *Ideal* moves every weight, "
        "output and needed input once; the other ratios are what the chosen mapping moves. Latencies, fills and "
        "drains are in no roof. Peaks above the number of PEs come from zero weights that output stationary skips.\n"
    )


def findings(study: Study) -> list[str]:
    """Return three sentences, each on numbers of the tables below."""
    return [_depthwise_finding(study), _factor_finding(study), _networks_finding(study)]


def _depthwise_finding(study: Study) -> str:
    wanted = {"form": "depthwise", "hardware": LARGE, "dataflow": BEST, "objective": TIME}
    row = next(row for row in form_rows(study) if wanted.items() <= row.items())
    peak = roofs(study.forms["depthwise", LARGE, BEST, TIME].hardware).macs_per_cycle
    swept = [row for row in sweep_rows(study) if row["form"] == "depthwise"]
    free = [array for array in _arrays() if all(r["bound"] != "dram" for r in swept if r["array"] == array)]
    bound = [array for array in _arrays() if all(r["bound"] == "dram" for r in swept if r["array"] == array)]
    return (
        f"**A depthwise layer is slow because almost nothing is used twice:** even with every word moved once it does "
        f"{row['ideal_macs_per_byte']:.1f} MACs per DRAM byte, which allows {row['attainable_macs_per_cycle']:.0f} "
        f"of the {peak:.0f} MACs per cycle of {LARGE}'s PEs; it reaches {row['reached_macs_per_cycle']:.0f}. No buffer "
        f"helps: in the sweep it waits for DRAM at every buffer size from {BUFFERS_KIB[0]} to {BUFFERS_KIB[-1]} KiB "
        f"on arrays of {', '.join(bound)}, and at none on {', '.join(free)}."
    )


def _arrays() -> list[str]:
    return [f"{rows}x{rows}" for rows in ARRAYS]


def _factor_finding(study: Study) -> str:
    left = {(entry.hardware, entry.dataflow, entry.objective): entry for entry in what_is_left(study)}
    large, small = left[LARGE, BEST, TIME], left[SMALL, BEST, TIME]
    frugal = {name: left[name, BEST, ENERGY].energy for name in MACHINES}
    return (
        f"**Part of the factor in MACs is left in time, and less in energy:** made separable, the layer has "
        f"{large.macs:.1f} times fewer MACs; on {LARGE} {large.time:.1f} are left in time and {large.energy:.1f} in "
        f"energy, on {SMALL} {small.time:.1f} and {small.energy:.1f}; with mappings chosen for energy, "
        f"{frugal[LARGE]:.1f} and {frugal[SMALL]:.1f} are left in energy."
    )


def _networks_finding(study: Study) -> str:
    rows = {(row["network"], row["kind"]): row for row in kind_rows(study) if row["hardware"] == LARGE}
    depthwise, wide = rows[MOBILENET, "depthwise"], rows[MOBILENET, "pointwise"]
    narrow = rows[SQUEEZENEXT, "pointwise"]
    totals = {name: study.networks[name, LARGE].totals for name in (MOBILENET, SQUEEZENEXT)}
    cost = {name: 1e3 * total["cycles"] / total["macs"] for name, total in totals.items()}
    return (
        f"**SqueezeNext avoids depthwise layers and still waits for DRAM:** on {LARGE} MobileNet spends "
        f"{percent(depthwise['share_of_time'])} of its time on the {percent(depthwise['share_of_macs'])} of its MACs "
        f"that are depthwise; SqueezeNext's pointwise layers are narrower than MobileNet's "
        f"({narrow['macs_per_dram_byte']:.1f} against {wide['macs_per_dram_byte']:.1f} MACs per DRAM byte) and wait "
        f"for DRAM in {percent(narrow['time_bound_by_dram'])} of their time, so that a thousand MACs take "
        f"{cost[SQUEEZENEXT]:.2f} cycles in SqueezeNext and {cost[MOBILENET]:.2f} in MobileNet: that it is "
        f"{totals[MOBILENET]['cycles'] / totals[SQUEEZENEXT]['cycles']:.2f} times as fast is "
        f"{totals[MOBILENET]['macs'] / totals[SQUEEZENEXT]['macs']:.2f} times fewer MACs."
    )


def _table(rows: Sequence[Row], columns: Mapping[str, tuple[str, Format]]) -> str:
    """Return a Markdown table of records: key -> (heading, format)."""
    return markdown_table(
        [heading for heading, _ in columns.values()],
        [[form(row[key]) for key, (_, form) in columns.items()] for row in rows],
    )


def _millions(value: float) -> str:
    return f"{value / 1e6:.2f}"


_RATIOS: dict[str, tuple[str, Format]] = {
    "ideal_macs_per_byte": ("ideal MACs/byte", _SHAPES["ratio"]),
    "macs_per_dram_byte": ("MACs/DRAM byte", _SHAPES["ratio"]),
    "macs_per_array_byte": ("MACs/buffer byte", _SHAPES["ratio"]),
    "attainable_macs_per_cycle": ("attainable MACs/cycle", _SHAPES["rate"]),
    "reached_macs_per_cycle": ("reached MACs/cycle", _SHAPES["rate"]),
}


def _forms(rows: Sequence[Row]) -> str:
    table = _table(
        rows,
        {
            "hardware": ("accelerator", str),
            "form": ("form", str),
            "dataflow": ("dataflow", str),
            "objective": ("chosen for", str),
            "macs": ("MACs (10⁶)", _millions),
            **_RATIOS,
            "limit": ("limit", str),
            "cycles": ("cycles (10⁶)", _millions),
            "energy": ("energy (10⁶ MACs)", _millions),
        },
    )
    words = "".join(
        f"- {name.replace('_', ' ')} [{column.unit}]: {column.help}\n"
        for name, column in FORM_COLUMNS.items()
        if column.unit
    )
    return (
        "The MobileNet paper's worked example (arXiv:1704.04861): 3x3 from 512 to 512 channels of 14x14 pixels. "
        f"Grouped has {GROUPS} groups; separable is depthwise 3x3, then pointwise. `best` takes the better dataflow "
        f"of every layer.\n\n![MACs per byte and per cycle of every form](forms.png)\n\n{table}\n{words}"
    )


def _left(left: Sequence[Left]) -> str:
    table = _table(
        [vars(entry) for entry in left],
        {
            "hardware": ("accelerator", str),
            "dataflow": ("dataflow", str),
            "objective": ("chosen for", str),
            **{key: (key if key != "macs" else "MACs", _SHAPES["ratio"]) for key in ("macs", "time", "energy")},
        },
    )
    return (
        "Standard over separable, both under the dataflow named. With one dataflow for both of its layers the "
        "separable form loses time, since depthwise wants another one than pointwise.\n\n"
        f"![Factors](left.png)\n\n{table}"
    )


def _sweep(rows: Sequence[Row]) -> str:
    lines = []
    for form in dict.fromkeys(row["form"] for row in rows):
        for array in _arrays():
            chosen = [row for row in rows if (row["form"], row["array"]) == (form, array)]
            cells = [f"{100 * row['share_of_array']:.0f}% {row['bound']}" for row in chosen]
            lines.append((form, array, *cells))
    table = markdown_table(("form", "array", *(f"{size} KiB" for size in BUFFERS_KIB)), lines)
    return (
        f"The layer on {LARGE} with other arrays and buffers, all else equal (DRAM stays at 16 bytes per cycle): MACs "
        "per cycle as a share of the PEs, and what the layer waits for. In output stationary an array larger than "
        f"14x14 pixels has idle PEs.\n\n![Sweep](sweep.png)\n\n{table}"
    )


def _kinds(study: Study, rows: Sequence[Row]) -> str:
    shares: dict[str, tuple[str, Format]] = {
        "share_of_macs": ("of MACs", percent),
        "share_of_time": ("of time", percent),
        "share_of_energy": ("of energy", percent),
    }
    names: dict[str, tuple[str, Format]] = {"network": ("network", str), "hardware": ("accelerator", str)}
    table = _table(
        rows,
        {
            **names,
            "kind": ("kind", str),
            "layers": ("layers", str),
            **shares,
            **_RATIOS,
            "time_bound_by_dram": ("time bound by DRAM", percent),
        },
    )
    totals = _table(
        [
            {
                "network": network,
                "hardware": hardware,
                **result.totals,
                "rate": result.totals["macs"] / result.totals["cycles"],
                "cost": 1e3 * result.totals["cycles"] / result.totals["macs"],
            }
            for (network, hardware), result in study.networks.items()
        ],
        {
            **names,
            "macs": ("MACs (10⁶)", _millions),
            "time_ms": ("ms", "{:.3f}".format),
            "rate": ("MACs per cycle", _SHAPES["rate"]),
            "cost": ("cycles per thousand MACs", _SHAPES["ratio"]),
        },
    )
    return (
        "Ratios and rates of a kind are those of its layers together: all MACs over all bytes, or all cycles.\n\n"
        f"![Shares by kind of layer](kinds.png)\n\n{table}\n{totals}\n"
        f"![MobileNet's layers below the roofs of {LARGE}](roofline_mobilenet.png)\n\n"
        f"![SqueezeNext's layers below the roofs of {LARGE}](roofline_squeezenext23.png)\n"
    )

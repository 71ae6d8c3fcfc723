"""The report's page: every number in it is computed, the verdicts too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import to_builtins

from accelsim.hardware.spec import Hardware
from accelsim.report.comparison import Comparison, Verdict, mean_difference
from accelsim.report.squeezenext import goals
from accelsim.report.squeezenext.counts import digits_section, table4_section
from accelsim.report.squeezenext.efficiency import efficiency_section
from accelsim.report.squeezenext.study import (
    BLOCKS,
    LARGE,
    NETWORKS,
    REFERENCE,
    SMALL,
    VARIANTS,
    Pooled,
    Study,
    figure6,
    figure8,
    figure8_part,
    layer_groups,
    mac_digits,
    parameter_digits,
    pooled_figure6,
    table3_energy,
    table3_time,
    table4_rows,
)
from accelsim.report.text import markdown_table, signed_percent, whole_percent
from accelsim.units import percent

PARTS = ("total", *BLOCKS, "others")


def readme(study: Study) -> str:
    """Return the page."""
    time, energy = table3_time(study.large), table3_energy(study.large)
    layers, parts = figure6(study.large), figure8(study.large)
    machine = next(iter(study.large.values())).hardware
    return "\n".join(
        [
            f"# SqueezeNext on {LARGE}: published and accelsim\n",
            _introduction(machine),
            "## Goals\n",
            _goals(time, energy, layers, parts),
            "## Table 3: time and energy of 13 networks\n\n![Table 3](table3.png)\n",
            _table3(time, energy, parts),
            "## Figure 8: time of 1.0-SqNxt-23's variants by block\n\n![Figure 8](figure8.png)\n",
            _figure8(parts, layers, study),
            "## Figure 6: time of every layer\n\n![Figure 6](figure6.png)\n",
            _figure6(layers),
            _missed_layers(goals.layers_verdict(layers), pooled_figure6(layers, study.large)),
            "## Table 3: parameters and MACs\n",
            digits_section(parameter_digits(study.large), mac_digits(study.large)),
            "## Table 4: 1.0-SqNxt-23 layer by layer\n",
            table4_section(table4_rows()),
            "## What a MAC costs\n",
            efficiency_section(study.large),
            f"## {SMALL}: accelsim only\n",
            _small(study),
        ]
    )


def _introduction(machine: Hardware) -> str:
    return (
        "Written by `accelsim reproduce squeezenext`. Published numbers: A. Gholami et al., *SqueezeNext: "
        "Hardware-Aware Neural Network Design*, arXiv:1803.10615v2; Figures 6 and 8 are measured off the paper, so "
        "that their numbers have a reading accuracy. Differences are ours relative to the published number. All "
        f"networks and layers are simulated on one description of the hardware, `hwconfigs/{machine.name}.yaml`, "
        f"whose `assumptions` name what the paper leaves open ({len(machine.assumptions)} entries); every layer runs "
        f"in the faster of {' and '.join(machine.dataflows)}.\n"
    )


def _goals(
    time: Sequence[Comparison], energy: Sequence[Comparison], layers: Sequence[Comparison], parts: Sequence[Comparison]
) -> str:
    verdicts = [
        goals.time_verdict(time),
        goals.energy_verdict(energy),
        goals.totals_verdict(parts),
        goals.blocks_verdict(parts),
        goals.layers_verdict(layers),
        goals.others_verdict(parts),
    ]
    return markdown_table(
        ("what", "numbers", "goal for each", "largest difference", "goal for the mean", "mean difference", "verdict"),
        [_goal_row(verdict) for verdict in verdicts],
    )


def _goal_row(verdict: Verdict) -> tuple[object, ...]:
    largest = verdict.largest
    where = largest.row if largest.series in ("time", "energy") else f"{largest.series} {largest.row}"
    inside = len(verdict.comparisons) - len(verdict.missed)
    return (
        verdict.goal,
        len(verdict.comparisons),
        whole_percent(verdict.each),
        f"{signed_percent(largest.difference)} ({where})",
        whole_percent(verdict.mean) if verdict.mean is not None else "",
        percent(verdict.mean_difference),
        "met" if verdict.met else f"**not met**: {inside} of {len(verdict.comparisons)} within",
    )


# --- Table 3 ------------------------------------------------------------------------------------


def _table3(time: Sequence[Comparison], energy: Sequence[Comparison], parts: Sequence[Comparison]) -> str:
    table = markdown_table(
        ("network", "time", "ours", "difference", "energy (10⁹ MACs)", "ours", "difference"),
        [
            (
                own_time.row,
                f"{own_time.published:.2f}",
                f"{own_time.ours:.3f}",
                signed_percent(own_time.difference),
                f"{own_energy.published / 1e9:.1f}",
                f"{own_energy.ours / 1e9:.3f}",
                signed_percent(own_energy.difference),
            )
            for own_time, own_energy in zip(time, energy, strict=True)
        ],
    )
    rounding = max(comparison.accuracy / comparison.published for comparison in energy)
    totals = {comparison.series: comparison.published for comparison in parts if comparison.row == "total"}
    relative = {comparison.row: comparison.published for comparison in time}
    inner = max((totals[variant] / totals["v5"] / relative[model] - 1 for variant, model in VARIANTS.items()), key=abs)
    reference = next(c for c in parts if c.row == "total" and VARIANTS[c.series] == REFERENCE)
    return (
        f"{table}\nTime is relative to {REFERENCE}, which the verdict on time leaves out as it is 1 by definition; "
        f"its own {signed_percent(reference.difference)} to Figure 8's total is part of every other difference, with "
        f"the opposite sign. The paper prints energies with two digits, which alone can make {percent(rounding)} of "
        "difference, and its own Figure 8 has ratios of the variants' times that differ by up to "
        f"{percent(abs(inner))} from those of Table 3.\n"
    )


# --- Figures 8 and 6 ----------------------------------------------------------------------------


def _figure8(parts: Sequence[Comparison], layers: Sequence[Comparison], study: Study) -> str:
    cells = {(comparison.series, comparison.row): _cell(comparison, goals.BLOCK_EACH) for comparison in parts}
    table = markdown_table(
        ("variant", *PARTS), [(variant, *(cells[variant, part] for part in PARTS)) for variant in VARIANTS]
    )
    accuracy = parts[0].accuracy
    return (
        "Thousand cycles, published / ours (difference); bold where the difference is above "
        f"{whole_percent(goals.BLOCK_EACH)}. The figure can be read within {accuracy:g} thousand cycles.\n\n{table}\n"
        f"{_others(parts, layers, study)}"
    )


def _others(parts: Sequence[Comparison], layers: Sequence[Comparison], study: Study) -> str:
    """Return why ``others`` misses: Figure 8 beside the sum of the same layers in Figure 6."""
    base = study.large[VARIANTS["v1"]].network
    inside = {
        name for name, group in layer_groups(base).items() if figure8_part(group[0].name, group[0].block) == "others"
    }
    rows, sums = [], []
    for comparison in (comparison for comparison in parts if comparison.row == "others"):
        bars = [layer for layer in layers if layer.series == comparison.series and layer.row in inside]
        summed = Comparison(
            series=comparison.series,
            row="others",
            published=sum(bar.published for bar in bars),
            ours=comparison.ours,
            accuracy=0.0,
        )
        sums.append(summed)
        rows.append(
            (
                comparison.series,
                f"{comparison.published:g}",
                f"{summed.published:g}",
                f"{comparison.ours:.1f}",
                signed_percent(comparison.difference),
                signed_percent(summed.difference),
            )
        )
    header = ("variant", "others in Figure 8", "the same layers in Figure 6", "ours", "to Figure 8", "to Figure 6")
    fixed = max(sums, key=lambda summed: abs(summed.difference))
    shares = [comparison.accuracy / comparison.published for comparison in parts if comparison.row == "others"]
    return (
        f"`others` (all after block 3) is small beside the reading accuracy, which is {whole_percent(min(shares))} to "
        f"{whole_percent(max(shares))} of it, and the paper's two figures do not agree on it:\n\n"
        f"{markdown_table(header, rows)}\n"
        f"Against Figure 6 the largest difference is {signed_percent(fixed.difference)} ({fixed.series}), the mean "
        f"{percent(mean_difference(sums))}.\n"
    )


def _figure6(layers: Sequence[Comparison]) -> str:
    cells = {(comparison.series, comparison.row): _cell(comparison, goals.LAYER_EACH) for comparison in layers}
    names = list(dict.fromkeys(comparison.row for comparison in layers))
    table = markdown_table(("layer", *VARIANTS), [(name, *(cells[v, name] for v in VARIANTS)) for name in names])
    return (
        "Thousand cycles, published / ours (difference). A name is that of Table 4 and means the same place in every "
        "variant; the repeats of a layer are summed. Bold where a layer above "
        f"{goals.SMALLEST_LAYER_KCYCLES:g} thousand cycles differs by more than {whole_percent(goals.LAYER_EACH)}; "
        f"below that, the figure's reading accuracy of {layers[0].accuracy:g} thousand cycles says too little to "
        f"judge.\n\n{table}"
    )


def _missed_layers(verdict: Verdict, pools: Sequence[Pooled]) -> str:
    """Return the bars beyond the goal, beside what the figure says of the same layer elsewhere."""
    if verdict.met:
        return ""
    rows = []
    for missed in verdict.missed:
        pool = next(pool for pool in pools if missed in pool.bars)
        own = pool.repeats[pool.bars.index(missed)]
        rows.append(
            (
                f"{missed.series} {missed.row}",
                f"{missed.published:g} / {missed.ours:.1f} ({signed_percent(missed.difference)})",
                "yes" if missed.within_reading(verdict.each) else "no",
                f"{missed.published / own:.1f}",
                f"{min(pool.per_layer):.1f} to {max(pool.per_layer):.1f} ({len(pool.bars)} bars)",
                f"{pool.comparison.ours:.1f} ({signed_percent(pool.comparison.difference)})",
            )
        )
    header = (
        "bar",
        "published / ours",
        "within the goal and the reading accuracy",
        "published, one layer",
        "the same layer, all bars",
        "ours (to the mean of all bars)",
    )
    smallest = goals.SMALLEST_LAYER_KCYCLES
    judged = [pool.comparison for pool in pools if max(bar.published for bar in pool.bars) > smallest]
    largest = max(judged, key=lambda comparison: abs(comparison.difference))
    return (
        f"The {len(rows)} bars beyond the goal, and what the figure itself says of the same layer in other variants or "
        f"places (thousand cycles of one layer; 3x1 and 1x3 filters taken as the same):\n\n"
        f"{markdown_table(header, rows)}\n"
        f"Identical layers should have identical bars, so that their spread is what the figure's numbers are uncertain "
        f"by. Taking the mean of all bars of the same layer, the largest of {len(judged)} differences is "
        f"{signed_percent(largest.difference)} ({largest.row}) and the mean {percent(mean_difference(judged))}.\n"
    )


def _cell(comparison: Comparison, band: float) -> str:
    """Return published / ours (difference), in bold where it is judged and beyond the band."""
    digits = 0 if comparison.ours >= 100 else 1
    text = f"{comparison.published:g} / {comparison.ours:.{digits}f} ({signed_percent(comparison.difference)})"
    small = comparison.published <= goals.SMALLEST_LAYER_KCYCLES
    return text if small or comparison.within(band) else f"**{text}**"


# --- the small accelerator ----------------------------------------------------------------------


def _small(study: Study) -> str:
    reference = study.small[REFERENCE].totals["cycles"]
    table = markdown_table(
        (
            "network",
            "cycles (10⁶)",
            "relative time",
            f"times {LARGE}",
            "energy (10⁹ MACs)",
            f"times {LARGE}",
            "utilization",
        ),
        [
            (
                model,
                f"{small['cycles'] / 1e6:.3f}",
                f"{small['cycles'] / reference:.2f}",
                f"{small['cycles'] / large['cycles']:.2f}",
                f"{small['energy'] / 1e9:.2f}",
                f"{small['energy'] / large['energy']:.2f}",
                whole_percent(small["utilization"]),
            )
            for model in NETWORKS
            for small, large in [(study.small[model].totals, study.large[model].totals)]
        ],
    )
    changes = differing_fields(study.small[REFERENCE].hardware, study.large[REFERENCE].hardware)
    listed = "; ".join(f"`{path}` {small} for {large}" for path, (small, large) in changes.items())
    return (
        f"No published numbers of this accelerator are at hand. Its description differs from {LARGE}'s in {listed}; "
        f"everything else is the same.\n\n{table}"
    )


def differing_fields(first: Hardware, second: Hardware) -> dict[str, tuple[Any, Any]]:
    """Return the fields, but for names and descriptions, in which two descriptions differ: path -> both values."""
    values = [_flat(to_builtins(hardware), "") for hardware in (first, second)]
    return {
        path: (values[0].get(path), values[1].get(path))
        for path in sorted(values[0] | values[1])
        if values[0].get(path) != values[1].get(path) and path not in ("name", "description")
    }


def _flat(node: Any, path: str) -> dict[str, Any]:
    """Return the leaves of nested mappings and lists by path; entries of lists go by their name."""
    if isinstance(node, Mapping):
        children = {str(key): value for key, value in node.items()}
    elif isinstance(node, list | tuple) and all(isinstance(entry, Mapping) for entry in node):
        children = {entry["name"]: {key: value for key, value in entry.items() if key != "name"} for entry in node}
    else:
        return {path: node}
    return {
        leaf: value
        for key, child in children.items()
        for leaf, value in _flat(child, f"{path}.{key}" if path else key).items()
    }

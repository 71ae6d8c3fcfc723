"""ResNeXt: equivalent forms of a block, and cardinality against width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelsim.report.networks.counts import NETWORKS_CSV
from accelsim.report.networks.study import (
    DEPTHS,
    FORM_SETTING,
    FORMS,
    LARGE,
    MACHINES,
    SETTINGS,
    SMALL,
    Study,
    form_label,
    setting_label,
)
from accelsim.report.published import read_published
from accelsim.report.text import markdown_table, signed_percent
from accelsim.units import percent
from accelsim.workload.layer import Op

BLOCK = "stage2/unit2"
"""A block that repeats: neither its stride nor its channels change."""


@dataclass(frozen=True, kw_only=True)
class FormCost:
    """What a block, and the network made of such blocks, cost in one form.

    Attributes:
        form: The form.
        block: Weights (``params``), MACs, layers on the array, cycles, energy, DRAM words and utilization of one
            block on the large accelerator.
        network: The same of the network, all parameters included.
        summed_words: Words that additions of paths read, which the reference accelerators do not charge.
    """

    form: str
    block: Mapping[str, float]
    network: Mapping[str, float]
    summed_words: int


def form_costs(study: Study) -> list[FormCost]:
    """Return the cost of every form of the block."""
    found = []
    for form in FORMS:
        result = study[form_label(form), LARGE]
        inside = [layer for layer in result.network if f"{layer.block}/".startswith(f"{BLOCK}/")]
        records = [record for record in result.records if f"{record['block']}/".startswith(f"{BLOCK}/")]
        block = {
            "params": float(sum(layer.params_weights for layer in inside)),
            "macs": float(sum(layer.macs for layer in inside)),
            "layers": float(len(records)),
            "cycles": float(sum(record["cycles"] for record in records)),
            "energy": float(sum(record["energy"] for record in records)),
            "dram_words": float(sum(r["dram_read_words"] + r["dram_write_words"] for r in records)),
            "utilization": sum(record["utilization"] * record["cycles"] for record in records)
            / sum(record["cycles"] for record in records),
        }
        totals = {**result.totals, "layers": len(result.layer_results)}
        summed = sum(
            shape.words
            for layer in result.network
            if layer.op is Op.ADD and len(layer.input_shapes) > 2
            for shape in layer.input_shapes
        )
        found.append(
            FormCost(
                form=form,
                block=block,
                network={name: float(totals[name]) for name in block},
                summed_words=summed,
            )
        )
    return found


def setting_rows(study: Study) -> list[dict[str, object]]:
    """Return parameters, MACs, time and energy of every pair of cardinality and width, on both accelerators."""
    rows: list[dict[str, object]] = []
    for depth in DEPTHS:
        for setting in SETTINGS:
            large, small = (study[setting_label(depth, setting), machine].totals for machine in (LARGE, SMALL))
            rows.append(
                {
                    "depth": depth,
                    "setting": setting,
                    "params": large["params"],
                    "macs": large["macs"],
                    "published_top1_percent": published_top1(depth, setting),
                    f"cycles_{LARGE}": large["cycles"],
                    f"energy_{LARGE}": f"{large['energy']:.6g}",
                    f"utilization_{LARGE}": f"{large['utilization']:.4f}",
                    f"cycles_{SMALL}": small["cycles"],
                    f"energy_{SMALL}": f"{small['energy']:.6g}",
                    f"utilization_{SMALL}": f"{small['utilization']:.4f}",
                }
            )
    return rows


def published_top1(depth: int, setting: str) -> str:
    """Return the published top-1 accuracy in percent, as printed."""
    names = {f"ResNeXt-{depth} {setting}"}
    if setting == "1x64d":
        names = {f"ResNet-{depth} C=1 d=64"}
    return next(row["top1_percent"] for row in read_published(NETWORKS_CSV) if row["network"] in names)


def form_rows(study: Study) -> list[dict[str, object]]:
    """Return the forms' costs as rows of a table."""
    return [
        {
            "form": cost.form,
            **{f"block_{name}": f"{value:.10g}" for name, value in cost.block.items()},
            **{f"network_{name}": f"{value:.10g}" for name, value in cost.network.items()},
            "network_summed_words_not_charged": cost.summed_words,
        }
        for cost in form_costs(study)
    ]


# --- text ---------------------------------------------------------------------------------------


def resnext_section(study: Study) -> str:
    """Return the section of the page."""
    return "\n".join([_forms(study), _settings(study)])


def _forms(study: Study) -> str:
    costs = form_costs(study)
    first, slowest = costs[0], max(costs, key=lambda cost: cost.network["cycles"])
    equal = all(
        len({getattr(cost, part)[name] for cost in costs}) == 1
        for part in ("block", "network")
        for name in ("params", "macs")
    )
    return (
        f"One block (`{BLOCK}`) of ResNeXt-50 {FORM_SETTING}, and the network, on {LARGE}:\n\n{_form_table(costs)}\n"
        f"The three forms have {'the same' if equal else '**different**'} parameters and MACs, in the block and in the "
        f"network, but not the same time: {FORMS[slowest.form]} takes "
        f"{slowest.network['cycles'] / first.network['cycles']:.2f} times as long as {FORMS[first.form]}. Every path "
        "is layers of its own, each of which fetches the block's input or stores its output again: the block moves "
        f"{slowest.block['dram_words'] / first.block['dram_words']:.1f} times as many words to and from DRAM, and uses "
        f"{percent(slowest.block['utilization'])} of the array instead of {percent(first.block['utilization'])}. The "
        f"{slowest.summed_words / 1e6:.1f} million words that the network's sums of paths read are not even charged.\n"
    )


def _form_table(costs: Sequence[FormCost]) -> str:
    first = costs[0]
    return markdown_table(
        (
            "form",
            "layers",
            "weights (10³)",
            "MACs (10⁶)",
            "thousand cycles",
            "times (c)",
            "energy (10⁶ MACs)",
            "DRAM words (10³)",
            "utilization",
            "network, thousand cycles",
            "times (c)",
        ),
        [
            (
                FORMS[cost.form],
                f"{cost.block['layers']:.0f}",
                f"{cost.block['params'] / 1e3:.1f}",
                f"{cost.block['macs'] / 1e6:.1f}",
                f"{cost.block['cycles'] / 1e3:.0f}",
                f"{cost.block['cycles'] / first.block['cycles']:.2f}",
                f"{cost.block['energy'] / 1e6:.0f}",
                f"{cost.block['dram_words'] / 1e3:.0f}",
                percent(cost.block["utilization"]),
                f"{cost.network['cycles'] / 1e3:.0f}",
                f"{cost.network['cycles'] / first.network['cycles']:.2f}",
            )
            for cost in costs
        ],
    )


def _settings(study: Study) -> str:
    rows = setting_rows(study)
    base = {row["depth"]: row for row in rows if row["setting"] == SETTINGS[0]}
    table = markdown_table(
        (
            "depth",
            "C x d",
            "parameters (10⁶)",
            "MACs (10⁹)",
            "published top-1 (%)",
            f"cycles (10⁶), {LARGE}",
            "times 1x64d",
            "energy (10⁹ MACs)",
            "utilization",
            f"cycles (10⁶), {SMALL}",
            "times 1x64d",
            "energy (10⁹ MACs)",
        ),
        [
            (
                row["depth"],
                row["setting"],
                f"{_number(row, 'params') / 1e6:.2f}",
                f"{_number(row, 'macs') / 1e9:.3f}",
                row["published_top1_percent"],
                f"{_number(row, f'cycles_{LARGE}') / 1e6:.2f}",
                f"{_number(row, f'cycles_{LARGE}') / _number(base[row['depth']], f'cycles_{LARGE}'):.2f}",
                f"{_number(row, f'energy_{LARGE}') / 1e9:.1f}",
                percent(_number(row, f"utilization_{LARGE}")),
                f"{_number(row, f'cycles_{SMALL}') / 1e6:.2f}",
                f"{_number(row, f'cycles_{SMALL}') / _number(base[row['depth']], f'cycles_{SMALL}'):.2f}",
                f"{_number(row, f'energy_{SMALL}') / 1e9:.1f}",
            )
            for row in rows
        ],
    )
    return f"Cardinality C and width d of a path, at about the same parameters and MACs:\n\n{table}\n{_findings(rows)}"


def _findings(rows: Sequence[Mapping[str, object]]) -> str:
    first, last = (
        next(row for row in rows if row["depth"] == DEPTHS[0] and row["setting"] == setting)
        for setting in (SETTINGS[0], SETTINGS[-1])
    )
    growth = {name: _number(last, name) / _number(first, name) - 1 for name in ("params", "macs")}
    time = {name: _number(last, f"cycles_{name}") / _number(first, f"cycles_{name}") - 1 for name in MACHINES}
    energy = _number(last, f"energy_{LARGE}") / _number(first, f"energy_{LARGE}") - 1
    gain = _number(last, "published_top1_percent") - _number(first, "published_top1_percent")
    return (
        f"From {SETTINGS[0]} to {SETTINGS[-1]} ResNeXt-{DEPTHS[0]} changes its parameters by "
        f"{signed_percent(growth['params'])} and its MACs by {signed_percent(growth['macs'])}, its time by "
        f"{signed_percent(time[LARGE])} on {LARGE} and {signed_percent(time[SMALL])} on {SMALL}, and its energy by "
        f"{signed_percent(energy)} on {LARGE}, for {gain:+.1f} points of published accuracy: what is free in MACs is "
        "not free on an array.\n"
    )


def _number(row: Mapping[str, object], name: str) -> float:
    return float(str(row[name]))

"""What networks spend per MAC: which one, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accelsim.report.published import read_published
from accelsim.report.squeezenext.study import NETWORKS, TABLE3, paper_macs
from accelsim.report.text import markdown_table, percent_of, whole_percent
from accelsim.result import Result
from accelsim.units import percent
from accelsim.workload.layer import Kind

DEPTHWISE = str(Kind.DEPTHWISE)


def cycles_per_kmac(records: Sequence[Mapping[str, Any]]) -> float:
    """Return the cycles that layers take for a thousand MACs."""
    return 1e3 * _sum(records, "cycles") / _sum(records, "macs")


def efficiency_rows(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Return for every network its time and energy per MAC, and the share of its depthwise layers."""
    rows = []
    for model in NETWORKS:
        result = results[model]
        records, totals = result.records, result.totals
        depthwise = [record for record in records if record["kind"] == DEPTHWISE]
        waiting = [record for record in records if record["bound"] == "dram"]
        rows.append(
            {
                "network": model,
                "cycles_per_thousand_macs": round(cycles_per_kmac(records), 3),
                "energy_per_mac": round(totals["energy"] / totals["macs"], 3),
                "macs_per_dram_byte": round(totals["macs"] / (totals["dram_words"] * _word_bytes(result)), 2),
                "utilization": round(totals["utilization"], 4),
                "dram_bound_time_share": round(_sum(waiting, "cycles") / totals["cycles"], 4),
                "depthwise_macs_share": round(_sum(depthwise, "macs") / totals["macs"], 4),
                "depthwise_time_share": round(_sum(depthwise, "cycles") / totals["cycles"], 4),
            }
        )
    return rows


def efficiency_section(results: Mapping[str, Result]) -> str:
    """Return the section on time per MAC, MobileNet against SqueezeNext, and depthwise layers on their own."""
    rows = efficiency_rows(results)
    table = markdown_table(
        (
            "network",
            "cycles per thousand MACs",
            "energy per MAC",
            "MACs per DRAM byte",
            "utilization",
            "time in layers bound by DRAM",
            "depthwise: MACs",
            "depthwise: time",
        ),
        [
            (
                row["network"],
                f"{row['cycles_per_thousand_macs']:.2f}",
                f"{row['energy_per_mac']:.2f}",
                f"{row['macs_per_dram_byte']:.1f}",
                whole_percent(row["utilization"]),
                whole_percent(row["dram_bound_time_share"]),
                percent(row["depthwise_macs_share"]) if row["depthwise_time_share"] else "",
                percent(row["depthwise_time_share"]) if row["depthwise_time_share"] else "",
            )
            for row in rows
        ],
    )
    return f"{table}\n{_mobilenet_text(results)}\n{_kind_table(results['MobileNet'])}\n{_depthwise_text(results)}"


def _mobilenet_text(results: Mapping[str, Result]) -> str:
    """Return MobileNet's time per MAC relative to each SqueezeNext's, ours and the paper's."""
    published = {row["model"]: float(row["time_relative"]) / float(row["macs_m"]) for row in read_published(TABLE3)}
    ours = {
        model: result.totals["cycles"] / paper_macs(result.network.array_layers) for model, result in results.items()
    }
    rows = [
        (
            model,
            f"{published['MobileNet'] / published[model]:.2f}",
            f"{ours['MobileNet'] / ours[model]:.2f}",
        )
        for model in NETWORKS
        if "SqNxt" in model
    ]
    table = markdown_table(("MobileNet against", "published", "ours"), rows)
    top1 = {row["model"]: float(row["top1"]) for row in read_published(TABLE3)}
    near = min((model for model, *_ in rows), key=lambda model: abs(top1[model] - top1["MobileNet"]))
    return (
        "Time per MAC of MobileNet relative to that of the SqueezeNexts, MACs counted as the paper does:\n\n"
        f"{table}\nThe SqueezeNext nearest to MobileNet in published top-1 accuracy is {near} ({top1[near]:.2f}%, "
        f"MobileNet {top1['MobileNet']:.2f}%): for the same number of MACs MobileNet takes "
        f"{ours['MobileNet'] / ours[near]:.2f} times as long, as published "
        f"{published['MobileNet'] / published[near]:.2f} times.\n"
    )


def _kind_table(result: Result) -> str:
    """Return where a network's MACs, time and energy are, by kind of layer and by what bounds it."""
    records, totals = result.records, result.totals
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["kind"], record["bound"]), []).append(record)
    table = markdown_table(
        ("kind", "bound", "layers", "MACs", "time", "energy", "cycles per thousand MACs"),
        [
            (
                kind,
                bound,
                len(group),
                percent_of(_sum(group, "macs"), totals["macs"]),
                percent_of(_sum(group, "cycles"), totals["cycles"]),
                percent_of(_sum(group, "energy"), totals["energy"]),
                f"{cycles_per_kmac(group):.2f}",
            )
            for (kind, bound), group in sorted(groups.items())
        ],
    )
    return f"{result.network.name} by kind of layer and by what the layers wait for:\n\n{table}"


def _depthwise_text(results: Mapping[str, Result]) -> str:
    result = results["MobileNet"]
    depthwise = [record for record in result.records if record["kind"] == DEPTHWISE]
    pointwise = [record for record in result.records if record["kind"] == str(Kind.POINTWISE)]
    bound = [record for record in depthwise if record["bound"] == "dram"]
    intensity = _sum(depthwise, "macs") / _dram_bytes(depthwise, result)
    return (
        f"MobileNet's {len(depthwise)} depthwise layers do {percent_of(_sum(depthwise, 'macs'), _macs(result))} of its "
        f"MACs in {percent_of(_sum(depthwise, 'cycles'), result.totals['cycles'])} of its time and with "
        f"{percent_of(_sum(depthwise, 'energy'), result.totals['energy'])} of its energy: "
        f"{cycles_per_kmac(depthwise):.1f} cycles per thousand MACs against {cycles_per_kmac(pointwise):.1f} of its "
        f"pointwise layers. DRAM bounds {len(bound)} of the {len(depthwise)}: they do {intensity:.2f} MACs per byte "
        f"moved, the pointwise ones {_sum(pointwise, 'macs') / _dram_bytes(pointwise, result):.1f}.\n"
    )


def _macs(result: Result) -> float:
    return float(result.totals["macs"])


def _word_bytes(result: Result) -> float:
    return result.hardware.word_bits / 8


def _dram_bytes(records: Sequence[Mapping[str, Any]], result: Result) -> float:
    return (_sum(records, "dram_read_words") + _sum(records, "dram_write_words")) * _word_bytes(result)


def _sum(records: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(sum(record[name] for record in records))

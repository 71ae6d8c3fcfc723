"""What squeeze-and-excitation adds: parameters, MACs, time and energy, in whole and by stage."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelsim.report.networks.study import LARGE, MACHINES, SE_PAIRS, SMALL, Study, gated_label, plain_label
from accelsim.report.text import markdown_table, signed_percent
from accelsim.result import Result
from accelsim.units import percent
from accelsim.workload.layer import Op

QUANTITIES = ("params", "macs", "cycles", "energy")


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a part of a network costs without SE and with it.

    Attributes:
        network: The network.
        hardware: The accelerator.
        stage: The part: a stage such as ``stage4``; ``all``; or ``all but the last stage's SE``.
        plain: Cost without SE, by quantity: parameters, MACs, cycles, and energy in the hardware's unit.
        added: What SE adds to it.
    """

    network: str
    hardware: str
    stage: str
    plain: Mapping[str, float]
    added: Mapping[str, float]

    def growth(self, quantity: str) -> float:
        """What SE adds, relative to the part without it; 0 where there is nothing."""
        return self.added[quantity] / self.plain[quantity] if self.plain[quantity] else 0.0


WHOLE, SPARED = "all", "all but the last stage's SE"


def se_parts(study: Study, network: str, hardware: str) -> list[Part]:
    """Return what SE adds to every stage with gates, to the whole, and to it but for the last stage's gates."""
    plain = _by_stage(study[plain_label(network), hardware])
    gated = _by_stage(study[gated_label(network), hardware])
    added = {stage: {name: gated[stage][name] - plain[stage][name] for name in QUANTITIES} for stage in plain}
    stages = [stage for stage in plain if added[stage]["params"]]
    whole = {name: sum(costs[name] for costs in plain.values()) for name in QUANTITIES}
    everything = {name: sum(costs[name] for costs in added.values()) for name in QUANTITIES}
    spared = {name: everything[name] - added[stages[-1]][name] for name in QUANTITIES}
    return [
        *(Part(network=network, hardware=hardware, stage=s, plain=plain[s], added=added[s]) for s in stages),
        Part(network=network, hardware=hardware, stage=WHOLE, plain=whole, added=everything),
        Part(network=network, hardware=hardware, stage=SPARED, plain=whole, added=spared),
    ]


def stage_of(block: str) -> str:
    """Return the stage that a block belongs to: ``stage3`` of ``stage3/unit1``, ``inception4`` of ``inception4b``."""
    match = re.match(r"[a-z]+\d*", block)
    return match.group() if match else "classifier"


def _by_stage(result: Result) -> dict[str, dict[str, float]]:
    stages: defaultdict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(QUANTITIES, 0.0))
    for layer in result.network:
        stages[stage_of(layer.block)]["params"] += layer.params
        stages[stage_of(layer.block)]["macs"] += layer.macs
    for record in result.records:
        stages[stage_of(record["block"])]["cycles"] += record["cycles"]
        stages[stage_of(record["block"])]["energy"] += record["energy"]
    return dict(stages)


def all_parts(study: Study) -> list[Part]:
    """Return the parts of every network on both accelerators."""
    return [part for hardware in MACHINES for network in SE_PAIRS for part in se_parts(study, network, hardware)]


def se_rows(study: Study) -> list[dict[str, object]]:
    """Return every part as a row of a table."""
    return [
        {
            "network": part.network,
            "hardware": part.hardware,
            "part": part.stage,
            **{name: f"{part.plain[name]:.10g}" for name in QUANTITIES},
            **{f"se_adds_{name}": f"{part.added[name]:.10g}" for name in QUANTITIES},
            **{f"se_adds_{name}_percent": f"{100 * part.growth(name):.3f}" for name in QUANTITIES},
        }
        for part in all_parts(study)
    ]


# --- text ---------------------------------------------------------------------------------------


def se_section(study: Study) -> str:
    """Return the section of the page."""
    parts = all_parts(study)
    return "\n".join([_whole_table(parts), _stage_table(parts), _findings(study, parts)])


def _pick(parts: Sequence[Part], network: str, hardware: str, stage: str) -> Part:
    return next(part for part in parts if (part.network, part.hardware, part.stage) == (network, hardware, stage))


def _whole_table(parts: Sequence[Part]) -> str:
    rows = []
    for network in SE_PAIRS:
        large, small = (_pick(parts, network, hardware, WHOLE) for hardware in (LARGE, SMALL))
        spared = _pick(parts, network, LARGE, SPARED)
        rows.append(
            (
                network,
                f"{large.plain['params'] / 1e6:.2f}",
                f"{large.added['params'] / 1e6:.2f}",
                signed_percent(large.growth("params")),
                f"{100 * large.growth('macs'):+.2f}%",
                signed_percent(large.growth("cycles")),
                signed_percent(large.growth("energy")),
                signed_percent(small.growth("cycles")),
                signed_percent(small.growth("energy")),
                signed_percent(spared.growth("params")),
                signed_percent(spared.growth("cycles")),
            )
        )
    header = (
        "network",
        "parameters (10⁶)",
        "SE's (10⁶)",
        "parameters",
        "MACs",
        f"time, {LARGE}",
        f"energy, {LARGE}",
        f"time, {SMALL}",
        f"energy, {SMALL}",
        "parameters, last stage spared",
        f"time, {LARGE}, last stage spared",
    )
    return markdown_table(header, rows)


def _stage_table(parts: Sequence[Part]) -> str:
    rows = []
    for network in SE_PAIRS:
        whole = _pick(parts, network, LARGE, WHOLE)
        rows += [
            (
                network,
                part.stage,
                percent(part.added["params"] / whole.added["params"]),
                percent(part.added["cycles"] / whole.added["cycles"]),
                percent(part.added["energy"] / whole.added["energy"]),
                signed_percent(part.growth("params")),
                signed_percent(part.growth("cycles")),
            )
            for part in parts
            if part.network == network and part.hardware == LARGE and part.stage not in (WHOLE, SPARED)
        ]
    header = (
        "network",
        "stage",
        "share of SE's parameters",
        "share of SE's time",
        "share of SE's energy",
        "parameters of the stage",
        "time of the stage",
    )
    return f"By stage, on {LARGE}:\n\n{markdown_table(header, rows)}"


def _findings(study: Study, parts: Sequence[Part]) -> str:
    whole = [_pick(parts, network, LARGE, WHOLE) for network in SE_PAIRS]
    macs = max(part.growth("macs") for part in whole)
    slow = max(whole, key=lambda part: part.growth("cycles"))
    quick = min(whole, key=lambda part: part.growth("cycles"))
    fifty = _pick(parts, "ResNet-50", LARGE, WHOLE)
    spared = _pick(parts, "ResNet-50", LARGE, SPARED)
    gates = gate_records(study, "ResNet-50")
    waiting = sum(record["bound"] == "dram" for record in gates)
    uncharged = _uncharged(study[gated_label("ResNet-50"), LARGE]) - _uncharged(study[plain_label("ResNet-50"), LARGE])
    return (
        f"SE adds at most {100 * macs:.2f}% of MACs but {percent(quick.growth('cycles'))} ({quick.network}) to "
        f"{percent(slow.growth('cycles'))} ({slow.network}) of time on {LARGE}: its gates are matrices times one "
        f"vector, which use each weight once. DRAM bounds {waiting} of the {len(gates)} in SE-ResNet-50, and they keep "
        f"{percent(_gate_utilization(study, 'ResNet-50'))} of the PEs busy. Without the last stage's gates ResNet-50 "
        f"grows by {percent(spared.growth('params'))} in parameters instead of {percent(fifty.growth('params'))}, and "
        f"by {percent(spared.growth('cycles'))} in time instead of {percent(fifty.growth('cycles'))}. These are "
        f"convolutions only: the pools, products and activations that SE adds ({uncharged} layers in SE-ResNet-50) "
        "are not charged by the reference accelerators, and would come on top.\n"
    )


def gate_records(study: Study, network: str, hardware: str = LARGE) -> list[dict[str, Any]]:
    """Return the records of the layers on the array that SE adds: those that work on one pixel, but the classifier."""
    result = study[gated_label(network), hardware]
    return [r for r in result.records if r["P"] * r["Q"] == 1 and r["block"].startswith(("stage", "inception"))]


def _gate_utilization(study: Study, network: str) -> float:
    records = gate_records(study, network)
    pes = study[gated_label(network), LARGE].hardware.pes
    executed = sum(float(record["macs_executed"]) for record in records)
    return executed / pes / sum(int(record["cycles"]) for record in records)


def _uncharged(result: Result) -> int:
    return sum(layer.op not in (Op.BATCH_NORM, Op.DROPOUT, Op.FLATTEN) for layer in result.not_charged)

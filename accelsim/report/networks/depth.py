"""Stochastic depth: expected depth, training MACs, cycles and energy, and their spread."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.report.networks.counts import FIGURES_CSV
from accelsim.report.networks.study import DEPTH_NETWORKS, LARGE, Study
from accelsim.report.published import read_published
from accelsim.report.text import markdown_table
from accelsim.units import percent
from accelsim.workload.stochastic_depth import Rule, Spread, stochastic_depth

RULES: tuple[Rule, ...] = ("linear", "uniform")

P_LAST = 0.5
"""Survival probability of the last branch."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A network under stochastic depth.

    Attributes:
        network: The network.
        rule: Rule of the survival probabilities.
        branches: Residual branches.
        expected_depth: Branches kept, expected.
        training_macs: MACs of a training step of one image, forwards and backwards.
        cycles: Cycles of a forward pass on the large accelerator.
        energy: Energy of it, in the hardware's unit.
    """

    network: str
    rule: Rule
    branches: int
    expected_depth: float
    training_macs: Spread
    cycles: Spread
    energy: Spread

    @property
    def saved(self) -> float:
        """Share of a forward pass's cycles that dropping saves, expected."""
        return 1 - self.cycles.mean / self.cycles.all_kept


def expectations(study: Study) -> list[Expectation]:
    """Return every network under every rule."""
    found = []
    for label in DEPTH_NETWORKS:
        result = study[label, LARGE]
        cycles = {record["layer"]: float(record["cycles"]) for record in result.records}
        energy = {record["layer"]: float(record["energy"]) for record in result.records}
        for rule in RULES:
            dropped = stochastic_depth(result.network, rule=rule, p_last=P_LAST)
            found.append(
                Expectation(
                    network=label,
                    rule=rule,
                    branches=len(dropped.branches),
                    expected_depth=dropped.expected_depth,
                    training_macs=dropped.training_macs(),
                    cycles=dropped.spread(cycles),
                    energy=dropped.spread(energy),
                )
            )
    return found


def depth_rows(study: Study) -> list[dict[str, object]]:
    """Return the expectations as rows of a table."""
    return [
        {
            "network": entry.network,
            "rule": entry.rule,
            "p_last": P_LAST,
            "branches": entry.branches,
            "expected_depth": f"{entry.expected_depth:.6g}",
            **{
                f"{name}_{part}": f"{getattr(spread, part):.8g}"
                for name, spread in (
                    ("training_macs", entry.training_macs),
                    ("cycles", entry.cycles),
                    ("energy", entry.energy),
                )
                for part in ("mean", "standard_deviation", "all_kept", "all_dropped")
            },
        }
        for entry in expectations(study)
    ]


def depth_section(study: Study) -> str:
    """Return the section of the page."""
    entries = expectations(study)
    table = markdown_table(
        (
            "network",
            "rule",
            "branches",
            "expected depth",
            "training MACs (10⁹)",
            "all kept",
            "thousand cycles",
            "all kept: inference",
            "energy (10⁹ MACs)",
            "all kept: inference",
        ),
        [
            (
                entry.network,
                entry.rule,
                entry.branches,
                f"{entry.expected_depth:.2f}",
                _spread(entry.training_macs, 1e9, 3),
                f"{entry.training_macs.all_kept / 1e9:.3f}",
                _spread(entry.cycles, 1e3, 0),
                f"{entry.cycles.all_kept / 1e3:.0f}",
                _spread(entry.energy, 1e9, 2),
                f"{entry.energy.all_kept / 1e9:.2f}",
            )
            for entry in entries
        ],
    )
    return (
        f"Mean ± standard deviation over the random drops, with p_L = {P_LAST:g}. Training MACs are of one image, "
        f"forwards and backwards; cycles and energy are of one forward pass on {LARGE}, whose convolutions are what "
        f"the accelerator is charged for.\n\n{table}\n{_findings(entries)}"
    )


def _findings(entries: list[Expectation]) -> str:
    published = {
        row["quantity"]: row["printed"] for row in read_published(FIGURES_CSV) if "stochastic" in row["network"]
    }
    first = next(entry for entry in entries if entry.network == "ResNet-110" and entry.rule == "linear")
    most = max(entries, key=lambda entry: entry.cycles.standard_deviation / entry.cycles.mean)
    least = min(entries, key=lambda entry: entry.cycles.standard_deviation / entry.cycles.mean)
    deep = next(entry for entry in entries if entry.network == "ResNet-152" and entry.rule == "linear")
    return (
        f"ResNet-110 with linear decay keeps {first.expected_depth:.2f} of {first.branches} branches on average, as "
        f"published (about {published['expected depth']} of {published['blocks']}), and a forward pass saves "
        f"{percent(first.saved)} of its cycles; ResNet-152 saves {percent(deep.saved)}, as the stem, the shortcuts and "
        f"the classifier stay. The spread is {percent(most.cycles.standard_deviation / most.cycles.mean)} of the mean "
        f"cycles at most ({most.network}, {most.rule}) and shrinks with the number of branches, to "
        f"{percent(least.cycles.standard_deviation / least.cycles.mean)} ({least.network}, {least.rule}), so that a "
        "training run's time can be planned with the mean. Inference keeps every branch and gains nothing.\n"
    )


def _spread(spread: Spread, divisor: float, digits: int) -> str:
    return f"{spread.mean / divisor:.{digits}f} ± {spread.standard_deviation / divisor:.{digits}f}"

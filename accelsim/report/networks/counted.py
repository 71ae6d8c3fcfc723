"""A published count beside ours, and the way of counting that gives the digits printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from accelsim.report.comparison import half_last_digit
from accelsim.workload.layer import Op
from accelsim.workload.network import Network

TOLERANCE = 1 + 1e-9
"""Half of the last digit, and what binary fractions are off by."""


class Verdict(StrEnum):
    """How a published count and ours stand to each other."""

    REPRODUCED = "reproduced"
    EXPLAINED = "explained"
    SLIP = "slip of the paper's"
    UNEXPLAINED = "unexplained"
    NOT_COMPUTED = "not computed"


@dataclass(frozen=True, kw_only=True)
class Count:
    """A published count beside ours.

    Attributes:
        row: What is counted: a network, a layer, a kind of layer.
        quantity: ``parameters``, ``MACs``, ``size`` and so on.
        unit: Unit of the numbers: ``10⁶``, ``MB``, ``%``.
        printed: As published, digit by digit.
        counts: Ways of counting -> our count; the first is the usual one. Empty where there is nothing to count.
        source: Where it is published.
        remark: What is known of the difference beyond the ways of counting.
        slip: Whether the printed number contradicts others of its own table, so that it cannot be meant as printed.
    """

    row: str
    quantity: str
    unit: str
    printed: str
    counts: Mapping[str, float]
    source: str
    remark: str = ""
    slip: bool = False

    @property
    def ours(self) -> float | None:
        """The usual count; None where there is none."""
        return next(iter(self.counts.values()), None)

    @property
    def difference(self) -> float | None:
        """Ours relative to the printed number."""
        return None if self.ours is None else self.ours / float(self.printed) - 1

    @property
    def verdict(self) -> Verdict:
        """Whether the usual count, or a way of counting, gives the digits printed."""
        if self.ours is None:
            return Verdict.NOT_COMPUTED
        if rounds_to(self.ours, self.printed):
            return Verdict.REPRODUCED
        if self.slip:
            return Verdict.SLIP
        return Verdict.EXPLAINED if self.ways else Verdict.UNEXPLAINED

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways of counting that give the digits printed, in the closest reading; just the usual one if it does."""
        readings = (
            ("", rounds_to),
            (", cut off instead of rounded", is_cut_to),
            (f", rounded to {_place(self.printed)}", rounds_without_zeros_to),
        )
        for suffix, reads in readings:
            ways = [name for name, count in self.counts.items() if reads(count, self.printed)]
            usual = ways[:1] if ways and self.ours == self.counts[ways[0]] else ways
            if usual:
                return tuple(f"{name}{suffix}" for name in usual)
        return ()

    @property
    def explanation(self) -> str:
        """What to say beside the verdict: the ways of counting where the usual one is not it, and the remark."""
        ways = "" if self.verdict is Verdict.REPRODUCED else ", or ".join(self.ways)
        return "; ".join(part for part in (ways, self.remark) if part)


def rounds_to(value: float, printed: str) -> bool:
    """Whether a value, rounded to as many decimals, is what is printed."""
    return abs(value - float(printed)) <= half_last_digit(printed) * TOLERANCE


def is_cut_to(value: float, printed: str) -> bool:
    """Whether a value, its further digits left out, is what is printed."""
    return 0 <= value - float(printed) < 2 * half_last_digit(printed) * (2 - TOLERANCE)


def rounds_without_zeros_to(value: float, printed: str) -> bool:
    """Whether a value rounds to what is printed if the zeros at the end of an integer are no digits of it."""
    return trailing_zeros(printed) > 0 and abs(value - float(printed)) <= 0.5 * 10 ** trailing_zeros(printed)


def trailing_zeros(printed: str) -> int:
    """Return the zeros at the end of an integer; 0 for a decimal fraction."""
    return 0 if "." in printed else len(printed) - len(printed.rstrip("0"))


def _place(printed: str) -> str:
    return {1: "tens", 2: "hundreds"}.get(trailing_zeros(printed), f"10^{trailing_zeros(printed)}")


def parameter_counts(network: Network) -> dict[str, float]:
    """Return ways of counting a network's parameters, in millions, the usual one first."""
    totals = network.totals
    weights = totals["params_conv"] + totals["params_linear"]
    return {
        "weights, biases and batch norms": totals["params"] / 1e6,
        "without batch norms": (totals["params"] - totals["params_bn"]) / 1e6,
        "weights alone": weights / 1e6,
        "weights of convolutions alone": totals["params_conv"] / 1e6,
    }


def mac_counts(network: Network) -> dict[str, float]:
    """Return ways of counting a network's MACs, in millions, the usual one first."""
    macs = network.totals["macs"]
    linear = sum(layer.macs for layer in network if layer.op is Op.LINEAR)
    outputs = sum(layer.output_words for layer in network.array_layers)
    ways = {
        "convolutions and linear layers": macs,
        "the convolutions alone": macs - linear,
        "one more per output element": macs + outputs,
        "operations, two a MAC": 2 * macs,
    }
    return {way: count / 1e6 for way, count in ways.items()}


def by_verdict(counts: Sequence[Count]) -> dict[Verdict, list[Count]]:
    """Return the counts of each verdict, every verdict present."""
    return {verdict: [count for count in counts if count.verdict is verdict] for verdict in Verdict}

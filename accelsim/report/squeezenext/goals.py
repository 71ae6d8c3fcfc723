"""What the reproduction of the SqueezeNext study is held to."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.report.comparison import Comparison, Verdict
from accelsim.report.squeezenext.study import BLOCKS, REFERENCE

TIME_EACH, TIME_MEAN = 0.05, 0.03
ENERGY_EACH, ENERGY_MEAN = 0.10, 0.06
BLOCK_EACH = 0.05
LAYER_EACH = 0.10

SMALLEST_LAYER_KCYCLES = 10.0
"""Layers up to this are not judged: the figure cannot be measured well enough."""


def time_verdict(time: Sequence[Comparison]) -> Verdict:
    """Judge Table 3's relative times, but for the reference's, which is 1 by definition."""
    judged = tuple(comparison for comparison in time if comparison.row != REFERENCE)
    return Verdict(goal="Table 3, relative time", each=TIME_EACH, mean=TIME_MEAN, comparisons=judged)


def energy_verdict(energy: Sequence[Comparison]) -> Verdict:
    """Judge Table 3's energies."""
    return Verdict(goal="Table 3, energy", each=ENERGY_EACH, mean=ENERGY_MEAN, comparisons=tuple(energy))


def totals_verdict(figure8: Sequence[Comparison]) -> Verdict:
    """Judge Figure 8's totals."""
    judged = tuple(comparison for comparison in figure8 if comparison.row == "total")
    return Verdict(goal="Figure 8, totals", each=BLOCK_EACH, mean=None, comparisons=judged)


def blocks_verdict(figure8: Sequence[Comparison]) -> Verdict:
    """Judge Figure 8's conv1 and blocks."""
    judged = tuple(comparison for comparison in figure8 if comparison.row in BLOCKS)
    return Verdict(goal="Figure 8, conv1 and blocks", each=BLOCK_EACH, mean=None, comparisons=judged)


def others_verdict(figure8: Sequence[Comparison]) -> Verdict:
    """Judge Figure 8's ``others``."""
    judged = tuple(comparison for comparison in figure8 if comparison.row == "others")
    return Verdict(goal="Figure 8, others", each=BLOCK_EACH, mean=None, comparisons=judged)


def layers_verdict(figure6: Sequence[Comparison]) -> Verdict:
    """Judge Figure 6's layers above the smallest size."""
    judged = tuple(comparison for comparison in figure6 if comparison.published > SMALLEST_LAYER_KCYCLES)
    goal = f"Figure 6, layers above {SMALLEST_LAYER_KCYCLES:g} thousand cycles"
    return Verdict(goal=goal, each=LAYER_EACH, mean=None, comparisons=judged)

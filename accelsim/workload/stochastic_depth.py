"""Stochastic depth (arXiv:1603.09382): what training costs when residual branches are dropped at random.

For each mini-batch every residual branch l of L is kept with its survival probability p_l, independently of the
others; a dropped branch is neither computed forwards nor backwards. With c_l the cost of branch l and c_0 that of all
else, a mini-batch costs c_0 + sum of b_l c_l with independent Bernoulli b_l, so its mean is c_0 + sum of p_l c_l and
its variance the sum of p_l (1 - p_l) c_l^2, exactly. At inference every branch is kept, scaled by p_l; the factor
goes into the last batch norm or convolution of the branch and costs nothing.

A training step has three products for each convolution or linear layer: the output, the gradient of the weights, and
the gradient of the input, with as many MACs each; a layer that reads the image does not need the last. So training
MACs are 3 (for a layer that reads the image, 2) times those of inference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import fsum, sqrt
from typing import Literal

from accelsim.errors import WorkloadError, did_you_mean
from accelsim.workload.layer import Layer, Op
from accelsim.workload.network import INPUT, Network

Rule = Literal["linear", "uniform"]

FORWARD = 1
"""Products of a layer's training step that go forwards."""

WEIGHT_GRADIENT = 1
"""Products that make the gradient of the weights."""

INPUT_GRADIENT = 1
"""Products that make the gradient of the input; none in a layer that reads the image."""


@dataclass(frozen=True, kw_only=True)
class ResidualBranch:
    """A part of a network that an addition joins to a shortcut, and that can be dropped.

    Attributes:
        join: Name of the addition; without the branch it is not computed either.
        layers: Names of the layers that only the branch needs, in their order.
        block: Path of the block that the addition belongs to.
    """

    join: str
    layers: tuple[str, ...]
    block: str


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Cost over random drops; in the unit of the costs given.

    Attributes:
        mean: Expected value.
        standard_deviation: Of the cost of one mini-batch.
        all_kept: Cost with every branch: that of constant depth, and of inference.
        all_dropped: Cost of what is never dropped.
    """

    mean: float
    standard_deviation: float
    all_kept: float
    all_dropped: float


@dataclass(frozen=True, kw_only=True)
class StochasticDepth:
    """A residual network with the survival probability of each of its branches.

    Attributes:
        network: The network.
        branches: Its residual branches, from input to output.
        survival: Probability that each is kept.
    """

    network: Network
    branches: tuple[ResidualBranch, ...]
    survival: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.survival) != len(self.branches):
            raise WorkloadError(
                f"network {self.network.name}: has {len(self.branches)} residual branches, "
                f"but {len(self.survival)} survival probabilities are given"
            )
        for probability in self.survival:
            if not 0 <= probability <= 1:
                raise WorkloadError(f"survival probability must be from 0 to 1, got {probability!r}")

    @property
    def expected_depth(self) -> float:
        """Expected number of residual branches that are kept."""
        return fsum(self.survival)

    def spread(self, costs: Mapping[str, float]) -> Spread:
        """Return what a mini-batch costs over the random drops.

        Args:
            costs: Cost of each layer by its name, in any one unit (cycles, energy, MACs); a layer that is
                not named costs nothing.

        Returns:
            Mean, standard deviation and bounds, in the unit of ``costs``.

        Raises:
            WorkloadError: A cost is named after no layer of the network.
        """
        names = {layer.name for layer in self.network}
        for name in costs:
            if name not in names:
                raise WorkloadError(f"network {self.network.name} has no layer {name!r}{did_you_mean(name, names)}")
        branch_costs = [fsum(costs.get(name, 0) for name in (*branch.layers, branch.join)) for branch in self.branches]
        everything = fsum(costs.values())
        fixed = everything - fsum(branch_costs)
        kept = list(zip(self.survival, branch_costs, strict=True))
        return Spread(
            mean=fixed + fsum(p * cost for p, cost in kept),
            standard_deviation=sqrt(fsum(p * (1 - p) * cost * cost for p, cost in kept)),
            all_kept=everything,
            all_dropped=fixed,
        )

    def training_macs(self) -> Spread:
        """Return the MACs of one training step, forwards and backwards, over the random drops."""
        return self.spread(training_macs(self.network))


def stochastic_depth(network: Network, *, rule: Rule = "linear", p_last: float = 0.5) -> StochasticDepth:
    """Return a residual network with survival probabilities by rule.

    Args:
        network: Any network with residual branches.
        rule: ``"linear"`` decay, p_l = 1 - (l / L) (1 - p_L) for branch l of L, or ``"uniform"``, p_l = p_L.
        p_last: Survival probability p_L of the last branch.

    Returns:
        Network, branches and probabilities.

    Raises:
        WorkloadError: The network has no residual branch, no such rule, or a probability out of range.
    """
    branches = residual_branches(network)
    if not branches:
        raise WorkloadError(f"network {network.name}: has no residual branch that could be dropped")
    if rule not in ("linear", "uniform"):
        raise WorkloadError(f"survival rule must be 'linear' or 'uniform', got {rule!r}")
    count = len(branches)
    survival = [1 - index / count * (1 - p_last) if rule == "linear" else p_last for index in range(1, count + 1)]
    return StochasticDepth(network=network, branches=branches, survival=tuple(survival))


def training_macs(network: Network) -> dict[str, float]:
    """Return the MACs that a training step takes in each layer on the array: outputs and both gradients."""
    return {
        layer.name: layer.macs
        * (FORWARD + WEIGHT_GRADIENT + (0 if INPUT in network.inputs[layer.name] else INPUT_GRADIENT))
        for layer in network.array_layers
    }


def residual_branches(network: Network) -> tuple[ResidualBranch, ...]:
    """Find the residual branches of a network by its additions.

    An addition of two inputs joins a branch to a shortcut. Layers that only one input depends on are its side; the
    side with fewer layers on the array, or of as many with fewer MACs, is the shortcut, and the other one can be
    dropped. Layers that both sides depend on (a shared pre-activation, a gate) stay. Additions of equal sides
    or of more inputs are no joins (the paths of a ResNeXt block, for example), and a branch inside another
    one is part of it.

    Args:
        network: The network.

    Returns:
        The branches, from input to output.
    """
    position = {layer.name: index for index, layer in enumerate(network)}
    found: list[ResidualBranch] = []
    for layer in network:
        if layer.op is not Op.ADD or len(network.inputs[layer.name]) != 2:
            continue
        sides = [[network.layers[index] for index in side] for side in _sides(network, position, layer)]
        sides.sort(key=_size)
        if _size(sides[0]) == _size(sides[1]):
            continue
        names = tuple(member.name for member in sides[1])
        found = [branch for branch in found if branch.join not in names]
        found.append(ResidualBranch(join=layer.name, layers=names, block=layer.block))
    return tuple(found)


def _size(side: Sequence[Layer]) -> tuple[int, int]:
    """Return what tells a branch from a shortcut: layers on the array, and MACs."""
    return sum(layer.on_array for layer in side), sum(layer.macs for layer in side)


def _sides(network: Network, position: Mapping[str, int], join: Layer) -> tuple[list[int], list[int]]:
    """Return the positions of the layers that only the first, and only the second, input of an addition needs.

    Walks back from both inputs in reverse order of execution, so that a layer's marks are complete when it is
    visited, and stops where nothing is left that is not common.
    """
    marks: dict[int, int] = {}
    frontier: list[int] = []
    one_sided = 0

    def mark(name: str, bits: int) -> int:
        """Add marks to a layer; return by how much the number of waiting one-sided layers changes."""
        index = position.get(name, -1)
        before = marks.get(index, 0)
        if not before:
            heappush(frontier, -index)
        marks[index] = before | bits
        return int(marks[index] in (1, 2)) - int(before in (1, 2))

    for bit, name in zip((1, 2), network.inputs[join.name], strict=True):
        one_sided += mark(name, bit)
    sides: tuple[list[int], list[int]] = ([], [])
    while one_sided:
        index = -heappop(frontier)
        bits = marks[index]
        if bits != 3:
            one_sided -= 1
            if index >= 0:
                sides[bits - 1].insert(0, index)
        if index >= 0:
            one_sided += sum(mark(name, bits) for name in network.inputs[network.layers[index].name])
    return sides

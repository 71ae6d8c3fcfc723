"""Which branches does stochastic depth drop, and what does training then cost?"""

from __future__ import annotations

from itertools import product
from math import prod, sqrt

import pytest

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Op
from accelsim.workload.network import NetworkBuilder
from accelsim.workload.stochastic_depth import (
    StochasticDepth,
    residual_branches,
    stochastic_depth,
    training_macs,
)
from accelsim.workload.zoo import build


@pytest.mark.parametrize(
    ("family", "depth", "branches", "expected"),
    [("resnet_cifar", 110, 54, 40.25), ("resnet", 152, 50, 37.25), ("resnet_cifar", 1202, 600, 449.75)],
)
def test_how_deep_is_a_network_on_average(family: str, depth: int, branches: int, expected: float) -> None:
    """Linear decay to 0.5 keeps (3 L - 1) / 4 of L blocks: 40 of ResNet-110's 54 (arXiv:1603.09382, section 3)."""
    drops = stochastic_depth(build(family, depth=depth), rule="linear", p_last=0.5)
    assert len(drops.branches) == branches
    assert drops.expected_depth == pytest.approx(expected)
    assert drops.expected_depth == pytest.approx((3 * branches - 1) / 4)


def test_which_probabilities_do_the_rules_give() -> None:
    """Linear decay falls in equal steps from the input's 1 to p_L, uniform survival is p_L everywhere."""
    network = build("resnet_cifar", depth=20)
    linear = stochastic_depth(network, rule="linear", p_last=0.1).survival
    assert linear == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert stochastic_depth(network, rule="uniform", p_last=0.8).survival == (0.8,) * 9


@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_does_a_branch_have_the_body_of_its_unit_and_no_shortcut(option: str) -> None:
    """Everything in the unit but what lies on its shortcut, the addition and the ReLU behind it."""
    network = build("resnet", depth=34, option=option)
    for branch in residual_branches(network):
        inside = [layer.name for layer in network if layer.block == branch.block]
        assert list(branch.layers) == inside[: inside.index(branch.join)]
        assert [network[name].op for name in branch.layers].count(Op.CONV) == 2


@pytest.mark.parametrize("shortcut", ["identity", "constant_scale", "exclusive_gate", "conv1x1", "dropout"])
@pytest.mark.parametrize("order", ["original", "bn_after_add", "relu_only", "full_preactivation"])
@pytest.mark.parametrize("depth", [20, 164])
def test_are_branches_found_whatever_the_unit_looks_like(shortcut: str, order: str, depth: int) -> None:
    """One branch a unit, with the two or three convolutions of its body, in every variant of arXiv:1603.05027."""
    network = build("preresnet_cifar", depth=depth, shortcut=shortcut, activation_order=order)
    branches = residual_branches(network)
    assert len(branches) == {20: 9, 164: 54}[depth]
    for branch in branches:
        convs = [name for name in branch.layers if network[name].op is Op.CONV]
        assert len(convs) == {20: 2, 164: 3}[depth]
        assert all(network[name].block == branch.block for name in convs)


def test_does_what_the_shortcut_needs_stay() -> None:
    """A pre-activation that feeds a projection too, and a gate, are computed in any case."""
    network = build("preresnet_cifar", depth=164, shortcut="exclusive_gate", activation_order="full_preactivation")
    dropped = {name for branch in residual_branches(network) for name in branch.layers}
    shared = [layer.name for layer in network if layer.block.endswith("/gate") and layer.op is Op.CONV]
    assert len(shared) == 54
    assert not dropped.intersection(shared)
    assert "stage2/unit1/activation1" not in dropped
    assert "stage2/unit2/activation1" in dropped


@pytest.mark.parametrize("cardinality", [2, 3])
def test_is_a_sum_of_paths_no_shortcut(cardinality: int) -> None:
    """The summed paths of a ResNeXt block are dropped together."""
    network = build("resnext", form="aggregated", cardinality=cardinality, base_width=40)
    branches = residual_branches(network)
    assert len(branches) == 16
    assert all(len([n for n in b.layers if network[n].op is Op.CONV]) == 3 * cardinality for b in branches)


def test_is_a_sum_of_equals_no_residual_unit() -> None:
    """Of two equal paths neither is the shortcut of the other; of unequal ones the shorter is."""
    for layers, joins in ((1, []), (2, ["sum"])):
        b = NetworkBuilder("paths", (8, 4, 4))
        path = b.input
        for _ in range(layers):
            path = b.conv(path, 8)
        b.add(path, b.conv(b.input, 8), name="sum")
        assert [branch.join for branch in residual_branches(b.build())] == joins


def test_is_a_branch_within_a_branch_part_of_it() -> None:
    """Dropping the outer one drops both."""
    b = NetworkBuilder("nested", (8, 4, 4))
    x = b.conv(b.input, 8, name="stem")
    inner = b.conv(x, 8, name="before")
    inner = b.add(b.conv(inner, 8, name="body"), inner, name="inner")
    b.add(b.conv(inner, 8, name="after"), x, name="outer")
    (branch,) = residual_branches(b.build())
    assert (branch.join, branch.layers) == ("outer", ("before", "body", "inner", "after"))


def test_are_mean_and_deviation_those_of_all_drops() -> None:
    """Every one of the 2^9 outcomes of a ResNet-20, weighted by its probability, with costs of all layers."""
    network = build("resnet_cifar", depth=20)
    drops = stochastic_depth(network, rule="linear", p_last=0.3)
    costs = {layer.name: float(layer.macs + 7 * layer.output_words) for layer in network}
    mean = square = 0.0
    for kept in product((False, True), repeat=9):
        chance = prod(p if keep else 1 - p for p, keep in zip(drops.survival, kept, strict=True))
        gone = {
            name
            for branch, keep in zip(drops.branches, kept, strict=True)
            if not keep
            for name in (*branch.layers, branch.join)
        }
        cost = sum(cost for name, cost in costs.items() if name not in gone)
        mean += chance * cost
        square += chance * cost * cost
        if not any(kept):
            least = cost
    spread = drops.spread(costs)
    assert spread.mean == pytest.approx(mean)
    assert spread.standard_deviation == pytest.approx(sqrt(square - mean * mean))
    assert spread.all_kept == pytest.approx(sum(costs.values()))
    assert spread.all_dropped == pytest.approx(least)


@pytest.mark.parametrize(("p_last", "share"), [(1.0, "all_kept"), (0.0, "all_dropped")])
def test_is_nothing_left_to_chance_at_the_ends(p_last: float, share: str) -> None:
    """Survival 1 is constant depth, 0 leaves the shortcuts; neither varies."""
    spread = stochastic_depth(build("resnet_cifar", depth=56), rule="uniform", p_last=p_last).training_macs()
    assert spread.mean == pytest.approx(getattr(spread, share))
    assert spread.standard_deviation == 0


def test_how_many_macs_has_a_training_step() -> None:
    """Three times the inference's: outputs and both gradients; the image needs no gradient."""
    network = build("resnet_cifar", depth=110)
    macs = training_macs(network)
    assert macs["stem/conv1"] == 2 * network["stem/conv1"].macs
    assert macs["fc"] == 3 * network["fc"].macs
    assert sum(macs.values()) == 3 * network.totals["macs"] - network["stem/conv1"].macs
    spread = stochastic_depth(network).training_macs()
    assert spread.all_kept == sum(macs.values())
    # 25% less, as the paper's section 4 says of the time of ResNet-110 under linear decay to 0.5.
    assert spread.mean / spread.all_kept == pytest.approx(0.75, abs=0.01)


def test_is_a_network_without_residual_branches_refused() -> None:
    """The error names the network."""
    with pytest.raises(WorkloadError, match="network vgg: has no residual branch that could be dropped"):
        stochastic_depth(build("vgg"))


def test_are_wrong_rules_probabilities_and_costs_refused() -> None:
    """Each error says what was given and what is allowed."""
    network = build("resnet_cifar", depth=20)
    with pytest.raises(WorkloadError, match="survival rule must be 'linear' or 'uniform', got 'cosine'"):
        stochastic_depth(network, rule="cosine")  # type: ignore[arg-type]
    with pytest.raises(WorkloadError, match=r"survival probability must be from 0 to 1, got 1\.5"):
        stochastic_depth(network, rule="uniform", p_last=1.5)
    with pytest.raises(WorkloadError, match="has 9 residual branches, but 2 survival probabilities are given"):
        StochasticDepth(network=network, branches=residual_branches(network), survival=(0.5, 0.5))
    with pytest.raises(WorkloadError, match="has no layer 'stem/conv2'; did you mean 'stem/conv1'"):
        stochastic_depth(network).spread({"stem/conv2": 1.0})

"""Are VGG, the Inception families and the mobile families the published networks?

The golden counts and layer digests were taken from the reference implementations themselves: torchvision 0.28.0,
pytorchcv 0.0.74 (marked), SENet's Caffe prototxt (marked). ``googlenet`` is torchvision's model with what the paper
has in its place: 5x5 filters in the third branch, biases, no batch norm.
"""

from __future__ import annotations

from typing import Any

import pytest
from zoo_digest import Golden, check_counts, digest

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Kind, Op
from accelsim.workload.loader import load_network, network_facts, network_names
from accelsim.workload.network import Network
from accelsim.workload.zoo import build

GOLDEN = {
    "vgg11": Golden(9217728, 123633664, 11944, 0, 7609090048, "52c3da41942d1101"),
    "vgg11_bn": Golden(9217728, 123633664, 11944, 5504, 7609090048, "52c3da41942d1101"),
    "vgg13": Golden(9402048, 123633664, 12136, 0, 11308466176, "3baa77c4146191e2"),
    "vgg13_bn": Golden(9402048, 123633664, 12136, 5888, 11308466176, "3baa77c4146191e2"),
    "vgg16": Golden(14710464, 123633664, 13416, 0, 15470264320, "46217818330e59b1"),
    "vgg16_bn": Golden(14710464, 123633664, 13416, 8448, 15470264320, "46217818330e59b1"),
    "vgg19": Golden(20018880, 123633664, 14696, 0, 19632062464, "103ecbc0caa6762a"),
    "vgg19_bn": Golden(20018880, 123633664, 14696, 11008, 19632062464, "103ecbc0caa6762a"),
    "googlenet": Golden(5966272, 1024000, 8280, 0, 1582671872, "11d3d0d033b719d3"),
    "bn_inception": Golden(10240192, 1024000, 11016, 20032, 2032600064, "2f827caccad73354"),  # pytorchcv
    "inception_v3": Golden(21751136, 2048000, 1000, 34432, 5713216096, "3f19dd53df54553b"),
    "inception_resnet_v1": Golden(22514528, 1429504, 21992, 29600, 6308235360, "f348951aad257873"),  # pytorchcv
    "inception_resnet_v2": Golden(54200160, 1536000, 46760, 60544, 13155794016, "d2f8927642b8e324"),  # pytorchcv
    "shufflenet_g1": Golden(940248, 576000, 1000, 14688, 143078976, "4a0b233eebbee33c"),  # all of them pytorchcv
    "shufflenet_g2": Golden(912448, 800000, 1000, 20400, 140836512, "835038a4a26ceebd"),
    "shufflenet_g3": Golden(880248, 960000, 1000, 24480, 137460672, "dbecb6d4c5be0f81"),
    "shufflenet_g4": Golden(851600, 1088000, 1000, 27744, 134339776, "fdfe682e88958be5"),
    "shufflenet_g8": Golden(858600, 1536000, 1000, 39168, 138365952, "07b15d3143051cba"),
    "shufflenet_g1_0.75": Golden(531198, 432000, 1000, 11016, 82542672, "ce8d4700e6b61ed8"),
    "shufflenet_g3_0.75": Golden(498906, 720000, 1000, 18360, 79740144, "820d85602b561c33"),
    "shufflenet_g1_0.5": Golden(238140, 288000, 1000, 7344, 38517408, "fb973cfc1ad6426f"),
    "shufflenet_g3_0.5": Golden(225084, 480000, 1000, 12240, 37589856, "cd162b4a372be61a"),
    "shufflenet_g1_0.25": Golden(61074, 144000, 1000, 3672, 11003184, "107121da0a4f93a5"),
    "shufflenet_g3_0.25": Golden(58782, 240000, 1000, 6120, 11009808, "8e5b5e8d2aa74efa"),
    "shufflenet_v2_0.5": Golden(333840, 1024000, 1000, 7952, 40476448, "e0aac1f2ce3e5f17"),
    "shufflenet_v2": Golden(1237424, 1024000, 1000, 16180, 144907992, "e84b98f7dd221351"),
    "shufflenet_v2_1.5": Golden(2455184, 1024000, 1000, 23440, 295759392, "5afae81eb665018d"),
    "shufflenet_v2_2.0": Golden(5311280, 2048000, 1000, 33716, 583253464, "eabb1766b523953d"),
    "mobilenet_v2_0.35": Golden(382048, 1280000, 1000, 14080, 59285808, "75755c70f1918abc"),
    "mobilenet_v2_0.5": Golden(669136, 1280000, 1000, 18544, 97131840, "0fd1667a3df8d181"),
    "mobilenet_v2_0.75": Golden(1328784, 1280000, 1000, 26640, 209069792, "be54bc308210b721"),
    "mobilenet_v2": Golden(2189760, 1280000, 1000, 34112, 300774272, "7ece8348f89d2654"),
    "mobilenet_v2_1.3": Golden(3677536, 1664000, 1000, 44256, 509374560, "6e98b20a6ef8ac77"),
    "mobilenet_v2_1.4": Golden(4267840, 1792000, 1000, 47936, 582195824, "2ea44d3fae4179a8"),
    "efficientnet_b0": Golden(3956192, 1280000, 10340, 42016, 385814752, "eccf88680ed436b2"),
    "efficientnet_b1": Golden(6436976, 1280000, 15160, 62048, 686802832, "6eab52f8c3143dae"),
    "efficientnet_b2": Golden(7618016, 1408000, 16410, 67568, 993561872, "9f858108bdf436ab"),
    "efficientnet_b3": Golden(10588856, 1536000, 21080, 87296, 1827141392, "9754834b4b2c52a9"),
    "mnasnet_0.5": Golden(916888, 1280000, 1000, 20624, 104455968, "9dd5545a3a75d9a1"),
    "mnasnet_0.75": Golden(1859400, 1280000, 1000, 29808, 215493104, "6e715e937c1d1864"),
    "mnasnet": Golden(3064392, 1280000, 1000, 37920, 314415872, "c4608450c44f6bf3"),
    "mnasnet_1.3": Golden(4952440, 1280000, 1000, 48816, 526362432, "6d92c4f385facb6a"),
}

SE_BN_INCEPTION_GATES = (
    (256, 16), (320, 20), (576, 36), (576, 36), (576, 36), (608, 38), (608, 38), (1056, 66), (1024, 64), (1024, 64),
)  # fmt: skip
"""Channels of each module and of its gate: hujie-frank/SENet, models/SE-BN-Inception.prototxt."""


@pytest.mark.parametrize("name", GOLDEN)
def test_do_parameters_and_macs_equal_the_reference(name: str) -> None:
    """Convolution, linear, bias and batch-norm parameters and MACs are those of the reference, to the unit."""
    check_counts(load_network(name), GOLDEN[name])


@pytest.mark.parametrize("name", GOLDEN)
def test_is_every_layer_the_reference_s_in_its_order(name: str) -> None:
    """Shapes, kernels, strides, paddings, groups and biases follow each other as in the reference."""
    layers = load_network(name).array_layers
    for layer in layers:
        top, bottom, left, right = layer.padding
        assert (top, left) == (bottom, right), f"{layer.name}: the references pad symmetrically"
    assert digest(layers) == GOLDEN[name].digest


FAMILIES = {
    "vgg",
    "googlenet",
    "bn_inception",
    "inception_v3",
    "inception_resnet",
    "shufflenet",
    "shufflenet_v2",
    "mobilenet_v2",
    "efficientnet",
    "mnasnet",
}


@pytest.mark.parametrize("name", [name for name in network_names() if network_facts(name).family in FAMILIES])
def test_does_every_named_network_build_under_its_names_with_sources(name: str) -> None:
    """The file's name and aliases load one network, whose facts all have a source and a figure."""
    network = load_network(name)
    assert network.name == name
    for alias in network_facts(name).aliases:
        assert load_network(alias).name == name
    for fact in network.facts:
        assert fact.source
        assert any((fact.params_m, fact.macs_m, fact.top1_percent, fact.top5_percent))


def test_does_se_bn_inception_gate_every_module_as_released() -> None:
    """SE adds to the bias-free BN-Inception just the gates of the authors' definition."""
    plain, gated = build("bn_inception", conv_bias=False).totals, load_network("se_bn_inception").totals
    weights = sum(2 * channels * gate for channels, gate in SE_BN_INCEPTION_GATES)
    biases = sum(channels + gate for channels, gate in SE_BN_INCEPTION_GATES)
    assert gated["params_conv"] - plain["params_conv"] == weights
    assert gated["params_bias"] - plain["params_bias"] == biases
    assert gated["macs"] - plain["macs"] == weights
    assert plain["params_bias"] == 1000


@pytest.mark.parametrize(
    ("family", "params", "source"),
    [
        ("googlenet", 13_378_280, "Caffe bvlc_googlenet train_val.prototxt"),
        ("inception_v3", 27_161_264, "torchvision 0.28.0 Inception_V3_Weights num_params"),
    ],
)
def test_are_auxiliary_heads_complete_and_off_by_default(family: str, params: int, source: str) -> None:
    """With its auxiliary heads the network has the published parameters, without them one output."""
    assert build(family, auxiliary=True).totals["params"] == params, source
    assert len(build(family).outputs) == 1


def test_does_inception_resnet_v1_build_either_head() -> None:
    """Without the bottleneck the classifier reads the 1792 averages, as the paper draws it."""
    paper, released = (build("inception_resnet", version=1, bottleneck=width) for width in (0, 512))
    assert paper["fc"].C == 1792
    assert released["fc"].C == 512
    assert paper.totals["params_conv"] == released.totals["params_conv"]
    assert build("inception_resnet", version=1).totals == released.totals


def conv_macs(network: Network) -> int:
    """MACs of the convolutions alone."""
    return sum(layer.macs for layer in network if layer.op is Op.CONV)


@pytest.mark.parametrize(
    ("name", "published_m"),
    [
        ("vgg16", 15300),  # MobileNet arXiv:1704.04861; the others ShuffleNet arXiv:1707.01083, Table 1
        ("shufflenet_g1", 143),
        ("shufflenet_g2", 140),
        ("shufflenet_g3", 137),
        ("shufflenet_g4", 133),
        ("shufflenet_g8", 137),
    ],
)
def test_are_published_macs_those_of_the_convolutions(name: str, published_m: int) -> None:
    """These papers count convolutions only, to three digits."""
    macs_m = conv_macs(load_network(name)) / 1e6
    assert macs_m == pytest.approx(published_m, abs=50 if published_m > 1000 else 0.5)


@pytest.mark.parametrize(
    ("name", "key", "published_m", "unit"),
    [
        ("vgg16", "params", 138, 1),  # VGG arXiv:1409.1556, Table 2
        ("vgg19", "params", 144, 1),
        ("shufflenet_v2_0.5", "params", 1.4, 0.1),  # ShuffleNet v2 arXiv:1807.11164, Table 5
        ("shufflenet_v2", "params", 2.3, 0.1),
        ("shufflenet_v2_1.5", "params", 3.5, 0.1),
        ("shufflenet_v2_2.0", "params", 7.4, 0.1),
        ("mobilenet_v2", "macs", 300, 10),  # MobileNet v2 arXiv:1801.04381, Table 4
        ("efficientnet_b0", "params", 5.3, 0.1),  # EfficientNet arXiv:1905.11946, Table 2
        ("efficientnet_b0", "macs", 390, 10),
        ("efficientnet_b1", "params", 7.8, 0.1),
        ("efficientnet_b3", "macs", 1800, 100),
        ("bn_inception", "macs", 2030, 10),  # SENet arXiv:1709.01507, Table 2
        ("vgg16", "macs", 15470, 10),
    ],
)
def test_are_published_counts_reproduced_to_the_digits_printed(
    name: str, key: str, published_m: float, unit: float
) -> None:
    """The computed count rounds to the published one."""
    assert load_network(name).totals[key] / 1e6 == pytest.approx(published_m, abs=unit / 2)


@pytest.mark.parametrize("name", [*GOLDEN, "se_bn_inception"])
def test_does_every_batch_norm_fold_and_is_there_one_softmax_at_the_end(name: str) -> None:
    """No family here is pre-activation, and each ends in a single softmax."""
    network = load_network(name)
    norms = {layer.name for layer in network if layer.op is Op.BATCH_NORM}
    assert network.folded_batch_norms() == norms
    assert [network[output].op for output in network.outputs] == [Op.SOFTMAX]


def test_do_shufflenet_units_shuffle_between_their_grouped_convolutions() -> None:
    """All 16 units of a grouped ShuffleNet shuffle; with one group there is nothing to shuffle."""
    grouped, single = build("shufflenet", groups=3), build("shufflenet", groups=1)
    assert sum(layer.op is Op.CHANNEL_SHUFFLE for layer in grouped) == 16
    assert not any(layer.op is Op.CHANNEL_SHUFFLE for layer in single)
    assert {layer.G for layer in grouped if layer.kind is Kind.GROUPED} == {3}


def test_does_resolution_scale_macs_and_leave_parameters() -> None:
    """Half the resolution has a quarter of the convolution MACs and the same parameters."""
    full, half = build("mobilenet_v2", resolution=256), build("mobilenet_v2", resolution=128)
    assert conv_macs(full) == 4 * conv_macs(half)
    assert full.totals["params"] == half.totals["params"]


@pytest.mark.parametrize(
    ("family", "parameters", "message"),
    [
        ("vgg", {"depth": 17}, "family vgg: depth must be one of 11, 13, 16, 19, got 17"),
        ("shufflenet", {"groups": 5}, "family shufflenet: groups must be one of 1, 2, 3, 4, 8, got 5"),
        ("shufflenet", {"groups": 3, "width": 0.3}, "groups 3 do not divide"),
        ("shufflenet_v2", {"width": 0.7}, "width must be one of 0.5, 1.0, 1.5, 2.0, got 0.7"),
        ("mobilenet_v2", {"width": -1.0}, "family mobilenet_v2: width must be a positive number, got -1.0"),
        ("efficientnet", {"depth": 0}, "family efficientnet: depth must be a positive number, got 0"),
        ("inception_resnet", {"version": 3}, "version must be one of 1, 2, got 3"),
        ("inception_v3", {"resolution": 60}, "kernel spans 3 pixels, larger than its input"),
    ],
)
def test_is_a_parameter_that_the_family_does_not_have_refused(
    family: str, parameters: dict[str, Any], message: str
) -> None:
    """The error names the family or the layer, what is allowed and what was given."""
    with pytest.raises(WorkloadError, match=message):
        build(family, **parameters)

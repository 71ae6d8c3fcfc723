"""Are the residual and densely connected networks the published ones?

The golden counts and digests were taken by ``benchmarks/check_zoo.py --golden`` from the reference definitions
themselves: pytorchcv 0.0.74, and torchvision 0.28.0 where marked. Two kinds of them are changed first to what
was published: CIFAR ResNets have shortcuts without parameters, CIFAR DenseNets without compression keep all channels.
"""

from __future__ import annotations

from typing import Any

import pytest
from zoo_digest import Golden, check_counts, digest

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Layer, Op
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network
from accelsim.workload.zoo import build

GOLDEN = {
    "resnet18": Golden(11166912, 512000, 1000, 9600, 1814073344, "b0f1c543312f7537"),
    "resnet20_cifar": Golden(267696, 640, 10, 1376, 40551040, "b93be365d495d700"),
    "resnet32_cifar": Golden(461232, 640, 10, 2272, 68862592, "f1038851c788594a"),
    "resnet34": Golden(21267648, 512000, 1000, 17024, 3663761408, "50fa92d17f5068c1"),
    "resnet44_cifar": Golden(654768, 640, 10, 3168, 97174144, "dc283911c0c6c1f4"),
    "resnet50": Golden(23454912, 2048000, 1000, 53120, 3857973248, "b0c6563b1933bbf7"),
    "resnet50b": Golden(23454912, 2048000, 1000, 53120, 4089184256, "d24fd927eefb892d"),
    "resnet56_cifar": Golden(848304, 640, 10, 4064, 125485696, "220065dc4ce35ee1"),
    "resnet101": Golden(42394816, 2048000, 1000, 105344, 7570194432, "11a862aa19775576"),
    "resnet101b": Golden(42394816, 2048000, 1000, 105344, 7801405440, "e029f782b14c5ffc"),
    "resnet110_cifar": Golden(1719216, 640, 10, 8096, 252887680, "8bee77145e5c6c6d"),
    "resnet152": Golden(57992384, 2048000, 1000, 151424, 11282415616, "a4e71caa59a6cb17"),
    "resnet152b": Golden(57992384, 2048000, 1000, 151424, 11513626624, "7deb21f2cde3b2f2"),
    "resnet200": Golden(62448832, 2048000, 1000, 176000, 14776270848, "1be6ba5b2cf0696d"),
    "resnet1202_cifar": Golden(19330992, 640, 10, 89632, 2829238912, "0ff936c0dd2094c4"),
    "preresnet18": Golden(11166912, 512000, 1000, 7936, 1814073344, "bfaad6d3203de981"),
    "preresnet34": Golden(21267648, 512000, 1000, 15360, 3663761408, "8cb6a430f2be6494"),
    "preresnet50": Golden(23454912, 2048000, 1000, 45568, 3857973248, "36afcafae4fa4652"),
    "preresnet101": Golden(42394816, 2048000, 1000, 97792, 7570194432, "000b856fdb09af24"),
    "preresnet110_cifar": Golden(1721776, 640, 10, 8096, 253149824, "958fc12cd6c9519d"),
    "preresnet152": Golden(57992384, 2048000, 1000, 143872, 11282415616, "7d020bbbb2af4302"),
    "preresnet164_cifar": Golden(1676464, 2560, 10, 24224, 247646720, "26810b5f675f096d"),
    "preresnet200": Golden(62448832, 2048000, 1000, 168448, 14776270848, "bb903896148efd63"),
    "preresnet1001_cifar": Golden(10175920, 2560, 10, 149216, 1490995712, "d97e96fec1942a94"),
    "resnext50_1x64d": Golden(23454912, 2048000, 1000, 53120, 4089184256, "d24fd927eefb892d"),
    "resnext50_2x40d": Golden(23319104, 2048000, 1000, 56896, 4124508160, "75eb5a5d6c28ae86"),
    "resnext50_4x24d": Golden(23183296, 2048000, 1000, 60672, 4159832064, "51873f7a769de241"),
    "resnext50_8x14d": Golden(23489568, 2048000, 1000, 64448, 4267409408, "9c0d380e459b8eea"),
    "resnext50_32x4d": Golden(22911680, 2048000, 1000, 68224, 4230479872, "940d438d60b2f6f6"),
    "resnext50_64x4d": Golden(43045056, 2048000, 1000, 98432, 7981236224, "a75ffa31ca5b86b0"),
    "resnext101_1x64d": Golden(42394816, 2048000, 1000, 105344, 7801405440, "e029f782b14c5ffc"),
    "resnext101_2x40d": Golden(42293824, 2048000, 1000, 113472, 7843553280, "bc6b9944b4c2f36a"),
    "resnext101_4x24d": Golden(42192832, 2048000, 1000, 121600, 7885701120, "63c156d7c655f549"),
    "resnext101_8x14d": Golden(42925600, 2048000, 1000, 129728, 8076871680, "abae94d1dfed10d3"),
    "resnext101_32x4d": Golden(41990848, 2048000, 1000, 137856, 7969996800, "c94e4bdcca116f60"),
    "resnext101_32x8d": Golden(86539456, 2048000, 1000, 202880, 16414015488, "92ab3bf65bb1fd1d"),
    "resnext101_64x4d": Golden(81203392, 2048000, 1000, 202880, 15460270080, "34cad6d976ff8395"),
    "seresnet50": Golden(25969856, 2048000, 17048, 53120, 3860488192, "2343901f22472992"),
    "seresnet101": Golden(47137984, 2048000, 35544, 105344, 7574937600, "cecf8adc32bdd838"),
    "seresnet152": Golden(64570560, 2048000, 51864, 151424, 11288993792, "07d6172faf768df7"),
    "seresnext50_32x4d": Golden(25426624, 2048000, 17048, 68224, 4232994816, "8283a3caf07dbc87"),
    "seresnext101_32x4d": Golden(46734016, 2048000, 35544, 137856, 7974739968, "554e260065206fd0"),
    "senet154": Golden(112741568, 2048000, 51864, 247552, 20688363520, "1536ef05a6617589"),
    "densenet40_k12_cifar": Golden(997136, 4480, 10, 18096, 264812928, "10e0d7626e4b8831"),
    "densenet100_k12_bc_cifar": Golden(741744, 3420, 10, 23988, 287929692, "5a877c666e5a45c1"),
    "densenet100_k12_cifar": Golden(6850736, 11680, 10, 117216, 1769516448, "7a0926802fb7d1fc"),
    "densenet100_k24_cifar": Golden(26994608, 23200, 10, 231264, 6889347744, "84e09f2a282ef889"),
    "densenet121": Golden(6870208, 1024000, 1000, 83648, 2834161664, "958f290b698c66d2"),
    "densenet161": Golden(26252064, 2208000, 1000, 219936, 7727907072, "cfa189803839a809"),
    "densenet169": Golden(12326080, 1664000, 1000, 158400, 3359843328, "3e16f46a1d179fbd"),
    "densenet190_k40_bc_cifar": Golden(25345560, 21900, 10, 256960, 9301945740, "4b0f97ee9f4875bd"),
    "densenet201": Golden(17863872, 1920000, 1000, 229056, 4291365888, "fd389124b128dc2f"),
    "densenet232_k48": Golden(51467040, 3648000, 1000, 454944, 10119129600, "f1e62635042d00cc"),  # torchvision
    "densenet250_k24_bc_cifar": Golden(15049080, 17340, 10, 257976, 5418785724, "f2fcae4b5b9d26df"),
    "densenet264_k32": Golden(30250176, 2688000, 1000, 398528, 5751653376, "d8aeb844479ef643"),  # torchvision
    "densenet264_k48": Golden(68055840, 4032000, 1000, 597792, 12850693632, "fc6c14b8e6680905"),  # torchvision
}


@pytest.mark.parametrize("name", GOLDEN)
def test_do_parameters_and_macs_equal_the_reference(name: str) -> None:
    """Convolution, linear, bias and batch-norm parameters and MACs are those of the reference, to the unit."""
    check_counts(load_network(name), GOLDEN[name])


@pytest.mark.parametrize("name", GOLDEN)
def test_is_every_layer_the_reference_s_in_its_order(name: str) -> None:
    """Shapes, kernels, strides, paddings, groups and biases follow each other as in the reference."""
    assert digest(load_network(name).array_layers) == GOLDEN[name].digest


@pytest.mark.parametrize("name", GOLDEN)
def test_do_the_parameters_of_a_network_build_it_again(name: str) -> None:
    """What a network says that it was built from is complete."""
    network = load_network(name)
    again = build(network.family, name=name, **network.parameters)
    assert again.layers == network.layers
    assert again.inputs == network.inputs


def weighted_layers(network: Network) -> list[Layer]:
    """Layers that a network's depth counts: not those of shortcuts and gates."""
    return [layer for layer in network.array_layers if not layer.block.endswith(("/shortcut", "/se"))]


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        *((f"resnet{depth}", depth) for depth in (18, 34, 50, 101, 152, 200)),
        *((f"resnet{depth}_cifar", depth) for depth in (20, 32, 44, 56, 110, 1202)),
        *((f"preresnet{depth}", depth) for depth in (18, 34, 50, 101, 152, 200)),
        *((f"preresnet{depth}_cifar", depth) for depth in (110, 164, 1001)),
        ("resnext50_32x4d", 50),
        ("resnext101_64x4d", 101),
        ("seresnet152", 152),
        ("senet154", 154),
        *((f"densenet{depth}", depth) for depth in (121, 161, 169, 201)),
        ("densenet232_k48", 233),  # these two names are one short of their blocks
        ("densenet264", 265),
        ("densenet40_k12_cifar", 40),
        ("densenet190_k40_bc_cifar", 190),
    ],
)
def test_has_a_network_as_many_layers_as_its_name_says(name: str, depth: int) -> None:
    """Layers with weights along the network, without projections and gates, are its depth."""
    assert len(weighted_layers(load_network(name))) == depth


@pytest.mark.parametrize(
    ("name", "key", "published_m", "unit"),
    [
        ("resnet18", "macs", 1800, 100),  # ResNet arXiv:1512.03385, Table 1, 10^8
        ("resnet101", "macs", 7600, 100),
        ("resnet152", "macs", 11300, 100),
        ("resnet20_cifar", "params", 0.27, 0.01),  # Table 6
        ("resnet32_cifar", "params", 0.46, 0.01),
        ("resnet44_cifar", "params", 0.66, 0.01),
        ("resnet56_cifar", "params", 0.85, 0.01),
        ("resnet110_cifar", "params", 1.7, 0.1),
        ("resnet1202_cifar", "params", 19.4, 0.1),
        ("preresnet164_cifar", "params", 1.7, 0.1),  # Identity mappings arXiv:1603.05027, Table 4
        ("preresnet1001_cifar", "params_conv", 10.2, 0.1),  # 10.3 with batch norms
        ("resnext50_1x64d", "macs", 4100, 100),  # ResNeXt arXiv:1611.05431, Table 1
        ("resnext50_32x4d", "macs", 4200, 100),
        ("resnext50_32x4d", "params", 25.0, 0.1),
        ("resnet50", "macs", 3860, 10),  # SENet arXiv:1709.01507, Table 2
        ("densenet40_k12_cifar", "params", 1.0, 0.1),  # DenseNet arXiv:1608.06993, Table 2
        ("densenet100_k12_cifar", "params", 7.0, 0.1),
        ("densenet100_k24_cifar", "params", 27.2, 0.1),
        ("densenet100_k12_bc_cifar", "params", 0.8, 0.1),
        ("densenet250_k24_bc_cifar", "params", 15.3, 0.1),
        ("densenet190_k40_bc_cifar", "params", 25.6, 0.1),
        ("densenet161", "params", 29, 1),  # Memory-efficient DenseNets arXiv:1707.06990
        ("densenet264_k32", "params", 33, 1),
        ("densenet264_k48", "params", 73, 1),
        ("densenet232_k48", "params_weights", 55, 1),  # 55.6 with biases and batch norms
    ],
)
def test_are_published_counts_reproduced_to_the_digits_printed(
    name: str, key: str, published_m: float, unit: float
) -> None:
    """The computed count rounds to the published one."""
    totals = load_network(name).totals
    totals["params_weights"] = totals["params_conv"] + totals["params_linear"]
    assert totals[key] / 1e6 == pytest.approx(published_m, abs=unit / 2)


@pytest.mark.parametrize(("option", "projections"), [("A", 0), ("B", 3), ("C", 16)])
def test_where_does_a_resnet_project_its_shortcuts(option: str, projections: int) -> None:
    """Option A nowhere, B where the shape changes, C in all 16 units of ResNet-34 (arXiv:1512.03385, Table 3)."""
    network = build("resnet", depth=34, option=option)
    found = [layer for layer in network.array_layers if layer.block.endswith("/shortcut")]
    assert len(found) == projections
    assert sum(layer.op is Op.PAD_CHANNELS for layer in network) == (3 if option == "A" else 0)


@pytest.mark.parametrize("family", ["resnet", "preresnet", "se_resnet"])
def test_which_convolution_of_a_bottleneck_has_the_stride(family: str) -> None:
    """The first 1x1 as published, or the 3x3; parameters are the same, MACs are not."""
    early, late = (build(family, stride_in=where) for where in ("1x1", "3x3"))
    for network, kernel in ((early, 1), (late, 3)):
        strided = [layer for layer in weighted_layers(network) if layer.stride == (2, 2) and layer.block != "stem"]
        assert [layer.R for layer in strided] == [kernel] * 3
    assert early.totals["params"] == late.totals["params"]
    assert late.totals["macs"] - early.totals["macs"] == 231_211_008


@pytest.mark.parametrize(("cardinality", "base_width"), [(1, 64), (2, 40), (4, 24), (8, 14), (32, 4), (64, 4)])
def test_do_the_three_forms_of_a_resnext_block_cost_the_same(cardinality: int, base_width: int) -> None:
    """Figure 3 of arXiv:1611.05431: grouped, joined and summed paths have equal parameters of each kind and MACs."""
    parameters = {"blocks": [1, 2, 1, 1], "cardinality": cardinality, "base_width": base_width}
    forms = [build("resnext", form=form, **parameters) for form in ("grouped", "split_concat", "aggregated")]
    assert forms[0].totals == forms[1].totals == forms[2].totals
    paths = [layer for layer in forms[1] if layer.op is Op.CONV and layer.R == 3 and layer.block]
    assert len(paths) == 5 * cardinality
    sums = [layer for layer in forms[2] if layer.op is Op.ADD]
    assert len(sums) == (10 if cardinality > 1 else 5)


def test_what_does_squeeze_and_excitation_add_to_resnet_50() -> None:
    """2 / r times the sum of units times channels squared: 2.5M on 25M, 10%, and 4% without the last stage."""
    plain = build("resnet").totals
    every = build("se_resnet").totals
    without_last = build("se_resnet", se_stages=[1, 2, 3]).totals
    weights = sum(2 * units * channels**2 // 16 for units, channels in ((3, 256), (4, 512), (6, 1024), (3, 2048)))
    assert every["params_conv"] - plain["params_conv"] == weights
    assert every["macs"] - plain["macs"] == weights
    assert round(weights / 1e6, 1) == 2.5
    assert round(100 * (every["params"] - plain["params"]) / plain["params"]) == 10
    assert round(100 * (without_last["params"] - plain["params"]) / plain["params"]) == 4


def test_which_stages_of_an_se_network_are_gated() -> None:
    """One gate a unit in the stages asked for, none elsewhere, between the last batch norm and the addition."""
    network = build("se_resnext", se_stages=[2, 4])
    gates = [layer for layer in network if layer.op is Op.MUL]
    assert [layer.block.split("/")[0] for layer in gates] == ["stage2"] * 4 + ["stage4"] * 3
    for gate in gates:
        unit = gate.block.removesuffix("/se")
        assert network.inputs[gate.name][0] == f"{unit}/conv3/bn"
        assert network.inputs[f"{unit}/add1"][0] == gate.name


UNIT_OPS = {
    "original": "conv batch_norm activation conv batch_norm add activation",
    "bn_after_add": "conv batch_norm activation conv add batch_norm activation",
    "relu_before_add": "conv batch_norm activation conv batch_norm activation add",
    "relu_only": "activation conv batch_norm activation conv batch_norm add",
    "full_preactivation": "batch_norm activation conv batch_norm activation conv add",
}
"""Operations of one unit: Figure 4 of arXiv:1603.05027."""


@pytest.mark.parametrize("order", UNIT_OPS)
def test_in_which_order_does_a_unit_normalise_and_activate(order: str) -> None:
    """Figure 4 of arXiv:1603.05027, and equal parameters and MACs with option A, whichever the order."""
    network = build("preresnet_cifar", depth=20, activation_order=order, option="A")
    ops = [layer.op.value for layer in network if layer.block == "stage1/unit2"]
    assert " ".join(ops) == UNIT_OPS[order]
    reference = build("resnet_cifar", depth=20).totals
    assert network.totals == reference


@pytest.mark.parametrize(
    ("shortcut", "ops"),
    [
        ("identity", ""),
        ("constant_scale", "activation activation"),
        ("exclusive_gate", "conv activation activation mul mul"),
        ("shortcut_only_gate", "conv activation activation mul"),
        ("conv1x1", "conv batch_norm"),
        ("dropout", "dropout"),
    ],
)
def test_what_lies_on_the_shortcut(shortcut: str, ops: str) -> None:
    """Figure 2 of arXiv:1603.05027, in a unit that keeps its shape, on top of what its body has."""
    network = build("preresnet_cifar", depth=20, shortcut=shortcut, activation_order="original")
    plain = build("preresnet_cifar", depth=20, activation_order="original")
    ours, body = (
        [layer.op.value for layer in each if layer.block.startswith("stage1/unit2")] for each in (network, plain)
    )
    for op in body:
        ours.remove(op)
    assert sorted(ours) == sorted(ops.split())


def test_how_do_gates_scale_body_and_shortcut() -> None:
    """The exclusive gate scales the body by g and the shortcut by 1 - g, the other one the shortcut alone."""
    for shortcut in ("exclusive_gate", "shortcut_only_gate"):
        network = build("preresnet_cifar", depth=20, shortcut=shortcut, activation_order="original")
        unit = "stage1/unit2"
        body, skip = network.inputs[f"{unit}/add1"]
        scaled, factor = network.inputs[skip]
        assert (scaled, network[factor].detail) == ("stage1/unit1/activation2", "one_minus")
        if shortcut == "exclusive_gate":
            assert network.inputs[body][0] == f"{unit}/batch_norm2"
            assert network.inputs[factor] == (network.inputs[body][1],)
        else:
            assert body == f"{unit}/batch_norm2"


def test_where_do_the_first_and_last_pre_activated_units_activate() -> None:
    """The first one before its shortcut splits off, the last one after its addition (arXiv:1603.05027, appendix)."""
    network = build("preresnet_cifar", depth=20)
    assert network.inputs["stage1/unit1/add1"][1] == "stage1/unit1/activation1"
    assert network.inputs["stage1/unit2/add1"][1] == "stage1/unit1/add1"
    assert [layer.op for layer in network if layer.block == "post"] == [Op.BATCH_NORM, Op.ACTIVATION]
    assert network.inputs["post/batch_norm1"] == ("stage3/unit3/add1",)


def test_which_batch_norms_of_a_pre_activation_network_fold() -> None:
    """Those behind the convolutions inside a unit do; those behind an addition cannot."""
    network = build("preresnet_cifar", depth=20)
    folded = network.folded_batch_norms()
    for layer in network:
        if layer.op is Op.BATCH_NORM:
            assert (layer.name in folded) == (network[network.inputs[layer.name][0]].op is Op.CONV)
    assert 0 < len(folded) < sum(layer.op is Op.BATCH_NORM for layer in network)


def test_does_every_dense_layer_read_all_features_before_it() -> None:
    """Layer l reads k0 + k (l - 1) channels: the block's input and what each earlier layer made."""
    network = load_network("densenet121")
    for layer in range(2, 7):
        joined = network[f"block1/layer{layer}/concat1"]
        assert joined.output_shape.channels == 64 + 32 * (layer - 1)
        earlier = [f"block1/layer{before}/conv2" for before in range(1, layer)]
        assert network.inputs[joined.name] == ("stem/max_pool1", *earlier)
    assert network["block1/concat1"].output_shape.channels == 64 + 6 * 32


@pytest.mark.parametrize(
    ("bottleneck", "compression", "kernels", "stem", "kept"),
    [(False, 1.0, [3], 16, 160), (True, 1.0, [1, 3], 16, 88), (False, 0.5, [3], 16, 80), (True, 0.5, [1, 3], 24, 48)],
)
def test_what_do_bottleneck_and_compression_change(
    bottleneck: bool, compression: float, kernels: list[int], stem: int, kept: int
) -> None:
    """B puts a 1x1 to 4 k channels before each 3x3, C keeps a share of the channels in transitions."""
    network = build("densenet_cifar", depth=40, growth=12, bottleneck=bottleneck, compression=compression)
    layer = [layer for layer in network.array_layers if layer.block == "block1/layer2"]
    assert [conv.R for conv in layer] == kernels
    if bottleneck:
        assert layer[0].K == 48
    assert [network[name].K for name in ("stem/conv1", "transition1/conv1")] == [stem, kept]


@pytest.mark.parametrize(
    "family", ["resnet", "preresnet", "resnext", "se_resnet", "se_resnext", "senet154", "densenet"]
)
def test_does_resolution_change_macs_and_leave_parameters(family: str) -> None:
    """A quarter of the pixels has a quarter of the MACs in every convolution of the stem."""
    full, half = build(family, resolution=256), build(family, resolution=128)
    assert full.totals["params"] == half.totals["params"]
    assert full["stem/conv1"].macs == 4 * half["stem/conv1"].macs


@pytest.mark.parametrize(
    ("family", "parameters", "message"),
    [
        ("resnet", {"depth": 51}, "family resnet: depth must be one of 18, 34, 50, 101, 152, 200, got 51"),
        ("resnet", {"blocks": [3, 0]}, r"family resnet: blocks must be a list of positive integers, got \[3, 0\]"),
        ("resnet", {"stride_in": "5x5"}, "stride_in"),
        ("resnet_cifar", {"depth": 21}, r"family resnet_cifar: depth must be 6 n \+ 2 with 2 layers a unit, got 21"),
        ("preresnet_cifar", {"depth": 165}, r"depth must be 9 n \+ 2 with 3 layers a unit, got 165"),
        ("preresnet", {"shortcut_scale": 0.0}, "shortcut_scale must be a positive number, got 0.0"),
        ("preresnet", {"shortcut": "gate"}, "shortcut"),
        ("resnext", {"depth": 34}, "family resnext: depth must be one of 50, 101, 152, got 34"),
        ("resnext", {"cardinality": 0}, "family resnext: cardinality must be a positive number, got 0"),
        ("se_resnet", {"se_stages": [1, 5]}, r"se_stages must be stages of 1 to 4, got \[1, 5\]"),
        ("se_resnext", {"ratio": -1}, "ratio must be a positive number, got -1"),
        ("senet154", {"classes": 0}, "layer fc: K must be a positive integer, got 0"),
        ("densenet", {"compression": 1.5}, "family densenet: compression must be at most 1, got 1.5"),
        ("densenet", {"depth": 120}, "depth must be one of 121, 161, 169, 201, 232, 264, got 120"),
        ("densenet_cifar", {"depth": 41}, r"depth must be 3 n \+ 4 without bottlenecks, got 41"),
        ("densenet_cifar", {"depth": 43, "bottleneck": True}, r"depth must be 6 n \+ 4 with bottlenecks, got 43"),
        ("resnet", {"resolution": 0}, r"network resnet: input must be three positive integers, got \(3, 0, 0\)"),
    ],
)
def test_is_a_parameter_that_the_family_does_not_have_refused(
    family: str, parameters: dict[str, Any], message: str
) -> None:
    """The error names the family or the layer, what is allowed and what was given."""
    with pytest.raises(WorkloadError, match=message) as caught:
        build(family, **parameters)
    assert "\n" not in str(caught.value)

"""Does a PyTorch module become the layers that its ONNX file gives?"""

import sys

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import torch

from accelsim import from_torch
from accelsim.errors import WorkloadError
from accelsim.workload.imports.operations import Became
from accelsim.workload.layer import Op, Padding, Shape
from accelsim.workload.loader import load_network
from accelsim.workload.pytorch import import_torch
from accelsim.workload.weights import measure_torch

nn = torch.nn


class Block(nn.Module):
    """A residual block with a gate, in the ways that models write them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, (3, 5), stride=2, padding="valid", bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        """Run."""
        x = nn.functional.relu6(self.norm(self.conv(x)))
        x = x + nn.functional.silu(self.deep(x))
        x = torch.cat([x * self.gate(x), x], 1)
        first, second = x.chunk(2, 1)
        x = self.up(first * 2 - second).mean((2, 3))
        return self.head(x.flatten(1)).softmax(-1)


class Attention(nn.Module):
    """Attention with a mask, by PyTorch's own function."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 16, bias=False)
        self.position = nn.Parameter(torch.ones(1, 5, 16))
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        """Run."""
        x = self.norm(x + self.position)
        q, k, v = self.qkv(x).reshape(1, 5, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        x = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(x.transpose(1, 2).reshape(1, 5, 16))


class Strange(nn.Module):
    """An operator that nobody knows."""

    def forward(self, x):
        """Run."""
        return torch.special.bessel_j0(torch.relu(x))


def macs_by_pytorch(module, *shape) -> int:
    """Return what PyTorch's own counter says."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module.eval()(torch.zeros(1, *shape))
    return counter.get_total_flops() // 2


def test_a_module_becomes_its_layers():
    """Every operation, its shape and its block, and all parameters."""
    module = Block()
    imported = import_torch(module, (3, 17, 19))
    network = imported.network
    assert network.input_shape == Shape(3, 17, 19)
    assert network.totals["params"] == sum(parameter.numel() for parameter in module.parameters())
    array = [(layer.name, layer.G, layer.K, layer.C, layer.P, layer.Q) for layer in network.array_layers]
    assert array[:3] == [("conv", 1, 8, 3, 8, 8), ("deep", 8, 1, 1, 8, 8), ("gate/1", 1, 8, 8, 1, 1)]
    assert array[-1] == ("head", 1, 10, 4, 1, 1)
    assert [layer.op for layer in network][-1] is Op.SOFTMAX
    assert network["gate/sigmoid1"].block == "gate"
    assert not imported.unknown
    assert all(record.became is not Became.UNKNOWN for record in imported.records)


def test_same_padding_is_resolved():
    """PyTorch's ``same`` puts the odd pixel after the image."""
    (layer,) = from_torch(nn.Sequential(nn.Conv2d(3, 4, 4, padding="same")), (3, 8, 8))
    assert (layer.padding, layer.output_shape) == (Padding(1, 2, 1, 2), Shape(4, 8, 8))


def test_macs_are_those_of_pytorchs_counter():
    """Convolutions, transposed ones, linear layers, and both products of attention."""
    block = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2, 2), nn.Flatten(), nn.Linear(400, 7)
    )
    assert from_torch(block, (3, 10, 10)).totals["macs"] == macs_by_pytorch(block, 3, 10, 10)
    attention = Attention()
    network = from_torch(attention, (5, 16))
    assert network.totals["macs"] == macs_by_pytorch(attention, 5, 16)
    assert network.totals["params"] == sum(parameter.numel() for parameter in attention.parameters())


@pytest.mark.parametrize(("make", "shape"), [(Block, (3, 17, 19)), (Attention, (5, 16))])
def test_the_onnx_file_gives_the_same_table(tmp_path, make, shape):
    """Names, shapes, parameters and edges of every layer, data movement included."""
    pytest.importorskip("onnx", reason="the onnx extra is not installed")
    from accelsim.workload.onnx import import_onnx

    torch.manual_seed(1)
    module, path = make().eval(), tmp_path / "net.onnx"
    options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False, "opset_version": 17}
    with torch.no_grad():
        torch.onnx.export(module, (torch.zeros(1, *shape),), str(path), dynamo=False, **options)
    ours, theirs = import_torch(module, shape, name="net").network, import_onnx(path).network
    assert [(layer, ours.inputs[layer.name]) for layer in ours] == [
        (layer, theirs.inputs[layer.name]) for layer in theirs
    ]


def test_unknown_operators_are_listed_and_refused_when_strict():
    """As for ONNX files."""
    imported = import_torch(Strange(), (3, 4, 4))
    assert imported.unknown == {"special_bessel_j0": 1}
    with pytest.raises(WorkloadError, match=r"special_bessel_j0.*unknown operator"):
        import_torch(Strange(), (3, 4, 4), strict=True)


def test_a_module_on_no_device_needs_no_memory():
    """On the ``meta`` device a module has shapes only, and that is enough."""
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(10**5, 10**5))
    assert from_torch(module, (10**5,)).totals["macs"] == 10**10
    assert measure_torch(module, import_torch(module, (10**5,))) == {}


def test_the_module_is_left_as_it_was():
    """Training parts train on, the others do not."""
    module = Block()
    module.gate.eval()
    from_torch(module, (3, 17, 19))
    assert module.training
    assert not module.gate.training


def test_what_cannot_be_followed_is_said_in_one_line():
    """Control flow that depends on values, a wrong shape, and no module at all."""

    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    for module, shape in ((Branch(), (3, 4, 4)), (nn.Linear(3, 4), (5,))):
        with pytest.raises(WorkloadError, match=r"torch.export cannot follow the module") as refused:
            from_torch(module, shape)
        assert "\n" not in str(refused.value)
    with pytest.raises(WorkloadError, match=r"expected a torch.nn.Module, got str"):
        from_torch("resnet18", (3, 224, 224))


def test_density_is_that_of_the_weights():
    """Zeros in a layer's weights, counted."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    with torch.no_grad():
        module[0].weight[:, 0] = 0
    measured = measure_torch(module, import_torch(module, (3, 8, 8)))
    assert measured["0"].density == pytest.approx(2 / 3)
    assert measured["0"].bits == 32


def test_a_factory_is_a_network_wherever_a_name_is(tmp_path, monkeypatch, caplog):
    """`package.module:factory`, from the working folder, which says that it runs code; faults are one sentence."""
    (tmp_path / "my_models.py").write_text(
        "import torch\n"
        "def net():\n    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))\n"
        "def broken():\n    raise ValueError('no\\nway')\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    network = load_network("my_models:net", input_shape=(3, 10, 10))
    assert (network.name, network.totals["macs"]) == ("net", 64 * 108)
    assert "runs its code" in caplog.text
    for spec, expected in {
        "my_models:nothing": "has no attribute 'nothing'",
        "my_models:broken": "fails with ValueError: no",
        "my_models:number": "fails with TypeError",
        "no_such_package:net": "cannot be imported",
    }.items():
        with pytest.raises(WorkloadError, match=expected):
            load_network(spec)

"""Which public model definition each named network is compared with, and what has to be changed in it first.

A reference is a constructor of torchvision, pytorchcv or timm. Where the definition departs from the publication that
a name stands for, ``adapt`` names the change that is made to it here; it uses the library's own layers. Networks of
which no library has a definition are in ``CITED``, with exact parameters from elsewhere where there are any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from accelsim.workload.zoo.resnext import DEPTHS

Module = Any
"""A ``torch.nn.Module``; torch is imported only when a reference is built."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A public definition of a network.

    Attributes:
        library: ``torchvision``, ``pytorchcv`` or ``timm``.
        what: The constructor, as a person would write it.
        make: Builds the model.
        adapt: What is changed in it, and why; empty if nothing is.
    """

    library: str
    what: str
    make: Callable[[], Module]
    adapt: str = ""

    @property
    def installed(self) -> bool:
        """Whether the library can be imported here."""
        return find_spec("torch") is not None and find_spec(self.library) is not None


@dataclass(frozen=True, kw_only=True)
class Cited:
    """What is known of a network without a definition in a library.

    Attributes:
        source: Where the count is from, or why there is none.
        params: Exact number of parameters.
        macs: Exact number of MACs.
        digest: Digest of the sequence of layers.
    """

    source: str
    params: int | None = None
    macs: int | None = None
    digest: str | None = None

    @property
    def counts(self) -> tuple[int | None, int | None, str | None]:
        """What is known, in the order parameters, MACs, digest."""
        return self.params, self.macs, self.digest


def import_library(name: str) -> Any:
    """Import a library; torchvision's wheel is made for another build of torch, whose operators it then lacks."""
    if not _OPERATORS:
        import torch  # noqa: PLC0415

        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, operator):
                library.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _OPERATORS.append(library)
    return import_module(name)


_OPERATORS: list[Any] = []
"""The library that declares them: the declarations would go with it. timm imports torchvision too."""


def tv(constructor: str, **arguments: Any) -> Reference:
    """Return a model of torchvision."""

    def make() -> Module:
        return getattr(import_library("torchvision").models, constructor)(weights=None, **arguments)

    return Reference(library="torchvision", what=_call(f"models.{constructor}", arguments), make=make)


def tv_class(constructor: str, what: str, *positional: Any, **arguments: Any) -> Reference:
    """Return a model of torchvision built by its class (``module.Class``), with arguments of one's own."""

    def make() -> Module:
        import_library("torchvision")
        module, name = constructor.split(".")
        models = import_module(f"torchvision.models.{module}")
        resolved = [getattr(models, value) if isinstance(value, str) else value for value in positional]
        return getattr(models, name)(*resolved, **arguments)

    return Reference(library="torchvision", what=what, make=make)


def pcv(constructor: str, **arguments: Any) -> Reference:
    """Return a model of pytorchcv by its registered name, pooling globally at the end."""

    def make() -> Module:
        model = import_library("pytorchcv.model_provider").get_model(constructor, **arguments)
        return _pool_globally(model)

    return Reference(library="pytorchcv", what=_call(constructor, arguments), make=make)


def timm(constructor: str, **arguments: Any) -> Reference:
    """Return a model of timm by its registered name."""

    def make() -> Module:
        return import_library("timm").create_model(constructor, pretrained=False, **arguments)

    return Reference(library="timm", what=_call(constructor, arguments), make=make)


def adapted(reference: Reference, change: Callable[[Module], Module], why: str) -> Reference:
    """Return a reference that is changed after it is built."""
    return Reference(library=reference.library, what=reference.what, make=lambda: change(reference.make()), adapt=why)


def _call(name: str, arguments: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value}' for key, value in arguments.items())})"


def _pool_globally(model: Module) -> Module:
    """Replace a last pool of fixed size, so that the model takes any resolution."""
    import torch  # noqa: PLC0415

    for part in (getattr(model, "features", None), getattr(model, "output", None)):
        if hasattr(part, "final_pool"):
            part.final_pool = torch.nn.AdaptiveAvgPool2d(1)
    return model


# --- changes ------------------------------------------------------------------------------------


def zero_padded_shortcuts(model: Module) -> Module:
    """Replace the projections of a CIFAR ResNet by a stride and zero channels."""
    import torch  # noqa: PLC0415

    class ZeroPadded(torch.nn.Module):
        def __init__(self, extra: int, stride: int) -> None:
            super().__init__()
            self.extra, self.stride = extra, stride

        def forward(self, x: Any) -> Any:
            return torch.nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))

    for unit in model.modules():
        if getattr(unit, "resize_identity", False):
            conv = unit.identity_conv.conv
            unit.identity_conv = ZeroPadded(conv.out_channels - conv.in_channels, conv.stride[0])
    return model


def dense_without_compression(layers: int, growth: int) -> Reference:
    """Return a CIFAR DenseNet of pytorchcv's layers whose transitions keep all channels."""

    def make() -> Module:
        import torch  # noqa: PLC0415

        parts = import_library("pytorchcv.models.densenet_cifar")
        channels, stages = 16, [torch.nn.Conv2d(3, 16, 3, padding=1, bias=False)]
        for block in range(3):
            if block:
                stages.append(parts.TransitionBlock(channels, channels))
            for _ in range(layers):
                stages.append(parts.DenseSimpleUnit(channels, channels + growth, dropout_rate=0.0))
                channels += growth
        head = [parts.PreResActivation(channels), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
        return torch.nn.Sequential(*stages, *head, torch.nn.Linear(channels, 10))

    return Reference(
        library="pytorchcv",
        what=f"DenseSimpleUnit, TransitionBlock x {layers} x 3",
        make=make,
        adapt="16 channels in the first convolution, transitions keep all channels, as published",
    )


def published_googlenet(model: Module) -> Module:
    """Give torchvision's GoogLeNet the 5x5 filters and biases of the paper, and take its batch norms."""
    import torch  # noqa: PLC0415

    for module in model.modules():
        if type(module).__name__ == "Inception":
            conv = module.branch3[1].conv
            module.branch3[1].conv = torch.nn.Conv2d(conv.in_channels, conv.out_channels, 5, padding=2, bias=False)
    for module in model.modules():
        if type(module).__name__ == "BasicConv2d":
            module.conv.bias = torch.nn.Parameter(torch.empty(module.conv.out_channels))
            module.bn = torch.nn.Identity()
    return model


def gated_inception(model: Module) -> Module:
    """Take BN-Inception's convolution biases and put a squeeze-and-excitation gate after each module."""
    import torch  # noqa: PLC0415

    gate = import_library("pytorchcv.models.common.att").SEBlock
    widths = {id(unit): 0 for unit in model.modules()}
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.bias = None
    with torch.no_grad():
        hooks = [
            unit.register_forward_hook(lambda unit, _, out: widths.update({id(unit): out.shape[1]}))
            for stage in list(model.features)[1:-1]
            for unit in stage
        ]
        model.eval()(torch.zeros(1, 3, 224, 224))
    for hook in hooks:
        hook.remove()
    for stage in list(model.features)[1:-1]:
        for name, unit in list(stage.named_children()):
            stage.add_module(name, torch.nn.Sequential(unit, gate(channels=widths[id(unit)])))
    return model


def standard_convolutions(model: Module) -> Module:
    """Replace each depthwise separable convolution of MobileNet by a 3x3."""
    conv3x3_block = import_library("pytorchcv.models.common.conv").conv3x3_block
    for stage in model.features:
        for name, unit in list(stage.named_children()):
            if hasattr(unit, "dw_conv"):
                depthwise, pointwise = unit.dw_conv.conv, unit.pw_conv.conv
                plain = conv3x3_block(
                    in_channels=depthwise.in_channels, out_channels=pointwise.out_channels, stride=depthwise.stride
                )
                stage.add_module(name, plain)
    return model


def without_five_units(model: Module) -> Module:
    """Remove the five equal 14x14x512 blocks of MobileNet."""
    for unit in range(2, 7):
        delattr(model.features.stage4, f"unit{unit}")
    return model


# --- the families -------------------------------------------------------------------------------


def _residual() -> dict[str, list[Reference]]:
    table: dict[str, list[Reference]] = {}
    for depth in (18, 34, 50, 101, 152, 200):
        table[f"resnet{depth}"] = [pcv(f"resnet{depth}")]
        table[f"preresnet{depth}"] = [pcv(f"preresnet{depth}")]
    for depth in (18, 34):
        table[f"resnet{depth}"].append(tv(f"resnet{depth}"))
    for depth in (50, 101, 152):
        table[f"resnet{depth}b"] = [pcv(f"resnet{depth}b"), tv(f"resnet{depth}"), timm(f"resnet{depth}")]
        table[f"seresnet{depth}"] = [pcv(f"seresnet{depth}")]
    why = "shortcuts without parameters (option A), as published"
    for depth in (20, 32, 44, 56, 110, 1202):
        base = _pcv_cifar_resnet(depth) if depth in (32, 44) else pcv(f"resnet{depth}_cifar10")
        table[f"resnet{depth}_cifar"] = [adapted(base, zero_padded_shortcuts, why)]
    for depth, name in ((110, "110"), (164, "164bn"), (1001, "1001")):
        table[f"preresnet{depth}_cifar"] = [pcv(f"preresnet{name}_cifar10")]
    return table


def _pcv_cifar_resnet(depth: int) -> Reference:
    def make() -> Module:
        get = import_library("pytorchcv.models.resnet_cifar").get_resnet_cifar
        return _pool_globally(get(num_classes=10, blocks=depth, bottleneck=False))

    return Reference(library="pytorchcv", what=f"get_resnet_cifar(blocks={depth})", make=make)


def _resnext() -> dict[str, list[Reference]]:
    table: dict[str, list[Reference]] = {}
    for depth in (50, 101):
        for cardinality, width in ((1, 64), (2, 40), (4, 24), (8, 14), (32, 4), (64, 4), (32, 8)):
            name = f"resnext{depth}_{cardinality}x{width}d"
            what = f"ResNet(Bottleneck, {DEPTHS[depth]}, groups={cardinality}, width_per_group={width})"
            arguments = {"groups": cardinality, "width_per_group": width}
            own = tv_class("resnet.ResNet", what, "Bottleneck", DEPTHS[depth], **arguments)
            table[name] = [_pcv_resnext(depth, cardinality, width), own]
    del table["resnext50_32x8d"]
    table["resnext50_32x4d"] += [tv("resnext50_32x4d"), timm("resnext50_32x4d")]
    table["resnext101_32x4d"] += [timm("resnext101_32x4d")]
    table["resnext101_64x4d"] += [tv("resnext101_64x4d"), timm("resnext101_64x4d")]
    table["resnext101_32x8d"] += [tv("resnext101_32x8d"), timm("resnext101_32x8d")]
    return table


def _pcv_resnext(depth: int, cardinality: int, width: int) -> Reference:
    def make() -> Module:
        get = import_library("pytorchcv.models.resnext").get_resnext
        return _pool_globally(get(blocks=depth, cardinality=cardinality, bottleneck_width=width))

    what = f"get_resnext(blocks={depth}, cardinality={cardinality}, bottleneck_width={width})"
    return Reference(library="pytorchcv", what=what, make=make)


def _senet() -> dict[str, list[Reference]]:
    return {
        "seresnet50": [timm("legacy_seresnet50")],
        "seresnet101": [timm("legacy_seresnet101")],
        "seresnet152": [timm("legacy_seresnet152")],
        "seresnext50_32x4d": [pcv("seresnext50_32x4d"), timm("legacy_seresnext50_32x4d")],
        "seresnext101_32x4d": [pcv("seresnext101_32x4d"), timm("legacy_seresnext101_32x4d")],
        "senet154": [pcv("senet154"), timm("legacy_senet154")],
    }


def _densenet() -> dict[str, list[Reference]]:
    table = {
        f"densenet{depth}": [pcv(f"densenet{depth}"), tv(f"densenet{depth}"), timm(f"densenet{depth}")]
        for depth in (121, 161, 169, 201)
    }
    for name, growth, blocks in (
        ("densenet264_k32", 32, (6, 12, 64, 48)),
        ("densenet264_k48", 48, (6, 12, 64, 48)),
        ("densenet232_k48", 48, (6, 12, 48, 48)),
    ):
        arguments = {"growth_rate": growth, "block_config": blocks, "num_init_features": 2 * growth}
        table[name] = [tv_class("densenet.DenseNet", _call("DenseNet", arguments), **arguments)]
    for layers, growth in ((12, 12), (32, 12), (32, 24)):
        table[f"densenet{3 * layers + 4}_k{growth}_cifar"] = [dense_without_compression(layers, growth)]
    for depth, growth in ((100, 12), (190, 40), (250, 24)):
        table[f"densenet{depth}_k{growth}_bc_cifar"] = [pcv(f"densenet{depth}_k{growth}_bc_cifar10")]
    return table


def _inception_and_vgg() -> dict[str, list[Reference]]:
    table = {name: [tv(name)] for depth in (11, 13, 16, 19) for name in (f"vgg{depth}", f"vgg{depth}_bn")}
    plain = tv("googlenet", aux_logits=False, init_weights=False)
    table["googlenet"] = [adapted(plain, published_googlenet, "5x5 filters, biases, no batch norm, as published")]
    table["bn_inception"] = [pcv("bninception")]
    why = "no convolution biases, a gate after each module, as SENet's SE-BN-Inception.prototxt"
    table["se_bn_inception"] = [adapted(pcv("bninception"), gated_inception, why)]
    table["inception_v3"] = [tv("inception_v3", aux_logits=False, init_weights=False), timm("inception_v3")]
    table["inception_resnet_v1"] = [pcv("inceptionresnetv1")]
    table["inception_resnet_v2"] = [pcv("inceptionresnetv2"), timm("inception_resnet_v2")]
    return table


def _mobile() -> dict[str, list[Reference]]:
    table: dict[str, list[Reference]] = {}
    scales = {"": "w1", "_0.75": "w3d4", "_0.5": "wd2", "_0.25": "wd4"}
    for width, (suffix, scale) in zip((1.0, 0.75, 0.5, 0.25), scales.items(), strict=True):
        for size in ("", "_192", "_160", "_128"):
            table[f"mobilenet{suffix}{size}"] = [pcv(f"mobilenet_{scale}")]
        for groups in (1, 2, 3, 4, 8) if width == 1 else (1, 3):
            table[f"shufflenet_g{groups}{suffix}"] = [pcv(f"shufflenet_g{groups}_{scale}")]
    plain = pcv("mobilenet_w1")
    table["mobilenet_full_conv"] = [adapted(plain, standard_convolutions, "a 3x3 for each separable convolution")]
    table["mobilenet_shallow"] = [adapted(plain, without_five_units, "five 14x14x512 blocks removed, as published")]
    for suffix, width in (("", 1.0), ("_0.35", 0.35), ("_0.5", 0.5), ("_0.75", 0.75), ("_1.3", 1.3), ("_1.4", 1.4)):
        table[f"mobilenet_v2{suffix}"] = [tv("mobilenet_v2", width_mult=width)]
    for size in (96, 128, 160, 192):
        table[f"mobilenet_v2_{size}"] = [tv("mobilenet_v2")]
    for suffix, name in (("", "1_0"), ("_0.5", "0_5"), ("_0.75", "0_75"), ("_1.3", "1_3")):
        table[f"mnasnet{suffix}"] = [tv(f"mnasnet{name}")]
    for variant in range(4):
        table[f"efficientnet_b{variant}"] = [tv(f"efficientnet_b{variant}"), timm(f"efficientnet_b{variant}")]
    for suffix, name in (("", "1_0"), ("_0.5", "0_5"), ("_1.5", "1_5"), ("_2.0", "2_0")):
        table[f"shufflenet_v2{suffix}"] = [tv(f"shufflenet_v2_x{name}")]
    return table


def _squeezenet() -> dict[str, list[Reference]]:
    return {
        "squeezenet_v1.0": [tv("squeezenet1_0"), pcv("squeezenet_v1_0")],
        "squeezenet_v1.1": [tv("squeezenet1_1"), pcv("squeezenet_v1_1")],
        "squeezenet_simple_bypass": [pcv("squeezeresnet_v1_0")],
        "tiny_darknet": [pcv("darknet_tiny")],
    }


def _merged(*tables: dict[str, list[Reference]]) -> dict[str, list[Reference]]:
    merged: dict[str, list[Reference]] = {}
    for table in tables:
        for name, references in table.items():
            merged.setdefault(name, []).extend(references)
    return merged


REFERENCES = _merged(_residual(), _resnext(), _senet(), _densenet(), _inception_and_vgg(), _mobile(), _squeezenet())
"""Network -> the definitions that it must equal."""

_CAFFE = "the authors' Caffe definition, amirgholami/SqueezeNext"
_PAPER = "the paper's figures 6 and 8 only; libraries have another network of this name"
_UNPUBLISHED = "the paper names it and prints parameters to two digits, not its units"

CITED: dict[str, Cited] = {
    "alexnet": Cited(source="Caffe bvlc_alexnet; libraries have other networks of this name", params=60_965_224),
    "squeezenet_complex_bypass": Cited(source="arXiv:1602.07360, Table 3 prints 7.7 MB only"),
    "squeezenext23": Cited(source=_CAFFE, params=717_280),
    "squeezenext23v5": Cited(source=_CAFFE, params=930_016, macs=224_916_480, digest="ff34d6c104f961d9"),
    "squeezenext23_w2.0": Cited(source=_CAFFE, params=2_361_728),
    "squeezenext23v5_w2.0": Cited(source=_CAFFE, params=3_222_912),
    "g_squeezenext23": Cited(source=_CAFFE, params=543_072),
    **dict.fromkeys(
        ("squeezenext23v2", "squeezenext23v3", "squeezenext23v4", "squeezenext23v4_w2.0"), Cited(source=_PAPER)
    ),
    **dict.fromkeys(
        (
            "squeezenext23_w1.5",
            *(f"squeezenext{depth}{width}" for depth in (34, 44) for width in ("", "_w1.5", "_w2.0")),
        ),
        Cited(source=_UNPUBLISHED),
    ),
}
"""Network -> what is known of it where no library defines it."""

"""Squeeze-and-excitation networks (arXiv:1709.01507): SE-ResNet, SE-ResNeXt and SENet-154."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from accelsim.errors import WorkloadError
from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier, require_choice, require_positive, se_block
from accelsim.workload.zoo.residual import (
    EXPANSION,
    FIRST_BOTTLENECK_DEPTH,
    STAGE_WIDTH,
    UNITS,
    Unit,
    basic_body,
    bottleneck_body,
    imagenet_stem,
    shortcut,
    stage_units,
    stages,
)
from accelsim.workload.zoo.resnet import StrideIn
from accelsim.workload.zoo.resnext import DEPTHS, grouped_body, path_width

Body = Callable[[NetworkBuilder, Tensor, int, int], Tensor]

ALL_STAGES = (1, 2, 3, 4)

SENET154_UNITS = {154: (3, 8, 36, 3)}


def se_resnet(
    *,
    depth: int = 50,
    blocks: Sequence[int] | None = None,
    stride_in: StrideIn = "1x1",
    ratio: int = 16,
    se_stages: Sequence[int] = ALL_STAGES,
    resolution: int = 224,
    classes: int = 1000,
    name: str = "se_resnet",
) -> Network:
    """SE-ResNet for ImageNet (arXiv:1709.01507, Table 1); the gates' convolutions have biases.

    Args:
        depth: Layers with weights of the ResNet: 18, 34, 50, 101, 152 or 200.
        blocks: Residual units of every stage, in place of those of ``depth``.
        stride_in: Which convolution of a bottleneck has the stride: the first ``"1x1"`` as published, or ``"3x3"``.
        ratio: Reduction r of the channels inside a gate.
        se_stages: Stages whose units are gated, counted from 1; without the last, most of the gates'
            parameters are saved at little loss (section 6 of the paper).
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    units = stage_units("se_resnet", depth, blocks, UNITS)
    require_choice("se_resnet", "stride_in", stride_in, ("1x1", "3x3"))
    _require_gates("se_resnet", ratio, se_stages, len(units))
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="se_resnet",
        parameters={
            "depth": depth,
            "blocks": list(units),
            "stride_in": stride_in,
            "ratio": ratio,
            "se_stages": list(se_stages),
            "resolution": resolution,
            "classes": classes,
        },
    )
    bottleneck = depth >= FIRST_BOTTLENECK_DEPTH
    body: Body = partial(bottleneck_body, stride_in=stride_in) if bottleneck else basic_body
    channels = STAGE_WIDTH * (EXPANSION if bottleneck else 1)
    x = stages(b, imagenet_stem(b), units, channels, _units(len(units), body, ratio, se_stages))
    classifier(b, x, classes)
    return b.build()


def se_resnext(
    *,
    depth: int = 50,
    blocks: Sequence[int] | None = None,
    cardinality: int = 32,
    base_width: int = 4,
    ratio: int = 16,
    se_stages: Sequence[int] = ALL_STAGES,
    resolution: int = 224,
    classes: int = 1000,
    name: str = "se_resnext",
) -> Network:
    """SE-ResNeXt for ImageNet (arXiv:1709.01507, Table 1), with the stride in the 3x3.

    Args:
        depth: Layers with weights of the ResNeXt: 50, 101 or 152.
        blocks: Residual units of every stage, in place of those of ``depth``.
        cardinality: Groups of the 3x3 convolutions.
        base_width: Channels of a group in the first stage; they double from stage to stage.
        ratio: Reduction r of the channels inside a gate.
        se_stages: Stages whose units are gated, counted from 1.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    units = stage_units("se_resnext", depth, blocks, DEPTHS)
    require_positive("se_resnext", cardinality=cardinality, base_width=base_width)
    _require_gates("se_resnext", ratio, se_stages, len(units))
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="se_resnext",
        parameters={
            "depth": depth,
            "blocks": list(units),
            "cardinality": cardinality,
            "base_width": base_width,
            "ratio": ratio,
            "se_stages": list(se_stages),
            "resolution": resolution,
            "classes": classes,
        },
    )
    body = partial(grouped_body, cardinality=cardinality, base_width=base_width)
    x = stages(b, imagenet_stem(b), units, EXPANSION * STAGE_WIDTH, _units(len(units), body, ratio, se_stages))
    classifier(b, x, classes)
    return b.build()


def senet154(
    *,
    blocks: Sequence[int] | None = None,
    cardinality: int = 64,
    base_width: int = 4,
    ratio: int = 16,
    se_stages: Sequence[int] = ALL_STAGES,
    resolution: int = 224,
    classes: int = 1000,
    name: str = "senet154",
) -> Network:
    """SENet-154 (arXiv:1709.01507, appendix): an SE-ResNeXt-152 64x4d with what the paper changes.

    Three 3x3 convolutions in place of the 7x7; half the channels in the first 1x1 of a bottleneck; a 3x3
    with stride 2 in place of a 1x1 as projection between stages; dropout before the classifier.

    Args:
        blocks: Residual units of every stage; default: 3, 8, 36, 3.
        cardinality: Groups of the 3x3 convolutions.
        base_width: Channels of a group in the first stage; they double from stage to stage.
        ratio: Reduction r of the channels inside a gate.
        se_stages: Stages whose units are gated, counted from 1.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    units = stage_units("senet154", 154, blocks, SENET154_UNITS)
    require_positive("senet154", cardinality=cardinality, base_width=base_width)
    _require_gates("senet154", ratio, se_stages, len(units))
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="senet154",
        parameters={
            "blocks": list(units),
            "cardinality": cardinality,
            "base_width": base_width,
            "ratio": ratio,
            "se_stages": list(se_stages),
            "resolution": resolution,
            "classes": classes,
        },
    )
    with b.scope("stem"):
        x = b.conv_bn(b.input, STAGE_WIDTH, 3, stride=2, padding=1)
        x = b.conv_bn(x, STAGE_WIDTH, 3, padding=1)
        x = b.conv_bn(x, 2 * STAGE_WIDTH, 3, padding=1)
        x = b.max_pool(x, 3, stride=2, padding=1)
    body = partial(_senet154_body, cardinality=cardinality, base_width=base_width)
    x = stages(b, x, units, EXPANSION * STAGE_WIDTH, _units(len(units), body, ratio, se_stages, shortcut_kernel=3))
    classifier(b, x, classes, dropout=True)
    return b.build()


def _senet154_body(
    b: NetworkBuilder, x: Tensor, channels: int, stride: int, *, cardinality: int, base_width: int
) -> Tensor:
    width = cardinality * path_width(channels, base_width)
    x = b.conv_bn(x, width // 2)
    x = b.conv_bn(x, width, 3, stride=stride, padding=1, groups=cardinality)
    return b.conv_bn(x, channels, act=None)


def _units(stage_count: int, body: Body, ratio: int, se_stages: Sequence[int], shortcut_kernel: int = 1) -> list[Unit]:
    """Return what adds a unit in each stage; the projection of the first stage is always a 1x1."""
    return [
        partial(
            _unit,
            body=body,
            ratio=ratio if stage in se_stages else 0,
            shortcut_kernel=shortcut_kernel if stage > 1 else 1,
        )
        for stage in range(1, stage_count + 1)
    ]


def _unit(
    b: NetworkBuilder, x: Tensor, channels: int, stride: int, *, body: Body, ratio: int, shortcut_kernel: int
) -> Tensor:
    identity = shortcut(b, x, channels, stride, kernel=shortcut_kernel)
    y = body(b, x, channels, stride)
    if ratio:
        y = se_block(b, y, ratio)
    return b.relu(b.add(y, identity))


def _require_gates(family: str, ratio: int, se_stages: Sequence[int], stage_count: int) -> None:
    require_positive(family, ratio=ratio)
    if any(stage not in range(1, stage_count + 1) for stage in se_stages):
        raise WorkloadError(f"family {family}: se_stages must be stages of 1 to {stage_count}, got {list(se_stages)}")

"""ResNet (arXiv:1512.03385), for ImageNet and for CIFAR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier, require_choice
from accelsim.workload.zoo.residual import (
    CIFAR_WIDTH,
    EXPANSION,
    FIRST_BOTTLENECK_DEPTH,
    STAGE_WIDTH,
    UNITS,
    Unit,
    basic_body,
    bottleneck_body,
    cifar_units,
    imagenet_stem,
    shortcut,
    stage_units,
    stages,
)

StrideIn = Literal["1x1", "3x3"]
Option = Literal["A", "B", "C"]


def resnet(
    *,
    depth: int = 50,
    blocks: Sequence[int] | None = None,
    bottleneck: bool | None = None,
    stride_in: StrideIn = "1x1",
    option: Option = "B",
    resolution: int = 224,
    classes: int = 1000,
    name: str = "resnet",
) -> Network:
    """ResNet for ImageNet (arXiv:1512.03385, Table 1).

    Args:
        depth: Layers with weights: 18, 34, 50, 101, 152 or 200.
        blocks: Residual units of every stage, in place of those of ``depth``.
        bottleneck: Whether a unit is 1x1, 3x3, 1x1 (and not two 3x3); default: from depth 50 on.
        stride_in: Which convolution of a bottleneck has the stride: the first ``"1x1"`` as published, or
            the ``"3x3"`` as in torchvision (3,857,973,248 and 4,089,184,256 MACs at depth 50).
        option: Shortcut where the shape changes: ``"A"`` zero channels, ``"B"`` projection, or ``"C"``
            projection in every unit (Table 3).
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    units = stage_units("resnet", depth, blocks, UNITS)
    require_choice("resnet", "stride_in", stride_in, ("1x1", "3x3"))
    require_choice("resnet", "option", option, ("A", "B", "C"))
    if bottleneck is None:
        bottleneck = depth >= FIRST_BOTTLENECK_DEPTH
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="resnet",
        parameters={
            "depth": depth,
            "blocks": list(units),
            "bottleneck": bottleneck,
            "stride_in": stride_in,
            "option": option,
            "resolution": resolution,
            "classes": classes,
        },
    )
    channels = STAGE_WIDTH * (EXPANSION if bottleneck else 1)
    x = stages(b, imagenet_stem(b), units, channels, _unit(bottleneck, stride_in, option))
    classifier(b, x, classes)
    return b.build()


def resnet_cifar(
    *,
    depth: int = 20,
    option: Option = "A",
    bottleneck: bool = False,
    resolution: int = 32,
    classes: int = 10,
    name: str = "resnet_cifar",
) -> Network:
    """ResNet for CIFAR (arXiv:1512.03385, section 4.2).

    Args:
        depth: Layers with weights: 6 n + 2 for n units a stage (20, 32, 44, 56, 110, 1202), or 9 n + 2 with
            bottlenecks.
        option: Shortcut where the shape changes: ``"A"`` zero channels as published, ``"B"`` projection, or
            ``"C"`` projection in every unit.
        bottleneck: Whether a unit is 1x1, 3x3 with the stride, 1x1 (and not two 3x3).
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    units = cifar_units("resnet_cifar", depth, 3 if bottleneck else 2)
    require_choice("resnet_cifar", "option", option, ("A", "B", "C"))
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="resnet_cifar",
        parameters={
            "depth": depth,
            "option": option,
            "bottleneck": bottleneck,
            "resolution": resolution,
            "classes": classes,
        },
    )
    with b.scope("stem"):
        x = b.conv_bn(b.input, CIFAR_WIDTH, 3, padding=1)
    channels = CIFAR_WIDTH * (EXPANSION if bottleneck else 1)
    x = stages(b, x, units, channels, _unit(bottleneck, "3x3", option))
    classifier(b, x, classes)
    return b.build()


def _unit(bottleneck: bool, stride_in: str, option: str) -> Unit:
    """Return what adds one unit: body and shortcut, their sum, and a ReLU."""

    def unit(b: NetworkBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
        identity = shortcut(b, x, channels, stride, option)
        if bottleneck:
            y = bottleneck_body(b, x, channels, stride, stride_in=stride_in)
        else:
            y = basic_body(b, x, channels, stride)
        return b.relu(b.add(y, identity))

    return unit

"""ResNeXt (arXiv:1611.05431), in the three equivalent forms of its block."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier, require_choice, require_positive
from accelsim.workload.zoo.residual import (
    EXPANSION,
    STAGE_WIDTH,
    UNITS,
    bottleneck_body,
    imagenet_stem,
    shortcut,
    stage_units,
    stages,
)

Form = Literal["grouped", "split_concat", "aggregated"]

DEPTHS = {depth: UNITS[depth] for depth in (50, 101, 152)}


def resnext(
    *,
    depth: int = 50,
    blocks: Sequence[int] | None = None,
    cardinality: int = 32,
    base_width: int = 4,
    form: Form = "grouped",
    resolution: int = 224,
    classes: int = 1000,
    name: str = "resnext",
) -> Network:
    """ResNeXt for ImageNet (arXiv:1611.05431, Table 1), with the stride in the 3x3.

    Args:
        depth: Layers with weights: 50, 101 or 152.
        blocks: Residual units of every stage, in place of those of ``depth``.
        cardinality: Number C of paths of a block.
        base_width: Channels d of a path in the first stage; they double from stage to stage.
        form: How a block is written (Figure 3), at equal parameters and MACs: (c) a ``"grouped"`` convolution,
            (b) paths that are joined before the last 1x1 (``"split_concat"``), or (a) paths with a last
            1x1 each that are summed (``"aggregated"``).
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    units = stage_units("resnext", depth, blocks, DEPTHS)
    require_positive("resnext", cardinality=cardinality, base_width=base_width)
    require_choice("resnext", "form", form, ("grouped", "split_concat", "aggregated"))
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="resnext",
        parameters={
            "depth": depth,
            "blocks": list(units),
            "cardinality": cardinality,
            "base_width": base_width,
            "form": form,
            "resolution": resolution,
            "classes": classes,
        },
    )
    body = grouped_body if form == "grouped" else partial(_split_body, form=form)

    def unit(b: NetworkBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
        identity = shortcut(b, x, channels, stride)
        y = body(b, x, channels, stride, cardinality=cardinality, base_width=base_width)
        return b.relu(b.add(y, identity))

    classifier(b, stages(b, imagenet_stem(b), units, EXPANSION * STAGE_WIDTH, unit), classes)
    return b.build()


def grouped_body(
    b: NetworkBuilder, x: Tensor, channels: int, stride: int, *, cardinality: int, base_width: int
) -> Tensor:
    """Bottleneck whose 3x3 is a convolution of ``cardinality`` groups."""
    width = cardinality * path_width(channels, base_width)
    return bottleneck_body(b, x, channels, stride, stride_in="3x3", width=width, groups=cardinality)


def path_width(channels: int, base_width: int) -> int:
    """Return the channels of one path in a stage of ``channels`` output channels."""
    return base_width * channels // (EXPANSION * STAGE_WIDTH)


def _split_body(
    b: NetworkBuilder, x: Tensor, channels: int, stride: int, *, cardinality: int, base_width: int, form: str
) -> Tensor:
    """Bottleneck written as paths of their own, joined before or summed after the last 1x1."""
    width = path_width(channels, base_width)
    paths = []
    for path in range(cardinality):
        with b.scope(f"path{path + 1}"):
            y = b.conv_bn(b.conv_bn(x, width), width, 3, stride=stride, padding=1)
            paths.append(b.conv(y, channels) if form == "aggregated" else y)
    if form == "split_concat":
        return b.conv_bn(b.concat(*paths), channels, act=None)
    return b.batch_norm(b.add(*paths) if cardinality > 1 else paths[0])

"""What ResNet and its descendants share: stems, bodies of a residual unit, shortcuts and stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from accelsim.errors import WorkloadError
from accelsim.workload.network import NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import require_choice

UNITS: dict[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
"""Depth of an ImageNet network -> residual units of each stage (arXiv:1512.03385, Table 1; 200: arXiv:1603.05027)."""

FIRST_BOTTLENECK_DEPTH = 50
"""From this depth on a unit is 1x1, 3x3, 1x1; below, two 3x3."""

STAGE_WIDTH = 64
"""Channels of the 3x3 convolutions of the first ImageNet stage; they double from stage to stage."""

CIFAR_WIDTH = 16
"""Channels of the 3x3 convolutions of the first of the three CIFAR stages."""

EXPANSION = 4
"""Output channels of a bottleneck unit over those of its 3x3 convolution."""

Unit = Callable[[NetworkBuilder, Tensor, int, int], Tensor]
"""Adds one residual unit: (builder, input, output channels, stride) -> output."""


def stage_units(
    family: str, depth: int, blocks: Sequence[int] | None, table: Mapping[int, tuple[int, ...]]
) -> tuple[int, ...]:
    """Return the units of every stage: ``blocks`` if given, or what ``table`` has for ``depth``.

    Raises:
        WorkloadError: No such depth, or blocks that are not positive integers.
    """
    if blocks is None:
        require_choice(family, "depth", depth, table)
        return table[depth]
    if not blocks or min(blocks) < 1:
        raise WorkloadError(f"family {family}: blocks must be a list of positive integers, got {list(blocks)}")
    return tuple(blocks)


def cifar_units(family: str, depth: int, layers_per_unit: int) -> tuple[int, int, int]:
    """Return the units of the three CIFAR stages: a stem, a classifier and 3 n units make ``depth`` layers.

    Raises:
        WorkloadError: No whole number of units gives this depth.
    """
    step = 3 * layers_per_unit
    if depth < step + 2 or (depth - 2) % step:
        raise WorkloadError(
            f"family {family}: depth must be {step} n + 2 with {layers_per_unit} layers a unit, got {depth}"
        )
    return ((depth - 2) // step,) * 3


def imagenet_stem(b: NetworkBuilder) -> Tensor:
    """7x7 convolution with stride 2, batch norm, ReLU, 3x3 max pool with stride 2."""
    with b.scope("stem"):
        x = b.conv_bn(b.input, STAGE_WIDTH, 7, stride=2, padding=3)
        return b.max_pool(x, 3, stride=2, padding=1)


def stages(
    b: NetworkBuilder, x: Tensor, units: Sequence[int], channels: int | Sequence[int], unit: Unit | Sequence[Unit]
) -> Tensor:
    """Add every stage; the first unit of each but the first has stride 2.

    Args:
        b: The builder.
        x: Output of the stem.
        units: Residual units of every stage.
        channels: Output channels of the first stage, doubling from stage to stage; or of every stage.
        unit: What adds a unit; or one of them for every stage.

    Returns:
        The output of the last unit.
    """
    for stage, count in enumerate(units):
        width = channels << stage if isinstance(channels, int) else channels[stage]
        add_unit = unit if callable(unit) else unit[stage]
        with b.scope(f"stage{stage + 1}"):
            for index in range(count):
                with b.scope(f"unit{index + 1}"):
                    x = add_unit(b, x, width, 2 if stage and not index else 1)
    return x


def basic_body(b: NetworkBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
    """Two 3x3 convolutions with batch norm, without the last ReLU."""
    x = b.conv_bn(x, channels, 3, stride=stride, padding=1)
    return b.conv_bn(x, channels, 3, padding=1, act=None)


def bottleneck_body(
    b: NetworkBuilder, x: Tensor, channels: int, stride: int, *, stride_in: str, width: int = 0, groups: int = 1
) -> Tensor:
    """1x1, 3x3 and 1x1 convolutions with batch norm, without the last ReLU.

    Args:
        b: The builder, in the scope of the unit.
        x: Input.
        channels: Output channels.
        stride: Stride of the unit.
        stride_in: Which convolution takes it: the first ``"1x1"``, or the ``"3x3"``.
        width: Channels of the 3x3 convolution; 0 for a quarter of the output channels.
        groups: Groups of the 3x3 convolution.

    Returns:
        The output, to be added to the shortcut.
    """
    width = width or channels // EXPANSION
    x = b.conv_bn(x, width, stride=stride if stride_in == "1x1" else 1)
    x = b.conv_bn(x, width, 3, stride=stride if stride_in == "3x3" else 1, padding=1, groups=groups)
    return b.conv_bn(x, channels, act=None)


def shortcut(b: NetworkBuilder, x: Tensor, channels: int, stride: int, option: str = "B", kernel: int = 1) -> Tensor:
    """Bring a unit's input to the shape of its output (arXiv:1512.03385, section 4.1).

    Args:
        b: The builder, in the scope of the unit.
        x: Input of the unit.
        channels: Output channels of the unit.
        stride: Stride of the unit.
        option: ``"A"`` takes every stride-th pixel and pads with zero channels, ``"B"`` projects with a
            convolution where the shape changes, ``"C"`` projects in every unit.
        kernel: Size of the projecting convolution.

    Returns:
        What is added to the body's output.
    """
    if option != "C" and stride == 1 and x.channels == channels:
        return x
    with b.scope("shortcut"):
        if option == "A":
            return b.pad_channels(x, channels, stride=stride)
        return b.conv_bn(x, channels, kernel, stride=stride, padding=kernel // 2, act=None)

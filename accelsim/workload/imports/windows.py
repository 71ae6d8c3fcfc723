"""Sliding windows as models state them: kernels, strides, four-sided padding, output sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from accelsim.workload.imports.translation import Node

MAX_STEP = 1 << 16
"""Largest kernel, stride, dilation or padding that is believed."""


class WindowSpec(NamedTuple):
    """A window over height and width; a row of pixels is a map of height 1.

    Attributes:
        kernel: Taps.
        stride: Step.
        dilation: Distance of taps.
        padding: Top, bottom, left, right.
        made: Output sizes along the model's own axes.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]
    made: tuple[int, ...]

    @property
    def details(self) -> dict[str, Any]:
        """The details of a convolution's step."""
        return {
            "kernel": self.kernel,
            "stride": self.stride,
            "dilation": self.dilation,
            "padding": self.padding,
        }


def spatial(node: Node, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of a map along its spatial axes.

    Raises:
        WorkloadError: It has not one or two of them.
    """
    if len(shape) not in (3, 4):
        raise node.wrong(f"reads a tensor of {len(shape)} axes; one- and two-dimensional windows are supported")
    return tuple(shape[2:])


def per_axis(node: Node, what: str, value: Any, count: int, default: int, least: int = 1) -> list[int]:
    """Return one number for each spatial axis.

    Raises:
        WorkloadError: There are more or fewer, or one is too small.
    """
    numbers = [default] * count if value is None else [int(number) for number in value]
    if len(numbers) != count or min(numbers) < least or max(numbers) > MAX_STEP:
        raise node.wrong(f"{what} {numbers[:8]} of a window with {count} axes; each {least} to {MAX_STEP}")
    return numbers


def window(
    node: Node,
    sizes: Sequence[int],
    kernel: Sequence[int],
    *,
    stride: Any = None,
    dilation: Any = None,
    pads: Any = None,
    auto_pad: str = "NOTSET",
    ceil_mode: bool = False,
) -> WindowSpec:
    """Return a convolution's or pool's window, its padding resolved and its output size computed.

    Args:
        node: For messages.
        sizes: Input sizes along the spatial axes.
        kernel: Taps along them.
        stride: Steps; default 1.
        dilation: Distances of taps; default 1.
        pads: As ONNX lists them: all befores, then all afters; default 0.
        auto_pad: ONNX's NOTSET, VALID, SAME_UPPER or SAME_LOWER.
        ceil_mode: Whether the output size is rounded up; no window starts in the padding after the image.

    Raises:
        WorkloadError: A number is out of range, or the kernel is larger than the padded input.
    """
    count = len(sizes)
    taps = per_axis(node, "kernel", kernel, count, 1)
    steps = per_axis(node, "stride", stride, count, 1)
    gaps = per_axis(node, "dilation", dilation, count, 1)
    listed = per_axis(node, "padding", pads, 2 * count, 0, least=0)
    sides = list(zip(listed[:count], listed[count:], strict=True))
    made = []
    for axis in range(count):
        extent = (taps[axis] - 1) * gaps[axis] + 1
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            outputs = -(-sizes[axis] // steps[axis])
            total = max(0, (outputs - 1) * steps[axis] + extent - sizes[axis])
            small, large = total // 2, total - total // 2
            sides[axis] = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
        elif auto_pad == "VALID":
            sides[axis] = (0, 0)
        elif auto_pad not in ("NOTSET", ""):
            raise node.wrong(f"auto_pad {auto_pad!r} is not NOTSET, VALID, SAME_UPPER or SAME_LOWER")
        room = sizes[axis] + sum(sides[axis]) - extent
        if room < 0:
            raise node.wrong(
                f"kernel spans {extent} pixels, larger than its input of {sizes[axis]} with padding "
                f"{sides[axis][0]}+{sides[axis][1]}"
            )
        outputs = room // steps[axis] + 1
        if ceil_mode and room % steps[axis]:
            outputs += outputs * steps[axis] < sizes[axis] + sides[axis][0]
        made.append(outputs)
    return _flat(taps, steps, gaps, sides, made)


def transposed_window(
    node: Node,
    sizes: Sequence[int],
    kernel: Sequence[int],
    *,
    stride: Any = None,
    dilation: Any = None,
    pads: Any = None,
    output_padding: Any = None,
    output_shape: Any = None,
    auto_pad: str = "NOTSET",
) -> WindowSpec:
    """Return a transposed convolution's window; arguments as of ``window``, and ONNX's for the output's size.

    Raises:
        WorkloadError: A number is out of range, or nothing is left of the output.
    """
    count = len(sizes)
    taps = per_axis(node, "kernel", kernel, count, 1)
    steps = per_axis(node, "stride", stride, count, 1)
    gaps = per_axis(node, "dilation", dilation, count, 1)
    extra = per_axis(node, "output padding", output_padding, count, 0, least=0)
    listed = per_axis(node, "padding", pads, 2 * count, 0, least=0)
    sides = list(zip(listed[:count], listed[count:], strict=True))
    whole = [(sizes[a] - 1) * steps[a] + (taps[a] - 1) * gaps[a] + 1 + extra[a] for a in range(count)]
    if output_shape is None and auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        output_shape = [sizes[axis] * steps[axis] for axis in range(count)]
    if output_shape is not None:
        made = per_axis(node, "output shape", list(output_shape)[-count:], count, 1)
        for axis in range(count):
            total = max(0, whole[axis] - made[axis])
            small, large = total // 2, total - total // 2
            sides[axis] = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
    else:
        made = [whole[axis] - sum(sides[axis]) for axis in range(count)]
    if min(made) < 1:
        raise node.wrong(f"its output would have {min(made)} pixels along an axis")
    return _flat(taps, steps, gaps, sides, made)


def check_groups(node: Node, groups: int, channels: int, per_group: int, made: int) -> None:
    """Refuse weights that do not fit the channels.

    Raises:
        WorkloadError: They do not.
    """
    if groups < 1 or per_group * groups != channels:
        raise node.wrong(f"reads {channels} channels, its weights are for {groups} groups of {per_group}")
    if made % groups:
        raise node.wrong(f"{groups} groups do not divide {made} output channels")


def _flat(
    taps: Sequence[int],
    steps: Sequence[int],
    gaps: Sequence[int],
    sides: Sequence[tuple[int, int]],
    made: Sequence[int],
) -> WindowSpec:
    """Return the window over height and width; a one-dimensional one lies along the width."""
    one = len(taps) == 1
    edges = [(0, 0), *sides] if one else list(sides)
    return WindowSpec(
        kernel=(1, taps[0]) if one else (taps[0], taps[1]),
        stride=(1, steps[0]) if one else (steps[0], steps[1]),
        dilation=(1, gaps[0]) if one else (gaps[0], gaps[1]),
        padding=(*edges[0], *edges[1]),
        made=tuple(made),
    )

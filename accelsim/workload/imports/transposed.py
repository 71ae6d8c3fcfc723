"""A transposed convolution as the ordinary convolutions that it consists of.

Output pixel o of a transposed convolution with stride s, dilation d and padding p sums input pixel i times tap r over
all i and r with o = s i - p + d r. For the outputs of one phase, those with (o + p) mod s = f, only the taps with
d r mod s = f count, and with o + p = s m + f they read i = m - (d r - f) / s: an ordinary convolution of stride 1 with
these taps, flipped. No multiplication by an inserted zero is left: over all phases every tap meets every pixel once,
up to the borders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any, NamedTuple


class Phase(NamedTuple):
    """A convolution of stride 1 that makes the outputs of one phase along both axes.

    Attributes:
        kernel: Taps.
        padding: Top, bottom, left, right.
        dilation: Distance of taps.
        crop: Input height and width that it reads at most; less than the input where padding cuts pixels off.
    """

    kernel: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    crop: tuple[int, int]


class _AxisPhase(NamedTuple):
    taps: int
    before: int
    after: int
    dilation: int
    crop: int


def phases(details: Mapping[str, Any], size: tuple[int, int], made: tuple[int, int]) -> Iterator[tuple[str, Phase]]:
    """Yield the phases that compute anything, each with a label.

    Args:
        details: kernel, stride, dilation, padding (top, bottom, left, right) of the transposed convolution.
        size: Input height and width.
        made: Output height and width.
    """
    axes = [
        _axis(
            details["kernel"][axis],
            details["stride"][axis],
            details["dilation"][axis],
            details["padding"][2 * axis],
            size[axis],
            made[axis],
        )
        for axis in range(2)
    ]
    for row, vertical in axes[0].items():
        for col, horizontal in axes[1].items():
            phase = Phase(
                kernel=(vertical.taps, horizontal.taps),
                padding=(vertical.before, vertical.after, horizontal.before, horizontal.after),
                dilation=(vertical.dilation, horizontal.dilation),
                crop=(vertical.crop, horizontal.crop),
            )
            yield f"{row}_{col}", phase


def _axis(kernel: int, stride: int, dilation: int, pad: int, size: int, made: int) -> dict[int, _AxisPhase]:
    """Return the phases along one axis that have outputs, taps and pixels."""
    found = {}
    common = gcd(dilation, stride)
    step = dilation // common
    for phase in range(0, stride, common):  # a phase that no multiple of the dilation meets has no tap
        first = next((tap for tap in range(min(kernel, stride)) if (tap * dilation - phase) % stride == 0), None)
        start = (phase - pad) % stride
        if first is None or start >= made:
            continue
        taps = (kernel - 1 - first) // (stride // common) + 1
        outputs = (made - 1 - start) // stride + 1
        low = (first * dilation - phase) // stride
        high = low + (taps - 1) * step
        moment = (start + pad) // stride
        before, after = high - moment, moment + outputs - 1 - low - (size - 1)
        crop = size + min(before, 0) + min(after, 0)
        if crop > 0:
            found[phase] = _AxisPhase(taps, max(before, 0), max(after, 0), step, crop)
    return found

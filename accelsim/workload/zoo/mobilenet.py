"""MobileNet v1 (arXiv:1704.04861) with its multipliers, full-convolution and shallow forms."""

from __future__ import annotations

from math import isfinite

from accelsim.errors import WorkloadError
from accelsim.workload.network import Network, NetworkBuilder

UNITS: tuple[tuple[int, int], ...] = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
"""Output channels at width 1 and stride of each depthwise separable unit. The last stride is 1: the paper's
table says 2, which its own 7x7 output size rules out."""

STEM_CHANNELS = 32


def mobilenet(
    *,
    width: float = 1.0,
    resolution: int = 224,
    full_conv: bool = False,
    shallow: bool = False,
    classes: int = 1000,
    name: str = "mobilenet",
) -> Network:
    """Build a MobileNet v1.

    Args:
        width: Multiplier of the channels of every layer.
        resolution: Height and width of the image, in pixels.
        full_conv: One standard 3x3 convolution in place of each depthwise and pointwise pair.
        shallow: Leave out the five 512-channel units of stride 1.
        classes: Number of classes.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter is out of range.
    """
    if not (width > 0 and isfinite(width)):
        raise WorkloadError(f"mobilenet: width must be a positive number, got {width}")
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="mobilenet",
        parameters={
            "width": width,
            "resolution": resolution,
            "full_conv": full_conv,
            "shallow": shallow,
            "classes": classes,
        },
    )
    x = b.conv_bn(b.input, _scaled(STEM_CHANNELS, width), 3, stride=2, padding=1, name="conv1")
    units = [unit for unit in UNITS if not (shallow and unit == (512, 1))]
    for number, (base, stride) in enumerate(units, start=1):
        channels = _scaled(base, width)
        block = f"unit{number}"
        with b.scope(block):
            if full_conv:
                x = b.conv_bn(x, channels, 3, stride=stride, padding=1, name=f"{block}/conv")
                continue
            x = b.conv_bn(x, x.channels, 3, stride=stride, padding=1, groups=x.channels, name=f"{block}/dw")
            x = b.conv_bn(x, channels, name=f"{block}/pw")
    x = b.global_avg_pool(x, name="pool")
    x = b.linear(x, classes, bias=True, name="fc")
    b.softmax(x, name="softmax")
    return b.build()


def _scaled(base: int, width: float) -> int:
    """Return ``base`` channels at ``width``, never fewer than one."""
    return max(1, round(base * width))

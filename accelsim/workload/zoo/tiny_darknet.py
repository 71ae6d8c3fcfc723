"""Tiny Darknet (pjreddie.com/darknet/tiny-darknet), as its Darknet configuration file has it."""

from __future__ import annotations

from accelsim.workload.network import Network, NetworkBuilder

SECTIONS: tuple[tuple[tuple[int, int], ...], ...] = (
    ((16, 3),),
    ((32, 3),),
    ((16, 1), (128, 3), (16, 1), (128, 3)),
    ((32, 1), (256, 3), (32, 1), (256, 3)),
    ((64, 1), (512, 3), (64, 1), (512, 3), (128, 1)),
)
"""Output channels and kernel of each convolution; a 2x2 max pool lies between two sections."""


def tiny_darknet(*, classes: int = 1000, resolution: int = 224, name: str = "tiny_darknet") -> Network:
    """Build Tiny Darknet.

    Args:
        classes: Number of classes.
        resolution: Height and width of the image, in pixels.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter is out of range.
    """
    parameters = {"classes": classes, "resolution": resolution}
    b = NetworkBuilder(name, (3, resolution, resolution), family="tiny_darknet", parameters=parameters)
    x = b.input
    number = 0
    for section, convolutions in enumerate(SECTIONS, start=1):
        if section > 1:
            x = b.max_pool(x, 2, stride=2, name=f"pool{section - 1}")
        with b.scope(f"section{section}"):
            for channels, kernel in convolutions:
                number += 1
                x = b.conv_bn(x, channels, kernel, padding=kernel // 2, act="leaky_relu", name=f"conv{number}")
    x = b.conv(x, classes, bias=True, name=f"conv{number + 1}")
    x = b.global_avg_pool(x, name="avgpool")
    b.softmax(x, name="softmax")
    return b.build()

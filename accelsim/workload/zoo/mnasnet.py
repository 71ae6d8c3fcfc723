"""MnasNet: a mobile network found by search, built of inverted residuals of two kernel sizes."""

from __future__ import annotations

from accelsim.workload.network import Network, NetworkBuilder
from accelsim.workload.zoo.blocks import classifier, require_positive
from accelsim.workload.zoo.inverted_residual import inverted_residual, make_divisible

STAGES = (
    (3, 24, 3, 3, 2),
    (3, 40, 3, 5, 2),
    (6, 80, 3, 5, 2),
    (6, 96, 2, 3, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
"""Expansion, output channels, blocks, kernel, stride of the first block."""


def mnasnet(*, width: float = 1.0, resolution: int = 224, classes: int = 1000, name: str = "mnasnet") -> Network:
    """MnasNet-B1, the form without squeeze-and-excitation (Tan et al., arXiv:1807.11626), as torchvision defines it.

    Args:
        width: Multiplier of all channel counts but the last convolution's 1280, rounded to multiples of 8.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A width that is not positive.
    """
    require_positive("mnasnet", width=width)
    parameters = {"width": width, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="mnasnet", parameters=parameters)
    x = b.conv_bn(b.input, make_divisible(32 * width), 3, stride=2, padding=1, name="conv1")
    with b.scope("stage1"):
        x = b.conv_bn(x, x.channels, 3, padding=1, groups=x.channels)
        x = b.conv_bn(x, make_divisible(16 * width), act=None)
    for stage, (expansion, channels, blocks, kernel, stride) in enumerate(STAGES):
        for block in range(blocks):
            with b.scope(f"stage{stage + 2}/block{block + 1}"):
                x = inverted_residual(
                    b,
                    x,
                    make_divisible(channels * width),
                    expanded=x.channels * expansion,
                    kernel=kernel,
                    stride=1 if block else stride,
                    act="relu",
                )
    x = b.conv_bn(x, 1280, name="conv2")
    classifier(b, x, classes, dropout=True)
    return b.build()

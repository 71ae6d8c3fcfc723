"""MobileNet v2: inverted residuals with linear bottlenecks."""

from __future__ import annotations

from accelsim.workload.network import Network, NetworkBuilder
from accelsim.workload.zoo.blocks import classifier, require_positive
from accelsim.workload.zoo.inverted_residual import inverted_residual, make_divisible

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, output channels, blocks, stride of the first block (the paper's Table 2)."""


def mobilenet_v2(
    *, width: float = 1.0, resolution: int = 224, classes: int = 1000, name: str = "mobilenet_v2"
) -> Network:
    """MobileNet v2 (Sandler et al., arXiv:1801.04381, Table 2), as torchvision defines it.

    Args:
        width: Multiplier of all channel counts, rounded to multiples of 8; the last convolution's 1280 only grow.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A width that is not positive.
    """
    require_positive("mobilenet_v2", width=width)
    parameters = {"width": width, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="mobilenet_v2", parameters=parameters)
    x = b.conv_bn(b.input, make_divisible(32 * width), 3, stride=2, padding=1, act="relu6", name="conv1")
    for stage, (expansion, channels, blocks, stride) in enumerate(STAGES):
        for block in range(blocks):
            with b.scope(f"stage{stage + 1}/block{block + 1}"):
                x = inverted_residual(
                    b,
                    x,
                    make_divisible(channels * width),
                    expanded=x.channels * expansion,
                    kernel=3,
                    stride=1 if block else stride,
                    act="relu6",
                )
    x = b.conv_bn(x, make_divisible(1280 * max(1.0, width)), act="relu6", name="conv2")
    classifier(b, x, classes, dropout=True)
    return b.build()

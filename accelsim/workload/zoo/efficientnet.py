"""EfficientNet: inverted residuals with squeeze-and-excitation, scaled in width and depth together."""

from __future__ import annotations

from math import ceil

from accelsim.workload.network import Network, NetworkBuilder
from accelsim.workload.zoo.blocks import classifier, require_positive
from accelsim.workload.zoo.inverted_residual import inverted_residual, make_divisible

STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
"""Expansion, output channels, blocks, kernel, stride of the first block (the paper's Table 1)."""

SQUEEZE_DIVISOR = 4
"""The gate squeezes to a quarter of the block's input channels, not of the expanded ones."""


def efficientnet(
    *,
    width: float = 1.0,
    depth: float = 1.0,
    resolution: int = 224,
    classes: int = 1000,
    name: str = "efficientnet",
) -> Network:
    """EfficientNet (Tan and Le, arXiv:1905.11946, Table 1), as torchvision defines it; the defaults are B0.

    Args:
        width: Multiplier of all channel counts, rounded to multiples of 8.
        depth: Multiplier of the blocks of each stage, rounded up.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A multiplier that is not positive.
    """
    require_positive("efficientnet", width=width, depth=depth)
    parameters = {"width": width, "depth": depth, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="efficientnet", parameters=parameters)
    x = b.conv_bn(b.input, make_divisible(32 * width), 3, stride=2, padding=1, act="swish", name="conv1")
    for stage, (expansion, channels, blocks, kernel, stride) in enumerate(STAGES):
        for block in range(ceil(blocks * depth)):
            with b.scope(f"stage{stage + 1}/block{block + 1}"):
                x = inverted_residual(
                    b,
                    x,
                    make_divisible(channels * width),
                    expanded=x.channels * expansion,
                    kernel=kernel,
                    stride=1 if block else stride,
                    act="swish",
                    squeeze=max(1, x.channels // SQUEEZE_DIVISOR),
                )
    x = b.conv_bn(x, 4 * x.channels, act="swish", name="conv2")
    classifier(b, x, classes, dropout=True)
    return b.build()

"""GoogLeNet: nine Inception modules with 1x1, 3x3, 5x5 and pooling branches."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier


class Module(NamedTuple):
    """Output channels of one Inception module's convolutions (a row of the paper's Table 1)."""

    conv1: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool_proj: int


STAGES = {
    3: {"a": Module(64, 96, 128, 16, 32, 32), "b": Module(128, 128, 192, 32, 96, 64)},
    4: {
        "a": Module(192, 96, 208, 16, 48, 64),
        "b": Module(160, 112, 224, 24, 64, 64),
        "c": Module(128, 128, 256, 24, 64, 64),
        "d": Module(112, 144, 288, 32, 64, 64),
        "e": Module(256, 160, 320, 32, 128, 128),
    },
    5: {"a": Module(256, 160, 320, 32, 128, 128), "b": Module(384, 192, 384, 48, 128, 128)},
}

AUXILIARY_AFTER = ("4a", "4d")
"""Modules that feed the auxiliary classifiers."""


def googlenet(
    *, auxiliary: bool = False, resolution: int = 224, classes: int = 1000, name: str = "googlenet"
) -> Network:
    """GoogLeNet (Szegedy et al., arXiv:1409.4842, Table 1), with 5x5 branches and biases as published.

    Caffe's ``bvlc_googlenet`` is the same network; torchvision's ``googlenet`` is not: it has 3x3 filters in place
    of 5x5, and batch norms in place of biases and LRN.

    Args:
        auxiliary: Whether to build the two auxiliary classifiers, which serve training only.
        resolution: Input height and width, in pixels.
        classes: Outputs of each classifier.
        name: Name of the network.

    Returns:
        The network.
    """
    parameters = {"auxiliary": auxiliary, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="googlenet", parameters=parameters)
    x = _stem(b)
    for stage, modules in STAGES.items():
        for letter, module in modules.items():
            with b.scope(f"inception{stage}{letter}"):
                x = _inception(b, x, module)
            if auxiliary and f"{stage}{letter}" in AUXILIARY_AFTER:
                _auxiliary_head(b, x, classes, f"aux{AUXILIARY_AFTER.index(f'{stage}{letter}') + 1}")
        if stage < 5:
            x = b.max_pool(x, 3, stride=2, ceil_mode=True, name=f"pool{stage}")
    classifier(b, x, classes, dropout=True)
    return b.build()


def _stem(b: NetworkBuilder) -> Tensor:
    with b.scope("stem"):
        x = b.conv_relu(b.input, 64, 7, stride=2, padding=3, bias=True)
        x = b.lrn(b.max_pool(x, 3, stride=2, ceil_mode=True))
        x = b.conv_relu(x, 64, bias=True)
        x = b.lrn(b.conv_relu(x, 192, 3, padding=1, bias=True))
        return b.max_pool(x, 3, stride=2, ceil_mode=True)


def _inception(b: NetworkBuilder, x: Tensor, module: Module) -> Tensor:
    with b.scope("branch1x1"):
        one = b.conv_relu(x, module.conv1, bias=True)
    with b.scope("branch3x3"):
        three = b.conv_relu(x, module.reduce3, bias=True)
        three = b.conv_relu(three, module.conv3, 3, padding=1, bias=True)
    with b.scope("branch5x5"):
        five = b.conv_relu(x, module.reduce5, bias=True)
        five = b.conv_relu(five, module.conv5, 5, padding=2, bias=True)
    with b.scope("branch_pool"):
        pool = b.max_pool(x, 3, stride=1, padding=1)
        pool = b.conv_relu(pool, module.pool_proj, bias=True)
    return b.concat(one, three, five, pool)


def _auxiliary_head(b: NetworkBuilder, x: Tensor, classes: int, scope: str) -> None:
    with b.scope(scope):
        y = b.conv_relu(b.avg_pool(x, 5, stride=3), 128, bias=True)
        y = b.dropout(b.relu(b.linear(y, 1024, bias=True)))
        b.softmax(b.linear(y, classes, bias=True))

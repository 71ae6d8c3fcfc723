"""BN-Inception: GoogLeNet's successor with batch norm and pairs of 3x3 in place of 5x5; also with SE."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier, se_block


class Module(NamedTuple):
    """Output channels of one Inception module's convolutions; a module that reduces has neither 1x1 nor projection."""

    conv1: int
    reduce3: int
    conv3: int
    reduce_double3: int
    double3: int
    pool_proj: int
    pool: str = "avg"


MODULES = {
    "3a": Module(64, 64, 64, 64, 96, 32),
    "3b": Module(64, 64, 96, 64, 96, 64),
    "3c": Module(0, 128, 160, 64, 96, 0, "max"),
    "4a": Module(224, 64, 96, 96, 128, 128),
    "4b": Module(192, 96, 128, 96, 128, 128),
    "4c": Module(160, 128, 160, 128, 160, 128),
    "4d": Module(96, 128, 192, 160, 192, 128),
    "4e": Module(0, 128, 192, 192, 256, 0, "max"),
    "5a": Module(352, 192, 320, 160, 224, 128),
    "5b": Module(352, 192, 320, 192, 224, 128, "max"),
}


def bn_inception(
    *,
    se_ratio: int = 0,
    conv_bias: bool = True,
    resolution: int = 224,
    classes: int = 1000,
    name: str = "bn_inception",
) -> Network:
    """BN-Inception (Ioffe and Szegedy, arXiv:1502.03167, appendix), with or without squeeze-and-excitation.

    The channels are those of the released models, on which pytorchcv's ``bninception`` and SENet's Caffe definition
    ``SE-BN-Inception`` agree: modules 4c and 4d have 608 output channels, where the paper's table prints 576.

    Args:
        se_ratio: Reduction of a squeeze-and-excitation gate after every module; 0 for none.
        conv_bias: Whether convolutions keep the bias that their batch norm makes redundant: pytorchcv's do,
            those of SE-BN-Inception do not.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.
    """
    parameters = {"se_ratio": se_ratio, "conv_bias": conv_bias, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="bn_inception", parameters=parameters)
    conv = partial(b.conv_bn, bias=conv_bias)
    with b.scope("stem"):
        x = conv(b.input, 64, 7, stride=2, padding=3)
        x = conv(b.max_pool(x, 3, stride=2, ceil_mode=True), 64)
        x = b.max_pool(conv(x, 192, 3, padding=1), 3, stride=2, ceil_mode=True)
    for label, module in MODULES.items():
        with b.scope(f"inception{label}"):
            x = _inception(b, x, module, conv)
            if se_ratio:
                x = se_block(b, x, se_ratio)
    classifier(b, x, classes)
    return b.build()


def _inception(b: NetworkBuilder, x: Tensor, module: Module, conv: Any) -> Tensor:
    stride = 1 if module.conv1 else 2
    branches = []
    if module.conv1:
        with b.scope("branch1x1"):
            branches.append(conv(x, module.conv1))
    with b.scope("branch3x3"):
        branches.append(conv(conv(x, module.reduce3), module.conv3, 3, stride=stride, padding=1))
    with b.scope("branch3x3_double"):
        y = conv(conv(x, module.reduce_double3), module.double3, 3, padding=1)
        branches.append(conv(y, module.double3, 3, stride=stride, padding=1))
    with b.scope("branch_pool"):
        if stride == 2:
            branches.append(b.max_pool(x, 3, stride=2, ceil_mode=True))
        else:
            pool = b.max_pool if module.pool == "max" else b.avg_pool
            branches.append(conv(pool(x, 3, stride=1, padding=1), module.pool_proj))
    return b.concat(*branches)

"""Inception-ResNet v1 and v2: Inception modules whose output is projected and added to their input."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import require_choice
from accelsim.workload.zoo.inception_v3 import column, double_3x3, pool_projection, row
from accelsim.workload.zoo.inception_v3 import stem as inception_v3_stem


class Version(NamedTuple):
    """Channels and repetitions of one version; a module's tuples are its branches' convolutions in turn."""

    blocks: tuple[int, int, int]
    module_35_double: tuple[int, int, int]
    reduction_35: tuple[int, int, int, int]
    module_17: tuple[int, int, int, int]
    reduction_17: tuple[int, int, tuple[int, int, int]]
    module_8: tuple[int, int, int, int]
    last_conv: int
    bottleneck: int


VERSIONS = {
    1: Version(
        blocks=(5, 10, 6),
        module_35_double=(32, 32, 32),
        reduction_35=(384, 192, 192, 256),
        module_17=(128, 128, 128, 128),
        reduction_17=(384, 256, (256, 256, 256)),
        module_8=(192, 192, 192, 192),
        last_conv=0,
        bottleneck=512,
    ),
    2: Version(
        blocks=(10, 20, 10),
        module_35_double=(32, 48, 64),
        reduction_35=(384, 256, 256, 384),
        module_17=(192, 128, 160, 192),
        reduction_17=(384, 288, (256, 288, 320)),
        module_8=(192, 192, 224, 256),
        last_conv=1536,
        bottleneck=0,
    ),
}


def inception_resnet(
    *,
    version: int = 2,
    bottleneck: int | None = None,
    resolution: int = 299,
    classes: int = 1000,
    name: str = "inception_resnet",
) -> Network:
    """Inception-ResNet (Szegedy et al., arXiv:1602.07261), as the released models define it.

    Version 2 is the network that TensorFlow-Slim, timm and pytorchcv share: its stem is Inception v3's followed by
    one Inception module, not the paper's figure 3, and a 1x1 to 1536 channels comes before the head.

    Version 1's head is ``bottleneck`` linear features without bias, a batch norm and the classifier, as pytorchcv
    has it (and FaceNet, which uses the features themselves). The paper draws no such layer: ``bottleneck=0`` builds
    its head, in which the classifier reads the 1792 averages. No second source agrees on either.

    The constant by which a module scales its residual (0.1 to 0.2) folds into the weights of the 1x1 before it, so
    it is no layer here.

    Args:
        version: 1 or 2.
        bottleneck: Linear features before the classifier, 0 for none; by default 512 in version 1, none in version 2.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: No such version.
    """
    require_choice("inception_resnet", "version", version, VERSIONS)
    v = VERSIONS[version]
    features = v.bottleneck if bottleneck is None else bottleneck
    parameters = {"version": version, "bottleneck": features, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="inception_resnet", parameters=parameters)
    x = _stem_v1(b) if version == 1 else _stem_v2(b)
    for block in range(v.blocks[0]):
        with b.scope(f"stage1/block{block + 1}"):
            x = _module_35(b, x, v.module_35_double)
    with b.scope("reduction1"):
        x = _reduction_35(b, x, v.reduction_35)
    for block in range(v.blocks[1]):
        with b.scope(f"stage2/block{block + 1}"):
            x = _module_asymmetric(b, x, v.module_17, 7)
    with b.scope("reduction2"):
        x = _reduction_17(b, x, v.reduction_17)
    for block in range(v.blocks[2]):
        with b.scope(f"stage3/block{block + 1}"):
            x = _module_asymmetric(b, x, v.module_8, 3, relu=block < v.blocks[2] - 1)
    if v.last_conv:
        x = b.conv_bn(x, v.last_conv, name="conv")
    _head(b, x, classes, features)
    return b.build()


def _stem_v1(b: NetworkBuilder) -> Tensor:
    with b.scope("stem"):
        x = b.conv_bn(b.input, 32, 3, stride=2)
        x = b.conv_bn(x, 32, 3)
        x = b.max_pool(b.conv_bn(x, 64, 3, padding=1), 3, stride=2)
        x = b.conv_bn(b.conv_bn(x, 80), 192, 3)
        return b.conv_bn(x, 256, 3, stride=2)


def _stem_v2(b: NetworkBuilder) -> Tensor:
    x = inception_v3_stem(b)
    with b.scope("mixed5b"):
        with b.scope("branch1x1"):
            one = b.conv_bn(x, 96)
        with b.scope("branch5x5"):
            five = b.conv_bn(b.conv_bn(x, 48), 64, 5, padding=2)
        with b.scope("branch3x3_double"):
            three = double_3x3(b, x, (64, 96, 96))
        with b.scope("branch_pool"):
            pool = pool_projection(b, x, 64)
        return b.concat(one, five, three, pool)


def _residual(b: NetworkBuilder, x: Tensor, branches: list[Tensor], *, relu: bool = True) -> Tensor:
    """Concatenate, project to the channels of ``x`` with a 1x1 that has a bias and no batch norm, and add."""
    y = b.add(x, b.conv(b.concat(*branches), x.channels, bias=True))
    return b.relu(y) if relu else y


def _module_35(b: NetworkBuilder, x: Tensor, double: tuple[int, int, int]) -> Tensor:
    with b.scope("branch1x1"):
        branches = [b.conv_bn(x, 32)]
    with b.scope("branch3x3"):
        branches.append(b.conv_bn(b.conv_bn(x, 32), 32, 3, padding=1))
    with b.scope("branch3x3_double"):
        branches.append(double_3x3(b, x, double))
    return _residual(b, x, branches)


def _module_asymmetric(
    b: NetworkBuilder, x: Tensor, widths: tuple[int, int, int, int], length: int, *, relu: bool = True
) -> Tensor:
    """A 1x1 branch beside a branch of a 1x1, a row and a column filter of ``length`` taps."""
    with b.scope("branch1x1"):
        branches = [b.conv_bn(x, widths[0])]
    with b.scope(f"branch{length}x{length}"):
        y = row(b, b.conv_bn(x, widths[1]), widths[2], length)
        branches.append(column(b, y, widths[3], length))
    return _residual(b, x, branches, relu=relu)


def _reduction_35(b: NetworkBuilder, x: Tensor, widths: tuple[int, int, int, int]) -> Tensor:
    with b.scope("branch3x3"):
        three = b.conv_bn(x, widths[0], 3, stride=2)
    with b.scope("branch3x3_double"):
        double = double_3x3(b, x, widths[1:], stride=2)
    with b.scope("branch_pool"):
        pool = b.max_pool(x, 3, stride=2)
    return b.concat(three, double, pool)


def _reduction_17(b: NetworkBuilder, x: Tensor, widths: tuple[int, int, tuple[int, int, int]]) -> Tensor:
    branches = []
    for branch, channels in enumerate(widths[:2]):
        with b.scope(f"branch3x3_{branch + 1}"):
            branches.append(b.conv_bn(b.conv_bn(x, 256), channels, 3, stride=2))
    with b.scope("branch3x3_double"):
        branches.append(double_3x3(b, x, widths[2], stride=2))
    with b.scope("branch_pool"):
        branches.append(b.max_pool(x, 3, stride=2))
    return b.concat(*branches)


def _head(b: NetworkBuilder, x: Tensor, classes: int, bottleneck: int) -> None:
    x = b.dropout(b.global_avg_pool(x, name="pool"), name="dropout")
    if bottleneck:
        x = b.batch_norm(b.linear(x, bottleneck, name="bottleneck"), name="bottleneck/bn")
    b.softmax(b.linear(x, classes, bias=True, name="fc"), name="softmax")

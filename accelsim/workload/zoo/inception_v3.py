"""Inception v3: Inception modules with factorised 7x7 and 3x3 convolutions."""

from __future__ import annotations

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier


def inception_v3(
    *, auxiliary: bool = False, resolution: int = 299, classes: int = 1000, name: str = "inception_v3"
) -> Network:
    """Inception v3 (Szegedy et al., arXiv:1512.00567), as torchvision and pytorchcv define it.

    Args:
        auxiliary: Whether to build the auxiliary classifier, which serves training only.
        resolution: Input height and width, in pixels.
        classes: Outputs of each classifier.
        name: Name of the network.

    Returns:
        The network.
    """
    parameters = {"auxiliary": auxiliary, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="inception_v3", parameters=parameters)
    x = stem(b)
    for label, pool_channels in (("5b", 32), ("5c", 64), ("5d", 64)):
        with b.scope(f"mixed{label}"):
            x = _module_35(b, x, pool_channels)
    with b.scope("mixed6a"):
        x = _reduction_35(b, x)
    for label, middle in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        with b.scope(f"mixed{label}"):
            x = _module_17(b, x, middle)
    if auxiliary:
        _auxiliary_head(b, x, classes)
    with b.scope("mixed7a"):
        x = _reduction_17(b, x)
    for label in ("7b", "7c"):
        with b.scope(f"mixed{label}"):
            x = _module_8(b, x)
    classifier(b, x, classes, dropout=True)
    return b.build()


def stem(b: NetworkBuilder) -> Tensor:
    """From the image to 192 channels at an eighth of its size, without padding but in one layer."""
    with b.scope("stem"):
        x = b.conv_bn(b.input, 32, 3, stride=2)
        x = b.conv_bn(x, 32, 3)
        x = b.conv_bn(x, 64, 3, padding=1)
        x = b.max_pool(x, 3, stride=2)
        x = b.conv_bn(x, 80)
        x = b.conv_bn(x, 192, 3)
        return b.max_pool(x, 3, stride=2)


def double_3x3(b: NetworkBuilder, x: Tensor, widths: tuple[int, int, int], *, stride: int = 1) -> Tensor:
    """A 1x1 and two 3x3 convolutions of the given widths; the last one is unpadded where it strides."""
    y = b.conv_bn(b.conv_bn(x, widths[0]), widths[1], 3, padding=1)
    return b.conv_bn(y, widths[2], 3, stride=stride, padding=1 if stride == 1 else 0)


def row(b: NetworkBuilder, x: Tensor, channels: int, length: int) -> Tensor:
    """A 1 x ``length`` convolution that keeps the size of the map."""
    return b.conv_bn(x, channels, (1, length), padding=(0, length // 2))


def column(b: NetworkBuilder, x: Tensor, channels: int, length: int) -> Tensor:
    """A ``length`` x 1 convolution that keeps the size of the map."""
    return b.conv_bn(x, channels, (length, 1), padding=(length // 2, 0))


def pool_projection(b: NetworkBuilder, x: Tensor, channels: int) -> Tensor:
    """Average pool without changing the size, and a 1x1 convolution."""
    return b.conv_bn(b.avg_pool(x, 3, stride=1, padding=1), channels)


def _module_35(b: NetworkBuilder, x: Tensor, pool_channels: int) -> Tensor:
    with b.scope("branch1x1"):
        one = b.conv_bn(x, 64)
    with b.scope("branch5x5"):
        five = b.conv_bn(b.conv_bn(x, 48), 64, 5, padding=2)
    with b.scope("branch3x3_double"):
        three = double_3x3(b, x, (64, 96, 96))
    with b.scope("branch_pool"):
        pool = pool_projection(b, x, pool_channels)
    return b.concat(one, five, three, pool)


def _reduction_35(b: NetworkBuilder, x: Tensor) -> Tensor:
    with b.scope("branch3x3"):
        three = b.conv_bn(x, 384, 3, stride=2)
    with b.scope("branch3x3_double"):
        double = double_3x3(b, x, (64, 96, 96), stride=2)
    with b.scope("branch_pool"):
        pool = b.max_pool(x, 3, stride=2)
    return b.concat(three, double, pool)


def _module_17(b: NetworkBuilder, x: Tensor, middle: int) -> Tensor:
    with b.scope("branch1x1"):
        one = b.conv_bn(x, 192)
    with b.scope("branch7x7"):
        seven = column(b, row(b, b.conv_bn(x, middle), middle, 7), 192, 7)
    with b.scope("branch7x7_double"):
        double = row(b, column(b, b.conv_bn(x, middle), middle, 7), middle, 7)
        double = row(b, column(b, double, middle, 7), 192, 7)
    with b.scope("branch_pool"):
        pool = pool_projection(b, x, 192)
    return b.concat(one, seven, double, pool)


def _reduction_17(b: NetworkBuilder, x: Tensor) -> Tensor:
    with b.scope("branch3x3"):
        three = b.conv_bn(b.conv_bn(x, 192), 320, 3, stride=2)
    with b.scope("branch7x7"):
        seven = column(b, row(b, b.conv_bn(x, 192), 192, 7), 192, 7)
        seven = b.conv_bn(seven, 192, 3, stride=2)
    with b.scope("branch_pool"):
        pool = b.max_pool(x, 3, stride=2)
    return b.concat(three, seven, pool)


def _module_8(b: NetworkBuilder, x: Tensor) -> Tensor:
    with b.scope("branch1x1"):
        one = b.conv_bn(x, 320)
    with b.scope("branch3x3"):
        three = _split_3x3(b, b.conv_bn(x, 384))
    with b.scope("branch3x3_double"):
        double = _split_3x3(b, b.conv_bn(b.conv_bn(x, 448), 384, 3, padding=1))
    with b.scope("branch_pool"):
        pool = pool_projection(b, x, 192)
    return b.concat(one, three, double, pool)


def _split_3x3(b: NetworkBuilder, x: Tensor) -> Tensor:
    """A 1x3 and a 3x1 convolution side by side."""
    return b.concat(row(b, x, 384, 3), column(b, x, 384, 3))


def _auxiliary_head(b: NetworkBuilder, x: Tensor, classes: int) -> None:
    with b.scope("aux"):
        y = b.conv_bn(b.conv_bn(b.avg_pool(x, 5, stride=3), 128), 768, 5)
        b.softmax(b.linear(b.global_avg_pool(y), classes, bias=True))

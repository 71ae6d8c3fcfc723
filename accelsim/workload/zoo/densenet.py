"""DenseNet (arXiv:1608.06993): basic, B (bottleneck), C (compression) and BC, for ImageNet and for CIFAR."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

from accelsim.errors import WorkloadError
from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier, require_choice, require_positive

LAYERS: dict[int, tuple[int, ...]] = {
    121: (6, 12, 24, 16),
    161: (6, 12, 36, 24),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    232: (6, 12, 48, 48),
    264: (6, 12, 64, 48),
}
"""Depth -> layers of each dense block.

Table 1; 161 as in the authors' code. For 232, arXiv:1707.06990 prints no blocks: these give its 55M parameters at
growth 48. The blocks of 232 and 264 make 233 and 265 layers with weights.
"""

BOTTLENECK_FACTOR = 4
"""Channels that a bottleneck's 1x1 makes, in growth rates."""

BASIC_CIFAR_STEM = 16
"""Channels of the first convolution of a CIFAR DenseNet that is not BC; BC has two growth rates."""


def densenet(
    *,
    depth: int = 121,
    growth: int = 32,
    blocks: Sequence[int] | None = None,
    bottleneck: bool = True,
    compression: float = 0.5,
    stem_channels: int | None = None,
    dropout: bool = False,
    resolution: int = 224,
    classes: int = 1000,
    name: str = "densenet",
) -> Network:
    """DenseNet for ImageNet (arXiv:1608.06993, Table 1).

    Args:
        depth: Layers with weights: 121, 161, 169, 201, 232 or 264.
        growth: Growth rate k: channels that each layer adds.
        blocks: Layers of every dense block, in place of those of ``depth``.
        bottleneck: Whether a layer is a 1x1 to 4 k channels and a 3x3 (DenseNet-B), and not a 3x3 only.
        compression: Share theta of the channels that a transition keeps (DenseNet-C: below 1).
        stem_channels: Channels of the first convolution; default: two growth rates.
        dropout: Whether dropout follows each convolution but the first.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    if blocks is None:
        require_choice("densenet", "depth", depth, LAYERS)
        blocks = LAYERS[depth]
    if stem_channels is None:
        stem_channels = 2 * growth
    _check("densenet", growth, blocks, compression)
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="densenet",
        parameters={
            "depth": depth,
            "growth": growth,
            "blocks": list(blocks),
            "bottleneck": bottleneck,
            "compression": compression,
            "stem_channels": stem_channels,
            "dropout": dropout,
            "resolution": resolution,
            "classes": classes,
        },
    )
    with b.scope("stem"):
        x = b.conv_bn(b.input, stem_channels, 7, stride=2, padding=3)
        x = b.max_pool(x, 3, stride=2, padding=1)
    _finish(b, x, blocks, growth, bottleneck=bottleneck, compression=compression, dropout=dropout, classes=classes)
    return b.build()


def densenet_cifar(
    *,
    depth: int = 40,
    growth: int = 12,
    bottleneck: bool = False,
    compression: float = 1.0,
    stem_channels: int | None = None,
    dropout: bool = False,
    resolution: int = 32,
    classes: int = 10,
    name: str = "densenet_cifar",
) -> Network:
    """DenseNet for CIFAR (arXiv:1608.06993, section 3): three blocks of equal length.

    Args:
        depth: Layers with weights: 3 n + 4 for n layers a block, 6 n + 4 with bottlenecks.
        growth: Growth rate k: channels that each layer adds.
        bottleneck: Whether a layer is a 1x1 to 4 k channels and a 3x3 (DenseNet-B), and not a 3x3 only.
        compression: Share theta of the channels that a transition keeps (DenseNet-C: below 1; 0.5 in the paper).
        stem_channels: Channels of the first convolution; default: two growth rates with bottleneck and
            compression, else 16.
        dropout: Whether dropout follows each convolution but the first (the paper: without augmentation only).
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    step = 6 if bottleneck else 3
    if depth < step + 4 or (depth - 4) % step:
        kind = "with" if bottleneck else "without"
        raise WorkloadError(f"family densenet_cifar: depth must be {step} n + 4 {kind} bottlenecks, got {depth}")
    blocks = ((depth - 4) // step,) * 3
    if stem_channels is None:
        stem_channels = 2 * growth if bottleneck and compression < 1 else BASIC_CIFAR_STEM
    _check("densenet_cifar", growth, blocks, compression)
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="densenet_cifar",
        parameters={
            "depth": depth,
            "growth": growth,
            "bottleneck": bottleneck,
            "compression": compression,
            "stem_channels": stem_channels,
            "dropout": dropout,
            "resolution": resolution,
            "classes": classes,
        },
    )
    with b.scope("stem"):
        x = b.conv(b.input, stem_channels, 3, padding=1)
    _finish(b, x, blocks, growth, bottleneck=bottleneck, compression=compression, dropout=dropout, classes=classes)
    return b.build()


def _check(family: str, growth: int, blocks: Sequence[int], compression: float) -> None:
    """Refuse what no DenseNet can be built of."""
    require_positive(family, growth=growth, compression=compression)
    if compression > 1:
        raise WorkloadError(f"family {family}: compression must be at most 1, got {compression}")
    if not blocks or min(blocks) < 1:
        raise WorkloadError(f"family {family}: blocks must be a list of positive integers, got {list(blocks)}")


def _finish(
    b: NetworkBuilder,
    x: Tensor,
    blocks: Sequence[int],
    growth: int,
    *,
    bottleneck: bool,
    compression: float,
    dropout: bool,
    classes: int,
) -> None:
    """Add dense blocks, the transitions between them, the last activation and the classifier."""
    for index, layers in enumerate(blocks, start=1):
        with b.scope(f"block{index}"):
            x = _dense_block(b, x, layers, growth, bottleneck=bottleneck, dropout=dropout)
        if index < len(blocks):
            with b.scope(f"transition{index}"):
                x = _preactivated(b, x, floor(compression * x.channels), dropout=dropout)
                x = b.avg_pool(x, 2)
    with b.scope("post"):
        x = b.relu(b.batch_norm(x))
    classifier(b, x, classes)


def _dense_block(b: NetworkBuilder, x: Tensor, layers: int, growth: int, *, bottleneck: bool, dropout: bool) -> Tensor:
    """Add layers that each read the concatenation of the block's input and of all layers before."""
    features = [x]
    for layer in range(1, layers + 1):
        with b.scope(f"layer{layer}"):
            y = b.concat(*features) if layer > 1 else x
            if bottleneck:
                y = _preactivated(b, y, BOTTLENECK_FACTOR * growth, dropout=dropout)
            features.append(_preactivated(b, y, growth, 3, dropout=dropout))
    return b.concat(*features)


def _preactivated(b: NetworkBuilder, x: Tensor, channels: int, kernel: int = 1, *, dropout: bool) -> Tensor:
    """Batch norm, ReLU, convolution, and dropout where it is used."""
    x = b.conv(b.relu(b.batch_norm(x)), channels, kernel, padding=kernel // 2)
    return b.dropout(x) if dropout else x

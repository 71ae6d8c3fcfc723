"""ShuffleNet v2: channel split in place of grouped convolutions."""

from __future__ import annotations

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier, require_choice

CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
"""Output channels of stages 2 to 4 and of the last convolution by width (the paper's Table 5)."""

UNITS = (4, 8, 4)
"""Units of stages 2, 3 and 4, the first of which halves the map."""


def shufflenet_v2(
    *, width: float = 1.0, resolution: int = 224, classes: int = 1000, name: str = "shufflenet_v2"
) -> Network:
    """ShuffleNet v2 (Ma et al., arXiv:1807.11164, Table 5), as torchvision defines it.

    Args:
        width: 0.5, 1, 1.5 or 2.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: No such width.
    """
    require_choice("shufflenet_v2", "width", width, CHANNELS)
    parameters = {"width": width, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="shufflenet_v2", parameters=parameters)
    *stages, last = CHANNELS[width]
    with b.scope("stem"):
        x = b.conv_bn(b.input, 24, 3, stride=2, padding=1)
        x = b.max_pool(x, 3, stride=2, padding=1)
    for stage, (channels, units) in enumerate(zip(stages, UNITS, strict=True)):
        for unit in range(units):
            with b.scope(f"stage{stage + 2}/unit{unit + 1}"):
                x = _basic_unit(b, x) if unit else _downsampling_unit(b, x, channels)
    x = b.conv_bn(x, last, name="conv5")
    classifier(b, x, classes)
    return b.build()


def _basic_unit(b: NetworkBuilder, x: Tensor) -> Tensor:
    """Half of the channels pass, the other half is transformed."""
    half = x.channels // 2
    kept = b.slice_channels(x, 0, half)
    y = _branch(b, b.slice_channels(x, half, x.channels), half, stride=1)
    return b.channel_shuffle(b.concat(kept, y), 2)


def _downsampling_unit(b: NetworkBuilder, x: Tensor, channels: int) -> Tensor:
    """Both branches see all channels and halve the map."""
    half = channels // 2
    with b.scope("shortcut"):
        kept = b.conv_bn(x, x.channels, 3, stride=2, padding=1, groups=x.channels, act=None)
        kept = b.conv_bn(kept, half)
    y = _branch(b, x, half, stride=2)
    return b.channel_shuffle(b.concat(kept, y), 2)


def _branch(b: NetworkBuilder, x: Tensor, half: int, stride: int) -> Tensor:
    y = b.conv_bn(x, half)
    y = b.conv_bn(y, half, 3, stride=stride, padding=1, groups=half, act=None)
    return b.conv_bn(y, half)

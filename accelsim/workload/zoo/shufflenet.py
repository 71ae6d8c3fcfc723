"""ShuffleNet v1: grouped 1x1 convolutions whose channels are shuffled between groups."""

from __future__ import annotations

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier, require_choice, require_positive

CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
"""Output channels of stage 2 by the number of groups; they double in stages 3 and 4 (the paper's Table 1)."""

UNITS = (4, 8, 4)
"""Units of stages 2, 3 and 4, the first of which halves the map."""


def shufflenet(
    *, groups: int = 3, width: float = 1.0, resolution: int = 224, classes: int = 1000, name: str = "shufflenet"
) -> Network:
    """ShuffleNet (Zhang et al., arXiv:1707.01083, Table 1), as pytorchcv defines it.

    The first 1x1 of stage 2 is not grouped, since its input has only 24 channels. Where ``width`` is not 1,
    it scales the first convolution as well.

    Args:
        groups: Groups of the 1x1 convolutions: 1, 2, 3, 4 or 8.
        width: Multiplier of all channel counts, rounded down.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: No such number of groups, a width that is not positive, or groups that do not divide
            the scaled channels.
    """
    require_choice("shufflenet", "groups", groups, CHANNELS)
    require_positive("shufflenet", width=width)
    parameters = {"groups": groups, "width": width, "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="shufflenet", parameters=parameters)
    with b.scope("stem"):
        x = b.conv_bn(b.input, int(24 * width), 3, stride=2, padding=1)
        x = b.max_pool(x, 3, stride=2, padding=1)
    for stage, units in enumerate(UNITS):
        channels = int(CHANNELS[groups] * 2**stage * width)
        for unit in range(units):
            with b.scope(f"stage{stage + 2}/unit{unit + 1}"):
                x = _unit(b, x, channels, groups, stride=1 if unit else 2, first=stage == unit == 0)
    classifier(b, x, classes)
    return b.build()


def _unit(b: NetworkBuilder, x: Tensor, channels: int, groups: int, *, stride: int, first: bool) -> Tensor:
    """One ShuffleNet unit; with stride 2 the pooled input is concatenated, and fills up the channels."""
    middle = channels // 4
    y = b.conv_bn(x, middle, groups=1 if first else groups)
    if groups > 1:
        y = b.channel_shuffle(y, groups)
    y = b.conv_bn(y, middle, 3, stride=stride, padding=1, groups=middle, act=None)
    if stride == 1:
        y = b.conv_bn(y, channels, groups=groups, act=None)
        return b.relu(b.add(x, y))
    y = b.conv_bn(y, channels - x.channels, groups=groups, act=None)
    return b.relu(b.concat(y, b.avg_pool(x, 3, stride=2, padding=1)))

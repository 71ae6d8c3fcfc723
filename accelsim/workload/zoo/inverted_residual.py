"""The inverted residual block that MobileNet v2, MnasNet and EfficientNet are made of."""

from __future__ import annotations

from accelsim.workload.network import NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import se_block


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Round a scaled channel count to a multiple of ``divisor``, never down by more than 10%.

    The rule of the MobileNet authors' code, by which all three families scale their widths.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def inverted_residual(
    b: NetworkBuilder,
    x: Tensor,
    channels: int,
    *,
    expanded: int,
    kernel: int,
    stride: int,
    act: str,
    squeeze: int | None = None,
) -> Tensor:
    """Expand with a 1x1, filter depthwise, project with a linear 1x1; add ``x`` where shapes allow.

    Args:
        b: The builder, in the scope of the block.
        x: Input.
        channels: Output channels.
        expanded: Channels of the depthwise convolution; no expansion layer if they are those of ``x``.
        kernel: Size of the depthwise filter.
        stride: Step of the depthwise convolution.
        act: Non-linearity of the first two convolutions.
        squeeze: Channels of a squeeze-and-excitation gate after the depthwise convolution, if there is one.

    Returns:
        The block's output.
    """
    y = x
    if expanded != x.channels:
        y = b.conv_bn(y, expanded, act=act)
    y = b.conv_bn(y, expanded, kernel, stride=stride, padding=kernel // 2, groups=expanded, act=act)
    if squeeze is not None:
        y = se_block(b, y, squeeze=squeeze, act=act)
    y = b.conv_bn(y, channels, act=None)
    return b.add(x, y) if stride == 1 and x.channels == channels else y

"""Blocks that several families share."""

from __future__ import annotations

from collections.abc import Collection

from accelsim.errors import WorkloadError
from accelsim.workload.network import NetworkBuilder, Tensor


def require_choice(family: str, parameter: str, value: object, allowed: Collection[object]) -> None:
    """Refuse a parameter that a family does not come in.

    Raises:
        WorkloadError: ``value`` is not one of ``allowed``.
    """
    if value not in list(allowed):
        choices = ", ".join(repr(choice) for choice in allowed)
        raise WorkloadError(f"family {family}: {parameter} must be one of {choices}, got {value!r}")


def require_positive(family: str, **parameters: float) -> None:
    """Refuse widths, sizes and counts that are not positive numbers.

    Raises:
        WorkloadError: A parameter is zero, negative, or no number.
    """
    for parameter, value in parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise WorkloadError(f"family {family}: {parameter} must be a positive number, got {value!r}")


def se_block(
    b: NetworkBuilder,
    x: Tensor,
    ratio: int = 16,
    *,
    squeeze: int | None = None,
    act: str = "relu",
    bias: bool = True,
) -> Tensor:
    """Squeeze-and-excitation: scale every channel by a gate computed from all channels' averages.

    A global average pool, a 1x1 convolution down to the squeezed channels, one back up, a sigmoid, and the
    product with ``x`` (SENet arXiv:1709.01507, figure 1 and equation 3).

    Args:
        b: The builder; call inside the scope of the block that is gated.
        x: What is scaled.
        ratio: Reduction r of the channels in between.
        squeeze: Channels in between, where they do not follow from ``ratio``.
        act: Non-linearity between the two convolutions.
        bias: Whether the two convolutions have biases.

    Returns:
        The scaled tensor.

    Raises:
        WorkloadError: ``ratio`` leaves no channel.
    """
    hidden = x.channels // ratio if squeeze is None else squeeze
    with b.scope("se"):
        gate = b.global_avg_pool(x)
        gate = b.activation(b.conv(gate, hidden, bias=bias), act)
        gate = b.activation(b.conv(gate, x.channels, bias=bias), "sigmoid")
        return b.mul(x, gate)


def classifier(b: NetworkBuilder, x: Tensor, classes: int, *, dropout: bool = False) -> Tensor:
    """Global average pool, optional dropout, a linear layer with bias, and softmax."""
    x = b.global_avg_pool(x, name="pool")
    if dropout:
        x = b.dropout(x, name="dropout")
    return b.softmax(b.linear(x, classes, bias=True, name="fc"), name="softmax")

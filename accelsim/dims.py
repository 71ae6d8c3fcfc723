"""Dims and operands as indices: the enum value is the position in every array that a kernel takes."""

from __future__ import annotations

from enum import IntEnum


class Dim(IntEnum):
    """The eight loop dims of a layer."""

    N = 0
    G = 1
    K = 2
    C = 3
    P = 4
    Q = 5
    R = 6
    S = 7


class Operand(IntEnum):
    """What a MAC reads and writes: weights, inputs, outputs (partial sums until the last accumulation)."""

    W = 0
    I = 1  # noqa: E741 - the field's name for inputs
    O = 2  # noqa: E741 - the field's name for outputs


USES: dict[Operand, frozenset[Dim]] = {
    Operand.W: frozenset({Dim.G, Dim.K, Dim.C, Dim.R, Dim.S}),
    Operand.I: frozenset({Dim.N, Dim.G, Dim.C, Dim.P, Dim.Q, Dim.R, Dim.S}),
    Operand.O: frozenset({Dim.N, Dim.G, Dim.K, Dim.P, Dim.Q}),
}
"""Dims whose index decides which word of the operand a MAC touches."""

"""Integer tensors for a layer, and the convolution that an accelerator must compute from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Layer, Op

SMALL = 127
"""Largest magnitude of seeded values: sums of 100,000 products stay below 2^31."""
MAX_EXECUTED_WORDS = 2**29
"""Most words of all operands together of a layer that is executed: all are held in memory, inputs with padding."""
MAX_EXECUTED_MACS = 2**38
"""Most MACs of a layer that is executed, one by one: hours of them."""
WORDS_AT_ONCE = 2**22
"""Weights that the convolution turns into floating point at a time."""


class Tensors(NamedTuple):
    """Operands of a layer.

    Attributes:
        weights: int16[G, K, C, R, S].
        inputs: int16[N, G, C, H, W], without padding; one pixel where the layer has no windows.
    """

    weights: np.ndarray
    inputs: np.ndarray


def check_executable(layer: Layer) -> None:
    """Refuse a layer that is too large to be executed with real numbers.

    Raises:
        WorkloadError: Names the layer, what is too large, and how large it may be.
    """
    height, width = image_size(layer)
    pixels = (height + sum(layer.padding[:2])) * (width + sum(layer.padding[2:]))
    words = layer.weights + layer.N * layer.G * layer.C * pixels + layer.output_words
    for what, size, most in (("words", words, MAX_EXECUTED_WORDS), ("MACs", layer.macs, MAX_EXECUTED_MACS)):
        if size > most:
            raise WorkloadError(
                f"layer {layer.name}: it has {size:.3g} {what}, at most {most} (2^{most.bit_length() - 1}) can be "
                "executed; the closed form takes more"
            )


def random_tensors(layer: Layer, seed: int = 0, *, magnitude: int = SMALL, zero_fraction: float = 0.0) -> Tensors:
    """Return seeded operands.

    Args:
        layer: A layer that runs on the array.
        seed: The same seed gives the same values.
        magnitude: Largest magnitude of a value, at most 32767.
        zero_fraction: Probability of every weight to be zero, independent of the others.
    """
    draw = np.random.default_rng(seed)
    height, width = image_size(layer)
    weights = draw.integers(1, magnitude, (layer.G, layer.K, layer.C, layer.R, layer.S), np.int16, endpoint=True)
    weights *= draw.integers(0, 1, weights.shape, np.int16, endpoint=True) * np.int16(2) - np.int16(1)
    if zero_fraction:
        weights[draw.random(weights.shape, np.float32) < zero_fraction] = 0
    inputs = draw.integers(-magnitude, magnitude, (layer.N, layer.G, layer.C, height, width), np.int16, endpoint=True)
    return Tensors(weights, inputs)


def image_size(layer: Layer) -> tuple[int, int]:
    """Return height and width of the input in real pixels; a layer without windows reads one flat pixel."""
    return (layer.H, layer.W) if layer.op is Op.CONV else (1, 1)


def padded(layer: Layer, inputs: np.ndarray) -> np.ndarray:
    """Return the inputs with their zero padding around them."""
    if layer.op is not Op.CONV:
        return inputs
    top, bottom, left, right = layer.padding
    return np.pad(inputs, ((0, 0), (0, 0), (0, 0), (top, bottom), (left, right)))


def convolve(layer: Layer, tensors: Tensors) -> np.ndarray:
    """Return the exact outputs, int64[N, G, K, P, Q].

    One matrix product per filter tap, in float64: all partial sums are integers below 2^53, so that none is rounded.
    """
    image = padded(layer, tensors.inputs).astype(np.float64)
    outputs = np.zeros((layer.N, layer.G, layer.K, layer.P * layer.Q))
    at_once = max(1, WORDS_AT_ONCE // (layer.G * layer.C))
    for r in range(layer.R):
        top = r * layer.dilation[0]
        rows = slice(top, top + (layer.P - 1) * layer.stride[0] + 1, layer.stride[0])
        for s in range(layer.S):
            left = s * layer.dilation[1]
            cols = slice(left, left + (layer.Q - 1) * layer.stride[1] + 1, layer.stride[1])
            pixels = image[:, :, :, rows, cols].reshape(layer.N, layer.G, layer.C, layer.P * layer.Q)
            for first in range(0, layer.K, at_once):
                some = slice(first, first + at_once)
                outputs[:, :, some] += tensors.weights[None, :, some, :, r, s].astype(np.float64) @ pixels
    return outputs.astype(np.int64).reshape(layer.N, layer.G, layer.K, layer.P, layer.Q)

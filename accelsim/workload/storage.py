"""Size of a model in bytes when weights have few bits and many of them are zero.

A layer of n weights with density d keeps a = n d values, and has to say where they are. With zeros that fall
independently, q = 1 - d, the formats need in expectation, in bits beyond the a values of w bits each:

- ``dense``: nothing, but it keeps all n values.
- ``csr``: Deep Compression's (arXiv:1510.00149, section 2). Each value has the number of zeros before it, in b bits.
  A gap of 2^b zeros or more is bridged with filler zeros, each of which is an entry like any other and covers 2^b
  weights: a q^M / (1 - q^M) of them with M = 2^b, each w + b bits.
- ``run_length``: a flag bit tells a value from a run of up to M = 2^b zeros: a for the values' flags, and
  (1 + b) a q / (1 - q^M) for the runs.
- ``bitmap``: one bit for each of the n weights.
- ``compressed_rows``: textbook CSR. A row is the weights of one output channel, its positions are counted from its
  start in ceil(log2(length)) bits for each value, and a pointer of 32 bits says where each row begins, and where the
  last one ends.
- ``entropy``: n H(d), the Shannon bound of what any coding of independent positions can reach; no code, but the
  floor against which to judge one. Huffman coding, Deep Compression's third stage, is not modelled otherwise.

With ``codebook``, values are indices into a table of 2^w entries that each layer carries along.

**Against publications.** SqueezeNet (arXiv:1602.07360) prints 4.8 MB at 32 bit: 4.76 MiB, so its MB there is 2^20
bytes. Its 0.66 MB at 8 bit and 33% density is 0.660 million bytes in ``csr`` with 4-bit indices and codebooks, the
layout of the file that its authors released. Its 0.47 MB at 6 bit is not: the same layout needs 0.537 million. What
fits is 0.473 million, with positions at their entropy; so that figure contains an entropy code, and this estimate
is 14% above it. Where zeros come in clusters, as in AlexNet's linear layers, fewer gaps overflow than the
independence assumed here gives: 3.26% of the dense size where Deep Compression's Table 4 prints 3.0%.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, log2
from typing import TYPE_CHECKING

from accelsim.errors import WorkloadError, did_you_mean
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network

if TYPE_CHECKING:
    import numpy as np

POINTER_BITS = 32
"""A pointer to the start of a row."""

ENTRY_COUNT_BYTES = 4
"""A format whose length depends on the data begins each layer with the number of its entries."""


class WeightFormat(StrEnum):
    """How a layer's weights are laid out; the module's description has the formulas."""

    DENSE = "dense"
    CSR = "csr"
    RUN_LENGTH = "run_length"
    BITMAP = "bitmap"
    COMPRESSED_ROWS = "compressed_rows"
    ENTROPY = "entropy"


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How a layer's parameters are stored.

    Attributes:
        weight_bits: Bits of a weight, or of its index into the codebook.
        density: Share of weights that are not zero, above 0 and at most 1.
        format: Layout of the weights.
        index_bits: Bits of a gap (``csr``) or of a run (``run_length``).
        codebook: Whether weights are indices into a table of the layer's 2^``weight_bits`` values.
        value_bits: Bits of a codebook's values, of biases, and of batch norms' gamma and beta.
    """

    weight_bits: int = 32
    density: float = 1.0
    format: WeightFormat = WeightFormat.DENSE
    index_bits: int = 4
    codebook: bool = False
    value_bits: int = 32

    def __post_init__(self) -> None:
        for field in ("weight_bits", "index_bits", "value_bits"):
            bits = getattr(self, field)
            if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 64:
                raise WorkloadError(f"storage: {field} must be an integer from 1 to 64, got {bits!r}")
        if not 0 < self.density <= 1:
            raise WorkloadError(f"storage: density must be above 0 and at most 1, got {self.density!r}")
        if self.format not in list(WeightFormat):
            known = ", ".join(WeightFormat)
            raise WorkloadError(f"storage: format must be one of {known}, got {self.format!r}")
        # A format's plain name compares equal to it but is not the same object, and the code below asks with "is".
        object.__setattr__(self, "format", WeightFormat(self.format))
        if self.codebook and self.weight_bits > 16:
            raise WorkloadError(f"storage: a codebook takes at most 16 weight_bits, got {self.weight_bits}")


def deep_compression(weight_bits: int, density: float, *, index_bits: int = 4) -> Coding:
    """Return Deep Compression's coding before Huffman: pruned, with shared weights, in relative ``csr``.

    Four index bits are those of the paper's Table 4 and of the released SqueezeNet; its text names others.
    """
    return Coding(
        weight_bits=weight_bits, density=density, format=WeightFormat.CSR, index_bits=index_bits, codebook=True
    )


@dataclass(frozen=True, kw_only=True)
class LayerSize:
    """Bytes of one layer, by what they hold.

    Attributes:
        name: The layer.
        value_bytes: Weights that are kept.
        position_bytes: Indices, runs, bitmaps, entry counts, and the values of filler entries.
        codebook_bytes: The table of shared values.
        other_bytes: Biases and batch norms' gamma and beta.
    """

    name: str
    value_bytes: int
    position_bytes: int
    codebook_bytes: int
    other_bytes: int

    @property
    def total_bytes(self) -> int:
        """Bytes in all."""
        return self.value_bytes + self.position_bytes + self.codebook_bytes + self.other_bytes


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """Bytes of a network, layer by layer; layers without parameters are left out."""

    layers: tuple[LayerSize, ...]

    @property
    def total_bytes(self) -> int:
        """Bytes in all."""
        return sum(layer.total_bytes for layer in self.layers)

    @property
    def total_mb(self) -> float:
        """Millions of bytes."""
        return self.total_bytes / 1e6

    @property
    def total_mib(self) -> float:
        """Units of 2^20 bytes."""
        return self.total_bytes / 2**20

    @property
    def overhead(self) -> float:
        """Share of the whole that says where the weights are."""
        return sum(layer.position_bytes for layer in self.layers) / self.total_bytes if self.layers else 0.0


def model_size(
    network: Network, coding: Coding | None = None, *, layers: Mapping[str, Coding] | None = None
) -> ModelSize:
    """Return the bytes that a network's parameters take.

    Args:
        network: The network; its batch norms' running statistics are not parameters and not counted.
        coding: How parameters are stored; default dense 32-bit words.
        layers: Codings of single layers, by name, where they differ.

    Returns:
        The sizes; sparse formats' are expectations for zeros that fall independently.

    Raises:
        WorkloadError: ``layers`` names a layer that the network does not have.
    """
    default, single = coding or Coding(), layers or {}
    known = [layer.name for layer in network]
    for name in single:
        if name not in known:
            raise WorkloadError(f"network {network.name} has no layer {name!r}{did_you_mean(name, known)}")
    sizes = (layer_size(layer, single.get(layer.name, default)) for layer in network if layer.params)
    return ModelSize(layers=tuple(sizes))


def layer_size(layer: Layer, coding: Coding) -> LayerSize:
    """Return the bytes that a layer's parameters take; every stream ends on a whole byte."""
    others = _bytes((layer.params_bias + layer.params_bn) * coding.value_bits)
    if not layer.params_weights:
        return LayerSize(name=layer.name, value_bytes=0, position_bytes=0, codebook_bytes=0, other_bytes=others)
    kept = layer.params_weights if coding.format is WeightFormat.DENSE else layer.params_weights * coding.density
    return LayerSize(
        name=layer.name,
        value_bytes=_bytes(kept * coding.weight_bits),
        position_bytes=_position_bytes(layer.params_weights, layer.G * layer.K, coding),
        codebook_bytes=_bytes(2**coding.weight_bits * coding.value_bits) if coding.codebook else 0,
        other_bytes=others,
    )


def filler_share(density: float, index_bits: int) -> float:
    """Return the filler entries per value that gaps of 2^``index_bits`` zeros or more need in ``csr``."""
    overflow = float((1 - density) ** 2**index_bits)
    return overflow / (1 - overflow)


def runs_per_value(density: float, run_bits: int) -> float:
    """Return the runs of up to 2^``run_bits`` zeros per value that ``run_length`` needs."""
    sparsity = 1 - density
    return sparsity / (1 - float(sparsity**2**run_bits))


def stored_bits(weights: np.ndarray, coding: Coding) -> int:
    """Return the exact bits of given weights in a layout, as ``layer_size`` expects them for independent zeros.

    Codebook, biases and the entry count are left out.

    Args:
        weights: The weights; rows (the first axis) are output channels. Their density counts, not the coding's.
        coding: The layout.
    """
    import numpy as np  # noqa: PLC0415 - sizes of published networks need none

    kept = np.flatnonzero(weights)
    count, values = int(weights.size), int(kept.size)
    longest = 2**coding.index_bits
    before = np.diff(kept, prepend=-1) - 1  # zeros before each value
    after = count - 1 - (int(kept[-1]) if values else -1)
    match coding.format:
        case WeightFormat.DENSE:
            return int(count * coding.weight_bits)
        case WeightFormat.BITMAP:
            return count + values * coding.weight_bits
        case WeightFormat.ENTROPY:
            return ceil(count * _entropy_bits(values / count)) + int(values * coding.weight_bits)
        case WeightFormat.CSR:
            entries = values + int((before // longest).sum())
            return int(entries * (coding.weight_bits + coding.index_bits))
        case WeightFormat.RUN_LENGTH:
            runs = int((-(-before // longest)).sum()) + -(-after // longest)
            return int(values * (1 + coding.weight_bits) + runs * (1 + coding.index_bits))
        case WeightFormat.COMPRESSED_ROWS:
            return int(values * coding.weight_bits + ceil(_row_bits(count, len(weights), values)))


def _row_bits(weights: int, rows: int, values: float) -> float:
    """Return the bits of textbook CSR's positions and pointers."""
    return values * max(1, ceil(log2(max(2, weights // rows)))) + (rows + 1) * POINTER_BITS


def _position_bytes(weights: int, rows: int, coding: Coding) -> int:
    values = weights * coding.density
    if coding.format is WeightFormat.DENSE:
        return 0
    if coding.format is WeightFormat.BITMAP:
        return _bytes(weights)
    if coding.format is WeightFormat.ENTROPY:
        return _bytes(weights * _entropy_bits(coding.density))
    if coding.format is WeightFormat.COMPRESSED_ROWS:
        return _bytes(_row_bits(weights, rows, values))
    if coding.format is WeightFormat.CSR:
        fillers = values * filler_share(coding.density, coding.index_bits)
        bits = (values + fillers) * coding.index_bits + fillers * coding.weight_bits
    else:
        bits = values + values * runs_per_value(coding.density, coding.index_bits) * (1 + coding.index_bits)
    return _bytes(bits) + ENTRY_COUNT_BYTES


def _entropy_bits(density: float) -> float:
    """Return the entropy of a weight's being zero or not, in bits."""
    return -sum(share * log2(share) for share in (density, 1 - density) if share)


def _bytes(bits: float) -> int:
    return ceil(bits / 8)

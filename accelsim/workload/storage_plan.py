"""How many bits each layer's operands have and how its weights are laid out: a small YAML beside the network.

    batch: 4
    default: {weight_bits: 8, input_bits: 8, output_bits: 8, density: 0.4, format: csr, index_bits: 4}
    layers:
      conv1: {weight_bits: 16, density: 1.0, format: dense}
      "layer4/*": {density: 0.2}

A key under ``layers`` is a layer's name or a pattern with ``*`` and ``?``; where several fit a layer, the later one
wins, field by field. What is said nowhere is the machine's word for the bits, and dense weights without zeros.

``stored_words`` turns this into words per layer and operand, ``with_storage`` puts them on a network's layers. Of such
a layer, what crosses DRAM is counted, takes time and costs energy as it is stored; operands are expanded on the way
into the buffer and packed on the way out, partial sums stay the machine's words. The density says how weights are
stored; how many zeros an array skips is the accelerator's ``zero_fraction``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from math import ceil
from os import PathLike
from typing import Annotated

from msgspec import Meta

from accelsim.errors import WorkloadError, did_you_mean
from accelsim.workload.layer import Layer, Op, Stored
from accelsim.workload.network import Network
from accelsim.workload.storage import Coding, WeightFormat, layer_size
from accelsim.yamlio import at, convert, read_yaml

Bits = Annotated[int, Meta(ge=1, le=64)]
Density = Annotated[float, Meta(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class LayerStorage:
    """What a plan says of some layers; None: nothing.

    Attributes:
        weight_bits: Bits of a weight, or of its index into the codebook.
        input_bits: Bits of an input word.
        output_bits: Bits of an output word; partial sums keep the machine's.
        density: Share of weights that are not zero.
        format: Layout of the weights, as of ``storage.WeightFormat``.
        index_bits: Bits of a gap or a run.
        codebook: Whether weights are indices into a table.
    """

    weight_bits: Bits | None = None
    input_bits: Bits | None = None
    output_bits: Bits | None = None
    density: Density | None = None
    format: WeightFormat | None = None
    index_bits: Bits | None = None
    codebook: bool | None = None

    def over(self, other: LayerStorage) -> LayerStorage:
        """Return what this says, and where it says nothing what ``other`` says."""
        said = {entry.name: value for entry in fields(self) if (value := getattr(self, entry.name)) is not None}
        return replace(other, **said)


@dataclass(frozen=True, kw_only=True)
class StoragePlan:
    """A file's content.

    Attributes:
        default: What holds for every layer.
        layers: What holds for layers by name or pattern; later ones win.
        batch: Images at a time; None: as asked for elsewhere.
    """

    default: LayerStorage = field(default_factory=LayerStorage)
    layers: dict[str, LayerStorage] = field(default_factory=dict)
    batch: Annotated[int, Meta(ge=1)] | None = None

    def of(self, name: str) -> LayerStorage:
        """Return what the plan says of a layer."""
        said = self.default
        for pattern, entry in self.layers.items():
            if pattern == name or fnmatchcase(name, pattern):
                said = entry.over(said)
        return said


@dataclass(frozen=True, kw_only=True)
class StoredWords:
    """Words of the machine that a layer's operands take in DRAM.

    Attributes:
        weights: Kept weights with their positions and codebook.
        inputs: Input feature maps, over the batch.
        outputs: Output feature map, over the batch.
        weights_per_word: Words stored for one weight of the layer: what a count of weights is multiplied by.
        inputs_per_word: The same for inputs.
        outputs_per_word: The same for outputs.
    """

    weights: int
    inputs: int
    outputs: int
    weights_per_word: float
    inputs_per_word: float
    outputs_per_word: float


def load_storage(path: str | PathLike[str], network: Network) -> StoragePlan:
    """Read a plan for a network.

    Raises:
        WorkloadError: The file is wrong, or names or patterns fit no layer of the network.
    """
    document = read_yaml(path, WorkloadError)
    plan = convert(document, StoragePlan, WorkloadError)
    names = [layer.name for layer in network]
    for pattern in plan.layers:
        if pattern not in names and not any(fnmatchcase(name, pattern) for name in names):
            problem = f"network {network.name} has no layer {pattern!r}{did_you_mean(pattern, names)}"
            raise WorkloadError(at(document, ("layers", pattern), problem))
    for name in names:
        _coding(name, plan.of(name), 16)
    return plan


def layer_coding(plan: StoragePlan, layer: Layer, word_bits: int) -> Coding:
    """Return how a layer's weights are stored on a machine with words of ``word_bits``.

    Raises:
        WorkloadError: Fields of the plan do not go together.
    """
    return _coding(layer.name, plan.of(layer.name), word_bits)


def stored_words(network: Network, plan: StoragePlan, word_bits: int) -> Mapping[str, StoredWords]:
    """Return the words of DRAM of every layer on the array, by its name.

    Weights count with their positions and codebook, biases do not: no count of weights has them. The second factor of
    a matmul is a feature map and has its inputs' bits.

    Args:
        network: The network, at its batch.
        plan: The plan.
        word_bits: Bits of the machine's word.

    Raises:
        WorkloadError: Fields of the plan do not go together.

    Examples:
        >>> from accelsim import load_network
        >>> plan = StoragePlan(default=LayerStorage(weight_bits=8, input_bits=8))
        >>> words = stored_words(load_network("alexnet"), plan, word_bits=16)["conv1"]
        >>> words.weights_per_word, words.inputs_per_word, words.outputs_per_word
        (0.5, 0.5, 1.0)
    """
    return {layer.name: _stored(layer, plan, word_bits) for layer in network.array_layers}


def with_storage(network: Network, plan: StoragePlan, word_bits: int) -> Network:
    """Return a network whose layers on the array lie in DRAM as a plan says.

    Args:
        network: The network, at its batch.
        plan: The plan.
        word_bits: Bits of the machine's word.

    Raises:
        WorkloadError: Fields of the plan do not go together.

    Examples:
        >>> from accelsim import load_network
        >>> plan = StoragePlan(layers={"conv*": LayerStorage(weight_bits=8)})
        >>> with_storage(load_network("alexnet"), plan, word_bits=16)["conv1"].stored
        Stored(weights=0.5, inputs=1.0, outputs=1.0)
    """
    words = stored_words(network, plan, word_bits)
    stored = {
        name: Stored(entry.weights_per_word, entry.inputs_per_word, entry.outputs_per_word)
        for name, entry in words.items()
    }
    return replace(
        network,
        layers=tuple(
            replace(layer, stored=stored[layer.name]) if layer.name in stored else layer for layer in network.layers
        ),
    )


def _stored(layer: Layer, plan: StoragePlan, word_bits: int) -> StoredWords:
    said = plan.of(layer.name)
    inputs, outputs = (bits / word_bits for bits in (said.input_bits or word_bits, said.output_bits or word_bits))
    if layer.op is Op.MATMUL:
        weights = ceil(layer.weights * inputs)
    else:
        size = layer_size(layer, layer_coding(plan, layer, word_bits))
        weights = ceil((size.total_bytes - size.other_bytes) * 8 / word_bits)
    return StoredWords(
        weights=weights,
        inputs=ceil(layer.input_words * inputs),
        outputs=ceil(layer.output_words * outputs),
        weights_per_word=weights / layer.weights,
        inputs_per_word=inputs,
        outputs_per_word=outputs,
    )


def _coding(name: str, said: LayerStorage, word_bits: int) -> Coding:
    try:
        return Coding(
            weight_bits=said.weight_bits or word_bits,
            density=1.0 if said.density is None else said.density,
            format=said.format or WeightFormat.DENSE,
            index_bits=said.index_bits or 4,
            codebook=bool(said.codebook),
            value_bits=word_bits,
        )
    except WorkloadError as wrong:
        raise WorkloadError(f"layer {name}: {wrong}") from None

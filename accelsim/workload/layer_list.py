"""Networks written as a YAML list of layers: the fields of every operation, and the building."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from accelsim.errors import WorkloadError, did_you_mean
from accelsim.workload.graph_builder import GraphBuilder
from accelsim.workload.layer import Op, Shape, pair
from accelsim.workload.network import INPUT, Fact, Network, Tensor
from accelsim.yamlio import Document, convert

Count = Annotated[int, Meta(ge=1)]
Index = Annotated[int, Meta(ge=0)]
# Not Count | tuple[Count, Count]: msgspec 0.22 crashes the interpreter, in garbage collection, on a union of a
# bounded number and a tuple of fixed length.
Pair = Count | Annotated[list[Count], Meta(min_length=2, max_length=2)]
Sides = Index | list[Index] | Literal["same"]
Name = Annotated[str, Meta(min_length=1)]


class LayerSpec(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="op"):
    """What every layer may say; ``inputs`` defaults to the layer before it.

    Attributes:
        name: Name of the layer, unlike all others.
        inputs: Names of the layers that it reads, or ``input``, the image; left out: the layer before it.
        block: Path such as ``stage1/unit2``, for breakdowns.
    """

    reads: ClassVar[tuple[int, int | None]] = (1, 1)
    """Fewest and most inputs; None: any number."""

    name: Name
    inputs: Name | list[Name] | None = None
    block: str = ""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        raise NotImplementedError


class ConvSpec(LayerSpec, tag=Op.CONV.value):
    """Convolution.

    Attributes:
        out_channels: Output channels, over all groups.
        kernel: Height and width of the filter, or one number for both.
        stride: Vertical and horizontal step, or one number for both.
        padding: Rows and columns of zeros: one number, two, four (top, bottom, left, right), or ``same``.
        dilation: Vertical and horizontal distance of taps, or one number for both.
        groups: Into how many groups the channels are divided; as many as channels: depthwise.
        bias: Whether every output channel has a bias.
    """

    out_channels: Count
    kernel: Pair = 1
    stride: Pair = 1
    padding: Sides = 0
    dilation: Pair = 1
    groups: Count = 1
    bias: bool = False

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.conv(
            tensors[0],
            self.out_channels,
            pair(self.kernel),
            stride=pair(self.stride),
            padding=_sides(self.padding),
            dilation=pair(self.dilation),
            groups=self.groups,
            bias=self.bias,
            name=self.name,
        )


class LinearSpec(LayerSpec, tag=Op.LINEAR.value):
    """Fully connected layer.

    Attributes:
        features: Outputs.
        bias: Whether every output has a bias.
        per_pixel: Whether every pixel, or token, is multiplied on its own; else all of the input is flattened.
    """

    features: Count
    bias: bool = False
    per_pixel: bool = False

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.linear(tensors[0], self.features, bias=self.bias, per_pixel=self.per_pixel, name=self.name)


class MatmulSpec(LayerSpec, tag=Op.MATMUL.value):
    """Product of two maps: in each group, ``rows`` x ``inner`` by ``inner`` x ``columns``.

    Attributes:
        rows: Rows of the first factor.
        inner: Columns of the first factor and rows of the second.
        columns: Columns of the second factor.
        groups: Number of products, such as heads of attention.
    """

    reads = (2, 2)
    rows: Count
    inner: Count
    columns: Count
    groups: Count = 1

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.matmul(tensors[0], tensors[1], self.rows, self.inner, self.columns, groups=self.groups, name=self.name)


class MaxPoolSpec(LayerSpec, tag=Op.MAX_POOL.value):
    """Max pooling; ``stride`` defaults to the kernel.

    Attributes:
        kernel: Height and width of the window, or one number for both.
        stride: Vertical and horizontal step, or one number for both; left out: the kernel.
        padding: Rows and columns around the input, as of a convolution.
        ceil_mode: Whether a window that lies in the input in part counts.
    """

    kernel: Pair
    stride: Pair | None = None
    padding: Sides = 0
    ceil_mode: bool = False

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.max_pool(tensors[0], pair(self.kernel), **self.options())

    def options(self) -> dict[str, Any]:
        """Return the builder's options."""
        return {
            "stride": None if self.stride is None else pair(self.stride),
            "padding": _sides(self.padding),
            "ceil_mode": self.ceil_mode,
            "name": self.name,
        }


class AvgPoolSpec(MaxPoolSpec, tag=Op.AVG_POOL.value):
    """Average pooling."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.avg_pool(tensors[0], pair(self.kernel), **self.options())


class GlobalAvgPoolSpec(LayerSpec, tag=Op.GLOBAL_AVG_POOL.value):
    """Average over all pixels of each channel."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.global_avg_pool(tensors[0], name=self.name)


class AddSpec(LayerSpec, tag=Op.ADD.value):
    """Element-wise sum."""

    reads = (2, None)

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.add(*tensors, name=self.name)


class MulSpec(LayerSpec, tag=Op.MUL.value):
    """Element-wise product of a map and a scale."""

    reads = (2, 2)

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.mul(*tensors, name=self.name)


class ConcatSpec(LayerSpec, tag=Op.CONCAT.value):
    """Concatenation along the channels."""

    reads = (2, None)

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.concat(*tensors, name=self.name)


class BatchNormSpec(LayerSpec, tag=Op.BATCH_NORM.value):
    """Batch normalisation."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.batch_norm(tensors[0], name=self.name)


class ActivationSpec(LayerSpec, tag=Op.ACTIVATION.value):
    """Element-wise function; ``params`` counts what it learns, such as a position embedding that it adds.

    Attributes:
        function: Name of the function.
        params: Number of learned values.
    """

    function: Name = "relu"
    params: Index = 0

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.elementwise(tensors[0], self.function, params=self.params, name=self.name)


class LrnSpec(LayerSpec, tag=Op.LRN.value):
    """Local response normalisation."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.lrn(tensors[0], name=self.name)


class SoftmaxSpec(LayerSpec, tag=Op.SOFTMAX.value):
    """Softmax over the channels."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.softmax(tensors[0], name=self.name)


class ChannelShuffleSpec(LayerSpec, tag=Op.CHANNEL_SHUFFLE.value):
    """Interleaving of the channels of groups.

    Attributes:
        groups: Number of groups.
    """

    groups: Count

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.channel_shuffle(tensors[0], self.groups, name=self.name)


class UpsampleSpec(LayerSpec, tag=Op.UPSAMPLE.value):
    """Enlargement in both directions.

    Attributes:
        factor: How many times higher and wider.
        size: Height and width of the output, in the place of a factor.
    """

    factor: Count = 2
    size: Annotated[list[Count], Meta(min_length=2, max_length=2)] | None = None

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        size = None if self.size is None else pair(self.size)
        return b.upsample(tensors[0], self.factor, size=size, name=self.name)


class PadChannelsSpec(LayerSpec, tag=Op.PAD_CHANNELS.value):
    """Subsampling, and zero channels up to ``channels``.

    Attributes:
        channels: Channels of the output.
        stride: Which pixels are kept: one in so many, in both directions.
    """

    channels: Count
    stride: Count = 1

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.pad_channels(tensors[0], self.channels, stride=self.stride, name=self.name)


class SliceChannelsSpec(LayerSpec, tag=Op.SLICE_CHANNELS.value):
    """Channels ``start`` to ``stop``, exclusive.

    Attributes:
        start: First channel.
        stop: Channel behind the last.
    """

    start: Index
    stop: Count

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.slice_channels(tensors[0], self.start, self.stop, name=self.name)


class FlattenSpec(LayerSpec, tag=Op.FLATTEN.value):
    """All elements as channels of one pixel."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.flatten(tensors[0], name=self.name)


class DropoutSpec(LayerSpec, tag=Op.DROPOUT.value):
    """Dropout: nothing at inference."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.dropout(tensors[0], name=self.name)


class LayerNormSpec(LayerSpec, tag=Op.LAYER_NORM.value):
    """Normalisation with statistics of the image itself; ``params`` counts its gamma and beta.

    Attributes:
        function: Name of the kind, such as ``group_norm``.
        params: Number of learned values.
    """

    function: Name = "layer_norm"
    params: Index = 0

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.layer_norm(tensors[0], self.function, params=self.params, name=self.name)


class ReshapeSpec(LayerSpec, tag=Op.RESHAPE.value):
    """The same words in another shape: a view.

    Attributes:
        shape: Channels, height and width of the output.
    """

    shape: Annotated[list[Count], Meta(min_length=3, max_length=3)]

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.reshape(tensors[0], Shape(*self.shape), name=self.name)


class TransposeSpec(ReshapeSpec, tag=Op.TRANSPOSE.value):
    """The same words in another order: a copy."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.transpose(tensors[0], Shape(*self.shape), name=self.name)


class SliceSpec(ReshapeSpec, tag=Op.SLICE.value):
    """A part of a map, of any shape: a view."""

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.slice(tensors[0], Shape(*self.shape), name=self.name)


class InterleaveSpec(ReshapeSpec, tag=Op.INTERLEAVE.value):
    """One map of the pixels of several, such as the phases of a transposed convolution."""

    reads = (1, None)

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.interleave(*tensors, shape=Shape(*self.shape), name=self.name)


class MoveSpec(ReshapeSpec, tag=Op.MOVE.value):
    """Any other operation that reads its inputs once and writes its output; ``function`` says which.

    Attributes:
        function: Name of the operation.
        params: Number of learned values.
    """

    reads = (1, None)
    function: Name
    params: Index = 0

    def add(self, b: GraphBuilder, tensors: Sequence[Tensor]) -> Tensor:
        """Add the layer to a network."""
        return b.move(*tensors, shape=Shape(*self.shape), function=self.function, params=self.params, name=self.name)


AnyLayerSpec = (
    ConvSpec
    | LinearSpec
    | MatmulSpec
    | MaxPoolSpec
    | AvgPoolSpec
    | GlobalAvgPoolSpec
    | AddSpec
    | MulSpec
    | ConcatSpec
    | BatchNormSpec
    | ActivationSpec
    | LrnSpec
    | SoftmaxSpec
    | ChannelShuffleSpec
    | UpsampleSpec
    | PadChannelsSpec
    | SliceChannelsSpec
    | FlattenSpec
    | DropoutSpec
    | LayerNormSpec
    | ReshapeSpec
    | TransposeSpec
    | SliceSpec
    | InterleaveSpec
    | MoveSpec
)


class LayerList(Struct, kw_only=True, forbid_unknown_fields=True):
    """A network's YAML file that lists its layers.

    Attributes:
        name: Name of the network.
        input: Channels, height and width of one image.
        layers: The layers, each behind those that it reads.
        aliases: Other names of the network.
        facts: Published figures, cited and never computed.
    """

    name: Name
    input: tuple[Count, Count, Count]
    layers: Annotated[list[AnyLayerSpec], Meta(min_length=1)]
    aliases: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()


def build_layer_list(document: Document) -> Network:
    """Build the network that a document lists layer by layer.

    Raises:
        WorkloadError: A layer has a wrong or unknown field, reads what does not exist or comes later,
            or does not fit what it reads.
    """
    listing = convert(document, LayerList, WorkloadError)
    reads = _resolve_inputs(document, listing.layers)
    b = GraphBuilder(listing.name, listing.input)
    for index, spec in enumerate(listing.layers):
        try:
            with b.scope(spec.block) if spec.block else nullcontext():
                spec.add(b, [b.tensor(name) for name in reads[index]])
        except WorkloadError as wrong:
            raise WorkloadError(f"{document.path}:{document.line(('layers', index))}: {wrong}") from None
    return replace(b.build(), facts=listing.facts)


def _resolve_inputs(document: Document, specs: Sequence[LayerSpec]) -> list[list[str]]:
    """Return the names that each layer reads, after checking that every one comes before it."""
    position: dict[str, int] = {}
    for index, spec in enumerate(specs):
        if spec.name == INPUT:
            raise _wrong(document, index, f"{INPUT!r} is the image; give the layer another name")
        if spec.name in position:
            first = document.line(("layers", position[spec.name]))
            raise _wrong(document, index, f"layer {spec.name}: the name is taken by the layer on line {first}")
        position[spec.name] = index
    reads: list[list[str]] = []
    for index, spec in enumerate(specs):
        previous = specs[index - 1].name if index else INPUT
        names = [previous] if spec.inputs is None else [spec.inputs] if isinstance(spec.inputs, str) else spec.inputs
        reads.append(names)
    for index, spec in enumerate(specs):
        fewest, most = spec.reads
        if len(reads[index]) < fewest or (most is not None and len(reads[index]) > most):
            needed = f"{fewest}" if fewest == most else f"at least {fewest}"
            op = spec.__struct_config__.tag
            raise _wrong(document, index, f"layer {spec.name}: {op} reads {needed} inputs, got {len(reads[index])}")
        for source in reads[index]:
            if source != INPUT and source not in position:
                near = did_you_mean(source, [INPUT, *position])
                raise _wrong(document, index, f"layer {spec.name}: reads {source!r}, which does not exist{near}")
            if source != INPUT and position[source] >= index:
                raise _wrong(document, index, _later(document, specs, reads, position, index, source))
    return reads


def _later(
    document: Document,
    specs: Sequence[LayerSpec],
    reads: Sequence[Sequence[str]],
    position: dict[str, int],
    index: int,
    source: str,
) -> str:
    """Say that a layer reads a later one, and whether that closes a cycle."""
    name = specs[index].name
    chain = _chain(reads, position, source, name)
    if chain:
        return f"layer {name}: is part of a cycle: {' reads '.join([name, *chain])}"
    line = document.line(("layers", position[source]))
    return f"layer {name}: reads {source!r}, which comes later (line {line}); list it before its readers"


def _chain(reads: Sequence[Sequence[str]], position: dict[str, int], start: str, goal: str) -> list[str]:
    """Return layers from ``start`` to ``goal`` of which each reads the next, or an empty list."""
    came_from: dict[str, str | None] = {start: None}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name == goal:
            chain = [name]
            while (before := came_from[chain[0]]) is not None:
                chain.insert(0, before)
            return chain
        for source in reads[position[name]]:
            if source in position and source not in came_from:
                came_from[source] = name
                waiting.append(source)
    return []


def _wrong(document: Document, index: int, message: str) -> WorkloadError:
    return WorkloadError(f"{document.path}:{document.line(('layers', index))}: {message}")


def _sides(padding: int | list[int] | str) -> int | tuple[int, ...] | str:
    """Return padding as the builder takes it."""
    return tuple(padding) if isinstance(padding, list) else padding

"""A network: a directed acyclic graph of layers, with totals; and the builder that infers shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from accelsim.errors import WorkloadError, did_you_mean
from accelsim.workload.layer import (
    Kind,
    Layer,
    Op,
    Shape,
    conv_output_size,
    pair,
    resolve_padding,
)

MAX_LAYERS = 50_000
"""Most layers of a network: ten times those of the deepest published one, a few seconds to build."""

INPUT = "input"
"""Name by which layers refer to the network's input."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Published figures of a network, with their source; ``None`` where the source says nothing.

    Attributes:
        source: Where the figures are from.
        params_m: Parameters, in millions.
        macs_m: Multiply-accumulates of one image, in millions.
        top1_percent: Top-1 accuracy on the source's data set.
        top5_percent: Top-5 accuracy on the same.
        note: What a reader of the figures has to know.
    """

    source: str
    params_m: float | None = None
    macs_m: float | None = None
    top1_percent: float | None = None
    top5_percent: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Network:
    """Layers in an order in which they can run, with the names of what each one reads.

    Attributes:
        name: Name of the network.
        input_shape: Shape of one input image.
        layers: Every layer, each after all that it reads.
        inputs: For each layer name, the names of the layers it reads (``"input"`` is the image).
        family: Name of the family that built it, or an empty string.
        parameters: What the family was given.
        facts: Published figures.
    """

    name: str
    input_shape: Shape
    layers: tuple[Layer, ...]
    inputs: Mapping[str, tuple[str, ...]]
    family: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise WorkloadError("a network's name must not be empty")
        seen = {INPUT}
        names = {layer.name for layer in self.layers}
        for layer in self.layers:
            if layer.name in seen:
                raise WorkloadError(f"network {self.name}: {_name_taken(layer.name)}")
            if layer.name not in self.inputs:
                raise WorkloadError(f"network {self.name}: nothing says what layer {layer.name} reads")
            for source in self.inputs[layer.name]:
                if source not in seen:
                    fault = "does not come before it" if source in names else "does not exist"
                    raise WorkloadError(f"network {self.name}: layer {layer.name} reads {source!r}, which {fault}")
            seen.add(layer.name)

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = [layer.name for layer in self.layers]
        raise WorkloadError(f"network {self.name} has no layer {name!r}{did_you_mean(name, known)}")

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @cached_property
    def array_layers(self) -> tuple[Layer, ...]:
        """The layers that run on the PE array."""
        return tuple(layer for layer in self.layers if layer.on_array)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the layers whose results no other layer reads."""
        read = {source for sources in self.inputs.values() for source in sources}
        return tuple(layer.name for layer in self.layers if layer.name not in read)

    @cached_property
    def totals(self) -> dict[str, int]:
        """Parameters, split by what they belong to, and MACs of one batch."""
        conv = sum(layer.params_weights for layer in self.layers if layer.op is Op.CONV)
        linear = sum(layer.params_weights for layer in self.layers if layer.op is Op.LINEAR)
        bias = sum(layer.params_bias for layer in self.layers)
        bn = sum(layer.params_bn for layer in self.layers)
        other = sum(layer.params_other for layer in self.layers)
        return {
            "params": conv + linear + bias + bn + other,
            "params_conv": conv,
            "params_linear": linear,
            "params_bias": bias,
            "params_bn": bn,
            "params_other": other,
            "macs": sum(layer.macs for layer in self.layers),
        }

    def by_kind(self) -> dict[Kind, dict[str, int]]:
        """Layers, MACs and weights of each kind of array layer, in the order of ``Kind``."""
        layers: Counter[Kind] = Counter()
        macs: Counter[Kind] = Counter()
        params: Counter[Kind] = Counter()
        for layer in self.array_layers:
            layers[layer.kind] += 1
            macs[layer.kind] += layer.macs
            params[layer.kind] += layer.params_weights
        return {k: {"layers": layers[k], "macs": macs[k], "params": params[k]} for k in Kind if layers[k]}

    def folded_batch_norms(self) -> frozenset[str]:
        """Names of batch norms that inference folds into the convolution or linear layer before them.

        Legal only where the batch norm is the one reader of a layer with weights; in a pre-activation
        block it follows an add or a concat and stays.
        """
        readers = Counter(source for sources in self.inputs.values() for source in sources)
        weighted = {layer.name for layer in self.layers if layer.op in (Op.CONV, Op.LINEAR)}
        return frozenset(
            layer.name
            for layer in self.layers
            if layer.op is Op.BATCH_NORM
            and self.inputs[layer.name][0] in weighted
            and readers[self.inputs[layer.name][0]] == 1
        )

    def with_batch(self, batch: int) -> Network:
        """Return the same network for ``batch`` images at a time.

        Raises:
            WorkloadError: ``batch`` is not a positive integer.
        """
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise WorkloadError(f"batch must be a positive integer, got {batch!r}")
        if all(batch == layer.N for layer in self.layers):
            return self
        return replace(self, layers=tuple(layer.with_batch(batch) for layer in self.layers))


class Tensor(NamedTuple):
    """What a builder call returns: the name of the layer that makes it, and its shape."""

    name: str
    shape: Shape

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.shape.channels


class NetworkBuilder:
    """Builds a network one call at a time, inferring shapes and refusing what cannot fit.

    Every method takes the tensors that it reads and returns the one that it makes. Without ``name`` a layer
    is called after its operation and its place: ``stage1/unit2/conv3``.

    Args:
        name: Name of the network.
        input_shape: (channels, height, width) of one image.
        family: Name of the family that builds it.
        parameters: What the family was given.

    Examples:
        >>> b = NetworkBuilder("tiny", (3, 32, 32))
        >>> x = b.conv(b.input, 16, 3, padding=1, name="conv1")
        >>> x = b.linear(b.global_avg_pool(x), 10, name="fc")
        >>> [(layer.name, layer.macs) for layer in b.build().array_layers]
        [('conv1', 442368), ('fc', 160)]
    """

    def __init__(
        self,
        name: str,
        input_shape: tuple[int, int, int],
        *,
        family: str = "",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        shape = Shape(*input_shape)
        if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in shape):
            raise WorkloadError(f"network {name}: input must be three positive integers, got {tuple(shape)}")
        self.name = name
        self.input = Tensor(INPUT, shape)
        self._family = family
        self._parameters = dict(parameters or {})
        self._layers: list[Layer] = []
        self._inputs: dict[str, tuple[str, ...]] = {}
        self._shapes: dict[str, Shape] = {INPUT: shape}
        self._scopes: list[str] = []
        self._counters: Counter[str] = Counter()

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put the layers added inside into the block ``name`` (nested scopes join with a slash)."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def tensor(self, name: str) -> Tensor:
        """Return the tensor that layer ``name`` makes.

        Raises:
            WorkloadError: There is no such layer yet.
        """
        if name not in self._shapes:
            raise WorkloadError(f"network {self.name}: no layer {name!r}{did_you_mean(name, self._shapes)}")
        return Tensor(name, self._shapes[name])

    def build(self) -> Network:
        """Return the network.

        Raises:
            WorkloadError: No layer was added.
        """
        if not self._layers:
            raise WorkloadError(f"network {self.name}: has no layers")
        return Network(
            name=self.name,
            input_shape=self.input.shape,
            layers=tuple(self._layers),
            inputs=self._inputs,
            family=self._family,
            parameters=self._parameters,
        )

    # --- operations that run on the array -------------------------------------------------------

    def conv(
        self,
        x: Tensor,
        channels: int,
        kernel: int | tuple[int, int] = 1,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = False,
        name: str | None = None,
    ) -> Tensor:
        """Convolution to ``channels`` output channels; arguments as of ``Layer.conv``."""
        layer = Layer.conv(
            self._name(Op.CONV, name),
            x.channels,
            channels,
            (x.shape.height, x.shape.width),
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            block=self._block,
        )
        return self._add(layer, (x,))

    def depthwise(self, x: Tensor, kernel: int | tuple[int, int], **options: Any) -> Tensor:
        """Depthwise convolution: one filter per channel; options as of ``conv``."""
        return self.conv(x, x.channels, kernel, groups=x.channels, **options)

    def linear(
        self, x: Tensor, features: int, *, bias: bool = False, per_pixel: bool = False, name: str | None = None
    ) -> Tensor:
        """Fully connected layer over all of ``x``, flattened; or over the channels of each pixel on its own."""
        layer = Layer(
            name=self._name(Op.LINEAR, name),
            op=Op.LINEAR,
            K=features,
            C=x.channels if per_pixel else x.shape.words,
            P=x.shape.height if per_pixel else 1,
            Q=x.shape.width if per_pixel else 1,
            input_shapes=(x.shape,),
            bias=bias,
            block=self._block,
        )
        return self._add(layer, (x,))

    # --- operations that move data --------------------------------------------------------------

    def max_pool(self, x: Tensor, kernel: int | tuple[int, int], **options: Any) -> Tensor:
        """Max pooling; options: stride (default: the kernel), padding, ceil_mode, name."""
        return self._pool(Op.MAX_POOL, x, kernel, **options)

    def avg_pool(self, x: Tensor, kernel: int | tuple[int, int], **options: Any) -> Tensor:
        """Average pooling; options as of ``max_pool``."""
        return self._pool(Op.AVG_POOL, x, kernel, **options)

    def global_avg_pool(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Average over all pixels of each channel."""
        shape = Shape(x.channels, 1, 1)
        return self._move(Op.GLOBAL_AVG_POOL, (x,), shape, name, R=x.shape.height, S=x.shape.width)

    def add(self, *tensors: Tensor, name: str | None = None) -> Tensor:
        """Element-wise sum of tensors of one shape."""
        resolved = self._name(Op.ADD, name)
        if len(tensors) < 2:
            raise WorkloadError(f"layer {resolved}: add reads at least 2 inputs, got {len(tensors)}")
        for other in tensors[1:]:
            if other.shape != tensors[0].shape:
                raise WorkloadError(
                    f"layer {resolved}: adds {tensors[0].name} of shape {tensors[0].shape} "
                    f"and {other.name} of shape {other.shape}"
                )
        return self._move(Op.ADD, tensors, tensors[0].shape, name)

    def mul(self, x: Tensor, scale: Tensor, *, name: str | None = None) -> Tensor:
        """Element-wise product; ``scale`` has the shape of ``x``, or one value per channel (or pixel)."""
        resolved = self._name(Op.MUL, name)
        for size, factor in zip(x.shape, scale.shape, strict=True):
            if factor not in (1, size):
                raise WorkloadError(
                    f"layer {resolved}: scales {x.name} of shape {x.shape} by {scale.name} of shape {scale.shape}"
                )
        return self._move(Op.MUL, (x, scale), x.shape, name)

    def concat(self, *tensors: Tensor, name: str | None = None) -> Tensor:
        """Concatenation along the channels."""
        resolved = self._name(Op.CONCAT, name)
        if not tensors:
            raise WorkloadError(f"layer {resolved}: concat reads at least 1 input, got 0")
        first = tensors[0]
        for other in tensors[1:]:
            if other.shape[1:] != first.shape[1:]:
                raise WorkloadError(
                    f"layer {resolved}: joins {first.name} of {first.shape.height}x{first.shape.width} pixels "
                    f"and {other.name} of {other.shape.height}x{other.shape.width}"
                )
        channels = sum(tensor.channels for tensor in tensors)
        return self._move(Op.CONCAT, tensors, first.shape._replace(channels=channels), name)

    def batch_norm(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Batch normalisation with a learned gamma and beta per channel."""
        return self._move(Op.BATCH_NORM, (x,), x.shape, name)

    def activation(self, x: Tensor, function: str = "relu", *, name: str | None = None) -> Tensor:
        """Element-wise non-linearity."""
        return self._move(Op.ACTIVATION, (x,), x.shape, name, detail=function)

    def relu(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Rectified linear unit."""
        return self.activation(x, "relu", name=name)

    def lrn(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Local response normalisation."""
        return self._move(Op.LRN, (x,), x.shape, name)

    def softmax(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Softmax over the channels."""
        return self._move(Op.SOFTMAX, (x,), x.shape, name)

    def dropout(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Dropout: nothing at inference, kept so that the graph is the published one."""
        return self._move(Op.DROPOUT, (x,), x.shape, name)

    def flatten(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """All elements as channels of one pixel."""
        return self._move(Op.FLATTEN, (x,), Shape(x.shape.words, 1, 1), name)

    def channel_shuffle(self, x: Tensor, groups: int, *, name: str | None = None) -> Tensor:
        """Interleave the channels of ``groups`` groups."""
        resolved = self._name(Op.CHANNEL_SHUFFLE, name)
        if groups < 1 or x.channels % groups:
            raise WorkloadError(f"layer {resolved}: groups {groups} do not divide {x.channels} channels")
        return self._move(Op.CHANNEL_SHUFFLE, (x,), x.shape, name, detail=f"groups={groups}")

    def slice_channels(self, x: Tensor, start: int, stop: int, *, name: str | None = None) -> Tensor:
        """Channels ``start`` to ``stop`` (exclusive): a view."""
        resolved = self._name(Op.SLICE_CHANNELS, name)
        if not 0 <= start < stop <= x.channels:
            raise WorkloadError(f"layer {resolved}: slice {start}:{stop} is not within {x.channels} channels")
        shape = x.shape._replace(channels=stop - start)
        return self._move(Op.SLICE_CHANNELS, (x,), shape, name, detail=f"{start}:{stop}")

    def pad_channels(self, x: Tensor, channels: int, *, stride: int = 1, name: str | None = None) -> Tensor:
        """Take every ``stride``-th pixel and add zero channels up to ``channels`` (ResNet's option A)."""
        resolved = self._name(Op.PAD_CHANNELS, name)
        if channels < x.channels:
            raise WorkloadError(f"layer {resolved}: cannot pad {x.channels} channels to {channels}")
        if stride < 1:
            raise WorkloadError(f"layer {resolved}: stride must be at least 1, got {stride}")
        shape = Shape(channels, -(-x.shape.height // stride), -(-x.shape.width // stride))
        return self._move(Op.PAD_CHANNELS, (x,), shape, name, stride=(stride, stride))

    def upsample(
        self, x: Tensor, factor: int = 2, *, size: tuple[int, int] | None = None, name: str | None = None
    ) -> Tensor:
        """Enlarge the map ``factor`` times in both directions, or resize it to ``size`` pixels."""
        if size is not None:
            return self._move(Op.UPSAMPLE, (x,), Shape(x.channels, *size), name, detail=f"size={size[0]}x{size[1]}")
        shape = Shape(x.channels, x.shape.height * factor, x.shape.width * factor)
        return self._move(Op.UPSAMPLE, (x,), shape, name, detail=f"factor={factor}")

    # --- what families repeat -------------------------------------------------------------------

    def conv_bn(
        self,
        x: Tensor,
        channels: int,
        kernel: int | tuple[int, int] = 1,
        *,
        act: str | None = "relu",
        name: str | None = None,
        **options: Any,
    ) -> Tensor:
        """Convolution without bias, batch norm, and an activation unless ``act`` is None."""
        conv = self.conv(x, channels, kernel, name=name, **options)
        norm = self.batch_norm(conv, name=f"{conv.name}/bn")
        return self.activation(norm, act, name=f"{conv.name}/{act}") if act else norm

    def conv_relu(self, x: Tensor, channels: int, kernel: int | tuple[int, int] = 1, **options: Any) -> Tensor:
        """Convolution and ReLU."""
        conv = self.conv(x, channels, kernel, **options)
        return self.relu(conv, name=f"{conv.name}/relu")

    # --- inner workings -------------------------------------------------------------------------

    @property
    def _block(self) -> str:
        return "/".join(self._scopes)

    def _name(self, op: Op, name: str | None) -> str:
        """Return the layer's name: the given one, or the next free one of its operation."""
        if name is not None:
            return name
        stem = "/".join([*self._scopes, op.value])
        return f"{stem}{self._counters[stem] + 1}"

    def _pool(
        self,
        op: Op,
        x: Tensor,
        kernel: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, ...] | str = 0,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> Tensor:
        resolved = self._name(op, name)
        size = (x.shape.height, x.shape.width)
        window = pair(kernel)
        steps = pair(window if stride is None else stride)
        if min(*window, *steps) < 1:
            raise WorkloadError(f"layer {resolved}: kernel and stride must be at least 1, got {window} and {steps}")
        pads = resolve_padding(resolved, padding, size, window, steps, (1, 1))
        sides = (pads[:2], pads[2:])
        outputs = [
            _pool_output_size(resolved, size[axis], window[axis], steps[axis], sides[axis], ceil_mode)
            for axis in range(2)
        ]
        return self._move(
            op, (x,), Shape(x.channels, *outputs), name, R=window[0], S=window[1], stride=steps, padding=pads
        )

    def _move(self, op: Op, tensors: Sequence[Tensor], shape: Shape, name: str | None, **options: Any) -> Tensor:
        layer = Layer(
            name=self._name(op, name),
            op=op,
            G=shape.channels,
            P=shape.height,
            Q=shape.width,
            input_shapes=tuple(tensor.shape for tensor in tensors),
            block=self._block,
            **options,
        )
        return self._add(layer, tensors)

    def _add(self, layer: Layer, tensors: Sequence[Tensor]) -> Tensor:
        if layer.name in self._shapes:
            raise WorkloadError(f"network {self.name}: {_name_taken(layer.name)}")
        if len(self._layers) >= MAX_LAYERS:
            raise WorkloadError(f"network {self.name}: has more than {MAX_LAYERS} layers, the most that are built")
        stem = "/".join([*self._scopes, layer.op.value])
        self._counters[stem] += layer.name == f"{stem}{self._counters[stem] + 1}"
        self._layers.append(layer)
        self._inputs[layer.name] = tuple(tensor.name for tensor in tensors)
        self._shapes[layer.name] = layer.output_shape
        return Tensor(layer.name, layer.output_shape)


def _pool_output_size(name: str, size: int, kernel: int, stride: int, pads: tuple[int, ...], ceil_mode: bool) -> int:
    """Return a pooling window's output size; rounding up never starts a window in the padding."""
    rounded_down = conv_output_size(name, size, kernel, stride, pads[0], pads[1], 1)
    if not ceil_mode:
        return rounded_down
    outputs = -(-(size + pads[0] + pads[1] - kernel) // stride) + 1
    return outputs - ((outputs - 1) * stride >= size + pads[0])


def _name_taken(name: str) -> str:
    """Say why a layer cannot have this name."""
    return f"{INPUT!r} is the image, no layer may be named so" if name == INPUT else f"two layers are named {name!r}"

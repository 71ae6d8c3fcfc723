"""One layer of a network: its operation, its dims and what follows from them.

Dims are those of the field: N batch, G convolution groups, K output channels per group, C input
channels per group, P and Q output height and width, R and S filter height and width. A depthwise
convolution has G = channels and K = C = 1. An operation that only moves data (pooling, add, ...)
has G = output channels and K = C = 1, so that ``N G K P Q`` is always the size of the output.

A linear layer reads its whole input as one pixel of C channels (P = Q = 1), or every pixel on its own (P x Q of them,
as the tokens of a transformer are). A matmul multiplies, in each of G groups, P rows of C words by a second factor of
C x K words that takes the place of the weights; that factor differs from image to image, so that images are groups of
their own: a batch multiplies G, and N stays 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import NamedTuple

from accelsim.errors import WorkloadError


class Op(StrEnum):
    """What a layer computes."""

    CONV = "conv"
    LINEAR = "linear"
    MATMUL = "matmul"
    MAX_POOL = "max_pool"
    AVG_POOL = "avg_pool"
    GLOBAL_AVG_POOL = "global_avg_pool"
    ADD = "add"
    MUL = "mul"
    CONCAT = "concat"
    BATCH_NORM = "batch_norm"
    ACTIVATION = "activation"
    LRN = "lrn"
    SOFTMAX = "softmax"
    CHANNEL_SHUFFLE = "channel_shuffle"
    UPSAMPLE = "upsample"
    PAD_CHANNELS = "pad_channels"
    SLICE_CHANNELS = "slice_channels"
    FLATTEN = "flatten"
    DROPOUT = "dropout"
    LAYER_NORM = "layer_norm"
    TRANSPOSE = "transpose"
    RESHAPE = "reshape"
    SLICE = "slice"
    INTERLEAVE = "interleave"
    MOVE = "move"


ARRAY_OPS = frozenset({Op.CONV, Op.LINEAR, Op.MATMUL})
"""Operations that run on the PE array; all others only move data."""

VIEW_OPS = frozenset({Op.FLATTEN, Op.DROPOUT, Op.SLICE_CHANNELS, Op.RESHAPE, Op.SLICE})
"""Operations that at inference neither compute nor copy: the output is a view of the input."""


class Kind(StrEnum):
    """The class that tables, breakdowns and rooflines sort a layer into."""

    STANDARD = "standard"
    POINTWISE = "pointwise"
    DEPTHWISE = "depthwise"
    GROUPED = "grouped"
    LINEAR = "linear"
    OTHER = "other"


class Shape(NamedTuple):
    """Shape of one image's feature map: channels, height, width."""

    channels: int
    height: int
    width: int

    @property
    def words(self) -> int:
        """Number of elements."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


class Padding(NamedTuple):
    """Zero padding on the four sides, in input pixels."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


NO_PADDING = Padding()


class Stored(NamedTuple):
    """Words of the machine that one word of each operand takes in DRAM; by position also those of ``Operand``.

    Attributes:
        weights: Of weights, with what says where they are.
        inputs: Of inputs.
        outputs: Of finished outputs; partial sums are the machine's words.
    """

    weights: float = 1.0
    inputs: float = 1.0
    outputs: float = 1.0


AS_COMPUTED = Stored()
"""Operands lie in DRAM as the array takes them."""


class Dims(NamedTuple):
    """The eight loop bounds of a layer, in the order that kernels index them."""

    N: int
    G: int
    K: int
    C: int
    P: int
    Q: int
    R: int
    S: int


def window_extent(start_output: int, outputs: int, stride: int, dilation: int, kernel: int, pad: int, size: int) -> int:
    """Return how many real input pixels the windows of a run of outputs span along one axis.

    The run is ``outputs`` outputs from ``start_output``; the span runs from where the first window starts
    to where the last one ends, so pixels that a stride or a dilation skips in between count; generated
    padding does not.

    Args:
        start_output: Index of the first output of the run.
        outputs: Number of outputs in the run, at least 1.
        stride: Step of the window, in input pixels.
        dilation: Distance of two taps of the filter, in input pixels.
        kernel: Number of taps of the filter.
        pad: Zero padding before the first input pixel.
        size: Number of real input pixels along the axis.

    Returns:
        The number of pixels, 0 if the run sees only padding.
    """
    first = start_output * stride - pad
    last = (start_output + outputs - 1) * stride - pad + (kernel - 1) * dilation
    return max(0, min(last, size - 1) - max(first, 0) + 1)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One operation with its dims; immutable, checked when built.

    Attributes:
        name: Unique within its network.
        op: The operation.
        N: Batch.
        G: Convolution groups (depthwise: channels; data-moving operations: output channels).
        K: Output channels per group.
        C: Input channels per group.
        P: Output height.
        Q: Output width.
        R: Filter height.
        S: Filter width.
        input_shapes: Shape of every input feature map of one image.
        stride: Vertical and horizontal step of the window, in input pixels.
        padding: Zero padding on four sides, in input pixels; generated, never fetched.
        dilation: Vertical and horizontal distance of the filter's taps, in input pixels.
        bias: Whether a bias is added to every output channel.
        detail: Which activation, how many groups are shuffled, and so on; for people.
        block: Path of the block the layer belongs to, such as ``"stage2/unit3"``; empty at the top.
        params_other: Learned parameters that are neither weights, bias nor a batch norm's: gamma and beta of a layer
            norm, a position embedding that is added, the slopes of an activation.
        stored: How its operands lie in DRAM, where a storage plan says so.

    Examples:
        >>> layer = Layer.conv("conv1", 3, 96, 227, 11, stride=4)
        >>> layer.P, layer.Q, layer.macs
        (55, 55, 105415200)
    """

    name: str
    op: Op
    N: int = 1
    G: int = 1
    K: int = 1
    C: int = 1
    P: int = 1
    Q: int = 1
    R: int = 1
    S: int = 1
    input_shapes: tuple[Shape, ...]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING
    dilation: tuple[int, int] = (1, 1)
    bias: bool = False
    detail: str = ""
    block: str = ""
    params_other: int = 0
    stored: Stored = AS_COMPUTED

    def __post_init__(self) -> None:
        for dim, bound in zip(Dims._fields, self.dims, strict=True):
            if not isinstance(bound, int) or bound < 1:
                raise WorkloadError(f"layer {self.name}: {dim} must be a positive integer, got {bound!r}")
        for field in ("stride", "dilation"):
            if min(getattr(self, field)) < 1:
                raise WorkloadError(f"layer {self.name}: {field} must be at least 1, got {getattr(self, field)}")
        if min(self.padding) < 0:
            raise WorkloadError(f"layer {self.name}: padding must not be negative, got {tuple(self.padding)}")
        if not self.input_shapes:
            raise WorkloadError(f"layer {self.name}: needs at least one input")
        if self.params_other < 0:
            raise WorkloadError(f"layer {self.name}: params_other must not be negative, got {self.params_other}")
        if not all(0 < words < inf for words in self.stored):
            raise WorkloadError(f"layer {self.name}: stored must be positive and finite, got {tuple(self.stored)}")
        if self.op is Op.CONV:
            self._check_conv()

    def _check_conv(self) -> None:
        if self.input_shapes[0].channels != self.G * self.C:
            raise WorkloadError(
                f"layer {self.name}: groups x input channels per group is {self.G} x {self.C}, "
                f"but the input has {self.input_shapes[0].channels} channels"
            )
        expected = (
            conv_output_size(self.name, self.H, self.R, self.stride[0], *self.padding[:2], self.dilation[0]),
            conv_output_size(self.name, self.W, self.S, self.stride[1], *self.padding[2:], self.dilation[1]),
        )
        if expected != (self.P, self.Q):
            raise WorkloadError(
                f"layer {self.name}: output is {self.P}x{self.Q}, but input {self.H}x{self.W}, kernel "
                f"{self.R}x{self.S}, stride {self.stride} and padding {tuple(self.padding)} "
                f"give {expected[0]}x{expected[1]}"
            )

    @classmethod
    def conv(
        cls,
        name: str,
        in_channels: int,
        out_channels: int,
        size: int | tuple[int, int],
        kernel: int | tuple[int, int] = 1,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = False,
        batch: int = 1,
        block: str = "",
    ) -> Layer:
        """Build a convolution from what a framework would ask for.

        Args:
            name: Name of the layer.
            in_channels: Input channels over all groups.
            out_channels: Output channels over all groups.
            size: Input height and width, in pixels.
            kernel: Filter height and width.
            stride: Vertical and horizontal step.
            padding: One number, (vertical, horizontal), (top, bottom, left, right), or ``"same"``.
            dilation: Vertical and horizontal distance of the filter's taps.
            groups: Convolution groups; must divide both channel counts.
            bias: Whether a bias is added.
            batch: Number of images.
            block: Path of the block it belongs to.

        Returns:
            The layer, with its output size inferred.

        Raises:
            WorkloadError: Groups that do not divide, a kernel larger than its padded input, or a
                value out of range.
        """
        height, width = pair(size)
        (R, S), steps, gaps = pair(kernel), pair(stride), pair(dilation)
        if min(R, S, *steps, *gaps, groups, in_channels, out_channels) < 1:
            raise WorkloadError(
                f"layer {name}: channels, kernel, stride, dilation and groups must be at least 1, got "
                f"channels {in_channels} -> {out_channels}, kernel {R}x{S}, stride {steps}, "
                f"dilation {gaps}, groups {groups}"
            )
        pads = resolve_padding(name, padding, (height, width), (R, S), steps, gaps)
        for what, channels in (("input", in_channels), ("output", out_channels)):
            if channels % groups:
                raise WorkloadError(f"layer {name}: groups {groups} do not divide {channels} {what} channels")
        return cls(
            name=name,
            op=Op.CONV,
            N=batch,
            G=groups,
            K=out_channels // groups,
            C=in_channels // groups,
            P=conv_output_size(name, height, R, steps[0], pads.top, pads.bottom, gaps[0]),
            Q=conv_output_size(name, width, S, steps[1], pads.left, pads.right, gaps[1]),
            R=R,
            S=S,
            input_shapes=(Shape(in_channels, height, width),),
            stride=steps,
            padding=pads,
            dilation=gaps,
            bias=bias,
            block=block,
        )

    @property
    def dims(self) -> Dims:
        """The eight loop bounds."""
        return Dims(self.N, self.G, self.K, self.C, self.P, self.Q, self.R, self.S)

    @property
    def H(self) -> int:
        """Input height in real pixels."""
        return self.input_shapes[0].height

    @property
    def W(self) -> int:
        """Input width in real pixels."""
        return self.input_shapes[0].width

    @property
    def array_input_size(self) -> tuple[int, int]:
        """Input height and width as the array sees them: a linear layer over a whole map reads one flat pixel."""
        if self.op is Op.LINEAR and self.input_shapes[0].channels != self.C:
            return 1, 1
        return self.H, self.W

    @property
    def image_groups(self) -> int:
        """Groups of one image: a matmul has as many again for every image of the batch."""
        return self.input_shapes[0].channels // self.C if self.op is Op.MATMUL else self.G

    @property
    def output_shape(self) -> Shape:
        """Shape of one image's output feature map."""
        return Shape(self.image_groups * self.K, self.P, self.Q)

    @property
    def on_array(self) -> bool:
        """Whether the layer runs on the PE array (and not only moves data)."""
        return self.op in ARRAY_OPS

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole batch; taps that fall on padding count, a bias does not."""
        if not self.on_array:
            return 0
        return self.N * self.G * self.K * self.C * self.P * self.Q * self.R * self.S

    @property
    def weights(self) -> int:
        """Words of the W operand: filter weights, or the second factor of a matmul."""
        return self.G * self.K * self.C * self.R * self.S if self.on_array else 0

    @property
    def params(self) -> int:
        """Learned parameters: weights, bias, batch-norm gamma and beta, and others."""
        return self.params_weights + self.params_bias + self.params_bn + self.params_other

    @property
    def params_weights(self) -> int:
        """Learned weights of a convolution or a linear layer."""
        return self.weights if self.op in (Op.CONV, Op.LINEAR) else 0

    @property
    def params_bias(self) -> int:
        """Learned biases."""
        return self.G * self.K if self.bias else 0

    @property
    def params_bn(self) -> int:
        """Gamma and beta of a batch norm; its running statistics are not parameters."""
        return 2 * self.G if self.op is Op.BATCH_NORM else 0

    @property
    def input_words(self) -> int:
        """Words of the real input pixels that the layer's windows span, over the batch."""
        if self.op is Op.MATMUL:
            return self.N * self.G * self.C * self.P * self.Q
        if self.op is not Op.CONV:
            return self.N * sum(shape.words for shape in self.input_shapes)
        rows = window_extent(0, self.P, self.stride[0], self.dilation[0], self.R, self.padding.top, self.H)
        cols = window_extent(0, self.Q, self.stride[1], self.dilation[1], self.S, self.padding.left, self.W)
        return self.N * self.G * self.C * rows * cols

    @property
    def output_words(self) -> int:
        """Words of the output, over the batch."""
        return self.N * self.G * self.K * self.P * self.Q

    @property
    def arithmetic_intensity(self) -> float:
        """MACs per word moved if each input, weight and output word moves just once."""
        return self.macs / (self.input_words + self.weights + self.output_words)

    @property
    def kind(self) -> Kind:
        """The class that tables and breakdowns sort the layer into."""
        if self.op in (Op.LINEAR, Op.MATMUL):
            return Kind.LINEAR
        if self.op is not Op.CONV:
            return Kind.OTHER
        if self.G > 1:
            return Kind.DEPTHWISE if self.C == 1 else Kind.GROUPED
        return Kind.POINTWISE if self.R == self.S == 1 else Kind.STANDARD

    @property
    def shape_key(self) -> tuple[object, ...]:
        """What decides the layer's cost: equal keys are solved once."""
        return (self.op, self.dims, self.input_shapes, self.stride, self.padding, self.dilation, self.stored)

    def with_batch(self, batch: int) -> Layer:
        """Return the same layer for ``batch`` images."""
        if self.op is Op.MATMUL:
            return replace(self, G=self.image_groups * batch)
        return replace(self, N=batch)


def pair(value: int | tuple[int, ...] | list[int]) -> tuple[int, int]:
    """Return (vertical, horizontal) of one number or of two."""
    if isinstance(value, int):
        return value, value
    vertical, horizontal = value
    return vertical, horizontal


def conv_output_size(
    name: str, size: int, kernel: int, stride: int, pad_before: int, pad_after: int, dilation: int
) -> int:
    """Return the output size of a window along one axis, rounded down.

    Raises:
        WorkloadError: The (dilated) kernel is larger than the padded input.
    """
    padded = size + pad_before + pad_after
    extent = (kernel - 1) * dilation + 1
    if extent > padded:
        raise WorkloadError(
            f"layer {name}: kernel spans {extent} pixels, larger than its input of {size} "
            f"with padding {pad_before}+{pad_after}"
        )
    return (padded - extent) // stride + 1


def resolve_padding(
    name: str,
    padding: int | tuple[int, ...] | str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Padding:
    """Return four-sided padding from one number, two, four, or ``"same"`` (ceil(size / stride) outputs)."""
    if isinstance(padding, int):
        return Padding(padding, padding, padding, padding)
    if isinstance(padding, str):
        if padding != "same":
            raise WorkloadError(f"layer {name}: padding must be numbers or 'same', got {padding!r}")
        sides: list[int] = []
        for axis in range(2):
            outputs = -(-size[axis] // stride[axis])
            total = max(0, (outputs - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1 - size[axis])
            sides += [total // 2, total - total // 2]
        return Padding(*sides)
    if len(padding) == 2:
        return Padding(padding[0], padding[0], padding[1], padding[1])
    if len(padding) == 4:
        return Padding(*padding)
    raise WorkloadError(f"layer {name}: padding must have 1, 2 or 4 numbers, got {len(padding)}")

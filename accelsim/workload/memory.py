"""Activation memory: which feature maps are alive when, how much that is, and where they can lie.

**Inference.** A feature map is alive from the step that makes it to the last step that reads it; during a step its
inputs and its output are. Layers can share one buffer: a view (flatten, dropout, channel slice) lies in its input;
a batch norm that is folded lies in its convolution's output; an element-wise layer may write over an input
that nothing reads later. The largest sum of buffers alive in one step is the peak, and no placement needs
less: it is the lower bound of ``plan_memory``, which assigns an offset to every buffer.

**Training a DenseNet** (arXiv:1707.06990). Layer l of a block with growth k reads k l channels of W x H pixels (the
block's input counted as one growth), copied together and normalised: 2 W H k l words that a naive
implementation keeps for the way back, quadratic in depth when summed, and as many for their gradients. Storage
that all layers share makes them linear: the copy and the normalised copy are computed once more on the way back,
the gradients are used up at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from accelsim.errors import WorkloadError, did_you_mean
from accelsim.workload.layer import VIEW_OPS, Layer, Op
from accelsim.workload.network import INPUT, Network

IN_PLACE_OPS = frozenset({Op.ACTIVATION, Op.BATCH_NORM, Op.ADD, Op.MUL})
"""Element-wise operations, which may write each result over the operand that it is made of."""


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """Storage of one feature map, or of several that follow each other in it.

    Attributes:
        name: Layer that makes the first of them (``"input"`` is the image).
        layers: Every layer whose output lies in it, the first included.
        words: Size.
        first: Step of the schedule at which it comes alive (-1: before the first).
        last: Last step at which it is alive.
    """

    name: str
    layers: tuple[str, ...]
    words: int
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """What is alive when.

    Attributes:
        schedule: Names of the layers in the order in which they run.
        buffers: All buffers, in the order in which they come alive.
        live_words: Words alive in each step.
    """

    schedule: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    live_words: tuple[int, ...]

    @property
    def peak_words(self) -> int:
        """Largest number of words alive in one step."""
        return max(self.live_words)

    @property
    def peak_layer(self) -> str:
        """The first layer during which as much is alive as ever."""
        return self.schedule[self.live_words.index(self.peak_words)]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where every buffer lies in one linear memory.

    Attributes:
        offsets: First word of each buffer, by the buffer's name.
        total_words: Size of the memory.
        lower_bound_words: What any placement needs at least: the peak of the words alive.
    """

    offsets: Mapping[str, int]
    total_words: int
    lower_bound_words: int

    @property
    def is_optimal(self) -> bool:
        """Whether no placement can be smaller."""
        return self.total_words == self.lower_bound_words


PLACING_ROUNDS = 8
"""How often each order is changed; published networks need at most 7."""

PLACING_ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda buffer: (-buffer.words, buffer.first),
    lambda buffer: (buffer.first, -buffer.words),
    lambda buffer: (buffer.first - buffer.last, -buffer.words),
)
"""Largest first; in the order of birth; longest alive first."""


def liveness(
    network: Network,
    schedule: Sequence[str] | None = None,
    *,
    views: bool = True,
    fold_batch_norm: bool = True,
    in_place: bool = True,
) -> Liveness:
    """Return the buffers of a network at inference and how much is alive in each step.

    Args:
        network: The network; sizes are those of its batch.
        schedule: Names of all layers in the order in which they run; default: the network's own order.
        views: Whether flatten, dropout and channel slices lie in their input, and are not copies.
        fold_batch_norm: Whether batch norms that fold into a convolution lie in its output.
        in_place: Whether activations, batch norms, additions and products write over an input that has the
            size of the output and is not read later.

    Returns:
        The buffers and the words alive. What leaves the network stays alive to the end.

    Raises:
        WorkloadError: The schedule is no order in which the network can run.
    """
    layers = _scheduled(network, schedule)
    buffers = _buffers(network, layers, views=views, fold_batch_norm=fold_batch_norm, in_place=in_place)
    return Liveness(
        schedule=tuple(layer.name for layer in layers), buffers=buffers, live_words=_live_words(buffers, len(layers))
    )


def plan_memory(live: Liveness) -> Placement:
    """Assign an offset to every buffer so that no two that are alive together overlap.

    Greedy: one buffer after the other, each into the smallest gap that holds it between the buffers placed
    before that are alive with it. Several orders are tried, and each again with the buffers that ended up on
    top placed first; the best result is taken. Not always optimal; ``is_optimal`` tells when it is.

    Args:
        live: The buffers and their lives.

    Returns:
        Offsets, the size of the memory and its lower bound.
    """
    placements: list[Placement] = []
    for order in PLACING_ORDERS:
        buffers = sorted(live.buffers, key=order)
        for _ in range(PLACING_ROUNDS):
            placement = _place(buffers, live.peak_words)
            if placement.is_optimal:
                return placement
            placements.append(placement)
            on_top = [b for b in buffers if placement.offsets[b.name] + b.words == placement.total_words]
            buffers = [*on_top, *(b for b in buffers if b not in on_top)]
    return min(placements, key=lambda placement: placement.total_words)


def _place(buffers: Sequence[Buffer], lower_bound_words: int) -> Placement:
    """Place buffers in the order given."""
    spans: dict[str, tuple[int, int]] = {}
    alive_in: defaultdict[int, list[str]] = defaultdict(list)
    for buffer in buffers:
        steps = range(buffer.first, buffer.last + 1)
        neighbours = {name for step in steps for name in alive_in[step]}
        start = _best_fit(sorted(spans[name] for name in neighbours), buffer.words)
        spans[buffer.name] = (start, start + buffer.words)
        for step in steps:
            alive_in[step].append(buffer.name)
    return Placement(
        offsets={name: start for name, (start, _) in spans.items()},
        total_words=max(stop for _, stop in spans.values()),
        lower_bound_words=lower_bound_words,
    )


def _scheduled(network: Network, schedule: Sequence[str] | None) -> tuple[Layer, ...]:
    """Return the layers in the order of the schedule, checked."""
    if schedule is None:
        return network.layers
    by_name = {layer.name: layer for layer in network}
    done = {INPUT}
    for name in schedule:
        if name not in by_name:
            raise WorkloadError(f"schedule: network {network.name} has no layer {name!r}{did_you_mean(name, by_name)}")
        if name in done:
            raise WorkloadError(f"schedule: layer {name} runs twice")
        for source in network.inputs[name]:
            if source not in done:
                raise WorkloadError(f"schedule: layer {name} reads {source}, which does not run before it")
        done.add(name)
    if len(done) <= len(by_name):
        missing = next(name for name in by_name if name not in done)
        raise WorkloadError(f"schedule: layer {missing} does not run; a schedule has all {len(by_name)} layers")
    return tuple(by_name[name] for name in schedule)


def _buffers(
    network: Network, layers: Sequence[Layer], *, views: bool, fold_batch_norm: bool, in_place: bool
) -> tuple[Buffer, ...]:
    """Return the buffers of a schedule; options as of ``liveness``."""
    last_use = _last_uses(network, layers)
    folded = network.folded_batch_norms() if fold_batch_norm else frozenset()
    home = {INPUT: INPUT}
    members = {INPUT: [INPUT]}
    words = {INPUT: network.input_shape.words * layers[0].N}
    first = {INPUT: -1}
    last = {INPUT: last_use[INPUT]}
    for step, layer in enumerate(layers):
        sources = network.inputs[layer.name]
        name = layer.name
        if (views and layer.op in VIEW_OPS) or name in folded:
            name = home[sources[0]]
        elif in_place and layer.op in IN_PLACE_OPS:
            # Forbidden by a tensor in the buffer that is read later, by a part of it that would not be written, and
            # by a second operand in it: a channel that scales all channels would change on the way.
            free = (
                home[source]
                for source in sources
                if last[home[source]] == step
                and words[home[source]] == layer.output_words
                and not any(home[other] == home[source] for other in sources if other != source)
            )
            name = next(free, name)
        if name == layer.name:
            words[name], first[name], last[name], members[name] = layer.output_words, step, step, []
        home[layer.name] = name
        members[name].append(layer.name)
        last[name] = max(last[name], last_use[layer.name])
    end = len(layers) - 1
    return tuple(
        Buffer(name=name, layers=tuple(inside), words=words[name], first=first[name], last=min(last[name], end))
        for name, inside in members.items()
    )


def _last_uses(network: Network, layers: Sequence[Layer]) -> dict[str, int]:
    """Return the last step at which each tensor is read; outputs of the network are, after the last step."""
    last_use = dict.fromkeys(network.outputs, len(layers))
    # Nobody has to read the image.
    last_use.setdefault(INPUT, -1)
    for step, layer in enumerate(layers):
        for source in network.inputs[layer.name]:
            last_use[source] = max(last_use.get(source, -1), step)
    return last_use


def _live_words(buffers: Sequence[Buffer], steps: int) -> tuple[int, ...]:
    """Return the words alive in each step."""
    change = [0] * (steps + 1)
    for buffer in buffers:
        change[max(buffer.first, 0)] += buffer.words
        change[buffer.last + 1] -= buffer.words
    live, total = [], 0
    for step in range(steps):
        total += change[step]
        live.append(total)
    return tuple(live)


def _best_fit(taken: Sequence[tuple[int, int]], words: int) -> int:
    """Return the start of the smallest gap of at least ``words`` between sorted intervals, or their end."""
    gaps: list[tuple[int, int]] = []
    end = 0
    for start, stop in taken:
        if start - end >= words:
            gaps.append((start - end, end))
        end = max(end, stop)
    return min(gaps)[1] if gaps else end


class StoragePlan(StrEnum):
    """What the layers of a DenseNet share while it trains; each plan adds to the one before."""

    NAIVE = "naive"
    SHARED_GRADIENTS = "shared_gradients"
    SHARED_CONCAT = "shared_concat"
    SHARED_BATCH_NORM = "shared_batch_norm"


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """Words that training keeps, by what they are for.

    Attributes:
        features_words: The block's input and outputs of convolutions and pools.
        concat_words: Copies of joined features.
        batch_norm_words: Normalised copies; the ReLU works in place.
        gradient_words: Gradients of all of these.
        recomputed_words: Words that the way back makes again because their storage was shared.
    """

    features_words: int
    concat_words: int
    batch_norm_words: int
    gradient_words: int
    recomputed_words: int

    @property
    def total_words(self) -> int:
        """All storage; what is made again takes none of its own."""
        return self.features_words + self.concat_words + self.batch_norm_words + self.gradient_words


def training_memory(network: Network, plan: StoragePlan | str, *, block: str = "") -> TrainingMemory:
    """Return the activation and gradient storage of a training step under a plan of arXiv:1707.06990.

    Args:
        network: A network, meant to be a DenseNet; sizes are those of its batch.
        plan: What is shared. Gradients of features that several layers read are sums of many parts and
            always have storage of their own.
        block: Path of the block to count, such as ``"block1"``; default: the whole network.

    Returns:
        The storage in words.

    Raises:
        WorkloadError: No such plan or no such block.
    """
    if plan not in list(StoragePlan):
        raise WorkloadError(f"storage plan must be one of {', '.join(StoragePlan)}, got {plan!r}")
    level = list(StoragePlan).index(StoragePlan(plan))
    inside = [layer for layer in network if not block or f"{layer.block}/".startswith(f"{block}/")]
    if not inside:
        raise WorkloadError(f"network {network.name} has no block {block!r}")
    features, concats, norms = _training_tensors(network, inside)
    summed = _read_more_than_once(network, inside)
    own = [words for name, words in features.items() if name in summed]
    passing = [words for name, words in features.items() if name not in summed]
    gradient_words = sum(own) + sum(_storage(words, shared=level >= 1) for words in (passing, concats, norms))
    return TrainingMemory(
        features_words=sum(features.values()),
        concat_words=_storage(concats, shared=level >= 2),
        batch_norm_words=_storage(norms, shared=level >= 3),
        gradient_words=gradient_words,
        recomputed_words=sum(concats) * (level >= 2) + sum(norms) * (level >= 3),
    )


def _training_tensors(network: Network, inside: Sequence[Layer]) -> tuple[dict[str, int], list[int], list[int]]:
    """Return the words of features by their names, of all joined copies and of all normalised copies."""
    shapes = {layer.name: layer.output_words for layer in network}
    shapes[INPUT] = network.input_shape.words * inside[0].N
    names = {layer.name for layer in inside}
    # What enters from outside is kept as well.
    features = {
        source: shapes[source] for layer in inside for source in network.inputs[layer.name] if source not in names
    }
    concats: list[int] = []
    norms: list[int] = []
    for layer in inside:
        if layer.op is Op.CONCAT:
            concats.append(layer.output_words)
        elif layer.op is Op.BATCH_NORM:
            norms.append(layer.output_words)
        elif layer.op is not Op.ACTIVATION and layer.op not in VIEW_OPS:
            features[layer.name] = layer.output_words
    return features, concats, norms


def _read_more_than_once(network: Network, inside: Sequence[Layer]) -> set[str]:
    """Return the tensors that several layers read, through views too, so that their gradients are sums."""
    seen: set[str] = set()
    several: set[str] = set()
    for layer in inside:
        for source in network.inputs[layer.name]:
            (several if source in seen else seen).add(source)
    return several


def _storage(words: Sequence[int], *, shared: bool) -> int:
    """Return the storage of tensors, each with its own or all in turn in that of the largest."""
    return max(words, default=0) if shared else sum(words)

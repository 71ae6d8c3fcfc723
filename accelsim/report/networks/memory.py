"""Memory: DenseNet's storage plans against depth, and peak activation memory at inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from accelsim.hardware.loader import load_hardware
from accelsim.report.networks.counts import model
from accelsim.report.networks.study import LARGE
from accelsim.report.text import markdown_table
from accelsim.units import percent
from accelsim.workload.loader import load_network
from accelsim.workload.memory import StoragePlan, liveness, plan_memory, training_memory
from accelsim.workload.network import Network

GROWTH = 12
"""Growth rate k of the swept block, which is also the number of its input channels."""

PIXELS = 56
"""Width and height of the swept block."""

DEPTHS = (4, 8, 12, 16, 24, 32, 40, 48, 56, 64)
"""Layers of the swept block."""

DENSENETS = (
    "densenet121",
    "densenet169",
    "densenet201",
    "densenet264_k32",
    "densenet161",
    "densenet232_k48",
    "densenet264_k48",
)

FLOAT_BYTES = 4
"""Bytes of a word while a network is trained."""

INFERENCE = (
    "alexnet",
    "vgg16",
    "googlenet",
    "bn_inception",
    "inception_v3",
    "inception_resnet_v2",
    "resnet50",
    "resnet152",
    "seresnet50",
    "resnext50_32x4d",
    "densenet121",
    "densenet264_k48",
    "squeezenet_v1.0",
    "squeezenext23",
    "mobilenet",
    "mobilenet_v2",
    "shufflenet_g3",
    "efficientnet_b0",
)
"""Networks whose peak memory is reported."""


@dataclass(frozen=True, kw_only=True)
class BlockMemory:
    """Training memory of a dense block, in maps of W x H x k words.

    Attributes:
        layers: Layers of the block.
        totals: Plan -> all storage.
        copies: Joined and normalised copies that the naive plan keeps.
        paper: What the paper's 2 W H k l words at layer l add up to.
        joins: What the copies have beyond that: the layers + 1 maps of the join behind the last layer, less the one
            map that the first layer, which joins nothing, does not copy.
    """

    layers: int
    totals: Mapping[StoragePlan, float]
    copies: float
    paper: float
    joins: float


def dense_block(layers: int) -> Network:
    """Return a DenseNet of one block, whose input has as many channels as a layer adds."""
    return load_network(
        "densenet", blocks=[layers], growth=GROWTH, stem_channels=GROWTH, bottleneck=False, resolution=4 * PIXELS
    )


def block_memories(depths: Sequence[int] = DEPTHS) -> list[BlockMemory]:
    """Return the training memory of blocks of growing depth."""
    unit = PIXELS * PIXELS * GROWTH
    found = []
    for depth in depths:
        network = dense_block(depth)
        plans = {plan: training_memory(network, plan, block="block1") for plan in StoragePlan}
        naive = plans[StoragePlan.NAIVE]
        found.append(
            BlockMemory(
                layers=depth,
                totals={plan: memory.total_words / unit for plan, memory in plans.items()},
                copies=(naive.concat_words + naive.batch_norm_words) / unit,
                paper=sum(2 * layer for layer in range(1, depth + 1)),
                joins=depth,
            )
        )
    return found


def second_differences() -> dict[StoragePlan, float]:
    """Return by how many maps of W x H x k words each further layer adds more than the one before."""
    found = {}
    for plan in StoragePlan:
        totals = [memory.totals[plan] for memory in block_memories((8, 9, 10))]
        steps = [after - before for before, after in pairwise(totals)]
        found[plan] = steps[1] - steps[0]
    return found


@dataclass(frozen=True, kw_only=True)
class TrainedDenseNet:
    """Training memory of a whole DenseNet for one image.

    Attributes:
        name: The network.
        words: Plan -> words.
        recomputed_words: Words that the last plan makes again on the way back.
    """

    name: str
    words: Mapping[StoragePlan, int]
    recomputed_words: int


def trained_densenets() -> list[TrainedDenseNet]:
    """Return the training memory of the published DenseNets."""
    found = []
    for name in DENSENETS:
        plans = {plan: training_memory(model(name), plan) for plan in StoragePlan}
        found.append(
            TrainedDenseNet(
                name=name,
                words={plan: memory.total_words for plan, memory in plans.items()},
                recomputed_words=plans[StoragePlan.SHARED_BATCH_NORM].recomputed_words,
            )
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Activation memory of a network at inference, in words.

    Attributes:
        name: The network.
        layer: First layer during which the peak is reached.
        peak_words: Largest sum of the feature maps alive: no placement needs less.
        planned_words: Size of the memory that the planner needs.
        all_words: Sum of all buffers, if none were used again.
    """

    name: str
    layer: str
    peak_words: int
    planned_words: int
    all_words: int

    @property
    def is_optimal(self) -> bool:
        """Whether the planner reaches the lower bound."""
        return self.planned_words == self.peak_words


def peaks(names: Sequence[str] = INFERENCE) -> list[Peak]:
    """Return the peak activation memory of networks, for one image."""
    found = []
    for name in names:
        live = liveness(model(name))
        placement = plan_memory(live)
        found.append(
            Peak(
                name=name,
                layer=live.peak_layer,
                peak_words=placement.lower_bound_words,
                planned_words=placement.total_words,
                all_words=sum(buffer.words for buffer in live.buffers),
            )
        )
    return found


# --- tables and text ----------------------------------------------------------------------------


def block_rows() -> list[dict[str, object]]:
    """Return the swept block as rows of a table."""
    return [
        {
            "layers": memory.layers,
            **{f"{plan}_maps": f"{total:g}" for plan, total in memory.totals.items()},
            "naive_copies_maps": f"{memory.copies:g}",
            "paper_copies_maps": f"{memory.paper:g}",
        }
        for memory in block_memories()
    ]


def trained_rows() -> list[dict[str, object]]:
    """Return the trained DenseNets as rows of a table."""
    return [
        {
            "network": entry.name,
            **{f"{plan}_words": words for plan, words in entry.words.items()},
            "recomputed_words": entry.recomputed_words,
        }
        for entry in trained_densenets()
    ]


def peak_rows() -> list[dict[str, object]]:
    """Return the peaks as rows of a table."""
    return [
        {
            "network": peak.name,
            "peak_layer": peak.layer,
            "peak_words": peak.peak_words,
            "planned_words": peak.planned_words,
            "optimal": peak.is_optimal,
            "all_buffers_words": peak.all_words,
        }
        for peak in peaks()
    ]


def training_section() -> str:
    """Return the section on DenseNet's training memory."""
    memories = block_memories()
    last = memories[-1]
    differences = second_differences()
    steps = ", ".join(f"{value:g} ({_words(plan)})" for plan, value in differences.items())
    explained = all(memory.copies == memory.paper + memory.joins for memory in memories)
    return (
        f"A dense block of {PIXELS} x {PIXELS} pixels with growth k = {GROWTH}, without bottlenecks, whose input has k "
        f"channels; in maps of W x H x k words, activations and gradients of one image:\n\n{_block_table(memories)}\n"
        f"Every further layer adds more than the one before by this many maps: {steps}. So the naive plan is "
        f"{_growth(differences[StoragePlan.NAIVE])} in depth, every step of sharing takes a part of that away, and "
        f"with all of them the growth is {_growth(differences[StoragePlan.SHARED_BATCH_NORM])}: at "
        f"{last.layers} layers {percent(last.totals[StoragePlan.SHARED_BATCH_NORM] / last.totals[StoragePlan.NAIVE])} "
        "of the naive storage. The paper's arithmetic is 2 W H k l words of copies at layer l; the copies counted here "
        + (
            "are its sum and one map a layer, for the join behind the last layer, which the paper's sum leaves out, "
            "less that of the first, which has nothing to join.\n\n"
            if explained
            else "**differ from its sum**.\n\n"
        )
        + _trained()
    )


def _growth(second_difference: float) -> str:
    return "quadratic" if second_difference else "linear"


def _words(plan: StoragePlan) -> str:
    return str(plan).replace("_", " ")


def _block_table(memories: Sequence[BlockMemory]) -> str:
    return markdown_table(
        ("layers", *(_words(plan) for plan in StoragePlan), "naive copies", "by the paper's sum"),
        [
            (
                memory.layers,
                *(f"{memory.totals[plan]:.0f}" for plan in StoragePlan),
                f"{memory.copies:.0f}",
                f"{memory.paper:.0f}",
            )
            for memory in memories
        ],
    )


def _trained() -> str:
    """Return the table of the published DenseNets, and what sharing leaves."""
    entries, last_plan = trained_densenets(), StoragePlan.SHARED_BATCH_NORM
    table = markdown_table(
        ("network", *(f"{_words(plan)} (MB)" for plan in StoragePlan), "last / naive", "made again (MB)"),
        [
            (
                entry.name,
                *(f"{entry.words[plan] * FLOAT_BYTES / 1e6:.0f}" for plan in StoragePlan),
                percent(entry.words[last_plan] / entry.words[StoragePlan.NAIVE]),
                f"{entry.recomputed_words * FLOAT_BYTES / 1e6:.0f}",
            )
            for entry in entries
        ],
    )
    shares = [entry.words[last_plan] / entry.words[StoragePlan.NAIVE] for entry in entries]
    return (
        f"The published DenseNets, for one image of 224 x 224 pixels and words of {FLOAT_BYTES} bytes:\n\n{table}\n"
        f"Sharing all three leaves {percent(min(shares))} to {percent(max(shares))} of the naive storage.\n"
    )


def inference_section() -> str:
    """Return the section on activation memory at inference."""
    hardware = load_hardware(LARGE)
    word_bytes = hardware.word_bits / 8
    found = peaks()
    table = markdown_table(
        ("network", "peak (KiB)", "planned (KiB)", "optimal", "peak / all buffers", "first reached in"),
        [
            (
                peak.name,
                f"{peak.peak_words * word_bytes / 1024:.0f}",
                f"{peak.planned_words * word_bytes / 1024:.0f}",
                "yes" if peak.is_optimal else "**no**",
                percent(peak.peak_words / peak.all_words),
                f"`{peak.layer}`",
            )
            for peak in found
        ],
    )
    buffer_kib = next(memory.size_kb for memory in hardware.memories if memory.name == "GLB")
    assert buffer_kib is not None
    fitting = [peak for peak in found if peak.planned_words * word_bytes / 1024 <= buffer_kib]
    small, large = (pick(found, key=lambda peak: peak.peak_words) for pick in (min, max))
    optimal = sum(peak.is_optimal for peak in found)
    return (
        f"Words of {hardware.word_bits} bit, one image; batch norm folded, views and element-wise layers in place. The "
        f"peak is the lower bound of every placement, in the order in which the network runs.\n\n{table}\n"
        f"The planner reaches the lower bound in {optimal} of {len(found)} networks. From {small.name} "
        f"({small.peak_words * word_bytes / 1024:.0f} KiB) to {large.name} "
        f"({large.peak_words * word_bytes / 1024:.0f} KiB) peaks differ "
        f"{large.peak_words / small.peak_words:.0f} times; "
        + (f"{len(fitting)} of the networks fit" if fitting else "none of the networks fits")
        + f" {LARGE}'s buffer of {buffer_kib:g} KB with all that is alive, so that feature maps wait in DRAM.\n"
    )

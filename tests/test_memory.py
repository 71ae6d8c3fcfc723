"""How much activation memory does a network need, and can it be laid out in that much?"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Op
from accelsim.workload.memory import (
    Buffer,
    Liveness,
    StoragePlan,
    liveness,
    plan_memory,
    training_memory,
)
from accelsim.workload.network import INPUT, Network, NetworkBuilder
from accelsim.workload.zoo import build

PLAIN = {"views": False, "fold_batch_norm": False, "in_place": False}


def chain() -> Network:
    """4x4 maps of 1, 2, 2, 2 and 3 channels, then 48 features and 5."""
    b = NetworkBuilder("chain", (1, 4, 4))
    x = b.conv_bn(b.input, 2, name="conv1")
    x = b.flatten(b.conv(x, 3, name="conv2"), name="flatten")
    b.linear(x, 5, name="fc")
    return b.build()


def test_what_is_alive_in_each_step_of_a_chain() -> None:
    """Input and output of each layer, counted by hand, without any sharing."""
    live = liveness(chain(), **PLAIN)
    assert live.schedule == ("conv1", "conv1/bn", "conv1/relu", "conv2", "flatten", "fc")
    assert live.live_words == (16 + 32, 32 + 32, 32 + 32, 32 + 48, 48 + 48, 48 + 5)
    assert (live.peak_words, live.peak_layer) == (96, "flatten")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("views", (48, 64, 64, 80, 48, 53)),
        ("fold_batch_norm", (48, 32, 64, 80, 96, 53)),
        ("in_place", (48, 32, 32, 80, 96, 53)),
    ],
)
def test_what_does_each_way_of_sharing_save(option: str, words: tuple[int, ...]) -> None:
    """A view makes no copy, a folded batch norm is no layer, an element-wise layer overwrites its input."""
    assert liveness(chain(), **{**PLAIN, option: True}).live_words == words


def test_which_layers_lie_in_one_buffer() -> None:
    """With all ways of sharing, the chain has four buffers."""
    live = liveness(chain())
    assert [(buffer.layers, buffer.words, buffer.first, buffer.last) for buffer in live.buffers] == [
        ((INPUT,), 16, -1, 0),
        (("conv1", "conv1/bn", "conv1/relu"), 32, 0, 3),
        (("conv2", "flatten"), 48, 3, 5),
        (("fc",), 5, 5, 5),
    ]


def test_does_an_addition_overwrite_only_what_is_not_read_later() -> None:
    """The sum goes into the input that ends there; if both are read later, it needs room of its own."""
    for read_later, shared in (((), "body"), (("body",), "stem"), (("body", "stem"), "sum")):
        b = NetworkBuilder("sum", (4, 2, 2))
        stem = b.conv(b.input, 4, name="stem")
        body = b.conv(stem, 4, name="body")
        b.add(body, stem, name="sum")
        for name in read_later:
            b.conv(b.tensor(name), 1, name=f"reads_{name}")
        homes = {layer: buffer.name for buffer in liveness(b.build()).buffers for layer in buffer.layers}
        assert homes["sum"] == shared


def test_is_a_buffer_kept_while_a_view_of_it_is_read() -> None:
    """A slice keeps the whole map alive, and forbids overwriting it."""
    b = NetworkBuilder("slices", (4, 2, 2))
    x = b.conv(b.input, 4, name="conv")
    first = b.slice_channels(x, 0, 2, name="first")
    second = b.slice_channels(x, 2, 4, name="second")
    y = b.relu(first, name="relu")
    b.concat(y, second, name="concat")
    live = liveness(b.build())
    whole = next(buffer for buffer in live.buffers if buffer.name == "conv")
    assert whole.layers == ("conv", "first", "second")
    assert whole.last == live.schedule.index("concat")


def test_is_a_map_not_overwritten_while_one_of_its_channels_scales_it() -> None:
    """The first channel would change before it has scaled the others."""
    b = NetworkBuilder("scaled", (4, 2, 2))
    x = b.conv(b.input, 4, name="conv")
    b.mul(x, b.slice_channels(x, 0, 1, name="mask"), name="product")
    assert [buffer.name for buffer in liveness(b.build()).buffers] == [INPUT, "conv", "product"]


def test_do_outputs_stay_alive_to_the_end() -> None:
    """An early output counts in every later step, and nothing overwrites it."""
    b = NetworkBuilder("early", (1, 2, 2))
    x = b.conv(b.input, 2, name="conv1")
    b.linear(x, 7, name="head")
    b.conv(b.conv(x, 3, name="conv2"), 4, name="conv3")
    assert liveness(b.build(), **PLAIN).live_words == (4 + 8, 8 + 7, 8 + 7 + 12, 7 + 12 + 16)


def test_does_the_schedule_decide_the_peak() -> None:
    """Two branches that widen and narrow again: one after the other needs less than both at once."""
    b = NetworkBuilder("branches", (1, 1, 1))
    narrow = []
    for branch in "ab":
        wide = b.conv(b.input, 10, name=f"wide_{branch}")
        narrow.append(b.conv(wide, 1, name=f"narrow_{branch}"))
    b.concat(*narrow, name="join")
    network = b.build()
    assert liveness(network).peak_words == 12
    together = liveness(network, ["wide_a", "wide_b", "narrow_a", "narrow_b", "join"])
    assert together.peak_words == 21
    assert together.schedule[1] == "wide_b"


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (["conv2"], "layer conv2 reads conv1/relu, which does not run before it"),
        (["conv1", "conv1"], "layer conv1 runs twice"),
        (
            ["conv1", "conv1/bn", "conv1/relu", "conv2", "flatten"],
            "layer fc does not run; a schedule has all 6 layers",
        ),
        (["convl"], "network chain has no layer 'convl'; did you mean"),
    ],
)
def test_is_a_schedule_that_cannot_run_refused(schedule: list[str], message: str) -> None:
    """The error names the layer."""
    with pytest.raises(WorkloadError, match=message):
        liveness(chain(), schedule)


def test_does_a_batch_need_as_many_times_the_words() -> None:
    """Every buffer holds all images."""
    network = build("squeezenext")
    assert liveness(network.with_batch(4)).peak_words == 4 * liveness(network).peak_words


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Small graphs with every kind of layer that shares storage, and several outputs."""
    b = NetworkBuilder("random", (2, 2, 2))
    tensors = [b.input]
    for _ in range(draw(st.integers(1, 14))):
        x = draw(st.sampled_from(tensors))
        alike = [tensor for tensor in tensors if tensor.shape == x.shape]
        match draw(st.sampled_from(["conv", "bn", "relu", "add", "concat", "slice", "dropout", "mul"])):
            case "conv":
                tensors.append(b.conv(x, draw(st.integers(1, 4))))
            case "bn":
                tensors.append(b.batch_norm(x))
            case "relu":
                tensors.append(b.relu(x))
            case "add":
                tensors.append(b.add(x, draw(st.sampled_from(alike))))
            case "concat":
                tensors.append(b.concat(x, draw(st.sampled_from(tensors))))
            case "slice":
                start = draw(st.integers(0, x.channels - 1))
                tensors.append(b.slice_channels(x, start, draw(st.integers(start + 1, x.channels))))
            case "dropout":
                tensors.append(b.dropout(x))
            case "mul":
                tensors.append(b.mul(x, draw(st.sampled_from(alike))))
    return b.build()


def assert_nothing_is_overwritten_early(network: Network, live: Liveness) -> None:
    """Run the schedule on names: whatever a layer reads must still be in its buffer when it does."""
    home = {layer: buffer for buffer in live.buffers for layer in buffer.layers}
    folded = network.folded_batch_norms()
    holds: dict[str, set[str]] = {INPUT: {INPUT}}
    for step, name in enumerate(live.schedule):
        layer, buffer = network[name], home[name]
        assert buffer.first <= step <= buffer.last
        for source in network.inputs[name]:
            assert source in holds[home[source].name], f"{name} reads {source}, overwritten"
            assert home[source].first <= step <= home[source].last
        shows_its_input = layer.op in (Op.FLATTEN, Op.DROPOUT, Op.SLICE_CHANNELS)
        before = holds.get(buffer.name, set()) if shows_its_input and home[network.inputs[name][0]] is buffer else set()
        holds[buffer.name] = {*before, name}
        if name not in folded and buffer.name != name and not shows_its_input:
            assert buffer.words == layer.output_words
    for output in network.outputs:
        assert output in holds[home[output].name]
        assert home[output].last == len(live.schedule) - 1


def assert_is_a_placement(live: Liveness) -> None:
    """No two buffers that are alive together overlap, and the memory is at least the bound."""
    placement = plan_memory(live)
    spans = [(b, placement.offsets[b.name], placement.offsets[b.name] + b.words) for b in live.buffers]
    for index, (one, start, stop) in enumerate(spans):
        assert start >= 0
        assert stop <= placement.total_words
        for other, other_start, other_stop in spans[index + 1 :]:
            if one.first <= other.last and other.first <= one.last:
                assert stop <= other_start or other_stop <= start, (one, other)
    assert placement.total_words >= placement.lower_bound_words == live.peak_words
    assert placement.is_optimal == (placement.total_words == live.peak_words)


@settings(max_examples=300, deadline=None)
@given(networks(), st.booleans(), st.booleans(), st.booleans())
def test_is_nothing_read_after_it_was_overwritten(network: Network, views: bool, fold: bool, in_place: bool) -> None:
    """On random graphs under all options: data survive until read, placements do not overlap."""
    live = liveness(network, views=views, fold_batch_norm=fold, in_place=in_place)
    assert_nothing_is_overwritten_early(network, live)
    assert_is_a_placement(live)


@settings(max_examples=100, deadline=None)
@given(networks())
def test_without_sharing_is_alive_what_was_made_and_is_still_read(network: Network) -> None:
    """The words of each step equal those of a walk over all tensors."""
    live = liveness(network, **PLAIN)
    words = {layer.name: layer.output_words for layer in network} | {INPUT: network.input_shape.words}
    order = [INPUT, *live.schedule]
    for step, total in enumerate(live.live_words):
        later = {source for name in live.schedule[step:] for source in network.inputs[name]}
        expected = {*later, *network.outputs, live.schedule[step]} & set(order[: step + 2])
        assert total == sum(words[name] for name in expected)


@pytest.mark.parametrize(
    "family", ["alexnet", "squeezenet", "mobilenet_v2", "resnet", "preresnet", "shufflenet", "inception_v3", "densenet"]
)
def test_do_published_networks_lay_out(family: str) -> None:
    """Data survive and placements are sound on real graphs, in no more than the bound."""
    network = build(family)
    live = liveness(network)
    assert_nothing_is_overwritten_early(network, live)
    assert_is_a_placement(live)
    assert plan_memory(live).is_optimal
    assert live.peak_words <= liveness(network, **PLAIN).peak_words


def test_what_is_the_peak_of_published_networks() -> None:
    """VGG-16: two maps of 64 x 224 x 224 around its second convolution; ResNet-50: its first addition's two of 256."""
    assert liveness(build("vgg")).peak_words == 2 * 64 * 224 * 224
    assert liveness(build("resnet")).peak_words == 2 * 256 * 56 * 56 + 64 * 56 * 56
    assert liveness(build("resnet")).peak_layer == "stage1/unit1/conv3"


def test_does_the_planner_take_the_smallest_gap_that_fits() -> None:
    """When b and d are dead, f fits the gap of 8 words that b leaves and the one of 6 of d; it takes d's."""
    lives = [("a", 10, 0, 1), ("b", 8, 0, 0), ("c", 7, 0, 1), ("d", 6, 0, 0), ("e", 5, 0, 1), ("f", 4, 1, 1)]
    buffers = tuple(Buffer(name=n, layers=(n,), words=w, first=f, last=t) for n, w, f, t in lives)
    placement = plan_memory(Liveness(schedule=("s", "t"), buffers=buffers, live_words=(36, 26)))
    assert dict(placement.offsets) == {"a": 0, "b": 10, "c": 18, "d": 25, "e": 31, "f": 25}
    assert (placement.total_words, placement.is_optimal) == (36, True)


def dense_block(layers: int, *, bottleneck: bool = False) -> Network:
    """A DenseNet of one block of 56 x 56 pixels with k0 = k = 12, as the paper's arithmetic has it."""
    return build("densenet", blocks=[layers], growth=12, stem_channels=12, bottleneck=bottleneck)


def test_what_does_a_dense_layer_keep_for_the_way_back() -> None:
    """Layer l copies and normalises k l channels: 2 W H k l words (arXiv:1707.06990, section 3)."""
    for layer in range(2, 7):
        network = dense_block(6)
        memory = training_memory(network, "naive", block=f"block1/layer{layer}")
        assert memory.concat_words + memory.batch_norm_words == 2 * 56 * 56 * 12 * layer


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize(
    ("plan", "maps"), [("naive", 4), ("shared_gradients", 2), ("shared_concat", 1), ("shared_batch_norm", 0)]
)
def test_does_sharing_turn_quadratic_growth_linear(plan: str, maps: int, bottleneck: bool) -> None:
    """Each further layer adds W H k words more than the one before, for each kind of copy that is not shared."""
    totals = [
        training_memory(dense_block(depth, bottleneck=bottleneck), plan, block="block1").total_words
        for depth in range(4, 10)
    ]
    steps = [after - before for before, after in pairwise(totals)]
    assert {after - before for before, after in pairwise(steps)} == {maps * 56 * 56 * 12}


def test_what_do_the_four_plans_keep() -> None:
    """A block of three layers by hand, in maps of W H k words."""
    network, unit = dense_block(3), 56 * 56 * 12
    # Features: the input and three outputs. Copies: joined 2, 3 and 4 (at the end); normalised 1, 2 and 3.
    expected = {
        StoragePlan.NAIVE: (4, 9, 6, 4 + 9 + 6, 0),
        StoragePlan.SHARED_GRADIENTS: (4, 9, 6, 4 + 4 + 3, 0),
        StoragePlan.SHARED_CONCAT: (4, 4, 6, 4 + 4 + 3, 9),
        StoragePlan.SHARED_BATCH_NORM: (4, 4, 3, 4 + 4 + 3, 15),
    }
    for plan, maps in expected.items():
        memory = training_memory(network, plan, block="block1")
        parts = ("features", "concat", "batch_norm", "gradient", "recomputed")
        assert tuple(getattr(memory, f"{part}_words") / unit for part in parts) == maps
        assert memory.total_words == sum(maps[:4]) * unit


def test_does_each_plan_need_less_than_the_one_before() -> None:
    """The 264-layer DenseNet with k = 48, the paper's largest: a tenth of the naive plan."""
    network = build("densenet", depth=264, growth=48)
    totals = [training_memory(network, plan).total_words for plan in StoragePlan]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < 0.11 * totals[0]
    doubled = training_memory(network.with_batch(2), "naive").total_words
    assert doubled == 2 * totals[0]


def test_are_unknown_plans_and_blocks_refused() -> None:
    """The error names what there is."""
    network = dense_block(2)
    with pytest.raises(WorkloadError, match=r"storage plan must be one of naive, shared_gradients, .* got 'shared'"):
        training_memory(network, "shared")
    with pytest.raises(WorkloadError, match="network densenet has no block 'block2'"):
        training_memory(network, "naive", block="block2")

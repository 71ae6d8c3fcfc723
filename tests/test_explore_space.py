"""Design spaces: what an axis holds, what is refused, which points the samplers take."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from explore_spaces import array_space
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.explore.samplers import latin_hypercube, make_sampler, random_choices
from accelsim.explore.space import Axis, Bound, load_space

HEAD = "network: squeezenext23\nhardware: 8x8_32KB\n"


def space_of(sizes, **changes):
    axes = {f"x{i}": {"hardware": f"a.b{i}", "values": list(range(size))} for i, size in enumerate(sizes)}
    return load_space({"network": "n", "hardware": "h", "axes": axes} | changes)


def all_choices(sampler):
    found = []
    while batch := sampler.ask():
        found += batch
    return found


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({"values": [8, 4, "x"]}, (8, 4, "x")),
        ({"values": [[1, 2], (2, 1)]}, ([1, 2], [2, 1])),
        ({"start": 8, "stop": 16, "step": 4}, (8, 12, 16)),
        ({"start": 8, "stop": 15, "step": 4}, (8, 12)),
        ({"start": 16, "stop": 128, "times": 2}, (16, 32, 64, 128)),
        ({"start": 0.5, "stop": 1.1, "step": 0.3}, (0.5, 0.8, 1.1)),
        ({"start": 3, "stop": 3, "step": 1}, (3,)),
        ({"total": 3, "parts": 2}, ([1, 2], [2, 1])),
        ({"total": 2, "parts": 2, "at_least": 0}, ([0, 2], [1, 1], [2, 0])),
    ],
)
def test_which_values_has_an_axis(fields, values):
    """Lists are taken as they stand, ranges hit their end, shares are all there are; whole numbers stay whole."""
    found = Axis(hardware="memories.GLB.size_kb", **fields).items
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@given(total=st.integers(1, 12), parts=st.integers(1, 5), least=st.integers(0, 3))
def test_are_all_ways_to_share_there_once(total, parts, least):
    """Every share has the total, and there are as many different ones as stars and bars say."""
    spare = total - parts * least
    if spare < 0:
        with pytest.raises(ValueError, match="cannot be shared"):
            Axis(network="blocks", total=total, parts=parts, at_least=least)
        return
    shares = Axis(network="blocks", total=total, parts=parts, at_least=least).items
    assert len({tuple(share) for share in shares}) == len(shares) == math.comb(spare + parts - 1, parts - 1)
    assert all(sum(share) == total and min(share) >= least and len(share) == parts for share in shares)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("axes: {r: {values: [1]}}", [":3: axes.r", "an axis sets one of hardware"]),
        ("axes: {r: {hardware: a, network: b, values: [1]}}", ["got hardware and network"]),
        ("axes: {r: {hardware: a}}", ["expected values, from and to, or total and parts; got none"]),
        ("axes: {r: {hardware: a, values: [1], from: 2}}", ["got values and from/to"]),
        ("axes: {r: {hardware: a, from: 1, to: 4}}", ["one of step and times"]),
        ("axes: {r: {hardware: a, from: 4, to: 1, step: 1}}", ["must rise"]),
        ("axes: {r: {hardware: a, from: 0, to: 1000000, step: 0.5}}", ["100000 values, this range has 2000001"]),
        ("axes: {r: {hardware: a, values: [1, 1]}}", ["a value stands twice"]),
        ("axes: {r: {hardware: a, values: [1]}, s: {hardware: [b, a], values: [1]}}", ["axes r and s both set", "a"]),
        ("axes: {cycles: {hardware: a, values: [1]}}", ["has the name of a metric"]),
        ("axes: {r: {hardware: a, vales: [1]}}", ["unknown key", "did you mean 'values'"]),
        ("axes: {r: {option: network, values: [alexnet]}}", ["got network and an axis with option network"]),
        ("axes: {r: {hardware: a, values: [1]}}\nobjectives: [enegry]", ["unknown metric 'enegry'", "energy"]),
        ("axes: {r: {hardware: a, values: [1]}}\nconstraints: {area_mm2: {}}", ["needs min or max"]),
        ("axes: {r: {hardware: a, values: [1]}}\nsampler: {name: random}", ["needs points"]),
        ("axes: {r: {hardware: a, values: [1]}}\nsampler: {points: 5}", ["a grid takes all points"]),
        ("axes: {r: {hardware: a, values: [1]}}\nsampler: {name: lhs, points: 5, population: 5}", ["no population"]),
    ],
)
def test_is_a_wrong_space_refused_with_its_line(tmp_path, text, parts):
    """One sentence says where and what."""
    path = tmp_path / "space.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_space(path)
    for part in (f"{path}:", *parts):
        assert part in str(refused.value)


def test_is_a_file_that_is_not_there_refused(tmp_path):
    """A network's path is taken from the space's folder, and the message has it."""
    path = tmp_path / "space.yaml"
    path.write_text("network: nets/mine.yaml\nhardware: 8x8_32KB\naxes: {r: {hardware: a, values: [1]}}")
    with pytest.raises(InputError, match=r"nets/mine\.yaml: no such file"):
        load_space(path)


def test_does_a_search_stay_the_same_when_it_is_widened(tmp_path):
    """More values, another sampler or objective ask the same store; another machine, bound or network does not."""
    base = load_space(array_space(tmp_path))
    wider = array_space(tmp_path, rows=6, objectives=["edp"], sampler={"name": "random", "points": 3})
    assert load_space(wider).digest == base.digest
    for change in (
        {"hardware": "16x16_128KB"},
        {"constraints": {"area_mm2": {"max": 1}}},
        {"network": "alexnet"},
        {"options": {"batch": 2}},
    ):
        assert load_space(array_space(tmp_path, **change)).digest != base.digest
    changed = array_space(tmp_path)
    (tmp_path / "three_layers.yaml").write_text("name: three_layers\nfamily: alexnet\n")
    assert load_space(changed).digest != base.digest


def test_are_points_of_one_accelerator_neighbours_in_the_grid():
    """Axes of the network turn fastest, wherever they stand, so that a worker can use its solved layers again."""
    axes = {
        "width": {"network": "width", "values": [1, 2, 3]},
        "rows": {"hardware": "a", "values": [8, 16]},
        "depth": {"network": "depth", "values": [1, 2]},
    }
    space = load_space({"network": "n", "hardware": "h", "axes": axes})
    choices = list(space.choices())
    assert len(set(choices)) == len(choices) == space.size == 12
    assert [choice[1] for choice in choices] == [0] * 6 + [1] * 6


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 3), st.data())
def test_are_random_points_different_and_reproducible(sizes, seed, data):
    """As many as asked for, none twice, all inside, the same for the same seed; all of the space if asked for."""
    space = space_of(sizes)
    points = data.draw(st.integers(1, space.size))
    chosen = list(random_choices(space, points, seed))
    assert len(set(chosen)) == len(chosen) == points
    assert set(chosen) <= set(space.choices())
    assert chosen == list(random_choices(space, points, seed))


def test_do_other_seeds_take_other_points():
    """Random points and hypercubes depend on the seed."""
    space = space_of([50, 50])
    assert len({tuple(random_choices(space, 10, seed)) for seed in range(5)}) == 5
    assert len({tuple(latin_hypercube(space, 10, seed)) for seed in range(5)}) == 5


def test_is_every_value_used_equally_often_in_a_hypercube():
    """With points a multiple of an axis's values, each value stands in equally many points."""
    space = space_of([60, 20, 6])
    chosen = latin_hypercube(space, 60, seed=1)
    assert len(set(chosen)) == 60
    for axis, size in enumerate((60, 20, 6)):
        assert set(Counter(choice[axis] for choice in chosen).values()) == {60 // size}


def test_does_a_hypercube_of_a_small_space_have_all_its_points():
    """Points that coincide are replaced, up to the whole space."""
    space = space_of([3, 2])
    assert set(latin_hypercube(space, 6, seed=0)) == set(space.choices())


@pytest.mark.parametrize(("name", "points", "expected"), [("grid", None, 24), ("random", 7, 7), ("lhs", 100, 24)])
def test_does_a_sampler_propose_what_it_says(name, points, expected):
    """Its total is the number of points that come, never more than there are."""
    sampler = make_sampler(space_of([4, 6], sampler={"name": name} | ({"points": points} if points else {})))
    found = all_choices(sampler)
    assert sampler.total == len(found) == len(set(found)) == expected


@pytest.mark.parametrize(
    ("bound", "value", "excess"),
    [
        (Bound(max=4), 5, 0.25),
        (Bound(max=4), 4, 0),
        (Bound(min=10), 9, 0.1),
        (Bound(min=1, max=3), 2, 0),
        (Bound(max=0), 2, 2),
    ],
)
def test_how_far_is_a_value_outside_its_bound(bound, value, excess):
    """The excess is a share of the bound, and 0 on it."""
    assert bound.excess(value) == pytest.approx(excess)

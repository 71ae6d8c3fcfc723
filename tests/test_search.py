"""Is the mapper's answer the best of all mappings?

``ACCELSIM_TEST_EXAMPLES`` sets how many cases each property draws (2,000 in all are a thorough check); every run of the
larger draw is a new one.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from nest_strategies import constraints, machines, tiny_layers
from search_brute import TooManyError, brute_force, brute_front, brute_kinds, kind_of_nest, rank

from accelsim.engine.closed_form import evaluate
from accelsim.errors import NoMappingError
from accelsim.mapping.nest import check
from accelsim.mapping.search import search, search_front, search_top

OBJECTIVES = ("cycles", "energy", "edp")
EXAMPLES = os.environ.get("ACCELSIM_TEST_EXAMPLES")
MOST = 3_000 if EXAMPLES is None else 60_000
"""Cases with more mappings are passed over."""


def draws(few):
    """Return settings that draw a few cases, or as many as the environment asks for."""
    return settings(
        max_examples=int(EXAMPLES or few),
        deadline=None,
        derandomize=EXAMPLES is None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # every smaller case that fails takes as long as a case
    )


def best(layer, machine, constraint, objective, *, uneven=False):
    """Return what the mapper finds, or None."""
    try:
        return search(layer, machine, constraint, objective, uneven=uneven)
    except NoMappingError:
        return None


@pytest.mark.parametrize("uneven", [False, True], ids=["uniform", "uneven"])
@pytest.mark.parametrize("stores", [2, 3, 4])
def test_no_mapping_is_better(stores, uneven):
    """Brute force over all mappings finds the same objective, and none where the mapper finds none."""

    @draws(20)
    @given(st.data())
    def compare(data):
        layer, machine = data.draw(tiny_layers()), data.draw(machines(most_stores=stores))
        constraint, objective = data.draw(constraints(machine)), data.draw(st.sampled_from(OBJECTIVES))
        try:
            brute = brute_force(layer, machine, constraint, objective, uneven=uneven, limit=MOST)
        except TooManyError:
            return
        found = best(layer, machine, constraint, objective, uneven=uneven)
        assert (found is None) == (brute is None)
        if found is None:
            return
        check(found.nest, layer, machine)
        cost = evaluate(found.nest, layer, machine)
        if found.complete:
            assert (found.energy, found.cycles) == pytest.approx((cost.energy, cost.cycles), rel=1e-9)
            assert rank(found, objective) == pytest.approx(rank(brute, objective), rel=3e-9)
        else:
            assert cost.energy <= found.energy * (1 + 1e-9)
            assert cost.cycles <= found.cycles * (1 + 1e-9)
            assert rank(found, objective)[0] >= rank(brute, objective)[0] * (1 - 1e-9)

    compare()


@pytest.mark.parametrize("uneven", [False, True], ids=["uniform", "uneven"])
@pytest.mark.parametrize("stores", [2, 3])
def test_no_kind_of_mapping_is_better_than_the_last_of_the_best(stores, uneven):
    """Brute force over all mappings finds the same best kinds, each with the same best mapping."""

    @draws(15)
    @given(st.data())
    def compare(data):
        layer, machine = data.draw(tiny_layers()), data.draw(machines(most_stores=stores))
        constraint, objective = data.draw(constraints(machine)), data.draw(st.sampled_from(OBJECTIVES))
        top = data.draw(st.integers(2, 6))
        try:
            brute = brute_kinds(layer, machine, constraint, objective, uneven=uneven, limit=MOST)
        except TooManyError:
            return
        if not brute:
            with pytest.raises(NoMappingError):
                search_top(layer, machine, constraint, objective, top=top, uneven=uneven)
            return
        found = search_top(layer, machine, constraint, objective, top=top, uneven=uneven)
        kinds = [kind_of_nest(one.nest, machine, constraint) for one in found]
        assert len(set(kinds)) == len(found) <= top
        for one in found:
            check(one.nest, layer, machine)
            cost = evaluate(one.nest, layer, machine)
            assert (one.energy, one.cycles) == pytest.approx((cost.energy, cost.cycles), rel=1e-9)
        if found[0].complete:
            ranks = sorted(brute.values())[:top]
            assert [rank(one, objective)[0] for one in found] == pytest.approx([one[0] for one in ranks], rel=3e-9)
            for kind, one in zip(kinds, found, strict=True):
                assert rank(one, objective) == pytest.approx(brute[kind], rel=3e-9)

    compare()


@pytest.mark.parametrize("uneven", [False, True], ids=["uniform", "uneven"])
@pytest.mark.parametrize("stores", [2, 3])
def test_no_mapping_is_before_the_front(stores, uneven):
    """For every mapping one on the front has no more energy and cycles, within the tolerance; at 0, it is all of it."""

    @draws(15)
    @given(st.data())
    def compare(data):
        layer, machine = data.draw(tiny_layers()), data.draw(machines(most_stores=stores))
        constraint, tolerance = data.draw(constraints(machine)), data.draw(st.sampled_from([0.0, 0.0, 0.02, 0.2]))
        try:
            brute = brute_front(layer, machine, constraint, uneven=uneven, limit=MOST)
        except TooManyError:
            return
        if not brute:
            with pytest.raises(NoMappingError):
                search_front(layer, machine, constraint, uneven=uneven, tolerance=tolerance)
            return
        front = search_front(layer, machine, constraint, uneven=uneven, tolerance=tolerance)
        pairs = [(one.energy, one.cycles) for one in front.mappings]
        for before, after in itertools.pairwise(pairs):
            assert before[0] > after[0]
            assert before[1] < after[1]
        for one in front.mappings:
            cost = evaluate(one.nest, layer, machine)
            assert (one.energy, one.cycles) == pytest.approx((cost.energy, cost.cycles), rel=1e-9)
        if not front.complete:
            return
        assert front.tolerance <= tolerance
        assert pairs[0] == pytest.approx(brute[0], rel=3e-9)
        assert pairs[-1] == pytest.approx(brute[-1], rel=3e-9)
        for energy, cycles in brute:
            assert any(e <= energy * (1 + tolerance + 3e-9) and c <= cycles * (1 + tolerance + 3e-9) for e, c in pairs)
        if tolerance == 0:
            assert all(any(one == pytest.approx(other, rel=3e-9) for other in brute) for one in pairs)

    compare()


@pytest.mark.parametrize("uneven", [False, True], ids=["uniform", "uneven"])
def test_a_search_that_ends_at_once_has_a_mapping_of_the_space(uneven):
    """What walks find fits the machine, costs no more than is said, and is no better than the best of all mappings."""

    @draws(20)
    @given(st.data())
    def compare(data):
        layer, machine = data.draw(tiny_layers()), data.draw(machines(most_stores=3))
        constraint, objective = data.draw(constraints(machine)), data.draw(st.sampled_from(OBJECTIVES))
        try:
            brute = brute_force(layer, machine, constraint, objective, uneven=uneven, limit=MOST)
        except TooManyError:
            return
        if brute is None:
            return
        found = search(layer, machine, constraint, objective, uneven=uneven, most_bounds=1)
        check(found.nest, layer, machine)
        cost = evaluate(found.nest, layer, machine)
        assert cost.energy <= found.energy * (1 + 1e-9)
        assert cost.cycles <= found.cycles * (1 + 1e-9)
        assert rank(found, objective)[0] >= rank(brute, objective)[0] * (1 - 1e-9)

    compare()


@draws(20)
@given(st.data())
def test_more_hardware_is_never_worse(data):
    """A larger buffer, a faster memory or a longer axis leaves every mapping possible at no higher cost."""
    layer, machine = data.draw(tiny_layers()), data.draw(machines(most_stores=3))
    constraint, objective = data.draw(constraints(machine)), data.draw(st.sampled_from(OBJECTIVES))
    before = best(layer, machine, constraint, objective)
    larger = data.draw(grown(machine))
    assume(before is not None and larger != machine)
    after = best(layer, larger, constraint, objective)
    assert rank(after, objective)[0] <= rank(before, objective)[0] * (1 + 1e-9)


@st.composite
def grown(draw, machine):
    """Return the machine with one memory larger or faster, or one axis longer."""
    if machine.fanouts and draw(st.booleans()):
        number = draw(st.integers(0, len(machine.fanouts) - 1))
        fanout = machine.fanouts[number]
        first, *others = fanout.axes
        axes = (replace(first, size=first.size + draw(st.integers(1, 3))), *others)
        fanouts = list(machine.fanouts)
        fanouts[number] = replace(fanout, axes=axes)
        return replace(machine, fanouts=tuple(fanouts))
    number = draw(st.integers(1, len(machine.stores) - 1))
    store, more = machine.stores[number], draw(st.integers(1, 20))
    changes = {
        "words": store.words and store.words + more,
        "operand_words": {operand: words + more for operand, words in store.operand_words.items()},
        "read_words_per_cycle": math.inf,
        "words_per_cycle": store.words_per_cycle * 2,
    }
    name = draw(st.sampled_from(sorted(changes)))
    stores = list(machine.stores)
    stores[number] = replace(store, **{name: changes[name]})
    return replace(machine, stores=tuple(stores))


@draws(10)
@given(st.data())
def test_the_answer_is_always_the_same(data):
    """The same question, also on an equal machine built anew, gets the same mapping."""
    layer, machine = data.draw(tiny_layers()), data.draw(machines(most_stores=3))
    uneven, objective = data.draw(st.booleans()), data.draw(st.sampled_from(OBJECTIVES))
    constraint = data.draw(constraints(machine))
    first = best(layer, machine, constraint, objective, uneven=uneven)
    again = best(layer, replace(machine), constraint, objective, uneven=uneven)
    assert (first and first.nest, first and first.energy) == (again and again.nest, again and again.energy)

"""Does the error of a machine that is too small say what is too small, by how much, and what is enough?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nest_strategies import layers, machines, nests
from stand_in import unit_nest

from accelsim.dims import Dim, Operand
from accelsim.errors import InputError
from accelsim.mapping.feasible import shortages, why_nothing_fits
from accelsim.mapping.hierarchy import ANY, Buffering, LoopConstraint, Machine, Store
from accelsim.mapping.nest import check
from accelsim.workload.layer import Layer

W, I, O = Operand.W, Operand.I, Operand.O  # noqa: E741

LAYER = Layer.conv("conv1", 3, 8, 9, 3)


def machine(**fields) -> Machine:
    """Return a machine with one memory below DRAM."""
    return Machine(
        name="chip", stores=(Store(name="DRAM"), Store(name="GLB", **fields)), word_bits=8, operand_bits={O: 32}
    )


def fits(layer: Layer, machine: Machine, nest) -> bool:
    """Return whether a nest is one of the layer on the machine."""
    try:
        check(nest, layer, machine)
    except InputError:
        return False
    return True


@given(st.data())
def test_is_a_machine_that_a_mapping_fits_never_called_too_small(data):
    """Whatever mapping fits, it needs no less than the smallest tiles: nothing is named as short."""
    layer, chip = data.draw(layers()), data.draw(machines())
    nest = data.draw(nests(layer, chip))
    if fits(layer, chip, nest):
        assert shortages(layer, chip) == []


@given(layers(), machines())
def test_is_every_machine_that_is_not_short_given_a_mapping(layer, chip):
    """Tiles of size 1 in all memories that must keep something are a mapping unless something is short."""
    assert fits(layer, chip, unit_nest(layer, chip)) == (not shortages(layer, chip, together=True))


@given(layers(), machines())
def test_is_the_change_that_is_named_enough_and_the_smallest(layer, chip):
    """With the words that each shortage names the layer has a mapping; with one word less somewhere it has none."""
    lacking = {
        (shortage.store.name, shortage.operands): int(-(-shortage.total_words // 1))
        for shortage in shortages(layer, chip, together=True)
    }

    def enlarged(less: int) -> Machine:
        stores = []
        for store in chip.stores:
            words = {name: need - less for (place, name), need in lacking.items() if place == store.name}
            own = {o: words.get((o,), size) for o, size in store.operand_words.items()}
            shared = next(iter(words.values()), store.words) if store.words else store.words
            stores.append(replace(store, words=shared, operand_words=own))
        return replace(chip, stores=tuple(stores))

    assert fits(layer, enlarged(0), unit_nest(layer, enlarged(0)))
    if lacking and min(lacking.values()) > 1:
        assert not fits(layer, enlarged(1), unit_nest(layer, enlarged(1)))


def test_does_the_error_name_all_that_a_user_needs():
    """Layer, machine, memory, operands with their words, the words there, and both ways out."""
    assert why_nothing_fits(LAYER, machine(words=5), ANY) == (
        "layer conv1: no mapping fits chip: GLB is too small: the smallest tiles need 12 words (W 2, I 2, O 8), "
        "it has 5; 12 words are enough"
    )
    assert why_nothing_fits(LAYER, machine(words=6), ANY).endswith(
        "it has 6; 12 words are enough, and with buffering single 6"
    )
    assert why_nothing_fits(LAYER, machine(operand_words={W: 9, I: 1, O: 9}), ANY) == (
        "layer conv1: no mapping fits chip: GLB is too small: the smallest tiles need 2 words (I 2), "
        "its part for I has 1; 2 words are enough, and with buffering single 1"
    )


def test_are_operands_that_may_be_let_by_not_asked_for():
    """What can bypass a memory needs no room in it."""
    assert shortages(LAYER, machine(words=8, may_bypass=frozenset({W, I}))) == []
    assert len(shortages(LAYER, machine(words=7, may_bypass=frozenset({W, I})))) == 1
    assert shortages(LAYER, machine(words=6, buffering=Buffering.ROLLING)) == []


def test_is_a_constraint_that_leaves_nothing_told_with_its_entries():
    """Where every memory is large enough the dataflow is to blame, and is spelled out."""
    flow = LoopConstraint(name="mine", unroll={"array.rows": frozenset({Dim.C})}, stationary={"GLB": W})
    message = why_nothing_fits(LAYER, machine(words=99), flow)
    assert message.startswith("layer conv1: no mapping on chip respects dataflow mine (unroll array.rows: C; ")
    assert "stationary GLB: W" in message
    assert message.endswith("leave one of its constraints out, or use dataflow any")


@pytest.mark.parametrize("together", [False, True])
def test_is_an_input_of_one_pixel_under_two_windows_whole_in_one_word(together):
    """One stored pixel under padding takes one word if its tile may be whole alone, and two beside a cut filter."""
    layer = Layer.conv("edge", 1, 1, 1, 3, padding=1)
    lacking = shortages(layer, machine(operand_words={W: 9, I: 1, O: 9}), together=together)
    assert [shortage.needed_words for shortage in lacking] == ([(2,)] if together else [])

"""Cost models of peers, matched to ours; what they said is recorded, so that none of them is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accelsim.dims import Operand
from accelsim.engine.closed_form import Cost, evaluate
from accelsim.mapping.hierarchy import RegisterRead
from accelsim.mapping.nest import Nest, check, from_data
from benchmarks.peers import ref16
from benchmarks.peers.ref16 import Term, Terms

RECORDS = json.loads(Path(__file__).parent.joinpath("data", "zigzag_ref16.json").read_text(encoding="utf-8"))
"""Written by ``python -m benchmarks.peers.peer_zigzag --record`` with zigzag-dse 3.9.1."""


def matched(record: dict[str, Any]) -> tuple[Cost, Nest]:
    """Return the closed form of a recorded mapping in ZigZag's terms."""
    nest, order = ref16.with_own_registers(from_data(record["nest"]))
    layer, machine = ref16.layer(record["layer"]), ref16.matched_machine(Terms.ZIGZAG, order)
    check(nest, layer, machine)
    return evaluate(nest, layer, machine), nest


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record['layer']} {record['effort']}")
def test_does_the_closed_form_charge_what_zigzag_charges(record: dict[str, Any]) -> None:
    """Every term to the word, and so the energy, under the three rules that docs/peers.md states."""
    cost, nest = matched(record)
    counted = ref16.words_as_zigzag(cost, nest, ref16.layer(record["layer"]))
    terms = {f"{term.level} {term.operand.name} {term.action} {term.way}": count for term, count in counted.items()}
    assert terms == record["words"]
    assert ref16.energy(counted, cost.macs) == record["energy"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record['layer']} {record['effort']}")
def test_are_the_terms_that_differ_few_and_never_ours_the_larger(record: dict[str, Any]) -> None:
    """Partial sums read back, and pixels shared by neighbours: all else is equal, and the energy within 3%."""
    cost, nest = matched(record)
    ours = ref16.words(cost)
    theirs = ref16.words_as_zigzag(cost, nest, ref16.layer(record["layer"]))
    may_differ = {Term(level, Operand.O, action, "down") for level in ref16.ENERGY for action in ("read", "write")}
    may_differ.add(Term("buffer", Operand.I, "read", "down"))
    for term, count in theirs.items():
        assert ours.get(term, 0) <= count
        assert ours.get(term, 0) == count or term in may_differ
    assert 0.97 * record["energy"] <= cost.energy <= record["energy"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record['layer']} {record['effort']}")
def test_is_zigzags_latency_never_below_ours(record: dict[str, Any]) -> None:
    """It adds on- and off-loading and stalls of tiles that leave no room for the next; ours overlaps them."""
    cost, _ = matched(record)
    assert cost.cycles <= record["cycles"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record['layer']} {record['effort']}")
def test_do_register_files_of_their_own_change_nothing_else(record: dict[str, Any]) -> None:
    """A file per operand is the machine with one split file: same words when read at every MAC."""
    nest, layer = from_data(record["nest"]), ref16.layer(record["layer"])
    own, order = ref16.with_own_registers(nest)
    split = evaluate(own, layer, ref16.matched_machine(Terms.ACCELFORGE, order))
    joint = evaluate(nest, layer, ref16.machine(RegisterRead.PER_MAC))
    assert ref16.words(split) == ref16.words(joint)
    assert (split.energy, split.cycles) == (joint.energy, joint.cycles)

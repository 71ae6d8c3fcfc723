"""Cost models of peers, matched to ours; what they said is recorded, so that none of them is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accelsim.dims import Operand
from accelsim.engine.closed_form import Cost, evaluate
from accelsim.mapping.nest import Nest, check, from_data
from benchmarks.peers import ref16
from benchmarks.peers.ref16 import Term

RECORDS = json.loads(Path(__file__).parent.joinpath("data", "zigzag_ref16.json").read_text(encoding="utf-8"))
"""Written by ``python -m benchmarks.peers.peer_zigzag --record`` with zigzag-dse 3.9.1."""


def matched(record: dict[str, Any]) -> tuple[Cost, Nest]:
    """Return the closed form of a recorded mapping in ZigZag's terms."""
    nest, layer, machine = from_data(record["nest"]), ref16.layer(record["layer"]), ref16.machine("ZigZag")
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
def test_does_the_counting_of_an_operand_change_only_its_registers(record: dict[str, Any]) -> None:
    """Sums at every MAC or W and I at every MAC: the other terms and the cycles are those of ``on_change``."""
    nest, layer = from_data(record["nest"]), ref16.layer(record["layer"])
    costs = {terms: evaluate(nest, layer, ref16.machine(terms)) for terms in ref16.TERMS}
    counts = {terms: ref16.words(cost) for terms, cost in costs.items()}
    for term in counts["per_mac"]:
        same = "per_mac" if term.operand is Operand.O else "on_change"
        assert counts["ZigZag"].get(term, 0) == counts[same].get(term, 0)
    assert len({cost.cycles for cost in costs.values()}) == 1
    assert costs["on_change"].energy <= costs["ZigZag"].energy <= costs["per_mac"].energy

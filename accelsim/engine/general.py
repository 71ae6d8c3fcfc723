"""The closed-form engine on a machine of any hierarchy: a layer's best mapping, and its costs as a table holds them.

``accelsim.mapping.search`` finds the mapping, ``accelsim.engine.closed_form`` says what it costs. In the table, ``rf``
are the memories in the PEs (below the innermost fan-out), ``dram`` is the outermost, ``glb`` all between them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from accelsim import cache
from accelsim.dims import Operand
from accelsim.engine.analytical import LayerResult
from accelsim.engine.closed_form import MAC, Cost, evaluate
from accelsim.errors import NoMappingError, WorkloadError
from accelsim.lowering import MAX_NEST_SIZE, check_size
from accelsim.mapping.arrays import Count
from accelsim.mapping.feasible import why_nothing_fits
from accelsim.mapping.handwritten import check_mapping
from accelsim.mapping.hierarchy import LoopConstraint, Machine
from accelsim.mapping.mapping import NestMapping
from accelsim.mapping.nest import Nest, from_data, to_data
from accelsim.workload.layer import AS_COMPUTED, Layer

if TYPE_CHECKING:
    from accelsim.mapping.search import Found

GIVEN = "given"
"""What the table calls the dataflow of a mapping that was given and not searched."""

CODE = ("cache.py", "dims.py", "engine/closed_form.py", "mapping/*.py")
"""Files whose change makes every earlier answer void."""


class NestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the mapper says of one layer: plain data, as the cache keeps it.

    Attributes:
        steps: The mapping, as of ``accelsim.mapping.nest.to_data``.
        space: Number of mappings in the space, in decimal (it may exceed 64 bits).
        evaluated: How many were evaluated.
        complete: Whether the whole space was covered.
    """

    steps: list[dict[str, object]]
    space: str
    evaluated: int
    complete: bool


class NestFront(msgspec.Struct, frozen=True, kw_only=True):
    """What the mapper says of the front of one layer's mappings: plain data, as the cache keeps it.

    Attributes:
        mappings: By growing cycles.
        tolerance: The share by which they may be worse than a mapping that they stand for, as far as it is proven.
        complete: Whether that is what was asked for.
    """

    mappings: list[NestAnswer]
    tolerance: float
    complete: bool


@dataclass(frozen=True, kw_only=True)
class NestResult(LayerResult):
    """What one layer costs under a mapping on a machine of any hierarchy.

    Attributes:
        cost: The counts and times in full.
        complete: Whether the mapping is the best of the whole space (of a given one: False).
    """

    cost: Cost
    complete: bool

    @property
    def bound(self) -> str:
        """What the layer waits for: ``compute``, or the name of a memory."""
        return self.cost.bound.lower()


@dataclass(frozen=True, kw_only=True)
class NestSearch:
    """What is searched for every layer.

    Attributes:
        machine: The machine.
        constraint: The dataflow.
        objective: ``cycles``, ``energy`` or ``edp``.
        uneven: Whether the operands of a memory may have places of their own.
        limit: After how many bounds a search ends with the best so far; None for the mapper's own.
    """

    machine: Machine
    constraint: LoopConstraint
    objective: str
    uneven: bool
    limit: int | None = None

    def question(self, layer: Layer, *what: object) -> bytes:
        """Return the cache key of what ``solve`` would compute, or another question that ``what`` tells apart.

        Raises:
            WorkloadError: The layer is too large to be counted exactly, or a storage plan packs its operands.
        """
        _check_stored(layer, self.machine)
        check_size(layer, largest_dim=MAX_NEST_SIZE)
        how = (_plain(self.machine), _plain(self.constraint), self.objective, self.uneven, self.limit)
        asked = (*how, layer.shape_key, *what)
        return cache.key_of(*asked, code=CODE)

    @property
    def _how(self) -> dict[str, Any]:
        """How is searched, as the mapper's options."""
        return {"uneven": self.uneven} | ({} if self.limit is None else {"most_bounds": self.limit})

    def solve(self, layer: Layer) -> NestAnswer | None:
        """Return the best mapping of a layer, or None if there is none."""
        from accelsim.mapping.search import search  # noqa: PLC0415 - numba is loaded only where it is used

        try:
            found = search(layer, self.machine, self.constraint, self.objective, **self._how)
        except NoMappingError:
            return None
        return _answer(found)

    def solve_top(self, layer: Layer, top: int) -> list[NestAnswer] | None:
        """Return the best mappings that differ in kind, the best first, or None if there is none."""
        from accelsim.mapping.search import search_top  # noqa: PLC0415 - numba is loaded only where it is used

        try:
            found = search_top(layer, self.machine, self.constraint, self.objective, top=top, **self._how)
        except NoMappingError:
            return None
        return [_answer(one) for one in found]

    def solve_front(self, layer: Layer, tolerance: float) -> NestFront | None:
        """Return the front of energy and cycles, or None if there is no mapping."""
        from accelsim.mapping.search import search_front  # noqa: PLC0415 - numba is loaded only where it is used

        try:
            found = search_front(layer, self.machine, self.constraint, tolerance=tolerance, **self._how)
        except NoMappingError:
            return None
        return NestFront(
            mappings=[_answer(one) for one in found.mappings], tolerance=found.tolerance, complete=found.complete
        )

    def result(self, layer: Layer, answer: NestAnswer) -> NestResult:
        """Return what a layer costs under what ``solve`` says."""
        return nest_result(
            layer,
            self.machine,
            from_data(answer.steps),
            self.constraint.name,
            space=int(answer.space),
            evaluated=answer.evaluated,
            complete=answer.complete,
        )

    def why_nothing_fits(self, layer: Layer) -> str:
        """Return the sentence that says why ``solve`` found none."""
        return why_nothing_fits(layer, self.machine, self.constraint)


def _answer(found: Found) -> NestAnswer:
    """Return a mapping that was found as plain data."""
    return NestAnswer(
        steps=to_data(found.nest),
        space=str(int(found.space)),
        evaluated=int(found.evaluated),
        complete=found.complete,
    )


def _check_stored(layer: Layer, machine: Machine) -> None:
    """Refuse operands that lie in DRAM in other words than those of the machine: neither search nor costs know them."""
    if layer.stored != AS_COMPUTED:
        words = ", ".join(f"{operand.name} {layer.stored[operand]:.3g}" for operand in Operand)
        raise WorkloadError(
            f"layer {layer.name}: the storage plan packs its words in DRAM ({words} of a word), which only fixed "
            f"programs (the dataflows of 16x16_128KB and 8x8_32KB) take into account; mappings of {machine.name} move "
            "whole words: leave the plan out"
        )


def given_result(layer: Layer, machine: Machine, nest: Nest) -> NestResult:
    """Return what a layer costs under a mapping that somebody gives.

    Raises:
        InputError: It is not a mapping of the layer on the machine, does not fit, or a storage plan packs operands.
    """
    _check_stored(layer, machine)
    check_size(layer)
    check_mapping(nest, layer, machine)
    return nest_result(layer, machine, nest, GIVEN, space=1, evaluated=1, complete=False)


def nest_result(
    layer: Layer, machine: Machine, nest: Nest, dataflow: str, *, space: int, evaluated: int, complete: bool
) -> NestResult:
    """Return what a layer costs under a (checked) mapping, as the table holds it."""
    cost = evaluate(nest, layer, machine)
    components = _components(machine)
    energy = dict.fromkeys(("mac", "rf", "noc", "glb", "dram"), 0.0)
    for part, spent in cost.energy_parts.items():
        energy[components[part]] += spent
    outermost = machine.stores[0].name
    return NestResult(
        layer=layer,
        mapping=NestMapping(dataflow=dataflow, nest=nest),
        cycles=math.ceil(cost.cycles),
        array_cycles=cost.compute_cycles,
        iteration_cycles=float(cost.iterations),
        dram_cycles=cost.latency_cycles + cost.busy_cycles[outermost],
        counts=_counts(cost, components),
        energy=energy,
        space=space,
        walked=evaluated,
        cost=cost,
        complete=complete,
    )


def _components(machine: Machine) -> dict[str, str]:
    """Return the component of the table that every part of the energy belongs to."""
    names = [store.name for store in machine.stores]
    innermost = max((names.index(fanout.below) for fanout in machine.fanouts), default=len(names))
    components = {name: "rf" if index > innermost else "glb" for index, name in enumerate(names)}
    return components | {names[0]: "dram", MAC: "mac"} | {fanout.name: "noc" for fanout in machine.fanouts}


def _counts(cost: Cost, components: dict[str, str]) -> np.ndarray:
    """Return float64 per ``Count``: MACs and words by component."""
    counts = np.zeros(len(Count))
    counts[Count.MAC] = cost.macs
    counts[Count.LINK] = sum(cost.link_words.values())
    for kind, words in (("READ", cost.read_words), ("WRITE", cost.written_words)):
        for (store, operand), number in words.items():
            name = f"{components[store].upper()}_{kind}_{Operand(operand).name}"
            if number:
                counts[Count[name]] += number
    return counts


def _plain(value: Machine | LoopConstraint) -> str:
    """Return a machine or a constraint as text in which equal ones are equal, whatever they are called."""
    data = asdict(value)
    data["name"] = ""
    return repr(_sorted(data))


def _sorted(value: object) -> object:
    """Return nested containers with sets and mappings in a fixed order."""
    if isinstance(value, dict):
        return sorted((str(key), _sorted(child)) for key, child in value.items())
    if isinstance(value, frozenset):
        return sorted(value)
    return [_sorted(child) for child in value] if isinstance(value, tuple | list) else value

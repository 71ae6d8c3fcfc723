"""Mappings of one layer beside each other: the best ones of several kinds, and the front of cycles and energy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from accelsim import cache
from accelsim.engine.analytical import LayerResult
from accelsim.engine.general import NestAnswer, NestFront, NestResult, NestSearch
from accelsim.errors import InputError, NoMappingError
from accelsim.hardware.spec import Hardware
from accelsim.mapping.machine import constraint_of, machine_of
from accelsim.simulation import dataflow_names, mapping_space_of, objective_of, search_limit_of, solve_one
from accelsim.workload.layer import Layer

MOST_ALTERNATIVES = 1000
"""How many mappings can be asked for."""

LOOSEST_FRONT = 1.0
"""The largest tolerance of a front."""


@dataclass(frozen=True, kw_only=True)
class MappingFront:
    """The mappings of a layer that no other one beats in both cycles and energy.

    Attributes:
        results: What the layer costs under each, by growing cycles and falling energy. The first is the fastest, the
            last has the least energy.
        tolerance: For every mapping that there is, one of these has no more cycles and no more energy, but for this
            share, as far as it is proven.
        complete: Whether that is proven for the tolerance that was asked for.
    """

    results: tuple[NestResult, ...]
    tolerance: float
    complete: bool


def best_mapping(
    layer: Layer,
    hardware: Hardware,
    *,
    dataflow: str = "any",
    objective: str = "edp",
    mapping_space: str | None = None,
    search_limit: int | None = None,
) -> LayerResult:
    """Return what a layer costs under its best mapping; options as of ``simulate``.

    Raises:
        InputError: A name or an option is wrong.
        NoMappingError: The layer fits the hardware in no way.
    """
    return solve_one(
        layer, hardware, dataflow=dataflow, objective=objective, mapping_space=mapping_space, search_limit=search_limit
    )


def best_mappings(
    layer: Layer,
    hardware: Hardware,
    *,
    top: int,
    dataflow: str = "any",
    objective: str = "edp",
    mapping_space: str | None = None,
    search_limit: int | None = None,
) -> list[NestResult]:
    """Return what a layer costs under the best mappings that differ in kind, the best first.

    Two mappings are of one kind if every axis of the array has the same dims unrolled along it, by whatever counts, and
    every memory keeps the same operands (axes of a fan-out that allow the same may be swapped). Of every kind there is
    the best mapping: no other mapping of the whole space, of a kind that is not listed, is better than the last one.

    Args:
        layer: The layer.
        hardware: The accelerator.
        top: How many mappings at most; there are fewer if there are no more kinds.
        dataflow: One that is a constraint: ``any``, or a name.
        objective: As of ``simulate``.
        mapping_space: As of ``simulate``.
        search_limit: As of ``simulate``.

    Raises:
        InputError: A name or an option is wrong, or the dataflow is a fixed program.
        NoMappingError: The layer fits the hardware in no way.
    """
    if not 1 <= top <= MOST_ALTERNATIVES:
        raise InputError(f"top must be 1 to {MOST_ALTERNATIVES} mappings, got {top}")
    search = _search(hardware, dataflow, objective, mapping_space, search_limit)
    answers = _remembered(
        search.question(layer, "top", top), list[NestAnswer], lambda: search.solve_top(layer, top), search, layer
    )
    results = [search.result(layer, answer) for answer in answers]
    return sorted(results, key=lambda result: _rank(result, objective))  # what the search does not see may reorder


def mapping_front(
    layer: Layer,
    hardware: Hardware,
    *,
    tolerance: float = 0.01,
    dataflow: str = "any",
    mapping_space: str | None = None,
    search_limit: int | None = None,
) -> MappingFront:
    """Return the front of a layer's mappings in cycles and energy.

    Args:
        layer: The layer.
        hardware: The accelerator.
        tolerance: By what share a mapping on the front may be worse than one that it stands for, 0 to 1; 0 asks for
            the whole front.
        dataflow: One that is a constraint: ``any``, or a name.
        mapping_space: As of ``simulate``.
        search_limit: As of ``simulate``.

    Raises:
        InputError: A name or an option is wrong, or the dataflow is a fixed program.
        NoMappingError: The layer fits the hardware in no way.
    """
    if not 0 <= tolerance <= LOOSEST_FRONT:
        raise InputError(f"tolerance must be 0 to {LOOSEST_FRONT:g}, got {tolerance}")
    search = _search(hardware, dataflow, "edp", mapping_space, search_limit)
    answer = _remembered(
        search.question(layer, "front", float(tolerance)),
        NestFront,
        lambda: search.solve_front(layer, tolerance),
        search,
        layer,
    )
    results = sorted((search.result(layer, one) for one in answer.mappings), key=lambda one: _rank(one, "cycles"))
    kept: list[NestResult] = []
    for result in results:  # costs that the search does not see may put one behind another
        if not kept or result.total_energy < kept[-1].total_energy:
            kept.append(result)
    return MappingFront(results=tuple(kept), tolerance=answer.tolerance, complete=answer.complete)


def _search(
    hardware: Hardware, dataflow: str, objective: str, mapping_space: str | None, search_limit: int | None
) -> NestSearch:
    """Return the search of one dataflow that is a constraint.

    Raises:
        InputError: There is no such dataflow, it is a fixed program, or several are asked for.
    """
    names = dataflow_names(hardware, dataflow)
    fixed = [name for name in names if name in hardware.programs]
    if fixed or len(names) > 1:
        found = f"the fixed program {fixed[0]}" if fixed else f"{', '.join(names)}"
        searched = ", ".join(name for name in ("any", *hardware.dataflows) if name not in hardware.programs)
        raise InputError(
            f"{hardware.name}: mappings are compared within one searched dataflow, and {dataflow!r} stands for "
            f"{found}; allowed are {searched}: try --dataflow any"
        )
    return NestSearch(
        machine=machine_of(hardware),
        constraint=constraint_of(hardware, names[0]),
        objective=objective_of(objective),
        uneven=mapping_space_of(hardware, mapping_space) == "uneven",
        limit=search_limit_of(search_limit),
    )


def _remembered(key: bytes, kind: Any, solve: Callable[[], Any], search: NestSearch, layer: Layer) -> Any:
    """Return an answer from the cache, or find and keep it.

    Raises:
        NoMappingError: Nothing fits.
    """
    known = cache.read([key])
    if key in known:
        answer = None if known[key] is None else msgspec.convert(known[key], kind)
    else:
        answer = solve()
        cache.write({key: None if answer is None else msgspec.to_builtins(answer)})
    if answer is None:
        raise NoMappingError(search.why_nothing_fits(layer))
    return answer


def _rank(result: NestResult, objective: str) -> tuple[float, float]:
    cycles, energy = result.cost.cycles, result.total_energy
    return {"cycles": (cycles, energy), "energy": (energy, cycles), "edp": (_rounded(energy * cycles), cycles)}[
        objective
    ]


def _rounded(value: float) -> float:
    """Return a number with nine digits, so that the order of sums does not decide."""
    return float(f"{value:.9g}") if math.isfinite(value) else value

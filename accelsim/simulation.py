"""Runs networks on accelerators: every distinct layer once, the layers of a network side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec

from accelsim import cache
from accelsim.engine.analytical import (
    Answer,
    LayerResult,
    best_answer,
    best_of,
    layer_result,
    question,
    solve_layer,
    why_nothing_fits,
)
from accelsim.engine.general import NestAnswer, NestSearch, given_result
from accelsim.errors import AccelsimError, InputError, NoMappingError, did_you_mean
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.mapping.handwritten import load_mappings
from accelsim.mapping.hierarchy import ANY
from accelsim.mapping.machine import constraint_of, machine_of
from accelsim.mapping.mapping import OBJECTIVES
from accelsim.mapping.nest import Nest
from accelsim.result import Result
from accelsim.workload.layer import Layer
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network
from accelsim.workload.storage_plan import StoragePlan, load_storage, with_storage

ENGINES = ("analytical", "cycle")
"""Engines that can run a network: the closed form, and the one that executes the mappings that it chose."""

MAPPING_SPACES = ("uniform", "uneven")
"""Which mappings of a general machine are searched."""


def simulate(
    network: Network | str,
    hardware: Hardware | str,
    *,
    dataflow: str = "best",
    objective: str = "cycles",
    batch: int | None = None,
    storage: StoragePlan | str | os.PathLike[str] | None = None,
    engine: str = "analytical",
    mapping_space: str | None = None,
    search_limit: int | None = None,
    mappings: Mapping[str, Nest] | str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a network on an accelerator, one layer at a time.

    Args:
        network: The network, or what ``load_network`` takes.
        hardware: The accelerator, or what ``load_hardware`` takes.
        dataflow: ``best`` (the best of the hardware's named ones for every layer), ``any`` (no constraint), one of the
            hardware's by name, or one of the field's (ws, is, os, os_soc_mop, os_moc_sop, os_moc_mop, rs, nlr).
        objective: What a mapping is chosen for: ``cycles`` (ties: energy), ``energy`` (ties: cycles), or ``edp``.
        batch: Images at a time; None: as the storage plan says, or 1.
        storage: How operands lie in DRAM, or the path of a storage plan's file; None: as the array takes them.
        engine: ``analytical``, or ``cycle``, which then executes the mappings found on seeded integers.
        mapping_space: ``uniform`` (one place per memory) or ``uneven`` (each operand's tile at its own place);
            None takes the hardware's. Fixed programs have a space of their own.
        search_limit: After how many bounds the search for a layer's mapping ends with the best so far, of which the
            result says that it is not complete; None for some seconds' worth.
        mappings: Mappings by layer to evaluate as they are, or the path of a YAML file of them; other layers are
            searched.
        progress: Called with (distinct layers done, distinct layers in all).

    Returns:
        The result.

    Raises:
        InputError: A name or an option is wrong, or a given mapping is none of its layer's.
        NoMappingError: A layer fits the hardware in no way.

    Examples:
        >>> result = simulate("alexnet", "16x16_128KB", objective="energy")
        >>> result["conv1"].mapping.dataflow
        'os'
        >>> result.totals["macs"]
        724406816
    """
    objective_of(objective)
    _check_choice("engine", engine, ENGINES)
    hw = load_hardware(hardware) if isinstance(hardware, str) else hardware
    net, batch = placed(network, hw, batch, storage)
    space = mapping_space_of(hw, mapping_space)
    run = _Run(
        hw, dataflow_names(hw, dataflow), objective, uneven=space == "uneven", limit=search_limit_of(search_limit)
    )
    layers = net.array_layers
    if not layers:
        raise InputError(f"network {net.name}: no layer runs on the array (conv, linear or matmul)")
    given = _given(mappings, net, hw)
    distinct = {layer.shape_key: layer for layer in layers if layer.name not in given}
    solved = dict(zip(distinct, _solve_all(list(distinct.values()), run, progress), strict=True))
    if engine == "cycle":
        both = _executed([*solved.values(), *given.values()], hw, progress)
        solved = dict(zip(solved, both[: len(solved)], strict=True))
        given = dict(zip(given, both[len(solved) :], strict=True))
    options = {"dataflow": dataflow, "objective": objective, "batch": batch, "engine": engine}
    if run.searches:
        options["mapping_space"] = space
        if search_limit is not None:
            options["search_limit"] = search_limit
    if storage is not None:
        options["storage"] = "given" if isinstance(storage, StoragePlan) else os.fspath(storage)
    return Result(
        network=net,
        hardware=hw,
        layer_results=tuple(
            given[layer.name] if layer.name in given else replace(solved[layer.shape_key], layer=layer)
            for layer in layers
        ),
        not_charged=tuple(layer for layer in net.layers if not layer.on_array),
        options=options,
    )


def solve_one(
    layer: Layer,
    hardware: Hardware,
    *,
    dataflow: str = "best",
    objective: str = "cycles",
    mapping_space: str | None = None,
    search_limit: int | None = None,
) -> LayerResult:
    """Return what one layer costs under its best mapping; options as of ``simulate``.

    Raises:
        InputError: A name or an option is wrong.
        NoMappingError: The layer fits the hardware in no way.
    """
    uneven = mapping_space_of(hardware, mapping_space) == "uneven"
    run = _Run(
        hardware,
        dataflow_names(hardware, dataflow),
        objective_of(objective),
        uneven=uneven,
        limit=search_limit_of(search_limit),
    )
    (result,) = _solve_all([layer], run, None)
    return result


def compare(networks: Iterable[Network | str], hardware: Iterable[Hardware | str], **options: object) -> list[Result]:
    """Run every network on every accelerator; options as of ``simulate``.

    Returns:
        One result per pair, the networks of the first accelerator first.

    Examples:
        >>> [(r.network.name, r.hardware.name) for r in compare(["alexnet"], ["8x8_32KB", "16x16_128KB"])]
        [('alexnet', '8x8_32KB'), ('alexnet', '16x16_128KB')]
    """
    nets = [load_network(network) if isinstance(network, str) else network for network in networks]
    machines = [load_hardware(machine) if isinstance(machine, str) else machine for machine in hardware]
    return [simulate(network, machine, **options) for machine in machines for network in nets]  # type: ignore[arg-type]


def placed(
    network: Network | str,
    hardware: Hardware,
    batch: int | None = None,
    storage: StoragePlan | str | os.PathLike[str] | None = None,
) -> tuple[Network, int]:
    """Return a network as an accelerator meets it, at its batch and stored in DRAM as asked, and the batch.

    Args:
        network: The network, or what ``load_network`` takes.
        hardware: The accelerator.
        batch: As of ``simulate``.
        storage: As of ``simulate``.

    Raises:
        InputError: A name, the batch or the plan is wrong.
    """
    net = load_network(network) if isinstance(network, str) else network
    if storage is None:
        images = 1 if batch is None else batch
        return net.with_batch(images), images
    plan = storage if isinstance(storage, StoragePlan) else load_storage(storage, net)
    images = batch if batch is not None else plan.batch or 1
    return with_storage(net.with_batch(images), plan, hardware.word_bits), images


def dataflow_names(hardware: Hardware, dataflow: str) -> tuple[str, ...]:
    """Return the dataflows to try: all that the hardware names for ``best``, else the one.

    Raises:
        HardwareError: There is no such dataflow, or the machine's shape does not suit it.
    """
    if dataflow == "best":
        return tuple(hardware.dataflows) or (ANY.name,)
    if dataflow not in hardware.programs:
        constraint_of(hardware, dataflow)
    return (dataflow,)


def objective_of(name: str) -> str:
    """Return what mappings are chosen for.

    Raises:
        InputError: It is unknown.
    """
    _check_choice("objective", name, OBJECTIVES)
    return name


def mapping_space_of(hardware: Hardware, name: str | None) -> str:
    """Return the space that mappings are searched in: the hardware's unless another one is named.

    Raises:
        InputError: It is unknown.
    """
    space = hardware.mapping_space if name is None else name
    _check_choice("mapping space", space, MAPPING_SPACES)
    return space


def search_limit_of(limit: int | None) -> int | None:
    """Return after how many bounds a search ends.

    Raises:
        InputError: It is not positive.
    """
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise InputError(f"the search limit must be a positive whole number of bounds, got {limit!r}")
    return limit


@dataclass(frozen=True)
class _Run:
    """What is asked of every layer: the best of some dataflows, each a fixed program or a constraint."""

    hardware: Hardware
    dataflows: tuple[str, ...]
    objective: str
    uneven: bool = field(kw_only=True)
    limit: int | None = field(kw_only=True)

    @cached_property
    def searches(self) -> dict[str, NestSearch]:
        """The dataflows that are constraints."""
        names = [name for name in self.dataflows if name not in self.hardware.programs]
        if not names:
            return {}
        machine = machine_of(self.hardware)
        return {
            name: NestSearch(
                machine=machine,
                constraint=constraint_of(self.hardware, name),
                objective=self.objective,
                uneven=self.uneven,
                limit=self.limit,
            )
            for name in names
        }

    def question(self, layer: Layer, flow: str) -> bytes:
        if flow in self.searches:
            return self.searches[flow].question(layer)
        return question(layer, self.hardware, flow, self.objective)

    def solve(self, layer: Layer, flow: str) -> Answer | NestAnswer | None:
        if flow in self.searches:
            return self.searches[flow].solve(layer)
        return solve_layer(layer, self.hardware, flow, self.objective)

    def recall(self, flow: str, plain: Any) -> Answer | NestAnswer | None:
        """Return an answer from the plain data that the cache kept."""
        if plain is None:
            return None
        return msgspec.convert(plain, NestAnswer) if flow in self.searches else msgspec.convert(plain, Answer)

    def result(self, layer: Layer, answers: Mapping[str, Answer | NestAnswer | None]) -> LayerResult:
        """Return what a layer costs under the best dataflow.

        Raises:
            NoMappingError: No mapping fits under any of them.
        """
        found: list[LayerResult] = [
            self.searches[flow].result(layer, answer)
            for flow, answer in answers.items()
            if isinstance(answer, NestAnswer)
        ]
        programs = {flow: answer for flow, answer in answers.items() if isinstance(answer, Answer)}
        if programs:
            flow = best_answer(programs, self.hardware, self.objective)
            found.append(layer_result(layer, self.hardware, flow, programs[flow]))
        if not found:
            first = self.dataflows[0]
            search = self.searches.get(first)
            raise NoMappingError(search.why_nothing_fits(layer) if search else why_nothing_fits(layer, self.hardware))
        return best_of(found, self.objective)


def _given(
    mappings: Mapping[str, Nest] | str | os.PathLike[str] | None, network: Network, hardware: Hardware
) -> dict[str, LayerResult]:
    """Return the results of layers whose mapping is given."""
    if mappings is None:
        return {}
    nests = mappings if isinstance(mappings, Mapping) else load_mappings(mappings)
    layers = {layer.name: layer for layer in network.array_layers}
    for name in nests:
        if name not in layers:
            raise InputError(
                f"a mapping is given for {name!r}, which is no layer of {network.name} that runs on the array"
                f"{did_you_mean(name, layers)}"
            )
    machine = machine_of(hardware)
    return {name: given_result(layers[name], machine, nest) for name, nest in nests.items()}


def _solve_all(layers: Sequence[Layer], run: _Run, progress: Callable[[int, int], None] | None) -> list[LayerResult]:
    """Return the results of distinct layers, in their order: from the cache, or solved on all cores."""
    asked = {(layer, flow): run.question(layer, flow) for layer in layers for flow in run.dataflows}
    known = cache.read(list(asked.values()))
    answers: dict[tuple[Layer, str], Answer | NestAnswer | None] = {}
    open_questions = []
    for (layer, flow), key in asked.items():
        if key in known:
            answers[layer, flow] = run.recall(flow, known[key])
        else:
            open_questions.append((layer, flow))
    if progress and open_questions:
        progress(0, len(open_questions))
    try:
        for count, (pair, answer) in enumerate(_solve_open(open_questions, run), 1):
            answers[pair] = answer
            if progress:
                progress(count, len(open_questions))
    finally:  # also of a run that is interrupted, what is solved is kept
        cache.write({asked[pair]: _plain(answers[pair]) for pair in open_questions if pair in answers})
    return [run.result(layer, {flow: answers[layer, flow] for flow in run.dataflows}) for layer in layers]


def _solve_open(
    pairs: Sequence[tuple[Layer, str]], run: _Run
) -> Iterator[tuple[tuple[Layer, str], Answer | NestAnswer | None]]:
    """Yield every (layer, dataflow) with its answer, in order."""
    if not pairs:
        return
    yield pairs[0], run.solve(*pairs[0])  # alone: it may compile the kernels
    if solver_threads() == 1:
        yield from ((pair, run.solve(*pair)) for pair in pairs[1:])
        return
    with ThreadPoolExecutor(max_workers=solver_threads()) as pool:
        futures = [pool.submit(run.solve, *pair) for pair in pairs[1:]]
        try:
            for pair, future in zip(pairs[1:], futures, strict=True):
                yield pair, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _executed(
    results: Sequence[LayerResult], hardware: Hardware, progress: Callable[[int, int], None] | None
) -> list[LayerResult]:
    """Return layer results with what the cycle engine executed in place of what the closed form says.

    Raises:
        AccelsimError: The two count differently.
    """
    from accelsim.engine.executed import execute_all  # noqa: PLC0415 - numba is loaded only where it is used

    checks = execute_all(results, hardware, progress=progress)
    for check in checks:
        if not check.agrees:
            detail = "; ".join(check.differing) or f"{check.overflows} partial sums overflow"
            raise AccelsimError(f"layer {check.expected.layer.name}: the engines disagree: {detail}")
    return [check.result for check in checks]


def solver_threads() -> int:
    """Return how many layers are solved at a time: ``ACCELSIM_THREADS``, or one a core."""
    chosen = os.environ.get("ACCELSIM_THREADS", "")
    return max(1, int(chosen)) if chosen.isdecimal() else os.cpu_count() or 1


def _plain(answer: Answer | NestAnswer | None) -> object:
    return None if answer is None else msgspec.to_builtins(answer)


def _check_choice(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"unknown {what} {value!r}{did_you_mean(value, allowed)}; allowed are {', '.join(allowed)}")

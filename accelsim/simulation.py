"""Runs networks on accelerators: every distinct layer once, the layers of a network side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec

from accelsim import cache
from accelsim.engine.analytical import Answer, LayerResult, dataflow_names, layer_result, question, solve_layer
from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.mapping.mapping import OBJECTIVES
from accelsim.result import Result
from accelsim.workload.layer import Layer
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network

ENGINES = ("analytical",)
"""Engines that can run a network."""


def simulate(
    network: Network | str,
    hardware: Hardware | str,
    *,
    dataflow: str = "best",
    objective: str = "cycles",
    batch: int = 1,
    engine: str = "analytical",
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a network on an accelerator, one layer at a time.

    Args:
        network: The network, or what ``load_network`` takes.
        hardware: The accelerator, or what ``load_hardware`` takes.
        dataflow: ``best`` (the best of the hardware's for every layer) or the name of one.
        objective: What a mapping is chosen for: ``cycles`` (ties: energy), ``energy`` (ties: cycles), or ``edp``.
        batch: Images at a time.
        engine: ``analytical``.
        progress: Called with (distinct layers done, distinct layers in all).

    Returns:
        The result.

    Raises:
        InputError: A name or an option is wrong.
        NoMappingError: A layer fits the hardware in no way.
    """
    _check_choice("objective", objective, OBJECTIVES)
    _check_choice("engine", engine, ENGINES)
    net = (load_network(network) if isinstance(network, str) else network).with_batch(batch)
    hw = load_hardware(hardware) if isinstance(hardware, str) else hardware
    dataflows = dataflow_names(hw, dataflow)
    layers = net.array_layers
    if not layers:
        raise InputError(f"network {net.name}: no layer runs on the array (conv, linear or matmul)")
    distinct = {layer.shape_key: layer for layer in layers}
    solved = _solve_all(list(distinct.values()), hw, dataflows, objective, progress)
    by_key = dict(zip(distinct, solved, strict=True))
    return Result(
        network=net,
        hardware=hw,
        layer_results=tuple(replace(by_key[layer.shape_key], layer=layer) for layer in layers),
        not_charged=tuple(layer for layer in net.layers if not layer.on_array),
        options={"dataflow": dataflow, "objective": objective, "batch": batch, "engine": engine},
    )


def compare(networks: Iterable[Network | str], hardware: Iterable[Hardware | str], **options: object) -> list[Result]:
    """Run every network on every accelerator; options as of ``simulate``.

    Returns:
        One result per pair, the networks of the first accelerator first.
    """
    nets = [load_network(network) if isinstance(network, str) else network for network in networks]
    machines = [load_hardware(machine) if isinstance(machine, str) else machine for machine in hardware]
    return [simulate(network, machine, **options) for machine in machines for network in nets]  # type: ignore[arg-type]


def _solve_all(
    layers: Sequence[Layer],
    hardware: Hardware,
    dataflows: Sequence[str],
    objective: str,
    progress: Callable[[int, int], None] | None,
) -> list[LayerResult]:
    """Return the results of distinct layers, in their order: from the cache, or solved on all cores."""
    asked = {(layer, flow): question(layer, hardware, flow, objective) for layer in layers for flow in dataflows}
    known = cache.read(list(asked.values()))
    answers: dict[tuple[Layer, str], Answer | None] = {}
    open_questions = []
    for pair, key in asked.items():
        if key in known:
            answers[pair] = None if known[key] is None else msgspec.convert(known[key], Answer)
        else:
            open_questions.append(pair)
    for count, (pair, answer) in enumerate(_solve_open(open_questions, hardware, objective), 1):
        answers[pair] = answer
        if progress:
            progress(count, len(open_questions))
    cache.write({asked[pair]: _plain(answers[pair]) for pair in open_questions})
    return [
        layer_result(layer, hardware, {flow: answers[layer, flow] for flow in dataflows}, objective) for layer in layers
    ]


def _solve_open(
    pairs: Sequence[tuple[Layer, str]], hardware: Hardware, objective: str
) -> Iterator[tuple[tuple[Layer, str], Answer | None]]:
    """Yield every (layer, dataflow) with its answer, in order."""
    if not pairs:
        return
    yield pairs[0], solve_layer(pairs[0][0], hardware, pairs[0][1], objective)  # alone: it may compile the kernels
    with ThreadPoolExecutor(max_workers=_threads()) as pool:
        futures = [pool.submit(solve_layer, layer, hardware, flow, objective) for layer, flow in pairs[1:]]
        try:
            for pair, future in zip(pairs[1:], futures, strict=True):
                yield pair, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _threads() -> int:
    """Return how many layers are solved at a time: ``ACCELSIM_THREADS``, or one a core."""
    chosen = os.environ.get("ACCELSIM_THREADS", "")
    return max(1, int(chosen)) if chosen.isdecimal() else os.cpu_count() or 1


def _plain(answer: Answer | None) -> object:
    return None if answer is None else msgspec.to_builtins(answer)


def _check_choice(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"unknown {what} {value!r}{did_you_mean(value, allowed)}; allowed are {', '.join(allowed)}")

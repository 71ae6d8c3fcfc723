"""Layer results that the cycle engine has executed, and how they differ from the closed form's."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import numpy as np

from accelsim.engine.analytical import ENERGY_COMPONENTS, LayerResult
from accelsim.engine.cycle import Execution, execute
from accelsim.engine.general import NestResult
from accelsim.engine.pipeline import Timing
from accelsim.engine.reference import Executed, execute_reference
from accelsim.engine.tensors import Tensors, check_executable, convolve, random_tensors
from accelsim.hardware.spec import Hardware
from accelsim.lowering import lower_layer, lower_machine, unit_energies
from accelsim.mapping.arrays import Count
from accelsim.mapping.machine import machine_of
from accelsim.mapping.mapping import Mapping as LoopNest
from accelsim.mapping.mapping import NestMapping
from accelsim.workload.layer import Layer

ZERO_SIGMAS = 6.0
"""Standard deviations by which the share of non-zero weights may miss its expectation: 1 in 500 million by chance."""

BAR_SECONDS = 0.2
"""How often a progress bar moves."""

COMPARED = ("source_words", "target_words", "read_back_words", "link_words")
"""Fields of a boundary that both engines count."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One layer under both engines.

    Attributes:
        expected: What the closed form says.
        result: The same with what was executed in place of what was computed.
        differing: Counts that differ, with both values, as text; empty if all are equal.
        outputs_equal: Whether the outputs are the convolution, bit for bit; None if that was not checked.
        overflows: Times that a partial sum left the range of the accumulators.
        cycles: Executed.
        expected_cycles: Of the closed form.
        cause: What the array waited for, where the two times differ.
        path_cycles: What the layer takes at least by its critical path and the closed form; None for fixed programs,
            whose lockstep needs no path.
    """

    expected: LayerResult
    result: LayerResult
    differing: tuple[str, ...]
    outputs_equal: bool | None
    overflows: int
    cycles: float
    expected_cycles: float
    cause: str
    path_cycles: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether outputs and counts are what they must be."""
        return not self.differing and self.outputs_equal is not False and not self.overflows


def execute_all(
    results: Sequence[LayerResult],
    hardware: Hardware,
    *,
    check_outputs: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Comparison]:
    """Execute the mappings of distinct layers, on all cores.

    Args:
        results: What the closed form says of them.
        hardware: The accelerator.
        check_outputs: Whether outputs are compared with a convolution in NumPy.
        seed: Of the operands.
        progress: Called with (MACs done, MACs in all).

    Raises:
        WorkloadError: A layer is too large to be executed.
    """
    for result in results:
        check_executable(result.layer)
    total = sum(result.layer.macs for result in results)
    done = [0.0] * len(results)  # MACs by layer; every thread writes its own layer's

    def one(index: int) -> Comparison:
        macs = results[index].layer.macs

        def advance(part: int, parts: int) -> None:
            done[index] = macs * part / parts

        return execute_result(
            results[index], hardware, check_outputs=check_outputs, seed=seed, progress=advance if progress else None
        )

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        # The longest first, so that no core is left with one at the end.
        longest = sorted(range(len(results)), key=lambda index: -results[index].layer.macs)
        futures = {index: pool.submit(one, index) for index in longest}
        try:
            left = set(futures.values())
            while left:
                ended, left = wait(left, BAR_SECONDS if progress else None, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
                if progress:
                    progress(int(sum(done)), total)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [futures[index].result() for index in range(len(results))]


def execute_result(
    result: LayerResult,
    hardware: Hardware,
    *,
    check_outputs: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Execute the mapping of one layer result; arguments as of ``execute_all``.

    ``progress`` is called with parts done and parts in all, iterations or tiles.
    """
    layer = result.layer
    if isinstance(result, NestResult):
        assert isinstance(result.mapping, NestMapping)
        tensors = random_tensors(layer, seed)
        execution = execute(result.mapping.nest, layer, machine_of(hardware), tensors, path=True, progress=progress)
        return _compare_nest(result, execution, _equal(layer, tensors, execution.outputs) if check_outputs else None)
    mapping = result.mapping
    assert isinstance(mapping, LoopNest)
    skips = hardware.dataflows[mapping.dataflow].skips_zeros_of
    tensors = random_tensors(layer, seed, zero_fraction=hardware.zero_fraction[skips] if skips else 0.0)
    executed = execute_reference(
        layer, hardware, mapping.dataflow, mapping.tile, mapping.order, tensors, progress=progress
    )
    return _compare_program(
        result, executed, hardware, _equal(layer, tensors, executed.outputs) if check_outputs else None
    )


def _equal(layer: Layer, tensors: Tensors, outputs: np.ndarray) -> bool:
    return bool(np.array_equal(outputs, convolve(layer, tensors)))


def _compare_nest(result: NestResult, execution: Execution, outputs_equal: bool | None) -> Comparison:
    cost, differing = result.cost, []
    for flow, counted in zip(execution.flows, cost.traffic, strict=True):
        for field in COMPARED:
            moved, expected = getattr(flow, field), getattr(counted, field)
            if moved != expected:
                where = f"{flow.operand.name} {flow.source} -> {flow.target} {field}"
                differing.append(f"{where}: {moved} executed, {expected} expected")
    for name, moved, expected in (
        ("MACs", execution.macs, cost.macs),
        ("iterations", execution.iterations, cost.iterations),
    ):
        if moved != expected:
            differing.append(f"{name}: {moved} executed, {expected} expected")
    timing = execution.timing
    waits = {f"{operand.name} in {memory}": cycles for (operand, memory), cycles in timing.wait_cycles.items()}
    waits |= {f"port of {memory}": cycles for memory, cycles in timing.port_cycles.items()}
    waits["networks"] = timing.network_cycles
    return Comparison(
        expected=result,
        result=replace(
            result,
            cycles=math.ceil(timing.cycles - 1e-6),
            array_cycles=timing.cycles - timing.stall_cycles,
        ),
        differing=tuple(differing),
        outputs_equal=outputs_equal,
        overflows=execution.overflows,
        cycles=timing.cycles,
        expected_cycles=cost.cycles,
        cause=_cause(timing, _largest(waits)),
        path_cycles=max(cost.cycles, timing.path.cycles) if timing.path else None,
    )


def _cause(timing: Timing, waits: str) -> str:
    """Return what the closed form's totals leave out, by the critical path, and what the array waited for."""
    if timing.path is None:
        return waits
    name, cycles = timing.path.largest_loss
    path = f"critical path: {cycles:.0f} cycles for {name}" if cycles >= 0.5 else ""
    return "; ".join(filter(None, (path, waits)))


def _largest(waits: dict[str, float]) -> str:
    """Return what the array waited for most, with the cycles, or nothing."""
    if not waits:
        return ""
    name = max(waits, key=lambda key: waits[key])
    return f"array waits {waits[name]:.0f} cycles for {name}" if waits[name] >= 0.5 else ""


def _compare_program(
    result: LayerResult, executed: Executed, hardware: Hardware, outputs_equal: bool | None
) -> Comparison:
    """Compare counts with the closed form's at the share of non-zero weights that the tensors have."""
    from accelsim.mapping import kernels  # noqa: PLC0415 - numba is loaded only where it is used

    mapping, layer = result.mapping, result.layer
    assert isinstance(mapping, LoopNest)
    share = float(executed.counts[Count.MAC]) / layer.macs
    machine = lower_machine(hardware, mapping.dataflow, layer)
    counted = kernels.access_counts(
        np.array(mapping.tile), np.array(mapping.order), lower_layer(layer), machine._replace(skip_density=share)
    )
    differing = [
        f"{count.name}: {executed.counts[count]:.0f} executed, {counted[count]:.0f} expected"
        for count in Count
        if abs(executed.counts[count] - counted[count]) > 1e-9 * layer.macs + 0.01
    ]
    density = machine.skip_density
    sigma = math.sqrt(density * (1 - density) / layer.weights)
    if abs(share - density) > ZERO_SIGMAS * sigma + 1e-12:
        differing.append(f"share of MACs executed: {share:.4f}, expected {density:.4f} with a deviation of {sigma:.4f}")
    spent = executed.counts * unit_energies(hardware, mapping.dataflow)
    expected_cycles = float(result.cycles)
    return Comparison(
        expected=result,
        result=replace(
            result,
            cycles=math.ceil(executed.cycles - 1e-6),
            array_cycles=executed.array_cycles,
            iteration_cycles=executed.iteration_cycles,
            dram_cycles=executed.dram_cycles,
            counts=executed.counts,
            energy={name: float(spent[first : last + 1].sum()) for name, (first, last) in ENERGY_COMPONENTS.items()},
        ),
        differing=tuple(differing),
        outputs_equal=outputs_equal,
        overflows=executed.overflows,
        cycles=executed.cycles,
        expected_cycles=expected_cycles,
        cause=_program_cause(result, executed, density),
    )


def _program_cause(result: LayerResult, executed: Executed, density: float) -> str:
    """Return why the executed time is another one: real zeros, and loads that the closed form charges more for."""
    if abs(executed.cycles - result.cycles) <= 1:
        return ""
    iterations = executed.iteration_cycles - result.iteration_cycles
    if density < 1.0 and abs(iterations) > abs(executed.array_cycles - result.array_cycles) / 2:
        return f"zeros are where they are: {iterations:+.0f} iterations"
    return "a chunk waits for the next one's load, and padding takes no port"

"""ZigZag on ref16: its search, its mapping as a nest of ours, and its own judgement of a nest of ours.

    PYTHONPATH=. python -m benchmarks.peers.peer_zigzag [LAYER ...] [--effort 6s] [--terms] [--record FILE]

Needs the extra ``peers`` (zigzag-dse). Prints for every layer and effort: energy, cycles, EDP, CPU seconds and how many
mappings were tried; with ``--terms`` every term of the cost of what it found beside the closed form's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from accelsim.dims import Dim, Operand
from accelsim.engine.closed_form import evaluate
from accelsim.errors import InputError
from accelsim.mapping.nest import Nest, Place, Unrolling, check, cuts, to_data
from accelsim.workload.layer import Dims, Layer
from benchmarks.peers import ref16
from benchmarks.peers.ref16 import Term

NAMES = {Dim.N: "B", Dim.G: "G", Dim.K: "K", Dim.C: "C", Dim.P: "OY", Dim.Q: "OX", Dim.R: "FY", Dim.S: "FX"}
MEMORY_OPERANDS = {Operand.W: "I2", Operand.I: "I1", Operand.O: "O"}
LEVELS = ("rf", "buffer", "dram")
WORDS_PER_ACCESS = {"rf": 1, "buffer": ref16.BUFFER_WORDS_PER_CYCLE, "dram": ref16.DRAM_WORDS_PER_CYCLE}
DIRECTIONS = {
    "rd_out_to_low": ("read", "down"),
    "wr_in_by_high": ("write", "down"),
    "rd_out_to_high": ("read", "up"),
    "wr_in_by_low": ("write", "up"),
}


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How hard ZigZag searches.

    Attributes:
        loops: Most temporal loops whose orders are all tried (``lpf_limit``).
        unrolled: Spatial loops by axis that are given, or None to leave them to ZigZag.
        spatial: Most spatial mappings that it draws up itself.
    """

    loops: int
    unrolled: Mapping[str, tuple[Dim, int]] | None = None
    spatial: int = 3


CHANNELS = {"D1": (Dim.K, 16), "D2": (Dim.C, 16)}
EFFORTS = {
    "free": Effort(loops=6),
    "6s": Effort(loops=6, unrolled=CHANNELS),
    "33s": Effort(loops=7, unrolled=CHANNELS),
    "rows": Effort(loops=7, unrolled={"D1": (Dim.K, 16), "D2": (Dim.P, 14)}),
    "free7": Effort(loops=7),
    "free8x16": Effort(loops=7, spatial=16),
}
"""``free`` is ZigZag's default; ``6s`` and ``33s`` are named by the CPU seconds that they take on a 3x3 layer."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What ZigZag says of a mapping.

    Attributes:
        energy: Energy.
        cycles: Latency with stalls, on- and off-loading.
        iterations: Cycles in which the array computes.
        stall: Cycles in which it waits.
        onload: Cycles before the first MAC.
        offload: Cycles after the last.
        words: Words that it charges, term by term.
        nest: The mapping.
        tried: Mappings evaluated.
        seconds: CPU seconds.
    """

    energy: float
    cycles: float
    iterations: float
    stall: float
    onload: float
    offload: float
    words: dict[Term, float]
    nest: Nest
    tried: int = 1
    seconds: float = 0.0

    @property
    def edp(self) -> float:
        """Energy times cycles."""
        return self.energy * self.cycles


def missing() -> str | None:
    """Return one sentence if ZigZag cannot be imported."""
    logging.disable(logging.CRITICAL)
    try:
        import zigzag.stages.parser.workload_parser  # noqa: F401, PLC0415
    except ImportError as error:
        return f"ZigZag is not compared: {error}; pip install 'accelsim[peers]'."
    return None


def search(layer: Layer, effort: Effort) -> Result:
    """Let ZigZag search a mapping of least EDP."""
    from zigzag.mapping.temporal_mapping import TemporalMappingType  # noqa: PLC0415
    from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage  # noqa: PLC0415
    from zigzag.stages.main import MainStage  # noqa: PLC0415
    from zigzag.stages.mapping.spatial_mapping_generation import SpatialMappingGeneratorStage  # noqa: PLC0415
    from zigzag.stages.mapping.temporal_mapping_generator_stage import (  # noqa: PLC0415
        TemporalMappingGeneratorStage,
    )
    from zigzag.stages.parser.accelerator_parser import AcceleratorParserStage  # noqa: PLC0415
    from zigzag.stages.parser.workload_parser import WorkloadParserStage  # noqa: PLC0415
    from zigzag.stages.results.reduce_stages import MinimalEDPStage  # noqa: PLC0415
    from zigzag.stages.stage import Stage  # noqa: PLC0415
    from zigzag.stages.workload_iterator import WorkloadStage  # noqa: PLC0415

    tried = 0

    class Count(Stage):  # type: ignore[misc]
        """Counts the mappings that are evaluated."""

        def run(self) -> Iterator[Any]:
            nonlocal tried
            for found in self.list_of_callables[0](self.list_of_callables[1:], **self.kwargs).run():
                tried += 1
                yield found

    stages = [WorkloadParserStage, AcceleratorParserStage, WorkloadStage, MinimalEDPStage]
    stages += [SpatialMappingGeneratorStage, MinimalEDPStage, TemporalMappingGeneratorStage, Count, CostModelStage]
    with tempfile.TemporaryDirectory() as folder:
        machine, mapping = _write(folder, effort)
        start = time.process_time()
        found = MainStage(
            stages,
            workload=_workload(layer),
            accelerator=machine,
            mapping=mapping,
            loma_lpf_limit=effort.loops,
            loma_show_progress_bar=False,
            nb_mappings_generated=effort.spatial,
            enable_mix_spatial_mapping_generation=False,
            access_same_data_considered_as_no_access=True,
            temporal_mapping_type=TemporalMappingType.UNEVEN,
        ).run()
        seconds = time.process_time() - start
    return _result(found[0][0], layer, tried, seconds)


def judge(nest: Nest, layer: Layer) -> Result:
    """Return what ZigZag's cost model says of a nest on ref16.

    A tile that does not divide what is around it is charged as if it did: ZigZag knows fractions of an unrolling only.
    """
    from zigzag.cost_model.cost_model import CostModelEvaluation  # noqa: PLC0415
    from zigzag.datatypes import LayerDim, LayerOperand  # noqa: PLC0415
    from zigzag.mapping.spatial_mapping_internal import SpatialMappingInternal  # noqa: PLC0415
    from zigzag.mapping.temporal_mapping import TemporalMapping, TemporalMappingType  # noqa: PLC0415

    node, accelerator = _parsed(layer)
    loops, levels, unrolled = _flat(nest)
    covered = {dim: math.prod(count for other, count in loops if other is dim) for dim in Dim}
    spatial: list[list[tuple[Any, float]]] = []
    for exact in (True, False):
        spatial.append([])
        for dim, count in unrolled.items():
            share = min(count, layer.dims[dim] / covered[dim])
            spatial[-1].append((LayerDim(NAMES[dim]), share if exact else float(math.ceil(share))))
    temporal = {
        LayerOperand(operand.name): [
            [(LayerDim(NAMES[dim]), count) for dim, count in loops[start:stop]]
            for start, stop in zip((0, *levels[operand]), (*levels[operand], len(loops)), strict=True)
        ]
        for operand in Operand
    }
    shares = [
        SpatialMappingInternal({LayerOperand(operand.name): [[], list(loop), [], []] for operand in Operand}, node)
        for loop in spatial
    ]
    evaluation = CostModelEvaluation(
        accelerator=accelerator,
        layer=node,
        spatial_mapping=shares[0],
        spatial_mapping_int=shares[1],
        temporal_mapping=TemporalMapping(temporal, node, TemporalMappingType.UNEVEN),
        access_same_data_considered_as_no_access=True,
    )
    return _result(evaluation, layer, 1, 0.0, nest)


def divides(nest: Nest, layer: Layer) -> bool:
    """Return whether ZigZag's terms hold exactly for a nest: only unrolled dims may have a shorter last tile."""
    loops, _, unrolled = _flat(nest)
    product = {dim: math.prod(count for other, count in loops if other is dim) for dim in Dim}
    return all(product[dim] == layer.dims[dim] or dim in unrolled for dim in Dim)


def _flat(nest: Nest) -> tuple[list[tuple[Dim, int]], dict[Operand, tuple[int, int]], dict[Dim, int]]:
    """Return loops (the innermost first), how many of them lie within register and buffer tiles, unrollings."""
    loops: list[tuple[Dim, int]] = []
    within: dict[tuple[str, Operand], int] = {}
    unrolled: dict[Dim, int] = {}
    for step, cut in reversed(list(zip(nest.steps, cuts(nest), strict=True))):
        if isinstance(step, Unrolling):
            for dim in Dim:
                if cut.bounds[dim] > 1:
                    unrolled[dim] = unrolled.get(dim, 1) * cut.bounds[dim]
            continue
        loops += [(dim, cut.bounds[dim]) for dim in reversed(step.order) if cut.bounds[dim] > 1]
        within |= {(step.store, operand): len(loops) for operand in step.operands}
    return loops, {operand: (within["rf", operand], within["buffer", operand]) for operand in Operand}, unrolled


def _result(evaluation: Any, layer: Layer, tried: int, seconds: float, nest: Nest | None = None) -> Result:
    counted: dict[Term, float] = {}
    for operand, accesses in evaluation.memory_word_access.items():
        for level, access in zip(LEVELS, accesses, strict=True):
            for direction, count in access.data.items():
                if count:
                    term = Term(level, Operand[operand.name], *DIRECTIONS[direction.value])
                    counted[term] = count * WORDS_PER_ACCESS[level]
    return Result(
        energy=evaluation.energy_total,
        cycles=evaluation.latency_total2,
        iterations=evaluation.ideal_temporal_cycle,
        stall=evaluation.stall_slack_comb,
        onload=evaluation.data_onloading_cycle,
        offload=evaluation.data_offloading_cycle,
        words=counted,
        nest=nest or to_nest(evaluation, layer),
        tried=tried,
        seconds=seconds,
    )


def to_nest(evaluation: Any, layer: Layer) -> Nest:
    """Return the mapping that ZigZag found as a nest on ref16.

    Raises:
        InputError: The mapping is none that a nest can state.
    """
    dims = {name: dim for dim, name in NAMES.items()}
    levels = {Operand[operand.name]: level for operand, level in evaluation.temporal_mapping.mapping_dic_origin.items()}
    loops = [(dims[dim.name], int(count)) for level in levels[Operand.O] for dim, count in level]
    axes = [
        {dims[dim.name]: math.ceil(count) for dim, count in mapping.items() if count > 1}
        for mapping in evaluation.layer.spatial_mapping.values()
    ]
    depths = {
        (level, operand): sum(len(inner) for inner in levels[operand][: index + 1])
        for operand in Operand
        for index, level in enumerate(LEVELS[:2])
    }
    return from_loops(layer, loops, depths, axes)


def from_loops(
    layer: Layer,
    loops: Sequence[tuple[Dim, int]],
    depths: Mapping[tuple[str, Operand], int],
    axes: Sequence[Mapping[Dim, int]],
) -> Nest:
    """Return a mapping stated as ZigZag does as a nest on ref16.

    Args:
        layer: The layer.
        loops: Temporal loops, the innermost first.
        depths: By level (``rf``, ``buffer``) and operand, how many of them run inside its tile.
        axes: Unrollings of the rows and of the columns.

    Raises:
        InputError: A dim has two loops, with another in between, at one step of a nest; or a register tile reaches
            further out than a buffer tile.
    """
    unrolled = {dim: math.prod(axis.get(dim, 1) for axis in axes) for dim in Dim}
    places = [("dram", len(loops), frozenset(Operand))]
    for level in ("buffer", "rf"):
        for depth in sorted({depths[level, operand] for operand in Operand}, reverse=True):
            operands = frozenset(operand for operand in Operand if depths[level, operand] == depth)
            places.append((level, depth, operands))
    steps: list[Place | Unrolling] = []
    for index, (level, depth, operands) in enumerate(places):
        if level == "rf" and places[index - 1][0] == "buffer":
            names = ("array.rows", "array.cols")
            steps += [Unrolling(axis=name, counts=counts) for name, counts in zip(names, axes, strict=True)]
        end = places[index + 1][1] if index + 1 < len(places) else 0
        if end > depth:
            raise InputError("ZigZag's mapping: a register tile reaches further out than a buffer tile of another")
        order = [dim for dim, _ in itertools.groupby(dim for dim, _ in loops[end:depth])]
        if len(set(order)) < len(order):
            raise InputError("ZigZag's mapping: two loops of one dim with another between them cannot be one step")
        inside = {dim: math.prod(count for other, count in loops[:depth] if other is dim) for dim in Dim}
        sizes = [inside[dim] * (unrolled[dim] if level != "rf" else 1) for dim in Dim]
        tile = layer.dims if level == "dram" else Dims(*(min(a, b) for a, b in zip(sizes, layer.dims, strict=True)))
        steps.append(Place(store=level, operands=operands, tile=tile, order=tuple(reversed(order))))
    return Nest(steps=tuple(steps))


def _write(folder: str, effort: Effort) -> tuple[str, str]:
    """Write the machine and the constraint on mappings as ZigZag reads them (JSON is YAML); return their paths."""
    unrolled = None
    if effort.unrolled is not None:
        unrolled = {axis: [f"{NAMES[dim]}, {count}"] for axis, (dim, count) in effort.unrolled.items()}
    links = {operand.name: name for operand, name in MEMORY_OPERANDS.items()}
    mapping = [{"name": "default", "spatial_mapping": unrolled, "memory_operand_links": links}]
    paths = Path(folder, "machine.yaml"), Path(folder, "mapping.yaml")
    for path, data in zip(paths, (_machine(), mapping), strict=True):
        path.write_text(json.dumps(data), encoding="utf-8")
    return str(paths[0]), str(paths[1])


def _machine() -> dict[str, Any]:
    """Return ref16 in ZigZag's words: sizes and widths in bits, energy per access of a port's full width."""
    memories = {
        f"rf_{operand.name}": _memory(words, ref16.REGISTER_ENERGY, [operand], [], read=1, write=1)
        for operand, words in ref16.REGISTER_WORDS.items()
    }
    every, axes = list(Operand), ["D1", "D2"]
    rate = ref16.BUFFER_WORDS_PER_CYCLE
    memories["buffer"] = _memory(ref16.BUFFER_WORDS, ref16.BUFFER_ENERGY, every, axes, read=rate, write=rate)
    memories["dram"] = _memory(2**40, ref16.DRAM_ENERGY, every, axes, both=ref16.DRAM_WORDS_PER_CYCLE)
    array = {"unit_energy": float(ref16.MAC_ENERGY), "unit_area": 0.0, "dimensions": axes, "sizes": list(ref16.ARRAY)}
    return {"name": "ref16", "memories": memories, "operational_array": array}


def _memory(words: int, energy: int, operands: list[Operand], axes: list[str], **ports: int) -> dict[str, Any]:
    described = []
    for kind, rate in ports.items():
        ways = {"read": ("tl", "th"), "write": ("fh", "fl"), "both": ("tl", "th", "fh", "fl")}[kind]
        allocation = [
            f"{MEMORY_OPERANDS[operand]}, {way}"
            for operand in operands
            for way in ways
            if operand is Operand.O or way in {"tl", "fh"}
        ]
        described.append(
            {
                "name": {"read": "r_port_1", "write": "w_port_1", "both": "rw_port_1"}[kind],
                "type": "read_write" if kind == "both" else kind,
                "bandwidth_min": ref16.WORD_BITS,
                "bandwidth_max": rate * ref16.WORD_BITS,
                "allocation": allocation,
            }
        )
    cost = float(energy * max(ports.values()))
    return {
        "size": words * ref16.WORD_BITS,
        "r_cost": cost,
        "w_cost": cost,
        "area": 0.0,
        "latency": 1,
        "operands": [MEMORY_OPERANDS[operand] for operand in operands],
        "ports": described,
        "served_dimensions": axes,
    }


def _workload(layer: Layer) -> list[dict[str, Any]]:
    group = "[g]" if layer.G > 1 else ""
    dims = [dim for dim in Dim if dim is not Dim.G or layer.G > 1]
    equation = f"O[b]{group}[k][oy][ox]+=W{group}[k][c][fy][fx]*I[b]{group}[c][iy][ix]"
    steps = zip(("iy", "ix"), layer.stride, ("oy", "ox"), layer.dilation, ("fy", "fx"), strict=True)
    return [
        {
            "id": 0,
            "name": layer.name,
            "operator_type": "Conv",
            "equation": equation,
            "dimension_relations": [f"{pixel}={s}*{out}+{d}*{tap}" for pixel, s, out, d, tap in steps],
            "loop_dims": [NAMES[dim] for dim in dims],
            "loop_sizes": [layer.dims[dim] for dim in dims],
            "operand_precision": {"W": 16, "I": 16, "O": 16, "O_final": 16},
            "operand_source": {"I": 0, "W": 0},
        }
    ]


@cache
def _parsed(layer: Layer) -> tuple[Any, Any]:
    """Return the layer and ref16 as ZigZag's objects."""
    from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage  # noqa: PLC0415
    from zigzag.stages.parser.accelerator_parser import AcceleratorParserStage  # noqa: PLC0415
    from zigzag.stages.parser.workload_parser import WorkloadParserStage  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        machine, mapping = _write(folder, EFFORTS["free"])
        accelerator = AcceleratorParserStage.parse_accelerator(machine)
        workload = WorkloadParserStage([CostModelStage], workload=_workload(layer), mapping=mapping).parse_workload()
    return next(iter(workload.topological_sort())), accelerator


def print_terms(layer: Layer, result: Result) -> None:
    """Print the terms of ZigZag's cost beside the closed form's of the same mapping."""
    machine = ref16.machine("ZigZag")
    check(result.nest, layer, machine)
    cost = evaluate(result.nest, layer, machine)
    ours, its = ref16.words(cost), ref16.words_as_zigzag(cost, result.nest, layer)
    print(f"{'term':<24}{'ZigZag':>14}{'by its rules':>14}{'ours':>14}")
    for term in sorted({*result.words, *ours, *its}):
        name = f"{term.level} {term.operand.name} {term.action} {term.way}"
        print(f"{name:<24}{result.words.get(term, 0):>14.0f}{its.get(term, 0):>14}{ours.get(term, 0):>14}")
    energies = result.energy, ref16.energy(its, cost.macs), cost.energy
    print(f"{'energy':<24}{energies[0]:>14.0f}{energies[1]:>14.0f}{energies[2]:>14.0f}")
    print(f"{'iterations':<24}{result.iterations:>14.0f}{'':>14}{cost.iterations:>14}")
    for name, value in (("stall", result.stall), ("onload", result.onload), ("offload", result.offload)):
        print(f"{name:<24}{value:>14.0f}")
    for name, value in cost.busy_cycles.items():
        print(f"{'busy ' + name:<24}{'':>28}{value:>14.0f}")
    print(f"{'cycles':<24}{result.cycles:>14.0f}{'':>14}{cost.cycles:>14.0f}\n")


def record(result: Result) -> dict[str, Any]:
    """Return a result as plain data."""
    words = {
        f"{term.level} {term.operand.name} {term.action} {term.way}": n for term, n in sorted(result.words.items())
    }
    return {"energy": result.energy, "cycles": result.cycles, "words": words, "nest": to_data(result.nest)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", default=list(ref16.LAYERS))
    parser.add_argument("--effort", action="append", choices=list(EFFORTS))
    parser.add_argument("--terms", action="store_true", help="print every term of the cost of what was found")
    parser.add_argument("--record", type=Path, help="write what was found as JSON, as tests/data/zigzag_ref16.json")
    options = parser.parse_args()
    if sentence := missing():
        print(sentence)
        return
    print(f"{'layer':<14}{'effort':<10}{'energy/e6':>10}{'cycles':>10}{'EDP/e12':>10}{'CPU/s':>8}{'mappings':>10}")
    records: list[dict[str, Any]] = []
    for name in options.layers:
        layer = ref16.layer(name)
        for effort in options.effort or ["free", "6s", "33s"]:
            chosen = EFFORTS[effort]
            if chosen.unrolled and any(layer.dims[dim] < count for dim, count in chosen.unrolled.values()):
                continue
            found = search(layer, chosen)
            print(
                f"{name:<14}{effort:<10}{found.energy / 1e6:>10.1f}{found.cycles:>10.0f}{found.edp / 1e12:>10.2f}"
                f"{found.seconds:>8.1f}{found.tried:>10}",
                flush=True,
            )
            again = judge(found.nest, layer)
            if (again.energy, again.cycles) != (found.energy, found.cycles):
                sys.exit(f"the nest is not ZigZag's mapping: {again.energy:.0f}, {again.cycles:.0f} cycles")
            if options.terms:
                print_terms(layer, found)
            records.append({"layer": name, "effort": effort} | record(found))
    if options.record:
        options.record.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

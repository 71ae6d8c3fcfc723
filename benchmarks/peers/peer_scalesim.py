"""SCALE-Sim and accelsim on the same layers, the same 16x16 array, the same dataflow and schedule: cycles and CPU time.

    PYTHONPATH=. python -m benchmarks.peers.peer_scalesim [LAYER ...] [--dataflow ws] [--alone]

Needs the extra ``peers`` (scalesim); ``--alone`` prints our side only. A layer is named as in ``ref16.layer``.

What SCALE-Sim models: a systolic array fed from three scratchpads (64 Ki words each here), each an im2col matrix whose
addresses are generated cycle by cycle; in its mode ``CALC``, used here, DRAM is as fast as is needed. Its folds:

- ``ws``: rows hold taps and input channels, columns hold filters; the outputs' pixels stream by;
- ``os``: rows hold output pixels, columns filters; taps and input channels stream by;
- ``is``: rows hold taps and input channels, columns output pixels; filters stream by.

Our side is a nest with that unrolling and that order, on a machine with one register of the stationary operand per PE,
the same scratchpads, a chain of adders, and an unbounded DRAM rate, by the closed form.

What differs: SCALE-Sim lets the array run empty after every fold (rows + columns - 2 cycles), our machine after the
last only; "as it" adds these cycles to ours. Both stop the array for a preload of one row a cycle. SCALE-Sim flattens
channels with taps, and rows of pixels, so that a fold may straddle them, ours unrolls at most two dims on an axis; it
runs the groups of a depthwise layer as layers, one after the other, and we as a loop; it writes every fold's partial
sums and never reads them back, ours reads them back; it computes no values, no energy, no DRAM stalls in this mode.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from accelsim.dims import USES, Dim, Operand
from accelsim.engine.closed_form import evaluate
from accelsim.mapping.hierarchy import Axis, Buffering, Machine, Reduction, SpatialFanout, Store
from accelsim.mapping.nest import UNIT, Nest, Place, Unrolling, check
from accelsim.workload.layer import Dims, Layer
from benchmarks.peers import ref16

SCRATCHPAD_KI_WORDS = 64
ROWS, COLS = ref16.ARRAY
TAPS, PIXELS, FILTERS = (Dim.C, Dim.R, Dim.S), (Dim.P, Dim.Q), (Dim.K,)
DATAFLOWS = {"ws": (TAPS, FILTERS, PIXELS), "os": (PIXELS, FILTERS, TAPS), "is": (TAPS, PIXELS, FILTERS)}
"""Dims unrolled over rows and columns, and those that stream by."""
STATIONARY = {"ws": Operand.W, "os": Operand.O, "is": Operand.I}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one simulator says of a layer.

    Attributes:
        cycles: Cycles without DRAM stalls.
        emptied: The same if the array ran empty after every fold.
        seconds: CPU seconds.
        words: Words read from the scratchpads (I, W) and written to them (O).
    """

    cycles: float
    emptied: float
    seconds: float
    words: dict[Operand, int]


def machine(dataflow: str) -> Machine:
    """Return the systolic array: a scratchpad per operand, one register of the stationary operand per PE."""
    rates = {Operand.I: COLS if dataflow == "is" else ROWS, Operand.W: ROWS if dataflow == "is" else COLS}
    scratchpads = tuple(
        Store(
            name=f"pad_{operand.name}",
            keeps=frozenset({operand}),
            words=SCRATCHPAD_KI_WORDS * 1024,
            read_words_per_cycle=rates.get(operand, math.inf),  # SCALE-Sim never reads partial sums back
        )
        for operand in Operand
    )
    register = Store(
        name="rf",
        keeps=frozenset({STATIONARY[dataflow]}),
        words=1,
        write_words_per_cycle=math.inf if dataflow == "os" else 1 / ROWS,  # words pass from row to row
        buffering=Buffering.ROLLING if dataflow == "os" else Buffering.SINGLE,
    )
    axes = (
        Axis(name="rows", size=ROWS, reduction=Reduction.CHAIN),
        Axis(name="cols", size=COLS, reduction=Reduction.NONE),
    )
    return Machine(
        name=f"systolic {dataflow}",
        stores=(Store(name="dram"), *scratchpads, register),
        fanouts=(SpatialFanout(name="array", below=scratchpads[-1].name, axes=axes),),
        stores_padding=True,
    )


def nest(layer: Layer, dataflow: str) -> Nest:
    """Return SCALE-Sim's schedule: folds outside, what streams by inside."""
    on_rows, on_cols, streaming = DATAFLOWS[dataflow]
    rows, cols = _unrolled(layer, on_rows, ROWS), _unrolled(layer, on_cols, COLS)
    folds = tuple(dim for dim in Dim if dim not in streaming)
    tile = {dim: layer.dims[dim] for dim in streaming} | rows | cols
    first = next(dim for dim in (Dim.P, Dim.C, Dim.K) if dim in streaming)
    room = SCRATCHPAD_KI_WORDS * 1024 // 2
    while (
        max(math.prod(tile.get(d, 1) for d in Dim if d in USES[o]) * (4 if o is Operand.I else 1) for o in Operand)
        > room
    ):
        tile[first] = -(-tile[first] // 2)
    sizes = Dims(*(tile.get(dim, 1) for dim in Dim))
    pads = [
        Place(
            store=f"pad_{operand.name}",
            operands=frozenset({operand}),
            tile=sizes,
            order=streaming if operand is list(Operand)[-1] else (),
        )
        for operand in Operand
    ]
    return Nest(
        steps=(
            Place(store="dram", operands=frozenset(Operand), tile=layer.dims, order=(*folds, *streaming)),
            *pads,
            Unrolling(axis="array.rows", counts=rows),
            Unrolling(axis="array.cols", counts=cols),
            Place(store="rf", operands=frozenset({STATIONARY[dataflow]}), tile=UNIT),
        )
    )


def _unrolled(layer: Layer, dims: tuple[Dim, ...], size: int) -> dict[Dim, int]:
    """Return the unrolling of at most two dims over an axis that leaves the fewest folds."""
    best: dict[Dim, int] = {}
    fewest = math.prod(layer.dims[dim] for dim in dims) + 1
    for pair in itertools.combinations_with_replacement(dims, 2):
        for count in range(1, min(size, layer.dims[pair[0]]) + 1):
            other = min(size // count, layer.dims[pair[1]]) if pair[0] is not pair[1] else 1
            counts = {pair[0]: count} if pair[0] is pair[1] else {pair[0]: count, pair[1]: other}
            folds = math.prod(-(-layer.dims[dim] // counts.get(dim, 1)) for dim in dims)
            if folds < fewest:
                best, fewest = counts, folds
    return best


def ours(layer: Layer, dataflow: str) -> Run:
    """Return the closed form of the schedule."""
    chosen, mapping = machine(dataflow), nest(layer, dataflow)
    check(mapping, layer, chosen)
    start = time.process_time()
    cost = evaluate(mapping, layer, chosen)
    seconds = time.process_time() - start
    words = {operand: cost.read_words[f"pad_{operand.name}", operand] for operand in (Operand.W, Operand.I)}
    inner = [flow for flow in cost.traffic if flow.operand is Operand.O and flow.source == "pad_O"]
    words[Operand.O] = sum(flow.source_words for flow in inner)
    folds = cost.iterations // math.prod(layer.dims[dim] for dim in DATAFLOWS[dataflow][2])
    return Run(cycles=cost.cycles, emptied=cost.cycles + (folds - 1) * (ROWS + COLS - 2), seconds=seconds, words=words)


def missing() -> str | None:
    """Return one sentence if SCALE-Sim cannot be imported."""
    try:
        import scalesim.scale_sim  # noqa: F401, PLC0415
    except ImportError as error:
        return f"SCALE-Sim is not compared: {error}; pip install 'accelsim[peers]'."
    return None


def theirs(layer: Layer, dataflow: str) -> Run:
    """Return what SCALE-Sim says of a layer; of a depthwise one, it runs one group and its figures are multiplied."""
    from scalesim.scale_sim import scalesim  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        config, topology, layout = (Path(folder, name) for name in ("scale.cfg", "layer.csv", "layout.csv"))
        config.write_text(_config(dataflow), encoding="utf-8")
        pad = layer.padding
        sizes = [layer.H + pad.top + pad.bottom, layer.W + pad.left + pad.right, layer.R, layer.S, layer.C, layer.K]
        fields = [layer.name.replace(",", " "), *sizes, layer.stride[0], "1:1", ""]
        topology.write_text("name\n" + ",".join(str(field) for field in fields) + "\n", encoding="utf-8")
        layout.write_text("name\n" + ",".join(["layer", *["1"] * 20, ""]) + "\n", encoding="utf-8")
        start = time.process_time()
        simulator = scalesim(
            save_disk_space=True, verbose=False, config=str(config), topology=str(topology), layout=str(layout)
        )
        simulator.run_scale(top_path=folder)
        seconds = time.process_time() - start
        (only,) = simulator.runner.single_layer_sim_object_list
        cycles = only.get_compute_report_items()[1]
        details = only.get_detail_report_items()
    words = dict(zip((Operand.I, Operand.W, Operand.O), details[2:9:3], strict=True))
    groups = layer.G
    return Run(
        cycles=float(cycles) * groups,
        emptied=float(cycles) * groups,
        seconds=seconds * groups,
        words={operand: int(count) * groups for operand, count in words.items()},
    )


def _config(dataflow: str) -> str:
    sections: dict[str, dict[str, object]] = {
        "general": {"run_name": "ref16"},
        "architecture_presets": {
            "ArrayHeight": ROWS,
            "ArrayWidth": COLS,
            "IfmapSramSzkB": SCRATCHPAD_KI_WORDS,
            "FilterSramSzkB": SCRATCHPAD_KI_WORDS,
            "OfmapSramSzkB": SCRATCHPAD_KI_WORDS,
            "IfmapOffset": 0,
            "FilterOffset": 10**7,
            "OfmapOffset": 2 * 10**7,
            "Dataflow": dataflow,
            "Bandwidth": 4,
            "ReadRequestBuffer": 32,
            "WriteRequestBuffer": 32,
        },
        "layout": {
            "IfmapCustomLayout": False,
            "FilterCustomLayout": False,
            "IfmapSRAMBankBandwidth": 10,
            "IfmapSRAMBankNum": 10,
            "IfmapSRAMBankPort": 2,
            "FilterSRAMBankBandwidth": 10,
            "FilterSRAMBankNum": 10,
            "FilterSRAMBankPort": 2,
        },
        "sparsity": {"SparsitySupport": "false"},
        "run_presets": {"InterfaceBandwidth": "CALC", "UseRamulatorTrace": False},
    }
    lines: list[str] = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def rows(layers: list[str], dataflows: list[str], *, alone: bool) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        f"{'layer':<14}{'flow':<6}{'SCALE-Sim cycles':>17}{'ours':>10}{'as it':>10}{'ratio':>7}{'SCALE-Sim/s':>13}"
        f"{'ours/ms':>9}{'faster':>9}   words I/W/O, SCALE-Sim | ours"
    )
    for name, dataflow in itertools.product(layers, dataflows):
        layer = ref16.layer(name)
        here = ours(layer, dataflow)
        counts = " ".join(str(here.words[operand]) for operand in (Operand.I, Operand.W, Operand.O))
        if alone:
            yield (
                f"{name:<14}{dataflow:<6}{here.cycles:>27.0f}{here.emptied:>10.0f}{here.seconds * 1e3:>29.2f}"
                f"{'':>12}| {counts}"
            )
            continue
        there = theirs(layer, dataflow)
        its = " ".join(str(there.words[operand]) for operand in (Operand.I, Operand.W, Operand.O))
        yield (
            f"{name:<14}{dataflow:<6}{there.cycles:>17.0f}{here.cycles:>10.0f}{here.emptied:>10.0f}"
            f"{here.emptied / there.cycles:>7.3f}"
            f"{there.seconds:>13.1f}{here.seconds * 1e3:>9.2f}{there.seconds / here.seconds:>9.0f}   {its} | {counts}"
        )


def run(table: Callable[..., Iterator[str]], description: str | None) -> None:
    """Print a table of layers, dataflows and both sides, or ours alone, as the command line asks."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", default=list(ref16.LAYERS))
    parser.add_argument("--dataflow", action="append", choices=list(DATAFLOWS))
    parser.add_argument("--alone", action="store_true", help="print our side only")
    options = parser.parse_args()
    sentence = None if options.alone else missing()
    if sentence:
        print(sentence)
        return
    for line in table(options.layers, options.dataflow or list(DATAFLOWS), alone=options.alone):
        print(line, flush=True)


if __name__ == "__main__":
    run(rows, __doc__)

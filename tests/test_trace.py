"""Can what happened be opened, read and seen?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from accelsim.dims import Dim
from accelsim.engine.cycle import execute
from accelsim.engine.dram import DRAMS, BankedDram, dram, runs_of
from accelsim.engine.reference import execute_reference
from accelsim.errors import InputError
from accelsim.hardware.loader import load_hardware
from accelsim.mapping.hierarchy import ALL_OPERANDS, Machine, Store
from accelsim.mapping.nest import Nest, Place
from accelsim.report.trace import ARRAY, KINDS, nest_events, program_events, save_chrome, save_parquet, save_timeline
from accelsim.workload.layer import Layer

LAYER = Layer.conv("conv", 16, 16, 14, 3, padding=1)
TILE = (1, 1, 8, 8, 7, 14, 3, 3)


def program(**options):
    """A tiled layer on a reference accelerator."""
    return execute_reference(LAYER, load_hardware("8x8_32KB"), "ws", TILE, (0, 1, 2), **options)


@pytest.fixture
def events():
    return program_events(program())


def nest_run(*, trace):
    layer = Layer.conv("pixels", 2, 3, (1, 40))
    stores = (Store(name="DRAM", words_per_cycle=1, latency_cycles=7), Store(name="GLB", words=100))
    steps = (
        Place(store="DRAM", operands=ALL_OPERANDS, tile=layer.dims, order=tuple(Dim)),
        Place(store="GLB", operands=ALL_OPERANDS, tile=layer.dims._replace(Q=4), order=tuple(Dim)),
    )
    return execute(Nest(steps=steps), layer, Machine(name="pair", stores=stores), trace=trace)


def busy(events, kind):
    mine = events.kind == KINDS.index(kind)
    return float((events.end - events.start)[mine].sum())


def test_events_of_a_program_add_up():
    """Computation takes the array's cycles, loads and stores the DMA's, and the last event ends with the layer."""
    done = program()
    events = program_events(done)
    assert busy(events, "compute") == pytest.approx(done.array_cycles)
    assert busy(events, "load") + busy(events, "store") == pytest.approx(done.dram_cycles)
    assert events.end.max() == pytest.approx(done.cycles)
    array = events.lane == events.lanes.index(ARRAY)
    assert (events.start[array][1:] >= events.end[array][:-1] - 1e-6).all()


def test_events_of_a_nest_add_up():
    """As many loads and stores as visits; array and stalls fill the time until the last tick."""
    done = nest_run(trace=True)
    events = nest_events(done.timing)
    loads = sum(flow.visits for flow in done.flows)
    stores = sum(flow.visits for flow in done.flows if flow.operand.name == "O")
    assert (events.kind == KINDS.index("load")).sum() == loads
    assert (events.kind == KINDS.index("store")).sum() == stores
    assert busy(events, "compute") + busy(events, "stall") == pytest.approx(done.cycles - done.timing.drain_cycles)


def test_a_run_without_a_trace_has_no_events():
    """The message says what to ask for."""
    with pytest.raises(InputError, match="trace=True"):
        nest_events(nest_run(trace=False).timing)


def test_the_trace_is_what_viewers_read(events, tmp_path):
    """Complete events with name, process, thread, start and duration; a name for every thread; no negative time."""
    data = json.loads(save_chrome(events, tmp_path / "trace.json").read_text())
    threads = {entry["tid"] for entry in data["traceEvents"] if entry["ph"] == "M" and entry["name"] == "thread_name"}
    complete = [entry for entry in data["traceEvents"] if entry["ph"] == "X"]
    assert len(complete) == len(events.kind)
    for entry in complete:
        assert {"name", "cat", "pid", "tid", "ts", "dur"} <= set(entry)
        assert entry["tid"] in threads
        assert entry["ts"] >= 0
        assert entry["dur"] >= 0


def test_the_table_holds_every_event(events, tmp_path):
    """What Parquet gives back is what was written."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra")
    table = parquet.read_table(save_parquet(events, tmp_path / "trace.parquet")).to_pydict()
    np.testing.assert_array_equal(table["start_cycle"], events.start)
    assert table["kind"] == [KINDS[kind] for kind in events.kind]


def test_the_timeline_is_drawn(events, tmp_path):
    """A picture is written, and every lane is named in it."""
    pytest.importorskip("matplotlib", reason="plots are an extra")
    text = save_timeline(events, tmp_path / "timeline.svg", title="conv").read_text()
    assert "</svg>" in text


def test_open_rows_are_hits_and_others_are_not():
    """One row streamed: one miss, then hits; a row of the same bank: a precharge and an activation."""
    kind = dram("ddr4")
    memory = BankedDram(timings=kind)
    first = memory.transfer_ns(np.array([0]), kind.row_bytes)
    assert first == pytest.approx(kind.activate_ns + kind.row_bytes // kind.burst_bytes * kind.burst_ns)
    assert memory.transfer_ns(np.array([0]), 64) == pytest.approx(kind.burst_ns)
    again = memory.transfer_ns(np.array([kind.row_bytes * kind.banks]), 64)
    assert again == pytest.approx(kind.precharge_ns + kind.activate_ns + kind.burst_ns)
    assert (memory.row_hits, memory.row_misses) == (1, 2)


def test_rows_of_other_banks_open_meanwhile_and_refresh_interrupts():
    """A long stream runs at the bus's pace but for refreshes."""
    kind = dram("lpddr4")
    memory = BankedDram(timings=kind)
    size = kind.row_bytes * 64
    streaming = size // kind.burst_bytes * kind.burst_ns
    took = memory.transfer_ns(np.array([0]), size)
    assert memory.refreshes == int(streaming // kind.refresh_interval_ns)
    overhead = memory.refreshes * (kind.refresh_ns + kind.activate_ns) + kind.activate_ns
    assert streaming < took <= streaming + overhead + 1e-6


@pytest.mark.parametrize("name", sorted(DRAMS))
def test_banks_make_a_layer_wait(name):
    """The DMA's time is another one behind banks; outputs and counts are the same."""
    memory = BankedDram(timings=dram(name))
    flat, banked = program(), program(dram=memory)
    np.testing.assert_array_equal(flat.outputs, banked.outputs)
    np.testing.assert_array_equal(flat.counts, banked.counts)
    assert flat.dram_cycles != banked.dram_cycles
    assert memory.row_misses > 0


def test_an_unknown_dram_is_refused():
    """The message names those that there are."""
    with pytest.raises(InputError, match="known are ddr4, lpddr4"):
        dram("ddr9")


def test_runs_cover_a_part_of_a_tensor():
    """Runs of consecutive words are those of NumPy's own order."""
    shape = (3, 4, 5)
    for box in (
        (slice(0, 3), slice(0, 4), slice(0, 5)),
        (slice(1, 3), slice(0, 4), slice(0, 5)),
        (slice(0, 2), slice(1, 3), slice(0, 5)),
        (slice(2, 3), slice(1, 2), slice(2, 4)),
    ):
        first, length = runs_of(shape, box)
        words = np.concatenate([np.arange(start, start + length) for start in first])
        np.testing.assert_array_equal(words, np.arange(60).reshape(shape)[box].ravel())

"""Searches: every point right, none lost and none twice, whoever evaluates them and whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from explore_spaces import array_space, write_network

from accelsim import cache, explore, load_hardware, load_network, simulate
from accelsim.errors import InputError
from accelsim.explore.evaluate import Evaluator
from accelsim.explore.front import front_rows, hypervolume, pareto, sensitivity, table
from accelsim.explore.space import load_space
from accelsim.explore.store import Store
from accelsim.explore.workers import Processes
from accelsim.yamlio import read_yaml


def metrics_of(points):
    """Return metrics by point, without anything that depends on how they were found."""
    return {tuple(map(repr, point.values.values())): (point.outcome.status, point.metrics) for point in points}


def test_does_a_point_cost_what_simulate_says(tmp_path):
    """Every metric of every point of a grid of hardware, options and network parameters."""
    space = {
        "network": "squeezenext",
        "hardware": "8x8_32KB",
        "options": {"objective": "energy"},
        "axes": {
            "size": {"hardware": ["fanouts.array.rows", "fanouts.array.cols"], "values": [6, 8]},
            "dataflow": {"option": "dataflow", "values": ["ws", "best"]},
            "image": {"network": "resolution", "values": [64]},
            "blocks": {"network": "blocks", "values": [[1, 1, 1, 1]]},
        },
    }
    points = list(explore(space, workers=0))
    assert len(points) == 4
    for point in points:
        size, dataflow = point.values["size"], point.values["dataflow"]
        hardware = load_hardware("8x8_32KB", **{"fanouts.array.rows": size, "fanouts.array.cols": size})
        network = load_network("squeezenext", resolution=64, blocks=[1, 1, 1, 1])
        totals = simulate(network, hardware, dataflow=dataflow, objective="energy").totals
        for name in ("cycles", "time_ms", "energy", "utilization", "dram_words", "macs", "params"):
            assert point.metrics[name] == pytest.approx(totals[name], rel=1e-12), name
        assert point.metrics["edp"] == pytest.approx(totals["energy"] * totals["time_ms"])
        assert point.metrics["pes"] == size * size
        assert point.metrics["top1_percent"] is None
        assert point.is_feasible


def test_are_several_networks_summed_by_their_inferences(tmp_path):
    """Cycles, energy, MACs and traffic count once per inference, parameters once."""
    mine = write_network(tmp_path)
    space = array_space(tmp_path, rows=1, buffers=1, networks={mine: 3, "tiny_darknet": 0.5})
    del space["network"]
    (point,) = explore(space, workers=0)
    hardware = load_hardware("8x8_32KB", **{"fanouts.array.rows": 4, "memories.GLB.size_kb": 8})
    first, second = (simulate(load_network(name), hardware).totals for name in (mine, "tiny_darknet"))
    for name in ("cycles", "energy", "macs", "dram_words"):
        assert point.metrics[name] == pytest.approx(3 * first[name] + 0.5 * second[name])
    assert point.metrics["params"] == first["params"] + second["params"]
    assert point.metrics["cycles[tiny_darknet]"] == second["cycles"]


def test_is_accuracy_cited_and_never_computed():
    """A named network has its published figure; one that an axis changes has none, and misses a bound on it."""
    space = {
        "network": "squeezenext23",
        "hardware": "8x8_32KB",
        "axes": {"depth": {"network": "depth", "values": [23, 34]}},
        "constraints": {"top1_percent": {"min": 59}, "macs": {"max": 1}},
    }
    published, changed = explore(space, workers=0)
    assert published.metrics["top1_percent"] == 59.05
    assert "macs is" in published.outcome.reason
    assert changed.outcome.reason == "top1_percent is not published"
    assert (changed.outcome.status, changed.outcome.excess) == ("infeasible", None)


def test_is_nothing_simulated_outside_a_bound_that_is_known_before(tmp_path, monkeypatch):
    """Area, PEs, buffers, parameters and MACs are checked first; time and energy after."""
    ran = []
    real = simulate
    monkeypatch.setattr(
        "accelsim.simulation.simulate", lambda *given, **options: ran.append(1) or real(*given, **options)
    )
    space = array_space(tmp_path, constraints={"buffer_kb": {"max": 16}, "cycles": {"max": 1}})
    points = list(explore(space, workers=0))
    assert len(ran) == 8
    assert {point.outcome.status for point in points} == {"infeasible"}
    assert sum("buffer_kb is 32, at most 16" in point.outcome.reason for point in points) == 4
    assert all(point.outcome.excess == pytest.approx(1) for point in points if "buffer" in point.outcome.reason)


def test_is_a_point_that_cannot_be_infeasible_with_the_reason(tmp_path):
    """A layer that no mapping fits, and a network that cannot exist, do not end the search."""
    space = array_space(tmp_path, rows=1)
    space["axes"]["buffer"] = {"hardware": "memories.GLB.size_kb", "values": [8, 0.0625]}
    fits, too_small = explore(space, workers=0)
    assert fits.is_feasible
    assert (too_small.outcome.status, too_small.outcome.excess) == ("infeasible", None)
    assert "no tile fits GLB" in too_small.outcome.reason
    groups = {
        "network": "squeezenext23",
        "hardware": "8x8_32KB",
        "axes": {"g": {"network": "groups", "values": [3, 1]}},
    }
    impossible, built = explore(groups, workers=0)
    assert built.is_feasible
    assert (impossible.outcome.status, impossible.metrics) == ("infeasible", {})
    assert "groups" in impossible.outcome.reason


def test_is_an_error_of_accelsim_a_failed_point(tmp_path, monkeypatch):
    """One point that hits a bug does not end a search of thousands; it is reported with its error."""

    def broken(*given, **options):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("accelsim.simulation.simulate", broken)
    points = list(explore(array_space(tmp_path, rows=1, buffers=2), workers=0))
    assert {(point.outcome.status, point.outcome.reason) for point in points} == {
        ("failed", "ZeroDivisionError: by zero")
    }


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ({"hardware": "fanouts.array.rowz", "values": [8]}, "axis rows: no value of it is possible: .*rowz"),
        ({"hardware": "memories.GLB.size_kb", "values": [-1, 0]}, "no value of it is possible: .*size_kb"),
        ({"network": "width", "values": [1]}, "lists its layers, so it has no parameter 'width'"),
    ],
)
def test_is_an_axis_that_cannot_be_refused_before_the_search(tmp_path, axis, message):
    """A field that does not exist is not a thousand infeasible points."""
    with pytest.raises(InputError, match=message):
        list(explore(array_space(tmp_path) | {"axes": {"rows": axis}}, workers=0))


@pytest.mark.parametrize("workers", [1, 3])
def test_do_worker_processes_find_what_one_process_finds(tmp_path, workers):
    """Same points, same metrics, to the last digit."""
    space = array_space(tmp_path)
    assert metrics_of(explore(space, workers=workers)) == metrics_of(explore(space, workers=0))


def test_does_a_search_go_on_where_it_ended(tmp_path):
    """What is in the store is not evaluated again, also when axes have got more values since."""
    where = tmp_path / "points.sqlite"
    some = explore(array_space(tmp_path), store=where, workers=0)
    first = [next(some) for _ in range(5)]
    some.close()
    assert all(point.is_new for point in first)
    rest = list(explore(array_space(tmp_path, rows=6), store=where, workers=0))
    assert len(rest) == 18
    assert sum(not point.is_new for point in rest) == 5
    assert metrics_of(rest) == metrics_of(explore(array_space(tmp_path, rows=6), workers=0))


def test_does_closing_the_iterator_free_what_was_claimed(tmp_path):
    """Another writer need not wait for the lease."""
    space, where = load_space(array_space(tmp_path)), str(tmp_path / "points.sqlite")
    some = explore(space, store=where, workers=1)
    next(some)
    some.close()
    store = Store(where, space)
    assert store.status().writers == 0
    assert "claimed" not in store.status().counts
    store.close()


def test_is_a_layer_solved_once_on_one_machine(tmp_path, monkeypatch):
    """Networks that share layers share their solutions, in the memory of a process, also without the cache on disk."""
    monkeypatch.setenv("ACCELSIM_NO_CACHE", "1")
    import accelsim.simulation as simulation_module

    solved = []
    real = simulation_module.solve_layer
    monkeypatch.setattr(
        simulation_module, "solve_layer", lambda layer, *more: solved.append(layer.shape_key) or real(layer, *more)
    )
    space = {
        "network": "squeezenext",
        "hardware": "8x8_32KB",
        "axes": {
            "blocks": {"network": "blocks", "total": 6, "parts": 4},
            "image": {"network": "resolution", "values": [48]},
        },
        "options": {"dataflow": "ws"},
    }
    points = list(explore(space, workers=0))
    assert len(points) == 10
    assert len(solved) == len(set(solved))


def test_is_a_killed_worker_replaced(tmp_path):
    """Chunks of a lost worker are evaluated by another one; nothing is lost."""
    space = load_space(array_space(tmp_path))
    workers = Processes(space, 1)
    try:
        workers.submit([[4, 8]])
        assert workers.collect(60)[0].outcomes is not None
        os.kill(next(iter(workers._processes)).pid, signal.SIGKILL)
        workers.submit([[5, 8]])
        lost = workers.collect(60)[0]
        assert (lost.outcomes, lost.reason) == (None, "a worker process ended (signal 9)")
        workers.submit([[5, 8]])
        assert workers.collect(60)[0].outcomes[0].metrics == Evaluator(space).evaluate([5, 8]).metrics
    finally:
        workers.close()


def test_does_a_point_that_kills_its_workers_fail_alone(tmp_path, monkeypatch):
    """After three lost workers a point counts as failed, and all others are finished."""
    from accelsim.explore import runner

    class Deadly(runner.InProcess):
        def collect(self, timeout_seconds):
            chunk = self._chunks[0]
            if [5, 16] in chunk:
                self._chunks.pop(0)
                return [runner.Finished(chunk, None, "a worker process ended (signal 9)")]
            return super().collect(timeout_seconds)

    monkeypatch.setattr(runner, "InProcess", Deadly)
    points = list(explore(array_space(tmp_path), workers=0))
    failed = [point for point in points if point.outcome.status == "failed"]
    assert len(points) == 12
    assert [(point.values, point.outcome.reason) for point in failed] == [
        ({"rows": 5, "buffer": 16}, "a worker process ended (signal 9)")
    ]


SEARCH = """
import sys, time
from pathlib import Path
from accelsim import explore
from explore_spaces import array_space
if __name__ == "__main__":
    for point in explore(array_space(Path(sys.argv[1]), rows=40, buffers=5), store=sys.argv[2], workers=2):
        print(point.is_new, flush=True)
"""


def start_search(folder, where):
    """Start a search of 200 points in a process of its own."""
    paths = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", SEARCH, str(folder), where],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths, "ACCELSIM_NO_CACHE": "1"},
    )


def test_is_nothing_lost_or_done_twice_when_the_search_is_killed(tmp_path):
    """Killed with SIGKILL at random times, it ends with the points and metrics of an undisturbed one."""
    where, space = str(tmp_path / "points.sqlite"), array_space(tmp_path, rows=40, buffers=5)
    generator, finished = random.Random(5), 0
    for _ in range(5):
        process = start_search(tmp_path, where)
        new = 0
        while new < 25 and process.stdout.readline() == "True\n":
            new += 1
        time.sleep(generator.random() * 0.3)
        process.kill()
        process.wait()
        store = Store(where, load_space(space), read_only=True)
        counts = store.status().counts
        store.close()
        assert counts.get("done", 0) >= finished + new
        finished = counts["done"]
    points = list(explore(space, store=where, workers=0))
    assert sum(not point.is_new for point in points) == finished
    assert metrics_of(points) == metrics_of(explore(space, workers=0))
    assert len(points) == 200


def test_do_two_processes_on_one_store_share_the_work(tmp_path):
    """Together they evaluate every point once, and each gets all of them."""
    where, space = str(tmp_path / "points.sqlite"), array_space(tmp_path, rows=40, buffers=5)
    processes = [start_search(tmp_path, where) for _ in range(2)]
    lines = [process.communicate(timeout=300)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [len(seen) for seen in lines] == [200, 200]
    assert sum(seen.count("True") for seen in lines) == 200
    assert min(seen.count("True") for seen in lines) > 0
    assert metrics_of(explore(space, store=where, workers=0)) == metrics_of(explore(space, workers=0))


@pytest.mark.parametrize("name", ["nsga2", "tpe"])
def test_does_a_learning_sampler_find_the_front_and_propose_the_same_again(tmp_path, name):
    """It evaluates as many points as asked for, the same after an interruption, and comes near the grid's front."""
    pytest.importorskip("optuna", reason="the optuna extra is not installed")
    sampler = {"name": name, "points": 60, "seed": 3, "population": 10}
    space = load_space(array_space(tmp_path, rows=24, buffers=5, objectives=["time_ms", "area_mm2"], sampler=sampler))
    where = tmp_path / "points.sqlite"
    some = explore(space, store=where, workers=0)
    for _ in range(25):
        next(some)
    some.close()
    resumed = list(explore(space, store=where, workers=2))
    undisturbed = list(explore(space, workers=0))
    assert len(undisturbed) == 60
    assert metrics_of(resumed) == metrics_of(undisturbed)
    grid = list(explore(array_space(tmp_path, rows=24, buffers=5), workers=0))
    sets = [np.array([[p.metrics["time_ms"], p.metrics["area_mm2"]] for p in points]) for points in (grid, undisturbed)]
    reference = sets[0].max(axis=0) * 1.1
    volumes = [hypervolume(values, reference) for values in sets]
    assert volumes[1] >= 0.95 * volumes[0]


def test_does_a_learning_sampler_keep_to_the_bounds(tmp_path):
    """Most of what NSGA-II proposes late is inside a bound that most of the space breaks."""
    pytest.importorskip("optuna", reason="the optuna extra is not installed")
    sampler = {"name": "nsga2", "points": 80, "seed": 1, "population": 10}
    grid = array_space(tmp_path, rows=60, buffers=6, constraints={"area_mm2": {"max": 0.4}})
    feasible = [point.is_feasible for point in explore(grid | {"sampler": sampler}, workers=0)]
    share = np.mean([point.is_feasible for point in explore(grid, workers=0)])
    assert share < 0.4
    assert np.mean(feasible[40:]) > 2 * share


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_is_the_front_what_no_point_dominates(objectives):
    """Against a comparison of all pairs, with ties."""
    values = np.random.default_rng(objectives).integers(0, 6, (60, objectives)).astype(float)
    expected = {
        i
        for i, point in enumerate(values)
        if not any((other <= point).all() and (other < point).any() for other in values)
    }
    assert set(map(int, pareto(values))) == expected


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_is_the_hypervolume_the_number_of_cells_dominated(objectives):
    """On whole numbers the volume is a count of unit cells."""
    values = np.random.default_rng(objectives).integers(0, 7, (8, objectives))
    cells = np.stack(np.meshgrid(*[np.arange(6)] * objectives, indexing="ij"), axis=-1).reshape(-1, objectives)
    dominated = (values[None, :, :] <= cells[:, None, :]).all(axis=2).any(axis=1)
    assert hypervolume(values.astype(float), [6.0] * objectives) == dominated.sum()


def test_does_sensitivity_say_which_axis_matters(tmp_path):
    """An axis that alone decides a metric explains all of it, one without influence nothing."""
    space = load_space(array_space(tmp_path))
    list(explore(space, store=tmp_path / "points.sqlite", workers=0))
    store = Store(str(tmp_path / "points.sqlite"), space, read_only=True)
    rows = table(space, store)
    store.close()
    assert sensitivity(space, rows, "pes") == {"rows": pytest.approx(1), "buffer": pytest.approx(0, abs=1e-12)}
    assert sensitivity(space, rows, "buffer_kb")["buffer"] == pytest.approx(1)
    assert [(row["rows"], row["buffer"]) for row in rows] == [
        tuple(space.values(choice)) for choice in sorted(space.choices())
    ]
    best = min(rows, key=lambda row: row["time_ms"])
    assert any(row["time_ms"] == best["time_ms"] for row in front_rows(space, rows))


def test_does_an_evaluator_bring_its_files_along(tmp_path):
    """A worker on another machine does not have the network's file; the space does."""
    space = load_space(array_space(tmp_path))
    (tmp_path / "three_layers.yaml").unlink()
    assert Evaluator(space).evaluate([8, 32]).status == "done"


def test_does_the_memory_of_solved_layers_keep_to_its_size(monkeypatch):
    """The newest answers stay, with and without the cache on disk, and 0 forgets all."""
    monkeypatch.setenv("ACCELSIM_NO_CACHE", "1")
    keys = [bytes([number]) for number in range(6)]
    try:
        cache.keep_in_memory(3)
        for number, key in enumerate(keys):
            cache.write({key: number})
        assert cache.read(keys) == {keys[3]: 3, keys[4]: 4, keys[5]: 5}
        cache.keep_in_memory(1)
        assert cache.read(keys) == {keys[5]: 5}
        cache.keep_in_memory(0)
        assert cache.read(keys) == {}
    finally:
        cache.keep_in_memory(0)


def test_is_a_file_that_is_read_again_not_changed_by_who_read_it_before(tmp_path):
    """The parse is shared, the data is not; a file that has changed is parsed again."""
    path = tmp_path / "values.yaml"
    path.write_text("a: [1, 2]")
    read_yaml(path).data["a"].append(3)
    assert read_yaml(path).data == {"a": [1, 2]}
    path.write_text("a: [4]")
    assert read_yaml(path).data == {"a": [4]}

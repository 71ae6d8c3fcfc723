"""One point: its accelerator, its networks, its bounds, its metrics.

An ``Evaluator`` belongs to one process. It keeps what points share: networks by their parameters, accelerators by their
fields, and, through the cache of solved layers, every layer shape on every accelerator.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from accelsim import cache
from accelsim.errors import AccelsimError, InputError
from accelsim.explore.metrics import METRICS, buffer_kb, hardware_area, pe_count
from accelsim.explore.space import Axis, Space, hardware_paths
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network

Status = Literal["done", "infeasible", "failed"]

KEPT = 512
"""Networks, and accelerators, that an evaluator keeps."""

KEPT_ANSWERS = 50_000
"""Solved layers that a process keeps for the points to come, about 60 MB."""

T = TypeVar("T")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a point.

    Attributes:
        status: ``done``, ``infeasible`` (outside a bound, or it cannot exist) or ``failed`` (an error in accelsim).
        metrics: Those of ``METRICS`` that are known, and ``cycles[NETWORK]`` and ``energy[NETWORK]`` of several.
        reason: Why it is not done.
        excess: By how much it is outside its bounds, as the sum of shares of the bounds; None if that cannot be said.
        seconds: Processor time of the evaluation.
    """

    status: Status
    metrics: dict[str, int | float | None] = {}
    reason: str = ""
    excess: float | None = 0.0
    seconds: float = 0.0


class Evaluator:
    """Evaluates points of a space; see the module's description."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._axes = tuple(space.axes.values())
        self._networks: dict[Hashable, Network] = {}
        self._hardware: dict[Hashable, Hardware] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="accelsim-") if space.files else None
        self._paths = {name: self._written(name, text) for name, text in space.files.items()}
        cache.keep_in_memory(KEPT_ANSWERS)

    def evaluate(self, values: Sequence[Any]) -> Outcome:
        """Return what is known of the point with these values, in the axes' order.

        Errors in accelsim itself become ``failed`` outcomes: one point must not end a search of thousands.
        """
        start = time.process_time()
        try:
            outcome = self._evaluate(values)
        except AccelsimError as wrong:
            outcome = Outcome(status="infeasible", reason=str(wrong), excess=None)
        except Exception as error:
            outcome = Outcome(status="failed", reason=f"{type(error).__name__}: {error}", excess=None)
        return msgspec.structs.replace(outcome, seconds=time.process_time() - start)

    def check(self) -> None:
        """Try every axis alone on the base design.

        Raises:
            InputError: An axis has no value that the base design takes; the first refusal is the reason.
        """
        space = self.space
        bases = [axis.items for axis in self._axes if axis.option in ("network", "hardware")]
        for axis_index, (name, axis) in enumerate(space.axes.items()):
            if axis.option not in (None, "network", "hardware") or (bases and axis.option is None):
                continue  # whether it fits may depend on the base that another axis chooses
            problem: AccelsimError | None = None
            for value in axis.items:
                try:
                    self._design({axis_index: value})
                except AccelsimError as wrong:
                    problem = problem or wrong
                else:
                    break
            else:
                raise InputError(f"axis {name}: no value of it is possible: {problem}")

    def _evaluate(self, values: Sequence[Any]) -> Outcome:
        from accelsim.simulation import simulate  # noqa: PLC0415 - numba is loaded only where it is used

        networks, hardware, options = self._design(dict(enumerate(values)))
        metrics = early_metrics(networks, hardware, options.get("batch", 1))
        excess, reason = self._excess(metrics, early=True)
        if reason:
            return Outcome(status="infeasible", metrics=metrics, reason=reason, excess=excess)
        pes, time_executed = pe_count(hardware), 0.0
        sums = dict.fromkeys(("cycles", "time_ms", "energy", "dram_words"), 0.0)
        parts: dict[str, float | None] = {}
        for name, (network, count) in networks.items():
            totals = simulate(network, hardware, **options).totals
            for metric in sums:
                sums[metric] += count * totals[metric]
            time_executed += count * totals["macs_executed"]
            if len(networks) > 1:
                parts |= {f"{metric}[{name}]": totals[metric] for metric in ("cycles", "energy")}
        metrics |= sums
        metrics["edp"] = sums["energy"] * sums["time_ms"]
        metrics["utilization"] = time_executed / (pes * sums["cycles"])
        excess, reason = self._excess(metrics, early=False)
        ordered = {name: metrics[name] for name in METRICS} | parts
        return Outcome(status="infeasible" if reason else "done", metrics=ordered, reason=reason, excess=excess)

    def _excess(self, metrics: Mapping[str, float | None], *, early: bool) -> tuple[float | None, str]:
        """Return by how much known metrics are outside their bounds, and the first that is, in words."""
        total: float | None = 0.0
        reason = ""
        for name, bound in self.space.constraints.items():
            if early and not METRICS[name].early:
                continue
            value = metrics[name]
            if value is None:
                total, reason = None, reason or f"{name} is not published"
                continue
            excess = bound.excess(value)
            total = None if total is None else total + excess
            if excess > 0:
                reason = reason or f"{name} is {value:g}, {bound}"
        return total, reason

    def _design(self, values: Mapping[int, Any]) -> tuple[dict[str, tuple[Network, float]], Hardware, dict[str, Any]]:
        """Return the networks with their counts, the accelerator and the options of a point, or of some of its axes."""
        overrides: dict[str, Any] = {}
        parameters: dict[str, Any] = {}
        options: dict[str, Any] = {str(name): value for name, value in self.space.options.items()}
        bases = self.space.base_networks
        base_hardware = self.space.hardware
        for index, axis in enumerate(self._axes):
            value = values.get(index)
            if index not in values:
                if axis.option in ("network", "hardware"):
                    value = axis.items[0]
                else:
                    continue
            if axis.option == "network":
                bases = {str(value): 1}
            elif axis.option == "hardware":
                base_hardware = str(value)
            elif axis.option is not None:
                options[axis.option] = value
            elif axis.network is not None:
                parameters[axis.network] = value
            else:
                overrides |= _overrides(axis, value)
        networks = {name: (self._network(name, parameters), count) for name, count in bases.items()}
        return networks, self._accelerator(str(base_hardware), overrides), options

    def _network(self, name: str, parameters: Mapping[str, Any]) -> Network:
        source = self._paths.get(name, name)
        return _kept(self._networks, (name, parameters), lambda: load_network(source, **parameters))

    def _written(self, name: str, text: str) -> str:
        """Write a file that the space brings along, under a folder of its own, and return its path."""
        assert self._folder is not None
        folder = Path(self._folder.name) / hashlib.sha256(name.encode()).hexdigest()[:16]
        folder.mkdir()
        path = folder / Path(name).name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def _accelerator(self, name: str, overrides: Mapping[str, Any]) -> Hardware:
        source = self._paths.get(name, name)
        return _kept(self._hardware, (name, overrides), lambda: load_hardware(source, **overrides))


def early_metrics(
    networks: Mapping[str, tuple[Network, float]], hardware: Hardware, batch: int
) -> dict[str, float | None]:
    """Return the metrics that are known before anything is simulated."""
    counted = list(networks.values())
    published = [fact.top1_percent for fact in counted[0][0].facts if fact.top1_percent is not None]
    return {
        "area_mm2": hardware_area(hardware).total_mm2,
        "pes": pe_count(hardware),
        "buffer_kb": buffer_kb(hardware),
        "params": sum(network.totals["params"] for network, _ in counted),
        "macs": sum(count * batch * network.totals["macs"] for network, count in counted),
        "top1_percent": published[0] if published and len(counted) == 1 else None,
    }


def _overrides(axis: Axis, value: Any) -> dict[str, Any]:
    """Return what a value of an axis of the hardware sets, by field path."""
    return dict(axis.variants[value]) if axis.variants is not None else dict.fromkeys(hardware_paths(axis), value)


def _kept(table: dict[Hashable, T], key: tuple[str, Mapping[str, Any]], make: Callable[[], T]) -> T:
    """Return the table's entry, made if it is not there; the oldest entries leave."""
    name = (key[0], msgspec.json.encode(sorted(key[1].items())))
    if name not in table:
        if len(table) >= KEPT:
            del table[next(iter(table))]
        table[name] = make()
    return table[name]

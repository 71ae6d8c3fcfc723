"""What the live page may ask, checked to the letter, and the answer: a simulation with other numbers.

A request names networks and accelerators of a list made when the server starts, and gives numbers within bounds; it
never holds a path, so that no file is opened by request.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.loader import hardware_names, load_hardware
from accelsim.hardware.spec import Hardware, Memory
from accelsim.mapping.mapping import OBJECTIVES
from accelsim.report.tables import comparison_rows
from accelsim.report.web.data import page_data, result_data
from accelsim.report.web.jobs import Jobs, Underway
from accelsim.report.web.page import LIVE_SCRIPTS, render
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.workload.loader import load_network, network_names
from accelsim.workload.network import Network


@dataclass(frozen=True, kw_only=True)
class Control:
    """One control of the live page, and what it may be set to.

    Attributes:
        name: Name in a request.
        title: What people read.
        help: One sentence that defines it.
        unit: Unit of a number.
        value: What it is set to at first.
        choices: What may be chosen; empty for a number.
        least: Smallest number allowed.
        most: Largest number allowed.
        whole: Whether the number must be whole.
        optional: Whether it may be left out.
    """

    name: str
    title: str
    help: str
    unit: str = ""
    value: str = ""
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 0.0
    whole: bool = False
    optional: bool = False

    def read(self, text: str) -> str | float | None:
        """Return what a request says, as a choice or a number; None if it is left out.

        Raises:
            InputError: It is not allowed; says what is.
        """
        if self.optional and not text:
            return None
        if self.choices:
            if text not in self.choices:
                hint = did_you_mean(text, self.choices) or f"; there are {len(self.choices)}, {self.choices[0]} first"
                raise InputError(f"{self.name}: {text[:60]!r} is not one of those to choose from{hint}")
            return text
        try:
            number = float(text)
        except ValueError:
            raise InputError(f"{self.name}: expected a number, got {text[:60]!r}") from None
        if not math.isfinite(number) or not self.least <= number <= self.most or (self.whole and number % 1):
            kind = "a whole number" if self.whole else "a number"
            raise InputError(f"{self.name}: expected {kind} from {self.least:g} to {self.most:g}, got {text[:60]!r}")
        return int(number) if self.whole else number


class Playground:
    """A network on an accelerator, and what of both may be changed."""

    def __init__(self, network: str, hardware: str) -> None:
        """Read both once, and simulate them, so that the first answer is quick.

        Args:
            network: Name or file of the network shown first.
            hardware: Name or file of the accelerator shown first.

        Raises:
            InputError: One of them is wrong.
        """
        net, machine = load_network(network), load_hardware(hardware)
        # A file given at the start can be chosen by its network's name; a request cannot name a file.
        self._networks = {name: name for name in network_names()} | {net.name: network}
        self._sources = {name: name for name in hardware_names()} | {machine.name: hardware}
        shipped = {name: load_hardware(name) for name in hardware_names()}
        self._machines = {name: hw for name, hw in shipped.items() if _has_controls(hw)} | {machine.name: machine}
        self._built: dict[tuple[str, float | None], Network] = {}
        self.controls = tuple(_controls(net.name, machine, tuple(self._networks), self._machines))
        self._jobs = Jobs()
        self.first = simulate(net, machine)

    def page(self) -> str:
        """Return the live page."""
        return render(
            page_data([self.first]),
            title=f"{self.first.network.name} on {self.first.hardware.name}, live",
            command="accelsim serve",
            scripts=LIVE_SCRIPTS,
            controls=[asdict(control) for control in self.controls],
            own={name: _own_values(machine) for name, machine in self._machines.items()},
        )

    def answer(self, query: Mapping[str, list[str]]) -> dict[str, Any] | Underway:
        """Return what a request asks for: the simulated result as the page shows it, or how far its search is.

        Args:
            query: Parameter -> its values, as a query string is parsed.

        Raises:
            InputError: A parameter is unknown, repeated, missing or out of bounds, or the network cannot have it.
            NoMappingError: A layer fits the hardware in no way.
        """
        asked = self._read(query)
        machine = self._machines[str(asked["hardware"])]
        flows = machine.dataflows if asked["dataflow"] == "best" else (asked["dataflow"],)
        lane = "programs" if machine.programs and set(flows) <= set(machine.programs) else "searches"
        answer: dict[str, Any] | Underway = self._jobs.ask(
            tuple(asked.items()), lambda progress: self._compute(asked, progress), lane
        )
        return answer

    def _compute(self, asked: Mapping[str, Any], progress: Callable[[int, int], None]) -> dict[str, Any]:
        started = time.perf_counter()
        result = self._simulate(asked, progress)
        label = self._label(asked)
        (row,) = comparison_rows([result])
        return {
            "result": result_data(result) | {"hardware": label},
            "row": row | {"hardware": label},
            "seconds": round(time.perf_counter() - started, 4),
        }

    def _read(self, query: Mapping[str, list[str]]) -> dict[str, str | float | None]:
        known = {control.name: control for control in self.controls}
        for name, values in query.items():
            if name not in known:
                raise InputError(
                    f"unknown parameter {name[:60]!r}{did_you_mean(name, known)}; known are {', '.join(known)}"
                )
            if len(values) != 1:
                raise InputError(f"{name}: given {len(values)} times, expected once")
        for name, control in known.items():
            if name not in query and not control.optional:
                raise InputError(f"{name}: is missing")
        return {name: control.read(query.get(name, [""])[0]) for name, control in known.items()}

    def _simulate(self, asked: Mapping[str, Any], progress: Callable[[int, int], None]) -> Result:
        name, width = asked["network"], asked["width"]
        if (name, width) not in self._built:
            self._built[name, width] = load_network(self._networks[name], **({} if width is None else {"width": width}))
        machine = asked["hardware"]
        changed = {path: asked[control] for control, path in control_paths(self._machines[machine]).items()}
        hardware = load_hardware(self._sources[machine], **changed)
        options = {option: asked[option] for option in ("dataflow", "objective", "batch")}
        return simulate(self._built[name, width], hardware, progress=progress, **options)

    def _label(self, asked: Mapping[str, Any]) -> str:
        """Return a name that tells this answer from others: the accelerator, and what differs from its file."""
        machine = self._machines[asked["hardware"]]
        own = _own_values(machine)
        changes = []
        if (asked["rows"], asked["cols"]) != (own["rows"], own["cols"]):
            changes.append(f"{asked['rows']}x{asked['cols']} PEs")
        for name, unit in (("buffer_kib", "KiB"), ("dram_words_per_cycle", "words/cycle")):
            if asked[name] != own[name]:
                changes.append(f"{asked[name]:g} {unit}")
        if asked["batch"] != 1:
            changes.append(f"batch {asked['batch']}")
        usual = {"dataflow": "best", "objective": "cycles"}
        changes += [str(asked[name]) for name, value in usual.items() if asked[name] != value]
        return f"{machine.name} ({', '.join(changes)})" if changes else machine.name


def control_paths(hardware: Hardware) -> dict[str, str]:
    """Return the controls that change the hardware -> path of the field that each one sets."""
    array, buffer = hardware.fanouts[-1], _buffer(hardware)
    axes = [f"axes.{axis.name}.size" for axis in array.axes] or ["rows", "cols"]
    return {
        "rows": f"fanouts.{array.name}.{axes[0]}",
        "cols": f"fanouts.{array.name}.{axes[1]}",
        "buffer_kib": f"memories.{buffer.name if buffer else ''}.size_kb",
        "dram_words_per_cycle": f"memories.{hardware.memories[0].name}.words_per_cycle",
    }


def _buffer(hardware: Hardware) -> Memory | None:
    """Return the outermost memory with a size in KiB."""
    return next((memory for memory in hardware.outer_memories if memory.size_kb is not None), None)


def _own_values(hardware: Hardware) -> dict[str, float]:
    """Return the hardware's own values of what the controls set."""
    rows, cols = (axis.size for axis in hardware.fanouts[-1].all_axes)
    buffer = _buffer(hardware)
    return {
        "rows": rows,
        "cols": cols,
        "buffer_kib": (buffer.size_kb if buffer else None) or 0,
        "dram_words_per_cycle": hardware.memories[0].words_per_cycle or 0,
    }


def _has_controls(hardware: Hardware) -> bool:
    """Whether the hardware has an array, a buffer and a DRAM channel that the controls can set."""
    two_axes = bool(hardware.fanouts) and len(hardware.fanouts[-1].all_axes) == 2
    return two_axes and all(_own_values(hardware).values())


def _controls(
    network: str, hardware: Hardware, networks: tuple[str, ...], machines: Mapping[str, Hardware]
) -> list[Control]:
    """Return the controls of the page, in its order."""
    flows = dict.fromkeys(flow for machine in machines.values() for flow in machine.dataflows)
    anything = () if hardware.programs else ("any",)
    choices = [
        ("network", "network", "Network to run.", network, networks),
        ("hardware", "accelerator", "Its file gives all that has no control.", hardware.name, tuple(machines)),
        (
            "dataflow",
            "dataflow",
            "The best of the hardware's for every layer, or one for all.",
            "best",
            ("best", *flows, *anything),
        ),
        ("objective", "chosen for", "What mappings are chosen for.", OBJECTIVES[0], OBJECTIVES),
    ]
    chosen = [
        Control(name=name, title=title, help=text, value=value, choices=allowed)
        for name, title, text, value, allowed in choices
    ]
    width = "Multiplier of the network's channels; empty keeps its own."
    chosen.insert(1, Control(name="width", title="width", help=width, least=0.1, most=4.0, optional=True))
    images = "Images at a time; time, energy and traffic are of all of them."
    batch = Control(name="batch", title="batch", help=images, unit="images", value="1", least=1, most=64, whole=True)
    return chosen[:3] + _number_controls(hardware) + chosen[3:] + [batch]


def _number_controls(hardware: Hardware) -> list[Control]:
    """Return the controls that set numbers of the hardware, at its own values."""
    own = {name: f"{value:g}" for name, value in _own_values(hardware).items()}
    numbers = [
        ("rows", "array rows", "PEs along the array's vertical axis.", "PEs", 1, 256),
        ("cols", "array columns", "PEs along the array's horizontal axis.", "PEs", 1, 256),
        ("buffer_kib", "global buffer", "Size of the global buffer.", "KiB", 0.0625, 16384),
        ("dram_words_per_cycle", "DRAM bandwidth", "Words per cycle to and from DRAM.", "words/cycle", 0.125, 1024),
    ]
    return [
        Control(
            name=name, title=title, help=text, unit=unit, value=own[name], least=least, most=most, whole=unit == "PEs"
        )
        for name, title, text, unit, least, most in numbers
    ]

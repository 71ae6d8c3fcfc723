"""What a search goes through: axes of the hardware and of the network, bounds, objectives. Read from YAML or built.

An axis is a finite, ordered list of values; a *choice* is one index per axis; a *point* is what the indices stand for.
A search is known by its ``digest``: the fields on which a point's metrics depend. Values of axes, objectives and
the sampler are not among them, so that a search can be widened, or asked something else, with the same store.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from os import PathLike, fspath
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

import accelsim
from accelsim.data import data_files
from accelsim.errors import InputError, did_you_mean
from accelsim.explore.metrics import METRICS
from accelsim.typecheck import YamlPath
from accelsim.workload.loader import is_factory
from accelsim.yamlio import Document, at, convert, read_text, read_yaml

SAMPLERS = ("grid", "random", "lhs", "nsga2", "tpe")
"""Ways through a space: all points, random ones, a Latin hypercube, and two that learn from what they have seen."""

MAX_VALUES_OF_AXIS = 100_000
"""Most values that one axis may have."""

Option = Literal["dataflow", "objective", "batch", "mapping_space", "search_limit"]
"""Options of ``simulate`` that a space may set or vary."""

Choice = tuple[int, ...]
"""One index per axis, in the order of the axes."""

Name = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[A-Za-z][A-Za-z0-9_.+-]*$")]
Number = int | float
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of every part of a space."""


class Axis(Part, frozen=True, kw_only=True, dict=True, rename={"start": "from", "stop": "to"}):
    """One thing that varies: what it sets, and the values that it takes.

    It sets ``hardware``, ``network`` or ``option``, or, by ``variants``, several fields of the hardware at once. Its
    values are a list, a range (``from``, ``to`` and ``step`` or ``times``), or all ways to share a ``total`` among
    ``parts``.

    Attributes:
        hardware: Field path, such as ``memories.GLB.size_kb``; several are set to the same value.
        network: Parameter of the network's family, such as ``width``.
        option: An option of ``simulate`` (dataflow, objective, batch), or the base ``network`` or ``hardware``.
        variants: Label -> field path -> value: for changes that go together, such as width and energy of a word.
        values: The values themselves.
        start: First value of a range.
        stop: Last value of a range, or the bound that its last value stays below.
        step: Difference of neighbours.
        times: Quotient of neighbours.
        total: What is shared out, such as the blocks of a network.
        parts: Among how many.
        at_least: Least share of a part.
    """

    hardware: str | tuple[str, ...] | None = None
    network: str | None = None
    option: Option | Literal["network", "hardware"] | None = None
    variants: dict[Name, dict[str, Any]] | None = None
    values: Annotated[tuple[Any, ...], msgspec.Meta(min_length=1)] | None = None
    start: Number | None = None
    stop: Number | None = None
    step: Annotated[float, msgspec.Meta(gt=0)] | None = None
    times: Annotated[float, msgspec.Meta(gt=1)] | None = None
    total: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    parts: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    at_least: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        set_ = [name for name in ("hardware", "network", "option", "variants") if getattr(self, name) is not None]
        if len(set_) != 1:
            raise ValueError(
                "an axis sets one of hardware (field path), network (parameter), option, or variants; "
                f"got {' and '.join(set_) or 'none'}"
            )
        forms = [form for form, given in self._forms().items() if given]
        allowed = "none, as variants are its values" if self.variants else "values, from and to, or total and parts"
        if (len(forms) != 0) if self.variants else (len(forms) != 1):
            raise ValueError(f"expected {allowed}; got {' and '.join(forms) or 'none'}")
        values = self.items  # the checks of every form
        if len({json.dumps(value, sort_keys=True) for value in values}) < len(values):
            raise ValueError("a value stands twice")

    @cached_property
    def items(self) -> tuple[Any, ...]:
        """All values, in order."""
        if self.variants is not None:
            return tuple(self.variants)
        if self.values is not None:
            return tuple(_plain(value) for value in self.values)
        return self._shares() if self.total is not None else self._range()

    @property
    def is_ordered(self) -> bool:
        """Whether the values are numbers that grow or fall from one to the next."""
        values = self.items
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            return False
        return list(values) in (sorted(values), sorted(values, reverse=True))

    def _forms(self) -> dict[str, bool]:
        ranged = (self.start, self.stop, self.step, self.times)
        shared = (self.total, self.parts, self.at_least)
        return {
            "values": self.values is not None,
            "from/to": any(field is not None for field in ranged),
            "total/parts": any(field is not None for field in shared),
        }

    def _range(self) -> tuple[Number, ...]:
        if self.start is None or self.stop is None or (self.step is None) == (self.times is None):
            raise ValueError("a range needs from, to, and one of step and times")
        if self.stop < self.start or (self.times is not None and self.start <= 0):
            raise ValueError(f"a range must rise, and with times start above 0; got from {self.start} to {self.stop}")
        if self.times is None:
            step = self.step or 1.0
            count = math.floor((self.stop - self.start) / step * (1 + 1e-12) + 1e-9) + 1
        else:
            count = math.floor(math.log(self.stop / self.start) / math.log(self.times) + 1e-9) + 1
        if count > MAX_VALUES_OF_AXIS:
            raise ValueError(f"an axis may have {MAX_VALUES_OF_AXIS} values, this range has {count}")
        values = (
            self.start * self.times**i if self.times is not None else self.start + i * (self.step or 1.0)
            for i in range(count)
        )
        whole = all(field is None or float(field).is_integer() for field in (self.start, self.step, self.times))
        return tuple(round(value) if whole else float(f"{value:.12g}") for value in values)

    def _shares(self) -> tuple[list[int], ...]:
        if self.total is None or self.parts is None:
            raise ValueError("sharing out needs total and parts")
        least = 1 if self.at_least is None else self.at_least
        spare = self.total - self.parts * least
        if spare < 0:
            raise ValueError(f"{self.total} cannot be shared among {self.parts} with at least {least} each")
        count = math.comb(spare + self.parts - 1, self.parts - 1)
        if count > MAX_VALUES_OF_AXIS:
            raise ValueError(f"an axis may have {MAX_VALUES_OF_AXIS} values, there are {count} ways to share")
        # Bars between stars: where the bars stand says how much each part gets.
        cuts = combinations(range(spare + self.parts - 1), self.parts - 1)
        return tuple(
            [right - left - 1 + least for left, right in zip((-1, *bars), (*bars, spare + self.parts - 1), strict=True)]
            for bars in cuts
        )


class Bound(Part, frozen=True, kw_only=True):
    """What a metric may be.

    Attributes:
        min: Least value.
        max: Largest value.
    """

    min: Number | None = None
    max: Number | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("a constraint needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")

    def excess(self, value: float) -> float:
        """Return by which share of the bound a value is outside; 0 inside."""
        if self.max is not None and value > self.max:
            return (value - self.max) / (abs(self.max) or 1.0)
        if self.min is not None and value < self.min:
            return (self.min - value) / (abs(self.min) or 1.0)
        return 0.0

    def __str__(self) -> str:
        limits = (("at least", self.min), ("at most", self.max))
        return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)


class Sampling(Part, frozen=True, kw_only=True):
    """Which points are taken, and how many.

    Attributes:
        name: grid, random, lhs (Latin hypercube), nsga2 or tpe (the last two need Optuna).
        points: Points to evaluate; a grid has all of them.
        seed: Start of the random numbers.
        population: Points that are proposed together; of nsga2 the size of a generation.
    """

    name: Literal["grid", "random", "lhs", "nsga2", "tpe"] = "grid"
    points: Count | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0
    population: Annotated[int, msgspec.Meta(ge=2, le=10_000)] | None = None

    def __post_init__(self) -> None:
        if self.name == "grid" and self.points is not None:
            raise ValueError("a grid takes all points; leave points out, or choose another sampler")
        if self.name != "grid" and self.points is None:
            raise ValueError(f"sampler {self.name} needs points, the number to evaluate")
        if self.population is not None and self.name not in ("nsga2", "tpe"):
            raise ValueError(f"sampler {self.name} has no population")


class Space(Part, frozen=True, kw_only=True, dict=True):
    """A design space.

    Attributes:
        name: Name, for titles.
        network: Base network: what ``load_network`` takes.
        networks: Several networks in the place of one, each with the number of inferences that count: cycles, energy,
            MACs and traffic are summed over them.
        hardware: Base accelerator: what ``load_hardware`` takes.
        options: Options of ``simulate``: dataflow, objective, batch, mapping_space, search_limit.
        axes: What varies, by name.
        constraints: Bounds by metric; a point outside is infeasible.
        objectives: Metrics to improve.
        sampler: Which points are taken.
        files: Text of the files that ``network`` and ``hardware`` name, for workers that do not have them.
    """

    name: Name = "search"
    network: str | None = None
    networks: Annotated[dict[str, Annotated[float, msgspec.Meta(gt=0)]], msgspec.Meta(min_length=1)] | None = None
    hardware: str | None = None
    options: dict[Option, Any] = {}
    axes: Annotated[dict[Name, Axis], msgspec.Meta(min_length=1)]
    constraints: dict[str, Bound] = {}
    objectives: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("time_ms", "energy")
    sampler: Sampling = Sampling()
    files: dict[str, str] = {}

    def __post_init__(self) -> None:
        chosen = [axis.option for axis in self.axes.values() if axis.option]
        twice = sorted({option for option in chosen if chosen.count(option) > 1})
        if twice:
            raise ValueError(f"option {twice[0]} is set by two axes")
        given = [what for what in ("network", "networks") if getattr(self, what) is not None]
        given += ["an axis with option network"] if "network" in chosen else []
        if len(given) != 1:
            raise ValueError(
                "expected one of network, networks and an axis with option network, "
                f"got {' and '.join(given) or 'none'}"
            )
        if (self.hardware is None) == ("hardware" not in chosen):
            raise ValueError("expected either hardware or an axis with option hardware")
        for metric in (*self.objectives, *self.constraints):
            if metric not in METRICS:
                raise ValueError(
                    f"unknown metric {metric!r}{did_you_mean(metric, METRICS)}; known: {', '.join(METRICS)}"
                )
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError("an objective stands twice")
        self._check_targets()

    @property
    def size(self) -> int:
        """Number of points of the full grid."""
        return math.prod(len(axis.items) for axis in self.axes.values())

    @cached_property
    def digest(self) -> str:
        """Hash of what a point's metrics depend on, its values aside."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def identity(self) -> dict[str, Any]:
        """What must agree for two searches to share a store, by name."""
        return {
            "accelsim": accelsim.__version__,
            "networks": self.base_networks,
            "hardware": self.hardware,
            "options": dict(self.options),
            "axes": {
                name: [axis.hardware, axis.network, axis.option, axis.variants] for name, axis in self.axes.items()
            },
            "constraints": msgspec.to_builtins(self.constraints),
            "files": {path: hashlib.sha256(text.encode()).hexdigest() for path, text in self.files.items()},
        }

    @property
    def base_networks(self) -> dict[str, float]:
        """The networks and how many inferences of each count; empty if an axis chooses the network."""
        if self.networks is not None:
            return dict(self.networks)
        return {} if self.network is None else {self.network: 1}

    @property
    def names_of_axes(self) -> tuple[str, ...]:
        """The axes' names, in order."""
        return tuple(self.axes)

    def values(self, choice: Choice) -> list[Any]:
        """Return the values of a choice, in the order of the axes."""
        return [axis.items[index] for axis, index in zip(self.axes.values(), choice, strict=True)]

    def choices(self) -> Iterator[Choice]:
        """Yield the full grid, in the axes' order with those of the hardware outermost.

        The points of one accelerator so follow each other, and a worker that has solved a layer on it can use
        the solution again.
        """
        axes = list(self.axes.values())
        order = sorted(range(len(axes)), key=lambda i: axes[i].network is not None or axes[i].option == "network")
        sizes = [len(axes[i].items) for i in order]
        for number in range(self.size):
            choice = [0] * len(axes)
            for place, size in zip(reversed(order), reversed(sizes), strict=True):
                number, choice[place] = divmod(number, size)  # noqa: PLW2901 - the digits of a number
            yield tuple(choice)

    def _check_targets(self) -> None:
        """Refuse two axes that set the same thing."""
        targets: dict[str, str] = {}
        for name, axis in self.axes.items():
            for target in axis_targets(axis):
                if target in targets:
                    raise ValueError(f"axes {targets[target]} and {name} both set {target}")
                targets[target] = name
            if name in METRICS:
                raise ValueError(f"axis {name!r} has the name of a metric; choose another")


def axis_targets(axis: Axis) -> set[str]:
    """Return what an axis sets, as ``hardware PATH``, ``network PARAMETER`` or ``option NAME``."""
    if axis.hardware is not None:
        return {f"hardware {path}" for path in hardware_paths(axis)}
    if axis.variants is not None:
        return {f"hardware {path}" for fields in axis.variants.values() for path in fields}
    return {f"network {axis.network}" if axis.network is not None else f"option {axis.option}"}


def hardware_paths(axis: Axis) -> tuple[str, ...]:
    """Return the field paths that an axis of the hardware sets."""
    return (axis.hardware,) if isinstance(axis.hardware, str) else (axis.hardware or ())


def load_space(source: str | PathLike[str] | Mapping[str, Any] | Space) -> Space:
    """Read a space from a YAML file, or from the same data as a mapping.

    Relative paths of hardware and networks are taken from the YAML file's folder. A file may not name a PyTorch module
    (``package.module:factory``): reading data would then run code.

    Raises:
        InputError: The file cannot be read, or the space cannot exist.
    """
    if isinstance(source, Space):
        return source
    if isinstance(source, Mapping):
        try:
            space = msgspec.convert(dict(source), Space, strict=True)
        except msgspec.ValidationError as wrong:
            raise InputError(f"space: {wrong}") from None
        return _with_files(space, Path())
    document = read_yaml(source, InputError)
    space = convert(document, Space, InputError)
    _refuse_code(space, document)
    return _with_files(space, Path(fspath(source)).parent)


def _refuse_code(space: Space, document: Document) -> None:
    """Refuse a file that names a network whose code would be run."""
    named: dict[YamlPath, str] = {("networks", name): name for name in space.networks or ()}
    if space.network is not None:
        named["network",] = space.network
    for label, axis in space.axes.items():
        if axis.option == "network":
            named |= {("axes", label, "values", index): str(value) for index, value in enumerate(axis.items)}
    for path, name in named.items():
        if is_factory(name):
            problem = (
                f"{name!r} would run that package's code; turn it into a network file first, with `accelsim import`"
            )
            raise InputError(at(document, path, problem))


def _with_files(space: Space, folder: Path) -> Space:
    """Return the space with the text of every file that it names."""
    sources = [*space.base_networks, *([space.hardware] if space.hardware else [])]
    for axis in space.axes.values():
        if axis.option in ("network", "hardware"):
            sources += [str(value) for value in axis.items]
    files = {}
    for source in sources:
        if not source.endswith((".yaml", ".yml")) and "/" not in source and "\\" not in source:
            continue
        path = folder / source
        try:
            files[source] = read_text(str(path))
        except InputError as wrong:
            known = [*data_files("hwconfigs"), *data_files("networks")]
            hint = "" if "did you mean" in str(wrong) else did_you_mean(Path(source).stem, known)
            raise InputError(f"{wrong}{hint}") from None
    return msgspec.structs.replace(space, files=files)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: tuples as lists."""
    return [_plain(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value

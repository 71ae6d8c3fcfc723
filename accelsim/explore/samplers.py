"""Ways through a space. A sampler proposes batches of choices, and those that learn are told what became of them.

What is proposed depends on the space, the seed and what was told, never on time or the number of workers: a search that
was interrupted proposes the same points again, and finds them in its store.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

from accelsim.explore.evaluate import Outcome
from accelsim.explore.metrics import METRICS
from accelsim.explore.space import Choice, Space

BATCH = 500
"""Choices that a sampler which does not learn proposes at a time."""


class Sampler(Protocol):
    """Proposes points.

    Attributes:
        learns: Whether the next batch depends on the outcomes of the one before.
        total: Points that it will propose in all.
    """

    learns: bool
    total: int

    def ask(self) -> list[Choice]:
        """Return the next batch; none at the end."""

    def tell(self, batch: Sequence[Choice], outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of a batch, in its order; called only if it learns."""


class Sequenced:
    """A sampler that knows all its points from the start."""

    learns = False

    def __init__(self, choices: Iterator[Choice], total: int) -> None:
        self.total = total
        self._choices = choices

    def ask(self) -> list[Choice]:
        """Return the next points."""
        return list(islice(self._choices, BATCH))

    def tell(self, batch: Sequence[Choice], outcomes: Sequence[Outcome]) -> None:
        """Learn nothing."""


def make_sampler(space: Space) -> Sampler:
    """Return the sampler that a space asks for.

    Raises:
        MissingExtraError: It needs Optuna, which is not installed.
    """
    sampling = space.sampler
    points = min(sampling.points or space.size, space.size)
    if sampling.name == "grid":
        return Sequenced(space.choices(), space.size)
    if sampling.name == "random":
        return Sequenced(random_choices(space, points, sampling.seed), points)
    if sampling.name == "lhs":
        chosen = latin_hypercube(space, points, sampling.seed)
        return Sequenced(iter(chosen), len(chosen))
    from accelsim.explore.optuna_sampler import OptunaSampler  # noqa: PLC0415 - an extra

    return OptunaSampler(space, points)


def random_choices(space: Space, points: int, seed: int) -> Iterator[Choice]:
    """Yield different points, each as likely as any other."""
    sizes = [len(axis.items) for axis in space.axes.values()]
    generator = random.Random(seed)
    if points > space.size // 2:  # few are left out: draw from all, so that the last ones are found
        grid = list(space.choices())
        generator.shuffle(grid)
        yield from grid[:points]
        return
    seen: set[Choice] = set()
    while len(seen) < points:
        choice = tuple(generator.randrange(size) for size in sizes)
        if choice not in seen:
            seen.add(choice)
            yield choice


def latin_hypercube(space: Space, points: int, seed: int) -> list[Choice]:
    """Return points that use the values of every axis equally often, as far as their number allows.

    Every axis is cut into as many equal strata as there are points, and each stratum is used once. Points that
    coincide on the values' grid are one point; others are drawn at random in their place.
    """
    generator = random.Random(seed)
    columns = []
    for axis in space.axes.values():
        size = len(axis.items)
        column = [min(size - 1, int((stratum + generator.random()) / points * size)) for stratum in range(points)]
        generator.shuffle(column)
        columns.append(column)
    chosen = dict.fromkeys(zip(*columns, strict=True))
    fresh = random_choices(space, points, seed)
    while len(chosen) < points:
        chosen[next(fresh)] = None
    return list(chosen)


def signed_objectives(space: Space, outcome: Outcome) -> list[float] | None:
    """Return the objectives so that less is better, or None if one is not known."""
    values = [outcome.metrics.get(name) for name in space.objectives]
    if any(value is None for value in values):
        return None
    return [
        -value if METRICS[name].maximise else value
        for name, value in zip(space.objectives, values, strict=True)
        if value is not None
    ]

"""NSGA-II and TPE, by Optuna (an extra): samplers that propose a batch, and learn from it.

Optuna sees one integer per axis whose values are ordered numbers, the index, and a category per value otherwise.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from accelsim.errors import MissingExtraError
from accelsim.explore.evaluate import Outcome
from accelsim.explore.samplers import signed_objectives
from accelsim.explore.space import Choice, Space

POPULATION = {"nsga2": 40, "tpe": 8}
"""Points of a batch, by default."""

ASKS_PER_POINT = 20
"""Proposals, with repetitions, per point that may be evaluated: a population that has converged ends the search."""

MUTATION_ETA = 5.0
"""Distribution index of NSGA-II's polynomial mutation, which goes to nearby values; the larger, the nearer."""

IMPOSSIBLE = 1e6
"""Violation of a point that cannot exist; those of bounds are shares, far below."""


class OptunaSampler:
    """Proposes batches of new points; what Optuna repeats it is told again without an evaluation."""

    learns = True

    def __init__(self, space: Space, points: int) -> None:
        try:
            import optuna  # noqa: PLC0415 - an extra
        except ImportError:
            raise MissingExtraError(
                f"sampler {space.sampler.name} needs optuna, which is not installed: pip install 'accelsim[optuna]'"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.total = points
        self._space = space
        self._left = points
        self._asks_left = ASKS_PER_POINT * points
        self._batch = space.sampler.population or POPULATION[space.sampler.name]
        self._known: dict[Choice, Outcome] = {}
        self._open: list[tuple[Any, Choice]] = []
        self._failed = optuna.trial.TrialState.FAIL
        self._distributions = {
            name: optuna.distributions.IntDistribution(0, len(axis.items) - 1)
            if axis.is_ordered
            else optuna.distributions.CategoricalDistribution(range(len(axis.items)))
            for name, axis in space.axes.items()
        }
        self._study = optuna.create_study(directions=["minimize"] * len(space.objectives), sampler=self._make(optuna))

    def ask(self) -> list[Choice]:
        """Return the next new points, all of a batch."""
        while self._left and self._asks_left > 0:
            fresh: dict[Choice, None] = {}
            for _ in range(self._batch):
                trial = self._study.ask(dict(self._distributions))
                choice = tuple(int(trial.params[name]) for name in self._space.axes)
                self._open.append((trial, choice))
                self._asks_left -= 1
                if choice not in self._known:
                    fresh[choice] = None
                if len(fresh) == self._left or not self._asks_left:
                    break
            if fresh:
                self._left -= len(fresh)
                return list(fresh)
            self._tell_open()
        return []

    def tell(self, batch: Sequence[Choice], outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of a batch."""
        self._known.update(zip(batch, outcomes, strict=True))
        self._tell_open()

    def _tell_open(self) -> None:
        for trial, choice in self._open:
            outcome = self._known[choice]
            values = signed_objectives(self._space, outcome)
            violation = IMPOSSIBLE if outcome.excess is None else outcome.excess
            if values is None:  # a bound was broken before anything was simulated
                values, violation = [math.inf] * len(self._space.objectives), violation or IMPOSSIBLE
            trial.set_constraint("bounds", violation)
            self._study.tell(trial, values)
        self._open.clear()

    def _make(self, optuna: Any) -> Any:
        sampling = self._space.sampler
        if sampling.name == "nsga2":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                mutation = optuna.samplers.nsgaii.PolynomialMutation(MUTATION_ETA)
            return optuna.samplers.NSGAIISampler(population_size=self._batch, mutation=mutation, seed=sampling.seed)
        return optuna.samplers.TPESampler(seed=sampling.seed, multivariate=True, constant_liar=True)

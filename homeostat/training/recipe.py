"""A recipe is everything that turns rows into a model again: learner, parameters, rounds, resampling."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np
import polars as pl

from homeostat.errors import ModelError, NotEnoughDataError
from homeostat.training.linear import fit_linear
from homeostat.training.models import Core, TabularModel
from homeostat.training.resampling import Resampling, weights_for
from homeostat.training.rows import Rows, day_of, encode_rows, thin
from homeostat.training.trees import DEFAULTS, fit_trees

RECIPE_FILE = "recipe.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is made.

    Args:
        learner: ``lightgbm`` or ``linear``.
        params: What differs from the learner's defaults.
        rounds: Trees to grow; 0 for a linear model.
        resampling: How much each row counts.
    """

    learner: Literal["lightgbm", "linear"] = "lightgbm"
    params: Mapping[str, float] = field(default_factory=dict)
    rounds: int = 80
    resampling: Resampling = field(default_factory=Resampling)

    @property
    def name(self) -> str:
        """A short name for tables, like ``lightgbm decay 60d``."""
        days = f" {self.resampling.days:.0f}d" if self.resampling.days else ""
        return f"{self.learner} {self.resampling.kind}{days}"

    def to_dict(self) -> dict[str, object]:
        """Return the recipe as JSON-able data."""
        return {
            "learner": self.learner,
            "params": dict(self.params),
            "rounds": self.rounds,
            "resampling": self.resampling.to_dict(),
        }

    def to_json(self) -> bytes:
        """Return the recipe as JSON."""
        return json.dumps(self.to_dict(), sort_keys=True, allow_nan=False).encode()

    @staticmethod
    def from_json(data: bytes) -> "Recipe":
        """Return the recipe stored by ``to_json``.

        Raises:
            ModelError: The bytes are no recipe.
        """
        try:
            raw = json.loads(data)
            params = {str(name): float(value) for name, value in raw["params"].items()}
            resampling = Resampling.from_dict(raw["resampling"])
            learner, rounds = raw["learner"], int(raw["rounds"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{RECIPE_FILE} can't be read: {error!r}") from error
        if learner not in ("lightgbm", "linear"):
            raise ModelError(f"{RECIPE_FILE} names learner {learner!r}; expected lightgbm or linear")
        return Recipe(learner, params, rounds, resampling)


def fit(
    recipe: Recipe,
    frame: pl.DataFrame,
    features: Sequence[str],
    categorical: frozenset[str],
    *,
    until: datetime,
    seed: int,
    threads: int,
) -> TabularModel:
    """Return the model a recipe makes of all rows of a frame.

    Args:
        recipe: What to do.
        frame: ``event_time``, ``label`` and one column per feature.
        features: Column names in contract order.
        categorical: The features that are categories.
        until: The time from which a row's age is measured.
        seed: Draws everything random.
        threads: Cores to use.

    Raises:
        NotEnoughDataError: No row counts, or all labels are alike.
    """
    rows = encode_rows(frame, features, categorical)
    return TabularModel(rows.encoder, fit_core(recipe, rows, day_of(until), seed=seed, threads=threads))


def fit_core(recipe: Recipe, rows: Rows, until: float, *, seed: int, threads: int, most: int | None = None) -> Core:
    """Return the fitted learner alone; ``until`` is in days since 1970, ``most`` thins the rows that count.

    Raises:
        NotEnoughDataError: No row counts, or all labels are alike.
    """
    if len(rows) == 0:
        raise NotEnoughDataError("there is no row to learn from")
    weights = weights_for(recipe.resampling, rows, until, seed)
    counted = np.flatnonzero(weights > 0)
    if most is not None:
        counted = counted[thin(len(counted), most)]
    if len(counted) < len(rows):
        rows, weights = rows.take(counted), weights[counted]
    if np.ptp(rows.y) == 0:
        raise NotEnoughDataError(f"all {len(rows)} labels are {rows.y[0]:g}: there is nothing to tell apart")
    if recipe.learner == "linear":
        return fit_linear(recipe.params, rows, weights)
    return fit_trees(recipe.params, recipe.rounds, rows, weights, seed=seed, threads=threads)


def quick(recipe: Recipe) -> Recipe:
    """Return a recipe of half the trees with steps twice as large: it ranks the same and costs half."""
    if recipe.learner == "linear":
        return recipe
    rate = recipe.params.get("learning_rate", DEFAULTS["learning_rate"])
    return replace(recipe, params={**recipe.params, "learning_rate": 2 * rate}, rounds=(recipe.rounds + 1) // 2)

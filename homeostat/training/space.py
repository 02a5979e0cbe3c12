"""The space a search looks in, and where it looks first."""

from collections.abc import Mapping, Sequence
from typing import cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from homeostat.training.linear import DEFAULTS as LINEAR_DEFAULTS
from homeostat.training.recipe import Recipe
from homeostat.training.resampling import Kind, Resampling
from homeostat.training.trees import DEFAULTS as TREE_DEFAULTS

_DAYS = FloatDistribution(2.0, 730.0, log=True)
_SPACE: Mapping[str, BaseDistribution] = {
    "learner": CategoricalDistribution(["lightgbm", "linear"]),
    "resampling": CategoricalDistribution(["uniform", "decay", "recent", "adversarial"]),
    "decay_days": _DAYS,
    "recent_days": _DAYS,
    "adversarial_days": _DAYS,
    "num_leaves": IntDistribution(7, 95, log=True),
    "min_data_in_leaf": IntDistribution(20, 500, log=True),
    "lambda_l2": FloatDistribution(1.0, 200.0, log=True),
    "feature_fraction": FloatDistribution(0.4, 1.0),
    "cat_smooth": FloatDistribution(10.0, 500.0, log=True),
    "l2": FloatDistribution(0.1, 1000.0, log=True),
}
_REACH = 3.0  # of what shows a drift: on streams with a known truth it began up to three windows before
_TREES = ("num_leaves", "min_data_in_leaf", "lambda_l2", "feature_fraction", "cat_smooth")


def default_rounds(rows: int) -> int:
    """Return how many trees a history deserves: more rows carry finer structure.

    >>> default_rounds(10_000), default_rounds(300_000)
    (50, 117)
    """
    return int(min(250.0, max(40.0, 50.0 * (rows / 10_000) ** 0.25)))


def first_recipes(rows: int, span_days: float, champion: Recipe | None, drift_days: float | None) -> list[Recipe]:
    """Return what is tried before the sampler has its say, best guesses first.

    Args:
        rows: Labelled rows at hand.
        span_days: Their span.
        champion: The recipe of the model that serves.
        drift_days: How long ago the drift began to show. It may have begun earlier: a change that is small, or grows
            slowly, shows only after some windows. So the rows of three times as long are tried too.
    """
    rounds = default_rounds(rows)
    known = drift_days is not None and drift_days < span_days / 2
    recent = drift_days if drift_days is not None and known else span_days / 3
    resamplings = [Resampling("decay", span_days / 2), Resampling("recent", recent)]
    resamplings += [Resampling("recent", min(_REACH * recent, span_days / 2))] if known else []
    resamplings += [Resampling("adversarial", recent)]
    recipes = [Recipe(rounds=rounds)]
    recipes += [champion] if champion is not None else []
    recipes += [Recipe(rounds=rounds, resampling=resamplings[0]), Recipe("linear", rounds=0)]
    recipes += [Recipe(rounds=rounds, resampling=resampling) for resampling in resamplings[1:]]
    return [recipe for i, recipe in enumerate(recipes) if recipe not in recipes[:i]]


def suggest(trial: optuna.Trial, rounds: int) -> Recipe:
    """Return the recipe the sampler asks for."""
    learner = str(_ask(trial, "learner"))
    kind = cast("Kind", _ask(trial, "resampling"))
    days = None if kind == "uniform" else float(cast("float", _ask(trial, f"{kind}_days")))
    names: Sequence[str] = ("l2",) if learner == "linear" else _TREES
    params = {name: float(cast("float", _ask(trial, name))) for name in names}
    if learner == "linear":
        return Recipe("linear", params, 0, Resampling(kind, days))
    return Recipe("lightgbm", params, rounds, Resampling(kind, days))


def as_trial(recipe: Recipe) -> tuple[dict[str, object], dict[str, BaseDistribution]]:
    """Return a recipe as a point of the space with its distributions, moved to the nearest point inside."""
    linear = recipe.learner == "linear"
    params: dict[str, object] = {"learner": recipe.learner, "resampling": recipe.resampling.kind}
    if recipe.resampling.days is not None:
        params[f"{recipe.resampling.kind}_days"] = recipe.resampling.days
    defaults, names = (LINEAR_DEFAULTS, ("l2",)) if linear else (TREE_DEFAULTS, _TREES)
    params.update({name: recipe.params.get(name, defaults[name]) for name in names})
    return {name: _inside(name, value) for name, value in params.items()}, {name: _SPACE[name] for name in params}


def _ask(trial: optuna.Trial, name: str) -> object:
    space = _SPACE[name]
    if isinstance(space, CategoricalDistribution):
        return trial.suggest_categorical(name, space.choices)
    if isinstance(space, IntDistribution):
        return trial.suggest_int(name, space.low, space.high, log=space.log)
    if isinstance(space, FloatDistribution):
        return trial.suggest_float(name, space.low, space.high, log=space.log)
    raise TypeError(f"no way to ask for {name} from a {type(space).__name__}")


def _inside(name: str, value: object) -> object:
    space = _SPACE[name]
    if isinstance(space, IntDistribution):
        return int(min(max(float(cast("float", value)), space.low), space.high))
    if isinstance(space, FloatDistribution):
        return min(max(float(cast("float", value)), space.low), space.high)
    return value

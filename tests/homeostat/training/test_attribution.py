from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from homeostat.training.attribution import attribution
from homeostat.training.models import TabularModel
from homeostat.training.recipe import Recipe, fit

FEATURES, CATEGORICAL = ("a", "b", "noise", "kind"), frozenset({"kind"})
RECIPES = [Recipe(rounds=20), Recipe("linear", {"l2": 3.0}, 0)]


def fitted(recipe: Recipe, frame: pl.DataFrame) -> TabularModel:
    return fit(recipe, frame, FEATURES, CATEGORICAL, until=frame["event_time"][-1], seed=3, threads=1)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_what_the_label_follows_has_the_share_and_the_worth(
    recipe: Recipe, frames: Callable[..., pl.DataFrame]
) -> None:
    frame = frames()
    told = dict(zip(FEATURES, attribution(fitted(recipe, frame), FEATURES, frame, "log_loss", 1), strict=True))
    assert sum(one.share for one in told.values()) == pytest.approx(1)
    assert told["a"].share > 0.7
    assert told["a"].worth > 0.1 > 10 * told["noise"].worth


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_contributions_add_up_to_the_log_odds(recipe: Recipe, frames: Callable[..., pl.DataFrame]) -> None:
    frame = frames()
    model = fitted(recipe, frame)
    x = model.encoder.matrix(frame)
    rest = model.core.margins(x) - model.core.contributions(x).sum(axis=1)
    assert np.ptp(rest) < 1e-6


def test_the_same_seed_gives_the_same_and_the_order_is_the_one_asked_for(frames: Callable[..., pl.DataFrame]) -> None:
    frame = frames()
    model = fitted(RECIPES[0], frame)
    told = attribution(model, FEATURES, frame, "brier", 1)
    assert attribution(model, FEATURES, frame, "brier", 1) == told
    backwards = attribution(model, FEATURES[::-1], frame, "brier", 1)
    assert [one.share for one in backwards] == [one.share for one in told][::-1]

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from homeostat.training.attribution import attribution, compared
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


def test_two_models_are_compared_on_the_same_rows_the_biggest_change_first(frames: Callable[..., pl.DataFrame]) -> None:
    frame = frames()
    turned = frame.with_columns(label=(pl.col("noise") > 0).cast(pl.Float64))
    told = compared(fitted(RECIPES[0], turned), fitted(RECIPES[0], frame), frame)
    assert {one["feature"] for one in told[:2]} == {"a", "noise"}
    shares = {str(one["feature"]): one for one in told}
    assert shares["noise"]["challenger"] > 0.7
    assert shares["noise"]["champion"] < 0.2
    for side in ("challenger", "champion"):
        assert sum(one[side] for one in told) == pytest.approx(1, abs=1e-3)


def test_a_feature_that_one_model_lacks_comes_first_without_a_share_there(frames: Callable[..., pl.DataFrame]) -> None:
    frame = frames()
    until, kinds = frame["event_time"][-1], frozenset[str]()
    small = fit(RECIPES[0], frame, ("a", "b"), kinds, until=until, seed=3, threads=1)
    added = compared(fitted(RECIPES[0], frame), small, frame)
    assert [set(one) for one in added[:2]] == [{"feature", "challenger"}] * 2
    gone = compared(small, fitted(RECIPES[0], frame), frame.drop("noise"))
    assert {str(one["feature"]): one.get("champion", 0) for one in gone} == dict.fromkeys(FEATURES)
    assert "challenger" not in gone[0]


def test_no_more_features_are_compared_than_a_person_reads() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"f{i}" for i in range(30))
    frame = pl.DataFrame({name: rng.normal(size=400) for name in names}).with_columns(
        event_time=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)), label=(pl.col("f7") > 0).cast(pl.Float64)
    )
    model = fit(RECIPES[0], frame, names, frozenset(), until=frame["event_time"][-1], seed=3, threads=1)
    told = compared(model, None, frame)
    assert (len(told), told[0]["feature"]) == (20, "f7")

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from homeostat.errors import ModelError, NotEnoughDataError
from homeostat.training.calibration import Calibration
from homeostat.training.models import TabularModel, dump_model, load_model
from homeostat.training.recipe import Recipe, fit
from homeostat.training.resampling import Resampling

FEATURES, CATEGORICAL = ("a", "b", "noise", "kind"), frozenset({"kind"})
RECIPES = [
    Recipe(rounds=20),
    Recipe("linear", {"l2": 3.0}, 0),
    Recipe(rounds=20, resampling=Resampling("decay", 10.0)),
    Recipe("linear", {}, 0, Resampling("adversarial", 5.0)),
]


def fitted(recipe: Recipe, frame: pl.DataFrame) -> TabularModel:
    return fit(recipe, frame, FEATURES, CATEGORICAL, until=frame["event_time"][-1], seed=3, threads=1)


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    positive, negative = scores[labels == 1], scores[labels == 0]
    return float((positive[:, None] > negative).mean())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_model_learns_what_the_label_follows(recipe: Recipe, frames: Callable[..., pl.DataFrame]) -> None:
    fresh = frames(seed=1)
    assert auc(fitted(recipe, frames()).score(fresh), fresh["label"].to_numpy()) > 0.8


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_stored_model_scores_exactly_the_same(recipe: Recipe, frames: Callable[..., pl.DataFrame]) -> None:
    model, fresh = fitted(recipe, frames()).recalibrated(Calibration(0.9, -0.2)), frames(seed=1)
    np.testing.assert_array_equal(load_model(dump_model(model)).score(fresh), model.score(fresh))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_same_seed_gives_the_same_bytes(recipe: Recipe, frames: Callable[..., pl.DataFrame]) -> None:
    assert dump_model(fitted(recipe, frames())) == dump_model(fitted(recipe, frames()))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_missing_and_unknown_cells_still_get_a_probability(recipe: Recipe, frames: Callable[..., pl.DataFrame]) -> None:
    row = pl.DataFrame({"a": [None, 1e30], "b": [None, -1e30], "noise": [0.0, 0.0], "kind": [None, "never met"]}).cast(
        {"a": pl.Float64, "b": pl.Float64}
    )
    scores = fitted(recipe, frames()).score(row)
    assert ((scores > 0) & (scores < 1)).all()


def test_a_recipe_survives_its_json() -> None:
    for recipe in RECIPES:
        assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"learner": "oracle", "params": {}, "rounds": 1, "resampling": {"kind": "uniform"}}']
)
def test_a_broken_recipe_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"recipe\.json"):
        Recipe.from_json(data)


def test_labels_that_are_all_alike_are_not_enough_data(frames: Callable[..., pl.DataFrame]) -> None:
    with pytest.raises(NotEnoughDataError, match="all 1500 labels are 1"):
        fitted(Recipe(), frames().with_columns(label=pl.lit(1.0)))


@pytest.mark.parametrize("name", ["model.json", "model.txt"])
@pytest.mark.parametrize(
    "damage", [lambda data: None, lambda data: data[: len(data) // 2], lambda data: b"\xff" + data]
)
def test_a_damaged_package_is_refused(
    name: str, damage: Callable[[bytes], bytes | None], frames: Callable[..., pl.DataFrame]
) -> None:
    files = dump_model(fitted(Recipe(rounds=3), frames(rows=500)))
    broken = damage(files.pop(name))
    if broken is not None:
        files[name] = broken
    with pytest.raises(ModelError):
        load_model(files)


def test_a_frame_without_a_feature_is_refused(frames: Callable[..., pl.DataFrame]) -> None:
    with pytest.raises(ModelError, match="'b'"):
        fitted(Recipe(rounds=3), frames(rows=500)).score(frames(rows=5).drop("b"))


def test_no_rows_get_no_scores(frames: Callable[..., pl.DataFrame]) -> None:
    assert fitted(Recipe(rounds=3), frames(rows=500)).score(frames().head(0)).shape == (0,)

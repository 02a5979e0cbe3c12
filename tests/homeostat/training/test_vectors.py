"""Models on vectors: a column for each number inside, one feature outside."""

import json

import numpy as np
import polars as pl
import pytest

from homeostat.errors import ModelError
from homeostat.training.attribution import attribution
from homeostat.training.encoding import Encoder, fit_encoder
from homeostat.training.models import MODEL_FILE, TabularModel, dump_model, load_model
from homeostat.training.recipe import Recipe, fit
from tests.homeostat.training.conftest import CATEGORICAL, FEATURES, Frames

SIZE = 4
NAMES = (*FEATURES[:1], "emb", *FEATURES[1:])
RECIPES = [Recipe(rounds=20), Recipe("linear", {"l2": 3.0}, 0)]


@pytest.fixture
def frame(frames: Frames) -> pl.DataFrame:
    """The second number of the vector alone tells the label; some vectors are missing."""
    rng = np.random.default_rng(5)
    made = frames(seed=2)
    emb = rng.normal(size=(made.height, SIZE))
    label = rng.uniform(size=made.height) < 1 / (1 + np.exp(-4 * emb[:, 1]))
    cells = [None if i % 17 == 0 else row for i, row in enumerate(emb.tolist())]
    return made.with_columns(pl.Series("emb", cells, pl.List(pl.Float64)), pl.Series("label", label.astype(float)))


def model_of(recipe: Recipe, frame: pl.DataFrame) -> TabularModel:
    return fit(recipe, frame, NAMES, CATEGORICAL, until=frame["event_time"][-1], seed=3, threads=1)


def test_a_vector_has_a_matrix_column_for_each_number(frame: pl.DataFrame) -> None:
    encoder = fit_encoder(frame, NAMES, CATEGORICAL)
    assert encoder.owners == ("a", *["emb"] * SIZE, "b", "noise", "kind")
    assert encoder.categorical == [7]
    x = encoder.matrix(frame[:18])
    assert x.shape == (18, 8)
    assert np.isnan(x[[0, 17], 1:5]).all()
    np.testing.assert_allclose(x[1, 1:5], frame["emb"][1].to_list(), rtol=1e-6)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_stored_model_scores_cells_as_it_scores_frames(recipe: Recipe, frame: pl.DataFrame) -> None:
    model = model_of(recipe, frame)
    files = dump_model(model)
    assert json.loads(files[MODEL_FILE])["format"] == 2
    cells = {name: frame[name].to_list() for name in NAMES}
    cells["emb"] = [None if cell is None else tuple(cell) for cell in cells["emb"]]
    scores = model.score(frame)
    np.testing.assert_array_equal(load_model(files).score(frame), scores)
    np.testing.assert_array_equal(load_model(files).score_cells(cells), scores)
    labels = frame["label"].to_numpy()
    assert scores[labels == 1].mean() > scores[labels == 0].mean() + 0.2


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_attribution_is_of_the_vector_as_a_whole(recipe: Recipe, frame: pl.DataFrame) -> None:
    found = dict(zip(NAMES, attribution(model_of(recipe, frame), NAMES, frame, "log_loss", 1), strict=True))
    assert set(found) == set(NAMES)
    assert found["emb"].share > 0.5
    assert found["emb"].worth > 5 * max(one.worth for name, one in found.items() if name != "emb")
    assert sum(one.share for one in found.values()) == pytest.approx(1.0)


def test_a_model_without_vectors_is_stored_as_before_there_were_any(frame: pl.DataFrame) -> None:
    model = fit(RECIPES[0], frame, FEATURES, CATEGORICAL, until=frame["event_time"][-1], seed=3, threads=1)
    stored = json.loads(dump_model(model)[MODEL_FILE])
    assert stored["format"] == 1
    assert set(stored["encoder"]) == {"features", "categories"}


@pytest.mark.parametrize("cell", [(1.0, 2.0), (1.0,) * (SIZE + 1), 3.0, "x"])
def test_a_vector_of_another_size_is_not_scored(cell: object) -> None:
    encoder = Encoder(("emb",), {}, {"emb": SIZE})
    with pytest.raises(ModelError, match="column 'emb' can't be scored"):
        encoder.cell_matrix({"emb": [(1.0,) * SIZE, cell]})  # type: ignore[list-item]


def test_a_vector_that_was_never_there_is_not_read() -> None:
    frame = pl.DataFrame({"n": [1.0, 2.0], "emb": pl.Series([None, None], dtype=pl.List(pl.Float64))})
    encoder = fit_encoder(frame, ("emb", "n"), frozenset())
    assert encoder.matrix(frame).tolist() == [[1.0], [2.0]]
    assert encoder.cell_matrix({"n": [1.0], "emb": [(1.0, 2.0)]}).tolist() == [[1.0]]
    assert encoder.by_feature(np.asarray([[3.0]])).tolist() == [[0.0, 3.0]]
    assert Encoder.from_dict(json.loads(json.dumps(encoder.to_dict()))) == encoder

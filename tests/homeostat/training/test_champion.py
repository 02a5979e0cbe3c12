from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from homeostat.contract.model import Contract
from homeostat.errors import ModelError
from homeostat.ports import ModelPackage
from homeostat.training.backtest import Effort, forecast, forward_blocks
from homeostat.training.bench import Bench
from homeostat.training.calibration import logit
from homeostat.training.champion import Champion, champion_margins, load_champion
from homeostat.training.models import dump_model
from homeostat.training.recipe import Recipe, fit
from homeostat.training.rows import day_of, encode_rows

FEATURES, CATEGORICAL = ("a", "b", "noise", "kind"), frozenset({"kind"})
Frames = Callable[..., pl.DataFrame]


@pytest.fixture
def champion(frames: Frames) -> Champion:
    frame = frames()
    trained = frame.filter(pl.col("event_time") <= frame["event_time"][0] + timedelta(days=20))
    newest = trained["event_time"][-1]
    recipe = Recipe(rounds=10)
    model = fit(recipe, trained, FEATURES, CATEGORICAL, until=newest, seed=1, threads=1)
    return Champion(model, recipe, newest, "1")


def test_rows_after_its_training_are_scored_as_it_is(champion: Champion, frames: Frames) -> None:
    frame = frames()
    blocks = forward_blocks(encode_rows(frame, FEATURES, CATEGORICAL), 2, 4.0, 1.0)
    margins = np.concatenate(champion_margins(champion, frame, blocks, Effort(seed=1)))
    np.testing.assert_allclose(margins, logit(champion.model.score(frame.tail(len(margins)))))


def test_rows_of_its_own_training_are_scored_by_its_recipe_refitted_before(champion: Champion, frames: Frames) -> None:
    frame = frames()
    everything = replace(champion, trained_until=frame["event_time"][-1])
    blocks = forward_blocks(encode_rows(frame, FEATURES, CATEGORICAL), 2, 4.0, 1.0)
    margins = champion_margins(everything, frame, blocks, Effort(seed=1))
    for mine, stand_in in zip(margins, forecast(champion.recipe, blocks, Effort(seed=1)), strict=True):
        np.testing.assert_array_equal(mine, stand_in)


def test_a_block_across_the_end_of_its_training_has_both(champion: Champion, frames: Frames) -> None:
    frame = frames()
    blocks = forward_blocks(encode_rows(frame, FEATURES, CATEGORICAL), 1, 12.0, 1.0)
    (margins,) = champion_margins(champion, frame, blocks, Effort(seed=1))
    own = logit(champion.model.score(frame.tail(len(margins))))
    seen = blocks[0].rows.day <= champion.trained_until_day
    assert seen.any()
    assert (margins[seen] != own[seen]).any()
    np.testing.assert_allclose(margins[~seen], own[~seen])


def test_a_package_comes_back_as_the_champion(champion: Champion) -> None:
    files = {**dump_model(champion.model), "recipe.json": champion.recipe.to_json()}
    package = ModelPackage(files, params={"trained_until": champion.trained_until.isoformat(), "seed": "7"})
    loaded = load_champion(package, "1")
    assert loaded.trained_until == champion.trained_until
    assert loaded.recipe == champion.recipe
    assert loaded.seed == 7


@pytest.mark.parametrize("params", [{}, {"trained_until": "yesterday"}])
def test_a_package_that_does_not_say_what_it_was_trained_on_is_refused(
    params: dict[str, str], champion: Champion
) -> None:
    files = {**dump_model(champion.model), "recipe.json": champion.recipe.to_json()}
    with pytest.raises(ModelError, match="trained_until"):
        load_champion(ModelPackage(files, params=params), "1")


@pytest.mark.parametrize(("trained_days", "whole"), [(22.0, "unseen"), (29.0, "partly seen"), (5.0, "unseen")])
def test_blocks_begin_where_the_training_ended_unless_that_leaves_too_little(
    trained_days: float, whole: str, champion: Champion, contract: Contract, frames: Frames
) -> None:
    frame = frames()
    trained = frame.filter(pl.col("event_time") <= frame["event_time"][0] + timedelta(days=trained_days))
    until = trained["event_time"][-1]
    rows = encode_rows(frame, FEATURES, CATEGORICAL)
    bench = Bench(contract, rows, replace(champion, trained_until=until), seed=1, model_seed=1)
    assert len(bench.blocks) == 3
    assert (bench.blocks[0].rows.day[0] > day_of(until)) == (whole == "unseen")
    assert bench.blocks[0].end - bench.blocks[0].start <= 3.0 + 1e-6

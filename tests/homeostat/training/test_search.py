import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from homeostat.contract.model import Contract
from homeostat.contract.policies import Constraints, Objective
from homeostat.errors import NotEnoughDataError
from homeostat.training.calibration import Calibration
from homeostat.training.champion import Champion
from homeostat.training.models import dump_model
from homeostat.training.search import SearchResult, search

Frames = Callable[..., pl.DataFrame]


def champion_of(result: SearchResult) -> Champion:
    assert result.made is not None
    assert result.trained_until is not None
    return Champion(result.made.model, result.made.recipe, result.trained_until, "1", result.model_seed)


def until(frame: pl.DataFrame, day: float) -> pl.DataFrame:
    return frame.filter(pl.col("event_time") < frame["event_time"][0] + timedelta(days=day))


def names(result: SearchResult) -> list[Any]:
    candidates = result.receipt["candidates"]
    assert isinstance(candidates, list)
    return [row["candidate"] for row in candidates]


def test_a_cold_start_is_held_against_the_label_rate(contract: Contract, frames: Frames) -> None:
    result = search(contract, frames(), None, seed=1)
    assert result.made is not None
    assert names(result)[0] == "the label rate"
    assert result.winner is not None
    assert result.winner.auc > 0.8


def test_labels_that_follow_nothing_give_no_model(contract: Contract, frames: Frames) -> None:
    frame = frames()
    shuffled = frame.with_columns(label=pl.col("label").shuffle(seed=1))
    result = search(contract, shuffled, None, seed=1)
    assert result.made is None
    assert "nothing beats doing nothing" in result.reason


def test_a_turned_concept_is_healed(contract: Contract, frames: Frames) -> None:
    frame = frames(rows=4000, days=40, shift=20.0)
    champion = champion_of(search(contract, until(frame, 18), None, seed=1))
    since = frame["event_time"][0] + timedelta(days=20)
    result = search(contract, frame, champion, seed=2, drift_since=since)
    assert result.made is not None
    fresh = frames(rows=1000, days=1, shift=0.0, seed=9)
    wrong = champion.model.score(fresh) - fresh["label"].to_numpy()
    healed = result.made.model.score(fresh) - fresh["label"].to_numpy()
    assert np.mean(healed**2) < 0.6 * np.mean(wrong**2)


def test_a_healthy_champion_is_left_alone(contract: Contract, frames: Frames) -> None:
    frame = frames(rows=6000, days=60)
    sure = contract.model_copy(update={"training": contract.training.model_copy(update={"confidence": 0.999})})
    champion = champion_of(search(contract, until(frame, 45), None, seed=1))
    result = search(sure, frame, champion, seed=2)
    assert result.made is None
    assert result.receipt["chosen"] == "do nothing"


def test_a_miscalibrated_champion_is_cured_and_its_recalibration_was_weighed(
    contract: Contract, frames: Frames
) -> None:
    frame = frames(rows=3000, days=40)
    good = champion_of(search(contract, until(frame, 20), None, seed=1))
    off = Champion(good.model.recalibrated(Calibration(1.0, 1.5)), good.recipe, good.trained_until, "1")
    result = search(contract, frame, off, seed=2)
    assert "recalibrate the champion" in names(result)
    assert result.made is not None
    assert abs(float(result.made.model.score(frame).mean()) - float(frame["label"].to_numpy().mean())) < 0.05


def test_the_same_seed_gives_the_same_model_and_receipt(contract: Contract, frames: Frames) -> None:
    one, two = (search(contract, frames(), None, seed=7) for _ in range(2))
    assert one.made is not None
    assert two.made is not None
    assert dump_model(one.made.model) == dump_model(two.made.model)
    assert one.receipt == two.receipt


def test_a_study_on_disk_changes_nothing(contract: Contract, frames: Frames, tmp_path: Path) -> None:
    on_disk = search(contract, frames(), None, seed=7, study_path=tmp_path / "a.study")
    assert on_disk.receipt == search(contract, frames(), None, seed=7).receipt


def test_the_receipt_is_json_and_holds_the_evidence(contract: Contract, frames: Frames) -> None:
    receipt = json.loads(json.dumps(search(contract, frames(), None, seed=1).receipt, allow_nan=False))
    assert receipt["rows"] == 1500
    assert len(receipt["blocks"]) == 3
    assert len(receipt["trials"]) == 3
    assert {one["feature"] for one in receipt["importance"]} == set(contract.feature_names)
    assert {"loss", "difference", "lower", "upper", "by_block"} <= receipt["candidates"][1].keys()
    assert receipt["effective_rows"] > 0
    assert receipt["recipe"]["learner"] in ("lightgbm", "linear")


def test_too_few_rows_are_refused(contract: Contract, frames: Frames) -> None:
    with pytest.raises(NotEnoughDataError, match=r"200 labelled rows; training\.min_rows asks for 300"):
        search(contract, frames(rows=200), None, seed=1)


def test_a_gate_that_fails_keeps_the_winner_out_and_is_named(contract: Contract, frames: Frames) -> None:
    strict = contract.model_copy(
        update={
            "objective": Objective(
                constraints=Constraints(min_auc=0.999, max_model_mib=16.0, max_calibration_error=None)
            )
        }
    )
    result = search(strict, frames(), None, seed=1)
    assert result.made is None
    assert "min_auc" in result.reason


def test_a_champion_of_other_features_is_replaced_by_the_label_rate_as_the_bar(
    contract: Contract, frames: Frames
) -> None:
    old = contract.model_copy(update={"features": {**contract.features, "gone": contract.features["a"]}})
    frame = frames()
    champion = champion_of(search(old, frame.with_columns(gone=pl.col("a")), None, seed=1))
    result = search(contract, frame, champion, seed=1)
    assert names(result)[0] == "the label rate"
    assert "gone" in str(result.receipt["champion_problem"])
    assert result.made is not None


def test_weights_of_the_winner_cover_every_row(contract: Contract, frames: Frames) -> None:
    result = search(contract, frames(), None, seed=1)
    assert result.made is not None
    assert result.made.weights.shape == (1500,)
    assert result.expected_loss_se > 0


def test_a_refit_is_drawn_like_its_champion(contract: Contract, frames: Frames) -> None:
    frame = frames()
    champion = champion_of(search(contract, frame, None, seed=1))
    assert search(contract, frame, champion, seed=2).receipt["model_seed"] == 1

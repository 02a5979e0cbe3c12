"""A product whose events carry a vector, through the real loop: learnt from, watched, healed, and asked about."""

from datetime import UTC, datetime
from io import StringIO

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.bootstrap import Stack
from homeostat.codec import decode, encode
from homeostat.contract.load import parse_contract
from homeostat.contract.model import Contract
from homeostat.drift.profile import stored_profile
from homeostat.features.query import Query
from homeostat.metric_names import DRIFT_DISTANCE
from homeostat.records import Action, DriftReport, DriftStatus, Prediction, Promotion
from homeostat.replay.driver import Played, Replay, ReplayOptions
from homeostat.replay.live import LiveView
from homeostat.replay.recording import Recording
from homeostat.replay.recording import encode as encoded
from homeostat.steps.predict import PredictStep
from tests.loop.conftest import CONTRACT, START
from tests.stacks import memory_stack

SIZE, DAYS, CHANGE_DAY = 16, 20, 10


@pytest.fixture(scope="module")
def humming() -> Contract:
    text = CONTRACT.read_text()
    field = f"sound: {{type: vector, size: {SIZE}, nullable: true}}\n    wind: {{type: number"
    text = text.replace("wind: {type: number", field)
    text = text.replace("  gust:", "  sound: {field: sound}\n  gust:")
    return parse_contract(text, "humming.yaml")


def sounds(rows_a_day: int = 500, seed: int = 3) -> Recording:
    """Turbines that fail by the second number of their sound; from a day on four numbers move and it turns round."""
    rng = np.random.default_rng(seed)
    rows = DAYS * rows_a_day
    day = np.sort(rng.uniform(0, DAYS, rows))
    changed = day >= CHANGE_DAY
    sound = rng.normal(size=(rows, SIZE))
    sound[:, :4] += 1.2 * changed[:, None]
    logit = np.where(changed, -3.0, 3.0) * (sound[:, 1] - 0.6 * changed)
    fails = rng.uniform(size=rows) < 1 / (1 + np.exp(-logit))
    cells = [None if i % 29 == 0 else row for i, row in enumerate(sound.round(4).tolist())]
    time = pl.Series((day * 86_400e6).astype(np.int64)).cast(pl.Duration("us")) + pl.lit(START)
    events = pl.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(rows)],
            "turbine": [f"t{i % 40}" for i in range(rows)],
            "maker": rng.choice(["acme", "bolt"], rows),
            "load": rng.normal(size=rows),
            "wind": rng.normal(size=rows),
            "sound": pl.Series(cells, dtype=pl.List(pl.Float64)),
        }
    ).with_columns(event_time=time)
    delay = pl.Series((rng.uniform(1, 20, rows) * 3_600e6).astype(np.int64)).cast(pl.Duration("us"))
    labels = events.select("event_id", label_time=pl.col("event_time") + delay).with_columns(fails=pl.Series(fails))
    return Recording(encoded(events, "event_time"), encoded(labels, "label_time"))


@pytest.fixture(scope="module")
def stack(humming: Contract, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return memory_stack(humming, tmp_path_factory.mktemp("humming"))


@pytest.fixture(scope="module")
def played(humming: Contract, stack: Stack) -> Played:
    return Replay(humming, sounds(), stack, ReplayOptions(seed=1)).run(LiveView("test", Console(file=StringIO())))


def test_the_first_model_learns_from_the_vector_and_its_drift_is_healed(played: Played) -> None:
    promoted = [r for r in played.tail.story if isinstance(r, Promotion) and r.action is Action.PROMOTE]
    assert len(promoted) >= 2
    before = [r for r in played.tail.reports if r.at < datetime(2030, 1, 7 + CHANGE_DAY, tzinfo=UTC)]
    assert {r.status for r in before} <= {DriftStatus.UNKNOWN, DriftStatus.HEALTHY}


def test_the_report_names_the_vector_with_its_distance_and_what_it_may_cost(played: Played) -> None:
    report = next(r for r in played.tail.reports if r.status is DriftStatus.DRIFTED)
    assert isinstance(report, DriftReport)
    (sound,) = (score for score in report.features if score.name == "sound")
    assert sound.drifted
    assert sound.embedding is not None
    assert sound.embedding_limit is not None
    assert sound.embedding > sound.embedding_limit
    assert sound.share is not None
    assert sound.share > 0.5
    assert any(reason.startswith("sound: distance of the vectors") for reason in report.reasons)
    assert sound.worst == ("distance", sound.embedding, sound.embedding_limit)
    telemetry = played.stack.telemetry
    assert isinstance(telemetry, MemoryTelemetry)
    assert telemetry.value(DRIFT_DISTANCE, product="turbines", feature="sound") is not None
    value, headers = encode(report)
    assert decode("drift_reports", value, headers) == report


def test_the_champion_s_profile_has_one_column_for_the_vector(played: Played, humming: Contract, stack: Stack) -> None:
    champion = stack.registry.aliases().champion
    assert champion is not None
    profile = stored_profile(stack.registry.load(champion).files, humming.feature_names)
    (place,) = profile.vectors
    assert profile.columns[place].name == "sound"
    assert len(profile.attribution) == len(humming.feature_names)


def test_it_answers_with_a_vector_given_and_refuses_one_of_another_size(
    played: Played, humming: Contract, stack: Stack
) -> None:
    step = PredictStep(humming, stack.registry, stack.online, stack.telemetry)
    now = played.tail.reports[-1].at
    high, low = ((0.0, sign * 3.0, *(0.0,) * (SIZE - 2)) for sign in (1, -1))
    up, down, short = step.answer(
        [Query(f"q{i}", "t1", now, {"sound": emb}) for i, emb in enumerate((high, low, high[:3]))], now
    )
    assert isinstance(up, Prediction)
    assert isinstance(down, Prediction)
    assert up.score is not None
    assert down.score is not None
    assert up.score < down.score - 0.1  # the world has turned round
    assert up.values[humming.feature_names.index("sound")] == high
    assert f"expected a vector of {SIZE} finite numbers or null" in str(short)

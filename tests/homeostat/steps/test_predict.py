import json
from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import pytest

from homeostat.adapters.memory import MemoryRegistry, MemoryTelemetry
from homeostat.adapters.memory_features import MemoryOnlineFeatures
from homeostat.errors import InvalidRecordError
from homeostat.features.query import Query
from homeostat.healing.tags import vouched_tag
from homeostat.metric_names import FALLBACKS, PREDICTIONS
from homeostat.ports import Aliases, ModelPackage
from homeostat.records import Arm, FeatureRow, Prediction
from homeostat.steps.predict import PredictStep
from tests.homeostat.steps.predicting import CONTRACT, T0, rows, serve, trained

Models = tuple[Mapping[str, bytes], ...]
BROKEN: Mapping[str, bytes] = {"model.json": b"{}"}


@pytest.fixture(scope="module")
def models() -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    return trained(1), trained(2)


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def online() -> MemoryOnlineFeatures:
    return MemoryOnlineFeatures()


@pytest.fixture
def telemetry() -> MemoryTelemetry:
    return MemoryTelemetry()


@pytest.fixture
def step(registry: MemoryRegistry, online: MemoryOnlineFeatures, telemetry: MemoryTelemetry) -> PredictStep:
    return PredictStep(CONTRACT, registry, online, telemetry)


def predict(step: PredictStep, online: MemoryOnlineFeatures, batch: list[FeatureRow]) -> list[Prediction]:
    online.write(batch)
    return [r for r in step.handle(batch, T0 + timedelta(minutes=1)) if isinstance(r, Prediction)]


def test_without_a_champion_the_row_is_logged_without_a_score(step: PredictStep, online: MemoryOnlineFeatures) -> None:
    [logged] = predict(step, online, rows(1))
    assert (logged.arm, logged.version, logged.score) == (Arm.NONE, None, None)
    assert logged.values == (0.0, "a")


def test_the_champion_answers_and_the_prediction_says_so(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models
) -> None:
    version = serve(registry, "champion", models[0])
    for p in predict(step, online, rows(20)):
        assert (p.arm, p.version, p.propensity, p.fallback) == (Arm.CHAMPION, version, 1.0, None)
        assert p.score == p.scores[version]
        assert 0 < p.score < 1


def test_a_version_that_the_loop_does_not_vouch_for_answers_nobody(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models
) -> None:
    champion = serve(registry, "champion", models[0])
    registry.tag(None, vouched_tag(Aliases(champion)))
    serve(registry, "challenger", models[1])
    serve(registry, "champion", BROKEN)
    assert {(p.arm, p.version, tuple(p.scores)) for p in predict(step, online, rows(50))} == {
        (Arm.CHAMPION, champion, (champion,))
    }


def test_in_a_canary_both_models_score_every_row_and_the_entity_decides_who_answers(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models
) -> None:
    champion, challenger = serve(registry, "champion", models[0]), serve(registry, "challenger", models[1])
    first, again = predict(step, online, rows(300)), predict(step, online, rows(300, hour=1))
    assert all(set(p.scores) == {champion, challenger} for p in first)
    assert [p.arm for p in first] == [p.arm for p in again]
    share = np.mean([p.arm is Arm.CHALLENGER for p in first])
    assert 0.2 < share < 0.4
    assert {p.propensity for p in first} == {0.3, 0.7}
    assert all(p.score == p.scores[challenger] for p in first if p.arm is Arm.CHALLENGER)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_registry_says_what_share_a_challenger_answers(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models, share: float
) -> None:
    champion, challenger = serve(registry, "champion", models[0]), serve(registry, "challenger", models[1])
    registry.set_alias("challenger", challenger, share)
    answered = predict(step, online, rows(300))
    assert all(set(p.scores) == {champion, challenger} for p in answered)
    assert np.mean([p.arm is Arm.CHALLENGER for p in answered]) == pytest.approx(share, abs=0.1 * (0 < share < 1))


def test_an_entity_that_the_challenger_answered_stays_with_it_as_its_share_grows(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models
) -> None:
    serve(registry, "champion", models[0])
    challenger = serve(registry, "challenger", models[1])
    before: set[str] = set()
    for share in (0.05, 0.25, 1.0):
        registry.set_alias("challenger", challenger, share)
        answered = {p.entity_id for p in predict(step, online, rows(300)) if p.arm is Arm.CHALLENGER}
        assert before < answered
        before = answered


def test_a_model_that_alone_would_break_the_promised_latency_is_named(
    registry: MemoryRegistry,
    online: MemoryOnlineFeatures,
    telemetry: MemoryTelemetry,
    models: Models,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = PredictStep(CONTRACT, registry, online, telemetry)
    champion, challenger = serve(registry, "champion", models[0]), serve(registry, "challenger", models[1])
    # started, champion from and to, challenger from and to, done: 30 ms, then 80 ms, and 30 ms besides
    seconds = iter([0.0, 0.02, 0.05, 0.05, 0.13, 0.14])
    monkeypatch.setattr("homeostat.steps.predict.perf_counter", lambda: next(seconds))
    [logged] = step.handle(rows(1), T0)
    assert isinstance(logged, Prediction)
    assert (logged.slow, champion != challenger) == ((challenger,), True)


def test_the_champion_answers_for_a_challenger_that_fails_and_says_so(
    step: PredictStep,
    registry: MemoryRegistry,
    online: MemoryOnlineFeatures,
    telemetry: MemoryTelemetry,
    models: Models,
) -> None:
    champion, challenger = serve(registry, "champion", models[0]), serve(registry, "challenger", BROKEN)
    answered = predict(step, online, rows(100))
    assert all(p.version == champion and p.arm is Arm.CHAMPION and p.score is not None for p in answered)
    fallen = [p for p in answered if p.fallback]
    assert 10 < len(fallen) < 50
    assert all(f"version {challenger} failed" in str(p.fallback) for p in fallen)
    assert telemetry.value(FALLBACKS, product="p", version=champion) == len(fallen)


def test_the_previous_model_answers_for_a_champion_that_fails(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models
) -> None:
    previous = serve(registry, "previous", models[0])
    serve(registry, "champion", BROKEN)
    [p] = predict(step, online, rows(1))
    assert p.version == previous
    assert p.fallback


def test_the_way_back_scores_every_row_until_the_watch_is_over_and_then_only_those_the_champion_fails_on(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models
) -> None:
    champion, previous = serve(registry, "champion", models[0]), serve(registry, "previous", models[1])
    over = T0 - CONTRACT.canary.watch - CONTRACT.label.maturity
    for since, scorers in ((over + timedelta(hours=1), {champion, previous}), (over, {champion})):
        registry.tag(None, vouched_tag(Aliases(champion, previous=previous, since=since)))
        assert set(predict(step, online, rows(1))[0].scores) == scorers
    registry.tag(None, vouched_tag(Aliases(serve(registry, "champion", BROKEN), previous=previous, since=over)))
    [p] = predict(step, online, rows(1))
    assert (p.version, set(p.scores)) == (previous, {previous})


def test_a_row_is_never_answered_with_features_of_a_later_event(
    step: PredictStep, online: MemoryOnlineFeatures
) -> None:
    early, late = rows(1, hour=0), rows(1, hour=5)
    late[0] = FeatureRow("later", "k0", late[0].event_time, (99.0, "b"))
    online.write(late)
    [p] = step.handle(early, T0)
    assert isinstance(p, Prediction)
    assert p.values == early[0].values


def test_two_events_of_an_entity_at_the_same_time_are_each_answered_by_their_own_features(
    step: PredictStep, online: MemoryOnlineFeatures
) -> None:
    twins = [FeatureRow("first", "k0", T0, (1.0, "a")), FeatureRow("second", "k0", T0, (2.0, "b"))]
    assert [p.values for p in predict(step, online, twins)] == [(1.0, "a"), (2.0, "b")]


def test_predictions_are_counted_by_version_and_arm(
    step: PredictStep,
    registry: MemoryRegistry,
    online: MemoryOnlineFeatures,
    telemetry: MemoryTelemetry,
    models: Models,
) -> None:
    version = serve(registry, "champion", models[0])
    predict(step, online, rows(7))
    assert telemetry.value(PREDICTIONS, product="p", version=version, arm="champion") == 7


def test_a_query_is_answered_from_the_stored_features_and_those_given_win(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models
) -> None:
    registry.set_alias("champion", registry.register(ModelPackage(models[0]), "r1"))
    online.write([FeatureRow("e1", "k1", T0, (0.5, "a"))])
    now = T0 + timedelta(hours=1)
    stored, given = step.answer([Query("q1", "k1", now), Query("q2", "k1", now, {"x": -3.0})], now)
    assert isinstance(stored, Prediction)
    assert isinstance(given, Prediction)
    assert (stored.values, given.values) == ((0.5, "a"), (-3.0, "a"))
    assert stored.on_request
    assert given.on_request
    assert stored.score != given.score
    (by_event,) = step.handle([FeatureRow("e1", "k1", T0, (0.5, "a"))], now)
    assert isinstance(by_event, Prediction)
    assert by_event.score == stored.score


def test_a_query_about_an_unknown_entity_says_which_features_are_missing(step: PredictStep) -> None:
    refused, answered = step.answer(
        [Query("q1", "nobody", T0, {"x": 1.0}), Query("q2", "nobody", T0, {"x": 1.0, "c": "a"})], T0
    )
    assert isinstance(refused, InvalidRecordError)
    assert "entity 'nobody' has no stored features, and c are not given" in str(refused)
    assert isinstance(answered, Prediction)
    assert answered.arm is Arm.NONE


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        (Query("q", "k1", T0, {"x": "many", "c": "a"}), "features.x is 'many', expected a finite number or null"),
        (Query("q", "k1", T0, {"x": float("nan"), "c": "a"}), "features.x is nan, expected a finite number or null"),
        (Query("q", "k1", T0, {"x": 10**400, "c": "a"}), "features.x is 1000"),
        (Query("q", "k1", T0, {"x": 1.0, "c": 3}), "features.c is 3, expected a text or null"),
        (Query("q", "k1", T0, {"x": 1.0, "c": "a", "z": 1}), "features.z: no such feature; expected some of x, c"),
        (Query("q", "k1", T0.replace(tzinfo=None), {"x": 1.0, "c": "a"}), "has no zone"),
        (Query("q", "k1", T0 + timedelta(hours=1), {"x": 1.0, "c": "a"}), "is 3600 s ahead of the clock"),
    ],
)
def test_a_query_that_no_model_could_answer_is_refused_alone(step: PredictStep, query: Query, fault: str) -> None:
    refused, answered = step.answer([query, Query("good", "k1", T0, {"x": None, "c": "a"})], T0)
    assert isinstance(refused, InvalidRecordError)
    assert fault in str(refused)
    assert isinstance(answered, Prediction)


def test_a_model_whose_score_is_no_number_has_failed(
    step: PredictStep, registry: MemoryRegistry, online: MemoryOnlineFeatures, models: Models
) -> None:
    model = json.loads(models[0]["model.json"])
    model["calibration"]["intercept"] = float("nan")
    previous = serve(registry, "previous", models[1])
    serve(registry, "champion", {"model.json": json.dumps(model).encode()})
    [p] = predict(step, online, rows(1))
    assert p.version == previous
    assert "no number" in str(p.fallback)

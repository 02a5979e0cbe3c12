import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.contract.policies import CanaryPolicy
from homeostat.healing.tags import vouched_tag
from homeostat.inspection.instance import Heartbeat
from homeostat.inspection.numbers import numbers_in
from homeostat.metric_names import COST_PER_1K, FEATURE_TIME, LABEL_MATURITY, SLA_ATTAINMENT
from homeostat.ports import Aliases
from homeostat.records import Action, CaseState, DeadLetter, DriftStatus, Promotion, TrainingRun, TrainingStatus

HOUR = timedelta(hours=1)
DAY = 24 * HOUR


def test_a_product_that_has_seen_nothing_says_so_without_a_guess(world: Any) -> None:
    status = world.status()
    assert status["champion"] is None
    assert status["drift"] is None
    assert status["label_maturity_ratio"] is None
    assert status["cost_per_1k_usd"] is None
    assert status["sla"] == {"attainment_ratio": None, "target_ratio": 0.99}
    assert status["processes"] == []
    assert status["waits_for"].startswith("cold start: 0 of 200 labelled rows")


def test_a_status_is_ready_for_json(world: Any) -> None:
    world.write(world.report("r1", DriftStatus.HEALTHY))
    assert json.loads(json.dumps(world.status()))["product"] == "toys"


def test_a_cold_start_counts_labelled_rows_and_history(world: Any) -> None:
    world.write(*world.outcomes(500, labelled=150))
    world.ledger.append("began", world.now - DAY, "history_began", {})
    assert world.status()["waits_for"] == (
        "cold start: 150 of 200 labelled rows; 7 d of labelled history are there 2030-03-08 00:00"
    )


def test_labelled_rows_are_counted_on_where_the_last_look_ended(world: Any) -> None:
    world.write(*world.outcomes(100))
    assert "100 of 200" in world.status()["waits_for"]
    world.write(*world.outcomes(60))
    assert "160 of 200" in world.status()["waits_for"]
    world.write(*world.outcomes(60))
    assert "200 labelled rows or more" in world.status()["waits_for"]


def test_who_serves_and_since_when(world: Any) -> None:
    world.registry.set_alias("champion", "2")
    world.registry.set_alias("previous", "1")
    world.case(CaseState.STABLE, champion="2", previous="1", serving_since=world.now - 3 * DAY)
    world.write(
        Promotion("p1", "case", world.now - 3 * DAY, Action.PROMOTE, "2", "2", "better"),
        Promotion("p2", "case", world.now - DAY, Action.REJECT, "3", "2", "worse"),
    )
    status = world.status()
    assert (status["champion"], status["previous"], status["challenger"]) == ("2", "1", None)
    assert status["champion_since"] == (world.now - 3 * DAY).isoformat()
    assert status["canary_share"] == 0.0
    assert [decision["what"] for decision in status["decisions"]] == [
        "promote version 2: better", "reject version 3: worse",
    ]  # fmt: skip


def test_an_alias_on_a_version_that_nobody_vouches_for_serves_nobody_and_is_not_shown(world: Any) -> None:
    world.registry.set_alias("champion", "2")
    world.registry.tag(None, vouched_tag(Aliases("1")))
    assert world.status()["champion"] == "1"


def test_the_registry_is_asked_once(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    aliases, asked = world.registry.aliases, []
    monkeypatch.setattr(world.registry, "aliases", lambda: asked.append(1) or aliases())
    world.status()
    assert asked == [1]


def test_the_worst_three_features_are_named_drifted_ones_first(world: Any, make_score: Any) -> None:
    features = (
        make_score("calm", 0.01, 0.1),
        make_score("near", 0.09, 0.1),
        make_score("moved", 0.05, 0.1, ks=0.3, drifted=True),
        make_score("large", 0.3, 0.1, drifted=True),
    )
    world.registry.set_alias("champion", "1")
    world.write(world.report("r1", DriftStatus.DRIFTED, features=features, reasons=("large moved",)))
    worst = world.status()["drift"]["worst"]
    assert [(one["name"], one["index"], one["value"], one["limit"]) for one in worst] == [
        ("large", "psi", 0.3, 0.1), ("moved", "ks", 0.3, 0.1), ("near", "psi", 0.09, 0.1),
    ]  # fmt: skip
    assert world.status()["drift"]["reasons"] == ["large moved"]


def test_a_stable_product_says_why_the_healer_leaves_it_alone(world: Any) -> None:
    world.registry.set_alias("champion", "1")
    world.write(world.report("r1", DriftStatus.DRIFTED, reasons=("price moved",)))
    assert "drift in 1 of 2 reports: price moved" in world.status()["waits_for"]


@pytest.mark.parametrize(
    ("state", "values", "words"),
    [
        (CaseState.TRAINING, {}, "training, asked for 2030-03-01 00:00"),
        (CaseState.COOLDOWN, {"cooldown_until": "later"}, "cooldown until 2030-03-02 00:00"),
        (CaseState.WAITING, {"challenger": "3"}, "approval of version 3"),
    ],
)
def test_each_state_says_what_ends_it(world: Any, state: CaseState, values: dict[str, Any], words: str) -> None:
    if "cooldown_until" in values:
        values = {"cooldown_until": world.now + DAY}
    world.registry.set_alias("champion", "1")
    world.case(state, since=world.now, **values)
    assert words in world.status()["waits_for"]


def start_canary(world: Any) -> None:
    world.registry.set_alias("champion", "1")
    world.registry.set_alias("challenger", "2")
    world.case(CaseState.CANARY, since=world.now, challenger="2", request_id="case")


def test_a_canary_waits_for_its_first_mature_labels(world: Any) -> None:
    start_canary(world)
    status = world.status()
    assert status["waits_for"] == "canary: 0 of 100 mature rows; label maturity until 2030-03-02 00:00"
    assert (status["challenger"], status["canary_share"]) == ("2", 0.2)


def test_a_canary_by_steps_says_where_it_stands_and_what_the_registry_gives_it(world: Any) -> None:
    policy = CanaryPolicy.model_validate(
        {"min_rows": 100, "max_duration": "5d", "block": "1h", "steps": [0, 0.25, 1.0], "step_time": "1d"}
    )
    start_canary(world)
    world.registry.set_alias("challenger", "2", 0.25)
    world.case(CaseState.CANARY, since=world.now, challenger="2", request_id="case", share=0.25, share_since=world.now)
    stepping = type(world.onlooker)(world.contract.model_copy(update={"canary": policy}), world.sight)
    status = stepping.status(world.now)
    assert status["canary_share"] == 0.25
    assert status["waits_for"].startswith("canary at 25% until 2030-03-02 00:00, then 100%: 0 of 100 mature rows")
    world.registry.set_alias("challenger", "2", 0)
    world.case(CaseState.CANARY, since=world.now, challenger="2", request_id="case", share=0.0, share_since=world.now)
    assert stepping.status(world.now)["waits_for"].startswith("shadow until 2030-03-02 00:00, then 25%: ")


def test_a_canary_counts_its_mature_rows(world: Any) -> None:
    start_canary(world)
    world.write(*world.outcomes(55, scores={"1": 0.5, "2": 0.6}))
    assert world.status()["waits_for"] == (
        "canary: 50 of 100 mature rows, 5 of 10 blocks; at the latest 2030-03-07 00:00"
    )


def test_a_canary_with_enough_rows_shows_its_interval_as_the_judge_sees_it(world: Any) -> None:
    start_canary(world)
    noise = np.random.default_rng(1).uniform(0.3, 0.7, 400)
    rows = [
        replace(row, scores={"1": 0.5, "2": float(other)})
        for row, other in zip(world.outcomes(400), noise, strict=True)
    ]
    world.write(*rows[:200])
    first = world.status()["waits_for"]
    world.write(*rows[200:])
    second = world.status()["waits_for"]
    assert first != second
    assert "mature rows, difference" in second
    assert "[" in second
    fresh = type(world.onlooker)(world.contract, world.sight)
    assert fresh.status(world.now)["waits_for"] == second


def test_a_canary_that_an_operator_holds_says_so(world: Any) -> None:
    start_canary(world)
    world.case(CaseState.CANARY, since=world.now, challenger="2", request_id="case", held=True)
    assert "held by an operator" in world.status()["waits_for"]


def test_quarantined_rows_are_counted_and_the_last_reasons_shown(world: Any) -> None:
    for i in range(8):
        letter = DeadLetter(f"l{i}", "raw_events", f"price: 'x{i}'", b"", world.now + i * HOUR)
        world.write(letter, topic="ingest_dead_letters")
    quarantined = world.status()["quarantined"]
    assert quarantined["rows"] == 8
    assert [letter["reason"] for letter in quarantined["last"]][-1] == "price: 'x7'"
    assert len(quarantined["last"]) == 5


def test_trainings_are_counted_against_the_budget(world: Any) -> None:
    times = tuple(world.now - days * DAY for days in (40, 20, 10))
    world.case(CaseState.STABLE, since=world.now, trained_at=times)
    assert world.status()["trainings"] == {"used": 2, "allowed": 3, "per": "30 d"}


def test_decisions_of_all_kinds_are_in_order(world: Any) -> None:
    world.write(TrainingRun("run", "case", TrainingStatus.FAILED, None, "no rows", 1.0, world.now - HOUR))
    world.write(Promotion("p1", "case", world.now, Action.REJECT, None, "1", "failed"))
    assert [decision["what"] for decision in world.status()["decisions"]] == [
        "training failed: no rows", "reject version None: failed",
    ]  # fmt: skip


def test_a_step_that_is_behind_is_named(world: Any) -> None:
    world.write(*world.outcomes(5))
    world.log.commit("archive", {"toys.outcomes.v1": 5})
    unread = world.status()["unread_rows"]
    assert unread["judge"] == 5
    assert "archive" not in unread


def test_numbers_come_from_the_metrics_of_this_product_alone(world: Any) -> None:
    telemetry = PrometheusTelemetry()
    for product, value in (("toys", 0.9), ("others", 0.1)):
        telemetry.gauge(LABEL_MATURITY, value, product=product)
        telemetry.gauge(SLA_ATTAINMENT, value, product=product)
        for lane in (0, 1):  # of all lanes the newest row counts
            telemetry.timestamp(
                FEATURE_TIME, world.now - (lane + value) * DAY, world.now, product=product, lane=str(lane)
            )
        telemetry.gauge(COST_PER_1K, value, product=product, part="serving")
    status = world.status(numbers=numbers_in(telemetry.render().decode(), "toys"))
    assert status["label_maturity_ratio"] == 0.9
    assert status["sla"]["attainment_ratio"] == 0.9
    assert status["feature_freshness_s"] == pytest.approx(
        0.9 * DAY.total_seconds(), abs=60
    )  # though its clock is a replay's
    assert status["cost_per_1k_usd"] == {"serving": 0.9}


def test_heartbeats_are_passed_on(world: Any) -> None:
    beat = Heartbeat("keeper", 12, alive=True, age_s=0.5, passed=world.now)
    assert world.status(processes=[beat])["processes"] == [
        {
            "process": "keeper",
            "pid": 12,
            "alive": True,
            "age_s": 0.5,
            "passed": world.now.isoformat(),
            "down": None,
            "waits": None,
        }
    ]


def test_decisions_that_the_log_has_forgotten_come_from_the_ledger(world: Any) -> None:
    world.ledger.append("began", world.now - 9 * DAY, "history_began", {})
    world.ledger.append("first", world.now - 8 * DAY, "promote", {"reason": "first champion"})
    world.ledger.append("quiet", world.now - DAY, "left_alone", {"reason": "no drift"})
    (decision,) = world.status()["decisions"]
    assert decision["what"] == "promote: first champion"

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from homeostat.adapters.memory import MemoryCases, MemoryLedger, MemoryRegistry, MemoryTelemetry
from homeostat.contract.model import Contract
from homeostat.healing.closing import SERVING, entry_of
from homeostat.metric_names import CASE_SINCE, CASE_STATE
from homeostat.ports import Aliases, ModelPackage
from homeostat.records import Action, CanaryVerdict, Case, CaseState, Promotion, derived_id
from homeostat.steps.promote import PromoteStep

NOW = datetime(2013, 3, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONTRACT = Contract.model_validate(
    {
        "product": "toys",
        "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
        "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
        "features": {"price": {"field": "price"}},
    }
)


class World:
    """Champion 1 serves, 2 is its challenger to be, 3 is another version."""

    def __init__(self) -> None:
        self.registry, self.cases, self.ledger = MemoryRegistry(), MemoryCases(), MemoryLedger()
        self.telemetry = MemoryTelemetry()
        for request in ("first", "second", "third"):
            self.registry.register(ModelPackage({}), request)
        self.registry.set_alias("champion", "1")
        self.cases.save(Case(CaseState.TRAINING, request_id="second", since=NOW - HOUR))

    def step(self) -> PromoteStep:
        return PromoteStep(CONTRACT, self.registry, self.cases, self.ledger, self.telemetry)

    def give(self, *verdicts: CanaryVerdict) -> list[Any]:
        return self.step().handle(verdicts, NOW)

    def decisions(self) -> list[tuple[str, str]]:
        return [(entry.kind, entry.actor) for entry in self.ledger.entries()]


@pytest.fixture
def world() -> World:
    return World()


def verdict(
    action: Action, version: str | None = "2", request_id: str = "second", champion: str = "1"
) -> CanaryVerdict:
    verdict_id = derived_id(request_id, action, version or "")
    return CanaryVerdict(verdict_id, request_id, NOW, action, version, "because", {"champion": champion, "rows": 900})


START, PROMOTE, REJECT = verdict(Action.START), verdict(Action.PROMOTE), verdict(Action.REJECT)
ROLLBACK = replace(verdict(Action.ROLLBACK), evidence={"champion": "2", SERVING: entry_of(PROMOTE)})


def test_a_start_gives_the_challenger_its_alias(world: World) -> None:
    (promotion,) = world.give(START)
    assert world.registry.aliases() == Aliases("1", "2", None, 0.05)
    assert world.cases.load().state is CaseState.CANARY
    assert isinstance(promotion, Promotion)
    assert (promotion.action, promotion.version, promotion.champion) == (Action.START, "2", "1")


def test_a_promotion_keeps_the_way_back(world: World) -> None:
    world.give(START, PROMOTE)
    assert world.registry.aliases() == Aliases("2", None, "1")
    assert world.cases.load().cooldown_until == NOW + CONTRACT.healing.cooldown
    assert world.registry.load("2").tags["homeostat.outcome"] == "promoted"
    said, _ = world.registry.described["2"]
    assert said.startswith("**Version 2: promoted** at ")
    assert "Version 2 serves. To take it back" in said


def test_the_first_champion_has_no_previous(world: World) -> None:
    world.registry.set_alias("champion", None)
    world.give(replace(PROMOTE, evidence={}))
    assert world.registry.aliases() == Aliases("2", None, None)


def test_a_rejection_leaves_who_serves(world: World) -> None:
    world.give(START, REJECT)
    assert world.registry.aliases() == Aliases("1", None, None)
    assert world.cases.load().state is CaseState.COOLDOWN
    assert world.registry.load("2").tags["homeostat.outcome"] == "rejected"


def test_a_failed_training_closes_the_case(world: World) -> None:
    world.give(verdict(Action.REJECT, None))
    assert world.cases.load().state is CaseState.COOLDOWN


def test_a_rollback_gives_the_traffic_back(world: World) -> None:
    world.give(START, PROMOTE, ROLLBACK)
    assert world.registry.aliases() == Aliases("1", None, "1")
    assert world.registry.load("2").tags["homeostat.outcome"] == "rolled_back"
    assert "Version 1 serves. What was seen before" in world.registry.described["2"][0]


def test_every_decision_is_in_the_ledger_with_its_evidence(world: World) -> None:
    world.give(START, PROMOTE, ROLLBACK)
    assert [kind for kind, _ in world.decisions()] == ["start", "promote", "rollback"]
    assert world.ledger.entries()[1].payload["evidence"]["rows"] == 900
    assert world.ledger.verify() == 3


@pytest.mark.parametrize("story", [(START,), (START, PROMOTE), (START, REJECT), (START, PROMOTE, ROLLBACK)])
def test_verdicts_delivered_again_change_nothing(world: World, story: tuple[CanaryVerdict, ...]) -> None:
    first = world.give(*story)
    before = world.registry.aliases(), world.cases.load(), world.decisions()
    again = world.give(*story)
    assert (world.registry.aliases(), world.cases.load(), world.decisions()) == before
    assert {p.promotion_id for p in again} <= {p.promotion_id for p in first}
    assert again[-1].promotion_id == first[-1].promotion_id  # it may not have been published


def test_a_verdict_on_another_case_is_void(world: World) -> None:
    assert world.give(verdict(Action.START, "3", "third")) == []
    assert world.registry.aliases().challenger is None


def test_a_promotion_won_against_somebody_else_is_rejected(world: World) -> None:
    world.give(START)
    (promotion,) = world.give(replace(PROMOTE, evidence={"champion": "3"}))
    assert promotion.action is Action.REJECT
    assert world.registry.aliases() == Aliases("1", None, None)


def test_a_verdict_on_a_canary_that_an_operator_ended_at_the_same_moment_is_void(world: World) -> None:
    world.give(replace(START, version="3"), replace(REJECT, version="3"))
    world.cases.save(replace(world.cases.load(), state=CaseState.TRAINING))
    world.give(START)
    world.registry.set_alias("champion", "3")
    (promotion,) = world.give(PROMOTE)
    assert (promotion.action, promotion.version) == (Action.PROMOTE, "3")
    assert world.registry.aliases() == Aliases("3", None, "1")
    assert world.decisions()[-1] == ("promote", "operator")


def test_a_rollback_of_a_model_that_serves_no_more_is_void(world: World) -> None:
    world.give(START, PROMOTE, ROLLBACK)
    before = world.decisions()
    assert world.give(replace(ROLLBACK, verdict_id="late", at=NOW - HOUR, request_id="another")) == []
    assert (world.registry.aliases().champion, world.decisions()) == ("1", before)


def test_a_rollback_found_before_the_version_began_to_serve_this_time_is_void(world: World) -> None:
    world.give(START, PROMOTE)
    before = world.decisions()
    assert world.give(replace(ROLLBACK, evidence={"champion": "2", SERVING: "an older entry"})) == []
    assert (world.registry.aliases().champion, world.decisions()) == ("2", before)


def test_a_cooldown_ends_on_time(world: World) -> None:
    world.give(START, REJECT)
    step = world.step()
    step.tick(NOW + 24 * HOUR - HOUR)
    assert world.cases.load().state is CaseState.COOLDOWN
    step.tick(NOW + 24 * HOUR)
    assert world.cases.load().state is CaseState.STABLE


def test_an_operator_who_moves_champion_to_the_challenger_promotes_it(world: World) -> None:
    world.give(START)
    world.registry.set_alias("champion", "2")
    (promotion,) = world.step().tick(NOW + HOUR)
    assert isinstance(promotion, Promotion)
    assert promotion.action is Action.PROMOTE
    assert world.registry.aliases() == Aliases("2", None, "1")
    assert world.decisions()[-1] == ("promote", "operator")


def test_an_operator_who_takes_the_challenger_away_rejects_it(world: World) -> None:
    world.give(START)
    world.registry.set_alias("challenger", None)
    (promotion,) = world.step().tick(NOW + HOUR)
    assert isinstance(promotion, Promotion)
    assert promotion.action is Action.REJECT
    assert world.decisions()[-1] == ("reject", "operator")
    assert world.cases.load().state is CaseState.COOLDOWN


def test_a_challenger_replaced_by_hand_is_taken_away_as_well(world: World) -> None:
    world.give(START)
    world.registry.set_alias("challenger", "3")
    world.step().tick(NOW + HOUR)
    assert world.registry.aliases() == Aliases("1", None, None)


def test_a_quiet_canary_is_left_alone(world: World) -> None:
    world.give(START)
    assert world.step().tick(NOW + HOUR) == []
    assert world.cases.load().state is CaseState.CANARY


def test_the_cases_state_is_measured(world: World) -> None:
    step = world.step()
    step.handle([START], NOW)
    step.tick(NOW)
    assert world.telemetry.value(CASE_STATE, product="toys", state="canary") == 1
    assert world.telemetry.value(CASE_STATE, product="toys", state="training") == 0


def test_when_the_case_came_into_its_state_is_told(world: World) -> None:
    step = world.step()
    step.handle([START], NOW)
    step.tick(NOW + HOUR)
    assert world.telemetry.value(CASE_SINCE, product="toys") == NOW.timestamp()

"""A challenger gets its traffic step by step, and each needs both time and evidence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.contract.model import Contract
from homeostat.contract.policies import CanaryPolicy
from homeostat.healing.serving import serving_at
from homeostat.healing.tags import SHARE_TAG
from homeostat.ports import Aliases
from homeostat.records import Arm, CanaryVerdict, CaseState, Outcome

Rig = Any  # of conftest, which tests can't import
RigOf = Callable[..., Rig]

STEPS = [0.05, 0.25, 1.0]
BETTER, EQUAL, WORSE = {"1": 0.6, "2": 0.7}, {"1": 0.6, "2": 0.615}, {"1": 0.6, "2": 0.5}


def climbing(contract: Contract, **canary: Any) -> Contract:
    wanted = {"min_rows": 50, "max_duration": "9d", "watch": "3d", "steps": STEPS, "step_time": "6h", **canary}
    return contract.model_copy(update={"canary": CanaryPolicy.model_validate(wanted)})


def on_trial(rig: Rig) -> Rig:
    rig.first_champion()
    rig.canary()
    return rig


@pytest.fixture
def tried(contract: Contract, rig_of: RigOf) -> Rig:
    return on_trial(rig_of(climbing(contract)))


def share(rig: Rig) -> float | None:
    found: float | None = rig.registry.aliases().share
    return found


def kinds(rig: Rig) -> list[str]:
    return [entry.kind for entry in rig.ledger.entries() if entry.kind in {"start", "step", "promote", "reject"}][1:]


@pytest.mark.parametrize(("word", "after"), [("reject", Aliases("1")), ("hold", Aliases("1", "2", None, STEPS[0]))])
def test_a_person_who_stops_a_challenger_wins_over_the_step_on_its_way(tried: Rig, word: str, after: Aliases) -> None:
    tried.label(BETTER)
    tried.run_until_published("canary_verdicts")
    assert tried.decide(word, "2").startswith("done: ")
    assert tried.registry.aliases() == after
    assert "step" not in kinds(tried)


def test_a_better_challenger_climbs_every_step_before_it_is_promoted(tried: Rig) -> None:
    seen = [(tried.now, share(tried))]
    for _ in range(2):
        tried.outcomes(BETTER)
        seen.append((tried.now, share(tried)))
    assert [one for _, one in seen] == STEPS
    tried.outcomes(BETTER)
    assert tried.registry.aliases() == Aliases("2", None, "1")
    assert kinds(tried) == ["start", "step", "step", "promote"]
    for time, answered in seen:
        assert serving_at(tried.ledger.entries(), time).shares == pytest.approx({"1": 1 - answered, "2": answered})


def test_time_alone_is_not_enough(tried: Rig) -> None:
    for _ in range(20):
        tried.run(6)
    assert share(tried) == 0.05


def test_evidence_alone_is_not_enough(contract: Contract, rig_of: RigOf) -> None:
    rig = on_trial(rig_of(climbing(contract, step_time="3d")))
    rig.outcomes(BETTER)
    assert share(rig) == 0.05
    rig.run(36)
    assert share(rig) == 0.25


def test_without_traffic_at_a_step_it_is_not_passed_whatever_was_seen_before(tried: Rig) -> None:
    tried.outcomes(BETTER)
    for _ in range(20):
        tried.run(6)
    assert share(tried) == 0.25


def test_a_proven_challenger_whose_step_sees_too_little_traffic_is_rejected_when_the_time_is_up(tried: Rig) -> None:
    tried.outcomes(BETTER)
    tried.run(10 * 24)
    assert tried.registry.aliases() == Aliases("1")
    assert kinds(tried) == ["start", "step", "reject"]


def test_a_challenger_of_which_nothing_is_proven_never_gets_all_traffic(tried: Rig) -> None:
    for _ in range(4):
        tried.outcomes(EQUAL, hours=24)
    assert share(tried) == 0.25
    tried.run(10 * 24)
    assert kinds(tried) == ["start", "step", "reject"]


def test_harm_stops_a_canary_at_any_step(tried: Rig) -> None:
    tried.outcomes(BETTER)
    for _ in range(4):
        tried.outcomes(WORSE, hours=24)
    assert tried.registry.aliases() == Aliases("1")


def test_labels_of_one_kind_open_no_step(tried: Rig) -> None:
    times = [tried.now + i * timedelta(minutes=10) for i in range(200)]
    scores = {"1": 0.6, "2": 0.7}
    tried.put(*(Outcome(f"x{i}", "e", t, t, 1.0, Arm.CHAMPION, "1", 0.6, scores) for i, t in enumerate(times)))
    tried.run(72)
    assert share(tried) == 0.05


def test_answers_without_labels_open_no_step(tried: Rig) -> None:
    times = [tried.now + i * timedelta(minutes=10) for i in range(200)]
    scores = {"1": 0.6, "2": 0.7}
    tried.put(*(Outcome(f"x{i}", "e", t, None, None, Arm.CHAMPION, "1", 0.6, scores) for i, t in enumerate(times)))
    tried.run(72)
    assert share(tried) == 0.05


def test_a_shadow_answers_nobody_and_goes_on_to_its_first_share(contract: Contract, rig_of: RigOf) -> None:
    rig = on_trial(rig_of(climbing(contract, steps=[0, 0.5])))
    assert serving_at(rig.ledger.entries(), rig.now).shares == {"1": 1.0, "2": 0.0}
    rig.outcomes(BETTER)
    assert share(rig) == 0.5


def test_where_a_person_approves_no_step_takes_all_traffic_before(contract: Contract, rig_of: RigOf) -> None:
    rig = on_trial(rig_of(climbing(contract, approval="manual")))
    for _ in range(4):
        rig.outcomes(BETTER)
    assert (share(rig), rig.cases.load().state) == (0.25, CaseState.WAITING)
    assert "done: " in rig.decide("approve", "2")
    assert rig.registry.aliases() == Aliases("2", None, "1")


def test_an_operator_may_approve_at_the_first_step(tried: Rig) -> None:
    tried.decide("approve", "2")
    assert tried.registry.aliases() == Aliases("2", None, "1")


def test_a_held_challenger_stays_at_its_share(tried: Rig) -> None:
    tried.decide("hold", "2")
    for _ in range(3):
        tried.outcomes(BETTER)
    assert share(tried) == 0.05


def test_a_share_edited_by_hand_is_put_back(tried: Rig) -> None:
    for text in ("2: 0.9", "all of it", "7: 0.5"):
        tried.registry._retag(None, {SHARE_TAG: text})  # as a person does in the UI
        tried.run()
        assert share(tried) == 0.05


def test_a_step_that_comes_again_or_too_late_changes_nothing(tried: Rig) -> None:
    tried.outcomes(BETTER)
    (step,) = [v for v in tried.published("canary_verdicts").values() if v.action == "step"]
    assert isinstance(step, CanaryVerdict)
    tried.outcomes(BETTER)
    tried.put(step, replace(step, verdict_id="anew"))
    tried.run()
    assert share(tried) == 1.0
    tried.decide("reject", "2")
    tried.put(replace(step, verdict_id="late"))
    tried.run()
    assert tried.registry.aliases() == Aliases("1")
    assert kinds(tried) == ["start", "step", "step", "reject"]


def test_each_step_is_told_once(tried: Rig) -> None:
    for _ in range(3):
        tried.outcomes(BETTER)
    told = [said for said in tried.published("promotions").values() if said.action == "step"]
    assert [(said.version, said.champion) for said in told] == [("2", "1")] * 2
    assert ["25% of traffic" in said.reason for said in told] == [True, False]


@pytest.mark.parametrize("calls", range(1, 40, 2))
def test_a_crash_at_any_call_leads_to_the_same_share_and_ledger(contract: Contract, rig_of: RigOf, calls: int) -> None:
    rig = on_trial(rig_of(climbing(contract)))
    rig.crash_after(calls)
    rig.outcomes(BETTER)
    rig.run(25)  # a verdict that seems to be lost is given again
    assert share(rig) == rig.cases.load().share == 0.25
    assert kinds(rig) == ["start", "step"]
    assert [said.action for said in rig.published("promotions").values()][-1] == "step"


@pytest.mark.parametrize("looks", [1, 3])  # what was found asks for more traffic, and for all of it
def test_a_person_who_takes_a_challenger_away_overrules_what_was_found_just_before(tried: Rig, looks: int) -> None:
    for _ in range(looks - 1):
        tried.outcomes(BETTER)
    tried.label(BETTER)
    tried.run_until_published("canary_verdicts")
    tried.registry.set_alias("challenger", None)
    tried.run()
    assert tried.registry.aliases() == Aliases("1")
    assert kinds(tried)[-1] == "reject"

"""What operators decide through the registry's tags, on the healer's two halves and the judge together."""

from itertools import count
from typing import Any

import pytest

from homeostat.ports import Aliases, OperatorDecision
from homeostat.records import Arm, CaseState, DriftStatus, Outcome

Rig = Any  # of conftest, which tests can't import

MANY = 25 * 24  # hours: longer than any canary or cooldown


def last(rig: Rig) -> Any:
    return [e for e in rig.ledger.entries() if e.kind != "left_alone"][-1]


@pytest.fixture
def tried(rig: Rig) -> Rig:
    """Champion 1 serves, its challenger 2 is in the canary."""
    rig.first_champion()
    rig.canary()
    return rig


def test_an_approved_challenger_is_promoted_whatever_the_evidence(tried: Rig) -> None:
    assert tried.decide("approve", "2", "the old one must go") == "done: version 2 was promoted and serves now"
    assert tried.registry.aliases() == Aliases("2", None, "1")
    assert tried.cases.load().state is CaseState.COOLDOWN
    entry = last(tried)
    assert (entry.kind, entry.actor, entry.payload["evidence"]["rows"]) == ("promote", "operator:ann", 0)
    assert entry.payload["reason"].startswith("approved by ann: the old one must go; evidence so far: too early")


def test_the_evidence_so_far_goes_into_the_ledger_with_the_approval(tried: Rig) -> None:
    tried.outcomes({"1": 0.6, "2": 0.6}, hours=4)
    tried.decide("approve", "2")
    evidence = last(tried).payload["evidence"]
    assert evidence["rows"] == 18  # complete blocks only
    assert (evidence["champion"], evidence["challenger"]) == ("1", "2")


def test_an_approval_overrules_a_rejection_found_at_the_same_look(tried: Rig) -> None:
    tried.registry.decide(OperatorDecision("2", "approve"))
    tried.outcomes({"1": 0.7, "2": 0.6})
    assert tried.registry.aliases().champion == "2"
    assert last(tried).actor == "operator"


def test_a_rejected_challenger_is_taken_away(tried: Rig) -> None:
    assert tried.decide("reject", "2") == "done: version 2 was rejected, version 1 goes on serving"
    assert tried.registry.aliases() == Aliases("1", None, None)
    assert tried.cases.load().state is CaseState.COOLDOWN
    assert (last(tried).kind, last(tried).actor) == ("reject", "operator:ann")


@pytest.mark.parametrize("scores", [{"1": 0.6, "2": 0.7}, {"1": 0.7, "2": 0.6}, {}])
def test_a_held_canary_is_neither_promoted_nor_rejected_nor_does_it_expire(tried: Rig, scores: dict) -> None:
    assert tried.decide("hold", "2") == "done: version 2 stays in its canary until it is approved or rejected"
    if scores:
        tried.outcomes(scores)
    tried.run(MANY)
    assert tried.cases.load().state is CaseState.CANARY
    assert (last(tried).kind, last(tried).actor) == ("hold", "operator:ann")
    assert tried.decide("approve", "2").startswith("done: ")
    assert not tried.cases.load().held


def test_a_hold_given_twice_is_one_hold(tried: Rig) -> None:
    first = tried.decide("hold", "2")
    assert tried.decide("hold", "2") == first
    assert [e.kind for e in tried.ledger.entries()].count("hold") == 1


def test_a_verdict_won_before_the_hold_was_seen_is_not_carried_out(tried: Rig) -> None:
    tried.outcomes({"1": 0.6, "2": 0.65}, hours=1)
    judge, promote = tried.workers[-2:]
    tried.registry.decide(OperatorDecision("2", "hold"))
    promote.run_once(tried.now)  # the judge has not looked since
    tried.outcomes({"1": 0.6, "2": 0.7})
    assert judge.run_once(tried.now) == 0
    assert tried.registry.aliases() == Aliases("1", "2", None, 0.1)


ON_ITS_WAY = {  # what the loop has found, on the version a person decides on meanwhile, and what becomes of it
    "reject-promote": ({"1": 0.6, "2": 0.7}, "reject", "2", "reject", Aliases("1")),
    "hold-promote": ({"1": 0.6, "2": 0.7}, "hold", "2", "hold", Aliases("1", "2", None, 0.1)),
    "hold-reject": ({"1": 0.7, "2": 0.6}, "hold", "2", "hold", Aliases("1", "2", None, 0.1)),
    "approve-reject": ({"1": 0.7, "2": 0.6}, "approve", "2", "promote", Aliases("2", None, "1")),
}


@pytest.mark.parametrize("case", ON_ITS_WAY)
def test_what_a_person_decides_before_the_aliases_move_wins_over_the_verdict_on_its_way(tried: Rig, case: str) -> None:
    scores, word, version, kind, aliases = ON_ITS_WAY[case]
    tried.label(scores)
    tried.run_until_published("canary_verdicts")
    assert tried.decide(word, version).startswith("done: ")
    assert tried.registry.aliases() == aliases
    said = [(e.kind, e.actor) for e in tried.ledger.entries() if e.payload.get("version") == "2"]
    assert said == [("start", "homeostat"), (kind, "operator:ann")]


def test_a_champion_rolled_back_while_its_challengers_promotion_is_on_its_way_gives_way_to_who_it_replaced(
    tried: Rig,
) -> None:
    tried.decide("approve", "2")
    tried.run(25)
    tried.canary()
    tried.label({"2": 0.6, "3": 0.7})
    tried.run_until_published("canary_verdicts")
    assert tried.decide("rollback", "2").startswith("done: ")
    assert tried.registry.aliases() == Aliases("1", None, "1")


def test_what_the_ledger_has_already_is_brought_to_its_end_before_a_later_decision(tried: Rig) -> None:
    tried.label({"1": 0.6, "2": 0.7})
    tried.run_until_published("canary_verdicts")
    calls = count(1)
    while last(tried).kind != "promote":
        tried.run_part_way(next(calls))
    assert tried.decide("reject", "2").startswith("refused: ")
    assert (tried.registry.aliases(), last(tried).kind) == (Aliases("2", None, "1"), "promote")


def failing(rig: Rig) -> None:
    """Let the challenger fail to score for half a day."""
    rows = [
        Outcome(f"f{i}", "e", rig.now, None, None, Arm.CHAMPION, "1", 0.5, {"1": 0.5}) for i in range(80)
    ]  # fmt: skip
    rig.put(*rows)
    rig.now += 2 * (rig.contract.canary.block)
    rig.put(Outcome("later", "e", rig.now, None, None, Arm.CHAMPION, "1", 0.5, {"1": 0.5}))
    rig.run()


@pytest.mark.parametrize("state", [CaseState.CANARY, CaseState.WAITING])
def test_a_challenger_that_breaks_a_guardrail_goes_although_it_is_held(
    rig: Rig, manual_rig: Rig, state: CaseState
) -> None:
    tried = rig if state is CaseState.CANARY else manual_rig
    tried.first_champion()
    tried.canary()
    if state is CaseState.WAITING:
        tried.outcomes({"1": 0.6, "2": 0.7})
    tried.decide("hold", "2")
    assert tried.cases.load().state is state
    failing(tried)
    if state is CaseState.CANARY:
        assert last(tried).kind == "reject"
        assert "failed to score" in last(tried).payload["reason"]
        assert tried.registry.aliases().challenger is None


def test_a_bad_champion_is_rolled_back_although_its_challenger_is_held(tried: Rig) -> None:
    tried.outcomes({"1": 0.6, "2": 0.7})
    tried.run(25)
    tried.canary()
    tried.decide("hold", "3")
    tried.outcomes({"1": 0.7, "2": 0.6, "3": 0.6}, hours=14)
    assert tried.registry.aliases() == Aliases("1", None, "1")
    assert not tried.cases.load().held


def test_a_rollback_gives_the_traffic_back_and_ends_an_open_case(tried: Rig) -> None:
    tried.decide("approve", "2")
    tried.run(25)
    tried.canary()
    assert tried.registry.aliases() == Aliases("2", "3", "1", 0.1)
    answer = tried.decide("rollback", "2", "complaints")
    assert answer == "done: version 2 was rolled back, version 1 serves again"
    assert tried.registry.aliases() == Aliases("1", None, "1")
    assert tried.cases.load().state is CaseState.COOLDOWN
    assert (last(tried).kind, last(tried).actor) == ("rollback", "operator:ann")
    assert last(tried).payload["reason"].startswith("rolled back by ann: complaints; evidence so far: ")


def test_a_rollback_may_stand_on_the_model_itself(tried: Rig) -> None:
    tried.decide("approve", "2")
    assert tried.decide("rollback").startswith("done: ")
    assert tried.registry.aliases().champion == "1"


def test_a_version_rolled_back_and_brought_back_by_hand_can_be_rolled_back_again(tried: Rig) -> None:
    tried.decide("approve", "2")
    tried.decide("rollback", "2")
    tried.run(25)
    tried.registry.set_alias("champion", "2")
    assert tried.decide("rollback", "2").startswith("done: ")
    assert [e.kind for e in tried.ledger.entries()].count("rollback") == 2


def test_a_training_is_had_without_drift_and_during_a_cooldown(rig: Rig) -> None:
    rig.first_champion()
    rig.report(DriftStatus.HEALTHY)
    answer = rig.decide("retrain", "1", "new prices tomorrow")
    assert answer.startswith("done: case ")
    assert rig.registry.aliases().challenger == "2"
    (entry,) = [e for e in rig.ledger.entries() if e.kind == "case_opened" and e.actor != "homeostat"]
    assert (entry.actor, entry.payload["champion"]) == ("operator:ann", "1")
    assert entry.payload["reason"] == "a training was asked for by ann: new prices tomorrow"
    assert len(rig.cases.load().trained_at) == 2
    rig.decide("reject", "2")
    assert rig.cases.load().state is CaseState.COOLDOWN
    assert rig.decide("retrain").startswith("done: ")
    assert rig.registry.aliases().challenger == "3"


def test_a_cold_start_may_be_asked_for_on_the_model_itself(rig: Rig) -> None:
    assert rig.decide("retrain").startswith("done: ")
    assert rig.registry.aliases().champion == "1"


def test_a_training_beyond_the_budget_is_refused_and_had_when_there_is_some_again(rig: Rig) -> None:
    rig.first_champion()
    for version in "23":
        rig.decide("retrain")
        rig.decide("reject", version)
    assert rig.decide("retrain") == "refused: 3 trainings within 30d, all that the budget allows"
    rig.run(31 * 24)
    assert rig.decide("retrain").startswith("done: ")


IMPOSSIBLE = {
    ("approve", "1"): "version 1 serves already",
    ("approve", None): "set approve on the challenger, version 2",
    ("reject", "3"): "version 3 is not the challenger: version 2 is",
    ("rollback", "1"): "version 1 replaced nobody",
    ("rollback", "2"): "version 2 does not serve: set rollback on the champion, version 1",
    ("retrain", None): "is open: approve or reject version 2 in its canary first",
    ("aprove", "2"): "did you mean 'approve'?",
    ("", "2"): "expected one of approve, reject, hold, rollback, retrain",
}


@pytest.mark.parametrize(("word", "version"), IMPOSSIBLE)
def test_what_can_not_be_done_is_refused_with_the_reason_and_changes_nothing(
    tried: Rig, word: str, version: str | None
) -> None:
    if (word, version) in {("approve", "1"), ("reject", "3")}:
        tried.registry.register(tried.registry.load("2"), "a stranger")
    before = tried.registry.aliases(), tried.cases.load(), tried.ledger.entries()
    answer = tried.decide(word, version)
    assert answer.startswith("refused: ")
    assert (IMPOSSIBLE[word, version] in answer) or (word, version) == ("approve", "1")
    assert (tried.registry.aliases(), tried.cases.load(), tried.ledger.entries()) == before
    assert tried.registry.decisions() == []


@pytest.mark.parametrize("word", ["approve", "reject", "hold"])
def test_without_a_canary_nothing_can_be_approved_rejected_or_held(rig: Rig, word: str) -> None:
    rig.first_champion()
    rig.registry.register(rig.registry.load("1"), "by somebody else")
    assert "version 2 is not in a canary" in rig.decide(word, "2")
    assert "version 1 serves already" in rig.decide(word, "1")
    assert rig.registry.aliases() == Aliases("1", None, None)


def test_the_way_back_is_taken_once(tried: Rig) -> None:
    tried.decide("approve", "2")
    tried.decide("rollback", "2")
    assert "the way back was taken already" in tried.decide("rollback", "1")


def test_a_word_in_capitals_with_blanks_and_without_a_name_is_understood(tried: Rig) -> None:
    tried.registry.tag("2", {"homeostat.decision": " Approve "})  # as a person types into the registry's page
    tried.run()
    assert tried.registry.aliases().champion == "2"
    assert last(tried).actor == "operator"
    assert last(tried).payload["reason"].startswith("approved by an operator; evidence so far")


def test_who_and_why_may_stand_in_the_one_tag(tried: Rig) -> None:
    tried.registry.tag("2", {"homeostat.decision": "approve by Ann Lee: the old one must go"})
    tried.run()
    assert tried.registry.aliases().champion == "2"
    assert last(tried).actor == "operator:Ann Lee"
    assert last(tried).payload["reason"].startswith("approved by Ann Lee: the old one must go; evidence so far")


def test_several_decisions_at_once_are_each_answered(tried: Rig) -> None:
    tried.registry.decide(OperatorDecision("1", "rollback"))
    tried.registry.decide(OperatorDecision(None, "retrain"))
    tried.decide("approve", "2")
    assert tried.registry.decisions() == []
    assert tried.registry.answered("1").startswith("refused: ")
    assert tried.registry.answered(None).startswith("refused: ")
    assert tried.registry.aliases().champion == "2"

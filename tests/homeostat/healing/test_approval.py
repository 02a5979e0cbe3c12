"""A contract that asks for approval: a proven challenger waits in its canary for an operator."""

from typing import Any

import pytest

from homeostat.ports import Aliases
from homeostat.records import CaseState

Rig = Any  # of conftest, which tests can't import

MANY = 25 * 24  # hours: longer than any canary or cooldown


def last(rig: Rig) -> Any:
    return [e for e in rig.ledger.entries() if e.kind != "left_alone"][-1]


@pytest.fixture
def waiting(manual_rig: Rig) -> Rig:
    """Challenger 2 has proven itself and nobody has said a word."""
    manual_rig.first_champion()
    manual_rig.canary()
    manual_rig.outcomes({"1": 0.6, "2": 0.7})
    return manual_rig


def test_the_first_champion_needs_no_approval_and_the_ledger_says_so(manual_rig: Rig) -> None:
    manual_rig.first_champion()
    assert manual_rig.registry.aliases().champion == "1"
    assert "no approval asked for as nothing serves yet" in last(manual_rig).payload["reason"]


def test_a_proven_challenger_waits_for_its_approval(waiting: Rig) -> None:
    case = waiting.cases.load()
    assert case.state is CaseState.WAITING
    assert case.reason.startswith("better than the champion: ")
    assert waiting.registry.aliases() == Aliases("1", "2", None, 0.1)
    assert waiting.registry.load("2").tags["homeostat.outcome"] == "waiting_for_approval"
    assert (last(waiting).kind, last(waiting).actor) == ("waiting", "homeostat")
    waiting.run(MANY)
    assert waiting.cases.load().state is CaseState.WAITING
    assert waiting.cases.load().since == case.since


@pytest.mark.parametrize(("word", "champion"), [("approve", "2"), ("reject", "1")])
def test_a_waiting_challenger_is_approved_or_rejected(waiting: Rig, word: str, champion: str) -> None:
    assert waiting.decide(word, "2").startswith("done: ")
    assert waiting.registry.aliases().champion == champion
    assert waiting.cases.load().state is CaseState.COOLDOWN
    assert last(waiting).actor == "operator:ann"
    assert last(waiting).payload["evidence"]["rows"] >= 50


@pytest.mark.parametrize(("alias", "version", "champion"), [("champion", "2", "2"), ("challenger", None, "1")])
def test_a_waiting_challengers_aliases_may_be_moved_by_hand(
    waiting: Rig, alias: str, version: str | None, champion: str
) -> None:
    waiting.registry.set_alias(alias, version)
    waiting.run()
    assert waiting.cases.load().state is CaseState.COOLDOWN
    assert waiting.registry.aliases().champion == champion


def test_a_waiting_challengers_evidence_is_kept_fresh(waiting: Rig) -> None:
    before = waiting.cases.load().reason
    waiting.outcomes({"1": 0.6, "2": 0.7})
    waiting.run(25)
    assert waiting.cases.load().reason != before
    assert waiting.registry.load("2").tags["homeostat.reason"] == waiting.cases.load().reason


def test_a_challenger_that_turns_out_worse_while_it_waits_is_rejected(waiting: Rig) -> None:
    waiting.outcomes({"1": 0.9, "2": 0.5})
    waiting.outcomes({"1": 0.9, "2": 0.5})
    assert last(waiting).kind == "reject"
    assert last(waiting).payload["reason"].startswith("worse than the champion")

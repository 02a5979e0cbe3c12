"""The registry is gone for good, with all it held: the ledger knows who served, and the loop begins anew."""

import pytest

from homeostat.healing.serving import serving_at
from homeostat.records import CaseState
from tests.homeostat.healing.conftest import HOUR, Rig


@pytest.fixture
def bereft(promoted: Rig) -> Rig:
    registry = promoted.registry
    for held in (registry._packages, registry._by_request, registry._aliases, registry._model_tags):
        held.clear()
    return promoted


def test_the_ledger_verifies_and_says_who_served_when(bereft: Rig) -> None:
    lost_at = bereft.now
    bereft.run(1)
    entries = bereft.ledger.entries()
    assert bereft.ledger.verify() == len(entries)
    assert serving_at(entries, lost_at).shares == {"2": 1.0}
    [promoted] = [entry for entry in entries if entry.kind == "promote" and entry.payload["version"] == "2"]
    assert serving_at(entries, promoted.at - HOUR).champion == "1"


def test_the_loop_says_that_nobody_serves_and_finds_a_first_champion_again(bereft: Rig) -> None:
    bereft.run(1)
    gone = bereft.ledger.entries()[-1]
    assert (gone.kind, gone.payload["champion"]) == ("put_back", None)
    assert serving_at(bereft.ledger.entries(), bereft.now).shares == {}
    bereft.first_champion()
    assert bereft.registry.aliases().champion == "1"
    assert bereft.cases.load().state is not CaseState.TRAINING
    assert bereft.ledger.verify() == len(bereft.ledger.entries())
    assert serving_at(bereft.ledger.entries(), bereft.now).shares == {"1": 1.0}

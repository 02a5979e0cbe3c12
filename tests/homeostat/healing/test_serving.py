"""Who served at a moment, from the ledger."""

from typing import Any

import pytest

from homeostat.healing.serving import Serving, serving_at
from homeostat.ports import ModelPackage

Rig = Any  # of conftest, which tests can't import


def test_before_the_first_promotion_nobody_served(rig: Rig) -> None:
    assert serving_at(rig.ledger.entries(), rig.now) == Serving()
    assert Serving().shares == {}


def test_every_change_is_seen_from_its_moment_on_and_none_before(rig: Rig) -> None:
    moments = []

    def note() -> None:
        moments.append((rig.now, rig.registry.aliases()))
        rig.run(1)

    rig.first_champion()
    note()
    rig.canary()
    note()
    rig.decide("approve", "2")
    note()
    rig.decide("rollback", "2")
    note()
    rig.run(25)
    rig.registry.set_alias("champion", "2")
    rig.run()
    note()
    for time, aliases in moments:
        found = serving_at(rig.ledger.entries(), time)
        assert (found.champion, found.challenger) == (aliases.champion, aliases.challenger)
    first, canary = (serving_at(rig.ledger.entries(), time) for time, _ in moments[:2])
    assert first.shares == {"1": 1.0}
    assert canary.shares == pytest.approx({"1": 0.9, "2": 0.1})


def test_a_champion_that_was_there_before_the_loop_is_known_from_when_it_was_adopted(rig: Rig) -> None:
    rig.registry.set_alias("champion", rig.registry.register(ModelPackage({}), "brought along"))
    rig.run()
    assert serving_at(rig.ledger.entries(), rig.now).shares == {"1": 1.0}

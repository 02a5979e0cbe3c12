"""The registry is lost for one call: no verdict waits for its cooldown then, and no change stays untold."""

import pytest

from homeostat.records import Promotion
from tests.homeostat.healing.conftest import Rig

pytestmark = [
    pytest.mark.parametrize("carried_out", [True, False], ids=["carried out", "not"]),
    pytest.mark.parametrize("calls", range(14)),
]


@pytest.fixture
def canary(rig: Rig) -> Rig:
    rig.first_champion()
    rig.canary()
    return rig


def test_a_verdict_is_carried_out_as_soon_as_it_is_back(canary: Rig, calls: int, *, carried_out: bool) -> None:
    canary.label({"1": 0.6, "2": 0.7})
    canary.lose_registry(calls, 0, carried_out=carried_out)
    canary.run()
    assert canary.registry.aliases().champion == "2"


def test_a_promotion_by_hand_is_told(canary: Rig, calls: int, *, carried_out: bool) -> None:
    canary.registry.set_alias("champion", "2")
    canary.lose_registry(calls, 0, carried_out=carried_out)
    canary.run()
    told = [one for one in canary.published("promotions").values() if isinstance(one, Promotion)]
    assert ("promote", "2") in [(one.action, one.version) for one in told]

from hypothesis import given
from hypothesis import strategies as st

from homeostat.canary.routing import arm_of, position, propensity
from homeostat.records import Arm

SHARES = st.floats(0, 1)


@given(st.text(), st.text())
def test_a_position_lies_in_the_half_open_unit_interval(entity: str, salt: str) -> None:
    assert 0 <= position(entity, salt) < 1


@given(st.text(), st.text(), SHARES, SHARES)
def test_raising_the_share_never_moves_an_entity_back(entity: str, salt: str, a: float, b: float) -> None:
    low, high = sorted((a, b))
    if arm_of(entity, low, salt) is Arm.CHALLENGER:
        assert arm_of(entity, high, salt) is Arm.CHALLENGER


@given(st.text(), st.text(), SHARES)
def test_an_entity_keeps_its_arm(entity: str, salt: str, share: float) -> None:
    assert arm_of(entity, share, salt) is arm_of(entity, share, salt)


@given(st.text(), st.text())
def test_the_ends_of_the_share_are_exact(entity: str, salt: str) -> None:
    assert arm_of(entity, 0.0, salt) is Arm.CHAMPION
    assert arm_of(entity, 1.0, salt) is Arm.CHALLENGER


def test_the_share_is_met() -> None:
    n, share = 40_000, 0.1
    hits = sum(arm_of(f"entity-{i}", share, "7") is Arm.CHALLENGER for i in range(n))
    assert abs(hits / n - share) < 5 * (share * (1 - share) / n) ** 0.5


def test_another_challenger_is_answered_to_other_entities() -> None:
    first = {i for i in range(20_000) if arm_of(str(i), 0.1, "7") is Arm.CHALLENGER}
    both = [i for i in first if arm_of(str(i), 0.1, "8") is Arm.CHALLENGER]
    assert 0.07 < len(both) / len(first) < 0.13


def test_a_position_does_not_change_between_releases() -> None:
    assert round(position("entity-1", "3"), 12) == 0.730070486974


def test_propensities_of_both_arms_add_up_to_one() -> None:
    assert propensity(Arm.CHAMPION, 0.1) + propensity(Arm.CHALLENGER, 0.1) == 1

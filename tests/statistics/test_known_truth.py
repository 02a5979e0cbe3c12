import pytest

from homeostat.examples.streams.kinds import Kind
from tests.statistics.known_truth import Run, run
from tests.statistics.prove_healing import share, table


@pytest.fixture(scope="module")
def abrupt() -> Run:
    return run(Kind.ABRUPT, seed=2)


@pytest.fixture(scope="module")
def calm() -> Run:
    return run(Kind.CALM, seed=6)


def test_an_abrupt_change_is_healed_within_three_weeks_and_not_before_it_came(abrupt: Run) -> None:
    assert abrupt.healed
    assert abrupt.delays[0] is not None
    assert abrupt.delays[0] < 21 * 350
    assert (abrupt.early, abrupt.wrong, abrupt.rollbacks) == (0, 0, 0)


def test_the_change_hurt_and_an_oracle_would_have_healed_more(abrupt: Run) -> None:
    assert abrupt.frozen > 0.05
    assert abrupt.oracle < abrupt.served < abrupt.frozen


def test_a_calm_stream_keeps_its_first_champion(calm: Run) -> None:
    assert (calm.promotions, calm.rollbacks, calm.delays) == (0, 0, [])
    assert calm.left == pytest.approx(1)
    assert calm.frozen < 0.03  # nats a row: what a model of so few rows lacks


def test_the_table_has_a_line_a_kind_and_every_share_its_interval(abrupt: Run, calm: Run) -> None:
    lines = table([abrupt, calm]).splitlines()
    assert [line.count("|") for line in lines if line] == [11, 11, 11, 6, 6, 6]
    assert "1 of 1 (3 to 100 %)" in lines[2]
    assert "0 of 1 (0 to 98 %)" in lines[-1]
    assert share(19, 20) == "19 of 20 (75 to 100 %)"

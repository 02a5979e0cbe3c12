from datetime import UTC, datetime

import pytest

from homeostat.contract.model import Contract
from homeostat.drift.budget import policy_in_force
from homeostat.inspection.blindness import blind_lines
from homeostat.inspection.drift import told_limits, told_report
from homeostat.records import DriftReport, DriftScore, DriftStatus
from tests.statistics.drift_nulls import CONTRACT

AT = datetime(2030, 1, 1, tzinfo=UTC)
MONTHLY = {"false_retrainings": 1, "per": "30d", "effect": 0.3}
NARROW = DriftScore("load", 0.01, 0.04, 0.02, 0.08, 0.6, drifted=False, floor_rate=1e-6)


def blind(name, limit, rate=None, training=None):
    return DriftScore(name, 0.1, limit, None, None, 0.6, drifted=False, floor_rate=rate, floor_training=training)


def contract(**drift):
    return Contract.model_validate({**CONTRACT, "drift": drift})


def lines(*scores, **drift):
    told = told_report(DriftReport("r", AT, AT, AT, 900, DriftStatus.HEALTHY, "1", features=scores))
    return blind_lines(told, told_limits(contract(**drift)))


def test_columns_whose_limit_lies_beyond_the_shift_to_be_seen_are_named():
    first = lines(NARROW, blind("temp", 2.25, 0.5), blind("text", 1.44, 0.5), alarms=MONTHLY)[0]
    assert first == (
        "a shift of 0.3 deviations shows in 1 of 3 columns; the least that calm windows leave to be seen: "
        "temp 1.5, text 1.2"
    )
    assert lines(NARROW, alarms=MONTHLY) == []
    assert lines(alarms=MONTHLY) == []


def test_a_look_from_before_it_was_reckoned_names_what_may_help():
    (line,) = lines(blind("temp", 2.25), alarms=MONTHLY)
    assert line.endswith("temp 1.5. A longer training span or window, fewer looks, or a larger alarm budget lowers it")


def test_the_cause_and_the_least_cures_are_reckoned():
    scores = NARROW, blind("temp", 2.25, 0.01, 4), blind("text", 1.44, 0.004), blind("rain", 9.0, 0.6)
    assert lines(*scores, alarms=MONTHLY)[1] == (
        "2,880 looks share 1 false retrainings in 30d, so one may alarm by chance with 0.00069 (drift.every, "
        "drift.alarms); drift.every: 4h shows it in 2 of the 3; drift.alarms.false_retrainings: 5.8 shows it in 1 of "
        "the 3; 4 times the training span shows it in 1 of the 3; in rain none of these does: calm windows lie too far "
        "apart, which leaves a longer drift.window"
    )


@pytest.mark.parametrize("rate", [0.0011, 0.004, 0.01])
def test_what_is_advised_gives_the_rate_that_the_column_needs(rate):
    words = lines(blind("temp", 2.25, rate), alarms=MONTHLY)[1]
    every = words.partition("drift.every: ")[2].split()[0]
    assert policy_in_force(contract(alarms=MONTHLY, every=every)).false_discovery_rate >= rate
    if more := words.partition("drift.alarms.false_retrainings: ")[2]:
        allowed = MONTHLY | {"false_retrainings": float(more.split()[0])}
        assert rate <= policy_in_force(contract(alarms=allowed)).false_discovery_rate <= 1.1 * rate


def test_looks_too_rare_for_the_window_are_no_cure():
    words = lines(blind("temp", 2.25, 0.06), alarms=MONTHLY)[1]
    assert "drift.every: " not in words
    assert "in temp neither fewer looks, more alarms nor 8 times the training does" in words


def test_a_rate_that_is_written_by_hand_is_what_is_to_be_raised():
    words = lines(blind("temp", 2.25, 0.034), false_discovery_rate=0.01)[1]
    assert words == (
        "however many looks there are, one may alarm by chance with 0.01 (drift.false_discovery_rate); "
        "drift.false_discovery_rate: 0.034 shows it in 1 of the 1"
    )
    both = lines(blind("temp", 2.25, 0.034), false_discovery_rate=0.01, alarms=MONTHLY)[1]
    assert both == words

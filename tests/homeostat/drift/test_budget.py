from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from homeostat.contract.model import Contract
from homeostat.drift.budget import false_retrainings, policy_in_force


def contract(healing=None, **drift):
    return Contract.model_validate(
        {
            "product": "parcels",
            "event": {"entity": "depot", "fields": {"depot": "string", "weight": "number"}},
            "label": {"field": "late", "delay": "1h", "maturity": "1d"},
            "features": {"weight": {"field": "weight"}},
            "drift": drift,
            "healing": healing or {},
        }
    )


def test_without_a_budget_the_policy_is_as_written():
    written = contract(false_discovery_rate=0.03, min_psi=0.2)
    assert policy_in_force(written) is written.drift


def test_a_budget_is_divided_over_the_looks_of_its_span():
    written = contract(every="15m", alarms={"false_retrainings": 1.0, "per": "30d"}, healing={"confirm": 2})
    assert policy_in_force(written).false_discovery_rate == pytest.approx(2 / 2880)
    assert false_retrainings(written, timedelta(days=30)) == pytest.approx(1.0)


def test_the_effect_gives_both_floors_of_a_normal_column():
    policy = policy_in_force(contract(alarms={"false_retrainings": 1.0, "effect": 0.5}))
    assert policy.min_psi == 0.25
    assert policy.min_ks == pytest.approx(norm.cdf(0.25) - norm.cdf(-0.25))


def test_what_is_written_by_hand_stays():
    policy = policy_in_force(contract(min_psi=0.07, alarms={"false_retrainings": 1.0}))
    assert policy.min_psi == 0.07
    assert policy.min_ks != 0.1


def test_a_generous_budget_does_not_make_a_look_meaningless():
    policy = policy_in_force(contract(every="7d", alarms={"false_retrainings": 90.0}))
    assert policy.false_discovery_rate == 0.25


@given(st.floats(0.01, 5), st.integers(1, 90), st.integers(1, 24), st.integers(1, 5))
def test_the_expected_number_of_false_cases_never_exceeds_the_budget(allowed, days, hours, confirm):
    written = contract(
        every=f"{hours}h",
        alarms={"false_retrainings": allowed, "per": f"{days}d"},
        healing={"confirm": confirm},
    )
    assert false_retrainings(written, timedelta(days=days)) <= allowed * (1 + 1e-9)

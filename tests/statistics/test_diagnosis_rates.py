"""The short form of ``prove_diagnosis``: the rates that it states, on fewer trials."""

import pytest

from tests.statistics.prove_diagnosis import Trials, synthetic

FAULTS = ("unit x8 and more", "swapped columns", "stuck value", "null burst", "vanished category")


@pytest.fixture(scope="module")
def tallies():
    trials = Trials()
    synthetic(trials, 8, seed=5)
    return {what: tally for (_, what), tally in trials.tallies.items()}


@pytest.mark.parametrize("what", FAULTS)
def test_at_least_95_percent_of_injected_faults_are_named_rightly(tallies, what):
    assert tallies[what].of >= (25 if what == "vanished category" else 80)  # one column has common texts
    assert tallies[what].hits >= 0.95 * tallies[what].of


def test_under_1_percent_of_true_drifts_are_called_broken(tallies):
    drifts = [tally for what, tally in tallies.items() if what not in FAULTS and not what.startswith("unit")]
    assert sum(tally.of for tally in drifts) >= 400
    assert sum(tally.hits for tally in drifts) < 0.01 * sum(tally.of for tally in drifts)

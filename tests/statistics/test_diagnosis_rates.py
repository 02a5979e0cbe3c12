"""The short form of ``prove_diagnosis``: the rates that it states, on fewer trials."""

import pytest

from tests.statistics.calm_pieces import STARTS
from tests.statistics.prove_diagnosis import Trials, on_calm_features, on_flights, synthetic

FAULTS = {"unit x8 and more": 80, "swapped columns": 80, "stuck value": 80, "null burst": 80, "vanished category": 25}
"""Each fault, and of how many trials at least its rate is told; one drawn column alone has common texts."""
ON_FLIGHTS = {"unit x8 and more": 60, "stuck value": 60, "null burst": 80, "vanished category": 40}


@pytest.fixture(scope="module")
def tallies():
    trials = Trials()
    synthetic(trials, 8, seed=5)
    on_flights(trials, 8, seed=5)
    return trials.tallies


def drifts(tallies, where):
    return [
        tally
        for (place, what), tally in tallies.items()
        if place == where and what not in FAULTS and not what.startswith("unit")
    ]


@pytest.mark.parametrize("what", FAULTS)
def test_at_least_95_percent_of_injected_faults_are_named_rightly(tallies, what):
    tally = tallies["drawn", what]
    assert tally.of >= FAULTS[what]
    assert tally.hits >= 0.95 * tally.of


@pytest.mark.parametrize("what", ON_FLIGHTS)
def test_at_least_95_percent_of_faults_in_the_flights_year_are_named_rightly(tallies, what):
    tally = tallies["flights", what]
    assert tally.of >= ON_FLIGHTS[what]
    assert tally.hits >= 0.95 * tally.of


@pytest.mark.parametrize(("where", "least"), [("drawn", 400), ("flights", 160)])
def test_under_1_percent_of_true_drifts_are_called_broken(tallies, where, least):
    found = drifts(tallies, where)
    assert sum(tally.of for tally in found) >= least
    assert sum(tally.hits for tally in found) < 0.01 * sum(tally.of for tally in found)


def test_of_the_faults_in_the_flights_year_few_look_like_calm_rows(tallies):
    left_out = {what: tally.left_out for (where, what), tally in tallies.items() if where == "flights"}
    assert left_out["stuck value"] <= 2 * 8  # visibility and rain at most, at what they are on most days
    assert left_out["unit x8 and more"] <= 8
    assert left_out["null burst"] == left_out["vanished category"] == 0


def test_no_calm_piece_of_the_demos_own_features_is_called_broken():
    trials = Trials()
    on_calm_features(trials, STARTS[3:4])
    (tally,) = trials.tallies.values()
    assert tally.of > 300
    assert not tally.others

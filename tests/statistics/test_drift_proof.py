"""A short form of ``make prove-drift``: budgets hold on calm series, and changes of every family are found."""

import numpy as np
import pytest
from scipy.stats import binom, chi2

from tests.statistics.drift_kept import answers
from tests.statistics.drift_nulls import (
    Looks,
    Series,
    flights_series,
    found,
    looks_apart,
    looks_at_days,
    looks_at_vectors,
    mixed_series,
    told,
)
from tests.statistics.drift_power import BATCHES, WIDTH, Power, looks_of
from tests.statistics.drift_streams import CALM, CHANGE, COLUMNS, VECTORS, WORLDS, make
from tests.statistics.prove_drift import looks_table, power_table, series_table

SHOWN = (COLUMNS[0], COLUMNS[5], COLUMNS[-1], VECTORS[0], VECTORS[3], WORLDS[0], WORLDS[3], WORLDS[5])
KINDS = [(kind, kind in WORLDS) for kind in SHOWN]


def least_mean(cases):
    """The smallest budget that so many cases are compatible with, with 99.9 % confidence."""
    total = sum(cases)
    return chi2.ppf(0.001, 2 * total) / 2 / len(cases) if total else 0.0


def test_a_calm_series_of_overlapping_looks_stays_inside_its_budget():
    series = mixed_series("calm", 6, 0.5, 4, seed=1, looks=100)
    assert least_mean(series.cases) <= series.budget


def test_the_domain_classifier_alone_keeps_its_level_on_weeks_whose_rows_share_their_day():
    looks = looks_apart("weeks", 8, 0.5, 12, seed=1)
    assert binom.sf(looks.alarms(0.05) - 1, 12, 0.05) > 0.001


@pytest.mark.parametrize(
    ("look", "args"), [(looks_at_days, (0.5, 0)), (looks_at_days, (1.0, 16)), (looks_at_vectors, (200, 16))]
)
def test_vectors_and_days_with_a_mean_of_their_own_keep_the_level(look, args):
    assert binom.sf(look("calm", *args, 20, seed=1).alarms(0.05) - 1, 20, 0.05) > 0.001


@pytest.mark.parametrize(("moves", "size"), [(0.5, 0), (1.0, 0), (1.0, 16)])
def test_a_day_that_lies_four_times_as_far_off_as_days_do_is_found(moves, size):
    assert looks_at_days("moved", moves, size, 12, seed=1, shift=4.0).alarms(0.05) >= 10


@pytest.mark.parametrize("floors", [False, True])
def test_shuffled_flights_stay_inside_their_budget(floors):
    series = flights_series("flights", 1, seed=1, looks=40, floors=floors)
    assert least_mean(series.cases) <= series.budget
    assert not (floors and series.alarms)


@pytest.mark.parametrize(("kind", "labels"), KINDS, ids=lambda value: getattr(value, "name", ""))
def test_a_change_is_found_as_shipped(kind, labels):
    shipped = looks_of(make(kind, seed=5), labels=labels)["Homeostat, as shipped"]
    assert len(shipped) == BATCHES - WIDTH + 1
    assert any(shipped[CHANGE - WIDTH + 1 :])


@pytest.mark.parametrize("kind", CALM["columns"] + CALM["vectors"], ids=lambda kind: kind.family)
def test_columns_that_do_not_change_are_healthy_at_every_look(kind):
    assert not any(looks_of(make(kind, seed=6), labels=False)["Homeostat, as shipped"])


def test_the_domain_classifier_alone_finds_a_tie_that_no_column_shows_and_is_calm_before():
    limit, found = -np.log(0.001), 0
    for seed in (4, 5, 6):
        told = looks_of(make(COLUMNS[5], seed=seed), labels=False, apart=True)["Homeostat, domain classifier alone"]
        assert max(told[: CHANGE - WIDTH + 1]) < limit
        found += max(told[CHANGE:]) > limit
    assert found >= 2  # at one in a thousand the weaker of them may stay below it


def test_the_tables_have_a_line_for_each_experiment():
    assert "| a | 3 | 1 of 3" in looks_table([Looks("a", [0.001, 0.5, 1.0])])
    assert "| b | 2 | 100 | 1 | 0.50 (" in series_table([Series("b", 100, 1.0, [1, 0], alarms=3)])
    told = power_table([Power("shift", "Homeostat", [1, 3], 1, 100, [0, 2])])
    assert "| Homeostat | 50 (25 to ever) | 2.0 ± 12.7, missed 1 of 3 (" in told


def test_a_proof_that_was_stopped_goes_on_with_what_it_has(tmp_path):
    file = tmp_path / "kept.jsonl"
    first = answers(file, {"a": (told, (looks_at_days, "a", 0.5, 0, 2, 1))}, 1)
    assert found(first["a"]) == looks_at_days("a", 0.5, 0, 2, 1)
    file.write_text(file.read_text() + '["b", {"na')  # killed
    assert answers(file, {"a": (int, ("no number",)), "b": (abs, (-2,))}, 1) == {**first, "b": 2}
    assert answers(file, {"b": (int, ("no number",))}, 1) == {"b": 2}

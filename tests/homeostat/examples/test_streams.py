from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp
from typer.testing import CliRunner

from homeostat.cli.main import app
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.examples.streams.kinds import COURSES, Kind
from homeostat.examples.streams.stream import CONTRACT, EVENT, FILES, LABEL, Stream, make_stream
from homeostat.examples.streams.truth import BEFORE


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(CONTRACT)


@pytest.fixture(scope="module", params=list(Kind))
def stream(request: pytest.FixtureRequest) -> Stream:
    return make_stream(request.param, seed=5)


def test_the_stream_sends_the_fields_that_the_contract_names(contract: Contract) -> None:
    event = {contract.event.id, contract.event.time, *contract.event.fields}
    assert (set(EVENT), set(LABEL)) == (event, {contract.label.id, contract.label.time, contract.label.field})


def test_the_same_seed_gives_the_same_stream_and_another_seed_another(stream: Stream) -> None:
    assert stream.rows.equals(make_stream(stream.kind, seed=5).rows)
    assert not stream.rows.equals(make_stream(stream.kind, seed=6).rows)


def test_labels_come_as_often_as_the_truth_says_for_every_part_of_its_range(stream: Stream) -> None:
    rows = stream.rows.filter(pl.col("late").is_not_null())
    for _, part in rows.group_by(pl.col("truth").qcut(5)):
        truth = part["truth"].to_numpy()
        error = np.sqrt(np.sum(truth * (1 - truth)))
        assert abs(part["late"].sum() - truth.sum()) < 4 * error


def test_labels_come_late_but_within_their_maturity_and_some_never(stream: Stream, contract: Contract) -> None:
    delay = stream.rows.select(delay=pl.col("label_time") - pl.col("event_time"))["delay"]
    assert 0.01 < delay.null_count() / len(delay) < 0.03
    assert timedelta(0) < delay.min() < contract.label.delay / 3
    assert contract.label.delay * 3 < delay.max() < contract.label.maturity
    assert abs(delay.median() / contract.label.delay - 1) < 0.15


def test_traffic_has_a_daily_and_a_weekly_rhythm(stream: Stream) -> None:
    by_hour = np.bincount(stream.rows["event_time"].dt.hour().to_numpy())
    by_weekday = np.bincount(stream.rows["event_time"].dt.weekday().to_numpy())[1:]
    assert by_hour.max() > 3 * by_hour.min()
    assert by_weekday[6] < 0.7 * by_weekday[:5].mean()


def test_values_are_missing_one_by_one_and_for_hours_on_end(stream: Stream) -> None:
    gone = stream.rows["temperature"].is_null().to_numpy()
    assert 0.01 < gone.mean() < 0.1
    assert np.mean(gone[1:][gone[:-1]]) > 0.9
    lost = stream.rows["congestion"].is_null().to_numpy()
    assert abs(np.mean(lost[1:][lost[:-1]]) - lost.mean()) < 0.03


def test_who_does_not_notice_the_change_loses_by_it_and_a_calm_stream_has_none(stream: Stream) -> None:
    truth, world = stream.rows["truth"].to_numpy(), stream.rows["world"].to_numpy()
    old = 1 / (1 + np.exp(-BEFORE.log_odds(stream.rows)))
    excess = truth * np.log(truth / old) + (1 - truth) * np.log((1 - truth) / (1 - old))
    assert excess[world == 0].mean() < 0.01  # the backlog of the day, which no field shows
    assert (world.max() > 0) == bool(stream.changes) == (stream.kind is not Kind.CALM)
    if stream.changes:
        assert excess[world > 0.99].mean() > 0.06


def test_under_the_label_shift_late_parcels_look_as_they_always_did_but_there_are_more() -> None:
    stream = make_stream(Kind.LABEL_SHIFT, seed=5)
    before, after = stream.rows.filter(pl.col("world") == 0), stream.rows.filter(pl.col("world") == 1)
    assert after["truth"].mean() > 1.5 * before["truth"].mean()
    for name in ("weight_kg", "distance_km"):
        for late in (0, 1):
            pair = [part.filter(pl.col("late") == late)[name].to_numpy() for part in (before, after)]
            assert ks_2samp(*pair).pvalue > 0.001
        assert ks_2samp(before[name].to_numpy(), after[name].to_numpy()).pvalue < 0.001


def test_gradual_and_recurring_go_where_their_courses_say() -> None:
    gradual, recurring = (make_stream(kind, seed=5).rows["world"] for kind in (Kind.GRADUAL, Kind.RECURRING))
    assert gradual.is_sorted()
    assert 0.2 < gradual.is_between(0.01, 0.99).mean() < 0.3
    assert recurring.rle().len() == 4 == len(COURSES[Kind.RECURRING].turns) + 1


def test_the_command_writes_history_what_comes_later_the_truth_and_a_sound_contract(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["example", "label_shift", "--seed", "3", "--output", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(FILES)
    history, later = (pl.read_csv(tmp_path / "new" / name, try_parse_dates=True) for name in ("data.csv", "live.csv"))
    stream = make_stream(Kind.LABEL_SHIFT, seed=3)
    assert history.height + later.height == stream.rows.height
    assert history["event_time"].max() < stream.cut <= later["event_time"].min()
    assert history["label_time"].max() < stream.cut  # nothing of it was known only later
    assert "truth" not in history.columns + later.columns
    load_contract(tmp_path / "new" / "contract.yaml")


def test_the_command_leaves_a_folder_alone_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = CliRunner().invoke(app, ["example", "calm", "--output", str(tmp_path)])
    assert done.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

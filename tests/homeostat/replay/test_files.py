import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.contract.load import load_contract, parse_contract
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError, InvalidRecordError
from homeostat.features.parsing import EventParser, LabelParser
from homeostat.replay.files import Loaded, Reading, load_file
from homeostat.replay.moments import TimeReading
from homeostat.replay.recording import Track, from_us

CONTRACT = Path(__file__).parents[2] / "loop" / "turbines.yaml"
HEADER = "Turbine,Maker,LOAD,wind,event time,fails\n"
Load = Callable[..., Loaded]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(CONTRACT)


@pytest.fixture
def load(contract: Contract, tmp_path: Path) -> Load:
    def load(text: str, reading: Reading | None = None, using: Contract = contract) -> Loaded:
        path = tmp_path / "data.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_file(path, using, reading)

    return load


def messages(track: Track) -> list[dict[str, object]]:
    return [json.loads(value) for value in track.values]


def test_columns_belong_to_the_names_they_are_like(load: Load) -> None:
    loaded = load(HEADER + "t1,acme,1.5,2,2030-01-07 10:00:00,1\n")
    (event,) = messages(loaded.recording.events)
    assert event | {"event_id": ""} == {
        "event_id": "", "event_time": "2030-01-07T10:00:00Z",
        "turbine": "t1", "maker": "acme", "load": 1.5, "wind": 2.0,
    }  # fmt: skip
    (label,) = messages(loaded.recording.labels)
    assert label == {"event_id": event["event_id"], "label_time": "2030-01-07T20:00:00Z", "fails": 1}


def test_parquet_and_csv_of_the_same_rows_give_the_same_messages(contract: Contract, tmp_path: Path) -> None:
    at = datetime(2030, 1, 7, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "event_id": ["a", "b"],
            "turbine": ["t1", "t2"],
            "maker": ["acme", "bolt"],
            "load": [1.25, -3.0],
            "wind": [None, 0.5],
            "event_time": [at, at + timedelta(milliseconds=1500)],
            "label_time": [at + timedelta(hours=3), None],
            "fails": [True, None],
        }
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    rows.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")).write_csv(tmp_path / "rows.csv")
    typed, text = (load_file(tmp_path / name, contract).recording for name in ("rows.parquet", "rows.csv"))
    assert messages(typed.events) == messages(text.events)
    assert messages(typed.labels) == messages(text.labels) == [
        {"event_id": "a", "label_time": "2030-01-07T03:00:00Z", "fails": 1}
    ]  # fmt: skip
    assert typed.events.times.tolist() == text.events.times.tolist()


def test_numbers_and_answers_are_read_as_people_write_them(load: Load) -> None:
    text = "turbine;maker;load;wind;event_time;fails\nt1;acme;1.234,5;;07.01.2030 10:00;Yes\n"
    text += "t2;acme;2,25;n/a;25.01.2030 10:00;no\n"
    loaded = load(text)
    assert [event["load"] for event in messages(loaded.recording.events)] == [1234.5, 2.25]
    assert [event["wind"] for event in messages(loaded.recording.events)] == [None, None]
    assert [label["fails"] for label in messages(loaded.recording.labels)] == [1, 0]


def test_a_row_without_an_answer_is_an_event_without_a_label(load: Load) -> None:
    loaded = load(HEADER + "t1,acme,1,2,2030-01-07,\nt1,acme,1,2,2030-01-08,0\n")
    assert (len(loaded.recording.events), len(loaded.recording.labels)) == (2, 1)


def test_a_bad_cell_goes_out_as_it_stands_so_that_the_row_is_refused_with_the_reason(
    load: Load, contract: Contract
) -> None:
    loaded = load(HEADER + "t1,acme,lots,2,2030-01-07,1\nt1,acme,1,2,2030-01-07,1\n")
    bad, good = loaded.recording.events.values
    with pytest.raises(InvalidRecordError, match="field 'load' is \"lots\", expected a number"):
        EventParser(contract).parse(bad)
    EventParser(contract).parse(good)


def test_an_answer_that_is_none_is_refused_with_the_reason(load: Load, contract: Contract) -> None:
    rows = "".join(f"t1,acme,1,2,2030-01-07 10:{i % 60:02}:{i // 60:02},{i % 2}\n" for i in range(100))
    loaded = load(HEADER + rows + "t1,acme,1,2,2030-01-08,perhaps\n")
    with pytest.raises(InvalidRecordError, match="perhaps"):
        LabelParser(contract).parse(loaded.recording.labels.values[-1])


def test_a_row_without_a_time_is_told_by_its_line(load: Load) -> None:
    text = HEADER + 't1,"acme\nof old",1,2,2030-01-07,1\n\nt2,acme,1,2,soon,1\nt3,acme,1,2,,1\n'
    loaded = load(text + "t4,acme,1,2,2030-01-08,1\n" * 98)
    assert [(bad.place, bad.reason) for bad in loaded.bad_rows] == [
        (5, "'event time' is 'soon', expected a time"),
        (6, "'event time' is missing, expected a time"),
    ]
    assert len(loaded.recording.events) == 99


def test_made_ids_are_the_same_for_the_same_file_and_differ_in_one(load: Load) -> None:
    text = HEADER + "t1,acme,1,2,2030-01-07,1\n" * 3 + "t2,acme,1,2,2030-01-07,1\n"
    first, second = ([event["event_id"] for event in messages(load(text).recording.events)] for _ in range(2))
    assert first == second == [
        "t1@2030-01-07T00:00:00Z", "t1@2030-01-07T00:00:00Z#2", "t1@2030-01-07T00:00:00Z#3", "t2@2030-01-07T00:00:00Z",
    ]  # fmt: skip


def test_an_event_stands_for_itself_where_the_file_has_no_entity(load: Load) -> None:
    loaded = load("event_id,maker,load,event_time,fails\na,acme,1,2030-01-07,1\n")
    assert messages(loaded.recording.events)[0]["turbine"] == "a"
    assert any("stands for itself" in note for note in loaded.notes)


def test_labels_of_a_past_file_are_known_by_its_last_event(load: Load) -> None:
    text = HEADER + "t1,acme,1,2,2030-01-07 00:00,1\nt1,acme,1,2,2030-01-07 12:00,1\n"
    in_life = load(text).recording.labels
    past = load(text, Reading(is_past=True)).recording.labels
    assert from_us(int(in_life.times[-1])) == datetime(2030, 1, 7, 22, tzinfo=UTC)
    assert from_us(int(past.times[-1])) == datetime(2030, 1, 7, 12, tzinfo=UTC)
    assert messages(past)[-1]["label_time"] == "2030-01-07T12:00:00Z"


def test_a_label_before_its_event_counts_as_known_at_once(load: Load) -> None:
    text = "event_id,turbine,maker,load,event_time,fails,label_time\n"
    loaded = load(text + "a,t1,acme,1,2030-01-07 12:00,1,2030-01-07 11:00\nb,t1,acme,1,2030-01-07 12:00,1,\n")
    assert [label["label_time"] for label in messages(loaded.recording.labels)] == [
        "2030-01-07T12:00:00Z", "2030-01-07T22:00:00Z",
    ]  # fmt: skip


def test_a_time_without_a_zone_is_one_of_the_zone_named(load: Load) -> None:
    text = HEADER + "t1,acme,1,2,2030-07-07 12:00,1\nt1,acme,1,2,2030-07-07T12:00:00+00:00,1\n"
    loaded = load(text, Reading(times=TimeReading("Europe/Berlin")))
    assert [event["event_time"] for event in messages(loaded.recording.events)] == [
        "2030-07-07T10:00:00Z", "2030-07-07T12:00:00Z",
    ]  # fmt: skip


def test_a_date_alone_is_not_taken_for_a_time_with_a_zone(load: Load) -> None:
    loaded = load(HEADER + "t1,acme,1,2,2030-07-07,1\n", Reading(times=TimeReading("Europe/Berlin")))
    assert messages(loaded.recording.events)[0]["event_time"] == "2030-07-06T22:00:00Z"


def test_day_and_month_are_asked_for_where_nothing_tells(load: Load) -> None:
    text = HEADER + "t1,acme,1,2,04/03/2030,1\nt1,acme,1,2,03/04/2030,1\nt1,acme,1,2,05/01/2030,1\n"
    with pytest.raises(HomeostatError, match="--day-first or --month-first"):
        load(text)
    days = {
        day_first: messages(load(text, Reading(times=TimeReading(day_first=day_first))).recording.events)[0][
            "event_time"
        ]
        for day_first in (True, False)
    }
    assert days == {True: "2030-01-05T00:00:00Z", False: "2030-03-04T00:00:00Z"}


def test_points_between_day_and_month_put_the_day_first(load: Load) -> None:
    loaded = load(HEADER + "t1,acme,1,2,03.04.2030,1\n")
    assert messages(loaded.recording.events)[0]["event_time"] == "2030-04-03T00:00:00Z"


def test_which_answer_counts_as_one(load: Load) -> None:
    text = HEADER + "t1,acme,1,2,2030-01-07,broke\nt1,acme,1,2,2030-01-08,fine\n"
    guessed, named = load(text), load(text, Reading(positive="Fine"))
    assert [label["fails"] for label in messages(named.recording.labels)] == [0, 1]
    assert any("'fails' is 1 where it says" in note for note in guessed.notes)
    with pytest.raises(HomeostatError, match="--positive burnt: column 'fails' has broke, fine"):
        load(text, Reading(positive="burnt"))
    with pytest.raises(HomeostatError, match="3 answers"):
        load(text + "t1,acme,1,2,2030-01-09,unclear\n")


def test_a_column_that_is_not_there_is_named_with_what_is_near(load: Load) -> None:
    with pytest.raises(HomeostatError, match="'load' \\(did you mean 'laod'\\?\\)"):
        load("turbine,maker,laod,event_time,fails\nt1,acme,1,2030-01-07,1\n")


def test_a_file_that_is_no_table_is_refused(load: Load, contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(HomeostatError, match="has one column"):
        load("only\n1\n")
    with pytest.raises(HomeostatError, match="has no rows"):
        load(HEADER)
    with pytest.raises(HomeostatError, match="can't be read"):
        load_file(tmp_path / "absent.csv", contract)
    (tmp_path / "data.csv.gz").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(HomeostatError, match="gzip"):
        load_file(tmp_path / "data.csv.gz", contract)


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(HomeostatError, match="--timezone Berlin: no such zone"):
        TimeReading("Berlin")


def test_facts_of_the_label_go_with_the_label(load: Load) -> None:
    text = CONTRACT.read_text().replace("maturity: 1d", "maturity: 1d\n  facts: {repair_cost: number}")
    loaded = load(
        HEADER.replace("fails", "fails,Repair cost") + "t1,acme,1,2,2030-01-07,1,$12\n", None, parse_contract(text, "t")
    )
    assert messages(loaded.recording.labels)[0]["repair_cost"] == 12.0


MINUTES = st.lists(st.tuples(st.integers(0, 100_000), st.sampled_from(["0", "1", ""])), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(MINUTES)
def test_whatever_the_order_of_the_file_nothing_is_lost_and_time_ascends(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]]
) -> None:
    start = datetime(2030, 1, 7, tzinfo=UTC)
    path = tmp_path_factory.mktemp("any") / "data.csv"
    lines = [f"t{i % 3},acme,{i},2,{start + timedelta(minutes=m)},{fails}\n" for i, (m, fails) in enumerate(rows)]
    path.write_text(HEADER + "".join(lines))
    contract = load_contract(CONTRACT)
    recording = load_file(path, contract).recording
    events = [EventParser(contract).parse(value) for value in recording.events.values]
    assert sorted(event.fields["load"] for event in events) == [float(i) for i in range(len(rows))]
    assert [event.event_time for event in events] == sorted(start + timedelta(minutes=m) for m, _ in rows)
    assert len({event.event_id for event in events}) == len(rows)
    labels = [LabelParser(contract).parse(value) for value in recording.labels.values]
    assert sorted(label.value for label in labels) == sorted(float(fails) for _, fails in rows if fails)

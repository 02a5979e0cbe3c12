"""A file and the contract drafted from it fit: read by it, every row passes the contract."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.contract.load import parse_contract
from homeostat.drafting.draft import Draft, draft_of
from homeostat.drafting.interview import Interview, Wishes
from homeostat.drafting.sample import read_sample
from homeostat.drafting.writing import contract_text, example_event, example_label, replay_options
from homeostat.errors import InvalidRecordError
from homeostat.features.parsing import EventParser, LabelParser, ParsedEvent, ParsedLabel
from homeostat.replay.files import Reading, load_file
from homeostat.replay.moments import TimeReading
from homeostat.replay.tables import read_table

Drafted = Callable[..., Draft]
WRITTEN = "%Y-%m-%dT%H:%M:%SZ"


def passed(draft: Draft) -> tuple[list[ParsedEvent], list[ParsedLabel]]:
    """Read the drafted file by its contract and the options that the draft names, and parse what comes."""
    contract = parse_contract(contract_text(draft), "drafted")
    options = replay_options(draft)
    positive = options[options.index("--positive") + 1] if "--positive" in options else None
    orders = {"--day-first": True, "--month-first": False}
    order = next((orders[option] for option in options if option in orders), None)
    loaded = load_file(draft.file, contract, Reading(positive, TimeReading(day_first=order)))
    assert not loaded.bad_rows
    recording, events, labels = loaded.recording, EventParser(contract), LabelParser(contract)
    return (
        [events.parse(value) for value in recording.events.take(0, len(recording.events))],
        [labels.parse(value) for value in recording.labels.take(0, len(recording.labels))],
    )


def messy(clean: pl.DataFrame) -> pl.DataFrame:
    """The plain file as a careless export would have it."""
    rng = np.random.default_rng(5)
    n = clean.height
    times = [pl.col(c).str.to_datetime(WRITTEN).dt.strftime("%d.%m.%Y %H:%M") for c in ("ordered_at", "closed_at")]
    return clean.with_columns(
        *times,
        pl.col("load").map_elements(lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,")), pl.String),
        pl.when(pl.col("late") == 1).then(pl.lit("Late")).otherwise(pl.lit("On time")).alias("late"),
        pl.Series("VIP?", rng.choice(["yes", "No", ""], n)),
        pl.Series("Zip Code", [f"{z:05}" for z in rng.integers(100, 140, n)]),
        pl.Series("stops", [*map(str, rng.integers(0, 9, n - 2)), "?", "NA"]),
        pl.Series("*", rng.integers(0, 5, n)),
    ).rename({"order_id": "Order ID", "town": "Größe"})  # fmt: skip


@pytest.mark.parametrize("made", [lambda clean: clean, messy], ids=["plain", "messy"])
def test_every_row_of_the_file_passes_its_contract(
    clean: pl.DataFrame, drafted: Drafted, made: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    events, labels = passed(drafted(made(clean)))
    assert len(events) == len(labels) == clean.height
    assert sum(label.value for label in labels) == clean["late"].sum()
    assert events[0].entity_id == clean["customer_id"][0]


def test_what_a_file_lacks_is_made(clean: pl.DataFrame, drafted: Drafted) -> None:
    events, labels = passed(drafted(clean.select("ordered_at", "load", "late")))
    assert len({event.event_id for event in events}) == clean.height
    assert events[0].entity_id == events[0].event_id
    assert len(labels) == clean.height


def test_an_unclear_order_of_day_and_month_is_passed_on(clean: pl.DataFrame, drafted: Drafted) -> None:
    days = pl.Series("ordered_at", [f"0{1 + i * 7 % 9}/0{1 + i * 5 % 9}/2024" for i in range(clean.height)])
    rows = clean.with_columns(days).drop("closed_at")
    for day_first in (True, False):
        draft = drafted(rows, day_first=day_first)
        events, _ = passed(draft)
        assert {event.event_time for event in events} == set(draft.event_time.values.to_list())


def test_a_typed_file_fits_too(clean: pl.DataFrame, tmp_path: Path) -> None:
    times = [pl.col(c).str.to_datetime(WRITTEN) for c in ("ordered_at", "closed_at")]
    path = tmp_path / "orders.parquet"
    clean.with_columns(*times, pl.col("late").cast(pl.Boolean), pl.col("town").cast(pl.Categorical)).write_parquet(path)
    events, labels = passed(draft_of(path, read_sample(path), Interview(Wishes())))
    assert len(events) == len(labels) == clean.height


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_a_file_is_read_alike_by_whoever_drafts_and_whoever_replays(
    clean: pl.DataFrame, tmp_path: Path, encoding: str, separator: str
) -> None:
    path = tmp_path / "orders.csv"
    text = clean.head(50).with_columns(town=pl.lit("Größe, \x80")).write_csv(separator=separator)
    path.write_bytes(text.replace("\x80", "§" if encoding == "cp1252" else "é").encode(encoding))
    assert read_sample(path).frame.equals(read_table(path).frame)


def test_as_many_rows_are_refused_as_were_said_to_be_unreadable(clean: pl.DataFrame, drafted: Drafted) -> None:
    loads = pl.when(pl.int_range(pl.len()) % 300 == 5).then(pl.lit("12 kg")).otherwise(pl.col("load").cast(pl.String))
    draft = drafted(clean.with_columns(loads.alias("load")))
    contract = parse_contract(contract_text(draft), "drafted")
    sent = load_file(draft.file, contract).recording.events
    refused = [value for value in sent.take(0, len(sent)) if not parses(EventParser(contract), value)]
    assert len(refused) == 10
    assert "load: 10 rows will be refused: no number is '12 kg'" in draft.warnings


def parses(parser: EventParser, value: bytes) -> bool:
    try:
        parser.parse(value)
    except InvalidRecordError:
        return False
    return True


@pytest.mark.parametrize("made", [lambda clean: clean, messy], ids=["plain", "messy"])
def test_the_examples_of_an_event_and_its_label_keep_the_contract(
    clean: pl.DataFrame, drafted: Drafted, made: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    draft = drafted(made(clean))
    contract, now = parse_contract(contract_text(draft), "drafted"), datetime(2030, 1, 1, tzinfo=UTC)
    parsed = EventParser(contract).parse(json.dumps(example_event(draft, now)).encode())
    label = LabelParser(contract).parse(json.dumps(example_label(draft, now)).encode())
    assert (parsed.event_time, label.event_id, label.label_time) == (now, parsed.event_id, now)
    assert parsed.fields["load"] == pytest.approx(clean["load"].median(), rel=0.01)

"""The obligations of Ledger, over every adapter."""

import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from homeostat.adapters.memory import MemoryLedger
from homeostat.adapters.sql import engine as sql_engine
from homeostat.adapters.sql.ledger import SqlLedger
from homeostat.errors import LedgerError, TransientError
from homeostat.ports import Ledger, LedgerEntry

IDS = ("a-first", "b-second", "c-third", "d-fourth", "e-fifth")
TEXTS = ("entry_id", "at", "kind", "actor", "payload", "previous_hash", "hash", "product")
WRITER = """
from datetime import UTC, datetime
from homeostat.adapters.sql.ledger import SqlLedger
ledger = SqlLedger({url!r}, "parcels")
for i in range({count}):
    print(ledger.append("{name} %d" % i, datetime.now(UTC), "decide", {{"i": i}}).seq, flush=True)
"""


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'homeostat.db'}"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, fresh_database: Callable[[str], str]) -> Ledger:
    return MemoryLedger() if request.param == "memory" else SqlLedger(fresh_database(request.param), "parcels")


def fill(ledger: Ledger, at: datetime) -> list[LedgerEntry]:
    return [
        ledger.append(name, at + timedelta(minutes=i), "decide", {"why": f"PSI {i / 10}", "rows": i})
        for i, name in enumerate(IDS)
    ]


def test_entries_are_counted_from_one_and_chained(ledger: Ledger, at: datetime) -> None:
    first, second = ledger.append("a", at, "open", {"x": 1}), ledger.append("b", at, "close", {}, actor="operator")
    assert (first.seq, second.seq) == (1, 2)
    assert second.previous_hash == first.hash
    assert (second.kind, second.actor, first.actor) == ("close", "operator", "homeostat")


def test_entries_come_back_as_they_were_returned(ledger: Ledger, at: datetime) -> None:
    appended = fill(ledger, at)
    assert ledger.entries() == appended
    assert ledger.entries(after=3) == appended[3:]
    assert ledger.entries(after=len(appended)) == []
    assert ledger.entries()[0].at == at


def test_an_id_appended_again_returns_the_first_entry_and_adds_nothing(ledger: Ledger, at: datetime) -> None:
    first = ledger.append("a", at, "open", {"x": 1})
    assert ledger.append("a", at + timedelta(hours=1), "close", {"x": 2}) == first
    assert ledger.verify() == 1


def test_a_whole_chain_is_counted(ledger: Ledger, at: datetime) -> None:
    assert ledger.verify() == 0
    fill(ledger, at)
    assert ledger.verify() == 5


def test_evidence_of_any_plain_kind_is_kept(ledger: Ledger, at: datetime) -> None:
    payload = {"at": at, "span": timedelta(hours=1), "p": float("nan"), "rows": (1, 2), "none": None, "é": {"x": True}}
    entry = ledger.append("a", at, "open", payload)
    assert entry.payload == {
        "at": at.isoformat(),
        "span": 3600.0,
        "p": "nan",
        "rows": [1, 2],
        "none": None,
        "é": {"x": True},
    }
    assert ledger.entries() == [entry]
    assert ledger.verify() == 1


def test_the_same_moment_in_another_zone_is_the_same_entry(at: datetime) -> None:
    local = at.astimezone(datetime.fromisoformat("2024-03-01T00:00:00+05:30").tzinfo)
    assert MemoryLedger().append("a", at, "open", {}).hash == MemoryLedger().append("a", local, "open", {}).hash


def test_a_time_without_a_zone_is_refused(ledger: Ledger, at: datetime) -> None:
    with pytest.raises(ValueError, match="aware"):
        ledger.append("a", at.replace(tzinfo=None), "open", {})


@pytest.mark.parametrize("name", ["seq", "entry_id", "at", "kind", "actor", "payload", "previous_hash", "hash"])
def test_an_edit_in_memory_is_found(name: str, at: datetime) -> None:
    ledger = MemoryLedger()
    fill(ledger, at)
    edits = {"seq": 9, "at": at + timedelta(microseconds=1), "payload": {"why": ""}}
    ledger._entries[2] = replace(ledger._entries[2], **{name: edits.get(name, "x")})
    with pytest.raises(LedgerError):
        ledger.verify()


def tampered(edit: Callable[[sqlite3.Connection], object]) -> None:
    """Make a ledger of five entries, edit its table, and expect the edit to be found."""
    with TemporaryDirectory() as name:
        shutil.copy(_template(), Path(name) / "homeostat.db")
        with closing(sqlite3.connect(Path(name) / "homeostat.db")) as connection, connection:
            for act in ("update", "delete"):  # as whoever owns the file may
                connection.execute(f"DROP TRIGGER ledger_takes_no_{act}")
            edit(connection)
        with pytest.raises(LedgerError):
            SqlLedger(url(Path(name)), "parcels").verify()


_FOLDER = TemporaryDirectory()


def _template() -> Path:
    path = Path(_FOLDER.name) / "homeostat.db"
    if not path.exists():
        ledger = SqlLedger(url(path.parent), "parcels")
        fill(ledger, datetime(2024, 3, 1, tzinfo=UTC))
        ledger._engine.dispose()  # the last connection to close moves the WAL into the file
    return path


@settings(max_examples=50, deadline=None)
@given(seq=st.integers(1, 5), column=st.sampled_from(TEXTS), place=st.integers(0, 10**6), mask=st.integers(1, 255))
def test_any_changed_byte_of_a_stored_entry_is_found(seq: int, column: str, place: int, mask: int) -> None:
    def edit(connection: sqlite3.Connection) -> None:
        query = f"SELECT CAST({column} AS BLOB) FROM ledger WHERE seq = ?"  # noqa: S608 - a name from the list above
        text = bytearray(connection.execute(query, (seq,)).fetchone()[0])
        text[place % len(text)] ^= mask
        connection.execute(f"UPDATE ledger SET {column} = CAST(? AS TEXT) WHERE seq = ?", (bytes(text), seq))  # noqa: S608

    tampered(edit)


@given(seq=st.integers(1, 5), other=st.integers(-3, 9).filter(lambda value: value not in range(1, 6)))
@settings(max_examples=20, deadline=None)
def test_a_changed_number_is_found(seq: int, other: int) -> None:
    tampered(lambda connection: connection.execute("UPDATE ledger SET seq = ? WHERE seq = ?", (other, seq)))


@settings(max_examples=20, deadline=None)
@given(seqs=st.sets(st.integers(1, 5), min_size=1))
def test_any_deletion_is_found_also_at_the_end(seqs: set[int]) -> None:
    tampered(lambda c: c.executemany("DELETE FROM ledger WHERE seq = ?", [(seq,) for seq in seqs]))


@settings(max_examples=20, deadline=None)
@given(pair=st.sets(st.integers(1, 5), min_size=2, max_size=2))
def test_two_swapped_entries_are_found(pair: set[int]) -> None:
    one, two = pair

    def edit(connection: sqlite3.Connection) -> None:
        for old, new in ((one, 99), (two, one), (99, two)):
            connection.execute("UPDATE ledger SET seq = ? WHERE seq = ?", (new, old))

    tampered(edit)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_heads SET seq = 4",
        "UPDATE ledger_heads SET hash = 'x'",
        "DELETE FROM ledger_heads",
        "INSERT INTO ledger SELECT product, 6, 'f', at, kind, actor, payload, hash, hash FROM ledger WHERE seq = 5",
        "UPDATE ledger SET payload = CAST(payload AS BLOB) WHERE seq = 5",
        "UPDATE ledger SET payload = payload || ' ' WHERE seq = 2",
    ],
)
def test_other_tampering_is_found(statement: str) -> None:
    tampered(lambda connection: connection.execute(statement))


def test_what_was_acknowledged_survives_kill_9_once(
    sql_url: str, run_until_killed: Callable[[str, int], list[str]]
) -> None:
    script = WRITER.format(url=sql_url, name="d", count=10**6)
    acknowledged = [int(line) for line in run_until_killed(script, 30)]
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    ledger = SqlLedger(sql_url, "parcels")
    assert ledger.verify() >= len(acknowledged)
    assert [entry.entry_id for entry in ledger.entries()] == [f"d {i}" for i in range(ledger.verify())]


def test_threads_that_append_together_make_one_chain(ledger: Ledger, at: datetime) -> None:
    def write(name: str) -> list[int]:
        return [ledger.append(f"{name}{i}", at, "decide", {}).seq for i in range(20)]

    with ThreadPoolExecutor(3) as pool:
        seqs = [seq for written in pool.map(write, "abc") for seq in written]
    assert sorted(seqs) == list(range(1, 61))
    assert ledger.verify() == 60


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_processes_that_start_together_make_one_chain(
    tmp_path: Path, fresh_database: Callable[[str], str], run_together: Callable[[list[str]], None], kind: str
) -> None:
    urls = [fresh_database(kind) for _ in range(4)]
    script = """
from datetime import UTC, datetime
from homeostat.adapters.sql.ledger import SqlLedger
for i, url in enumerate({urls!r}):
    meet(Path({folder!r}) / f"{{i}}", "{name}", 2)
    ledger = SqlLedger(url, "parcels")
    for j in range(4):
        ledger.append(f"{name} {{j}}", datetime.now(UTC), "decide", {{}})
"""
    run_together([script.format(folder=str(tmp_path), urls=urls, name=name) for name in ("one", "two")])
    for url_of_both in urls:
        assert SqlLedger(url_of_both, "parcels").verify() == 8


def test_a_new_database_that_others_open_too_is_tried_again(busy_twice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_engine, "sleep", lambda _: None)
    sql_engine._tune_sqlite(busy_twice, None)  # type: ignore[arg-type]
    assert busy_twice.statements == ["PRAGMA journal_mode = WAL"] * 3 + ["PRAGMA synchronous = NORMAL"]


@pytest.mark.parametrize("statement", ["UPDATE ledger SET kind = 'x'", "DELETE FROM ledger WHERE seq = 5"])
def test_an_entry_can_be_neither_changed_nor_deleted(sql_url: str, at: datetime, statement: str) -> None:
    ledger = SqlLedger(sql_url, "parcels")
    fill(ledger, at)
    SqlLedger(sql_url, "parcels")  # a second opening changes nothing
    with pytest.raises(DBAPIError, match="append-only"), ledger._engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert ledger.verify() == 5
    assert ledger.append("more", at, "open", {}).seq == 6


def test_products_have_ledgers_of_their_own(sql_url: str, at: datetime) -> None:
    parcels, letters = SqlLedger(sql_url, "parcels"), SqlLedger(sql_url, "letters")
    fill(parcels, at)
    assert letters.append(IDS[0], at, "open", {}).seq == 1
    assert (parcels.verify(), letters.verify()) == (5, 1)


def test_a_locked_database_asks_for_patience(tmp_path: Path, at: datetime) -> None:
    ledger = SqlLedger(f"{url(tmp_path)}?timeout=0.01", "parcels")
    other = sqlite3.connect(tmp_path / "homeostat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError):
        ledger.append("a", at, "open", {})
    other.execute("ROLLBACK")
    assert ledger.append("a", at, "open", {}).seq == 1

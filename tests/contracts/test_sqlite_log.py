"""What SqliteLog promises beyond memory: crashes, other processes, a model to agree with, trimming, errors."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from homeostat.adapters import sqlite_log
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.errors import HomeostatError, TransientError
from homeostat.ports import NewMessage

MINUTE = timedelta(minutes=1)
PRODUCER = """
from datetime import UTC, datetime
from pathlib import Path
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.ports import NewMessage
log = SqliteLog(Path({path!r}))
for i in range({calls}):
    offset = log.end("a")
    log.append([NewMessage("a", b"{name} %d" % (3 * i + j)) for j in range(3)], datetime.now(UTC))
    log.commit("{name}", {{"a": 3 * i + 3}})
    print(3 * i + 3, flush=True)
"""


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    return SqliteLog(tmp_path / "log.db")


def fill(log: SqliteLog, at: datetime, count: int) -> None:
    for i in range(count):
        log.append([NewMessage("a", b"%d" % i)], at + i * MINUTE)


def test_a_reader_sees_what_a_writer_appends_and_can_change_nothing(tmp_path: Path, log: SqliteLog) -> None:
    reader = SqliteLog(tmp_path / "log.db", read_only=True)
    fill(log, START, 2)
    assert [message.value for message in reader.read("a", 0, 10)] == [b"0", b"1"]
    for change in (
        lambda: fill(reader, START, 1),
        lambda: reader.commit("group", {"a": 1}),
        lambda: reader.trim("a", START + MINUTE),
    ):
        with pytest.raises(HomeostatError, match="can't be written"):
            change()
    fill(log, START + 2 * MINUTE, 1)
    assert reader.end("a") == log.end("a") == 3


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(HomeostatError, match="can't be opened"):
        SqliteLog(tmp_path / "none.db", read_only=True)
    assert not list(tmp_path.iterdir())


def test_what_was_acknowledged_survives_kill_9_once(
    tmp_path: Path, run_until_killed: Callable[[str, int], list[str]]
) -> None:
    path = tmp_path / "log.db"
    acknowledged = int(run_until_killed(PRODUCER.format(path=str(path), name="p", calls=10**6), 40)[-1])
    log = SqliteLog(path)
    stored = log.read("a", 0, 10**6)
    assert acknowledged <= len(stored) == log.end("a")
    assert [(m.offset, m.value) for m in stored] == [(i, b"p %d" % i) for i in range(len(stored))]
    assert acknowledged <= log.committed("p", "a") <= len(stored)
    assert len(stored) % 3 == 0  # all of a call or none


def test_processes_that_append_together_keep_offsets_consecutive(
    tmp_path: Path, run_together: Callable[[list[str]], None]
) -> None:
    path = tmp_path / "log.db"
    run_together([PRODUCER.format(path=str(path), name=name, calls=100) for name in ("one", "two")])
    stored = SqliteLog(path).read("a", 0, 1000)
    assert [m.offset for m in stored] == list(range(600))
    for name in (b"one", b"two"):
        assert [m.value for m in stored if m.value.startswith(name)] == [b"%s %d" % (name, i) for i in range(300)]


def test_everything_is_there_after_reopening(log: SqliteLog, tmp_path: Path, at: datetime) -> None:
    log.append([NewMessage("a", b"x", {"schema": "1"})], at)
    log.commit("readers", {"a": 1})
    before = log.read("a", 0, 5)
    log.close()
    again = SqliteLog(tmp_path / "log.db", power_safe=True)
    assert again.read("a", 0, 5) == before
    assert again.committed("readers", "a") == 1
    assert again.offset_at("a", at) == 0


def test_trimming_deletes_old_messages_and_offsets_keep_counting(log: SqliteLog, at: datetime) -> None:
    fill(log, at, 5)
    assert log.trim("a", at + 3 * MINUTE) == 3
    assert [m.offset for m in log.read("a", 3, 9)] == [3, 4]
    assert (log.end("a"), log.offset_at("a", at), log.trim("a", at + 3 * MINUTE)) == (5, 3, 0)


def test_a_topic_trimmed_to_nothing_goes_on_where_it_was(log: SqliteLog, at: datetime) -> None:
    fill(log, at, 2)
    assert log.trim("a", at + 9 * MINUTE) == 2
    log.append([NewMessage("a", b"later")], at)
    assert [(m.offset, m.value) for m in log.read("a", 2, 9)] == [(2, b"later")]


def test_trimming_keeps_what_a_group_has_still_to_read(log: SqliteLog, at: datetime) -> None:
    fill(log, at, 5)
    log.commit("fast", {"a": 5})
    log.commit("slow", {"a": 2})
    assert log.trim("a", at + 9 * MINUTE) == 2
    assert [m.offset for m in log.read("a", 2, 9)] == [2, 3, 4]


def test_reading_what_was_trimmed_is_refused_rather_than_skipped(log: SqliteLog, at: datetime) -> None:
    fill(log, at, 5)
    log.trim("a", at + 3 * MINUTE)
    with pytest.raises(HomeostatError, match="offset 0 was trimmed; commit 3 or later"):
        log.read("a", 0, 9)


def test_trimming_one_topic_leaves_the_others(log: SqliteLog, at: datetime) -> None:
    log.append([NewMessage("b", b"b")], at)
    fill(log, at, 3)
    log.append([NewMessage("c", b"c")], at)
    log.trim("a", at + 9 * MINUTE)
    assert [len(log.read(topic, 0, 9)) for topic in ("b", "c")] == [1, 1]
    assert log.trim("nowhere", at) == 0


def test_a_file_locked_by_another_process_asks_for_patience(
    tmp_path: Path, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_log, "_BUSY_S", 0.01)
    log = SqliteLog(tmp_path / "log.db")
    other = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="in use by another process"):
        fill(log, at, 1)
    other.execute("ROLLBACK")
    fill(log, at, 1)
    assert log.end("a") == 1


def test_a_new_file_that_others_open_too_is_tried_again(busy_twice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "sleep", lambda _: None)
    sqlite_log._switch_to_wal(busy_twice)
    assert busy_twice.statements == ["PRAGMA journal_mode = WAL"] * 3


def test_a_full_disk_is_told_and_stores_nothing_of_the_call(log: SqliteLog, at: datetime) -> None:
    fill(log, at, 1)
    log._connection.execute("PRAGMA max_page_count = 10")
    with pytest.raises(TransientError, match="the disk is full"):
        log.append([NewMessage("a", bytes(50_000)) for _ in range(20)], at)
    log._connection.execute("PRAGMA max_page_count = 1000000")
    fill(log, at, 1)
    assert [m.offset for m in log.read("a", 0, 9)] == [0, 1]


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"something else entirely" * 1000)
    with pytest.raises(HomeostatError, match=r"log\.db: this is not an SQLite file"):
        SqliteLog(path)


def test_a_damaged_file_is_told(log: SqliteLog, tmp_path: Path, at: datetime) -> None:
    log.append([NewMessage("a", bytes(1000)) for _ in range(500)], at)
    log.close()
    path = tmp_path / "log.db"
    content = path.read_bytes()
    path.write_bytes(content[:16_384] + b"\x99" * (len(content) - 16_384))
    with pytest.raises(HomeostatError, match=r"log\.db: the file is damaged"):
        SqliteLog(path).read("a", 0, 500)


START = datetime(2024, 3, 1, tzinfo=UTC)
TOPICS = st.sampled_from(["a", "b"])


class LogAgainstLists(RuleBasedStateMachine):
    """Whatever is done to the log, it answers like lists would, also after being opened again."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.log = SqliteLog(Path(self.folder.name) / "log.db")
        self.topics: dict[str, list[tuple[bytes, datetime]]] = defaultdict(list)
        self.trimmed: dict[str, int] = defaultdict(int)
        self.commits: dict[tuple[str, str], int] = {}
        self.now = START

    def teardown(self) -> None:
        self.log.close()
        self.folder.cleanup()

    @rule(batch=st.lists(st.tuples(TOPICS, st.binary(max_size=8)), max_size=5), step=st.integers(0, 2))
    def append(self, batch: list[tuple[str, bytes]], step: int) -> None:
        self.now += step * MINUTE
        self.log.append([NewMessage(topic, value) for topic, value in batch], self.now)
        for topic, value in batch:
            self.topics[topic].append((value, self.now))

    @rule()
    def reopen(self) -> None:
        self.log.close()
        self.log = SqliteLog(Path(self.folder.name) / "log.db")

    @rule(group=st.sampled_from(["g", "h"]), topic=TOPICS, offset=st.integers(0, 20))
    def commit(self, group: str, topic: str, offset: int) -> None:
        self.log.commit(group, {topic: offset})
        self.commits[group, topic] = offset

    @rule(topic=TOPICS, minutes=st.integers(0, 20))
    def trim(self, topic: str, minutes: int) -> None:
        old = sum(time < START + minutes * MINUTE for _, time in self.topics[topic])
        keep = min([old, *(offset for (_, name), offset in self.commits.items() if name == topic)])
        first = max(self.trimmed[topic], keep)
        assert self.log.trim(topic, START + minutes * MINUTE) == first - self.trimmed[topic]
        self.trimmed[topic] = first

    @rule(topic=TOPICS, skip=st.integers(0, 8), limit=st.integers(1, 8))
    def read(self, topic: str, skip: int, limit: int) -> None:
        offset = self.trimmed[topic] + skip
        stored = [(m.offset, m.value, m.time) for m in self.log.read(topic, offset, limit)]
        expected = list(enumerate(self.topics[topic]))[offset : offset + limit]
        assert stored == [(i, value, time) for i, (value, time) in expected]

    @rule(topic=TOPICS, minutes=st.integers(-1, 20))
    def find(self, topic: str, minutes: int) -> None:
        older = sum(time < START + minutes * MINUTE for _, time in self.topics[topic])
        assert self.log.offset_at(topic, START + minutes * MINUTE) == max(older, self.trimmed[topic])

    @invariant()
    def ends_and_commits_agree(self) -> None:
        assert all(self.log.end(topic) == len(self.topics[topic]) for topic in ("a", "b"))
        assert all(self.log.committed(*key) == offset for key, offset in self.commits.items())


LogAgainstLists.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_the_log_answers_like_lists_would = LogAgainstLists.TestCase

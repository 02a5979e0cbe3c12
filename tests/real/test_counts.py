"""That a drill's counts can fail: each is held against a store in which just that is wrong, or a server that stalls."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from homeostat.adapters.feast_features import FeastOfflineFeatures
from homeostat.contract.load import load_contract
from homeostat.records import Arm, FeatureRow, Outcome

from .deployment import PROCESSES, SERVING
from .drill import CONTRACT, Schedule
from .evidence import Sent
from .probe import Probe
from .running import until
from .tally import Store, Tally, count_store
from .traffic import load_of

NOW = datetime.now(UTC)
ANSWER = b'{"predictions": [{"event_id": "e", "prediction_id": "p", "score": 0.5}]}'


def row_of(event_id: str) -> FeatureRow:
    return FeatureRow(event_id, f"t{event_id}", NOW, ("acme", load_of(event_id), None, None, 0.5))


def outcome_of(event_id: str) -> Outcome:
    return Outcome(event_id, f"t{event_id}", NOW, NOW, 1.0, Arm.CHAMPION, "1", 0.5)


ROWS, OUTCOMES = [row_of(i) for i in "abc"], [outcome_of(i) for i in "abc"]
SENT = Sent(dict.fromkeys("abc", "t1"), dict.fromkeys("abc", 1.0), dict.fromkeys("abc", "p"))


def counted(home: Path, rows: list[FeatureRow], outcomes: list[Outcome]) -> Tally:
    offline, tally = FeastOfflineFeatures(load_contract(CONTRACT), home / "feast"), Tally()
    for row in rows:
        offline.write_features([row])
    for outcome in outcomes:
        offline.write_outcomes([outcome])
    count_store(tally, Store(home, CONTRACT), SENT, {row.event_id: {row.values} for row in ROWS})
    return tally


def test_a_store_that_has_everything_once_is_as_it_should_be(tmp_path: Path) -> None:
    tally = counted(tmp_path, ROWS, OUTCOMES)
    assert not tally.wrong
    assert tally.figures["labelled rows that a training reads"] == len(ROWS)
    assert tally.figures["repeats in the feature files, which readers resolve"] == 0


def test_repeats_in_the_files_are_a_figure_and_no_fault(tmp_path: Path) -> None:
    offline = FeastOfflineFeatures(load_contract(CONTRACT), tmp_path / "feast")
    offline.write_features(ROWS[:2])  # another part than each row by itself
    tally = counted(tmp_path, ROWS, OUTCOMES)
    assert not tally.wrong
    assert tally.figures["repeats in the feature files, which readers resolve"] == 2


@pytest.mark.parametrize(
    ("rows", "outcomes", "wrong"),
    [
        (ROWS[1:], OUTCOMES, "events not in the offline store"),
        (
            [*ROWS[1:], replace(ROWS[0], values=("acme", 9.0, None, None, 0.5))],
            OUTCOMES,
            "events with other values there",
        ),
        (ROWS, OUTCOMES[1:], "predictions without an outcome there"),
        (ROWS, OUTCOMES[1:], "labels lost, offline store"),
        (ROWS, [*OUTCOMES[1:], replace(OUTCOMES[0], label=0.0)], "labels with another value, training"),
    ],
    ids=["lost row", "other values", "lost outcome", "lost label", "other label"],
)
def test_what_is_wrong_in_the_offline_store_is_counted(
    tmp_path: Path, rows: list[FeatureRow], outcomes: list[Outcome], wrong: str
) -> None:
    tally = counted(tmp_path, rows, outcomes)
    assert tally.wrong[wrong] == ["a"]
    assert tally.figures[wrong] == 1


@pytest.mark.parametrize("kills", [len(PROCESSES), 10, 60])
def test_in_a_drill_of_as_many_kills_as_processes_each_dies(kills: int) -> None:
    for seed in range(50):
        drawn = Schedule.drawn(kills, np.random.default_rng(seed))
        died = Counter([*drawn.aside, *drawn.anybody])
        assert died.total() == kills
        assert died.keys() == set(PROCESSES)
        assert not set(SERVING) & set(drawn.aside)
        assert len(drawn.aside) == kills // 2


@contextmanager
def answering(stalled: Event) -> Iterator[str]:
    """A server that answers at once, but for the time in which it stalls."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            stalled.wait(20)
            self.send_response(200)
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def test_a_stall_counts_as_often_as_a_question_was_due_in_it() -> None:
    goes_on = Event()
    goes_on.set()
    with answering(goes_on) as url:
        probe = Probe(url, every_s=0.05, within_s=0.5)
        probe.start()
        until(lambda: probe.in_time > 5, 20)
        goes_on.clear()
        assert not Event().wait(1.5)  # the stall itself: 30 questions are due in it, 20 of them for over half a second
        goes_on.set()
        until(lambda: probe.late > 10, 20)
        probe.stop()
    assert probe.share < 1
    assert probe.slowest_s > 1
    assert not probe.failed

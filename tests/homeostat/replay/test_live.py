import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from homeostat.records import Case, CaseState, DriftReport, DriftScore, DriftStatus
from homeostat.replay.live import LiveView, Snapshot, added, panel, status_line

START = datetime(2024, 1, 1, tzinfo=UTC)


def snapshot(day: float = 0, decisions: tuple[str, ...] = (), elapsed_s: float = 10.0) -> Snapshot:
    score = {"psi_limit": 0.02, "ks": None, "ks_limit": None, "p_value": 0.0}
    report = DriftReport(
        *("r", START, START - timedelta(days=7), START, 6_500, DriftStatus.DRIFTED, "1"),
        features=(
            DriftScore("calm", psi=0.9, drifted=False, **score),
            DriftScore("[moved]", psi=0.31, drifted=True, **score),
        ),
    )
    case = Case(CaseState.CANARY, reason="two drifted looks [in a row]")
    return Snapshot(START + timedelta(days=day), 1000, 4000, elapsed_s, "1", "2", case, report, decisions)


def plain() -> Console:
    return Console(file=StringIO(), force_terminal=False, width=80)


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_without_a_terminal_there_is_one_line_a_week_and_the_last_state() -> None:
    console = plain()
    with LiveView("x", console) as view:
        for hour in range(24 * 20):
            view.update(snapshot(hour / 24))
    assert [line[:10] for line in lines(console)] == ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-20"]


def test_without_a_terminal_each_decision_is_one_line_told_once() -> None:
    console = plain()
    with LiveView("x", console) as view:
        for day, decisions in enumerate([(), ("a [b]",), ("a [b]",), ("a [b]", "c"), ("c", "d")]):
            view.update(snapshot(day, decisions))
    assert [line for line in lines(console) if line.startswith("  ")] == ["  a [b]", "  c", "  d"]


def test_a_plain_line_is_never_wrapped() -> None:
    console = plain()
    with LiveView("x", console) as view:
        view.update(snapshot(decisions=("word " * 60,)))
    assert len(lines(console)) == 2


def test_a_plain_line_is_flushed_at_once() -> None:
    flushed = []

    class Pipe(StringIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    with LiveView("x", Console(file=Pipe(), force_terminal=False)) as view:
        view.update(snapshot())
        assert "2024-01-01" in flushed[-1]


def test_a_terminal_is_drawn_on_four_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, clock = [], [0.0]
    console = Console(file=StringIO(), force_terminal=True, width=100)
    view = LiveView("x", console, tick=lambda: clock[0])
    monkeypatch.setattr("homeostat.replay.live.panel", lambda title, state: drawn.append(state) or title)
    with view:
        for step in range(100):
            clock[0] = step / 100  # a second in a hundred updates
            view.update(snapshot(step))
        last = snapshot(100)
        view.update(last)
    assert len(drawn) == 5  # at 0, 0.25, 0.5 and 0.75, and the last state on leaving
    assert drawn[-1] is last


def test_an_error_inside_gives_the_terminal_back() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=100)
    with suppress(RuntimeError), LiveView("x", console) as view:
        view.update(snapshot())
        raise RuntimeError
    assert console.file.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_the_panel_names_clock_speed_models_drift_case_and_decisions() -> None:
    console = Console(file=StringIO(), record=True, width=100)
    console.print(panel("Homeostat: x", snapshot(decisions=("2024-01-01 retrain: [why]",))))
    text = re.sub(r" +", " ", console.export_text())
    for part in (
        *("Homeostat: x", "Mon 01 Jan 2024, 00:00 UTC", "1,000 of 4,000, 100 rows/s, 0:00:30 left", "challenger 2"),
        *("drifted 6,500 rows until 01 Jan PSI [moved] 0.31, calm 0.90", "canary two drifted looks [in a row]"),
        "2024-01-01 retrain: [why]",
    ):
        assert part in text


def test_the_panel_keeps_its_height() -> None:
    def height(state: Snapshot) -> int:
        console = Console(file=StringIO(), record=True, width=100)
        console.print(panel("x", state))
        return console.export_text().count("\n")

    empty = Snapshot(START, 0, 0, 0.0, None, None, Case(), None)
    assert height(empty) == height(snapshot(decisions=tuple(f"decision {n} " * 30 for n in range(20))))


def test_before_the_first_row_there_is_no_time_left_to_tell() -> None:
    assert "left" not in status_line(Snapshot(START, 0, 100, 0.0, None, None, Case(), None))


@settings(deadline=None)
@given(st.lists(st.integers(), unique=True, max_size=30), st.integers(0, 30), st.integers(1, 10))
def test_decisions_are_told_once_though_only_the_last_few_are_shown(story: list[int], cut: int, shown: int) -> None:
    words = [str(item) for item in story]
    before, now = words[:cut][-shown:], words[-shown:]
    fresh = added(before, now)
    assert fresh == [word for word in now if word not in before]

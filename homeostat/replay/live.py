"""Shows a replay while it runs: a redrawn panel on a terminal, plain lines anywhere else."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from homeostat.records import Case, DriftReport, DriftStatus

REDRAW_S = 0.25  # four times a second looks alive; more would only take time from the loop
WEEK = timedelta(days=7)
SHOWN_DECISIONS = 6
WORST = 3  # features named
_DIM = "bright_black"
_COLOURS = {DriftStatus.HEALTHY: "bold green", DriftStatus.DRIFTED: "bold dark_orange", DriftStatus.UNKNOWN: _DIM}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a replay at one moment.

    Args:
        clock: The replay's virtual time.
        rows: Events played so far, of ``total_rows``.
        total_rows: Events in the recording.
        elapsed_s: Wall time since the start.
        champion: The version that serves.
        challenger: The version in the canary.
        case: The healing case.
        report: The last drift report.
        decisions: In words, newest last; all of them or only the last few.
    """

    clock: datetime
    rows: int
    total_rows: int
    elapsed_s: float
    champion: str | None
    challenger: str | None
    case: Case
    report: DriftReport | None
    decisions: Sequence[str] = ()

    @property
    def rows_per_s(self) -> float:
        """The mean speed so far."""
        return self.rows / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """The wall time left at the mean speed so far; None before there is one."""
        return (self.total_rows - self.rows) / self.rows_per_s if self.rows_per_s else None


class LiveView:
    """A view of a running replay, open for the length of a ``with`` block.

    ``update`` may be called at every micro-batch: on a terminal it draws at most four times a second;
    elsewhere it writes one line a week of the replay's clock and one a decision, flushed.
    """

    def __init__(self, title: str, console: Console | None = None, tick: Callable[[], float] = time.monotonic) -> None:
        """Take what is replayed, where to show it (standard output), and a monotonic clock in seconds."""
        self._title = title
        self._console = console or Console()
        self._tick = tick
        self._live: Live | None = None
        self._drawn_at = float("-inf")
        self._last: Snapshot | None = None
        self._shown: Snapshot | None = None
        self._told: Sequence[str] = ()  # decisions already written as lines
        self._next_line: datetime | None = None

    def __enter__(self) -> Self:
        """Start the view."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state and leave it on the screen."""
        if self._last is not None and self._last is not self._shown:
            self._draw(self._last) if self._live else self._say(status_line(self._last))
        if self._live:
            self._live.stop()

    def update(self, snapshot: Snapshot) -> None:
        """Show a newer state, if it is time to."""
        self._last = snapshot
        if self._live is None:
            self._write_lines(snapshot)
        elif self._tick() - self._drawn_at >= REDRAW_S:
            self._draw(snapshot)

    def _draw(self, snapshot: Snapshot) -> None:
        if self._live is not None:
            self._live.update(panel(self._title, snapshot), refresh=True)
            self._shown = snapshot
            self._drawn_at = self._tick()  # after drawing, so a slow terminal is not drawn on all the time

    def _write_lines(self, snapshot: Snapshot) -> None:
        for decision in added(self._told, snapshot.decisions):
            self._say(f"  {decision}")
        self._told = tuple(snapshot.decisions)
        if self._next_line is None or snapshot.clock >= self._next_line:
            self._say(status_line(snapshot))
            self._shown = snapshot
            self._next_line = snapshot.clock + WEEK

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()  # a log that is followed must not wait for a full buffer


def added(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Return what came to the end of a growing list since ``before``, of which both may be only the last part.

    >>> added(["a", "b"], ["b", "c"])
    ['c']
    """
    for common in range(min(len(before), len(now)), 0, -1):
        if list(before[-common:]) == list(now[:common]):
            return list(now[common:])
    return list(now)


def status_line(snapshot: Snapshot) -> str:
    """Return a state as one line.

    >>> status_line(Snapshot(datetime(2013, 3, 1), 50_000, 200_000, 25.0, "1", None, Case(), None))
    '2013-03-01 00:00   25%  2,000 rows/s, 0:01:15 left  champion 1  case stable'
    """
    parts = (
        f"{snapshot.clock:%Y-%m-%d %H:%M}  {snapshot.rows / max(1, snapshot.total_rows):>4.0%}",
        _speed(snapshot),
        f"champion {snapshot.champion or 'none'}",
        f"challenger {snapshot.challenger}" if snapshot.challenger else "",
        f"case {snapshot.case.state}",
        f"drift {snapshot.report.status}" if snapshot.report else "",
    )
    return "  ".join(part for part in parts if part)


def panel(title: str, snapshot: Snapshot) -> Panel:
    """Return a state as a panel of fixed height, so that it does not jump."""
    body = Table.grid(padding=(0, 2), expand=True)
    body.add_column(style=_DIM, no_wrap=True, width=11)
    body.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    body.add_row("clock", Text(f"{snapshot.clock:%a %d %b %Y, %H:%M} UTC", style="bold"))
    body.add_row("rows", ProgressBar(total=max(1, snapshot.total_rows), completed=snapshot.rows, width=60))
    body.add_row("", f"{snapshot.rows:,} of {snapshot.total_rows:,}, {_speed(snapshot)}")
    body.add_row("champion", Text(snapshot.champion or "none yet", style="bold green" if snapshot.champion else _DIM))
    body.add_row("challenger", Text(snapshot.challenger or "none", style="yellow" if snapshot.challenger else _DIM))
    body.add_row("drift", _drift(snapshot.report))
    body.add_row("case", Text.assemble((str(snapshot.case.state), "bold"), f"  {snapshot.case.reason}"))
    recent = list(snapshot.decisions[-SHOWN_DECISIONS:])
    recent += [""] * (SHOWN_DECISIONS - len(recent))
    for row, decision in enumerate(recent):
        body.add_row("" if row else "decisions", Text(decision))
    return Panel(body, title=Text(title, style="bold"), border_style=_DIM, padding=(0, 1))


def _speed(snapshot: Snapshot) -> str:
    left = "" if snapshot.left_s is None else f", {timedelta(seconds=round(snapshot.left_s))} left"
    return f"{snapshot.rows_per_s:,.0f} rows/s{left}"


def _drift(report: DriftReport | None) -> Text:
    if report is None:
        return Text("no look yet", style=_DIM)
    # Drifted columns first, then by how far beyond what chance explains.
    worst = sorted(report.features, key=lambda score: (not score.drifted, -score.size[0] / max(score.size[1], 1e-9)))
    names = ", ".join(f"{score.name} {score.size[0]:.2f}" for score in worst[:WORST])
    since = f"  {report.rows:,} rows until {report.window_end:%d %b}"
    return Text.assemble((str(report.status), _COLOURS[report.status]), since, f"  PSI {names}" if names else "")

"""Whether labels still come: their share of the mature outcomes, and how long none has come at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, log

from homeostat.records import Outcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BUCKETS = 8  # of a window
_ODDS = 3.0  # far above normal: the odds of a missing label at least so many times the usual ones ...
_DIFFERENCE = 0.2  # ... and the share higher by this, else rare misses alarm
_CHANCE = 1e-6  # of a row of unlabelled outcomes that is only bad luck
_LEAST_RUN = 10


@dataclass(frozen=True, slots=True)
class StaleLabels:
    """Labels are missing: since when, and what shows it."""

    since: datetime
    what: str


@dataclass(slots=True)
class _Count:
    rows: int = 0
    labelled: int = 0

    @property
    def missing(self) -> float:
        return 1 - self.labelled / self.rows if self.rows else 0.0


class LabelWatch:
    """A fold over mature outcomes, kept for two windows: the newest, and what was normal before it.

    Outcomes come in event-time order, labelled or not, as long as predictions flow; one that comes twice after a
    restart moves a share by next to nothing.
    """

    def __init__(self, window: timedelta, maturity: timedelta, min_rows: int) -> None:
        """Take the span of a look, when a label is given up, and the rows below which a share says nothing."""
        self._length = window / _BUCKETS
        self._maturity = maturity
        self._min_rows = min_rows
        self._buckets: dict[int, _Count] = {}
        self._before = _Count()  # outcomes before the present row of unlabelled ones
        self._run = 0  # unlabelled outcomes in a row
        self._run_since: datetime | None = None
        self._last_label: datetime | None = None
        self._newest: datetime | None = None

    def fold(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes."""
        for outcome in outcomes:
            count = self._buckets.setdefault((outcome.event_time - _EPOCH) // self._length, _Count())
            count.rows += 1
            count.labelled += outcome.label is not None
            self._follow(outcome)
        for key in sorted(self._buckets)[: -2 * _BUCKETS - 1]:
            del self._buckets[key]

    def finding(self) -> StaleLabels | None:
        """Return what is wrong with the labels, None while nothing is, or too little is known."""
        return self._thinned() or self._dried_up()

    def _follow(self, outcome: Outcome) -> None:
        self._newest = max(self._newest or outcome.event_time, outcome.event_time)
        if outcome.label is None:
            self._run += 1
            self._run_since = self._run_since or outcome.event_time
            return
        self._before.rows += self._run + 1
        self._before.labelled += 1
        self._run, self._run_since = 0, None
        if outcome.label_time is not None:
            self._last_label = max(self._last_label or outcome.label_time, outcome.label_time)

    def _thinned(self) -> StaleLabels | None:
        """Return whether far more outcomes than usual lacked their label over the newest whole window."""
        newest = max(self._buckets, default=0)
        recent = {key: count for key, count in self._buckets.items() if newest - _BUCKETS <= key < newest}
        usual = [count for key, count in self._buckets.items() if key < newest - _BUCKETS]
        now, before = _sum(recent.values()), _sum(usual)
        if min(now.rows, before.rows) < self._min_rows or now.missing < _limit(before.missing):
            return None
        first = min(key for key, count in recent.items() if count.missing >= _limit(before.missing))
        what = f"{now.missing:.0%} of {now.rows:,} mature outcomes have no label, {before.missing:.0%} before"
        return StaleLabels(_EPOCH + first * self._length, what)

    def _dried_up(self) -> StaleLabels | None:
        """Return whether no label came for twice its maturity while outcomes went on to mature."""
        if self._run_since is None or self._newest is None or self._run < self._unlikely_run():
            return None
        since = self._last_label or self._run_since
        if self._newest + self._maturity - since <= 2 * self._maturity:
            return None
        known = f"since {since:%Y-%m-%d %H:%M}" if self._last_label else "ever"
        start = _EPOCH + (self._run_since - _EPOCH) // self._length * self._length
        return StaleLabels(start, f"no label has come {known}, while {self._run:,} outcomes matured without one")

    def _unlikely_run(self) -> int:
        """Return how many unlabelled outcomes in a row are no bad luck any more."""
        missing = (self._before.rows - self._before.labelled + 1) / (self._before.rows + 2)
        return max(_LEAST_RUN, ceil(log(_CHANCE) / log(missing)))


def _limit(usual: float) -> float:
    """Return the share of missing labels that is far above the usual one.

    >>> round(_limit(0.0), 3), round(_limit(0.1), 3), round(_limit(0.5), 3)
    (0.2, 0.3, 0.75)
    """
    return max(_ODDS * usual / (1 + (_ODDS - 1) * usual), usual + _DIFFERENCE)


def _sum(counts: Iterable[_Count]) -> _Count:
    total = _Count()
    for count in counts:
        total.rows += count.rows
        total.labelled += count.labelled
    return total

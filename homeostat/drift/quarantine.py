"""Which spans of a stream are broken, what by, and since when: they count neither as drift nor as training rows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby

import numpy as np

from homeostat.drift.cells import CellCoder
from homeostat.drift.diagnosis import diagnose
from homeostat.drift.faults import Fault, FaultKind, references
from homeostat.drift.norms import CLOCK, SCALES, Norm, pieces
from homeostat.drift.profile import Profile
from homeostat.drift.samples import Sample
from homeostat.records import DataIncident, Span


class Quarantine:
    """The incidents of a champion's live rows.

    They are looked for at two scales: in pieces of a hundredth of a window, so that a fault has a name before
    drift is confirmed; and in sevenths, where a column that is naturally constant by the hour can be seen stuck.
    """

    def __init__(self, profile: Profile, window: timedelta) -> None:
        """Take what is calm from the profile; an old one that doesn't say names no fault.

        Args:
            profile: The champion's.
            window: Span of the live window.
        """
        self._window = window
        self.coder = CellCoder(profile.columns[:-1])
        scales = zip(SCALES, profile.norms, strict=False)
        self._scales = [_Scale(profile, self.coder, norms, window / parts) for parts, norms in scales]
        self._known: list[DataIncident] = []
        self._fine: list[DataIncident] = []  # of the known ones, what the smallest pieces showed

    def look(self, samples: Sequence[Sample], now: datetime, memory: timedelta) -> tuple[DataIncident, ...]:
        """Return the incidents of the window that ends now, and those whose labels may still come, oldest first.

        Args:
            samples: Of the stretches of the window and of what has just left it, in order of time.
            now: Rows of later event times have a broken clock.
            memory: How much longer than the window incidents are remembered.
        """
        known = [replace(incident, active=False) for incident in self._known]
        known = united([*known, *self._found(samples, now)])
        oldest = now - self._window - memory
        self._fine = [incident for incident in self._fine if incident.until >= oldest]
        kept = [incident for incident in known if incident.until >= oldest]
        self._known = sorted(kept, key=lambda incident: (incident.since, incident.kind, incident.columns))
        return tuple(self._known)

    def _found(self, samples: Sequence[Sample], now: datetime) -> list[DataIncident]:
        """Return what is seen in the window; what small pieces show already large ones neither widen nor rename."""
        found: list[DataIncident] = []
        for i, scale in enumerate(self._scales):
            finer = self._fine if i else []
            seen = [one for own, one in scale.incidents(samples, now) if not _is_covered(one, own, finer)]
            self._fine = self._fine if i else united([*self._fine, *seen])
            found += [each for each in seen if not any(_is_same(each, other) for other in found)]
        return found


class _Scale:
    """The diagnoses at one size of pieces."""

    def __init__(self, profile: Profile, coder: CellCoder, norms: Sequence[Norm], stretch: timedelta) -> None:
        *of_columns, self._clock = norms
        self._references = references(coder, profile.counts[:-1], of_columns, profile.numerals)
        self._stretch = stretch
        self._told: dict[tuple[Span, int], list[Fault]] = {}  # of pieces looked at: most never change

    def incidents(self, samples: Sequence[Sample], now: datetime) -> list[tuple[Span, DataIncident]]:
        """Return each piece that has a fault, and the fault with a neighbour at both ends: it began and ended there."""
        length = self._stretch.total_seconds()
        stretches = [[*each] for _, each in groupby(samples, lambda sample: sample.since // length)]
        done = stretches[:-1]  # the last may still grow, and half a day is not like a day
        parts = pieces([sum(len(sample.rows) for sample in each) for each in done])
        joined = [[*chain.from_iterable(done[part])] for part in parts]
        cut = [(piece, _span(piece), sum(sample.seen for sample in piece)) for piece in joined]
        before, self._told = self._told, {}
        found = []
        for i, (piece, span, rows) in enumerate(cut):
            faults = before.get((span, rows))
            faults = self._told[span, rows] = self._diagnosed(piece, span, now) if faults is None else faults
            since, until = cut[max(i - 1, 0)][1].since, cut[min(i + 1, len(cut) - 1)][1].until
            newest = i == len(cut) - 1
            told = (DataIncident(f.kind.value, f.columns, f.what, since, until, newest, f.factor) for f in faults)
            found += [(span, incident) for incident in told]
        return found

    def _diagnosed(self, piece: Sequence[Sample], span: Span, now: datetime) -> list[Fault]:
        faults = diagnose(self._references, self._clock, np.concatenate([sample.rows for sample in piece]))
        if span.since > now + self._stretch:
            faults.append(Fault(FaultKind.CLOCK, (CLOCK,), f"event times run ahead, up to {span.until:%Y-%m-%d %H:%M}"))
        return faults


def broken_spans(incidents: Sequence[DataIncident]) -> tuple[Span, ...]:
    """Return the spans of the incidents, joined where they meet, the oldest first."""
    spans: list[Span] = []
    for span in sorted((Span(one.since, one.until) for one in incidents), key=lambda each: each.since):
        if spans and span.since <= spans[-1].until:
            spans[-1] = Span(spans[-1].since, max(span.until, spans[-1].until))
        else:
            spans.append(span)
    return tuple(spans)


def united(incidents: Iterable[DataIncident]) -> list[DataIncident]:
    """Return each incident once, however often it was reported and however it grew.

    >>> day = [datetime(2030, 1, i, tzinfo=UTC) for i in range(1, 5)]
    >>> a, b = (DataIncident("stuck_value", ("x",), "", *day[i : i + 2], active=False) for i in (0, 1))
    >>> [(one.since.day, one.until.day) for one in united([a, b])]
    [(1, 3)]
    """
    known: list[DataIncident] = []
    for found in incidents:
        same = [old for old in known if _is_same(old, found)]
        known = [old for old in known if old not in same] + [_joined([*same, found])]
    return known


def _is_same(one: DataIncident, other: DataIncident) -> bool:
    meet = one.since <= other.until and other.since <= one.until
    return meet and (one.kind, one.columns) == (other.kind, other.columns)


def _is_covered(one: DataIncident, own: Span, finer: Sequence[DataIncident]) -> bool:
    """Return whether smaller pieces gave a column another fault: a long piece of which a part is broken misleads.

    Args:
        one: What a long piece shows.
        own: That piece, without its neighbours.
        finer: What smaller ones have shown.
    """
    return any(
        own.since <= each.until
        and each.since <= own.until
        and not {*one.columns}.isdisjoint(each.columns)
        and (one.kind, one.columns) != (each.kind, each.columns)
        for each in finer
    )


def _joined(same: Sequence[DataIncident]) -> DataIncident:
    """Return what is one incident: its newest piece describes it."""
    newest = max(same, key=lambda one: one.until)
    return replace(
        newest,
        since=min(one.since for one in same),
        active=any(one.active for one in same),
    )


def _span(piece: Sequence[Sample]) -> Span:
    times = np.concatenate([sample.rows[:, -1] for sample in piece])
    return Span(*(datetime.fromtimestamp(float(end), UTC) for end in (times.min(), times.max())))

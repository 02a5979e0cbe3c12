"""What a product waits for now, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.contract.model import Contract
from homeostat.healing.rules import Situation, decide
from homeostat.healing.streak import Streak
from homeostat.ports import Aliases
from homeostat.records import Case, CaseState, DriftReport


@dataclass(frozen=True, slots=True)
class Seen:
    """What the words rest on."""

    contract: Contract
    case: Case
    aliases: Aliases
    reports: Sequence[DriftReport]  # the last ones, oldest first
    now: datetime


def waits_for(seen: Seen) -> str:
    """Return what ends the state that the healing case is in; for a canary see ``CanaryEvidence``."""
    case = seen.case
    match case.state:
        case CaseState.TRAINING:
            return f"training, asked for {day(case.since)}"
        case CaseState.CANARY:
            return f"canary: version {case.challenger} has nothing to be compared with"
        case CaseState.WAITING:
            return f"approval of version {case.challenger}: `homeostat approve` or `homeostat reject`"
        case CaseState.COOLDOWN:
            return f"cooldown until {day(case.cooldown_until)}"
        case _:
            return _drift(seen)


def cold_start(seen: Seen, history_since: datetime | None, labelled: int) -> str:
    """Return what a product without a champion waits for.

    Args:
        seen: The situation.
        history_since: When the stream was first watched, None before any drift report.
        labelled: Mature labelled rows, counted up to ``training.min_rows``.
    """
    training = seen.contract.training
    rows = f"{labelled:,} of {training.min_rows:,} labelled rows"
    if labelled >= training.min_rows:
        rows = f"{training.min_rows:,} labelled rows or more, as many as needed"
    if history_since is None:
        return f"cold start: {rows}; the first look at the stream comes every {span(seen.contract.drift.every)}"
    until = history_since + training.cold_start_after + seen.contract.label.maturity
    if seen.now < until:
        return f"cold start: {rows}; {span(training.cold_start_after)} of labelled history are there {day(until)}"
    return f"cold start: {rows}; the first training is due at the next look"


def streak_of(seen: Seen) -> Streak:
    """Return the drifted reports in a row since the last case closed, as the healer counts them."""
    streak = Streak()
    for report in seen.reports:
        if seen.case.since is None or report.at > seen.case.since:
            streak = streak.after(report)
    return streak


def day(time: datetime | None) -> str:
    """Return a time as people write it, in UTC."""
    return f"{time:%Y-%m-%d %H:%M}" if time else "the next look"


def span(length: timedelta) -> str:
    """Return a span in its largest whole unit.

    >>> span(timedelta(days=7)), span(timedelta(minutes=90)), span(timedelta(seconds=20.4))
    ('7 d', '1.5 h', '20 s')
    """
    seconds = length.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{seconds:.0f} s"


def _drift(seen: Seen) -> str:
    """Return why the healer leaves a stable product alone, by the healer's own rules."""
    decision = decide(seen.contract, Situation(seen.case, seen.aliases.champion, streak_of(seen), None, seen.now))
    every = span(seen.contract.drift.every)
    return f"drift, looked for every {every}; now: {decision.reason}"

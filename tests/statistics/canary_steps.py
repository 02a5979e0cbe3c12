"""Canaries that climb steps of traffic: what is decided, how soon, and how many rows a challenger answers by then."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from homeostat.canary.stage import stage_of
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Case, CaseState
from tests.statistics.canary_streams import Kind, stream
from tests.statistics.canary_trials import Looks, by_bounds

START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEPS = CanaryPolicy(steps=[0.05, 0.25, 1.0], step_time=timedelta(days=1))


@dataclass(frozen=True)
class Walked:
    """How one canary went."""

    promoted: bool
    stopped: bool
    rows: float  # until it was decided, or in all
    answered: float  # of them, by the challenger


@dataclass(frozen=True)
class Climbed:
    """Canaries of one kind of stream, looked at after every block."""

    name: str
    streams: int
    promoted: int
    promoted_at_once: int  # on the same streams by a canary of one step
    stopped: int
    rows: float | None  # median until a decision, of those decided
    rows_at_once: float | None
    answered: float  # mean share of the rows that the challenger answered


def walked(seen: Looks, policy: CanaryPolicy) -> Walked:
    """Return how a canary goes whose judge sees this, a block an hour, each label known at once."""
    case, since, answered = Case(CaseState.CANARY, since=START), 0.0, 0.0
    before = np.concatenate([[0.0], seen.rows[:-1]])
    for block in range(len(seen.rows)):
        now, rows = START + (block + 1) * HOUR, float(seen.rows[block])
        stage = stage_of(case, policy, now).after(int(rows - since))
        answered += stage.share * (rows - float(before[block]))
        if seen.stop[block]:
            return Walked(promoted=False, stopped=True, rows=rows, answered=answered)
        if stage.waits_for is not None or rows < policy.min_rows:
            continue
        if stage.next is None and seen.promote[block]:
            return Walked(promoted=True, stopped=False, rows=rows, answered=answered)
        if stage.next is not None and (stage.next < 1 or seen.promote[block]):
            case, since = Case(CaseState.CANARY, since=START, share=stage.next, share_since=now), rows
    return Walked(promoted=False, stopped=False, rows=float(seen.rows[-1]), answered=answered)


def climbed_of(kind: Kind, streams: int, seed: int, blocks: int) -> Climbed:
    """Return what is decided on streams of a kind, step by step and at once."""
    rng, once = np.random.default_rng(seed), CanaryPolicy()
    stepped, direct = [], []
    for _ in range(streams):
        seen = by_bounds(stream(kind, blocks, rng), once)
        stepped.append(walked(seen, STEPS))
        direct.append(walked(seen, once))
    decided = [[w.rows for w in found if w.promoted or w.stopped] for found in (stepped, direct)]
    return Climbed(
        kind.name,
        streams,
        sum(w.promoted for w in stepped),
        sum(w.promoted for w in direct),
        sum(w.stopped for w in stepped),
        *(float(np.median(rows)) if rows else None for rows in decided),
        float(np.mean([w.answered / w.rows for w in stepped])),
    )

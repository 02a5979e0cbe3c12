"""What the judge remembers of outcomes: a pure fold, so that reading them again gives it back."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import combinations

import numpy as np

from homeostat.canary.evidence import BlockSums, PairedEvidence
from homeostat.canary.verdict import Health
from homeostat.contract.losses import row_losses
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Arm, Outcome

_ANY = ""
"""Counts rows that any model scored; no version has an empty name."""


class OutcomeMemory:
    """Paired evidence for every two models that scored the same rows, each outcome counted once."""

    def __init__(self, policy: CanaryPolicy, metric: str) -> None:
        """Take the block length and the name of the loss."""
        self._policy = policy
        self._metric = metric
        self._pairs: dict[tuple[str, str], PairedEvidence] = {}
        self._scored: defaultdict[int, Counter[str]] = defaultdict(Counter)  # by block: rows by version
        self._seen: defaultdict[int, set[str]] = defaultdict(set)  # by block: event ids
        self._first_served: dict[str, datetime] = {}
        self._clock = PairedEvidence(policy.block)  # never filled: says which block a time lies in

    def fold(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes; one that was added before changes nothing."""
        by_pair: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            block = self._clock.index(outcome.event_time)
            if outcome.event_id in self._seen[block]:
                continue
            self._seen[block].add(outcome.event_id)
            self._count(outcome, block)
            if outcome.label is not None:
                for pair in combinations(sorted(outcome.scores), 2):
                    by_pair[pair].append(outcome)
        for pair, rows in by_pair.items():
            self._add(pair, rows)

    def sums(self, incumbent: str, rival: str, since: datetime | None = None) -> BlockSums:
        """Return the losses of two models on the labelled rows both scored, in complete blocks from ``since`` on."""
        first, second = sorted((incumbent, rival))
        evidence = self._pairs.get((first, second)) or PairedEvidence(self._policy.block)
        sums = evidence.complete(since)
        return sums if first == incumbent else sums.flipped()

    def health(self, version: str, since: datetime) -> Health:
        """Return how many rows of the complete blocks from ``since`` on a version scored and failed to score."""
        blocks = [b for b in sorted(self._scored)[:-1] if b >= self._clock.first_after(since)]
        scored = sum(self._scored[b][version] for b in blocks)
        return Health(scored, sum(self._scored[b][_ANY] for b in blocks) - scored)

    def serving_since(self, version: str) -> datetime | None:
        """Return the first event that a version answered as champion."""
        return self._first_served.get(version)

    def forget(self, before: datetime) -> None:
        """Drop what happened before a time."""
        limit = self._clock.index(before)
        for evidence in self._pairs.values():
            evidence.forget(before)
        for block in [b for b in self._seen if b < limit]:
            del self._seen[block]
            self._scored.pop(block, None)

    def _count(self, outcome: Outcome, block: int) -> None:
        if outcome.scores:
            self._scored[block].update((_ANY, *outcome.scores))
        if outcome.version is not None and outcome.arm is Arm.CHAMPION:
            known = self._first_served.get(outcome.version, outcome.event_time)
            self._first_served[outcome.version] = min(known, outcome.event_time)

    def _add(self, pair: tuple[str, str], rows: Sequence[Outcome]) -> None:
        labels = np.array([row.label for row in rows], dtype=np.float64)
        losses = [row_losses(self._metric, labels, np.array([row.scores[v] for row in rows])) for v in pair]
        evidence = self._pairs.setdefault(pair, PairedEvidence(self._policy.block))
        evidence.add([row.event_time for row in rows], losses[0], losses[1])

"""What the judge remembers of answers and outcomes: a pure fold, so that reading them again gives it back."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain

import numpy as np

from homeostat.canary.evidence import GROUPS, Blocks, CellSums, group_of, paired
from homeostat.canary.spread import Floats
from homeostat.canary.trial import BINS, Health, Shift, Trial
from homeostat.contract.losses import row_losses
from homeostat.contract.policies import CanaryPolicy
from homeostat.records import Arm, Outcome, Prediction

Scorers = tuple[str, ...]
"""The versions that scored a row, in order."""

_WIDTH = 6  # columns of ``Paired``
_DESCRIBED = 2 + BINS  # columns of an answer by version
_MOST_SLICES = 64  # the values that come first: a feature with more is no slice


class CanaryMemory:
    """What every set of models answered on the same rows, each answer and each outcome counted once.

    Outcomes give losses, and come when their labels are mature; answers come at once and say who failed to
    score and how scores lie.
    """

    def __init__(self, policy: CanaryPolicy, metric: str) -> None:
        """Take the block length and the name of the loss."""
        self._policy = policy
        self._metric = metric
        self._blocks = Blocks(policy.block)
        self._labelled: dict[Scorers, CellSums] = {}  # 1, label, then loss and score of each scorer
        self._sliced: defaultdict[str, dict[Scorers, CellSums]] = defaultdict(dict)  # the same by slice
        # 1, then score, whether it was slow, and bin of each scorer; by who scored and who was not to
        self._answered: dict[tuple[Scorers, Scorers], CellSums] = {}
        self._outcomes: defaultdict[int, set[str]] = defaultdict(set)  # by block: event ids
        self._answers: defaultdict[int, set[str]] = defaultdict(set)

    def fold(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes, each with the answer it had; one that was added before changes nothing."""
        rows: defaultdict[Scorers, list[Outcome]] = defaultdict(list)
        kept = list(outcomes)
        self.follow(kept)  # most have come as answers before
        for outcome in kept:
            if not self._is_new(outcome, self._outcomes):
                continue
            alone = len(outcome.scores) == 1 and outcome.arm is Arm.CHAMPION  # nobody else was to score
            if outcome.label is not None and outcome.scores and not alone:
                rows[tuple(sorted(outcome.scores))].append(outcome)
        for scorers, found in rows.items():
            self._add_labelled(scorers, found)

    def follow(self, answers: Iterable[Prediction | Outcome]) -> None:
        """Add answers, which need no label; one that was added before changes nothing."""
        rows: defaultdict[tuple[Scorers, Scorers], list[Prediction | Outcome]] = defaultdict(list)
        for answer in answers:
            if answer.scores and self._is_new(answer, self._answers):
                rows[tuple(sorted(answer.scores)), answer.spared].append(answer)
        for (scorers, spared), found in rows.items():
            values = np.hstack([np.ones((len(found), 1)), *(_described(found, version) for version in scorers)])
            kept = self._answered.setdefault((scorers, spared), CellSums(values.shape[1]))
            kept.add(self._indices(found), [group_of(row.entity_id) for row in found], values)

    def trial(self, incumbent: str, rival: str, since: datetime, *, labelled_since: datetime | None = None) -> Trial:
        """Return what is known of two models in complete blocks.

        Args:
            incumbent: The version that serves, or is to be gone back to.
            rival: The version that is judged.
            since: Answers of blocks from then on count.
            labelled_since: Outcomes of blocks from then on count; None: all.
        """
        answered = [b for b in sorted(self._answers)[:-1] if b >= self._blocks.first_after(since)]
        health = [self._health(version, answered) for version in (incumbent, rival)]
        first = None if labelled_since is None else self._blocks.first_after(labelled_since)
        blocks = [b for b in sorted(self._outcomes)[:-1] if first is None or b >= first]
        table = self._losses(self._labelled, incumbent, rival, blocks)
        if health[0].is_failing(self._policy):
            table += self._unanswered(incumbent, rival, blocks)
        slices = {
            name: paired(self._losses(kept, incumbent, rival, blocks)) for name, kept in sorted(self._sliced.items())
        }
        shift = self._shift(incumbent, rival, answered)
        return Trial(paired(table), health[1], health[0], shift, slices)

    def scored(self, version: str, since: datetime) -> int:
        """Return how many rows a version scored in complete blocks since a time."""
        answered = [b for b in sorted(self._answers)[:-1] if b >= self._blocks.first_after(since)]
        return self._health(version, answered).scored

    def looks(self) -> tuple[int, int]:
        """Return the newest block of outcomes and of answers: without a new one there is nothing new to see."""
        return max(self._outcomes, default=0), max(self._answers, default=0)

    def forget(self, before: datetime) -> None:
        """Drop what happened before a time."""
        limit = self._blocks.index(before)
        sliced = chain.from_iterable(kept.values() for kept in self._sliced.values())
        for sums in chain(self._labelled.values(), self._answered.values(), sliced):
            sums.forget(limit)
        for seen in (self._outcomes, self._answers):
            for block in [block for block in seen if block < limit]:
                del seen[block]

    def _is_new(self, row: Prediction | Outcome, seen: defaultdict[int, set[str]]) -> bool:
        ids = seen[self._blocks.index(row.event_time)]
        if row.event_id in ids:
            return False
        ids.add(row.event_id)
        return True

    def _indices(self, rows: Sequence[Prediction | Outcome]) -> list[int]:
        return [self._blocks.index(row.event_time) for row in rows]

    def _add_labelled(self, scorers: Scorers, rows: Sequence[Outcome]) -> None:
        labels = np.array([row.label for row in rows], dtype=np.float64)
        columns = [np.ones(len(rows)), labels]
        for version in scorers:
            scores = np.array([row.scores[version] for row in rows])
            columns += [row_losses(self._metric, labels, scores), scores]
        values, blocks = np.column_stack(columns), self._indices(rows)
        groups = [group_of(row.entity_id) for row in rows]
        self._labelled.setdefault(scorers, CellSums(values.shape[1])).add(blocks, groups, values)
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            for name, value in zip(self._policy.slices, row.slices, strict=False):  # the contract may have changed
                places[f"{name} {value}"].append(place)
        for name, at in places.items():
            if name in self._sliced or len(self._sliced) < _MOST_SLICES:
                kept = self._sliced[name].setdefault(scorers, CellSums(values.shape[1]))
                kept.add([blocks[i] for i in at], [groups[i] for i in at], values[at])

    def _losses(self, kept: dict[Scorers, CellSums], incumbent: str, rival: str, blocks: Sequence[int]) -> Floats:
        """Return the columns of ``Paired`` on the rows that both scored."""
        table = np.zeros((len(blocks), GROUPS, _WIDTH))
        for scorers, sums in kept.items():
            if {incumbent, rival} <= set(scorers):
                old, new = (2 + 2 * scorers.index(version) for version in (incumbent, rival))
                table += sums.table(blocks)[:, :, [0, 1, old, new, old + 1, new + 1]]
        return table

    def _unanswered(self, incumbent: str, rival: str, blocks: Sequence[int]) -> Floats:
        """Return the same on the rows that an incumbent left unanswered, as if it had said the label rate.

        Nothing better can be said without a model: a rival that gets through for it has to beat that.
        """
        table = np.zeros((len(blocks), GROUPS, _WIDTH))
        for scorers, sums in self._labelled.items():
            if rival in scorers and incumbent not in scorers:
                new = 2 + 2 * scorers.index(rival)
                table[:, :, [0, 1, 3, 5]] += sums.table(blocks)[:, :, [0, 1, new, new + 1]]
        rows, labels = table[:, :, 0], table[:, :, 1]
        rate = (labels.sum() + 1) / (rows.sum() + 2)
        no, yes = row_losses(self._metric, np.array([0.0, 1.0]), np.array([rate, rate]))
        table[:, :, 2], table[:, :, 4] = no * (rows - labels) + yes * labels, rate * rows
        return table

    def _health(self, version: str, blocks: Sequence[int]) -> Health:
        scored = failed = 0
        for (scorers, spared), sums in self._answered.items():
            rows = round(sums.total(blocks)[0])
            scored += rows * (version in scorers)
            failed += rows * (version not in scorers + spared)
        return Health(scored, failed)

    def _shift(self, incumbent: str, rival: str, blocks: Sequence[int]) -> Shift:
        rows, seen = np.zeros((2, len(blocks), GROUPS))
        failed = np.zeros((2, len(blocks), GROUPS))
        both = np.zeros((2, len(blocks), GROUPS, _DESCRIBED))
        for (scorers, spared), sums in self._answered.items():
            if not {incumbent, rival}.isdisjoint(spared):  # it says nothing of who was not to score it
                continue
            table = sums.table(blocks)
            seen += table[:, :, 0]
            answered = [version in scorers for version in (incumbent, rival)]
            for place, version in enumerate((incumbent, rival)):
                if not answered[place]:
                    failed[place] += table[:, :, 0]
                elif all(answered):
                    first = 1 + _DESCRIBED * scorers.index(version)
                    both[place] += table[:, :, first : first + _DESCRIBED]
            rows += table[:, :, 0] * all(answered)
        apart = both[1] - both[0]
        return Shift(rows, apart[:, :, 0], both[0, :, :, 2:], both[1, :, :, 2:], apart[:, :, 1], seen, *failed)


def _described(answers: Sequence[Prediction | Outcome], version: str) -> Floats:
    """Return each score of a version, whether it was slow, and the bin it lies in, shape (n, _DESCRIBED)."""
    scores = np.array([answer.scores[version] for answer in answers])
    slow = [isinstance(answer, Prediction) and version in answer.slow for answer in answers]
    place = np.clip((scores * BINS).astype(np.int64), 0, BINS - 1)
    return np.column_stack([scores, slow, np.eye(BINS)[place]])

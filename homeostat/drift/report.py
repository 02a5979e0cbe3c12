"""One look at a window: every test, the level that holds for all of them, and a conclusion in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.bins import coarse
from homeostat.drift.counts import WindowCounts
from homeostat.drift.design import INDEPENDENT
from homeostat.drift.discovery import level_in_force
from homeostat.drift.embedding import EmbeddingTest, embedding_test
from homeostat.drift.ks import KsTest, ks_test
from homeostat.drift.performance import LossBlock, LossTest, loss_test
from homeostat.drift.profile import Profile
from homeostat.drift.psi import PsiTest, psi_test
from homeostat.records import DriftScore, DriftStatus, Performance

EMBEDDING = "embedding"
"""The name of the score over the whole feature vector."""

_WORST = 3  # features named in the reasons


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a window says: the parts of a drift report that need no clock."""

    rows: int
    status: DriftStatus
    features: tuple[DriftScore, ...] = ()
    prediction: DriftScore | None = None
    embedding: DriftScore | None = None
    performance: Performance | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _ColumnTest:
    """Both tests of one column."""

    name: str
    psi: PsiTest
    ks: KsTest | None
    tests: int = field(default=1)

    @property
    def p_value(self) -> float:
        """The smaller p-value, times the number of tests (Bonferroni)."""
        smallest = self.psi.p_value if self.ks is None else min(self.psi.p_value, self.ks.p_value)
        return min(1.0, smallest * self.tests)

    def score(self, level: float, policy: DriftPolicy) -> DriftScore:
        """Return the column's score at the level in force: drifted when certain and large enough."""
        psi_limit = self.psi.limit(level / self.tests)
        drifted = self.psi.index > psi_limit and self.psi.effect >= policy.min_psi
        distance = ks_limit = None
        if self.ks is not None:
            distance, ks_limit = self.ks.distance, self.ks.limit(level / self.tests)
            drifted = drifted or (distance > ks_limit and distance >= policy.min_ks)
        return DriftScore(self.name, self.psi.index, psi_limit, distance, ks_limit, self.p_value, drifted)


def judge_window(counts: WindowCounts, blocks: Sequence[LossBlock], policy: DriftPolicy) -> Judgement:
    """Return what the window says about the profile it was counted on.

    Something drifts when it is significant and large. Significance is joint: one false discovery rate
    over all features, the prediction, the embedding and the performance, so a calm look raises any alarm
    with at most that chance. Size has floors of its own, else many rows would flag dust.

    Chance is what windows of the training span do to one another, where the profile knows it; else what
    independent rows would do.

    Args:
        counts: The window's rows on the champion's profile.
        blocks: Sums of the mature rows, one block per stretch of time.
        policy: Floors, rates, and the least number of rows.
    """
    if counts.rows < policy.min_rows:
        return unknown(f"{counts.rows:,} rows in the window, {policy.min_rows:,} needed", counts.rows)
    profile = counts.counter.profile
    columns = [_column_test(profile, counts, j) for j in range(len(profile.columns))]
    whole = embedding_test(profile.embedding, counts.embedding, counts.rows, profile.embedding_design)
    loss = loss_test(blocks, profile.expected_loss, profile.expected_loss_se)
    loss = loss if loss is not None and loss.rows >= policy.min_rows else None
    tests = [*columns, *(test for test in (whole, loss) if test is not None)]
    level = level_in_force([test.p_value for test in tests], policy.false_discovery_rate)
    *features, prediction = [column.score(level, policy) for column in columns]
    embedding = _embedding_score(whole, level, policy) if whole else None
    performance = _performance(loss, profile.expected_loss, level, policy) if loss else None
    reasons = _reasons(performance, [*features, prediction, embedding], policy)
    return Judgement(
        rows=counts.rows,
        status=DriftStatus.DRIFTED if reasons else DriftStatus.HEALTHY,
        features=tuple(features),
        prediction=prediction,
        embedding=embedding,
        performance=performance,
        reasons=reasons or (f"nothing beyond chance and the floors in {counts.rows:,} rows",),
    )


def unknown(reason: str, rows: int = 0) -> Judgement:
    """Return the judgement of a window that says nothing."""
    return Judgement(rows, DriftStatus.UNKNOWN, reasons=(reason,))


def _column_test(profile: Profile, counts: WindowCounts, j: int) -> _ColumnTest:
    column, reference, live = profile.columns[j], np.asarray(profile.counts[j]), counts.column(j)
    index = profile.index_designs[j] if profile.index_designs else INDEPENDENT
    psi = psi_test(coarse(column, reference), coarse(column, live), index)
    if column.categorical:
        return _ColumnTest(column.name, psi, None)
    gap = profile.gap_designs[j] if profile.gap_designs else INDEPENDENT
    return _ColumnTest(column.name, psi, ks_test(reference[:-1], live[:-1], gap), tests=2)


def _embedding_score(test: EmbeddingTest, level: float, policy: DriftPolicy) -> DriftScore:
    limit = test.limit(level)
    # the same floor as a column's: both are in units of the symmetric divergence for small shifts
    drifted = test.distance > limit and test.effect >= policy.min_psi
    return DriftScore(EMBEDDING, test.distance, limit, None, None, test.p_value, drifted)


def _performance(test: LossTest, expected: float, level: float, policy: DriftPolicy) -> Performance:
    degraded = test.p_value <= level and test.loss - expected >= policy.min_loss_increase * expected
    return Performance(test.rows, test.loss, expected, test.p_value, test.calibration_error, degraded)


def _reasons(
    performance: Performance | None, scores: Sequence[DriftScore | None], policy: DriftPolicy
) -> tuple[str, ...]:
    """Return what drifted: the loss first, then the worst columns by their index, then the embedding."""
    reasons = []
    if performance is not None and performance.degraded:
        more = performance.loss / performance.expected_loss - 1
        promise = f"{performance.expected_loss:.4f} promised ({more:+.1%})"
        reasons.append(f"loss {performance.loss:.4f} on {performance.rows:,} mature rows, {promise}")
    drifted = sorted((s for s in scores if s is not None and s.drifted), key=_worst_first)
    reasons += [_words(score, policy) for score in drifted[:_WORST]]
    if len(drifted) > _WORST:
        reasons.append(f"and {len(drifted) - _WORST} more")
    return tuple(reasons)


def _worst_first(score: DriftScore) -> tuple[bool, float, str]:
    return score.name == EMBEDDING, -score.psi, score.name  # a column says more than the distance over all


def _words(score: DriftScore, policy: DriftPolicy) -> str:
    name = "distance" if score.name == EMBEDDING else "PSI"
    text = (
        f"{score.name}: {name} {score.psi:.3f}, calm windows stay under {score.psi_limit:.3f}, floor {policy.min_psi:g}"
    )
    return text if score.ks is None else f"{text}; KS {score.ks:.3f}"

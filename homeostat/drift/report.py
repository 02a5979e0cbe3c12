"""One look at a window: every test, the level that holds for all of them, and a conclusion in plain words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from math import isclose

import numpy as np

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.columns import ColumnTest, column_test
from homeostat.drift.counts import WindowCounts
from homeostat.drift.damage import priced, without_harmless
from homeostat.drift.discovery import level_in_force
from homeostat.drift.domain import DomainTest
from homeostat.drift.embedding import EmbeddingTest, embedding_test
from homeostat.drift.label_rate import label_rate
from homeostat.drift.numbers import NUMBER
from homeostat.drift.performance import LossBlock, LossTest, announced_loss, loss_test
from homeostat.drift.profile import Profile
from homeostat.drift.reference import Reference, reference_of
from homeostat.records import (
    DataIncident,
    DomainScore,
    DriftReport,
    DriftScore,
    DriftStatus,
    LabelRate,
    LossEstimate,
    Performance,
    Span,
)

EMBEDDING = "embedding"
"""The name of the score over the whole feature vector."""

_WORST = 3  # features named in the reasons
_MOST = 0.5  # of what a classifier learnt
_LABELLED_SHARE = 0.5  # of the false discovery rate: with a hundred features, labels must not be one voice in a hundred


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
    estimate: LossEstimate | None = None
    domain: DomainScore | None = None
    reference: str | None = None
    changed_at: datetime | None = None
    labelled_since: int | None = None
    label_rate: LabelRate | None = None


def judge_window(
    counts: WindowCounts,
    blocks: Sequence[LossBlock],
    policy: DriftPolicy,
    metric: str = "log_loss",
    domain: DomainTest | None = None,
) -> Judgement:
    """Return what the window says about the profile it was counted on.

    Something drifts when it is significant and large. Significance is joint: one false discovery rate
    over all features, the prediction, the embedding and the performance, so a calm look raises any alarm
    with at most that chance. Size has floors of its own, else many rows would flag dust. Mature labels have
    half of the rate to themselves: what they say is what matters.

    The loss is held against what the scores announce, not against what the training promised: rows of other weeks
    were harder or easier.

    Chance is what windows of the training span do to one another, where the profile knows it; else what
    independent rows would do.

    Args:
        counts: The window's rows on the champion's profile.
        blocks: Sums of the mature rows, one block per stretch of time.
        policy: Floors, rates, and the least number of rows.
        metric: Of the contract's objective, for the loss that the scores announce.
        domain: How well the window's rows are told from the reference's, where that was asked for.
    """
    if counts.rows < policy.min_rows:
        return unknown(f"{counts.rows:,} rows in the window, {policy.min_rows:,} needed", counts.rows)
    profile = counts.counter.profile
    reference = reference_of(counts, policy)
    columns = [column_test(counts, reference, j) for j in range(len(profile.columns))]
    whole = embedding_test(reference.embedding, counts.embedding, counts.rows, reference.embedding_design)
    loss = loss_test(blocks)
    loss = loss if loss is not None and loss.rows >= policy.min_rows else None
    unlabelled = [test.p_value for test in (*columns, whole, domain) if test is not None]
    labelled = _label_p_value(loss, policy) if loss else None
    level, label_level = _levels(unlabelled, labelled, policy.false_discovery_rate)
    calm = (1.0 if labelled is None else 1 - _LABELLED_SHARE) / len(unlabelled)
    *features, prediction = [column.score(level, calm, policy) for column in columns]
    features = _priced(features, columns, reference, counts)
    embedding = _embedding_score(whole, level, policy) if whole else None
    performance = _performance(loss, profile.expected_loss, label_level, policy) if loss else None
    told_apart = _domain_score(domain, level, policy) if domain else None
    harms = _harms(loss, label_level, policy) if loss else ()
    loud = [*without_harmless(features, embedding, policy.harmless_share), prediction]
    reasons = (*harms, *_reasons(loud, policy), *_reasons_apart(told_apart, features, policy))
    return Judgement(
        rows=counts.rows,
        status=DriftStatus.DRIFTED if reasons else DriftStatus.HEALTHY,
        features=tuple(features),
        prediction=prediction,
        embedding=embedding,
        performance=performance,
        reasons=reasons or (f"nothing beyond chance and the floors in {counts.rows:,} rows",),
        estimate=_estimate(profile, counts, metric),
        domain=told_apart,
        reference=reference.told,
        label_rate=label_rate(profile.labels, blocks, label_level) if loss and profile.labels else None,
    )


def _priced(
    features: Sequence[DriftScore], columns: Sequence[ColumnTest], reference: Reference, counts: WindowCounts
) -> list[DriftScore]:
    """Return the features' scores with what their moves may cost, where the profile knows what they are worth."""
    worth = counts.counter.profile.attribution
    if not worth:
        return [*features]
    moved = [columns[j].moved(reference.columns[j], counts.column(j)) for j in range(len(features))]
    return [priced(*each) for each in zip(features, worth, moved, strict=True)]


def unknown(reason: str, rows: int = 0) -> Judgement:
    """Return the judgement of a window that says nothing."""
    return Judgement(rows, DriftStatus.UNKNOWN, reasons=(reason,))


def report_of(
    judgement: Judgement,
    report_id: str,
    *,
    at: datetime,
    span: Span,
    version: str | None,
    incidents: tuple[DataIncident, ...] = (),
) -> DriftReport:
    """Return all that a judgement says as a report of a window's span, for the champion it was judged by."""
    return DriftReport(
        report_id=report_id,
        at=at,
        window_start=span.since,
        window_end=span.until,
        version=version,
        incidents=incidents,
        **{part.name: getattr(judgement, part.name) for part in fields(judgement)},
    )


def _estimate(profile: Profile, counts: WindowCounts, metric: str) -> LossEstimate | None:
    scores = profile.columns[-1].centres
    if not scores:  # an old profile
        return None
    effect = profile.index_designs[-1].effect if profile.index_designs else 1.0
    return announced_loss(metric, np.asarray(scores), counts.column(len(profile.columns) - 1)[:-1], effect)


def _embedding_score(test: EmbeddingTest, level: float, policy: DriftPolicy) -> DriftScore:
    limit = test.limit(level)
    # the same floor as a column's: both are in units of the symmetric divergence for small shifts
    drifted = test.distance > limit and test.effect >= policy.min_psi
    return DriftScore(EMBEDDING, test.distance, limit, None, None, test.p_value, drifted)


def _domain_score(test: DomainTest, level: float, policy: DriftPolicy) -> DomainScore:
    limit = test.limit(level)
    drifted = test.auc > limit and test.effect >= policy.min_psi
    return DomainScore(test.auc, limit, test.p_value, drifted, test.carried)


def _performance(test: LossTest, promised: float, level: float, policy: DriftPolicy) -> Performance:
    degraded = bool(_harms(test, level, policy))
    error, p_value = test.calibration_error, test.calibration_p_value
    return Performance(test.rows, test.loss, promised, test.p_value, error, degraded, p_value)


def _harms(test: LossTest, level: float, policy: DriftPolicy) -> list[str]:
    """Return in words what the labels hold against the scores, and both the level and the floor let through."""
    least = policy.min_loss_increase * test.announced
    level /= _label_tests(policy)
    harms = []
    if test.p_value <= level and test.log_loss - test.announced >= least:
        name = "loss" if isclose(test.loss, test.log_loss) else "log loss"  # the objective may be another
        more = f"{test.announced:.4f} announced by the scores ({test.log_loss / test.announced - 1:+.1%})"
        harms.append(f"{name} {test.log_loss:.4f} on {test.rows:,} mature rows, {more}")
    if policy.watch_calibration and test.calibration_p_value <= level and test.calibration_gain >= least:
        side = "above" if test.calibration_error > 0 else "below"
        more = f"setting it right saves {test.calibration_gain / test.announced:.1%} of the log loss"
        harms.append(f"the mean score lies {abs(test.calibration_error):.4f} {side} the label rate; {more}")
    return harms


def _label_tests(policy: DriftPolicy) -> int:
    return 2 if policy.watch_calibration else 1


def _label_p_value(test: LossTest, policy: DriftPolicy) -> float:
    """Return the smaller p-value of the tests on labels, times their number (Bonferroni)."""
    smallest = min(test.p_value, test.calibration_p_value) if policy.watch_calibration else test.p_value
    return min(1.0, smallest * _label_tests(policy))


def _levels(unlabelled: Sequence[float], labelled: float | None, rate: float) -> tuple[float, float]:
    """Return the levels in force for each test without labels, and for the labels, given the p-values of both.

    Source: Genovese, Roeder and Wasserman (2006), "False discovery control with p-value weighting",
    doi:10.1093/biomet/93.3.509; the weights have mean 1.
    """
    if labelled is None:
        return level_in_force(unlabelled, rate), rate
    tests = len(unlabelled) + 1
    light, heavy = (1 - _LABELLED_SHARE) * tests / len(unlabelled), _LABELLED_SHARE * tests
    weighted = [min(1.0, p / light) for p in unlabelled] + [min(1.0, labelled / heavy)]
    level = level_in_force(weighted, rate)
    return level * light, level * heavy


def _reasons(scores: Sequence[DriftScore | None], policy: DriftPolicy) -> tuple[str, ...]:
    """Return what drifted without labels: the columns of the most damage first, then the embedding."""
    drifted = sorted((s for s in scores if s is not None and s.drifted), key=_worst_first)
    reasons = [_words(score, policy) for score in drifted[:_WORST]]
    if len(drifted) > _WORST:
        reasons.append(f"and {len(drifted) - _WORST} more")
    return tuple(reasons)


def _reasons_apart(score: DomainScore | None, features: Sequence[DriftScore], policy: DriftPolicy) -> Iterator[str]:
    """Give what the classifier found, unless features that are next to nothing to the champion carry most of it."""
    if score is None or not score.drifted:
        return
    harmless = {one.name for one in features if one.share is not None and one.share < policy.harmless_share}
    if sum(share for name, share in score.carried.items() if name in harmless) <= _MOST:
        carried = ", ".join(f"{name} {share:.0%}" for name, share in [*score.carried.items()][:_WORST])
        yield (
            f"a classifier tells the rows from the reference's: AUC {score.auc:.3f}, calm windows stay under "
            f"{score.auc_limit:.3f}; by {carried}"
        )


def _worst_first(score: DriftScore) -> tuple[bool, float, float, str]:
    # a column says more than the distance over all; without any damage known the largest index comes first
    return score.name == EMBEDDING, -(score.damage or 0.0), -score.size[0], score.name


def _words(score: DriftScore, policy: DriftPolicy) -> str:
    name = "distance" if score.name == EMBEDDING else "PSI"
    text = (
        f"{score.name}: {name} {score.psi:.3f}, calm windows stay under {score.psi_limit:.3f}, floor {policy.min_psi:g}"
    )
    text = text if score.ks is None else f"{text}; KS {score.ks:.3f}"
    if score.embedding is not None:
        text = (
            f"{score.name}: distance of the vectors {score.embedding:.3f}, calm windows stay under "
            f"{score.embedding_limit:.3f}; PSI along one direction {score.psi:.3f}, missing counted"
        )
        moved = [f"{name} {index:.3f}" for name, index in score.distances.items() if name.startswith(NUMBER)]
        text = f"{text}; PSI of set or not: {', '.join(moved)}" if moved else text
    return text if score.share is None else f"{text}; {score.share:.1%} of the model, may cost {score.damage:.4f}"

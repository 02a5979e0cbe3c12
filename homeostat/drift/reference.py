"""What a window is held against: all training rows, or those of the same hours of the season."""

from dataclasses import dataclass, replace

import numpy as np

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import WindowCounts
from homeostat.drift.design import INDEPENDENT, Design
from homeostat.drift.draws import WIDTH
from homeostat.drift.embedding import EmbeddingReference
from homeostat.drift.profile import Profile
from homeostat.drift.seasons import SeasonReference
from homeostat.drift.vectors import VectorReference

_UNSEEN = 0.01  # of a window's rows may lie in hours that training never saw; they shift no index by a floor


@dataclass(frozen=True, slots=True)
class Reference:
    """Counts of each column on the profile's bins, the mean embedding, and how far calm windows lie from them."""

    columns: tuple[np.ndarray, ...]
    index_designs: tuple[Design, ...]
    gap_designs: tuple[Design, ...]
    embedding: EmbeddingReference
    embedding_design: Design
    vectors: dict[int, VectorReference]  # by place, of the vector columns
    told: str | None = None  # which one it is, where a season was asked for

    def index_design(self, j: int) -> Design:
        """Return the design of column ``j``'s index."""
        return self.index_designs[j] if self.index_designs else INDEPENDENT

    def gap_design(self, j: int) -> Design:
        """Return the design of column ``j``'s Kolmogorov-Smirnov distance."""
        return self.gap_designs[j] if self.gap_designs else INDEPENDENT


def training_reference(profile: Profile, told: str | None = None) -> Reference:
    """Return all rows of the training."""
    return Reference(
        columns=tuple(np.asarray(counts) for counts in profile.counts),
        index_designs=profile.index_designs,
        gap_designs=profile.gap_designs,
        embedding=profile.embedding,
        embedding_design=profile.embedding_design,
        vectors=profile.vectors,
        told=told,
    )


def reference_of(counts: WindowCounts, policy: DriftPolicy) -> Reference:
    """Return what the window is to be held against by the policy, and why, where that is not the season asked for."""
    profile = counts.counter.profile
    if policy.season is None:
        return training_reference(profile)
    season = profile.season
    if season is None or season.season != policy.season:
        why = f"the champion's training has no four of a {policy.season}, or was before they were asked for"
        return training_reference(profile, f"the whole training span: {why}")
    known = counts.hours[list(season.hours)]
    rows = _effective(known, np.asarray(season.rows))
    if known.sum() < (1 - _UNSEEN) * counts.rows or rows < policy.min_rows:
        why = f"the window's hours of the {policy.season} have {rows:,.0f} rows there, {policy.min_rows:,} needed"
        return training_reference(profile, f"the whole training span: {why}")
    told = f"the same hours of the {policy.season} in the training span: {rows:,.0f} rows"
    vectors = {j: _vectors_of(each, season, j, known, policy.min_rows) for j, each in profile.vectors.items()}
    return replace(_seasonal(counts, season, known / known.sum(), rows, told), vectors=vectors)


def _effective(live: np.ndarray, rows: np.ndarray) -> float:
    """Return as how many equal rows the means of hours scatter, weighted as the window's own rows are."""
    seen = live > 0
    return float(live.sum() ** 2 / np.sum(live[seen] ** 2 / rows[seen])) if seen.any() else 0.0


def _seasonal(counts: WindowCounts, season: SeasonReference, weights: np.ndarray, rows: float, told: str) -> Reference:
    profile = counts.counter.profile
    shares = weights @ np.frombuffer(season.shares, dtype=np.float32).reshape(weights.size, -1)
    mean = weights @ np.frombuffer(season.means, dtype=np.float32).reshape(weights.size, WIDTH)
    return Reference(
        columns=tuple(np.split(shares * rows, counts.counter.starts[1:-1])),
        index_designs=season.index_designs,
        gap_designs=season.gap_designs,
        embedding=replace(profile.embedding, mean=tuple(mean.tolist()), mean_rows=rows, borne=season.directions),
        embedding_design=season.embedding_design,
        vectors=profile.vectors,
        told=told,
    )


def _vectors_of(
    whole: VectorReference, season: SeasonReference, j: int, live: np.ndarray, least: int
) -> VectorReference:
    """Return column ``j``'s vectors of the hours that live rows are of; those of all hours where these are too few.

    Args:
        whole: Of all hours.
        season: Which hours of training rows there are.
        j: Place of the column.
        live: Rows of the window in each of them; taken to have vectors as often as the training's.
        least: Effective vectors needed.
    """
    seen = season.vectors.get(j)
    if seen is None:
        return whole
    live = live * np.asarray(seen.known)
    rows = _effective(live, np.asarray(seen.rows))
    if rows < least:
        return whole
    mean = live / live.sum() @ np.frombuffer(seen.means, dtype=np.float32).reshape(live.size, WIDTH)
    moved = replace(whole.embedding, mean=tuple(mean.tolist()), mean_rows=rows, borne=seen.directions)
    return replace(whole, embedding=moved, design=seen.design)

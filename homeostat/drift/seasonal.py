"""The seasonal reference of a champion, made of its training rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.bins import Bins, Coder
from homeostat.drift.design import Design
from homeostat.drift.embedding import Embedder
from homeostat.drift.profile import Profile
from homeostat.drift.seasonal_vectors import seasonal_vectors
from homeostat.drift.seasons import HOURS, SeasonReference, hours_of
from homeostat.drift.stretches import Stretches, borne_by_hour, by_hour, stretches
from homeostat.drift.training_windows import compared_designs, cut, fourier_sums


def with_season(
    profile: Profile, frame: pl.DataFrame, scores: np.ndarray, weights: np.ndarray | None, policy: DriftPolicy
) -> Profile:
    """Return the profile with what each hour of the policy's season looked like in training.

    Where the rows hold fewer than four seasons, or fewer than four windows, nothing tells how far calm ones lie
    apart: the profile stays as it is.

    Args:
        profile: Of the same rows.
        frame: The training rows: the features and ``event_time``.
        scores: The model's score of each row, shape (n,).
        weights: Training weight of each row, shape (n,); None for equal weights.
        policy: Names the season and the span of a live window.
    """
    if policy.season is None:
        return profile
    mass = np.ones(frame.height) if weights is None else np.asarray(weights, dtype=np.float64)
    hours, size = hours_of(frame["event_time"].dt.epoch("us").to_numpy() / 1e6, policy.season), HOURS[policy.season]
    windows = cut(frame["event_time"], mass, policy.window)
    parted = stretches(windows, hours, size) if windows is not None and windows.parts == 1 else None
    if windows is None or parted is None:
        return profile
    codes = Coder(profile.columns).codes([*(column.cells(frame) for column in profile.columns[:-1]), scores])
    embedder = Embedder(profile.columns[:-1], [np.asarray(c) for c in profile.counts[:-1]], profile.embedding.seed)
    designs = [_column_designs(parted, column, codes[:, j]) for j, column in enumerate(profile.columns)]
    directions, design = borne_by_hour(parted, embedder, codes[:, :-1], profile.embedding)
    season = SeasonReference(
        season=policy.season,
        **_hourly(profile, embedder, codes, hours, mass),
        index_designs=tuple(index for index, _ in designs),
        gap_designs=tuple(gap for _, gap in designs),
        embedding_design=design,
        directions=directions,
        vectors=seasonal_vectors(profile, frame, mass, windows, policy.season),
    )
    return replace(profile, season=season)


def _hourly(
    profile: Profile, embedder: Embedder, codes: np.ndarray, hours: np.ndarray, mass: np.ndarray
) -> dict[str, Any]:
    """Return what the rows of each hour look like, for the hours that have rows of weight."""
    found, rows = by_hour(hours, mass, mass > 0)
    total = rows.mass[:, None]
    counts = np.hstack([rows.counts(codes[:, j], column.size) for j, column in enumerate(profile.columns)])
    means = fourier_sums(rows, embedder, codes[:, :-1], profile.embedding.bandwidth) / total
    return {
        "hours": tuple(found.tolist()),
        "rows": tuple((rows.mass**2 / rows.squares).tolist()),
        "shares": (counts / total).astype(np.float32).tobytes(),
        "means": means.astype(np.float32).tobytes(),
    }


def _column_designs(parted: Stretches, column: Bins, codes: np.ndarray) -> tuple[Design, Design]:
    counts = parted.rows.counts(codes, column.size)
    compared, held = parted.compared()
    live = parted.by_window(counts) * (compared.rows / compared.mass)[:, None]
    return compared_designs(compared, column, live, parted.usual(counts) * held[:, None])

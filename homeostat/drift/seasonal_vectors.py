"""The seasonal reference of vector columns, made of a champion's training rows."""

import numpy as np
import polars as pl

from homeostat.drift.draws import WIDTH
from homeostat.drift.profile import Profile
from homeostat.drift.seasons import HOURS, SeasonVectors, hours_of
from homeostat.drift.stretches import borne_by_hour, by_hour, stretches
from homeostat.drift.training_windows import TrainingWindows, fourier_sums


def seasonal_vectors(
    profile: Profile, frame: pl.DataFrame, weights: np.ndarray, windows: TrainingWindows, season: str
) -> dict[int, SeasonVectors]:
    """Return by place what each hour's vectors looked like, of the columns whose vectors have seasons enough.

    Args:
        profile: Of the same rows.
        frame: The training rows: the features and ``event_time``.
        weights: Training weight of each row, shape (n,).
        windows: As long as the live ones.
        season: Its name.
    """
    hours = hours_of(frame["event_time"].dt.epoch("us").to_numpy() / 1e6, season)
    whole, rows = by_hour(hours, weights, weights > 0)
    made = {}
    for j, reference in profile.vectors.items():
        drawn, cells = profile.columns[j].vector, frame[profile.columns[j].name]
        fits = (cells.list.len() == reference.size).fill_null(value=False).to_numpy()
        known = windows.among(fits)
        parted = None if known is None else stretches(known, hours, HOURS[season])
        if drawn is None or parted is None:
            continue
        directions, design = borne_by_hour(parted, drawn, cells, reference.embedding)
        found, there = by_hour(hours, weights, fits & (weights > 0))
        at, share, bearing = np.searchsorted(whole, found), np.zeros(whole.size), np.zeros(whole.size)
        means = np.zeros((whole.size, WIDTH))
        means[at] = fourier_sums(there, drawn, cells, reference.embedding.bandwidth) / there.mass[:, None]
        share[at], bearing[at] = there.mass / rows.mass[at], there.mass**2 / there.squares
        stored = means.astype(np.float32).tobytes()
        made[j] = SeasonVectors(tuple(share.tolist()), tuple(bearing.tolist()), stored, design, directions)
    return made

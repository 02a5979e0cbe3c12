"""The rate of ones among labels: a window's beside that of training, and how far calm windows lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from homeostat.drift.design import INDEPENDENT, Design, Distances, estimate
from homeostat.drift.performance import LossBlock
from homeostat.drift.training_windows import TrainingWindows, cut
from homeostat.records import LabelRate


@dataclass(frozen=True, slots=True)
class LabelReference:
    """The rate of ones among the training's labels, and the design of a window's squared distance from it."""

    rate: float
    rows: float  # effective where they were weighted
    design: Design = INDEPENDENT

    @property
    def variance(self) -> float:
        """The variance of one label; half a row of each kind is added, so that labels all alike have one."""
        rate = (self.rate * self.rows + 0.5) / (self.rows + 1)
        return rate * (1 - rate)


def label_reference(frame: pl.DataFrame, weights: np.ndarray, window: timedelta) -> LabelReference:
    """Return what a window's labels are held beside.

    Args:
        frame: The training rows: ``label``, 0 or 1, and ``event_time``; n of them, some with weight.
        weights: Training weight of each row, shape (n,).
        window: Span of a live window.
    """
    labels, mass = frame["label"].to_numpy(), np.asarray(weights, dtype=np.float64)
    plain = LabelReference(float(mass @ labels / mass.sum()), float(mass.sum() ** 2 / np.sum(mass**2)))
    windows = cut(frame["event_time"], mass, window)
    return plain if windows is None else LabelReference(plain.rate, plain.rows, _design(windows, labels, plain))


def label_rate(reference: LabelReference, blocks: Sequence[LossBlock], level: float) -> LabelRate | None:
    """Return the rate of a window's labels beside that of training, tested as a column is; None without labels.

    It tells and never alarms. That ones become more frequent is news to whoever plans by them; to the loop it is
    none where the scores rise with them, for such a model is still right. Where they don't, the calibration test
    says so from the same labels, with more power: it holds them against the scores of their own rows, so what those
    rows explain is no chance to it. An alarm of this test would start retrainings that have nothing to gain, and
    would take a third of the level of the two beside it.

    Args:
        reference: Of the champion's training.
        blocks: Sums of the window's mature rows.
        level: The chance with which a calm window may be told as one that moved.
    """
    rows = sum(block.rows for block in blocks)
    if not rows:
        return None
    rate = sum(block.label for block in blocks) / rows
    design, unit = reference.design, reference.variance * reference.design.scale(reference.rows, rows)
    p_value = design.tail((rate - reference.rate) ** 2 / unit, 1)
    half = float(np.sqrt(design.limit(level, 1) * unit))
    return LabelRate(
        rows=rows,
        rate=rate,
        training_rate=reference.rate,
        spread=float(np.sqrt(design.between * reference.variance)) if design.windows else None,
        low=max(0.0, reference.rate - half),
        high=min(1.0, reference.rate + half),
        p_value=p_value,
        moved=abs(rate - reference.rate) > half,
    )


def _design(windows: TrainingWindows, labels: np.ndarray, reference: LabelReference) -> Design:
    mass, squares, ones = windows.mass, windows.squares, windows.sums(windows.weights * labels)
    rows, rest = mass**2 / squares, (mass.sum() - mass) ** 2 / (squares.sum() - squares)
    rates, others = ones / mass, (ones.sum() - ones) / (mass.sum() - mass)
    seen = Distances(
        squared=(rates - others) ** 2 / reference.variance,
        degrees=np.ones(mass.size),
        chance=1 / rows + 1 / rest,
        rows=rows,
        mass=mass,
        points=rates[:, None] / np.sqrt(reference.variance),
    )
    return estimate(seen, windows.parts)

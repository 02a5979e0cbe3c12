"""The forward backtest: every candidate is fitted on the past of a block and scored on the block."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.errors import NotEnoughDataError
from homeostat.training.calibration import Calibration, fit_calibration, logit
from homeostat.training.recipe import Recipe, fit_core
from homeostat.training.rows import Rows

MIN_BLOCK_ROWS = 30  # a block with fewer rows is left out: its mean is noise
MIN_FIT_ROWS = 100
_CALIBRATION_ROWS = 300  # out-of-sample rows before a calibration is worth fitting


@dataclass(frozen=True, slots=True)
class Block:
    """A span of rows to be forecast, and the rows whose labels were known before it began.

    Args:
        past: Rows with an event time of at least the label's maturity before ``start``.
        rows: Rows to be scored.
        start: In days since 1970.
        end: In days since 1970.
    """

    past: Rows
    rows: Rows
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Effort:
    """What a forecast may cost.

    Args:
        seed: Draws everything random.
        threads: Cores to use.
        rows: The most rows one fit sees; None for all.
        refits: The most fits over all blocks; None for one before each.
    """

    seed: int
    threads: int = 1
    rows: int | None = None
    refits: int | None = None


def forward_blocks(rows: Rows, count: int, length: float, maturity: float) -> list[Block]:
    """Return up to ``count`` consecutive blocks that end with the newest row, oldest first.

    A history too short for them has shorter blocks: they take at most half of it.

    Args:
        rows: All labelled rows.
        count: Number of blocks.
        length: Days per block.
        maturity: Days from an event to the time its label is taken as known.

    Raises:
        NotEnoughDataError: No block has rows on both sides.
    """
    if len(rows) == 0:
        raise NotEnoughDataError("there is no labelled row")
    end = float(np.nextafter(rows.day[-1], np.inf))
    length = min(length, (end - float(rows.day[0])) / 2 / count)
    blocks = []
    for i in range(count, 0, -1):
        start, stop = end - i * length, end - (i - 1) * length
        block = Block(rows.before(start - maturity), rows.between(start, stop), start, stop)
        if len(block.rows) >= MIN_BLOCK_ROWS and len(block.past) >= MIN_FIT_ROWS and np.ptp(block.past.y) > 0:
            blocks.append(block)
    if not blocks:
        raise NotEnoughDataError(
            f"{len(rows)} labelled rows over {end - float(rows.day[0]):.1f} days give no block with at least "
            f"{MIN_BLOCK_ROWS} rows and {MIN_FIT_ROWS} rows of both labels known before it"
        )
    return blocks


def forecast(recipe: Recipe, blocks: Sequence[Block], effort: Effort) -> list[np.ndarray]:
    """Return the margins (log-odds) a recipe gives to the rows of each block.

    The recipe is fitted before each block, or where ``effort.refits`` allows fewer fits, before the first
    of several: then it forecasts further ahead than it has to, like a model that serves for a while.

    Raises:
        NotEnoughDataError: The recipe leaves no rows to learn from.
    """
    out = []
    for group in _groups(len(blocks), effort.refits):
        first = blocks[group[0]]
        core = fit_core(recipe, first.past, first.start, seed=effort.seed, threads=effort.threads, most=effort.rows)
        out += [core.margins(blocks[i].rows.x) for i in group]
    return out


def base_rates(blocks: Sequence[Block]) -> list[np.ndarray]:
    """Return the constant margin of a forecast that knows the label rate before each block, and nothing else."""
    return [np.full(len(block.rows), logit(np.array(block.past.y.mean()))) for block in blocks]


def recalibrated(
    margins: Sequence[np.ndarray], blocks: Sequence[Block], maturity: float, refits: int | None = None
) -> tuple[list[np.ndarray], Calibration]:
    """Return out-of-sample margins recalibrated as they could have been then, and the calibration for the future.

    A calibration is made when a model is, from what came out in the blocks before and was known by then. It
    is as old as the model when it serves: fitted anew before every block, it would chase last week's
    conditions and look better than it turns out.

    Args:
        margins: Out-of-sample margins by block.
        blocks: The blocks, oldest first.
        maturity: Days from an event to its label.
        refits: As in ``Effort``.
    """
    out: list[np.ndarray] = []
    for group in _groups(len(blocks), refits):
        start, first = blocks[group[0]].start, group[0]
        known = [earlier.rows.day < start - maturity for earlier in blocks[:first]]
        line = _line(margins[:first], blocks[:first], known)
        out += [line.slope * margins[i] + line.intercept for i in group]
    everything = [np.ones(len(block.rows), dtype=bool) for block in blocks]
    return out, _line(margins, blocks, everything)


def _groups(count: int, refits: int | None) -> list[list[int]]:
    """Return the positions of the blocks that share a fit."""
    parts = np.array_split(np.arange(count), min(count, refits or count))
    return [[int(i) for i in part] for part in parts]


def _line(margins: Sequence[np.ndarray], blocks: Sequence[Block], known: Sequence[np.ndarray]) -> Calibration:
    if sum(int(rows.sum()) for rows in known) < _CALIBRATION_ROWS:
        return Calibration()
    x = np.concatenate([m[rows] for m, rows in zip(margins, known, strict=True)])
    y = np.concatenate([block.rows.y[rows] for block, rows in zip(blocks, known, strict=True)])
    return fit_calibration(x, y)


def labels_of(blocks: Sequence[Block]) -> np.ndarray:
    """Return the labels of all blocks, shape (rows,)."""
    return np.concatenate([block.rows.y for block in blocks])


def days_of(blocks: Sequence[Block]) -> np.ndarray:
    """Return the event times of all blocks in days, shape (rows,)."""
    return np.concatenate([block.rows.day for block in blocks])


def mean_by_block(losses: np.ndarray, blocks: Sequence[Block]) -> list[float]:
    """Return the mean loss of each block."""
    parts = np.split(losses, np.cumsum([len(block.rows) for block in blocks])[:-1])
    return [float(part.mean()) for part in parts]

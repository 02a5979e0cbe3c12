"""When the world moved: the moment from which on a drifted window's rows are least like the reference."""

from collections.abc import Iterable, Sequence

import numpy as np

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.bins import coarse
from homeostat.drift.counts import WindowCounts
from homeostat.drift.embedding import EmbeddingReference
from homeostat.drift.performance import LossBlock
from homeostat.drift.psi import PSEUDO_COUNT
from homeostat.drift.reference import Reference, reference_of
from homeostat.drift.report import Judgement


def change_of_rows(parts: Sequence[WindowCounts], policy: DriftPolicy, judged: Judgement) -> int | None:
    """Return the position of the part with which the drift begins; None where no column and no distance drifted.

    It is the maximum likelihood estimate of one change from the reference, which is known, to something that is
    not: rows before it say nothing for what drifted, and rows of before among those behind it dilute what they say.

    Args:
        parts: Consecutive stretches of the window, in order of time.
        policy: Which reference they are held against.
        judged: What drifted in all of them together.

    Source: Hinkley (1970), "Inference about the change-point in a sequence of random variables",
    doi:10.1093/biomet/57.1.1.
    """
    scores = [*judged.features, judged.prediction]
    drifted = {j: tuple(score.distances) for j, score in enumerate(scores) if score is not None and score.drifted}
    whole = judged.embedding is not None and judged.embedding.drifted
    if not parts or not (drifted or whole):
        return None
    behind, gains = WindowCounts(parts[0].counter), []
    for part in reversed(parts):
        behind.merge(part)
        reference = reference_of(behind, policy)
        gain = sum(_column_gain(behind, reference, j, named) for j, named in drifted.items())
        gains.append(gain + (_shift_gain(reference.embedding, behind.embedding, behind.rows) if whole else 0.0))
    return len(parts) - 1 - int(np.argmax(gains))


def change_of_losses(blocks: Sequence[LossBlock], judged: Judgement) -> int | None:
    """Return the position of the block with which labels begin to differ from what scores announce, None if they don't.

    Args:
        blocks: Consecutive stretches of mature rows.
        judged: What labels said of all of them together.
    """
    seen = judged.performance
    if seen is None or not seen.degraded or not blocks:
        return None
    of_mean = seen.calibration_p_value is not None and seen.calibration_p_value < seen.p_value
    excess = [block.score - block.label if of_mean else block.log_loss - block.announced for block in blocks]
    behind, rows = (np.cumsum(sums[::-1]) for sums in (excess, [block.rows for block in blocks]))
    return len(blocks) - 1 - int(np.argmax(behind**2 / np.maximum(rows, 1)))


def _column_gain(behind: WindowCounts, reference: Reference, j: int, named: Iterable[str]) -> float:
    """Return the log-likelihood that a column's own shares gain over the reference's; with a vector's distance.

    Of a vector's numbers those that moved in all of the window count: of thousands the others would be but noise.
    """
    column = behind.counter.profile.columns[j]
    live, expected = coarse(column, behind.column(j)), coarse(column, reference.columns[j]) + PSEUDO_COUNT
    seen = live > 0
    gain = float(live[seen] @ np.log(live[seen] / live.sum() * expected.sum() / expected[seen]))
    if vector := reference.vectors.get(j):
        known = float(behind.column(j)[:-1].sum())
        gain += _shift_gain(vector.embedding, behind.vectors[j], known)
        gain += vector.numbers.gain(behind.numbers[j], known, named) if vector.numbers is not None else 0.0
    return gain


def _shift_gain(reference: EmbeddingReference, total: np.ndarray, rows: float) -> float:
    """Return the log-likelihood that a mean of its own gains over the reference's, of rows with unit variance."""
    if rows <= 0 or not reference.whitener:
        return 0.0
    shift = np.asarray(reference.whitener[: reference.directions]) @ (total / rows - np.asarray(reference.mean))
    return rows * float(shift @ shift) / 2

"""Many streams whose challenger is better: rows to a promotion, beside those that tests of a fixed sample take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from homeostat.canary.evidence import GROUPS
from homeostat.canary.verdict import bounds, rows_needed
from homeostat.contract.policies import CanaryPolicy
from tests.statistics.canary_proofs import BLOCKS
from tests.statistics.canary_streams import Kind, Stream, stream
from tests.statistics.canary_trials import by_bounds, fixed_power

_TOLD_AT = 1000  # rows, when the rows still needed are asked for
_SPLITS = 8  # of the users of a stream into two halves
_RESAMPLES = 200


@dataclass(frozen=True)
class Gain:
    """Rows to a promotion on streams whose challenger is better, at one power.

    The tests it is held against look once, at the right time, and know how means spread on such streams: no valid
    test of a fixed sample takes fewer rows. Intervals are of 95 %, by resampling streams.
    """

    name: str
    streams: int
    power: float
    rows: float  # mean over all streams; one not decided by then counts with the rows at which the power is reached
    median_rows: float
    paired_rows: float
    ratio: tuple[float, float, float]  # of rows to those, and its interval
    unpaired_rows: float  # of both halves
    unpaired_ratio: tuple[float, float, float]
    t_test_rows: float  # of a paired t-test that takes blocks for independent, as they are not in every kind
    stopped: int
    told: float | None  # rows needed as told early over the rows it took
    cautious: float  # share of streams decided by the cautious number


@dataclass(frozen=True)
class _Played:
    """What became of streams of a better challenger."""

    rows: np.ndarray  # so far, shape (n_streams, n_blocks)
    sums: np.ndarray  # of the paired differences so far, same shape
    apart: np.ndarray  # of two halves of the users in the end, shape (n_streams, _SPLITS)
    first: np.ndarray  # block of the promotion; ``n_blocks`` without one
    t_test: np.ndarray  # its power by the block it looks at
    stopped: int
    told: list[tuple[float, bool]]


def gains_of(
    kind: Kind, streams: int, seed: int, *, powers: Sequence[float] = (0.8, 0.9), blocks: int = BLOCKS
) -> list[Gain]:
    """Return by power the rows a promotion takes, and those other tests of the same power take.

    Raises:
        ValueError: A power isn't reached within ``blocks``.
    """
    played = _play(kind, streams, seed, blocks)
    return [_gain(kind, played, power) for power in powers]


def _play(kind: Kind, streams: int, seed: int, blocks: int) -> _Played:
    rng, policy, at = np.random.default_rng(seed), CanaryPolicy(), np.arange(blocks)
    sums, rows, apart = np.zeros((streams, blocks)), np.zeros((streams, blocks)), np.zeros((streams, _SPLITS))
    first, stopped, told = np.full(streams, blocks), 0, []
    for place in range(streams):
        made = stream(kind, blocks, rng)
        rows[place], sums[place] = made.paired.rows.sum(axis=1), made.paired.difference.sum(axis=1)
        apart[place] = [_halves(made, rng) for _ in range(_SPLITS)]
        found = by_bounds(made, policy)
        promoted, was_stopped = found.verdict(at)
        stopped += was_stopped
        if promoted:
            first[place] = found.first(found.promote, at)
            told += _told(made, policy, int(first[place]))
    t_test = fixed_power(sums, rows, policy.alpha)
    return _Played(rows.cumsum(axis=1), sums.cumsum(axis=1), apart, first, t_test, stopped, told)


def _gain(kind: Kind, played: _Played, power: float) -> Gain:
    streams = len(played.rows)
    rng = np.random.default_rng(streams)
    decided, paired, unpaired = _compared(played, power, np.arange(streams))
    again = np.array([_compared(played, power, rng.integers(0, streams, streams)) for _ in range(_RESAMPLES)])
    ratios = [
        (decided / peer, *np.quantile(again[:, 0] / again[:, place], (0.025, 0.975)).tolist())
        for place, peer in ((1, paired), (2, unpaired))
    ]
    return Gain(
        kind.name,
        streams,
        power,
        decided,
        float(np.median(played.rows[np.arange(streams), np.minimum(played.first, played.rows.shape[1] - 1)])),
        paired,
        ratios[0],
        unpaired,
        ratios[1],
        float(played.rows[:, _reached(played.t_test, power)].mean()),
        played.stopped,
        float(np.median([likely for likely, _ in played.told])) if played.told else None,
        float(np.mean([enough for _, enough in played.told])) if played.told else 0.0,
    )


def _compared(played: _Played, power: float, chosen: np.ndarray) -> tuple[float, float, float]:
    """Return over some streams the rows to a decision, and those of a paired and of an unpaired test that knows."""
    rows, first = played.rows[chosen], played.first[chosen]
    horizon = _reached((first[:, None] <= np.arange(rows.shape[1])).mean(axis=0), power)
    decided = rows[np.arange(len(chosen)), np.minimum(first, horizon)].mean()
    sums, needed = played.sums[chosen], norm.isf(CanaryPolicy().alpha) + norm.ppf(power)  # errors of the mean
    gain = -float(sums[:, -1].sum() / rows[:, -1].sum())
    low, high = 1, rows.shape[1]
    while low < high:  # the blocks that the gain is enough errors in
        middle = (low + high) // 2
        low, high = (low, middle) if _error(rows, sums, -gain, middle) * needed <= gain else (middle + 1, high)
    row_variance = played.apart[chosen].var(axis=0, ddof=1).mean() * rows[:, -1].mean()
    return float(decided), low * float(rows[:, -1].mean()) / rows.shape[1], float(needed**2 * row_variance / gain**2)


def _error(rows: np.ndarray, sums: np.ndarray, mean: float, blocks: int) -> float:
    """Return the standard error of a mean over so many blocks; each stretch of a stream is another one."""
    r, s = (np.diff(so_far[:, blocks - 1 :: blocks], axis=1, prepend=0.0) for so_far in (rows, sums))
    return float(np.sqrt(np.mean((s / r - mean) ** 2)))


def _halves(made: Stream, rng: np.random.Generator) -> float:
    """Return how far the mean losses of two halves of the users lie apart, each answered by one model."""
    half, rows = rng.permutation(GROUPS) % 2 == 0, made.paired
    old, new = rows.incumbent_loss[:, half].sum(), rows.rival_loss[:, ~half].sum()
    return float(new / rows.rows[:, ~half].sum() - old / rows.rows[:, half].sum())


def _told(made: Stream, policy: CanaryPolicy, decided: int) -> list[tuple[float, bool]]:
    """Return what was told early of the rows needed, over the rows it took, and whether the cautious number did."""
    ends = made.paired.rows.sum(axis=1).cumsum()
    early = int(np.searchsorted(ends, _TOLD_AT))
    if early >= decided:
        return []
    names = made.paired.__slots__
    found = bounds(type(made.paired)(*(getattr(made.paired, name)[: early + 1] for name in names)), policy)
    if found is None:
        return []
    likely, cautious = rows_needed(found)
    inf = float("inf")
    return [((likely or inf) / ends[decided], (cautious or inf) >= ends[decided])]


def _reached(by_block: np.ndarray, wanted: float) -> int:
    """Return the first block from which on a figure is held."""
    short = np.flatnonzero(by_block < wanted)
    first = int(short[-1]) + 1 if len(short) else 0
    if first >= len(by_block):
        raise ValueError(f"{wanted:.2f} is not reached: {by_block[-1]:.2f} at the end")
    return first

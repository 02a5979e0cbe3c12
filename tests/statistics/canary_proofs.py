"""Many streams of a kind, and what was decided on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.canary.verdict import bounds, rows_needed
from homeostat.contract.policies import CanaryPolicy
from tests.statistics.canary_streams import Kind, Stream, as_labelled, stream
from tests.statistics.canary_trials import (
    NEVER,
    broken_guardrails,
    by_bounds,
    by_kayenta,
    by_peeking,
    fixed_power,
    row_sums,
    spaced,
    unpaired_rows,
)

BLOCKS = 1000
LOOKS = (1, 10, 100, 1000)
_GUARDRAIL_LOOKS = 4
_TOLD_AT = 1000  # rows, when the rows still needed are asked for


@dataclass(frozen=True)
class Null:
    """Decisions on streams without a true difference, by number of looks."""

    name: str
    streams: int
    looks: tuple[int, ...]
    promoted: tuple[int, ...]
    stopped: tuple[int, ...]  # guardrails included
    peeking: tuple[int, ...]  # promoted by the t-test
    kayenta_streams: int
    kayenta_better: tuple[float, ...]
    kayenta_worse: tuple[float, ...]


@dataclass(frozen=True)
class Gain:
    """Rows to a promotion on streams whose challenger is better, at one power."""

    name: str
    streams: int
    power: float
    rows: float  # mean over all streams; one not decided by then counts with the rows at which the power is reached
    median_rows: float
    fixed_rows: float
    ratio_low: float  # 95 % interval of rows / fixed_rows
    ratio_high: float
    unpaired_rows: float
    stopped: int
    told: float | None  # rows needed as told early over the rows it took
    cautious: float  # share of streams decided by the cautious number


def null_of(
    kind: Kind, streams: int, seed: int, *, kayenta_streams: int = 0, blocks: int = BLOCKS, margin: float = 0.0
) -> Null:
    """Return what is decided on streams of a kind; with a margin, of models apart by just that margin."""
    rng, policy = np.random.default_rng(seed), CanaryPolicy(margin=margin)
    looks = tuple(n for n in LOOKS if n <= blocks)
    ours, peers, kayenta = (np.zeros((len(looks), 2)) for _ in range(3))
    for place in range(streams):
        made = stream(kind, blocks, rng)
        found = by_bounds(made, policy)
        broken = broken_guardrails(made, policy, spaced(blocks, _GUARDRAIL_LOOKS)) != NEVER
        known = as_labelled(made, blocks) if kind.bias else row_sums(made, blocks)
        peeked = by_peeking(*known, policy)
        with_kayenta = by_kayenta(made, spaced(blocks, 100), rng) if place < kayenta_streams else None
        for row, n in enumerate(looks):
            promoted, stopped = found.verdict(spaced(blocks, n))
            ours[row] += promoted, stopped or broken
            peers[row] += peeked.verdict(spaced(blocks, n))
            if with_kayenta is not None:
                at = spaced(blocks, min(n, 100))
                kayenta[row] += with_kayenta.promote[at].any(), with_kayenta.stop[at].any()
    rates = kayenta / max(kayenta_streams, 1)
    whole = ours.astype(int)
    return Null(
        kind.name,
        streams,
        looks,
        tuple(whole[:, 0].tolist()),
        tuple(whole[:, 1].tolist()),
        tuple(peers[:, 0].astype(int).tolist()),
        kayenta_streams,
        tuple(rates[:, 0].tolist()),
        tuple(rates[:, 1].tolist()),
    )


@dataclass(frozen=True)
class _Played:
    """Streams of a better challenger: sums by block, and when each was promoted."""

    rows: np.ndarray  # so far, shape (n_streams, n_blocks)
    fixed: np.ndarray  # power of a paired test by the block it looks at
    first: np.ndarray  # block of the promotion; ``n_blocks`` without one
    stopped: int
    told: list[tuple[float, bool]]
    last: Stream
    gain: float


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
    sums, rows = np.zeros((streams, blocks)), np.zeros((streams, blocks))
    first, stopped, told = np.full(streams, blocks), 0, []
    for place in range(streams):
        made = stream(kind, blocks, rng)
        rows[place], sums[place] = made.paired.rows.sum(axis=1), made.paired.difference.sum(axis=1)
        found = by_bounds(made, policy)
        promoted, was_stopped = found.verdict(at)
        stopped += was_stopped
        if promoted:
            first[place] = found.first(found.promote, at)
            told += _told(made, policy, int(first[place]))
    fixed = fixed_power(sums, rows, policy.alpha)
    return _Played(rows.cumsum(axis=1), fixed, first, stopped, told, made, float(sums.sum() / rows.sum()))


def _gain(kind: Kind, played: _Played, power: float) -> Gain:
    streams, blocks = played.rows.shape
    horizon = _reached(np.array([(played.first <= block).mean() for block in range(blocks)]), power)
    fixed = float(played.rows[:, _reached(played.fixed, power)].mean())
    decided = played.rows[np.arange(streams), np.minimum(played.first, horizon)]
    mean, error = float(decided.mean()), 1.96 * float(decided.std()) / streams**0.5
    return Gain(
        kind.name,
        streams,
        power,
        mean,
        float(np.median(decided)),
        fixed,
        (mean - error) / fixed,
        (mean + error) / fixed,
        unpaired_rows(played.last, played.gain, 0.5, CanaryPolicy().alpha, power),
        played.stopped,
        float(np.median([likely for likely, _ in played.told])) if played.told else None,
        float(np.mean([enough for _, enough in played.told])) if played.told else 0.0,
    )


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


def _reached(by_block: np.ndarray, power: float) -> int:
    """Return the first block from which on a power is held."""
    short = np.flatnonzero(by_block < power)
    first = int(short[-1]) + 1 if len(short) else 0
    if first >= len(by_block):
        raise ValueError(f"power {power:.0%} is not reached: {by_block[-1]:.0%} at the end")
    return first

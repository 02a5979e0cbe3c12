"""Streams that two models answer, with everything that makes canaries err: weather, heavy users, late labels.

Both models see the log-odds of a row with an error of their own. Without a gain the two are exchangeable, so that
there is no difference by construction, whatever else the rows share.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.signal import lfilter

from homeostat.canary.evidence import GROUPS, Paired
from homeostat.canary.trial import BINS, Shift
from homeostat.contract.policies import CanaryPolicy

LABEL_DELAY = 48  # blocks until the slower kind of label is known
_ACTIVE = 0.1  # of the stream: how long a user who comes and goes stays
_HEAVIEST = 0.02  # of all rows, at most, are of one user
_LATE = 0.01  # of the rows, by the champion
_EVEN = 4.0  # shape of the hours' load: one in twenty has twice the mean
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
_CHANCE = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Kind:
    """What rows have in common, and how well the models answer."""

    name: str
    error: float = 0.7  # of the champion's log-odds, one standard deviation
    challenger_error: float = 0.7
    bias: float = 0.0  # the challenger's log-odds are too high by it, the champion's too low
    mean: float = -1.0  # of the log-odds
    block_share: float = 0.0  # of the error's variance, shared by a block
    carry: float = 0.0  # correlation of what a block shares with the next block
    user_share: float = 0.0  # of the error's variance, shared by a user
    unknown: float = 0.0  # log-odds of a block or user that neither model knows, one standard deviation
    heavy: bool = False  # few users have most rows
    fleeting: bool = False  # users come and go
    rhythm: float = 0.6  # traffic of a day's best hour over the mean
    rows: int = 24  # a block, on average


@dataclass(frozen=True)
class Stream:
    """One stream of a kind: losses of both models row by row, in time order, and summed as the judge has them."""

    block: np.ndarray
    cell: np.ndarray  # of block and group of users
    label: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    scores: tuple[np.ndarray, np.ndarray]  # of champion and challenger
    paired: Paired

    @property
    def difference(self) -> np.ndarray:
        """Loss of the challenger minus the champion's, by row."""
        return self.challenger - self.champion


def stream(kind: Kind, blocks: int, rng: np.random.Generator) -> Stream:
    """Return a stream of ``blocks`` blocks."""
    daily = 1 + kind.rhythm * np.sin(2 * np.pi * np.arange(blocks) / 24)
    block = np.repeat(np.arange(blocks), rng.poisson(kind.rows * daily))
    user, users = _users(kind, block / blocks, rng)
    seen = kind.mean + rng.normal(size=len(block))
    truth = seen + kind.unknown * (
        _shared(kind, block, blocks, rng) + (rng.normal(size=users)[user] * _has_users(kind))
    )
    label = rng.random(len(block)) < 1 / (1 + np.exp(-truth))
    losses, scores = [], []
    for error, bias in ((kind.error, -kind.bias), (kind.challenger_error, kind.bias)):
        own = np.sqrt(1 - kind.block_share - kind.user_share) * rng.normal(size=len(block))
        common = np.sqrt(kind.block_share) * _shared(kind, block, blocks, rng)
        of_user = np.sqrt(kind.user_share) * rng.normal(size=users)[user]
        odds = seen + error * (own + common + of_user) + bias
        losses.append(np.logaddexp(0, np.where(label, -odds, odds)))
        scores.append(1 / (1 + np.exp(-odds)))
    cell = block * GROUPS + user * 2_654_435_761 % GROUPS
    columns = (np.ones(len(block)), label.astype(float), *losses, *scores)
    sums = Paired(*(summed(cell, column, blocks) for column in columns))
    return Stream(block, cell, label, losses[0], losses[1], (scores[0], scores[1]), sums)


def summed(cell: np.ndarray, values: np.ndarray, blocks: int) -> np.ndarray:
    """Return sums by block and group, shape (n_blocks, GROUPS)."""
    return np.bincount(cell, values, blocks * GROUPS).reshape(blocks, GROUPS)


def label_free(made: Stream, policy: CanaryPolicy, rng: np.random.Generator) -> Shift:
    """Return what is seen of a stream without labels, by a challenger as late and as faulty as it may just be.

    The machine has its hours: late and failed answers crowd in some blocks.
    """
    blocks = made.paired.blocks
    load = rng.gamma(_EVEN, 1 / _EVEN, blocks)[made.block]
    ratios = (_LATE, _LATE + policy.max_slow_ratio, policy.max_fallback_ratio)
    late, later, failed = ((rng.random(len(load)) < load * ratio).astype(float) for ratio in ratios)
    bins = []
    for score in made.scores:
        place = made.cell * BINS + (score * BINS).astype(int)
        bins.append(np.bincount(place, minlength=blocks * GROUPS * BINS).reshape(blocks, GROUPS, BINS))
    slower, faulty = (summed(made.cell, values, blocks) for values in (later - late, failed))
    rows = made.paired.rows
    return Shift(rows, made.paired.rival_score - made.paired.incumbent_score, *bins, slower, rows, 0 * rows, faulty)


def expected_loss(kind: Kind, error: float) -> float:
    """Return the mean log loss of a model with an error, without what neither model knows."""
    seen = kind.mean + _NODES[:, None]
    odds = seen + error * _NODES[None, :]
    chance = 1 / (1 + np.exp(-seen))
    loss = chance * np.logaddexp(0, -odds) + (1 - chance) * np.logaddexp(0, odds)
    return float(_CHANCE @ loss @ _CHANCE)


def error_for(kind: Kind, relative: float) -> float:
    """Return the error with which a challenger's mean loss is that of the champion times ``1 + relative``."""
    wanted = (1 + relative) * expected_loss(kind, kind.error)
    return float(brentq(lambda error: expected_loss(kind, error) - wanted, 0.0, 3.0))


def as_labelled(made: Stream, blocks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, sums and squares of the difference by the block in which a row's label came, when ones are quick."""
    known = np.where(made.label, made.block, made.block + LABEL_DELAY)
    kept = known < blocks
    parts = (np.ones(len(known)), made.difference, made.difference**2)
    rows, sums, squares = (np.bincount(known[kept], part[kept], blocks) for part in parts)
    return rows, sums, squares


def _has_users(kind: Kind) -> float:
    return float(kind.user_share > 0)


def _shared(kind: Kind, block: np.ndarray, blocks: int, rng: np.random.Generator) -> np.ndarray:
    """Return what the rows of a block share, of variance 1, carried over from block to block."""
    if not kind.block_share:
        return np.zeros(len(block))
    fresh, start = rng.normal(size=blocks), rng.normal()
    carried, _ = lfilter([np.sqrt(1 - kind.carry**2)], [1, -kind.carry], fresh, zi=[kind.carry * start])
    return np.asarray(carried[block])


def _users(kind: Kind, time: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Return the user of each row and how many there are; ``time`` goes from 0 to 1."""
    users = 2000
    if not kind.heavy:
        return rng.integers(0, users, len(time)), users
    weight = rng.pareto(1.2, users) + 1
    weight = np.minimum(weight, _HEAVIEST * weight.sum())
    chosen = rng.choice(users, len(time), p=weight / weight.sum())
    if kind.fleeting:  # each generation of users has the same few heavy ones among it, but others
        generation = np.floor(time / _ACTIVE + rng.random(users)[chosen]).astype(int)
        return chosen + users * generation, users * (int(1 / _ACTIVE) + 2)
    return chosen, users

"""Broken is not drifted: names the fault of a piece of rows, if undoing one makes it look calm again."""

from collections.abc import Sequence

import numpy as np

from homeostat.drift.absences import silences, torn
from homeostat.drift.bins import Bins
from homeostat.drift.faults import SLACK, STUCK, Fault, FaultKind, Reference
from homeostat.drift.norms import CLOCK, VARIED, Norm, dominance, thinned, unknown_share
from homeostat.drift.swaps import swaps
from homeostat.drift.units import unit_change

_BURST = 0.2  # of the rows missing, beyond half as many again as in any calm piece
_LEFT = 0.25  # of the known cells that the emptiest calm piece had: of a column that is often missing they are few
_TORN = 1.5  # times as many rows as in any calm piece, and
_TORN_BY = 0.1  # by so many more, lack what rows like them have, or the reverse
_STRANGE = 0.5  # share of categories never seen before
_SILENT = 3.0  # longest silences of the training that those of a piece may last together and still be their like
_SHARE = 0.02  # that a category had in every calm piece, below which its absence is none of ours
_CHANCE = 1e-6  # of no row in a piece by chance: there are hundreds of pieces, times columns, times categories
_FEW = 30  # known values below which a column's distribution says nothing


def diagnose(columns: Sequence[Reference], clock: Norm, piece: np.ndarray) -> list[Fault]:
    """Return the faults of a piece of rows, none where it is calm or has drifted.

    A column has one fault at most. Columns that are each calm in the other's place come first: that explains two
    at once. Then no values, one value, an unknown vocabulary, a vanished category, a change of unit; that comes
    before one value where calm pieces may stand still.

    Args:
        columns: Every feature.
        clock: The norm of the event times.
        piece: A cell matrix, shape (n_rows, n_features + 1).
    """
    piece = piece[np.argsort(piece[:, -1], kind="stable")]
    known = [(one, column[np.isfinite(column)]) for one, column in zip(columns, piece.T[:-1], strict=True)]
    faults = swaps([(one, values) for one, values in known if values.size >= _FEW])
    swapped = {name for fault in faults for name in fault.columns}
    for one, values in known:
        if one.bins.name in swapped:
            continue
        if fault := _nulls(one, piece) or _alone(one, values):
            faults.append(fault)
    return [*faults, *_clock(clock, piece[:, -1])]


def _alone(one: Reference, values: np.ndarray) -> Fault | None:
    """Return what a column's values show: one value first, unless a unit makes it the one that a column often has."""
    if values.size < _FEW:
        return None
    if one.bins.categorical:
        return _stuck(one, values) or _vocabulary(one, values) or _vanished(one, values)
    if one.norm.constants:
        return _unit(one, values) or _stuck(one, values)
    return _stuck(one, values) or _unit(one, values)


def _nulls(one: Reference, piece: np.ndarray) -> Fault | None:
    """Return whether more is missing than ever, or other rows than those that always miss it together."""
    norm, gone = one.norm, ~np.isfinite(piece[:, one.place])
    missing = float(gone.mean())
    least = min(STUCK, 1.5 * norm.missing + _BURST, 1 - _LEFT * (1 - norm.missing))
    if norm.missing <= VARIED and min(missing, missing - _by_design(norm, gone, piece[:, -1])) >= least:
        what = f"{missing:.0%} missing, calm pieces have up to {norm.missing:.0%}"
    elif _is_torn(norm, gone, piece):
        like = one.coder.columns[norm.companions[0][0]].name
        what = f"{missing:.0%} missing, here and there; calm pieces lack it for most of one {like} or for hardly any"
    else:
        return None
    return Fault(FaultKind.NULLS, (one.bins.name,), what)


def _is_torn(norm: Norm, gone: np.ndarray, piece: np.ndarray) -> bool:
    """Return whether rows differ that always had or lacked a value together, in every column that shows it."""
    some = thinned(np.arange(gone.size))  # as calm pieces are: of more rows, more have a value in common
    piece, gone = piece[some], gone[some]
    lost = [(torn(gone, piece[:, j]), most) for j, most in norm.companions]
    return bool(lost) and all(now >= max(_TORN * most, most + _TORN_BY) for now, most in lost)


def _by_design(norm: Norm, gone: np.ndarray, times: np.ndarray) -> float:
    """Return the share of rows in silences that last about as long as a source's own; two may fall into one piece."""
    rows, lasted = silences(gone, times)
    return float(rows.sum() / gone.size) if lasted.sum() <= _SILENT * norm.silence_s else 0.0


def _stuck(one: Reference, values: np.ndarray) -> Fault | None:
    value = one.stuck_at(values)
    if value is None:
        return None
    calm = "are so at other values" if one.norm.dominance > VARIED else "vary"
    what = f"{dominance(values):.0%} are {_written(one.bins, value)}, calm pieces {calm}"
    return Fault(FaultKind.STUCK, (one.bins.name,), what)


def _vocabulary(one: Reference, values: np.ndarray) -> Fault | None:
    unknown = unknown_share(one.bins, one.coder.places(one.place, values))
    if unknown < max(_STRANGE, one.norm.unknown + _STRANGE / 2):
        return None
    what = f"{unknown:.0%} are texts that the reference hardly had"
    return Fault(FaultKind.VOCABULARY, (one.bins.name,), what)


def _vanished(one: Reference, values: np.ndarray) -> Fault | None:
    """Return categories that every calm piece had and none of these rows has.

    The others must be as before among themselves, or one of them have the rows: where all have moved, it is drift.
    """
    least, names = np.asarray(one.norm.least_shares), one.bins.categories
    if not least.size or not one.norm.is_typical:
        return None
    live = np.bincount(one.coder.places(one.place, values).astype(np.int64), minlength=one.bins.missing)
    missed = (live[:-1] == 0) & (least >= _SHARE) & ((1 - least) ** values.size <= _CHANCE)
    if not missed.any():
        return None
    before = one.counts[:-1] / one.counts[:-1].sum()
    rest = np.where(np.append(missed, False), 0.0, before)
    mended = np.vstack([rest / max(rest.sum(), _CHANCE), rest + (1 - rest.sum()) * np.eye(rest.size)])
    gaps = np.abs(live / values.size - mended).sum(axis=1) / 2
    best = int(np.argmin(gaps))
    if gaps[best] > one.norm.gap + SLACK:
        return None
    gone = ", ".join(repr(names[i]) for i in np.flatnonzero(missed))
    taker = "others" if best == rest.size else repr([*names, ""][best - 1])
    how = f"{taker} took their place" if best else "the others are as before"
    what = f"no row has {gone}, calm pieces have at least {least[missed].min():.0%}; {how}"
    return Fault(FaultKind.VANISHED, (one.bins.name,), what)


def _written(column: Bins, value: float) -> str:
    if not column.categorical:
        return f"{value:.6g}"
    return repr(column.categories[int(value)]) if value < len(column.categories) else "a text it hardly had before"


def _unit(one: Reference, values: np.ndarray) -> Fault | None:
    found = unit_change(one, values)
    if found is None:
        return None
    told = f"{found.words()}{'' if found.known else ' or so'}: undone, the distance to the reference falls from "
    what = f"{told}{one.gap(values):.2f} to {found.gap:.2f}"
    return Fault(FaultKind.UNIT, (one.bins.name,), what, found.factor)


def _clock(norm: Norm, times: np.ndarray) -> list[Fault]:
    if norm.dominance > VARIED or dominance(times) < STUCK:
        return []
    return [Fault(FaultKind.CLOCK, (CLOCK,), f"{dominance(times):.0%} of the rows have one and the same event time")]

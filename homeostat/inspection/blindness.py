"""Columns whose limits lie beyond the shift that is to be seen: which, why, and what would make them see it."""

from collections.abc import Iterator
from datetime import timedelta
from math import ceil, floor, log10
from typing import Any, Final

from homeostat.contract.durations import written
from homeostat.contract.policies import parse_duration
from homeostat.drift.budget import MOST_OFTEN

_WORST: Final = 3  # columns named
_ROUNDING: Final = 0.05
_LOOKS: Final = 8  # of a window's span at least: with fewer a change is seen later than the smaller limit gains
_DEARER: Final = 10  # times the false alarms that were asked for; more is another wish, not a cure
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)

Told = dict[str, Any]
Cure = tuple[str, list[str]]  # what to write, and the columns that it cures


def blind_columns(told: Told, limits: Told) -> list[Told]:
    """Return the scores of a report's columns that can't show the shift to be seen, the blindest first."""
    blind = [score for score in told["features"] if score["visible"] > limits["effect"] * (1 + _ROUNDING)]
    return sorted(blind, key=lambda score: -score["visible"])


def looks_too_often(told: Told, limits: Told) -> bool:
    """Return whether there are columns that fewer looks would let show the shift to be seen."""
    blind = blind_columns(told, limits)
    known = [score for score in blind if score["floor_rate"] is not None]
    return any(True for _ in _fewer_looks(known, limits))


def blind_lines(told: Told, limits: Told) -> list[str]:
    """Return in words which columns can't show the shift to be seen, and what would change that.

    Args:
        told: A report, as ``told_report`` has it.
        limits: What its look was judged by, as ``told_limits`` has it.
    """
    blind = blind_columns(told, limits)
    if not blind:
        return []
    named = ", ".join(f"{score['name']} {score['visible']:.2g}" for score in blind[:_WORST])
    seen = f"{len(told['features']) - len(blind)} of {len(told['features'])}"
    first = (
        f"a shift of {limits['effect']:.2g} deviations shows in {seen} columns; the least that calm windows leave to "
        f"be seen: {named}"
    )
    if any(score["floor_rate"] is None for score in blind):  # a look from before it was reckoned
        return [f"{first}. A longer training span or window, fewer looks, or a larger alarm budget lowers it"]
    return [first, f"{_cause(limits)}; {_cures(blind, limits)}"]


def _cause(limits: Told) -> str:
    rate = f"one may alarm by chance with {limits['false_discovery_rate']:.2g}"
    if not limits["shared"]:
        return f"however many looks there are, {rate} (drift.false_discovery_rate)"
    wanted = f"{limits['false_retrainings']:.3g} false retrainings in {limits['per']}"
    return f"{limits['looks']:,.0f} looks share {wanted}, so {rate} (drift.every, drift.alarms)"


def _cures(blind: list[Told], limits: Told) -> str:
    """Return each cure with how many columns it cures; those that none does are named."""
    found = [cure for each in (_fewer_looks, _more_alarms, _longer_training) for cure in each(blind, limits)]
    lines = [f"{what} shows it in {len(names)} of the {len(blind)}" for what, names in found]
    cured = {name for _, names in found for name in names}
    if rest := [score["name"] for score in blind if score["name"] not in cured]:
        told = ", ".join(rest[:_WORST]) + (f" and {len(rest) - _WORST} more" if len(rest) > _WORST else "")
        none = "none of these does" if found else "neither fewer looks, more alarms nor 8 times the training does"
        lines.append(f"in {told} {none}: calm windows lie too far apart, which leaves a longer drift.window")
    return "; ".join(lines)


def _fewer_looks(blind: list[Told], limits: Told) -> Iterator[Cure]:
    """Give the least time between looks that cures as many columns as can be, if it is short for the window."""
    if not limits["shared"]:
        return
    share = parse_duration(limits["per"]) / (limits["false_retrainings"] * limits["confirm"])
    spans = {s["name"]: _whole(s["floor_rate"] * share) for s in blind if s["floor_rate"] <= MOST_OFTEN}
    most = parse_duration(limits["window"]) / _LOOKS
    if fits := {name: span for name, span in spans.items() if span <= most}:
        yield f"drift.every: {written(max(fits.values()))}", [*fits]


def _more_alarms(blind: list[Told], limits: Told) -> Iterator[Cure]:
    """Give the least number of false alarms that does the same, if it is no absurd one."""
    most = min(MOST_OFTEN, _DEARER * limits["false_discovery_rate"])
    if fits := {s["name"]: s["floor_rate"] for s in blind if s["floor_rate"] <= most}:
        rate = max(fits.values())
        if limits["shared"]:
            retrainings = _rounded_up(rate * limits["looks"] / limits["confirm"])
            yield f"drift.alarms.false_retrainings: {retrainings:g}", [*fits]
        else:
            yield f"drift.false_discovery_rate: {_rounded_up(rate):g}", [*fits]


def _longer_training(blind: list[Told], _: Told) -> Iterator[Cure]:
    if fits := {s["name"]: s["floor_training"] for s in blind if s["floor_training"]}:
        yield f"{max(fits.values())} times the training span", [*fits]


def _whole(span: timedelta) -> timedelta:
    """Return a span in whole minutes, or hours, that is not shorter."""
    unit = _HOUR if span > _HOUR else _MINUTE
    return ceil(span / unit) * unit


def _rounded_up(value: float) -> float:
    """Return a number with two digits that is not smaller."""
    unit = 10.0 ** (floor(log10(value)) - 1)
    return round(ceil(value / unit) * unit, 12)

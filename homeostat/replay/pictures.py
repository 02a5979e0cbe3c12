"""The pictures of a report: SVG by matplotlib, without a date or a random id, in colours the page chooses."""

import io
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from homeostat.replay.report_data import DriftMap

# Stand-ins, written by matplotlib and then swapped for CSS variables, so that one picture suits light and dark.
INK, MUTED, LINE, PAPER = "#010203", "#010204", "#010205", "#010206"
HEALED, FROZEN, MONTHLY, GOOD, BAD, WARN = "#010207", "#010208", "#010209", "#01020a", "#01020b", "#01020c"
_VARIABLES = {
    INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper", HEALED: "healed", FROZEN: "frozen", MONTHLY: "monthly",
    GOOD: "good", BAD: "bad", WARN: "warn",
}  # fmt: skip
MODEL_COLOURS = {"healed": HEALED, "frozen": FROZEN, "monthly": MONTHLY}
KINDS = {"trigger": WARN, "training": MUTED, "canary": MONTHLY, "promotion": GOOD, "rejection": BAD, "rollback": BAD}
STATUS_COLOURS = {"healthy": (0.13, 0.60, 0.40), "drifted": (0.86, 0.33, 0.16), "unknown": (0.55, 0.57, 0.60)}
WIDTH = 7.4  # inches of a picture in a column; a wide one takes two
UNKNOWN = STATUS_COLOURS["unknown"]
_STYLE: dict[Any, object] = {
    "svg.fonttype": "none", "font.size": 10.5, "text.color": INK, "axes.edgecolor": LINE, "axes.labelcolor": MUTED,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "axes.grid.axis": "y",
    "grid.color": LINE, "grid.linewidth": 0.6, "xtick.color": LINE, "ytick.color": LINE, "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED, "axes.titlesize": 11.5, "axes.titlelocation": "left", "axes.titlecolor": INK,
    "lines.linewidth": 1.9, "legend.frameon": False, "figure.facecolor": "none", "axes.facecolor": "none",
}  # fmt: skip
Lines = Sequence[tuple[str, Sequence[float | None]]]


def lines(name: str, title: str, times: Sequence[datetime], series: Lines, marks: Sequence[datetime] = ()) -> str:
    """Return a picture of one line a model over time.

    Args:
        name: Unique on the page; the ids inside the picture depend on it.
        title: What the y axis shows.
        times: When, shape (n,).
        series: By model, n values each; None leaves a gap.
        marks: Moments to mark by a dotted line, such as promotions.
    """

    def draw(axes: Axes) -> None:
        axes.set_title(title)
        for label, values in series:
            data = np.array([np.nan if v is None else v for v in values], dtype=float)
            top = label == "healed"
            axes.plot(
                _days(times), data, color=MODEL_COLOURS.get(label, INK), label=label, zorder=3 if top else 2,
                linewidth=2.3 if top else 1.5,
            )  # fmt: skip
        _mark(axes, marks)
        if len(series) > 1:
            axes.legend(
                loc="upper right", bbox_to_anchor=(1, 1.16), ncols=len(series), labelcolor="linecolor", handlelength=1
            )
        _dates(axes)

    return picture(name, draw, (WIDTH, 3.1))


def gap(
    name: str, title: str, times: Sequence[datetime], values: Sequence[float], marks: Sequence[datetime] = ()
) -> str:
    """Return a picture of a running sum, green where it is below zero (healed is ahead), red above."""

    def draw(axes: Axes) -> None:
        axes.set_title(title)
        data, days = np.array(values, dtype=float), _days(times)
        for side, colour in ((data <= 0, GOOD), (data >= 0, BAD)):
            axes.fill_between(
                days, 0, data, where=side.tolist(), color=colour, alpha=0.25, interpolate=True, linewidth=0
            )
        axes.plot(days, data, color=HEALED)
        axes.axhline(0, color=MUTED, linewidth=0.9)
        _mark(axes, marks)
        _dates(axes)

    return picture(name, draw, (WIDTH, 2.6))


def heat(name: str, drift: DriftMap) -> str:
    """Return drift by feature and time: blue within the limit, orange where judged drifted, grey where unknown."""
    shape = (len(drift.features), len(drift.times))
    ratios = np.array([[np.nan if v is None else v for v in row] for row in drift.ratios], dtype=float).reshape(shape)
    cells = _shade(ratios, np.array(drift.drifted, dtype=bool).reshape(shape))
    strip = np.array([[(*STATUS_COLOURS.get(status, UNKNOWN), 0.9) for status in drift.statuses]])

    def draw(axes: Axes) -> None:
        days = _days(drift.times)
        left, right = days[0], days[-1] + max(1 / 96, days[-1] - days[-2] if len(days) > 1 else 0.0)
        axes.imshow(strip, aspect="auto", interpolation="none", extent=(left, right, -0.6, -1.5))
        axes.imshow(cells, aspect="auto", interpolation="none", extent=(left, right, shape[0] - 0.5, -0.5))
        axes.set_yticks([-1.05, *range(shape[0])], ["all together", *drift.features])
        axes.set_ylim(shape[0] - 0.5, -1.6)
        axes.set_xlim(left, right)
        axes.grid(visible=False)
        axes.tick_params(axis="y", length=0)
        axes.spines[:].set_visible(False)
        _dates(axes)

    return picture(name, draw, (2 * WIDTH, 0.9 + 0.27 * (shape[0] + 1)))


def timeline(name: str, moments: Sequence[tuple[datetime, str]], span: tuple[datetime, datetime]) -> str:
    """Return what happened when: a lane a kind, a mark a moment."""
    lanes = list(KINDS)

    def draw(axes: Axes) -> None:
        for lane, kind in enumerate(lanes):
            at = [when for when, what in moments if what == kind]
            axes.plot(_days(at), [lane] * len(at), "o", color=KINDS[kind], markersize=9, markeredgecolor=PAPER)
        axes.set_yticks(range(len(lanes)), lanes)
        axes.set_ylim(len(lanes) - 0.5, -0.5)
        axes.set_xlim(*_days(span))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        _dates(axes)

    return picture(name, draw, (2 * WIDTH, 2.6))


def picture(name: str, draw: Callable[[Axes], None], inches: tuple[float, float]) -> str:
    """Return one drawing as an ``<svg>`` element that takes its colours from the page's CSS variables."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", text)  # figure_1, axes_1, ...: the same in every picture
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return text


def _shade(ratios: np.ndarray, drifted: np.ndarray) -> np.ndarray:
    """Return one RGBA colour a cell: the hue says drifted or not, the strength how far from nothing."""
    strength = np.clip(np.nan_to_num(ratios) / np.where(drifted, 4.0, 1.5), 0.0, 1.0)
    colours = np.where(drifted[..., None], (0.90, 0.36, 0.13), (0.22, 0.50, 0.85))
    alpha = np.where(drifted, 0.35 + 0.65 * strength, 0.04 + 0.45 * strength)
    unknown = np.isnan(ratios)
    colours = np.where(unknown[..., None], UNKNOWN, colours)
    alpha = np.where(unknown, 0.25, alpha)
    return np.concatenate([colours, alpha[..., None]], axis=-1)


def _days(times: Sequence[datetime]) -> np.ndarray:
    return np.array([date2num(time) for time in times], dtype=float)  # type: ignore[no-untyped-call]


def _mark(axes: Axes, marks: Sequence[datetime]) -> None:
    for mark in _days(marks):
        axes.axvline(mark, color=GOOD, linewidth=1.0, linestyle=(0, (2, 3)), zorder=1)


def _dates(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=4, maxticks=13)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]

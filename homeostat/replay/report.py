"""Writes what a replay found: report.json for scripts, report.html for people, one file without outside resources.

Keys of report.json that the page shows where they are there: ``rows``, ``wall_s``, ``peak_rss_mib``, ``seed``,
``{healed,frozen,monthly}.{log_loss,auc,retrains}``, ``promotions``, ``rejections``, ``rollbacks``,
``healed_minus_{frozen,monthly}.{mean,low,high}``, ``stage_s``, ``cost_usd_per_1k_predictions``.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import msgspec
import numpy as np

from homeostat.replay import fragments, pictures
from homeostat.replay.evaluation import Week
from homeostat.replay.report_data import ReportData

MODELS = ("healed", "frozen", "monthly")
_TEMPLATE = Path(__file__).with_name("report_template.html")
_NOTHING = '<p class="note">Nothing to show yet.</p>'


def write_report(data: ReportData, folder: Path) -> None:
    """Write ``report.json`` and ``report.html``; the same data gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(data.summary), indent=2)
    (folder / "report.json").write_bytes(text + b"\n")
    (folder / "report.html").write_text(render(data), encoding="utf-8")


def render(data: ReportData) -> str:
    """Return the page as text."""
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(data.title),
        lead=escape(_lead(data.summary)),
        tiles=_tiles(data.summary),
        comparison=_comparison(data.summary),
        moments=len(data.timeline),
        moment_table=fragments.moments(data.timeline),
        receipts="".join(map(fragments.receipt, data.receipts)) or _NOTHING,
        mlflow=escape(data.mlflow_command),
        stages=fragments.bars(data.summary.get("stage_s", {}), "s"),
        figures=fragments.pairs(data.summary),
        **_curves(data),
        heat=pictures.heat("heat", data.drift) if data.drift.times and data.drift.features else _NOTHING,
        timeline=_timeline(data),
    )


def _lead(summary: Mapping[str, Any]) -> str:
    parts = [
        f"{fragments.plain(summary['rows'])} rows" if "rows" in summary else "",
        f"{summary['wall_s']:.0f} s of wall time" if "wall_s" in summary else "",
        f"peak memory {summary['peak_rss_mib']:.0f} MiB" if "peak_rss_mib" in summary else "",
        f"seed {summary['seed']}" if "seed" in summary else "",
    ]
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)


def _tiles(summary: Mapping[str, Any]) -> str:
    tiles = [_loss_tile(summary), *(_gap_tile(summary, other) for other in ("frozen", "monthly"))]
    monthly = summary.get("monthly", {}).get("retrains")
    counts = {
        name: fragments.plain(summary.get(name)) for name in ("retrains", "promotions", "rejections", "rollbacks")
    }
    tiles += [
        fragments.tile(counts["retrains"], f"trainings, the monthly refit took {fragments.plain(monthly)}"),
        fragments.tile(
            counts["promotions"], f"promotions, {counts['rejections']} rejected, {counts['rollbacks']} rolled back"
        ),
    ]
    if (cost := summary.get("cost_usd_per_1k_predictions")) is not None:
        tiles.append(fragments.tile(f"{cost:.2g}", "USD for 1,000 predictions, all CPU counted"))
    return "".join(tiles)


def _loss_tile(summary: Mapping[str, Any]) -> str:
    healed = summary.get("healed", {})
    if healed.get("log_loss") is None:
        return ""
    return fragments.tile(f"{healed['log_loss']:.4f}", f"log loss healed, AUC {fragments.plain(healed.get('auc'))}")


def _gap_tile(summary: Mapping[str, Any], other: str) -> str:
    """Return how much lower healed's log loss is than another's, coloured only where chance is excluded."""
    gap, base = summary.get(f"healed_minus_{other}"), summary.get(other, {}).get("log_loss")
    if not gap or not base:
        return ""
    mean, low, high = gap["mean"], gap["low"], gap["high"]
    mood = "good" if high < 0 else "bad" if low > 0 else ""
    interval = f"95\N{NO-BREAK SPACE}% interval {low / base:+.1%} to {high / base:+.1%}"
    figure, words = (text.replace("-", "\N{MINUS SIGN}") for text in (f"{mean / base:+.2%}", interval))
    return fragments.tile(figure, f"log loss against {other}, {words}", mood)


def _comparison(summary: Mapping[str, Any]) -> str:
    def figure(name: str, key: str) -> str:
        value = summary[name].get(key)
        return f"{value:.4f}" if isinstance(value, float) else fragments.plain(value)

    rows = [
        (name, *(figure(name, key) for key in ("log_loss", "auc", "retrains"))) for name in MODELS if name in summary
    ]
    return fragments.table(("model", "log loss", "AUC", "trainings"), rows)


def _curves(data: ReportData) -> dict[str, str]:
    """Return the four pictures over the weeks, by their place in the template."""
    names = ("log_loss", "auc", "gap_frozen", "gap_monthly")
    if not data.weeks:
        return dict.fromkeys(names, _NOTHING)
    # A week is drawn at its middle: its figures come from the days on both sides.
    times = [week.start + timedelta(days=3.5) for week in data.weeks]
    models = [name for name in reversed(MODELS) if all(name in week.models for week in data.weeks)]
    marks = [moment.at for moment in data.timeline if moment.kind == "promotion"]
    loss = [(name, [week.models[name].log_loss for week in data.weeks]) for name in models]
    area = [(name, [week.models[name].auc for week in data.weeks]) for name in models]
    drawn = {
        "log_loss": pictures.lines("log_loss", "log loss by week (lower is better)", times, loss, marks),
        "auc": pictures.lines("auc", "AUC by week (higher is better)", times, area, marks),
    }
    for other in ("frozen", "monthly"):
        there = other in models and "healed" in models
        drawn[f"gap_{other}"] = _gap(data.weeks, times, other, marks) if there else _NOTHING
    return drawn


def _gap(weeks: list[Week], times: list[datetime], other: str, marks: list[datetime]) -> str:
    """Return the running sum of healed's loss minus another's, in nats."""
    each = [week.rows * (week.models["healed"].log_loss - week.models[other].log_loss) for week in weeks]
    return pictures.gap(
        f"gap_{other}", f"healed minus {other}, cumulative nats", times, np.cumsum(each).tolist(), marks
    )


def _timeline(data: ReportData) -> str:
    moments = [(moment.at, str(moment.kind)) for moment in data.timeline]
    times = [at for at, _ in moments] + [week.start for week in data.weeks] + list(data.drift.times)
    if not moments:
        return _NOTHING
    return pictures.timeline("timeline", moments, (min(times) - timedelta(days=2), max(times) + timedelta(days=2)))

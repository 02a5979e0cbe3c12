"""What came of a backfill or a replay, on the screen and as JSON."""

from pathlib import Path
from typing import Any, Final

from homeostat.cli.shared import out
from homeostat.replay.files import Loaded
from homeostat.replay.history import Backfilled
from homeostat.replay.refusals import Refusals
from homeostat.replay.sender import Sender
from homeostat.replay.sending import PREDICTED_AT_ONCE, Sent

_SHOWN: Final = 5  # reasons and bad rows


def _show_refused(loaded: Loaded, refused: Refusals, what: str) -> None:
    if loaded.bad_rows:
        _say(f"{len(loaded.bad_rows):,} rows without a time were not sent:")
        for bad in loaded.bad_rows[:_SHOWN]:
            _say(f"  {loaded.place_word} {bad.place}: {bad.reason}")
    if refused.rows:
        _say(f"{refused.rows:,} {what}:")
        for kind in refused.kinds[:_SHOWN]:
            _say(f"  {kind.rows:,} like {kind.first}")


def show_backfill(loaded: Loaded, done: Backfilled, folder: Path) -> None:
    """Write what came of a backfill."""
    for note in loaded.notes:
        _say(f"note: {note}")
    _say(
        f"{loaded.rows:,} rows: {done.events:,} events and {done.labels:,} labels from {done.began:%Y-%m-%d %H:%M} to "
        f"{done.ended:%Y-%m-%d %H:%M} UTC, in {done.wall_s:.0f} s"
    )
    if done.unknown:
        _say(f"{done.unknown:,} events and labels became known only after that and were left out")
    _show_refused(loaded, done.refused, "dead letters")
    if done.made.champion is None:
        _say(f"no champion: {done.made.reason}")
    else:
        figures = ", ".join(f"{name} {_figure(value)}" for name, value in done.made.metrics.items())
        _say(f"champion: version {done.made.champion} ({done.made.reason}); {figures}")
    _say(f"next: homeostat up --home {folder}; with --clock stream, `homeostat replay` may go on where this ended")


def show_replay(loaded: Loaded, sent: Sent) -> None:
    """Write what came of a replay."""
    for note in loaded.notes:
        _say(f"note: {note}")
    clock = f"; the instance's clock shows {sent.clock:%Y-%m-%d %H:%M} UTC" if sent.clock else "; interrupted"
    _say(
        f"{sent.events:,} events and {sent.labels:,} labels in {sent.wall_s:.1f} s, "
        f"{sent.rows / max(sent.wall_s, 1e-9):,.0f} rows/s{clock}"
    )
    if sent.latencies_s:
        _say(
            f"{sent.predictions:,} predictions, {sent.unscored:,} of them without a model; requests of up to "
            f"{PREDICTED_AT_ONCE} rows took {sent.latency_ms(0.5):.1f} ms (p50), {sent.latency_ms(0.99):.1f} ms (p99)"
        )
    _show_refused(loaded, sent.refused, "rows were refused")


def _told(loaded: Loaded, refused: Refusals) -> dict[str, Any]:
    return {
        "file_rows": loaded.rows,
        "bad_rows": [{loaded.place_word: bad.place, "reason": bad.reason} for bad in loaded.bad_rows],
        "refused": refused.rows,
        "reasons": [{"rows": kind.rows, "first": kind.first} for kind in refused.kinds],
        "notes": list(loaded.notes),
    }


def told_backfill(loaded: Loaded, done: Backfilled) -> dict[str, Any]:
    """Return what came of a backfill, ready for JSON."""
    return {
        **_told(loaded, done.refused),
        "events": done.events,
        "labels": done.labels,
        "left_out": done.unknown,
        "began": done.began.isoformat(),
        "ended": done.ended.isoformat(),
        "wall_s": round(done.wall_s, 3),
        "champion": done.made.champion,
        "is_new": done.made.is_new,
        "reason": done.made.reason,
        "metrics": dict(done.made.metrics),
    }


def told_replay(loaded: Loaded, sent: Sent, sender: Sender) -> dict[str, Any]:
    """Return what came of a replay, ready for JSON."""
    return {
        **_told(loaded, sent.refused),
        "events": sent.events,
        "labels": sent.labels,
        "too_early": sender.too_early,
        "predictions": sent.predictions,
        "unscored": sent.unscored,
        "p50_ms": sent.latency_ms(0.5),
        "p99_ms": sent.latency_ms(0.99),
        "clock": sent.clock.isoformat() if sent.clock else None,
        "wall_s": round(sent.wall_s, 3),
        "rows_per_s": round(sent.rows / max(sent.wall_s, 1e-9), 1),
    }


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4f}"

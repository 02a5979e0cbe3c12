"""A status as a page for people, and as one line for a log."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_DIM = "bright_black"
_STATE = {"stable": "bold green", "training": "bold cyan", "canary": "bold yellow", "waiting": "bold magenta"}
_DRIFT = {"healthy": "bold green", "drifted": "bold dark_orange", "unknown": _DIM}
_OLD_S = 60.0  # a heartbeat older than this is shown in red
UNKNOWN = "unknown"
SCORE_COLUMNS = ("column", "index", "value", "limit", "of limit", "p", "verdict")

Status = Mapping[str, Any]


def page(status: Status) -> Panel:
    """Return a status as a page."""
    body = Table.grid(padding=(0, 2), expand=True)
    body.add_column(style=_DIM, no_wrap=True, width=11)
    body.add_column(ratio=1)
    for name, value in _rows(status):
        body.add_row(name, value)
    title = Text.assemble((str(status["product"]), "bold"), (f"  {when(status['at'])} UTC", _DIM))
    return Panel(body, title=title, title_align="left", border_style=_DIM, padding=(0, 1))


def line(status: Status) -> str:
    """Return a status as one line, the same as long as nothing of interest changes."""
    drift = status["drift"]
    parts = (
        f"champion {status['champion'] or 'none'}",
        f"challenger {status['challenger']} ({status['canary_share']:.0%})" if status["challenger"] else "",
        f"case {status['case']['state']}",
        f"drift {drift['status']}" if drift else "",
        f"quarantined {status['quarantined']['rows']:,}",
        f"waits for {status['waits_for']}",
    )
    return "  ".join(part for part in parts if part)


def when(iso: str | None) -> str:
    """Return an ISO time as people write it."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M}" if iso else UNKNOWN


def number(value: float | None, form: str, unit: str = "") -> str:
    """Return a number in a form with its unit, or that it is not known."""
    return UNKNOWN if value is None else format(value, form) + unit


def _rows(status: Status) -> Iterable[tuple[str, Text | Table]]:
    case = status["case"]
    yield "waits for", Text(status["waits_for"], style="bold")
    yield "champion", _champion(status)
    challenger = status["challenger"]
    told = f"version {challenger}, answers {status['canary_share']:.0%} of entities" if challenger else "none"
    yield "challenger", Text(told, style="yellow" if challenger else _DIM)
    since = f"  since {when(case['since'])}" if case["since"] else ""
    reason = f"  {case['reason']}" if case["reason"] else ""
    yield "case", Text.assemble((case["state"], _STATE.get(case["state"], "bold")), (since, _DIM), reason)
    yield from _drift_rows(status["drift"])
    yield "labels", _health(status)
    yield "cost", Text(_cost(status["cost_per_1k_usd"]))
    trainings = status["trainings"]
    yield "trainings", Text(f"{trainings['used']} of {trainings['allowed']} within {trainings['per']}")
    yield from _listed("quarantined", f"{status['quarantined']['rows']:,} rows", _letters(status))
    yield "processes", _processes(status["processes"])
    if status["unread_rows"]:
        yield "behind", Text(", ".join(f"{step} {rows:,}" for step, rows in status["unread_rows"].items()))
    decided = [f"{when(d['at'])}  {d['what']}" for d in reversed(status["decisions"])]
    yield from _listed("decisions", decided[0] if decided else "none yet", decided[1:])


def _champion(status: Status) -> Text:
    if not status["champion"]:
        return Text("none yet", style=_DIM)
    since = f"  since {when(status['champion_since'])}" if status["champion_since"] else ""
    previous = f"  way back: version {status['previous']}" if status["previous"] else ""
    return Text.assemble((f"version {status['champion']}", "bold green"), (since + previous, _DIM))


def _drift_rows(drift: Status | None) -> Iterable[tuple[str, Text | Table]]:
    if drift is None:
        yield "drift", Text("no look yet", style=_DIM)
        return
    rows = f"  {drift['rows']:,} rows until {when(drift['window_end'])}  (report {drift['report_id']})"
    yield "drift", Text.assemble((drift["status"], _DRIFT[drift["status"]]), (rows, _DIM))
    if drift["status"] != "healthy":
        yield "", Text("; ".join(drift["reasons"]))
    if drift["worst"]:
        yield "", scores_table(drift["worst"], ("column", "index", "value", "limit", "verdict"))  # fits 80 columns


def scores_table(scores: Sequence[Status], columns: Sequence[str] = SCORE_COLUMNS) -> Table:
    """Return columns against their limits, in the order given."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=_DIM)
    for name in columns:
        table.add_column(name, justify="left" if name in {"column", "index", "verdict"} else "right", no_wrap=True)
    for score in scores:
        cells = {
            "column": score["name"],
            "index": score["index"].upper(),
            "value": f"{score['value']:.4f}",
            "limit": f"{score['limit']:.4f}" if score["reachable"] else "none",
            "of limit": f"{score['ratio']:.2f}" if score["reachable"] else "",
            "p": f"{score['p_value']:.2g}",
            "verdict": Text("drifted", style=_DRIFT["drifted"]) if score["drifted"] else Text("calm", style=_DIM),
        }
        table.add_row(*(cells[name] for name in columns))
    return table


def _health(status: Status) -> Text:
    sla = status["sla"]
    return Text(
        f"maturity {number(status['label_maturity_ratio'], '.1%')}   "
        f"feature freshness {number(status['feature_freshness_s'], ',.0f', unit=' s')}   "
        f"SLA {number(sla['attainment_ratio'], '.2%')} of {sla['target_ratio']:.1%} promised"
    )


def _cost(parts: Mapping[str, float] | None) -> str:
    if not parts:
        return UNKNOWN
    told = ", ".join(f"{part} {usd:.6f}" for part, usd in sorted(parts.items()))
    return f"{sum(parts.values()):.6f} USD per 1,000 predictions ({told})"


def _letters(status: Status) -> list[str]:
    return [f"{when(x['at'])}  {x['topic']}: {x['reason']}" for x in reversed(status["quarantined"]["last"])]


def _processes(beats: Sequence[Status]) -> Text:
    if not beats:
        return Text("not running", style=_DIM)
    told = []
    for beat in beats:
        age = beat["age_s"]
        state = "gone" if not beat["alive"] else "no heartbeat" if age is None else f"{age:.0f} s ago"
        trouble = beat.get("down") or beat.get("waits")
        well = beat["alive"] and (age is None or age < _OLD_S) and not trouble
        text = f"{beat['process']} (pid {beat['pid']}) {state}{f': {trouble}' if trouble else ''}   "
        told.append((text, "green" if well else "bold red"))
    return Text.assemble(*told)


def _listed(name: str, first: str, rest: Sequence[str]) -> Iterable[tuple[str, Text]]:
    for i, text in enumerate((first, *rest)):
        yield "" if i else name, Text(text, style="" if not i else _DIM, no_wrap=True, overflow="ellipsis")

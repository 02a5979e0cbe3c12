"""Pieces of HTML of a report; every text that comes from data is escaped here and nowhere else."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from homeostat.replay.report_data import Moment, Receipt


def cell(value: object) -> str:
    """Return a value as HTML: nested tables for mappings and lists, four figures for a float."""
    if isinstance(value, Mapping):
        return pairs(value)
    if isinstance(value, list | tuple):
        return _listing(value)
    return escape(plain(value))


def plain(value: object) -> str:
    """Return a scalar as text: a thin space between thousands, four significant figures of a float.

    >>> plain(0.123456), plain(12), plain(True)
    ('0.1235', '12', 'yes')
    """
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:.4g}"
    if isinstance(value, int | float):
        return f"{value:,.0f}".replace(",", "\N{THIN SPACE}")
    return day(value) if isinstance(value, datetime) else str(value)


def day(time: datetime) -> str:
    """Return a time to the minute, in UTC as every time of the loop."""
    return f"{time:%Y-%m-%d %H:%M}"


def pairs(values: Mapping[str, Any]) -> str:
    """Return a two-column table of names and values."""
    rows = (f"<tr><th>{escape(str(name))}</th><td>{cell(value)}</td></tr>" for name, value in values.items())
    return f"<table>{''.join(rows)}</table>" if values else escape(plain(None))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a head; numbers stand right."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_data(value) for value in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def tile(figure: str, what: str, mood: str = "") -> str:
    """Return one headline figure; ``mood`` is good, bad, or nothing."""
    return f'<div class="tile {escape(mood)}"><b>{escape(figure)}</b><span>{escape(what)}</span></div>'


def badge(text: str) -> str:
    """Return a small label whose colour follows its text."""
    return f'<span class="badge {escape(text)}">{escape(text)}</span>'


def moments(items: Sequence[Moment]) -> str:
    """Return the timeline as a table."""
    rows = (
        f"<tr><td><time>{day(item.at)}</time></td><td>{badge(item.kind)}</td><td>{escape(item.text)}</td></tr>"
        for item in items
    )
    return f"<table>{''.join(rows)}</table>"


def receipt(item: Receipt) -> str:
    """Return one decision, folded: when, what and why on the fold, its evidence inside."""
    fold = f"<time>{day(item.at)}</time>{badge(item.action)}<b>{escape(item.title)}</b> {escape(item.reason)}"
    return f'<details><summary>{fold}</summary><div class="scroll">{pairs(item.evidence)}</div></details>'


def bars(values: Mapping[str, float], unit: str) -> str:
    """Return a table with a bar for each value, the longest first."""
    most = max(values.values(), default=0.0) or 1.0
    rows = (
        f'<tr><th>{escape(name)}</th><td class="n">{value:.1f} {escape(unit)}</td>'
        f'<td><span class="bar" style="width:{max(0.0, value) / most * 20:.2f}rem"></span></td></tr>'
        for name, value in sorted(values.items(), key=lambda item: -item[1])
    )
    return f"<table>{''.join(rows)}</table>"


def _data(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f'<td class="{"n" if number else "t"}">{cell(value)}</td>'


def _listing(values: Sequence[Any]) -> str:
    """Return a table where all items are mappings with the same names, else the items in a row."""
    if values and all(isinstance(value, Mapping) and value.keys() == values[0].keys() for value in values):
        return table([str(name) for name in values[0]], (list(value.values()) for value in values))
    return ", ".join(cell(value) for value in values) or escape(plain(None))

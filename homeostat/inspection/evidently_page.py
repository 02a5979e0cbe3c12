"""A look's rows as Evidently shows them, on one page that needs nothing from elsewhere, below our own verdict."""

import warnings
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import polars as pl
from polars import selectors as cs

from homeostat.inspection.page import when
from homeostat.inspection.window_rows import Rows

MOST_COLUMNS: Final = 60
"""Evidently adds some 70 kB and 0.2 s for each."""

_MOST_CATEGORIES: Final = 30
_OTHER: Final = "(other)"
_STYLE: Final = (
    ".ours{margin:1.5rem auto;max-width:66rem;padding:0 1rem;font:15px/1.5 system-ui,sans-serif;color:#1b1f24}"
    ".ours h1{font-size:1.4rem;margin:0}.ours h2{font-size:1rem;margin:1.6rem 0 .3rem}"
    ".ours table{border-collapse:collapse;width:100%}.ours td,.ours th{text-align:right;padding:.2rem .6rem .2rem 0;"
    "border-bottom:1px solid #d9dee4;font-variant-numeric:tabular-nums}.ours td:first-child,.ours th:first-child{"
    "text-align:left}.ours th{color:#5d6673;font-weight:normal}.ours .drifted td{font-weight:600;color:#b3450b}"
)
_WHY_OTHER: Final = (
    "Evidently's own verdicts stand below, by its defaults, and may differ. It holds each column of a sample against "
    "one fixed limit (distance 0.1 above 1,000 rows, p 0.05 below) whatever chance does, and calls the data set "
    "drifted when half of the columns are. Homeostat counts every row, takes its limits from how far calm windows lie "
    "apart, bounds false alarms over all columns together and asks for a size worth acting on. The loop acts on the "
    "verdict above alone; what is below is to look at."
)


def evidently_page(
    verdict: Mapping[str, Any], lines: Sequence[str], reference: Rows, current: Rows, categorical: frozenset[str]
) -> str:
    """Return the page as HTML.

    Args:
        verdict: A drift report as ``told_report`` gives it, its features worst first.
        lines: What else there is to say of it.
        reference: What the champion learned from.
        current: What it was served with in the window.
        categorical: The columns that are categories.
    """
    scores = [*verdict["features"], *(verdict[name] for name in ("prediction", "embedding") if verdict[name])]
    ranked = [score["name"] for score in scores if score["name"] in current.frame.columns]
    ranked += [name for name in current.frame.columns if name not in ranked]
    shown = [name for name in ranked if _has_values(reference.frame[name]) and _has_values(current.frame[name])]
    left_out = [name for name in ranked if name not in shown[:MOST_COLUMNS]]
    head = _head(verdict, lines, scores, _sides(reference, current, left_out))
    page = _evidently(reference.frame, current.frame, shown[:MOST_COLUMNS], categorical)
    before, body, after = page.partition("<body>")
    return f"{before}<title>{escape(_title(verdict))}</title><style>{_STYLE}</style>{body}{head}{after}"


def _evidently(
    reference: pl.DataFrame, current: pl.DataFrame, names: Sequence[str], categorical: frozenset[str]
) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries among themselves, and of NumPy on columns of one value
        from evidently import (  # type: ignore[import-untyped]  # noqa: PLC0415 - takes 5 s and 170 MiB
            DataDefinition,
            Dataset,
            Report,
        )
        from evidently.presets import DataDriftPreset  # type: ignore[import-untyped]  # noqa: PLC0415

        kinds = DataDefinition(
            numerical_columns=[name for name in names if name not in categorical],
            categorical_columns=[name for name in names if name in categorical],
        )
        sides = _alike(reference.select(names), current.select(names), categorical)
        old, new = (Dataset.from_pandas(side.to_pandas(), kinds) for side in sides)
        return str(Report([DataDriftPreset()]).run(new, old).get_html_str(as_iframe=False))


def _alike(
    reference: pl.DataFrame, current: pl.DataFrame, categorical: frozenset[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both sides with the rare categories put together: Evidently draws a bar for each."""
    both = pl.concat([reference, current])
    kept = {
        name: both[name].value_counts(sort=True)[name].head(_MOST_CATEGORIES)
        for name in both.columns
        if name in categorical and both[name].n_unique() > _MOST_CATEGORIES
    }
    rare = [
        pl.when(pl.col(name).is_in(common.implode()) | pl.col(name).is_null()).then(name).otherwise(pl.lit(_OTHER))
        for name, common in kept.items()
    ]
    infinite = cs.float().replace([float("inf"), float("-inf")], None)
    old, new = (side.with_columns(rare).with_columns(infinite) for side in (reference, current))
    return old, new


def _has_values(column: pl.Series) -> bool:
    """Return whether there is anything to compare: Evidently refuses a data set with an empty column."""
    return bool((column.is_finite() if column.dtype.is_float() else column.is_not_null()).any())


def _sides(reference: Rows, current: Rows, left_out: Sequence[str]) -> list[str]:
    def said(what: str, rows: Rows) -> str:
        sample = "all of them" if rows.frame.height >= rows.of_rows else f"a sample of {rows.frame.height:,}"
        times = f"{rows.span.since:%Y-%m-%d %H:%M} to {rows.span.until:%Y-%m-%d %H:%M} UTC"
        return f"{what}: {rows.of_rows:,} rows from {times}, {sample} below"

    lines = [
        said("Reference, what the champion learned from, drawn by its weights", reference),
        said("Current, what it was served with", current),
    ]
    if left_out:
        lines.append(f"Not below: {', '.join(left_out)}, for they are empty on a side or beyond {MOST_COLUMNS} columns")
    return lines


def _title(verdict: Mapping[str, Any]) -> str:
    return f"Drift of version {verdict['version']}: {verdict['status']}"


def _head(
    verdict: Mapping[str, Any], lines: Sequence[str], scores: Sequence[Mapping[str, Any]], sides: Sequence[str]
) -> str:
    window = f"{verdict['rows']:,} rows, {when(verdict['window_start'])} to {when(verdict['window_end'])} UTC"
    said = "".join(f"<li>{escape(line)}</li>" for line in (*verdict["reasons"], *lines))
    told = "".join(f"<p>{escape(side)}.</p>" for side in sides)
    return (
        f'<section class="ours"><h1>{escape(_title(verdict))}</h1><p>{escape(window)}</p><ul>{said}</ul>'
        f"{_table(scores)}{told}<h2>Below: the same rows as Evidently sees them</h2><p>{_WHY_OTHER}</p></section>"
    )


def _table(scores: Sequence[Mapping[str, Any]]) -> str:
    keys = ("psi", "psi_limit", "ks", "ks_limit", "embedding", "embedding_limit", "p_value", "damage")
    heads = ("column", "PSI", "limit", "KS", "limit", "distance", "limit", "p", "may cost", "verdict")
    rows = "".join(
        f"<tr{' class=drifted' if one['drifted'] else ''}><td>{escape(one['name'])}</td>"
        + "".join(f"<td>{_number(one[key])}</td>" for key in keys)
        + f"<td>{'drifted' if one['drifted'] else 'calm'}</td></tr>"
        for one in scores
    )
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table>" if scores else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"

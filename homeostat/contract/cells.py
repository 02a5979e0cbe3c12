"""Cells of a file as values of a contract: numbers, truth values, times and labels out of text, the same everywhere.

`homeostat init` guesses a field's type by which of these readings fits; what reads the file later takes the reading
of that type. A cell that can't be read is null.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import polars as pl

from homeostat.contract.model import FieldType
from homeostat.contract.times import TimeFormat, time_format, times

NULLS: Final = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "nil", "nat", "-", "--", "?", "\\n"})
"""What a file writes, in any case, where there is nothing; Python's None is one more, the word none is not."""

ASKED_FOR: Final = "what such a question is asked for"
"""Why an answer counts as 1: it is the one that means something happened."""

SAYS_YES: Final = "it says yes"
"""Why an answer counts as 1: it is yes in so many words."""

_TRUE: Final = ("true", "yes", "y", "t", "on")
_FALSE: Final = ("false", "no", "n", "f", "off")
_YES_ELSEWHERE: Final = ("ja", "oui", "si", "sí", "sim", "да", "是", "はい")  # as an answer; a field keeps them as text
_MARKS: Final = r"^([+-]?)\s*[$€£¥]?\s*([0-9.,'\s]*[0-9.,])\s*[$€£¥%]?$"  # a sign, a currency or percent, the digits
_PLAIN: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_POINT: Final = r"^[+-]?[0-9]{1,3}(?:[,'\s][0-9]{3})+(?:\.[0-9]*)?$|^[+-]?[0-9]+(?:\.[0-9]*)?$"
_COMMA: Final = r"^[+-]?[0-9]{1,3}(?:[.'\s][0-9]{3})+(?:,[0-9]*)?$|^[+-]?[0-9]+(?:,[0-9]*)?$"
_COMMA_ONLY: Final = r",[0-9]{1,2}$|,[0-9]{4,}$|^[0-9]{4,},|\..*,"  # not how thousands are parted


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS_OF_ONE: Final = _words(
    "late delayed overdue fail failed failure fails broken fault faulty error bad churn churned lost left cancelled"
    " canceled fraud fraudulent scam spam attack malicious malignant positive pos sick ill disease dead died default"
    " defaulted delinquent convert converted clicked click bought purchased buy won win success accepted approved"
    " returned abnormal anomaly anomalous alert alarm critical high hit subscribed responded"
)
_WORDS_OF_ZERO: Final = _words(
    "ok good normal healthy benign negative neg none active stayed stay retained alive legit legitimate genuine ham"
    " paid current ontime punctual early low clean safe rejected declined miss"
)
_NOT: Final = re.compile(r"^(not?|non|un|in|without)[ _-]?(?=\w)")


def texts(column: pl.Series) -> pl.Series:
    """Return the cells as trimmed texts, null where a cell says that it is missing.

    >>> texts(pl.Series([" a ", "N/A", "", None])).to_list()
    ['a', None, None, None]
    """
    plain = column.cast(pl.String, strict=False).str.strip_chars()
    absent = plain.str.to_lowercase().is_in(sorted(NULLS)) | (plain == "None")
    return plain.set(absent.fill_null(value=False), None)


def numbers(column: pl.Series) -> pl.Series:
    """Return the cells as finite 64-bit floats: plain, with thousands parted, in currency or percent, decimal comma.

    A percent sign is dropped: 12 % is 12. Comma and point are read as the whole column needs it.

    >>> numbers(pl.Series(["1,234.5", "$2", "x", None])).to_list()
    [1234.5, 2.0, None, None]
    >>> numbers(pl.Series(["1.234,5", "0,25"])).to_list()
    [1234.5, 0.25]
    """
    if column.dtype.is_numeric():
        return _finite(column.cast(pl.Float64, strict=False))
    cells = texts(column)
    plain = cells.set(~cells.str.contains(_PLAIN), None)
    if plain.null_count() == cells.null_count():
        return _finite(plain.cast(pl.Float64, strict=False))
    digits = cells.str.replace(_MARKS, "${1}${2}")
    fits_comma, fits_point = (digits.str.contains(form).sum() for form in (_COMMA, _POINT))
    comma = bool(digits.str.contains(_COMMA_ONLY).any()) and fits_comma > fits_point
    parted = digits.set(~digits.str.contains(_COMMA if comma else _POINT), None)
    bare = parted.str.replace_all(r"[.'\s]" if comma else r"[,'\s]", "").str.replace(",", ".", literal=True)
    by_marks, by_itself = bare.cast(pl.Float64, strict=False), plain.cast(pl.Float64, strict=False)
    return _finite(by_marks.zip_with(plain.is_null() | comma, by_itself))


def integers(column: pl.Series) -> pl.Series:
    """Return the cells as 64-bit integers, null where one isn't whole or doesn't fit."""
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    if not column.dtype.is_numeric():
        direct = texts(column).cast(pl.Int64, strict=False)
        if direct.null_count() == texts(column).null_count():
            return direct
    floats = numbers(column)
    whole = floats.set(((floats != floats.floor()) | (floats.abs() > 2.0**53)).fill_null(value=False), None)
    return whole.cast(pl.Int64, strict=False)


def booleans(column: pl.Series) -> pl.Series:
    """Return the cells as truth values: true/false, yes/no, y/n, t/f, on/off, 1/0 in any case.

    >>> booleans(pl.Series(["Yes", "no", "maybe"])).to_list()
    [True, False, None]
    """
    if column.dtype == pl.Boolean:
        return column
    table = {**dict.fromkeys((*_TRUE, "1", "1.0"), True), **dict.fromkeys((*_FALSE, "0", "0.0"), False)}
    return texts(column).str.to_lowercase().replace_strict(table, default=None, return_dtype=pl.Boolean)


def as_field(column: pl.Series, kind: FieldType, order: TimeFormat | None = None) -> pl.Series:
    """Return the cells of a column as values of a field.

    Args:
        column: As in the file, text or typed.
        kind: The field's type in the contract.
        order: How its times are written; None to find out from the cells.
    """
    column = column.alias("cells")  # polars takes a name like * or ^a$ for a pattern
    if kind == "time":
        cells = column if column.dtype.is_temporal() or column.dtype.is_numeric() else texts(column)
        found = order or time_format(cells) or "ymd"
        return times(cells, found)
    readings = {"number": numbers, "integer": integers, "boolean": booleans, "string": texts}
    return readings[kind](column)


def key_of(cell: str) -> str:
    """Return what makes two cells the same answer: the number, or the text in lower case.

    >>> key_of("1.0") == key_of("1"), key_of("Yes")
    (True, 'yes')
    """
    text = " ".join(cell.split()).casefold()
    if re.fullmatch(_PLAIN, text) is None:
        return text
    return f"{float(text):.15g}"


def truth(column: pl.Series, positive: str | None = None) -> pl.Series:
    """Return 1 where a cell is the positive answer, 0 where it is another one, null where it is missing.

    Args:
        column: The answers as in the file.
        positive: The answer that counts as 1; None for what ``positive_of`` says.
    """
    cells = texts(column.alias("cells"))
    counts = dict(cells.drop_nulls().value_counts().iter_rows())
    chosen = key_of(positive) if positive is not None else key_of(positive_of(counts)[0])
    table = {cell: int(key_of(cell) == chosen) for cell in counts}
    return cells.replace_strict(table, default=None, return_dtype=pl.Int8)


def answers(counts: dict[str, int]) -> dict[str, str]:
    """Return the answers that differ in more than how they are written, by key, each in its most frequent form."""
    forms: dict[str, Counter[str]] = {}
    for cell, count in counts.items():
        forms.setdefault(key_of(cell), Counter())[cell] += count
    return {key: min(found, key=lambda cell: (-found[cell], cell)) for key, found in forms.items()}


def positive_of(counts: dict[str, int]) -> tuple[str, str]:
    """Return which of two answers counts as 1, and why.

    Args:
        counts: How often each cell is found.

    >>> positive_of({"late": 10, "on time": 90})
    ('late', 'what such a question is asked for')
    >>> positive_of({"1": 10, "2": 90})
    ('2', 'the greater number')
    """
    forms = answers(counts)
    keys = sorted(forms)
    said_yes = [key for key in keys if key in _TRUE or key in _YES_ELSEWHERE]
    said_no = [key for key in keys if key in _FALSE]
    if len(said_yes) == 1 and (said_no or len(said_yes[0]) > 1):  # a lone letter may stand for anything
        return forms[said_yes[0]], SAYS_YES
    if len(said_no) == 1 and len(said_no[0]) > 1:
        return forms[next((key for key in keys if key not in said_no), said_no[0])], "the other says no"
    if keys and all(re.fullmatch(_PLAIN, key) for key in keys):
        return forms[max(keys, key=float)], "the greater number"
    ranks = {key: _rank(key, keys) for key in keys}
    best = max(ranks.values(), default=0)
    leading = [key for key in keys if ranks[key] == best]
    if len(leading) == 1:
        return forms[leading[0]], ASKED_FOR
    sizes = {key: sum(n for cell, n in counts.items() if key_of(cell) == key) for key in keys}
    rarest = min(keys, key=lambda key: (sizes[key], key), default="")
    return forms.get(rarest, ""), "the rarer answer"


def _rank(key: str, keys: Sequence[str]) -> int:
    """Return 1 for an answer one asks for, -1 for its opposite, 0 where the words don't say."""
    stripped = _NOT.sub("", key)
    if stripped != key and (stripped in keys or stripped in _WORDS_OF_ONE):
        return -1
    words = re.findall(r"\w+", key)
    if key.replace(" ", "") in _WORDS_OF_ZERO or any(word in _WORDS_OF_ZERO for word in words):
        return -1
    return int(any(word in _WORDS_OF_ONE for word in words))


def _finite(column: pl.Series) -> pl.Series:
    return column.set((~column.is_finite()).fill_null(value=False), None)

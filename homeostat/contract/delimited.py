"""How a file of rows is written: packed or not, its encoding, and the separator between its cells."""

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from homeostat.errors import HomeostatError

_PACKED: Final = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip (or Excel)", b"BZh": "bzip2", b"(\xb5/\xfd": "zstd"}
_SEPARATORS: Final = (",", ";", "\t", "|", " ")
_LINES: Final = 100  # that the separator is found by
_SNIFFED_CHARS: Final = 256 * 2**10
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8 with BOM", False),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16", True),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16", True),
)


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded start of a file."""

    text: str
    codec: str  # for what follows
    encoding: str  # in words
    wide: bool = False  # two bytes a character: bytes can't be cut just anywhere
    notes: tuple[str, ...] = ()


def refuse_packed(start: bytes, path: Path) -> None:
    """Raise if a file that begins so is compressed.

    Args:
        start: Its first four bytes or more.
        path: For the error text.

    Raises:
        HomeostatError: It is; the text says by what.
    """
    packed = next((name for magic, name in _PACKED.items() if start.startswith(magic)), None)
    if packed:
        raise HomeostatError(f"{path}: is compressed by {packed} - unpack it to CSV or Parquet first")


def decoded(head: bytes, *, whole: bool, path: Path) -> Text:
    """Return the text behind a file's first bytes; what isn't UTF-8 is taken for Windows-1252 or Latin-1.

    Args:
        head: The first bytes.
        whole: Whether they are all; else the last line may be cut and is left out.
        path: For the error text.

    Raises:
        HomeostatError: It is no text.
    """
    for bom, codec, name, wide in _BOMS:
        if head.startswith(bom):
            text = head.decode(codec, errors="replace")
            return Text(text if whole else _whole_lines(text), codec.removesuffix("-sig"), name, wide)
    if b"\0" in head[:_SNIFFED_CHARS]:
        raise HomeostatError(f"{path}: is no text (it holds zero bytes) - expected CSV or Parquet")
    if not whole:
        head = head[: head.rfind(b"\n") + 1] or head
    for codec in ("utf-8", "cp1252"):
        try:
            text = head.decode(codec)
        except UnicodeDecodeError:
            continue
        notes = () if codec == "utf-8" else ("not UTF-8: read as Windows-1252 (Latin-1)",)
        return Text(text, codec, codec, notes=notes)
    return Text(head.decode("latin-1"), "latin-1", "latin-1", notes=("not UTF-8: read as Latin-1",))


def separator_of(text: str, path: Path) -> str:
    """Return the separator by which most lines have the same number of cells, more than one.

    Raises:
        HomeostatError: No separator gives two columns.
    """
    best: tuple[float, int, str] | None = None
    for separator in _SEPARATORS:
        widths = _widths(text[:_SNIFFED_CHARS], separator)
        if not widths or widths[0] < 2:
            continue
        usual, count = Counter(widths).most_common(1)[0]
        share = count / len(widths)
        if usual < 2 or (separator == " " and (best is not None or share < 1)):
            continue  # a space is part of many texts: only when nothing else separates
        if best is None or (share, usual) > best[:2]:
            best = (share, usual, separator)
    if best is None:
        raise HomeostatError(f"{path}: has one column - expected cells separated by comma, semicolon, tab or |")
    return best[2]


def _widths(text: str, separator: str) -> list[int]:
    """Return the number of cells in each of the first lines that isn't blank."""
    widths: list[int] = []
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                widths.append(len(row))
            if len(widths) == _LINES:
                break
    except csv.Error:
        return widths
    return widths


def _whole_lines(text: str) -> str:
    return text[: text.rfind("\n") + 1] or text

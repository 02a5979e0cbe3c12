"""The outer layers of a request's JSON: an object with one list of rows."""

from collections.abc import Mapping
from typing import Final

import msgspec

from homeostat.api.problems import ProblemError, refused, shown, shown_raw

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises at bytes that are not what was asked for."""

_BLANK: Final = b" \t\r\n"
_REFUSED: Final = "nothing was stored"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])


def members_of(raw: bytes) -> Mapping[str, msgspec.Raw]:
    """Return the members of a JSON object, of a key given twice the last.

    Raises:
        msgspec.MsgspecError: It is none.
        UnicodeDecodeError: A key is no text.
        RecursionError: It is nested too deep.
    """
    return _members.decode(raw)


def is_given_twice(raw: bytes, value: bytes | msgspec.Raw) -> bool:
    """Return whether an object with one key, free of quotes, has it more than once; ``value`` is its last value.

    >>> is_given_twice(b'{"a": [1], "a": [2]}', b"[2]"), is_given_twice(b' {"a": ["a"]} ', b'["a"]')
    (True, False)
    """
    inside = raw.rstrip(_BLANK)[:-1].rstrip(_BLANK)
    return inside[: len(inside) - len(bytes(value))].count(b'"') > 2


def rows_of(body: bytes, key: str, most: int) -> list[msgspec.Raw]:
    """Return the rows of ``{key: [row, ...]}``, each as it was written and not copied yet.

    Raises:
        ProblemError: The body is something else, or has no rows, or too many.
    """
    wanted = f'expected {{"{key}": [...]}}'
    try:
        body.decode()  # the parsers let bytes pass that are no text where they need not look
        members = members_of(body)
    except UNREADABLE as error:
        raise refused([("", f"is not readable as a JSON object: {error}; {wanted}")], _REFUSED) from None
    if unknown := [name for name in members if name != key]:
        raise refused([("", f"has the unknown key {shown(unknown[0])}; {wanted}")], _REFUSED)
    if key not in members:
        raise refused([("", f"has no '{key}'; {wanted}")], _REFUSED)
    if is_given_twice(body, members[key]):
        raise refused([(f"/{key}", "is given more than once: expected one list")], _REFUSED)
    try:
        rows: list[msgspec.Raw] = _items.decode(members[key])
    except UNREADABLE:
        raise refused([(f"/{key}", f"is {shown_raw(members[key])}, expected a list")], _REFUSED) from None
    if not rows:
        raise refused([(f"/{key}", "is empty, expected one row at least")], _REFUSED)
    if len(rows) > most:
        raise ProblemError(413, f"{len(rows):,} rows, at most {most:,} in one request: send them in parts")
    return rows

"""The ledger's hash chain, pure: every entry seals the one before it, so history can't be edited unseen.

The chain has no key. It finds every change made by hand or by accident; somebody who rewrites all
entries, their hashes and the stored head is found only by a head that was kept elsewhere.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from hashlib import sha256
from math import isfinite
from numbers import Integral, Real
from typing import Any

from homeostat.errors import LedgerError
from homeostat.ports import LedgerEntry


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a ledger; kept beside the entries, so that a cut-off end is found too."""

    seq: int
    hash: str


EMPTY = Head(0, "0" * 64)
"""The head of a ledger without entries."""


def plain(value: object) -> Any:  # noqa: ANN401 - JSON has no better type
    """Return ``value`` as JSON can hold it, so that what is hashed is what is read back.

    Times become ISO-8601 texts, spans seconds, tuples lists; NaN and infinities become texts, because
    JSON has no such numbers and evidence may have them.

    Raises:
        TypeError: A value of another kind; it belongs into the payload as text or number.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    return _plain_scalar(value)


def _plain_scalar(value: object) -> str | int | float | bool | None:
    if isinstance(value, Enum):
        return _plain_scalar(value.value)
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if isfinite(value) else str(float(value))
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a ledger payload can't hold a {type(value).__name__}")


def canonical(value: object) -> str:
    """Return the one JSON text of ``value``: keys sorted, no spaces, ASCII only."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def link(head: Head, entry_id: str, at: datetime, *, kind: str, actor: str, payload: Mapping[str, Any]) -> LedgerEntry:
    """Return the entry that follows ``head``, sealed.

    Raises:
        ValueError: ``at`` has no timezone.
    """
    if at.tzinfo is None:
        raise ValueError(f"a ledger entry needs an aware time, not {at.isoformat()}")
    draft = LedgerEntry(
        seq=head.seq + 1,
        entry_id=entry_id,
        at=at.astimezone(UTC),
        kind=kind,
        actor=actor,
        payload=plain(payload),
        previous_hash=head.hash,
        hash="",
    )
    return replace(draft, hash=seal(draft))


def seal(entry: LedgerEntry) -> str:
    """Return the hash the entry must carry: SHA-256 over the previous hash and everything it says."""
    body = canonical([entry.seq, entry.entry_id, entry.at, entry.kind, entry.actor, entry.payload])
    return sha256((entry.previous_hash + body).encode()).hexdigest()


def as_line(entry: LedgerEntry) -> str:
    """Return an entry as one line of JSON that holds all that its hash is made of."""
    return json.dumps(plain(entry), ensure_ascii=False, allow_nan=False)


def in_lines(lines: Iterable[str]) -> list[LedgerEntry]:
    """Return the entries of an export.

    Raises:
        LedgerError: A line is no entry; the message names it.
    """
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            said = json.loads(line)
            entries.append(LedgerEntry(**said | {"at": datetime.fromisoformat(said["at"])}))
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"line {number} is no entry of a ledger as `homeostat log --json` writes it") from error
    return entries


def verify_export(entries: Sequence[LedgerEntry], ledger: Sequence[LedgerEntry] | None = None) -> int:
    """Return the number of entries when an export is whole, and a ledger still begins with it.

    Only so is it found that somebody rewrote a ledger from its first entry to its head.

    Args:
        entries: Of the export, in order.
        ledger: What it was made of, as it is now; None without one.

    Raises:
        LedgerError: An entry does not fit the chain, or is another one in the ledger; the message names the first.
    """
    count = verify(entries, Head(entries[-1].seq, entries[-1].hash) if entries else EMPTY)
    for i, entry in enumerate(entries if ledger is not None else ()):
        if ledger is not None and ledger[i : i + 1] != [entry]:
            raise LedgerError(f"entry {entry.seq} ({entry.entry_id}) is another one in the ledger than in the export")
    return count


def verify(entries: Sequence[LedgerEntry], head: Head) -> int:
    """Return the number of entries when each fits the one before and the last one is the head.

    Raises:
        LedgerError: An entry does not fit; the message names the first one.
    """
    last = EMPTY
    for entry in entries:
        if entry.seq != last.seq + 1:
            raise LedgerError(f"entry {last.seq + 1} is missing: found {entry.seq} ({entry.entry_id}) in its place")
        if entry.previous_hash != last.hash:
            raise LedgerError(f"entry {entry.seq} ({entry.entry_id}) does not follow the entry before it")
        if entry.hash != seal(entry):
            raise LedgerError(f"entry {entry.seq} ({entry.entry_id}) was changed: its hash does not match what it says")
        last = Head(entry.seq, entry.hash)
    if last != head:
        raise LedgerError(f"the ledger ends at entry {last.seq}, its head is entry {head.seq}: the end was changed")
    return last.seq

"""An export of the ledger by itself, and beside the ledger that it was made of."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adapters.memory import MemoryLedger
from homeostat.errors import LedgerError
from homeostat.healing.chain import as_line, in_lines, verify_export
from homeostat.ports import LedgerEntry

AT = datetime(2024, 3, 1, 12, tzinfo=UTC)
PAYLOADS = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text())


def ledger(reasons: str = "abcd") -> list[LedgerEntry]:
    made = MemoryLedger()
    for i, reason in enumerate(reasons):
        made.append(f"e{i}", AT + timedelta(minutes=i), "decide", {"reason": reason, "loss": 0.1 + i}, "operator:ann")
    return made.entries()


@given(st.lists(PAYLOADS, max_size=5))
def test_what_is_written_is_what_is_read(payloads: list[dict[str, object]]) -> None:
    made = MemoryLedger()
    for i, payload in enumerate(payloads):
        made.append(f"e{i}", AT, "decide", payload)
    read = in_lines(as_line(entry) for entry in made.entries())
    assert read == made.entries()
    assert verify_export(read, made.entries()) == len(payloads)


@pytest.mark.parametrize(
    "edit",
    [
        lambda entries: [*entries[:1], replace(entries[1], actor="operator:bob"), *entries[2:]],
        lambda entries: [*entries[:1], *entries[2:]],
        lambda entries: [entries[1], entries[0], *entries[2:]],
    ],
)
def test_an_edited_export_is_refused(edit: Callable[[list[LedgerEntry]], list[LedgerEntry]]) -> None:
    with pytest.raises(LedgerError, match="entry"):
        verify_export(edit(ledger()))


def test_a_ledger_that_went_on_still_begins_with_its_export() -> None:
    assert verify_export(ledger()[:2], ledger()) == 2


@pytest.mark.parametrize("reasons", ["abXd", "abc"])
def test_a_ledger_rewritten_with_all_its_hashes_or_cut_is_found_by_an_export(reasons: str) -> None:
    with pytest.raises(LedgerError, match=r"entry [34]"):
        verify_export(ledger(), ledger(reasons))


@pytest.mark.parametrize(
    "line", ["", "{}", "[1]", '{"seq": 1, "at": "today"}', '{"at": "2024-03-01T00:00:00Z", "x": 1}']
)
def test_a_line_that_is_no_entry_is_named(line: str) -> None:
    with pytest.raises(LedgerError, match="line 2"):
        in_lines([as_line(ledger()[0]), line])

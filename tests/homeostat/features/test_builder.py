from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from homeostat.contract.model import Contract
from homeostat.errors import ContractError
from homeostat.features import facts
from tests.homeostat.features.by_row import RowBuilder

Make = Callable[..., Any]


def test_fields_and_expressions_are_numbers_texts_or_missing(shop: Contract, event: Make, cell: Make) -> None:
    due = datetime(2024, 7, 1, 22, 30, tzinfo=UTC)
    (row,) = RowBuilder(shop).add([event("e", 0, amount=9.0, items=2, member=True, due=due)], [])
    names = ("store", "amount", "items", "member", "each", "due_hour")
    assert [cell(row, name) for name in names] == ["north", 9.0, 2.0, 1.0, 4.5, 18.0]
    assert all(type(cell(row, name)) is float for name in names[1:])


def test_missing_fields_stay_missing(shop: Contract, event: Make, cell: Make) -> None:
    (row,) = RowBuilder(shop).add([event("e", 0, store=None, amount=None, items=0)], [])
    assert [cell(row, name) for name in ("store", "amount", "each", "due_hour")] == [None, None, None, None]
    assert [cell(row, name) for name in ("orders_3h", "spent_2h", "refunds_4h")] == [0.0, 0.0, None]


def test_a_label_counts_from_just_after_its_own_time_not_the_events(
    shop: Contract, event: Make, label: Make, cell: Make
) -> None:
    builder = RowBuilder(shop)
    builder.add([event("a", 0)], [label("a", 60)])
    rows = builder.add([event("b", 59), event("c", 60), event("d", 61)], [])
    assert [cell(row, "refunds_4h") for row in rows] == [None, None, 1.0]


def test_a_label_older_than_its_event_is_not_known_before_it(
    shop: Contract, event: Make, label: Make, cell: Make
) -> None:
    rows = RowBuilder(shop).add([event("a", 30), event("b", 20), event("c", 31)], [label("a", 0)])
    assert [cell(row, "refunds_4h") for row in rows] == [None, None, 1.0]


def test_a_doubled_label_counts_once_and_the_first_one_counts(
    shop: Contract, event: Make, label: Make, cell: Make
) -> None:
    builder = RowBuilder(shop)
    builder.add([event("a", 0), event("b", 1)], [label("a", 5, 1.0), label("b", 5, 0.0), label("a", 6, 0.0)])
    builder.add([], [label("a", 5, 0.0)])
    (row,) = builder.add([event("c", 10)], [])
    assert cell(row, "refunds_4h") == 0.5


def test_a_label_of_an_unknown_event_feeds_nothing_until_the_event_comes(
    shop: Contract, event: Make, label: Make, cell: Make
) -> None:
    builder = RowBuilder(shop)
    (before,) = builder.add([event("a", 10)], [label("late", 5)])
    (after,) = builder.add([event("b", 11)], [])
    builder.add([event("late", 0)], [])
    (last,) = builder.add([event("c", 12)], [])
    assert [cell(row, "refunds_4h") for row in (before, after, last)] == [None, None, 1.0]


def test_a_label_past_maturity_feeds_nothing(shop: Contract, event: Make, label: Make, cell: Make) -> None:
    builder = RowBuilder(shop)
    builder.add([event("a", 0), event("b", 0)], [label("a", 360, 1.0), label("b", 361, 0.0)])
    (row,) = builder.add([event("c", 370)], [])
    assert cell(row, "refunds_4h") == 1.0


def test_a_repeated_event_adds_nothing_and_gives_its_row_again(
    shop: Contract, event: Make, label: Make, cell: Make
) -> None:
    builder = RowBuilder(shop)
    first, second = builder.add([event("a", 0), event("b", 10)], [])
    again = builder.add([event("b", 10), event("a", 0), event("b", 10)], [label("a", 5)])
    assert again == [second, first, second]
    (row,) = builder.add([event("c", 20)], [])
    assert cell(row, "orders_3h") == 2.0


def test_an_event_that_repeats_within_a_batch_counts_once(shop: Contract, event: Make, cell: Make) -> None:
    same = event("a", 0)
    rows = RowBuilder(shop).add([same, same, event("b", 1)], [])
    assert rows[0] == rows[1]
    assert cell(rows[2], "orders_3h") == 1.0


def test_after_a_restart_a_repeated_event_gets_the_row_it_had(shop: Contract, event: Make, label: Make) -> None:
    stream = [event("a", 0), event("b", 30), event("c", 60)]
    labels = [label("a", 20), label("b", 40)]
    rows = RowBuilder(shop).add(stream, labels)
    restarted = RowBuilder(shop)
    restarted.restore(stream, labels)
    assert restarted.knows(event("b", 30)) == (True, False)
    assert restarted.add([event("b", 30)], []) == [rows[1]]


def test_what_comes_late_counts_from_the_batch_it_comes_in(shop: Contract, event: Make, cell: Make) -> None:
    builder = RowBuilder(shop)
    (before,) = builder.add([event("b", 20)], [])
    builder.add([event("a", 10)], [])
    (after,) = builder.add([event("c", 21)], [])
    assert [cell(row, "orders_3h") for row in (before, after)] == [0.0, 2.0]


def test_an_event_late_within_the_allowance_still_has_its_whole_window(
    shop: Contract, event: Make, cell: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_MIN_TRIM", 1)
    builder = RowBuilder(shop)
    for minute in range(0, 1500, 10):
        builder.add([event(f"e{minute}", minute)], [])
        (row,) = builder.add([event(f"late{minute}", minute - 55)], [])
        assert cell(row, "orders_3h") == (36.0 if minute >= 250 else cell(row, "orders_3h"))


def test_after_a_restart_labels_find_events_as_old_as_the_windows_need(
    shop: Contract, event: Make, label: Make
) -> None:
    events = [event(f"e{minute}", minute) for minute in range(0, 1000, 10)]
    labels = [label(f"e{minute}", minute + 300, float(minute < 550), reason="torn") for minute in range(0, 700, 10)]
    steady, restarted = RowBuilder(shop), RowBuilder(shop)
    steady.add(events, labels)
    restarted.restore(events, [])
    restarted.restore([], labels)
    assert restarted.add([event("next", 1000)], []) == steady.add([event("next", 1000)], [])


def test_memory_stays_within_longest_span_maturity_and_lateness(
    shop: Contract, event: Make, label: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_MIN_TRIM", 10)
    builder = RowBuilder(shop)
    span = timedelta(hours=6 + 6 + 1)
    for i in range(400):
        builder.add([event(f"e{i}", 10 * i, customer=f"c{i}")], [label(f"e{i}", 10 * i + 5), label(f"x{i}", 10 * i)])
    kept = int(span / timedelta(minutes=10)) + 1
    forgotten = 399 - kept
    assert builder.knows(event("e399", 3990, customer="c399")) == (True, True)
    assert builder.knows(event(f"e{forgotten}", 10 * forgotten, customer=f"c{forgotten}")) is None
    memory = builder.builder
    sizes = [len(memory._numbers), len(memory._events), len(memory._rows), len(memory._labelled), len(memory._waiting)]
    assert max(sizes) <= kept
    assert max(len(source._history) for source in memory._facts._sources.values()) <= 1.25 * kept + 10


def test_an_expression_that_mixes_types_is_refused_with_its_feature(shop: Contract) -> None:
    raw = shop.model_dump()
    raw["features"] = {"x": {"expression": "store + 1"}, "y": {"expression": "hour(amount)"}}
    with pytest.raises(ContractError, match=r"features\.x\.expression: 'store \+ 1': a string stands") as caught:
        RowBuilder(Contract.model_validate(raw))
    assert len(caught.value.problems) == 2

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.contract.model import AggregateFeature, Contract
from homeostat.features.parsing import ParsedEvent, ParsedLabel
from homeostat.records import FeatureRow
from tests.homeostat.features.by_row import RowBuilder

Item = ParsedEvent | ParsedLabel
Make = Callable[..., Any]

amounts = st.none() | st.floats(0, 1000)
visits = st.tuples(
    st.integers(0, 90),  # minutes since the visit before: often at the same time
    st.sampled_from(["ann", "bob"]),
    st.sampled_from(["north", "south", None]),
    amounts,
    st.none() | st.integers(-30, 420),  # minutes until the label; before the event and past maturity too
    st.sampled_from([0.0, 1.0]),
    amounts,
    st.sampled_from(["torn", "late", None]),
)
streams = st.lists(visits, min_size=1, max_size=25)


def known(item: Item) -> datetime:
    return item.event_time if isinstance(item, ParsedEvent) else item.label_time


@pytest.fixture(scope="session")
def in_order(event: Make, label: Make) -> Callable[[list[Any]], list[Item]]:
    """Makes a stream out of drawn visits, in the order in which things become known."""

    def make(drawn: list[Any]) -> list[Item]:
        items: list[Item] = []
        minutes = 0
        for i, (gap, customer, store, amount, delay, value, loss, reason) in enumerate(drawn):
            minutes += gap
            items.append(event(f"e{i}", minutes, customer, store=store, amount=amount))
            if delay is not None:
                items.append(label(f"e{i}", minutes + delay, value, loss=loss, reason=reason))
        return sorted(items, key=lambda item: (known(item), isinstance(item, ParsedLabel)))

    return make


def fed(builder: RowBuilder, items: Sequence[Item]) -> list[FeatureRow]:
    return builder.add(
        [item for item in items if isinstance(item, ParsedEvent)],
        [item for item in items if isinstance(item, ParsedLabel)],
    )


def by_id(rows: Sequence[FeatureRow]) -> dict[str, FeatureRow]:
    return {row.event_id: row for row in rows}


def assert_same(found: Sequence[FeatureRow], expected: Sequence[FeatureRow]) -> None:
    assert [replace(row, values=()) for row in found] == [replace(row, values=()) for row in expected]
    for left, right in zip(found, expected, strict=True):
        for a, b in zip(left.values, right.values, strict=True):
            assert a == (pytest.approx(b, rel=1e-9, abs=1e-12) if isinstance(b, float) else b)


def naive(shop: Contract, items: Sequence[Item], event: ParsedEvent, feature: AggregateFeature) -> Any:
    """Compute one aggregate from the whole stream, straight from its definition; all candidates of a last one."""
    events = {item.event_id: item for item in items if isinstance(item, ParsedEvent)}
    facts: list[tuple[datetime, Any, ParsedEvent]] = []
    if feature.of is None or feature.of in shop.event.fields:
        facts = [(e.event_time, e.fields[feature.of] if feature.of else 1.0, e) for e in events.values()]
    else:
        for item in items:
            if (
                isinstance(item, ParsedLabel)
                and item.label_time <= events[item.event_id].event_time + shop.label.maturity
            ):
                value = item.value if feature.of == shop.label.field else item.facts[feature.of]
                facts.append((max(item.label_time, events[item.event_id].event_time), value, events[item.event_id]))
    facts = [
        (time, value)
        for time, value, of in facts
        if event.event_time - feature.over <= time < event.event_time
        and value is not None
        and all(of.fields[name] is not None and of.fields[name] == event.fields[name] for name in feature.by)
    ]
    return summed_up(feature.aggregate, sorted(facts, key=lambda fact: fact[0]))


def summed_up(kind: str, facts: list[tuple[datetime, Any]]) -> Any:
    seen = [value for _, value in facts]
    if kind == "last":
        return {value for time, value in facts if time == facts[-1][0]} or {None}
    if kind in ("count", "sum"):
        return math.fsum(seen) if kind == "sum" else float(len(seen))
    if len(seen) < (2 if kind == "std" else 1):
        return None
    mean = math.fsum(seen) / len(seen)
    return mean if kind == "mean" else math.sqrt(math.fsum((x - mean) ** 2 for x in seen) / (len(seen) - 1))


@settings(deadline=None, max_examples=60)
@given(drawn=streams)
def test_aggregates_agree_with_their_definition(shop: Contract, in_order: Make, cell: Make, drawn: list[Any]) -> None:
    items = in_order(drawn)
    rows = by_id(fed(RowBuilder(shop), items))
    events = [item for item in items if isinstance(item, ParsedEvent)]
    for name, feature in shop.features.items():
        if isinstance(feature, AggregateFeature):
            for event in events:
                found, expected = cell(rows[event.event_id], name), naive(shop, items, event, feature)
                if feature.aggregate == "last":
                    assert found in expected, name
                else:
                    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9)), name


@settings(deadline=None, max_examples=60)
@given(drawn=streams, data=st.data())
def test_any_split_into_batches_gives_the_same_rows(
    shop: Contract, in_order: Make, drawn: list[Any], data: st.DataObject
) -> None:
    items = in_order(drawn)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=6)))
    builder = RowBuilder(shop)
    parts = [items[a:b] for a, b in zip([0, *cuts], [*cuts, len(items)], strict=True)]
    assert_same([row for part in parts for row in fed(builder, part)], fed(RowBuilder(shop), items))


@settings(deadline=None, max_examples=60)
@given(drawn=streams, data=st.data())
def test_no_feature_changes_with_what_became_known_at_its_event_or_later(
    shop: Contract, in_order: Make, drawn: list[Any], data: st.DataObject
) -> None:
    items = in_order(drawn)
    judged = data.draw(st.sampled_from([item for item in items if isinstance(item, ParsedEvent)]))
    changed: list[Item] = []
    for item in items:
        if item is judged or known(item) < judged.event_time:
            changed.append(item)
        elif data.draw(st.booleans()):  # else it is removed
            other = data.draw(st.floats(0, 1000))
            if isinstance(item, ParsedLabel):
                changed.append(replace(item, value=1 - item.value, facts={"loss": other, "reason": "changed"}))
            else:
                changed.append(replace(item, fields={**item.fields, "amount": other, "items": 99, "member": True}))
    row = by_id(fed(RowBuilder(shop), items))[judged.event_id]
    assert by_id(fed(RowBuilder(shop), changed))[judged.event_id] == row


@settings(deadline=None, max_examples=60)
@given(drawn=streams, data=st.data())
def test_after_a_restart_that_reads_events_before_labels_rows_go_on_the_same(
    shop: Contract, in_order: Make, drawn: list[Any], data: st.DataObject
) -> None:
    items = in_order(drawn)
    cut = data.draw(st.integers(0, len(items)))
    steady, restarted = RowBuilder(shop), RowBuilder(shop)
    fed(steady, items[:cut])
    restarted.restore([item for item in items[:cut] if isinstance(item, ParsedEvent)], [])
    restarted.restore([], [item for item in items[:cut] if isinstance(item, ParsedLabel)])
    assert_same(fed(restarted, items[cut:]), fed(steady, items[cut:]))

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError
from homeostat.features.parsing import EventParser, LabelParser, ParsedEvent, ParsedLabel

GOOD = {
    "event_id": "o1",
    "event_time": "2024-03-01T12:00:00+02:00",
    "customer": "ann",
    "store": "north",
    "amount": 12,
    "items": 3,
    "member": True,
    "due": "2024-03-02T00:00:00Z",
}
LABEL = {"event_id": "o1", "label_time": "2024-03-01T12:00:00Z", "refunded": True, "loss": 2.5}


def encoded(base: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({k: v for k, v in {**base, **changes}.items() if v is not ...}).encode()


def reason(parser: EventParser | LabelParser, value: bytes) -> str:
    with pytest.raises(InvalidRecordError) as caught:
        parser.parse(value)
    return str(caught.value)


def test_a_good_event_has_utc_times_and_typed_fields(shop: Contract) -> None:
    event = EventParser(shop).parse(encoded(GOOD))
    assert event == ParsedEvent(
        "o1",
        "ann",
        datetime(2024, 3, 1, 10, tzinfo=UTC),
        {
            "customer": "ann",
            "store": "north",
            "amount": 12.0,
            "items": 3,
            "member": True,
            "due": datetime(2024, 3, 2, tzinfo=UTC),
        },
    )
    assert isinstance(event.fields["amount"], float)
    assert event.event_time.tzinfo is UTC


def test_a_nullable_field_may_be_null_or_missing(shop: Contract) -> None:
    fields = EventParser(shop).parse(encoded(GOOD, store=None, amount=...)).fields
    assert (fields["store"], fields["amount"]) == (None, None)


def test_keys_the_contract_does_not_know_are_ignored(shop: Contract) -> None:
    parser = EventParser(shop)
    assert parser.parse(encoded(GOOD, colour="red", nested={"a": [1]})) == parser.parse(encoded(GOOD))


@pytest.mark.parametrize("items", [3, 3.0, 2**53 + 1, 1e15])
def test_a_whole_number_may_be_written_with_a_point(shop: Contract, items: float) -> None:
    found = EventParser(shop).parse(encoded(GOOD, items=items)).fields["items"]
    assert found == items
    assert type(found) is int


BAD_EVENTS = [
    ({"amount": "12"}, "field 'amount' is \"12\", expected a number of at least 0 and at most 1000 or null"),
    ({"amount": 1001}, "field 'amount' is 1001, expected a number of at least 0 and at most 1000 or null"),
    ({"amount": -0.5}, "field 'amount' is -0.5, expected"),
    ({"items": 1.5}, "field 'items' is 1.5, expected a whole number of at least 0"),
    ({"items": None}, "field 'items' is null, expected a whole number of at least 0"),
    ({"items": -1.0}, "field 'items' is -1.0, expected a whole number of at least 0"),
    ({"items": 1e19}, "field 'items' is 1e19, expected"),
    ({"items": True}, "field 'items' is true, expected a whole number"),
    ({"items": 2**63}, "field 'items' is 9223372036854775808, expected"),
    ({"items": ...}, "field 'items' is missing, expected a whole number of at least 0"),
    ({"member": 1}, "field 'member' is 1, expected true or false"),
    ({"store": 7}, "field 'store' is 7, expected a text or null"),
    ({"customer": ""}, "field 'customer' is \"\", expected a text that is not empty"),
    ({"customer": None}, "field 'customer' is null, expected a text that is not empty"),
    ({"event_id": ...}, "field 'event_id' is missing, expected a text that is not empty"),
    ({"event_time": "2024-03-01T12:00:00"}, "field 'event_time' is \"2024-03-01T12:00:00\", expected a time with"),
    ({"event_time": 1709290800}, "field 'event_time' is 1709290800, expected a time with"),
    ({"event_time": "0001-01-01T00:00:00+14:00"}, "outside the years 1 to 9999"),
    ({"due": "tomorrow"}, "field 'due' is \"tomorrow\", expected a time with its offset from UTC or null"),
    ({"store": ["x" * 100]}, "xxx..., expected a text or null"),
    ({"items": -1, "member": "yes"}, "at least 0; field 'member' is \"yes\", expected true or false"),
]


@pytest.mark.parametrize(("changes", "expected"), BAD_EVENTS)
def test_a_bad_event_is_refused_with_field_value_and_what_was_expected(
    shop: Contract, changes: dict[str, Any], expected: str
) -> None:
    assert expected in reason(EventParser(shop), encoded(GOOD, **changes))


NO_JSON = [
    (b"", "not readable as JSON"),
    (b"{", "not readable as JSON"),
    (b"\xff\xfe", "not readable as JSON"),
    (b"[" * 100_000, "not readable as JSON"),
    (b"[1, 2]", "[1,2] is not a JSON object"),
    (b"null", "null is not a JSON object"),
    (encoded(GOOD).replace(b"12,", b"NaN,"), "not readable as JSON"),
    (encoded(GOOD).replace(b"12,", b"Infinity,"), "not readable as JSON"),
    (encoded(GOOD).replace(b"12,", b"1e999,"), "out of range"),
    (encoded(GOOD).replace(b"north", b"\xed\xa0\x80"), "not readable as JSON"),
]


@pytest.mark.parametrize(("value", "expected"), NO_JSON)
def test_what_is_no_json_object_is_refused(shop: Contract, value: bytes, expected: str) -> None:
    assert expected in reason(EventParser(shop), value)


@given(value=st.binary(max_size=60))
def test_no_bytes_at_all_raise_anything_but_an_invalid_record(shop: Contract, value: bytes) -> None:
    reason(EventParser(shop), value)


@pytest.mark.parametrize(("refunded", "value"), [(True, 1.0), (False, 0.0), (1, 1.0), (0, 0.0), (1.0, 1.0)])
def test_a_label_is_a_truth_value_in_any_spelling(shop: Contract, refunded: Any, value: float) -> None:
    label = LabelParser(shop).parse(encoded(LABEL, refunded=refunded))
    assert label == ParsedLabel("o1", datetime(2024, 3, 1, 12, tzinfo=UTC), value, {"loss": 2.5, "reason": None})
    assert isinstance(label.value, float)


BAD_LABELS = [
    ({"refunded": 0.5}, "field 'refunded' is 0.5, expected true, false, 1 or 0"),
    ({"refunded": 2}, "field 'refunded' is 2, expected true, false, 1 or 0"),
    ({"refunded": "yes"}, "field 'refunded' is \"yes\", expected true, false, 1 or 0"),
    ({"refunded": None}, "field 'refunded' is null, expected true, false, 1 or 0"),
    ({"refunded": ...}, "field 'refunded' is missing"),
    ({"loss": "much"}, "field 'loss' is \"much\", expected a number or null"),
    ({"label_time": ...}, "field 'label_time' is missing"),
]


@pytest.mark.parametrize(("changes", "expected"), BAD_LABELS)
def test_a_bad_label_is_refused_with_field_value_and_what_was_expected(
    shop: Contract, changes: dict[str, Any], expected: str
) -> None:
    assert expected in reason(LabelParser(shop), encoded(LABEL, **changes))


def test_a_field_may_have_the_name_of_a_python_keyword() -> None:
    contract = Contract.model_validate(
        {
            "product": "p",
            "event": {"entity": "class", "fields": {"class": "string", "from": {"type": "number", "nullable": True}}},
            "label": {"field": "is", "delay": "1h", "maturity": "2h"},
            "features": {"from": {"field": "from"}},
        }
    )
    value = b'{"class": "c", "from": 1, "event_id": "e", "event_time": "2024-01-01T00:00:00Z"}'
    assert EventParser(contract).parse(value).fields == {"class": "c", "from": 1.0}


def test_a_time_from_which_no_window_can_be_counted_back_is_refused(shop: Contract) -> None:
    text = reason(EventParser(shop), encoded(GOOD, event_time="0001-01-02T00:00:00Z"))
    assert "'event_time' is \"0001-01-02T00:00:00+00:00\", expected a time from 1900 on" in text

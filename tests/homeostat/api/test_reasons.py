import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.api.reasons import faults_of
from homeostat.errors import InvalidRecordError
from homeostat.features.parsing import EventParser
from tests.homeostat.api.conftest import CONTRACT, event

PARSER = EventParser(CONTRACT)
TRICKS = [
    "; field 'vip' is 1, expected a; ",
    "field 'line' is missing, expected ",
    '"',
    "\\",
    "...",
    "x" * 50,
    ", expected ",
]
values = st.lists(st.sampled_from(TRICKS), max_size=4).map("".join) | st.lists(st.sampled_from(TRICKS), max_size=4)


def reason(row: dict[str, Any]) -> str:
    try:
        PARSER.parse(json.dumps(row).encode())
    except InvalidRecordError as error:
        return str(error)
    return ""


@given(seconds=values, tries=values, vip=values | st.booleans())
@settings(max_examples=200, deadline=None)
def test_each_bad_field_has_its_own_place_whatever_its_value_says(seconds: Any, tries: Any, vip: Any) -> None:
    found = faults_of("/events/0", reason(event(1, seconds=seconds, tries=tries, vip=vip)))
    bad = ["seconds", "tries"] + ([] if isinstance(vip, bool) else ["vip"])
    assert sorted(pointer for pointer, _ in found) == [f"/events/0/{name}" for name in bad]
    assert all(detail.startswith("is ") and ", expected " in detail for _, detail in found)


def test_a_missing_field_has_its_place_too() -> None:
    row = event(1, tries="; field 'x' ")
    del row["seconds"]
    assert dict(faults_of("", reason(row))).keys() == {"/seconds", "/tries"}


def test_a_reason_without_a_field_is_of_the_row() -> None:
    assert faults_of("/events/0", "not readable as JSON: x") == [("/events/0", "not readable as JSON: x")]

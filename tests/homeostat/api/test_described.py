"""What the API says of itself is so: by its schemas, by its parsers, and by both."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.adapters.memory import MemoryLedger
from homeostat.api import Gate, Limits, Served, build_app
from homeostat.api.problems import ProblemError
from homeostat.api.requests import Reader
from homeostat.api.roles import ANYBODY
from homeostat.contract.load import load_contract
from homeostat.errors import InvalidRecordError
from homeostat.features.parsing import EventParser, LabelParser
from tests.homeostat.api.conftest import CONTRACT, LIMITS, Client, Clock, Door, event, label, make_app

ROOT = Path(__file__).parents[3]
YEARS = (datetime(1900, 1, 1), datetime(8999, 1, 1))  # noqa: DTZ001
END = datetime(9000, 1, 1, tzinfo=UTC)
PARSERS = {"events": EventParser(CONTRACT).parse, "labels": LabelParser(CONTRACT).parse}
READER = Reader(CONTRACT, LIMITS)
DESCRIBED = make_app(Door()).openapi()


def validator(name: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DESCRIBED["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-(2.0**62), max_value=2.0**62)
    | st.integers(-2, 1002)
    | st.sampled_from(["", "a", "2030-01-01T00:00:00", "2030-01-01T00:00:00Z", "2030-02-30T00:00:00Z", "é\u0000"])
    | st.datetimes(*YEARS, timezones=st.just(UTC)).map(datetime.isoformat)
    | st.lists(st.integers(), max_size=1)
    | st.dictionaries(st.text(max_size=1), st.integers(), max_size=1)
    | st.lists(st.floats(-3, 3) | st.integers(-3, 3), min_size=1, max_size=3)
    | st.dictionaries(st.sampled_from(["0", "1", "2", "01", "-1", "a", "1.0"]), st.floats(-3, 3), max_size=2)
)


def changed(row: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return rows of which some keys are gone, some have other values, and some are more than asked for."""
    keys = st.sampled_from([*row, "more"])
    gone = st.sets(keys, max_size=1)
    return st.builds(
        lambda changes, without: {k: v for k, v in (row | changes).items() if k not in without},
        st.dictionaries(keys, scalars, max_size=2),
        gone,
    )


FULL = event(1, tries=1, kind="a", vip=True, json=1, began="2030-01-01T00:00:00Z", tone=[1.5, 2])


@pytest.mark.parametrize(("key", "schema", "rows"), [("events", "Event", FULL), ("labels", "Label", label(1))])
def test_schema_parser_and_api_agree_on_what_is_a_record(key: str, schema: str, rows: dict[str, Any]) -> None:
    described, parse, read = validator(f"calls_{schema}"), PARSERS[key], getattr(READER, key)
    seen = set()

    @given(changed(rows))
    @settings(max_examples=400, deadline=None, derandomize=True)
    def agree(row: dict[str, Any]) -> None:
        raw = json.dumps(row).encode()
        body = b'{"%s": [%s]}' % (key.encode(), raw)
        try:
            parse(raw)
            parses = True
        except InvalidRecordError:
            parses = False
        try:
            taken = read(body, END) == [raw]
        except ProblemError:
            taken = False
        assert taken == parses == described.is_valid(row)
        seen.add(taken)

    agree()
    assert seen == {True, False}


ROW: dict[str, Any] = {"entity": "a", "event_id": "q", "event_time": "2030-01-01T00:00:00Z", "features": {"seconds": 1}}


def test_schema_and_api_agree_on_what_is_a_question() -> None:
    described = validator("calls_Rows")
    features = {"line": "l", "seconds": 1, "kind": "a", "vip": True, "dear": 1, "calls_1d": 2.5}
    rows = changed(ROW) | changed(features).map(lambda given: {"entity": "a", "features": given})
    rows |= changed(FULL).map(lambda event: {"event": event}) | changed(ROW | {"event": FULL})
    seen = set()

    @given(st.lists(rows, min_size=1, max_size=2))
    @settings(max_examples=400, deadline=None, derandomize=True)
    def agree(asked: list[dict[str, Any]]) -> None:
        body = {"rows": asked}
        try:
            taken = len(READER.rows(json.dumps(body).encode(), END)) == len(asked)
        except ProblemError:
            taken = False
        assert taken == described.is_valid(body), body
        seen.add(taken)

    agree()
    assert seen == {True, False}


def accepted(read: Any, body: bytes) -> list[Any]:
    try:
        return list(read(body, END))
    except ProblemError:  # and nothing else
        return []


json_or_not = st.recursive(scalars, st.lists).map(json.dumps).map(str.encode)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | json_or_not)
@settings(max_examples=300, deadline=None)
def test_whatever_bytes_are_accepted_parse(raw: bytes) -> None:
    for key, parse in PARSERS.items():
        for body in (raw, b'{"%s": [%s]}' % (key.encode(), raw)):
            for one in accepted(getattr(READER, key), body):
                parse(one)
    accepted(READER.rows, b'{"rows": [%s]}' % raw)
    accepted(READER.rows, b'{"rows": [{"entity": "a", "features": %s}]}' % raw)


def test_every_reference_leads_somewhere_and_every_problem_is_one() -> None:
    text = json.dumps(DESCRIBED)
    schemas = DESCRIBED["components"]["schemas"]
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= schemas.keys()
    for path, methods in DESCRIBED["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            for status, answer in operation["responses"].items():
                expected = "application/problem+json" if status >= "400" else None
                assert expected is None or list(answer["content"]) == [expected]
    assert set(DESCRIBED["paths"]) == {
        *(f"/v1/calls/{name}" for name in ("events", "labels", "predict", "status", "ledger", "decisions")),
        *("/v1/clock", "/healthz", "/readyz", "/metrics"),
    }
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": schemas})


def test_each_product_has_its_own_schema_with_the_limits_of_its_contract() -> None:
    other = Door(CONTRACT.model_copy(update={"product": "others", "description": "Some other thing"}))
    app = build_app(
        {"calls": Served(Door(), dict, MemoryLedger), "others": Served(other, dict, MemoryLedger)},
        Clock(),
        bytes,
        LIMITS,
    )
    described = app.openapi()
    for product in ("calls", "others"):
        asked = described["paths"][f"/v1/{product}/events"]["post"]["requestBody"]
        assert asked["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{product}_Events"}
    schemas = described["components"]["schemas"]
    seconds = schemas["others_Event"]["properties"]["seconds"]
    assert (seconds["minimum"], seconds["maximum"]) == (0, 1000)
    assert schemas["others_Events"]["properties"]["events"]["maxItems"] == 50
    assert "seconds" in schemas["others_Event"]["required"]
    assert "kind" not in schemas["others_Event"]["required"]
    assert {"name": "others", "description": "Some other thing"} in described["tags"]


def test_the_examples_of_the_description_are_accepted() -> None:
    for name in ("Event", "Label"):
        schema = DESCRIBED["components"]["schemas"][f"calls_{name}"]
        row = {key: spec["examples"][0] for key, spec in schema["properties"].items()}
        PARSERS[f"{name.lower()}s"](json.dumps(row).encode())


def test_a_token_is_described_where_one_is_needed() -> None:
    def secured(limits: Limits) -> list[str]:
        paths = make_app(Door(), limits=limits).openapi()["paths"]
        return [path for path, methods in paths.items() for operation in methods.values() if operation.get("security")]

    assert secured(LIMITS) == []
    needing = secured(Limits(gate=Gate((("a", ANYBODY),))))
    assert needing
    assert needing == [path for path in needing if path.startswith("/v1/")]


def test_the_documentation_page_is_there_and_asks_no_other_host() -> None:
    client = Client(make_app(Door()))
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert "'/openapi.json'" in answer.text
    assert "://" not in answer.text
    files = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len(files) == 3
    assert [client.get(file).status_code for file in files] == [200] * 3


@pytest.mark.parametrize("path", ["homeostat/examples/flights/contract.yaml", "tests/loop/turbines.yaml"])
def test_real_contracts_can_be_described(path: str) -> None:
    contract = load_contract(ROOT / path)
    app = build_app({contract.product: Served(Door(contract), dict, MemoryLedger)}, Clock(), bytes)
    assert f"{contract.product}_Event" in app.openapi()["components"]["schemas"]

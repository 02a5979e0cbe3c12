"""Bodies that are too long, too slow, of another kind or another shape."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from homeostat.api import Limits
from tests.homeostat.api.conftest import Client, Door, event, make_app, told

JSON = "application/json"


def sent(rows: int) -> dict[str, object]:
    return {"events": [event(i) for i in range(rows)]}


async def chunks(parts: int, size: int = 1000) -> AsyncIterator[bytes]:
    for _ in range(parts):
        yield b" " * size


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (b"", "", "not readable"),
        (b"{", "", "not readable"),
        (b"[]", "", "Expected `object`"),
        (b"{}", "", "has no 'events'"),
        (b"\xff", "", "not readable"),
        (b'\xef\xbb\xbf{"events": []}', "", "not readable"),
        ('{"events": []}'.encode("utf-16"), "", "not readable"),
        (b'{"events": []}', "/events", "one row at least"),
        (b'{"events": {}}', "/events", "is {}, expected a list"),
        (b'{"events": null}', "/events", "is null, expected a list"),
        (b'{"events": 1e999}', "/events", "is 1e999, expected a list"),
        (b'{"rows": [1]}', "", 'unknown key "rows"'),
        (b'{"events": [], "more": 1}', "", 'unknown key "more"'),
        (b'{"events": [1]}', "/events/0", "1 is not a JSON object"),
        (b'{"events": [[]]}', "/events/0", "[] is not a JSON object"),
        (b'{"events": [{"event_id": NaN}]}', "", "not readable"),
        (b'{"events": [{"a": "\\ud800"}]}', "", "not readable"),
        (b'{"events": [{"a": "\xff"}]}', "", "not readable"),
        (b'{"events": [' + b"[" * 9000 + b"]" * 9000 + b"]}", "", "recursion"),
        (b'{"events": [{"a":' * 999 + b"1" + b"}]}" * 999, "", "recursion"),
        (b'{"events": [{"event_id": "a"}], "events": [{"event_id": "b"}]}', "/events", "more than once"),
    ],
)
def test_a_body_of_another_shape_is_refused_with_its_place(
    door: Door, at_door: Client, body: bytes, pointer: str, detail: str
) -> None:
    (error,) = told(at_door.post("/v1/calls/events", content=body), 422)["errors"][:1]
    assert error["pointer"] == pointer
    assert detail in error["detail"]
    assert len(error["detail"]) < 400
    assert not door.events


@pytest.mark.parametrize(
    ("key", "value", "detail"),
    [
        ("seconds", "NaN", None),
        ("seconds", "Infinity", None),
        ("tries", "9223372036854775808", "expected a whole number"),
        ("tries", "1.5", "expected a whole number"),
        ("tries", "true", "expected a whole number"),
        ("vip", "1", "expected true or false"),
        ("began", '"2030-01-01T00:00:00"', "offset from UTC"),
        ("began", "1700000000", "offset from UTC"),
        ("line", '""', "not empty"),
        ("line", "null", "not empty"),
        ("kind", '"\\ud800"', None),
    ],
)
def test_a_value_that_json_or_the_contract_has_no_place_for_is_refused(
    door: Door, at_door: Client, key: str, value: str, detail: str | None
) -> None:
    body = json.dumps({"events": [event(0), event(1) | {key: "@"}]}).replace('"@"', value)
    (error,) = told(at_door.post("/v1/calls/events", content=body.encode()), 422)["errors"]
    assert error["pointer"] == ("" if detail is None else f"/events/1/{key}")
    assert (detail or "not readable") in error["detail"]
    assert len(error["detail"]) < 300
    assert not door.events


@pytest.mark.parametrize("value", ["-1e400", "1" + "0" * 400])
def test_a_number_that_no_float_holds_is_refused(door: Door, at_door: Client, value: str) -> None:
    body = json.dumps({"events": [event(0), event(1, seconds="@")]}).replace('"@"', value)
    (error,) = told(at_door.post("/v1/calls/events", content=body.encode()), 422)["errors"]
    assert error["pointer"].startswith("/events/1")
    assert not door.events


def test_an_event_given_twice_in_a_row_is_refused(door: Door, at_door: Client) -> None:
    one, other = json.dumps(event(1)), json.dumps(event(2))
    body = f'{{"rows": [{{"event": {one}, "event": {other}}}]}}'.encode()
    (error,) = told(at_door.post("/v1/calls/predict", content=body), 422)["errors"]
    assert error == {"pointer": "/rows/0/event", "detail": "is given more than once: expected one event"}
    assert not door.asked


def test_many_bad_rows_make_an_answer_of_bounded_length(at_door: Client) -> None:
    client = Client(make_app(Door(), limits=Limits()))
    answer = client.post("/v1/calls/events", json={"events": [{"x" * 500: "y" * 500}] * 3000})
    assert len(told(answer, 422)["errors"]) == 100
    assert len(answer.content) < 20_000


def test_rows_are_bounded(door: Door, at_door: Client) -> None:
    assert at_door.post("/v1/calls/events", json=sent(50)).status_code == 202
    assert "51 rows, at most 50" in told(at_door.post("/v1/calls/events", json=sent(51)), 413)["detail"]
    assert len(door.events) == 50


@pytest.mark.parametrize("length", [21_000, 1_000_000])
def test_bodies_are_bounded_with_or_without_a_length(door: Door, at_door: Client, length: int) -> None:
    told(at_door.post("/v1/calls/events", content=b" " * length), 413)
    answer = at_door.post("/v1/calls/events", content=chunks(length // 1000))
    told(answer, 413)
    assert "content-length" not in answer.request.headers
    assert answer.headers["connection"] == "close"


def test_an_endless_body_is_cut_off(at_door: Client) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1000
            assert read < 1_000_000
            yield b" " * 1000

    told(at_door.post("/v1/calls/events", content=endless()), 413)


def test_a_body_that_comes_in_pieces_is_read_whole(door: Door, at_door: Client) -> None:
    body = json.dumps(sent(2)).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for i in range(0, len(body), 7):
            yield body[i : i + 7]

    assert at_door.post("/v1/calls/events", content=pieces()).json() == {"accepted": 2}


def test_a_body_that_does_not_come_is_given_up(door: Door) -> None:
    client = Client(make_app(door, limits=Limits(read_s=0.05)))

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    told(client.post("/v1/calls/events", content=never()), 408)


def test_a_large_body_is_judged_beside_others(door: Door) -> None:
    client = Client(make_app(door, limits=Limits()))
    assert client.post("/v1/calls/events", json=sent(5000)).json() == {"accepted": 5000}
    bad = sent(4999)["events"] + [event(1, seconds="x")]  # type: ignore[operator]
    (error,) = told(client.post("/v1/calls/events", json={"events": bad}), 422)["errors"]
    assert error["pointer"] == "/events/4999/seconds"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": JSON, "content-encoding": "gzip"},
    ],
)
def test_another_content_type_is_refused(door: Door, at_door: Client, headers: dict[str, str]) -> None:
    body = json.dumps(sent(1)).encode()
    told(at_door.post("/v1/calls/events", content=body, headers=headers), 415)
    assert not door.events


@pytest.mark.parametrize(
    "kind", ["Application/JSON", "application/json;charset=UTF-8", 'application/json; charset="utf-8"']
)
def test_json_by_any_spelling_is_taken(at_door: Client, kind: str) -> None:
    body = json.dumps(sent(1)).encode()
    assert at_door.post("/v1/calls/events", content=body, headers={"content-type": kind}).status_code == 202


def test_a_product_or_path_that_is_not_there_is_told_with_what_is(at_door: Client) -> None:
    assert "did you mean 'calls'?" in told(at_door.get("/v1/call/status"), 404)["detail"]
    assert "/v1/calls/events" in told(at_door.get("/v1/calls/event"), 404)["detail"]
    assert "/healthz" in told(at_door.get("/nothing"), 404)["detail"]
    told(at_door.post("/v1/calls/events/", json=sent(1)), 404)
    assert len(told(at_door.get("/v1/" + "a" * 5000), 404)["detail"]) < 400


def test_another_method_is_told_with_those_that_are_there(at_door: Client) -> None:
    for method, path, allowed in (("GET", "/v1/calls/events", "POST"), ("POST", "/v1/clock", "GET, PUT")):
        answer = at_door.request(method, path)
        told(answer, 405)
        assert answer.headers["allow"] == allowed

"""What a caller sees of a product, on the real front."""

import json
from typing import Any

import pytest

from homeostat.adapters.memory import MemoryLog
from homeostat.flow import topic_name
from homeostat.serving import Front
from tests.homeostat.api.conftest import NOW, Client, event, label, told


def values(log: MemoryLog, topic: str) -> list[bytes]:
    return [message.value for message in log.read(topic_name("calls", topic), 0, 1000)]


def test_accepted_records_are_in_the_log_as_they_were_sent(client: Client, log: MemoryLog) -> None:
    events = [event(i, extra=[1, {"a": None}]) for i in range(3)]
    answer = client.post("/v1/calls/events", json={"events": events})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 3})
    assert client.post("/v1/calls/labels", json={"labels": [label(1)]}).json() == {"accepted": 1}
    assert [json.loads(value) for value in values(log, "raw_events")] == events
    assert [json.loads(value) for value in values(log, "raw_labels")] == [label(1)]


def test_one_bad_record_refuses_the_request_and_each_bad_field_is_named(client: Client, log: MemoryLog) -> None:
    bad = event(1, seconds=-1, tries="many")
    body = told(client.post("/v1/calls/events", json={"events": [event(0), bad]}), 422)
    assert body["errors"] == [
        {"pointer": "/events/1/seconds", "detail": "is -1, expected a number of at least 0 and at most 1000"},
        {"pointer": "/events/1/tries", "detail": 'is "many", expected a whole number or null'},
    ]
    assert "nothing was stored" in body["detail"]
    assert values(log, "raw_events") == []


def test_what_ingestion_would_set_aside_as_ahead_of_the_clock_is_refused(client: Client, log: MemoryLog) -> None:
    late = NOW.replace(year=2031).isoformat()
    for path, row in (("events", event(1, event_time=late)), ("labels", label(1, label_time=late))):
        (error,) = told(client.post(f"/v1/calls/{path}", json={path: [row]}), 422)["errors"]
        assert error["pointer"] == f"/{path}/0/{path[:-1]}_time"
        assert "ahead of the clock" in error["detail"]
    assert values(log, "raw_events") == values(log, "raw_labels") == []


def test_an_event_is_stored_and_predicted_in_one_go(client: Client, log: MemoryLog) -> None:
    answer = client.post("/v1/calls/predict", json={"rows": [{"event": event(1)}, {"event": event(2)}]})
    assert answer.status_code == 200
    first, second = answer.json()["predictions"]
    assert (first["event_id"], second["event_id"]) == ("e1", "e2")
    assert (first["score"], first["version"], first["arm"]) == (None, None, "none")
    assert "no champion yet" in first["reason"]
    assert len(values(log, "raw_events")) == len(values(log, "predictions")) == 2


def test_an_entity_is_predicted_by_its_stored_features(client: Client, log: MemoryLog) -> None:
    client.post("/v1/calls/predict", json={"rows": [{"event": event(0)}]})
    rows = [{"entity": "l0"}, {"entity": "l0", "event_id": "mine", "features": {"seconds": 3}}]
    made, mine = client.post("/v1/calls/predict", json={"rows": rows}).json()["predictions"]
    assert made["event_id"]
    assert (mine["event_id"], mine["entity"]) == ("mine", "l0")
    assert len(values(log, "predictions")) == 3


@pytest.mark.parametrize(
    ("row", "pointer", "detail"),
    [
        ({"entity": "nobody"}, "/rows/0", "no stored features"),
        ({"entity": ""}, "/rows/0/entity", 'is "", expected a text that is not empty'),
        ({"entity": 3}, "/rows/0/entity", "is 3, expected"),
        ({}, "/rows/0", "has no 'entity'"),
        (7, "/rows/0", "is 7, expected an object"),
        ({"entity": "l0", "time": 1}, "/rows/0", 'has the unknown key "time"'),
        ({"entity": "l0", "event_time": "noon"}, "/rows/0/event_time", 'is "noon", expected a time'),
        ({"entity": "l0", "event_time": "2030-01-01T00:00:00"}, "/rows/0/event_time", "offset from UTC"),
        ({"entity": "l0", "event_time": "0001-01-01T00:00:00+10:00"}, "/rows/0/event_time", "the years 1 to 9999"),
        ({"entity": "l0", "event_time": "2031-01-01T00:00:00Z"}, "/rows/0/event_time", "ahead of"),
        ({"entity": "l0", "features": [1]}, "/rows/0/features", "expected an object"),
        ({"entity": "l0", "features": {"secnds": 1}}, "/rows/0/features", "did you mean 'seconds'?"),
        ({"entity": "l0", "features": {"seconds": "1"}}, "/rows/0/features/seconds", "expected a number of at least 0"),
        ({"entity": "l0", "features": {"seconds": 1001}}, "/rows/0/features/seconds", "at most 1000"),
        ({"entity": "l0", "features": {"seconds": None}}, "/rows/0/features/seconds", "is null"),
        ({"entity": "l0", "features": {"vip": 1}}, "/rows/0/features/vip", "expected true or false"),
        ({"entity": "l0", "features": {"dear": -1}}, "/rows/0/features/dear", "at least 0"),
        ({"entity": "l0", "event": {}}, "/rows/0", "an event and more beside it"),
        ({"event": {"event_id": "a"}}, "/rows/0/event/seconds", "missing"),
        ({"event": None}, "/rows/0/event", "not a JSON object"),
    ],
)
def test_a_row_that_can_not_be_predicted_is_named(client: Client, row: object, pointer: str, detail: str) -> None:
    errors = told(client.post("/v1/calls/predict", json={"rows": [row]}), 422)["errors"]
    assert any(error["pointer"] == pointer and detail in error["detail"] for error in errors), errors


def test_an_event_refused_by_ingestion_is_answered_with_its_reason(client: Client) -> None:
    client.post("/v1/calls/events", json={"events": [event(1)]})
    rows: list[dict[str, Any]] = [{"event": event(2)}, {"event": event(1, seconds=9.0)}]
    body = told(client.post("/v1/calls/predict", json={"rows": rows}), 422)
    assert [error["pointer"] for error in body["errors"]] == ["/rows/1/event"]
    assert "sent before" in body["errors"][0]["detail"]
    assert "events without a fault are stored" in body["detail"]


def test_a_question_without_an_answer_refuses_the_others_and_nothing_is_stored(client: Client, log: MemoryLog) -> None:
    client.post("/v1/calls/predict", json={"rows": [{"event": event(0)}]})
    body = told(client.post("/v1/calls/predict", json={"rows": [{"entity": "l0"}, {"entity": "nobody"}]}), 422)
    assert [error["pointer"] for error in body["errors"]] == ["/rows/1"]
    assert "are stored" not in body["detail"]
    assert len(values(log, "predictions")) == 1


def test_a_front_that_stops_answers_503(front: Front, client: Client) -> None:
    front.stop()
    answer = client.post("/v1/calls/events", json={"events": [event(1)]})
    told(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert told(client.get("/readyz"), 503)["products"] == {"calls": "stopping"}


def test_health_readiness_metrics_and_status(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert "no champion yet" in told(client.get("/readyz"), 503)["products"]["calls"]
    assert client.get("/metrics").text == "# metrics\n"
    assert client.get("/v1/calls/status").json() == {"champion": None}

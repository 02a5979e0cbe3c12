"""The API fuzzed from its own description: no server error, answers as described, and nothing lost."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from homeostat.adapters.memory import MemoryLog
from homeostat.flow import topic_name
from homeostat.serving import Front
from tests.homeostat.api.conftest import Client, Clock, Door, make_app, told

EXAMPLES = 30
AS_DESCRIBED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
)
POSTED = ("/v1/calls/events", "/v1/calls/labels", "/v1/calls/predict")
END = datetime(8999, 1, 1, tzinfo=UTC)  # so that no time of an example lies ahead of the clock

Check = Callable[[Any, Any], None]

load_all_checks()
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=11))])
times = st.datetimes(datetime(1900, 1, 2), datetime(8998, 1, 1), timezones=zones)  # noqa: DTZ001
schemathesis.openapi.format("date-time", times.map(datetime.isoformat))


def whole(value: Any) -> Any:
    """Write 1.0 as 1: to JSON schema they are the same, and the description says in words which one is meant."""
    if isinstance(value, dict):
        return {key: whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def fuzz(app: FastAPI, mode: GenerationMode, checks: tuple[str, ...], then: Check) -> None:
    """Send examples to every operation; ``then`` looks at each request and its answer."""
    chosen = [CHECKS.get_one(name) for name in checks]
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    schema.config.checks.negative_data_rejection.expected_statuses.append("413")  # too many rows
    for operation in (result.ok() for result in schema.get_all_operations()):
        if mode is GenerationMode.NEGATIVE and "requestBody" not in operation.definition.raw:
            continue

        @seed(7)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: schemathesis.Case) -> None:
            case.body = whole(case.body)
            answer = case.call()
            if not (answer.status_code == 503 and case.operation.path == "/readyz"):  # not ready is an answer too
                case.validate_response(answer, checks=chosen)
            then(case, answer)

        send()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_on_the_real_front_nothing_that_was_accepted_is_lost(
    mode: GenerationMode, make_front: Callable[..., Front], log: MemoryLog
) -> None:
    clock = Clock(END)
    front = make_front(log, clock)
    ends = dict.fromkeys(("raw_events", "raw_labels", "predictions"), 0)
    accepted = dict.fromkeys(POSTED, 0)

    def added(topic: str) -> list[Any]:
        found = log.read(topic_name("calls", topic), ends[topic], 10_000)
        ends[topic] += len(found)
        return [json.loads(message.value) for message in found]

    def look(case: Any, answer: Any) -> None:
        assert front.failure is None
        path, new = case.operation.path, {topic: added(topic) for topic in ends}
        if path not in POSTED or answer.status_code >= 300:
            if answer.status_code != 422 or "are stored" not in answer.json()["detail"]:
                assert not any(new.values())
            return
        sent = json.loads(answer.request.body)
        if path == POSTED[2]:
            assert new["raw_events"] == [row["event"] for row in sent["rows"] if "event" in row]
            assert len(answer.json()["predictions"]) == len(sent["rows"])
        else:
            (key,) = sent
            assert answer.json() == {"accepted": len(sent[key])}
            assert new[f"raw_{key}"] == sent[key]
        accepted[path] += 1

    fuzz(make_app(front, clock), mode, AS_DESCRIBED, look)
    assert mode is GenerationMode.NEGATIVE or min(accepted.values()) > 0, accepted


def test_whatever_the_description_allows_is_accepted() -> None:
    def look(case: Any, answer: Any) -> None:
        # a time may be past, and an instance without tokens leaves decisions to those it knows
        refusing = {"/v1/clock", "/v1/calls/decisions"}
        assert answer.status_code in {200, 202} or case.operation.path in refusing, answer.text

    door = Door()
    fuzz(make_app(door, Clock(END)), GenerationMode.POSITIVE, (*AS_DESCRIBED, "positive_data_acceptance"), look)
    assert door.events
    assert door.labels
    assert door.asked


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1677-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_the_real_front_serves_on_after_the_most_outlandish_times(
    time: str, make_front: Callable[..., Front], log: MemoryLog
) -> None:
    front = make_front(log, Clock(END))
    client = Client(make_app(front, Clock(END)))
    row = {"event_id": "e", "event_time": time, "line": "a", "seconds": 1}
    told(client.post("/v1/calls/events", json={"events": [row]}), 422)
    told(client.post("/v1/calls/predict", json={"rows": [{"event": row}]}), 422)
    told(client.post("/v1/calls/predict", json={"rows": [{"entity": "a", "event_time": time}]}), 422)
    fit = {"event_id": "e", "event_time": "1900-01-01T00:00:00Z", "line": "a", "seconds": 1, "began": time}
    assert client.post("/v1/calls/predict", json={"rows": [{"event": fit}]}).status_code == 200
    assert front.failure is None

"""The client against a server that answers by a script."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from homeostat.errors import HomeostatError
from homeostat.replay.client import InstanceClient

NOW = datetime(2030, 1, 7, tzinfo=UTC)
CLOCK = {"mode": "stream", "now": NOW.isoformat(), "settled": True}
Answer = Callable[[httpx.Request], httpx.Response]


class Script:
    """Answers one request after the other, and keeps them; the last answer is given again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)

    def client(self, patience_s: float = 60.0) -> InstanceClient:
        http = httpx.Client(transport=httpx.MockTransport(self), base_url="http://there")
        return InstanceClient(http, "turbines", patience_s=patience_s, pause=self.pauses.append)

    def sent(self, kind: str = "events") -> list[list[int]]:
        return [[row["n"] for row in json.loads(request.content)[kind]] for request in self.requests]


def says(status: int, body: object = None, **headers: str) -> Answer:
    return lambda _: httpx.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def breaks(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def rows(*numbers: int) -> list[bytes]:
    return [b'{"n":%d}' % n for n in numbers]


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks() -> None:
    script = Script(
        says(429, {"detail": "busy"}, Retry_After="7"), says(503, {}, Retry_After="2"), says(202, {"accepted": 1})
    )
    delivery = script.client().send("events", rows(1))
    assert not delivery.refused
    assert script.pauses[0] == 7
    assert script.sent() == [[1], [1], [1]]


def test_a_lost_connection_sends_the_very_same_bytes_again() -> None:
    script = Script(breaks, breaks, says(202, {"accepted": 2}))
    script.client().send("events", rows(1, 2))
    assert len({request.content for request in script.requests}) == 1
    assert len(script.requests) == 3
    assert script.pauses == sorted(script.pauses)  # longer each time


def test_a_server_that_stays_away_is_given_up_with_the_reason() -> None:
    with pytest.raises(HomeostatError, match="gave no good answer for 0 s \\(ConnectError: refused\\)"):
        Script(breaks).client(patience_s=0).send("events", rows(1))


def test_bad_rows_are_told_and_the_others_sent() -> None:
    errors = [
        {"pointer": "/events/1/load", "detail": 'is "x", expected a number'},
        {"pointer": "/events/1/wind", "detail": "is missing, expected a number"},
        {"pointer": "/events/3", "detail": "is not a JSON object"},
    ]
    script = Script(says(422, {"detail": "nothing was stored", "errors": errors}), says(202, {"accepted": 2}))
    delivery = script.client().send("events", rows(10, 11, 12, 13))
    assert delivery.refused == {
        1: "field 'load' is \"x\", expected a number; field 'wind' is missing, expected a number",
        3: "is not a JSON object",
    }
    assert script.sent() == [[10, 11, 12, 13], [10, 12]]


def test_a_refusal_that_names_no_row_is_narrowed_down() -> None:
    def judge(request: httpx.Request) -> httpx.Response:
        bad = any(row["n"] == 5 for row in json.loads(request.content)["events"])
        return httpx.Response(422, json={"detail": "no"}) if bad else httpx.Response(202, json={})

    script = Script(judge)
    assert script.client().send("events", rows(*range(8))).refused == {5: "no"}
    accepted = [
        n for request in script.requests if judge(request).is_success for n in json.loads(request.content)["events"]
    ]
    assert sorted(row["n"] for row in accepted) == [0, 1, 2, 3, 4, 6, 7]


def test_a_body_that_is_too_long_goes_in_halves() -> None:
    def judge(request: httpx.Request) -> httpx.Response:
        return httpx.Response(413 if len(json.loads(request.content)["events"]) > 2 else 202, json={})

    script = Script(judge)
    assert not script.client().send("events", rows(*range(5))).refused
    assert [n for part in script.sent() if len(part) <= 2 for n in part] == [0, 1, 2, 3, 4]  # in order


def test_many_rows_go_in_several_requests() -> None:
    script = Script(says(202, {}))
    script.client().send("events", rows(*range(2500)))
    assert [len(part) for part in script.sent()] == [1000, 1000, 500]
    script.requests.clear()
    script.client().send("events", [b'{"n":1,"pad":"%s"}' % (b"x" * 600_000)] * 3)
    assert [len(part) for part in script.sent()] == [1, 1, 1]


def test_answers_and_latencies_of_predictions_are_kept() -> None:
    def predict(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)["rows"]
        return httpx.Response(
            200, json={"predictions": [{"event_id": row["event"]["n"], "score": 0.5} for row in asked]}
        )

    delivery = Script(predict).client().predict(rows(*range(45)), 20)
    assert [answer["event_id"] for answer in delivery.answers] == list(range(45))
    assert len(delivery.latencies_s) == 3


def test_a_clock_that_shows_the_time_already_is_set() -> None:
    script = Script(says(409, {"detail": "can't go back"}), says(200, CLOCK))
    assert script.client().set_clock(NOW).now == NOW


def test_a_clock_that_cannot_be_set_says_why() -> None:
    script = Script(says(409, {"detail": "follows the machine's clock"}), says(200, CLOCK | {"mode": "system"}))
    with pytest.raises(HomeostatError, match="follows the machine's clock"):
        script.client().set_clock(NOW)


def test_waiting_ends_when_the_instance_is_settled() -> None:
    script = Script(says(200, CLOCK | {"settled": False}), says(200, CLOCK | {"settled": False}), says(200, CLOCK))
    seen: list[float] = []
    script.client().settle(60, seen.append)
    assert len(seen) == 2


def test_an_instance_that_does_not_settle_is_given_up() -> None:
    script = Script(says(200, CLOCK | {"settled": False}))
    with pytest.raises(HomeostatError, match="has not come to rest at 2030-01-07T00:00:00"):
        script.client().settle(0, lambda _: None)


@pytest.mark.parametrize(("status", "text"), [(401, "expected a bearer token"), (404, "the products are /v1/x")])
def test_what_will_not_pass_is_not_tried_again(status: int, text: str) -> None:
    script = Script(says(status, {"detail": text}))
    with pytest.raises(HomeostatError, match=text):
        script.client().send("events", rows(1))
    assert len(script.requests) == 1

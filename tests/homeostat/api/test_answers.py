"""What becomes of a request when the front, or something behind it, is not as usual."""

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from homeostat.adapters.memory import MemoryLedger
from homeostat.api import Gate, Limits, Served, build_app
from homeostat.api.roles import ROLES, Caller
from homeostat.errors import OverloadedError, TransientError
from tests.homeostat.api.conftest import CONTRACT, LIMITS, Client, Clock, Door, event, label, make_app, told

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("events", {"events": [event(1)]}),
    ("labels", {"labels": [label(1)]}),
    ("predict", {"rows": [{"entity": "l0"}]}),
]


def test_a_prediction_says_who_answered(at_door: Client) -> None:
    (found,) = at_door.post("/v1/calls/predict", json={"rows": [{"event": event(1)}]}).json()["predictions"]
    assert found == {
        "prediction_id": "p-e1",
        "event_id": "e1",
        "entity": "l1",
        "event_time": "2030-01-07T12:00:00Z",
        "score": 0.25,
        "version": "3",
        "arm": "champion",
        "fallback": None,
    }


def test_while_there_is_no_champion_each_prediction_has_the_reason(door: Door, at_door: Client) -> None:
    door.why_not = "no champion yet: collecting"
    (found,) = at_door.post("/v1/calls/predict", json={"rows": [{"entity": "l0"}]}).json()["predictions"]
    assert (found["score"], found["arm"], found["reason"]) == (None, "none", "no champion yet: collecting")


def test_given_features_reach_the_front_as_numbers_and_texts(door: Door, at_door: Client) -> None:
    features = {"seconds": 3, "vip": True, "kind": None, "line": "other", "dear": None}
    row = {"entity": "l0", "event_id": "q1", "event_time": "2030-01-07T13:00:00+01:00", "features": features}
    assert at_door.post("/v1/calls/predict", json={"rows": [row]}).status_code == 200
    (query,) = door.asked
    assert not isinstance(query, bytes)
    assert query.given == {"seconds": 3.0, "vip": 1.0, "kind": None, "line": "other", "dear": None}
    assert isinstance(query.given["seconds"], float)
    assert query.event_time == datetime(2030, 1, 7, 12, tzinfo=UTC)


def test_what_a_question_leaves_out_or_has_as_null_is_filled_in(door: Door, at_door: Client) -> None:
    rows = [{"entity": "l0"}, {"entity": "l0", "event_id": None, "event_time": None, "features": None}]
    assert at_door.post("/v1/calls/predict", json={"rows": rows}).status_code == 200
    ids = [query.event_id for query in door.asked if not isinstance(query, bytes)]
    assert len(set(ids)) == 2
    assert all(ids)


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_overload_says_when_to_come_back(door: Door, at_door: Client, path: str, body: dict[str, Any]) -> None:
    door.refuse = OverloadedError("10,000 rows wait", 2.3)
    answer = at_door.post(f"/v1/calls/{path}", json=body)
    assert "rows wait" in told(answer, 429)["detail"]
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_overload_is_told_before_all_rows_are_judged(
    door: Door, at_door: Client, path: str, body: dict[str, Any]
) -> None:
    ((key, rows),) = body.items()
    broken = {key: [*rows, {"nothing": "known"}]}
    told(at_door.post(f"/v1/calls/{path}", json=broken), 422)
    door.full = OverloadedError("10,000 rows wait", 2.3)
    answer = at_door.post(f"/v1/calls/{path}", json=broken)
    assert "rows wait" in told(answer, 429)["detail"]
    assert answer.headers["retry-after"] == "3"


def test_large_bodies_are_judged_one_at_a_time_and_each_by_what_waits_then(door: Door) -> None:
    judging, together, pause = Counter[str](), list[int](), threading.Event()  # the event is never set

    def admit(rows: int, *, stored: bool) -> None:
        judging["now"] += 1
        together.append(judging["now"])
        pause.wait(0.02)
        judging["now"] -= 1
        if len(together) > 2:
            raise OverloadedError("too many", 1.0)

    door.admit = admit  # type: ignore[method-assign]
    client = Client(make_app(door, limits=Limits()))
    body = {"events": [event(i, kind="x" * 1_000) for i in range(100)]}

    async def play() -> list[int]:
        async with client.session() as session:
            answers = await asyncio.gather(*(session.post("/v1/calls/events", json=body) for _ in range(6)))
            return sorted(answer.status_code for answer in answers)

    assert asyncio.run(play()) == [202, 202, 429, 429, 429, 429]
    assert set(together) == {1}


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_front_that_has_failed_is_no_overload(door: Door, at_door: Client, path: str, body: dict[str, Any]) -> None:
    door.refuse, door.failure = OverloadedError("starting again", 5.0), RuntimeError("disk")
    answer = at_door.post(f"/v1/calls/{path}", json=body)
    told(answer, 503)
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("error", [TransientError("the log is busy", 2.0), OSError("/secret/path is full")])
def test_what_fails_behind_an_accepted_request_is_503_without_its_innards(
    door: Door, at_door: Client, error: Exception
) -> None:
    door.fail = error
    answer = at_door.post("/v1/calls/events", json={"events": [event(1)]})
    assert "secret" not in told(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) >= 1


def test_a_front_that_hangs_is_given_up_and_what_still_waits_is_taken_back(door: Door) -> None:
    door.hold = True
    client = Client(make_app(door, limits=Limits(answer_s=0.05)))
    assert "no answer within" in told(client.post("/v1/calls/events", json={"events": [event(1)]}), 503)["detail"]
    assert all(future.cancelled() for future in door.held)


def test_requests_that_wait_do_not_hold_others_up(door: Door, at_door: Client) -> None:
    door.hold = True

    async def play() -> list[int]:
        async with at_door.session() as session:
            waiting = [
                asyncio.create_task(session.post("/v1/calls/events", json={"events": [event(i)]})) for i in range(20)
            ]
            while len(door.held) < 20:
                await asyncio.sleep(0)
                assert (await session.get("/healthz")).status_code == 200
            for future in door.held:
                future.set_result(None)
            return [answer.status_code for answer in await asyncio.gather(*waiting)]

    assert asyncio.run(play()) == [202] * 20


def test_a_status_that_takes_its_time_does_not_hold_others_up(door: Door) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def status() -> dict[str, Any]:
        begun.set()
        assert let_go.wait(60)
        return {"at": datetime(2030, 1, 1, tzinfo=UTC), "psi": float("nan")}

    client = Client(build_app({"calls": Served(door, status, MemoryLedger)}, Clock(), bytes, LIMITS))

    async def play() -> Any:
        async with client.session() as session:
            waiting = asyncio.create_task(session.get("/v1/calls/status"))
            while not begun.is_set():
                await asyncio.sleep(0)
            assert (await session.get("/healthz")).status_code == 200
            let_go.set()
            return (await waiting).json()

    assert asyncio.run(play()) == {"at": "2030-01-01T00:00:00Z", "psi": None}


def test_a_store_that_does_not_answer_is_503_and_a_bug_is_a_problem_without_innards(door: Door) -> None:
    def status() -> dict[str, Any]:
        raise error

    client = Client(build_app({"calls": Served(door, status, MemoryLedger)}, Clock(), bytes, LIMITS))
    error: Exception = TransientError("the registry is busy")
    assert "busy" in told(client.get("/v1/calls/status"), 503)["detail"]
    error = KeyError("secret")
    assert "secret" not in client.get("/v1/calls/status").text
    told(client.get("/v1/calls/status"), 500)


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_bug_behind_a_post_route_is_a_problem_without_innards(
    door: Door, at_door: Client, path: str, body: dict[str, Any]
) -> None:
    door.refuse = KeyError("secret")
    answer = at_door.post(f"/v1/calls/{path}", json=body)
    told(answer, 500)
    assert "secret" not in answer.text


def test_readiness_names_each_product(door: Door) -> None:
    other = Door(CONTRACT.model_copy(update={"product": "others"}))
    app = build_app(
        {"calls": Served(door, dict, MemoryLedger), "others": Served(other, dict, MemoryLedger)}, Clock(), bytes
    )
    client = Client(app)
    assert client.get("/readyz").json() == {"ready": True, "products": {"calls": "ready", "others": "ready"}}
    other.why_not = "no champion yet"
    body = told(client.get("/readyz"), 503)
    assert body["products"] == {"calls": "ready", "others": "no champion yet"}
    assert body["detail"] == "others: no champion yet"


def test_readiness_names_who_ails_beside_the_server_and_takes_no_champion_out_of_traffic(door: Door) -> None:
    ails = {"keeper": "ended with exit code 1, 3 times in a row"}
    served = {"calls": Served(door, dict, MemoryLedger)}
    client = Client(build_app(served, Clock(), bytes, degraded=lambda: ails))
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "products": {"calls": "ready"}, "degraded": ails}
    door.why_not = "no champion yet"
    body = told(client.get("/readyz"), 503)
    assert (body["products"], body["degraded"]) == ({"calls": "no champion yet"}, ails)


def test_a_stream_clock_goes_forward_only(at_door: Client) -> None:
    assert at_door.get("/v1/clock").json() == {"mode": "stream", "now": "2030-01-07T12:00:00+00:00", "settled": True}
    later = at_door.put("/v1/clock", json={"now": "2030-01-07T14:00:00+01:00"}).json()
    assert later["now"] == "2030-01-07T13:00:00+00:00"
    assert "before" in told(at_door.put("/v1/clock", json={"now": "2030-01-07T12:00:00Z"}), 409)["detail"]


@pytest.mark.parametrize(
    "now", ["noon", "2031-01-01T00:00:00", 7, None, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
)
def test_a_time_that_no_clock_should_show_is_refused(at_door: Client, now: object) -> None:
    body = told(at_door.put("/v1/clock", json={"now": now}), 422)
    assert body["errors"][0]["pointer"] == "/now"
    assert at_door.get("/v1/clock").json()["now"] == "2030-01-07T12:00:00+00:00"


def test_where_there_are_tokens_every_v1_route_needs_one(door: Door) -> None:
    tokens = tuple((token, Caller("some", ROLES["admin"])) for token in ("s3cret", "ümläut"))
    client = Client(make_app(door, limits=Limits(gate=Gate(tokens))))
    for path in ("/v1/calls/status", "/v1/clock"):
        for header in (None, "Bearer other", "Bearer", "Basic s3cret", "Bearer s3cret2", "Bearer \xff"):
            headers = {} if header is None else {"authorization": header.encode("latin-1")}
            answer = client.get(path, headers=headers)
            told(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get(path, headers={"authorization": "Bearer s3cret"}).status_code == 200
    for path, body in REQUESTS:
        told(client.post(f"/v1/calls/{path}", json=body), 401)
    told(client.put("/v1/clock", json={"now": "2031-01-01T00:00:00Z"}), 401)
    assert not door.events
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200

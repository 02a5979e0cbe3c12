"""What callers of a front may rely on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic, sleep

import pytest

from homeostat.adapters.manual_clock import ManualClock
from homeostat.bootstrap import Stack
from homeostat.codec import decode
from homeostat.errors import InvalidRecordError, OverloadedError
from homeostat.features.query import Query
from homeostat.flow import topic_name
from homeostat.ports import NewMessage
from homeostat.records import Arm, Prediction
from tests.homeostat.serving.conftest import CONTRACT, T0, MakeFront, event, label, serve

SOON_S = 60.0  # a machine that is busy with other tests


def read(stack: Stack, topic: str) -> list[object]:
    messages = stack.log.read(topic_name(CONTRACT.product, topic), 0, 10_000)
    return [decode(topic, m.value, m.headers) for m in messages]


def until(condition, what: str) -> None:
    deadline = monotonic() + SOON_S
    while not condition():
        assert monotonic() < deadline, what
        sleep(0.005)


def test_what_is_acknowledged_is_in_the_log_and_is_ingested(stack: Stack, make_front: MakeFront) -> None:
    front = make_front()
    front.send([event(1), event(2)], [label(1)]).result(SOON_S)
    assert stack.log.end("p.raw_events.v1") == 2
    assert stack.log.end("p.raw_labels.v1") == 1
    until(lambda: len(read(stack, "predictions")) == 2, "predicted")
    assert [row.event_id for row in read(stack, "labels")] == ["e1"]


def test_an_event_is_stored_and_answered_in_one_go(stack: Stack, make_front: MakeFront) -> None:
    version = serve(stack.registry)
    [answer] = make_front().predict([event(1)]).result(SOON_S)
    assert isinstance(answer, Prediction)
    assert (answer.event_id, answer.version, answer.arm) == ("e1", version, Arm.CHAMPION)
    assert read(stack, "predictions") == [answer]
    assert stack.log.committed("predict", "p.features.v1") == 1


def test_answers_come_in_the_order_of_the_rows_whatever_they_are(stack: Stack, make_front: MakeFront) -> None:
    serve(stack.registry)
    front = make_front()
    rows = [event(1), b"{", Query("q1", "k1", T0), event(2, entity="k2"), Query("q2", "nobody", T0), event(3)]
    answers = front.predict(rows).result(SOON_S)
    assert [a.event_id if isinstance(a, Prediction) else None for a in answers] == ["e1", None, "q1", "e2", None, "e3"]
    assert "not readable as JSON" in str(answers[1])
    assert "entity 'nobody' has no stored features" in str(answers[4])


def test_a_query_sees_the_event_sent_with_it_and_its_prediction_is_published(
    stack: Stack, make_front: MakeFront
) -> None:
    serve(stack.registry)
    _, answer = make_front().predict([event(1, x=0.7), Query("q1", "k1", T0)]).result(SOON_S)
    assert isinstance(answer, Prediction)
    assert answer.values == (0.7, "a", 0.0)
    assert answer in read(stack, "predictions")
    assert answer.on_request


def test_a_query_alone_puts_nothing_into_the_raw_topics(stack: Stack, make_front: MakeFront) -> None:
    [answer] = make_front().predict([Query("q1", "new", T0, {"x": 1.0, "c": "a", "n": 0.0})]).result(SOON_S)
    assert isinstance(answer, Prediction)
    assert stack.log.end("p.raw_events.v1") == 0


def test_one_question_without_an_answer_keeps_the_request_s_others_out_of_the_log(
    stack: Stack, make_front: MakeFront
) -> None:
    serve(stack.registry)
    front = make_front(start=False)
    refused = front.predict([Query("q1", "k1", T0), Query("q2", "nobody", T0)])
    answered = front.predict([event(1), Query("q3", "k1", T0)])
    front.start()
    assert isinstance(refused.result(SOON_S)[1], InvalidRecordError)
    assert [answer.event_id for answer in answered.result(SOON_S) if isinstance(answer, Prediction)] == ["e1", "q3"]
    assert [row.event_id for row in read(stack, "predictions") if isinstance(row, Prediction)] == ["e1", "q3"]


def test_an_event_sent_again_is_answered_again_with_the_same_prediction_id(make_front: MakeFront) -> None:
    front = make_front()
    [first] = front.predict([event(1)]).result(SOON_S)
    [again] = front.predict([event(1)]).result(SOON_S)
    assert isinstance(first, Prediction)
    assert isinstance(again, Prediction)
    assert (first.prediction_id, first.values) == (again.prediction_id, again.values)


def test_an_event_sent_again_is_answered_after_a_restart_too(stack: Stack, make_front: MakeFront) -> None:
    first = make_front()
    first.predict([event(1)]).result(SOON_S)
    first.stop()
    [again] = make_front().predict([event(1)]).result(SOON_S)
    assert isinstance(again, Prediction)
    assert again.values == (0.5, "a", 0.0)


def test_two_requests_with_the_same_event_in_one_batch_are_both_answered(make_front: MakeFront) -> None:
    front = make_front(start=False)
    asked = [front.predict([event(1)]), front.predict([event(2), event(1)]), front.predict([event(1), event(1)])]
    front.start()
    answers = [a for future in asked for a in future.result(SOON_S)]
    assert [a.event_id for a in answers if isinstance(a, Prediction)] == ["e1", "e2", "e1", "e1", "e1"]


def test_of_two_events_with_one_id_in_a_batch_the_changed_one_is_refused(make_front: MakeFront) -> None:
    front = make_front(start=False)
    good, changed = front.predict([event(1, x=1.0)]), front.predict([event(1, x=2.0)])
    front.start()
    [answer], [refused] = good.result(SOON_S), changed.result(SOON_S)
    assert isinstance(answer, Prediction)
    assert answer.values[0] == 1.0
    assert isinstance(refused, InvalidRecordError)
    assert "sent before with other content" in str(refused)


def test_a_late_event_is_refused_with_the_reason(make_front: MakeFront) -> None:
    front = make_front()
    answers = front.predict([event(1), event(2, at=T0 - timedelta(days=2))]).result(SOON_S)
    assert isinstance(answers[0], Prediction)
    assert isinstance(answers[1], InvalidRecordError)
    assert "too late" in str(answers[1])


def test_a_model_that_begins_to_serve_answers_the_next_row(stack: Stack, make_front: MakeFront) -> None:
    front = make_front()
    [before] = front.predict([event(1)]).result(SOON_S)
    version = serve(stack.registry)
    [after] = front.predict([event(2)]).result(SOON_S)
    assert isinstance(before, Prediction)
    assert isinstance(after, Prediction)
    assert (before.arm, before.score, after.version) == (Arm.NONE, None, version)


def test_many_callers_at_once_each_get_their_own_answer(stack: Stack, make_front: MakeFront) -> None:
    serve(stack.registry)
    front = make_front()

    def ask(i: int) -> list[object]:
        return list(front.predict([event(i, x=float(i)), Query(f"q{i}", "k1", T0, {"x": -float(i)})]).result(SOON_S))

    front.send([event(10_000)], []).result(SOON_S)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(200)))
    assert [[(a.event_id, a.values[0]) for a in pair if isinstance(a, Prediction)] for pair in answers] == [
        [(f"e{i}", float(i)), (f"q{i}", -float(i))] for i in range(200)
    ]


def test_what_somebody_else_appends_to_the_log_is_handled_too(stack: Stack, make_front: MakeFront) -> None:
    make_front()
    stack.log.append([NewMessage("p.raw_events.v1", event(1))], T0)
    until(lambda: len(read(stack, "predictions")) == 1, "predicted")


def test_a_full_queue_refuses_and_says_when_to_come_back(make_front: MakeFront) -> None:
    front = make_front(start=False, waiting_rows=10)
    waiting = [front.send([event(i)], []) for i in range(10)]
    with pytest.raises(OverloadedError, match="10 rows wait") as refused:
        front.predict([event(10)])
    assert refused.value.retry_after_s > 0
    front.start()
    for future in waiting:
        future.result(SOON_S)
    front.send([event(10)], []).result(SOON_S)


def test_a_request_larger_than_the_queue_is_let_in_when_nothing_waits(make_front: MakeFront) -> None:
    front = make_front(waiting_rows=10)
    assert len(front.predict([event(i) for i in range(50)]).result(SOON_S)) == 50


def test_stop_finishes_what_waits_and_refuses_the_rest(stack: Stack, make_front: MakeFront) -> None:
    front = make_front(start=False, batch_rows=2)
    asked = [front.predict([event(i)]) for i in range(20)]
    front.start()
    front.stop()
    assert all(isinstance(future.result(0)[0], Prediction) for future in asked)
    assert front.failure is None
    assert front.ready() == "stopping"
    with pytest.raises(OverloadedError, match="stopping"):
        front.send([event(1)], [])


def test_a_request_without_rows_gets_an_answer_without_rows_even_while_the_front_stops(make_front: MakeFront) -> None:
    front = make_front(start=False)
    asked, sent = front.predict([]), front.send([], [])
    front.start()
    front.stop()
    assert asked.result(0) == []
    assert sent.result(0) is None


def test_stop_before_start_leaves_nobody_waiting(make_front: MakeFront) -> None:
    front = make_front(start=False)
    future = front.send([event(1)], [])
    front.stop()
    with pytest.raises(OverloadedError):
        future.result(0)


def test_what_a_caller_cancels_in_time_is_not_stored(stack: Stack, make_front: MakeFront) -> None:
    front = make_front(start=False)
    dropped, kept = front.send([event(1)], []), front.send([event(2)], [])
    assert dropped.cancel()
    front.start()
    kept.result(SOON_S)
    assert stack.log.end("p.raw_events.v1") == 1


def test_the_front_says_which_time_it_has_passed(make_front: MakeFront, clock: ManualClock) -> None:
    front = make_front()
    until(lambda: front.passed == T0, "passed the start")
    clock.advance_to(T0 + timedelta(hours=1))
    front.wake()
    until(lambda: front.passed == T0 + timedelta(hours=1), "passed the next hour")


def test_an_event_that_the_log_stamped_in_the_future_is_answered_when_its_time_comes(
    stack: Stack, make_front: MakeFront, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's clock may be a little ahead, and the times of a topic never go back."""
    monkeypatch.setattr("homeostat.serving.desk._PATIENCE_S", SOON_S)
    stack.log.append([NewMessage("p.raw_events.v1", event(1))], T0 + timedelta(seconds=3))
    front = make_front()
    future = front.predict([event(2)])
    until(lambda: stack.log.end("p.raw_events.v1") == 2, "stored")
    assert not future.done()
    clock.advance_to(T0 + timedelta(seconds=3))
    assert isinstance(future.result(SOON_S)[0], Prediction)

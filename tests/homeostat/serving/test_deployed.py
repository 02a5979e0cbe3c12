"""A front beside other processes: they ingest, and at times predict; it hears of that by the log."""

from collections.abc import Iterator
from datetime import datetime
from threading import Event

import pytest

from homeostat.adapters.manual_clock import ManualClock
from homeostat.bootstrap import Stack
from homeostat.codec import encode
from homeostat.errors import OverloadedError
from homeostat.features.query import Query
from homeostat.ports import NewMessage
from homeostat.records import Arm, DeadLetter, FeatureRow, Prediction
from homeostat.serving import Deployed, Front, build_front
from homeostat.serving.answers import Answers
from homeostat.serving.following import Following
from homeostat.serving.work import Asking
from tests.homeostat.serving.conftest import CONTRACT, T0, event, serve
from tests.homeostat.serving.test_front import SOON_S, read, until

ROW = FeatureRow("e0", "k1", T0, (0.5, "a", 1.0))


class Elsewhere:
    """Prediction by another process; a test may let it take its time here."""

    def __init__(self) -> None:
        self.goes_on = Event()
        self.goes_on.set()
        self.busy = Event()
        self.failure: Exception | None = None

    def restore(self, now: datetime) -> None:
        pass

    def run_once(self, now: datetime) -> int:
        if self.failure:
            raise self.failure
        if not self.goes_on.is_set():
            self.busy.set()
        return 0 if self.goes_on.wait(SOON_S) else 1


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def front(stack: Stack, clock: ManualClock, elsewhere: Elsewhere) -> Iterator[Front]:
    serve(stack.registry)
    stack.online.write([ROW])
    built = build_front(CONTRACT, stack, clock, deployed=Deployed(stack.registry, lambda _: elsewhere))
    built.start()
    yield built
    elsewhere.goes_on.set()
    built.stop()


def prediction(number: int) -> Prediction:
    return Prediction(f"p{number}", f"e{number}", "k1", T0, T0, Arm.CHAMPION, "1", 0.5, 1.0, 1.0, (0.5, "a", 1.0))


def message(topic: str, record: Prediction | DeadLetter) -> NewMessage:
    return NewMessage(f"p.{topic}.v1", *encode(record))


def asking(number: int) -> Asking:
    return Asking((event(number),), (f"e{number}",))


def test_questions_are_admitted_by_the_questions_that_wait_and_records_by_the_records(
    front: Front, elsewhere: Elsewhere
) -> None:
    elsewhere.goes_on.clear()
    front.wake()
    assert elsewhere.busy.wait(SOON_S)
    front.send([event(i) for i in range(10_000)], ())
    with pytest.raises(OverloadedError, match="rows wait"):
        front.admit(1, stored=True)
    front.admit(1, stored=False)


def test_who_asks_about_an_entity_waits_for_no_event_of_others(
    stack: Stack, front: Front, elsewhere: Elsewhere
) -> None:
    elsewhere.goes_on.clear()
    front.wake()
    assert elsewhere.busy.wait(SOON_S)
    [answer] = front.predict([Query("q1", "k1", T0)]).result(SOON_S)
    assert isinstance(answer, Prediction)
    assert answer.values == ROW.values
    assert read(stack, "predictions") == [answer]


def test_an_event_is_answered_with_what_another_process_makes_of_it(stack: Stack, front: Front) -> None:
    good = front.predict([event(1), Query("q1", "k1", T0)])
    until(lambda: stack.log.end("p.raw_events.v1") == 1, "stored")
    stack.log.append([message("predictions", prediction(1))], T0)
    first, second = good.result(SOON_S)
    assert first == prediction(1)
    assert isinstance(second, Prediction)
    bad = front.predict([event(2)])  # only now: what comes while somebody is waited for is stored after that
    until(lambda: stack.log.end("p.raw_events.v1") == 2, "stored")
    letter = DeadLetter("d", "raw_events", "too late", event(2), T0)
    stack.log.append([message("ingest_dead_letters", letter)], T0)
    assert str(bad.result(SOON_S)[0]) == "too late"


def test_both_halves_stop_and_refuse_together(front: Front) -> None:
    front.stop()
    for row in (event(1), Query("q1", "k1", T0)):
        with pytest.raises(OverloadedError, match="stopping"):
            front.predict([row])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_where_one_half_has_failed_the_front_has(front: Front, elsewhere: Elsewhere) -> None:
    elsewhere.failure = ValueError("a bug")
    front.wake()
    until(lambda: front.failure, "failed")
    assert "a bug" in str(front.ready())


@pytest.mark.parametrize(("pause_s", "read"), [(0.0, 1), (60.0, 6)])
def test_what_nobody_waits_for_is_passed_over_by_a_look_now_and_then(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, pause_s: float, read: int
) -> None:
    monkeypatch.setattr("homeostat.serving.following._NOTE_S", pause_s)
    answers = Answers(CONTRACT)
    following = Following(CONTRACT.product, stack.log, answers)
    stack.log.append([message("predictions", prediction(n)) for n in range(5)], T0)
    assert following.run_once(T0) == 0
    answers.expect([asking(7)])
    stack.log.append([message("predictions", prediction(7))], T0)
    assert following.run_once(T0) == read
    assert answers.of(asking(7)) == [prediction(7)]

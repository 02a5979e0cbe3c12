import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.errors import TransientError
from homeostat.metric_names import EVENTS, FEATURE_TIME, QUARANTINED
from homeostat.records import DeadLetter, FeatureRow, Label, RawEvent, RawLabel, Record
from homeostat.steps.ingest import IngestStep
from tests.homeostat.steps.ingesting import CONTRACT, FakeStores, at, event, label, only, reasons


@pytest.fixture
def stores() -> FakeStores:
    return FakeStores()


@pytest.fixture
def step(stores: FakeStores) -> IngestStep:
    return IngestStep(CONTRACT, stores, stores)  # type: ignore[arg-type]


def test_rows_and_labels_go_out_and_rows_are_stored(step: IngestStep, stores: FakeStores) -> None:
    out = step.handle([event("a", 0), event("b", 10, "blue"), label("a", 5)], at(10))
    assert only(FeatureRow, out) == [
        FeatureRow("a", "red", at(0), (1.0, 0.0, None)),
        FeatureRow("b", "blue", at(10), (1.0, 0.0, None)),
    ]
    assert only(Label, out) == [Label("a", at(5), 1.0)]
    assert len(out) == 3
    assert list(stores.online.values()) == only(FeatureRow, out)


def test_the_rows_that_go_out_are_those_in_the_store(step: IngestStep, stores: FakeStores) -> None:
    out = step.handle([event(f"e{i}", i, f"line{i}") for i in range(20)], at(20))
    rows = only(FeatureRow, out)
    assert sorted(stores.online.values(), key=lambda row: row.event_time) == rows


def test_a_label_of_an_unknown_event_goes_out_all_the_same(step: IngestStep) -> None:
    assert step.handle([label("nobody", 5, fault=0)], at(10)) == [Label("nobody", at(5), 0.0)]


def test_a_bad_record_becomes_a_dead_letter_with_topic_reason_and_bytes(step: IngestStep) -> None:
    bad_event, bad_label = event("a", 0, seconds="long"), label("a", 1, fault="maybe")
    letters = only(DeadLetter, step.handle([bad_event, RawEvent(b"\xff"), bad_label], at(10)))
    assert [(letter.topic, letter.value, letter.at) for letter in letters] == [
        ("raw_events", bad_event.value, at(10)),
        ("raw_events", b"\xff", at(10)),
        ("raw_labels", bad_label.value, at(10)),
    ]
    assert "field 'seconds' is \"long\", expected a number or null" in letters[0].reason


def test_the_same_bytes_make_the_same_letter_and_others_another(step: IngestStep) -> None:
    first, second = only(DeadLetter, step.handle([RawEvent(b"\xff"), RawEvent(b"\xfe")], at(0)))
    (again,) = only(DeadLetter, step.handle([RawEvent(b"\xff")], at(1)))
    (as_label,) = only(DeadLetter, step.handle([RawLabel(b"\xff")], at(1)))
    assert first.letter_id == again.letter_id
    assert len({first.letter_id, second.letter_id, as_label.letter_id}) == 3


def test_an_event_by_the_lane_of_another_entity_is_quarantined(stores: FakeStores) -> None:
    step = IngestStep(CONTRACT, stores, stores, lambda line: line == "red")  # type: ignore[arg-type]
    out = step.handle([event("a", 0), event("b", 9, "blue"), event("c", 1)], at(10))
    assert [row.event_id for row in only(FeatureRow, out)] == ["a", "c"]
    assert reasons(out) == [
        "line 'blue' came by the lane of another line: key each message by its line, partitioner murmur2_random"
    ]
    assert stores.online.keys() == {"red"}


def test_an_event_too_far_behind_the_newest_is_quarantined(step: IngestStep, stores: FakeStores) -> None:
    out = step.handle([event("new", 100), event("just", 40), event("late", 39)], at(100))
    assert [row.event_id for row in only(FeatureRow, out)] == ["new", "just"]
    assert reasons(out) == [
        "too late: 3660 s behind the newest event time 2024-03-01T01:40:00+00:00, allowed are 3600 s"
    ]
    assert stores.online["red"].event_id == "new"


def test_a_time_ahead_of_the_clock_is_quarantined_and_moves_nothing(step: IngestStep) -> None:
    out = step.handle([event("a", 61.1), event("b", 1), event("c", 61), label("b", 62)], at(60))
    assert reasons(out) == [
        "event_time 2024-03-01T01:01:06+00:00 is 66 s ahead of the clock",
        "label_time 2024-03-01T01:02:00+00:00 is 120 s ahead of the clock",
    ]
    assert [row.event_id for row in only(FeatureRow, out)] == ["b", "c"]


def test_a_repeated_event_gives_the_same_row_again_however_late(step: IngestStep) -> None:
    (row,) = step.handle([event("a", 0)], at(0))
    step.handle([event("b", 100), label("a", 5)], at(100))
    respelled = RawEvent(json.dumps({**json.loads(event("a", 0).value), "extra": 1}, indent=1).encode())
    assert step.handle([respelled], at(101)) == [row]


def test_a_known_event_id_with_other_content_is_quarantined(step: IngestStep) -> None:
    step.handle([event("a", 0)], at(0))
    out = step.handle([event("a", 0, seconds=2.0), event("b", 1), event("b", 2)], at(2))
    assert reasons(out) == [
        "event id 'a' was sent before with other content",
        "event id 'b' was sent before with other content",
    ]
    assert [(row.event_id, row.event_time) for row in only(FeatureRow, out)] == [("b", at(1))]


def test_a_late_or_repeated_event_does_not_replace_a_newer_row_online(step: IngestStep, stores: FakeStores) -> None:
    step.handle([event("a", 0)], at(0))
    step.handle([event("b", 20)], at(20))
    out = step.handle([event("a", 0), event("late", 10)], at(21))
    assert stores.online["red"].event_id == "b"
    assert [row.event_id for row in only(FeatureRow, out)] == ["a", "late"]


def test_a_batch_may_span_more_time_than_memory_does(step: IngestStep, stores: FakeStores) -> None:
    step.handle([event("old", 0, "red"), event("new", 10_000, "blue")], at(10_000))
    assert {line: row.event_id for line, row in stores.online.items()} == {"red": "old", "blue": "new"}


def test_a_batch_repeated_after_a_failed_write_comes_out_the_same(step: IngestStep, stores: FakeStores) -> None:
    batch = [event("a", 0), label("a", 5), event("b", 70), event("late", 5), event("c", 90)]
    stores.broken = True
    with pytest.raises(TransientError):
        step.handle(batch, at(90))
    stores.broken = False
    assert not any(stores.counts.values())
    other = FakeStores()
    expected = IngestStep(CONTRACT, other, other).handle(batch, at(90))  # type: ignore[arg-type]
    assert step.handle(batch, at(90)) == expected
    assert stores.online == other.online


def test_events_quarantined_rows_and_freshness_are_measured(step: IngestStep, stores: FakeStores) -> None:
    step.handle([event("a", 0), event("b", 1), RawEvent(b""), label("a", 1, fault=7)], at(2))
    assert step.tick(at(4)) == []
    assert stores.counts == {
        (EVENTS, "calls"): 2,
        (QUARANTINED, "calls", "raw_events"): 1,
        (QUARANTINED, "calls", "raw_labels"): 1,
    }
    assert stores.times == {FEATURE_TIME: at(1)}


def test_before_the_first_event_there_is_no_freshness(step: IngestStep, stores: FakeStores) -> None:
    assert step.tick(at(0)) == []
    assert stores.times == {}


def test_after_a_restart_features_are_as_fresh_as_before(step: IngestStep, stores: FakeStores) -> None:
    step.restore([event("a", 3)], at(5))
    step.tick(at(5))
    assert stores.times == {FEATURE_TIME: at(3)}


def test_lanes_tell_their_newest_rows_each_by_itself() -> None:
    telemetry, stores = MemoryTelemetry(), FakeStores()
    for lane in (0, 1):
        one = IngestStep(CONTRACT, stores, telemetry, lane=lane)  # type: ignore[arg-type]
        one.handle([event("a", lane)], at(2))
        one.tick(at(2))
    told = [telemetry.value(FEATURE_TIME, product="calls", lane=str(lane)) for lane in (0, 1)]
    assert told == [at(0).timestamp(), at(1).timestamp()]


def test_a_lane_that_goes_on_elsewhere_is_told_of_no_more_until_it_comes_back() -> None:
    telemetry, stores = PrometheusTelemetry(), FakeStores()
    series = 'homeostat_feature_timestamp_seconds{lane="1",product="calls"}'
    shown = []
    for _ in range(2):
        step = IngestStep(CONTRACT, stores, telemetry, lane=1)  # type: ignore[arg-type]
        step.leave()  # before its first row
        step.restore([event("a", 1)], at(2))
        step.tick(at(2))
        shown.append(series in telemetry.render().decode())
        step.leave()
        shown.append(series in telemetry.render().decode())
    assert shown == [True, False, True, False]


def test_restoring_writes_and_counts_nothing(step: IngestStep, stores: FakeStores) -> None:
    step.restore([event("a", 0), label("a", 1), RawEvent(b"?")], at(5))
    assert not stores.online
    assert not any(stores.counts.values())


Times = list[tuple[int, str, int | None]]
calls = st.lists(
    st.tuples(st.integers(0, 50), st.sampled_from(["red", "blue"]), st.none() | st.integers(0, 200)), max_size=20
)


@settings(deadline=None, max_examples=40)
@given(drawn=calls, data=st.data())
def test_a_restarted_step_goes_on_like_one_that_never_stopped(drawn: Times, data: st.DataObject) -> None:
    stream: list[tuple[int, Record]] = []
    minutes = 0
    for i, (gap, line, delay) in enumerate(drawn):
        minutes += gap
        stream.append((minutes, event(f"e{i}", minutes, line)))
        if delay is not None:
            stream.append((minutes + delay, label(f"e{i}", minutes + delay)))
    records = [record for _, record in sorted(stream, key=lambda timed: timed[0])]
    cut = data.draw(st.integers(0, len(records)))
    end = at(minutes + 200)
    make: Callable[[], IngestStep] = lambda: IngestStep(CONTRACT, *[FakeStores()] * 2)  # type: ignore[arg-type]  # noqa: E731
    steady, restarted = make(), make()
    steady.handle(records[:cut], end)
    for kind in (RawEvent, RawLabel):  # a worker restores topic by topic
        restarted.restore(only(kind, records[:cut]), end)
    assert restarted.handle(records[cut:], end) == steady.handle(records[cut:], end)


def test_after_a_restart_an_event_repeated_past_the_lateness_is_quarantined(step: IngestStep) -> None:
    step.restore([event("a", 0), event("b", 100)], at(100))
    out = step.handle([event("a", 0), event("b", 100)], at(101))
    assert [row.event_id for row in only(FeatureRow, out)] == ["b"]
    assert reasons(out)[0].startswith("too late")

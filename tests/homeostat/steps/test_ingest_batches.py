"""However events are cut into batches and whatever form they have, they are judged and kept alike."""

from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.batches import RawEvents
from homeostat.records import DeadLetter, FeatureRow, RawEvent
from homeostat.steps.ingest import IngestStep
from homeostat.tabular import feature_rows, json_rows
from tests.homeostat.steps.ingesting import CONTRACT, FakeStores, at, event, only


@settings(deadline=None, max_examples=40)
@given(
    drawn=st.lists(st.tuples(st.integers(-90, 90), st.integers(0, 30), st.floats(-1, 100)), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    copies=st.sampled_from([1, 3]),
)
def test_events_in_columns_are_handled_like_events_alone(
    drawn: list[tuple[int, int, float]], cuts: list[int], copies: int
) -> None:
    rows = [
        {"event_id": f"e{number}", "event_time": at(100 + minutes), "line": f"l{number % 3}", "seconds": seconds}
        for minutes, number, seconds in drawn
    ] * copies
    one, other = FakeStores(), FakeStores()
    alone = IngestStep(CONTRACT, one, one)  # type: ignore[arg-type]
    columns = IngestStep(CONTRACT, other, other)  # type: ignore[arg-type]
    bounds = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for start, stop in pairwise(bounds):
        table = pl.DataFrame(rows[start:stop])
        expected = alone.handle([RawEvent(value) for value in json_rows(table)], at(150))
        found = columns.handle([RawEvents(table)], at(150))
        assert feature_rows(found) == feature_rows(expected)
        assert only(DeadLetter, found) == only(DeadLetter, expected)
    assert (one.online, one.counts) == (other.online, other.counts)


@settings(deadline=None, max_examples=60)
@given(
    drawn=st.sampled_from([40, 90]).flatmap(
        lambda most: st.lists(
            st.tuples(st.integers(-most, 95 - most), st.integers(0, 20), st.floats(-1, 100)), max_size=12
        )
    ),
    cuts=st.sets(st.integers(1, 11)),
    begun=st.booleans(),
)
def test_events_are_judged_alike_however_many_come_at_once(
    drawn: list[tuple[int, int, float]], cuts: set[int], *, begun: bool
) -> None:
    events = [event(f"e{n}", 100 + minutes, f"l{n % 3}", seconds=seconds) for minutes, n, seconds in drawn]
    stores = [FakeStores(), FakeStores()]
    judged: list[list[tuple[str, ...]]] = [[], []]
    bounds = sorted({0, *(cut for cut in cuts if cut < len(events)), len(events)})
    for one, found, sizes in zip(stores, judged, (pairwise(bounds), pairwise(range(len(events) + 1))), strict=True):
        step = IngestStep(CONTRACT, one, one)  # type: ignore[arg-type]
        if begun:
            step.handle([event("first", 100)], at(150))
        for start, stop in sizes:
            out = step.handle(events[start:stop], at(150))
            found += [("row", row.event_id) for row in only(FeatureRow, out)]
            found += [("letter", letter.letter_id, letter.reason) for letter in only(DeadLetter, out)]
    assert sorted(judged[0]) == sorted(judged[1])
    newest = [{line: row.event_id for line, row in one.online.items()} for one in stores]
    assert newest[0] == newest[1]

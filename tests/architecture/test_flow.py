from pathlib import Path

from homeostat.batches import FeatureRows
from homeostat.codec import TOPIC_OF
from homeostat.flow import EXTERNAL, FLOW, dead_letters
from homeostat.records import FeatureRow

ROOT = Path(__file__).parents[2]


def test_every_topic_has_one_writer() -> None:
    written = [topic for row in FLOW for topic in (*row.produces, dead_letters(row.step))]
    assert len(written) == len(set(written))


def test_every_topic_read_is_written_by_someone() -> None:
    written = {topic for row in FLOW for topic in row.produces} | set(EXTERNAL)
    assert {topic for row in FLOW for topic in row.consumes} <= written


def test_data_goes_forward_only() -> None:
    known = set(EXTERNAL)
    for row in FLOW:
        assert set(row.consumes) <= known, f"{row.step} reads a topic that is written after it"
        known |= set(row.produces)


def test_every_topic_carries_one_kind_of_record_alone_or_many_as_a_table() -> None:
    topics = [topic for row in FLOW for topic in row.produces] + list(EXTERNAL)
    assert sorted(topic for kind, topic in TOPIC_OF.items() if kind is not FeatureRows) == sorted(topics)
    assert TOPIC_OF[FeatureRows] == TOPIC_OF[FeatureRow]


def test_every_step_of_the_map_has_its_module() -> None:
    modules = {p.stem for p in (ROOT / "homeostat" / "steps").glob("*.py")} - {"__init__"}
    assert modules == {row.step for row in FLOW}

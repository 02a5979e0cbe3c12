"""Vectors in files of past events."""

from pathlib import Path

import polars as pl
import pytest

from homeostat.contract.model import Contract
from homeostat.errors import InvalidRecordError
from homeostat.features.parsing import EventParser
from homeostat.replay.files import load_file
from homeostat.replay.recording import Track


def told(track: Track, toys: Contract) -> list[object]:
    """The vector of each message, or why it is refused."""
    parser, found = EventParser(toys), []
    for value in track.values:
        try:
            found.append(parser.parse(value).fields["emb"])
        except InvalidRecordError as error:
            found.append(str(error))
    return found


def test_a_csv_holds_vectors_as_json(toys: Contract, tmp_path: Path) -> None:
    cells = ["[1, 2.5, -3]", '{"1": 0.5}', "", "[1, 2]", "none at all", '{"3": 1}']
    frame = pl.DataFrame({"event_time": ["2024-01-01"] * 6, "shop": list("abcdef"), "emb": cells, "returned": [1] * 6})
    frame.write_csv(tmp_path / "toys.csv")
    first, sparse, absent, short, words, beyond = told(load_file(tmp_path / "toys.csv", toys).recording.events, toys)
    assert (first, sparse, absent) == ((1.0, 2.5, -3.0), (0.0, 0.5, 0.0), None)
    assert "is [1.0,2.0], expected a list of 3" in str(short)
    assert 'is "none at all", expected a list of 3' in str(words)
    assert "expected a list of 3" in str(beyond)


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.List(pl.Int32), pl.Array(pl.Float32, 3)])
def test_a_parquet_file_holds_vectors_as_lists(toys: Contract, tmp_path: Path, dtype: pl.DataType) -> None:
    emb = pl.Series("emb", [[1, 2, 3], None, [0, 0, 7]], pl.List(pl.Int64)).cast(dtype)
    frame = pl.DataFrame([pl.Series("event_time", ["2024-01-01"] * 3), pl.Series("shop", ["a", "b", "c"]), emb])
    frame.with_columns(returned=1).write_parquet(tmp_path / "toys.parquet")
    events = load_file(tmp_path / "toys.parquet", toys).recording.events
    assert told(events, toys) == [(1.0, 2.0, 3.0), None, (0.0, 0.0, 7.0)]


def test_a_list_with_a_gap_or_of_words_is_refused_with_the_reason(toys: Contract, tmp_path: Path) -> None:
    path = tmp_path / "toys.parquet"
    head = {"event_time": ["2024-01-01"] * 2, "shop": ["a", "b"], "returned": [1, 0]}
    pl.DataFrame({**head, "emb": [[1.0, None, 2.0], [1.0, float("nan"), 2.0]]}).write_parquet(path)
    gap, odd = told(load_file(path, toys).recording.events, toys)
    assert "is [1.0,null,2.0], expected a list of 3" in str(gap)
    assert "expected a list of 3" in str(odd) or "finite" in str(odd)
    pl.DataFrame({**head, "emb": [["x"], ["y"]]}).write_parquet(path)
    words, _ = told(load_file(path, toys).recording.events, toys)
    assert "field 'emb' is" in str(words)
    assert "expected a list of 3" in str(words)

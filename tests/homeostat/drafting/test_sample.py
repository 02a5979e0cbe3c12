from pathlib import Path

import polars as pl
import pytest

from homeostat.drafting.sample import HEAD_BYTES, WHOLE_BYTES, WHOLE_ROWS, read_sample
from homeostat.errors import HomeostatError

TEXT = "abcdef " * 15 + "z"


def read(tmp_path: Path, content: bytes | str) -> pl.DataFrame:
    path = tmp_path / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_sample(path).frame


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    text = "\n".join(separator.join(cells) for cells in (["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]))
    assert read(tmp_path, text).to_dict(as_series=False) == {"a": ["1", "4"], "b": ["2", "5"], "c": ["3", "6"]}


def test_commas_inside_cells_do_not_hide_the_semicolon(tmp_path: Path) -> None:
    frame = read(tmp_path, "name;price;note\nx;1,5;a, b\ny;2,5;c\n")
    assert frame.columns == ["name", "price", "note"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    frame = read(tmp_path, "größe,ort\n1,Zürich\n2,Bonn\n".encode(encoding))
    assert frame.to_dict(as_series=False) == {"größe": ["1", "2"], "ort": ["Zürich", "Bonn"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quoted_cells_hold_separators_and_line_breaks(tmp_path: Path, end: str) -> None:
    frame = read(tmp_path, f'a,b{end}"x, ""y""","1\n2"{end}{end}z,3')
    assert frame.rows() == [('x, "y"', "1\n2"), ("z", "3")]


def test_rows_of_another_length_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1\n2,3\n4,5,6\n")
    sample = read_sample(path)
    assert sample.frame.rows() == [("1", ""), ("2", "3"), ("4", "5")]
    assert sample.notes == ("2 rows have more or fewer cells than the header",)


def test_a_quote_that_is_never_closed_is_a_plain_character(tmp_path: Path) -> None:
    frame = read(tmp_path, 'a,b\n1,"2\n' + "3,4\n" * 50_000)
    assert frame.height == 50_001


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has one column"),
        (b"a,b\n", "has no rows"),
        (b"justone\n1\n2\n", "has one column"),
        (b"1,2,3\n4,5,6\n", "the first line isn't a header: 1, 2, 3"),
        (b"569,30,malignant,benign\n1,2,3,4,5,6,7\n", "names 4 columns (569, 30, malignant, benign) where rows have 7"),
        (b"a,b\n\x00\x01,2\n", "is no text"),
        (b"\x1f\x8b\x08\x00abc", "is compressed by gzip"),
        (b"PK\x03\x04abc", "is compressed by zip"),
        (b"PAR1 and nothing else", "can't be read as Parquet"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(HomeostatError) as error:
        read(tmp_path, content)
    assert said in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(HomeostatError, match=r"nix\.csv: can't be read: No such file"):
        read_sample(tmp_path / "nix.csv")
    with pytest.raises(HomeostatError, match="can't be read: Is a directory"):
        read_sample(tmp_path)


def test_names_that_are_missing_or_doubled_are_left_out_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(",a,a\n0,1,2\n1,3,4\n")
    sample = read_sample(path)
    assert sample.frame.to_dict(as_series=False) == {"a": ["1", "3"]}
    assert len(sample.notes) == 2


@pytest.mark.parametrize("rows", [75_000, 160_000])
def test_a_large_csv_is_looked_at_from_start_to_end(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "large.csv"
    width = len(f"{0:07},{TEXT}\n")
    path.write_text("n,text\n" + "".join(f"{i:07},{TEXT}\n" for i in range(rows)))
    assert path.stat().st_size > WHOLE_BYTES
    sample = read_sample(path)
    seen = sample.frame["n"].cast(pl.Int64)
    assert not sample.whole
    assert sample.rows == pytest.approx(rows, rel=0.01)
    assert seen.is_sorted()
    assert seen.n_unique() == len(seen)
    assert (seen[0], seen[-1]) == (0, rows - 1)
    assert seen.diff().max() < rows / 15  # no stretch of the file is left unseen
    assert sample.frame["text"].unique().to_list() == [TEXT]
    assert len(seen) * width < 2 * (HEAD_BYTES + WHOLE_BYTES)


@pytest.mark.parametrize(("encoding", "cell"), [("utf-16", "plain"), ("utf-8", '"two\nlines"')])
def test_of_a_large_csv_that_cannot_be_cut_the_start_is_looked_at(tmp_path: Path, encoding: str, cell: str) -> None:
    path = tmp_path / "large.csv"
    path.write_text("n,text,pad\n" + f"1,{cell},{TEXT}\n" * 80_000, encoding=encoding)
    sample = read_sample(path)
    assert "only the start of the file was looked at" in sample.notes
    assert sample.frame["text"].unique().to_list() == [cell.strip('"')]


def test_a_large_parquet_is_looked_at_from_start_to_end(tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    pl.DataFrame({"n": range(4 * WHOLE_ROWS)}).write_parquet(path, row_group_size=50_000)
    sample = read_sample(path)
    assert sample.rows == 4 * WHOLE_ROWS
    assert sample.frame.height <= WHOLE_ROWS
    assert (sample.frame["n"][0], sample.frame["n"][-1]) == (0, 4 * WHOLE_ROWS - 1)

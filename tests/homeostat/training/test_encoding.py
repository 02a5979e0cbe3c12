import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.errors import ModelError
from homeostat.training.encoding import Encoder, fit_encoder

FRAME = pl.DataFrame({"n": [1.5, None, 3.0], "c": ["y", None, "x"]})


def test_categories_get_codes_in_alphabetical_order_and_missing_cells_are_nan() -> None:
    matrix = fit_encoder(FRAME, ["n", "c"], frozenset({"c"})).matrix(FRAME)
    np.testing.assert_array_equal(matrix, np.array([[1.5, 1], [np.nan, np.nan], [3.0, 0]], dtype=np.float32))


def test_a_category_never_met_reads_as_missing() -> None:
    encoder = fit_encoder(FRAME, ["n", "c"], frozenset({"c"}))
    assert np.isnan(encoder.matrix(pl.DataFrame({"n": [0.0], "c": ["z"]}))[0, 1])


def test_an_absent_column_is_refused_by_name() -> None:
    encoder = fit_encoder(FRAME, ["n", "c"], frozenset({"c"}))
    with pytest.raises(ModelError, match="'c'"):
        encoder.matrix(FRAME.select("n"))


def test_text_in_a_number_column_is_refused() -> None:
    encoder = fit_encoder(FRAME, ["n"], frozenset())
    with pytest.raises(ModelError, match="'n'"):
        encoder.matrix(pl.DataFrame({"n": ["many"]}))


def test_a_column_of_nothing_but_missing_cells_scores_as_missing() -> None:
    encoder = fit_encoder(FRAME, ["n", "c"], frozenset({"c"}))
    empty = pl.DataFrame({"n": [None], "c": [None]}, schema={"n": pl.Float64, "c": pl.String})
    assert np.isnan(encoder.matrix(empty)).all()


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=30))
@settings(max_examples=50)
def test_a_stored_encoder_encodes_the_same(cells: list[str | None]) -> None:
    frame = pl.DataFrame({"c": cells}, schema={"c": pl.String})
    encoder = fit_encoder(frame, ["c"], frozenset({"c"}))
    again = Encoder.from_dict(encoder.to_dict())
    np.testing.assert_array_equal(encoder.matrix(frame), again.matrix(frame))


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=True), st.integers(-(2**62), 2**62), st.booleans()),
            st.one_of(st.none(), st.sampled_from(["x", "y", "never met"])),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=100)
def test_plain_cells_encode_as_a_frame_of_them_does(rows: list[tuple[float | None, str | None]]) -> None:
    encoder = fit_encoder(FRAME, ["n", "c"], frozenset({"c"}))
    numbers, texts = zip(*rows, strict=True)
    columns = {"n": [None if n is None else float(n) for n in numbers], "c": list(texts)}
    frame = pl.DataFrame(columns, schema={"n": pl.Float64, "c": pl.String})
    np.testing.assert_array_equal(encoder.cell_matrix({"n": numbers, "c": texts}), encoder.matrix(frame))


@pytest.mark.parametrize("columns", [{"n": (1.0,)}, {"n": ("many",), "c": ("x",)}, {"n": (10**400,), "c": ("x",)}])
def test_cells_that_are_absent_or_no_numbers_are_refused_by_column(columns: dict[str, tuple[object]]) -> None:
    encoder = fit_encoder(FRAME, ["n", "c"], frozenset({"c"}))
    with pytest.raises(ModelError, match=r"column '[nc]' can't be scored"):
        encoder.cell_matrix(columns)  # type: ignore[arg-type]

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

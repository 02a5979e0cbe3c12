from datetime import date, time

import polars as pl
import pytest

from homeostat.contract.model import FieldType
from homeostat.drafting.columns import Column, read_columns
from homeostat.drafting.fields import field_of
from homeostat.drafting.personal import personal_data


def column(name: str, cells: list[object]) -> Column:
    columns, left = read_columns(pl.DataFrame({name: pl.Series(cells, strict=False)}))
    assert columns, left
    return columns[0]


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("n", ["1", "2", ""], "integer"),
        ("n", ["1.0", "2.0"], "number"),
        ("n", ["1,234", "56"], "integer"),
        ("n", ["1.5", "NA", "3"], "number"),
        ("n", ["0,5", "12,25"], "number"),
        ("n", ["yes", "No", ""], "boolean"),
        ("n", ["T", "F"], "boolean"),
        ("n", ["M", "F"], "string"),
        ("n", ["0", "1"], "integer"),
        ("zip", ["01234", "56789"], "string"),
        ("store_id", ["12", "13"], "string"),
        ("n", ["2024-01-31", "2024-02-01"], "time"),
        ("n", ["31.01.2024 10:00", "01.02.2024 11:00"], "time"),
        ("created_at", ["1710419400", "1710419401"], "time"),
        ("n", ["1710419400", "1710419401"], "integer"),
        ("n", ["10:30", "11:00"], "string"),
        ("n", [1.5, None], "number"),
        ("n", [True, False], "boolean"),
        ("n", [date(2024, 1, 1)], "time"),
        ("n", ["a", "b"], "string"),
    ],
)
def test_a_type_is_what_fits_all_cells(name: str, cells: list[object], kind: FieldType) -> None:
    assert column(name, cells).type == kind


def test_few_unreadable_cells_do_not_change_the_type_and_are_told() -> None:
    field = field_of(column("n", [*map(str, range(200)), "x", "y"]))
    assert field.spec == "integer"
    assert "2 rows have something else there and will be refused" in field.comment


def test_what_cannot_be_read_is_not_missing() -> None:
    found = column("n", [*map(str, range(200)), "x", "y", "x", ""])
    assert (found.missing, found.unreadable) == (1, 3)
    assert found.strange == "'x' or 'y'"
    assert field_of(found).spec == "{type: integer, nullable: true}"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["2024-01-31T10:00:00Z", "2024-02-01 10:00:00+01:00"], "year-month-day"),
        (["2024-01-31 10:00", "2024-02-01 10:00"], "year-month-day, taken as UTC"),
        (["2024-01-31", "2024-02-01"], "year-month-day, taken as UTC"),
        (["2024-01-31T10:00:00Z", "2024-02-01T10:00:00"], "year-month-day, the 1 without a zone are taken as UTC"),
    ],
)
def test_times_without_a_zone_are_told(cells: list[str], said: str) -> None:
    why = column("at", cells).why
    assert why.split(" (--timezone")[0] == said


def test_many_unreadable_cells_make_a_text() -> None:
    assert column("n", [*map(str, range(20)), "x", "y"]).type == "string"


def test_what_no_field_takes_is_left_out() -> None:
    frame = pl.DataFrame({"a": [[1], [2]], "b": [{"x": 1}, {"x": 2}], "c": [time(1), time(2)], "d": ["", "NA"]})
    columns, left = read_columns(frame)
    assert not columns
    assert [out.source for out in left] == ["a", "b", "c", "d"]


def test_the_column_whose_name_fits_keeps_it() -> None:
    columns, left = read_columns(pl.DataFrame({"My Size": [1, 2], "my_size": [3, 4]}))
    assert [(c.source, c.name) for c in columns] == [("my_size", "my_size")]
    assert left[0].source == "My Size"


def test_the_order_of_the_rows_tells_day_from_month() -> None:
    found = column("d", ["01/02/2024", "12/02/2024", "01/03/2024"])
    assert (found.written, found.unsure) == ("day_first", False)
    assert column("d", ["05/02/2024", "03/04/2024", "01/03/2024"]).unsure


@pytest.mark.parametrize(
    ("name", "cells", "spec"),
    [
        ("price", [1.5, 20.0], "{type: number, min: 0}"),
        ("price_change", [1.5, 20.0], "number"),
        ("load", [1.5, 20.0], "number"),
        ("hour", [0, 23], "{type: integer, min: 0, max: 23}"),
        ("hour", [0, 99], "integer"),
        ("lat", [-10.5, 80.0], "{type: number, min: -90, max: 90}"),
        ("share", [0.1, 0.9], "{type: number, min: 0, max: 1}"),
        ("flag", [0, 1, None], "{type: integer, nullable: true, min: 0, max: 1}"),
    ],
)
def test_bounds_are_given_only_where_a_value_beyond_must_be_wrong(name: str, cells: list[object], spec: str) -> None:
    assert field_of(column(name, cells)).spec == spec


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("contact", ["a@x.org", "b@y.com"]),
        ("e_mail", ["a", "b"]),
        ("contact", ["+49 170 1234567", "+49 171 7654321"]),
        ("phone", [491701234567, 491707654321]),
        ("host", ["10.0.0.1", "192.168.1.77"]),
        ("account", ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"]),
        ("number", ["4111 1111 1111 1111", "5500 0000 0000 0004"]),
        ("ssn", ["078051120", "219099999"]),
        ("x", ["078-05-1120", "219-09-9999"]),
        ("date_of_birth", ["1980-01-01", "1990-02-02"]),
        ("first_name", ["Ada", "Alan"]),
    ],
)
def test_personal_data_is_seen_by_name_or_form(name: str, cells: list[object]) -> None:
    assert personal_data(column(name, cells)) is not None


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("product_name", ["pen", "ink"]),
        ("email_opens", [1, 2]),
        ("has_phone", [True, False]),
        ("version", ["1.2.3", "1.2.4"]),
        ("number", ["4111111111111112", "12"]),
        ("trip", ["a-b", "c-d"]),
    ],
)
def test_other_data_is_not_taken_for_personal(name: str, cells: list[object]) -> None:
    assert personal_data(column(name, cells)) is None


@pytest.mark.parametrize(
    "cells",
    [
        [[1.0, 2.0, 3.0], None, [0.0, 0.5, 1.0]],
        ["[1, 2, 3]", "", "[0, 0.5, 1]"],
    ],
    ids=["lists", "texts"],
)
def test_lists_of_one_length_are_vectors(cells: list[object]) -> None:
    found = column("emb", cells)
    assert (found.type, found.missing, found.why) == ("vector", 1, "lists of 3 numbers")
    field = field_of(found)
    assert field.spec == "{type: vector, size: 3, nullable: true}"
    assert field.example == {"0": 1.0}


@pytest.mark.parametrize(
    "cells", [[[1.0], [1.0, 2.0], [1.0, 2.0, 3.0]], [["a", "b"], ["c", "d"]], [[{"a": 1}], [{"a": 2}]], [[1.0], [2.0]]]
)
def test_other_lists_are_left_out(cells: list[object]) -> None:
    columns, left = read_columns(pl.DataFrame({"emb": cells, "n": list(range(len(cells)))}))
    assert [c.name for c in columns] == ["n"]
    assert "which no field takes" in left[0].why

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.contract.names import slug

VALID = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_column_gets_a_valid_name_that_is_its_own_name(column: str) -> None:
    name = slug(column)
    assert VALID.fullmatch(name)
    assert slug(name) == name


def test_a_column_that_loses_letters_keeps_a_name_of_its_own() -> None:
    assert len({slug(column) for column in ("имя", "имя_2", "фам", "фам_2", "€", "x" * 80, "x" * 81)}) == 7


def test_accents_and_case_are_folded() -> None:
    assert [slug(column) for column in ("Größe", "E-Mail", "HTTPServer", " a  b ")] == [
        "grosse",
        "e_mail",
        "http_server",
        "a_b",
    ]

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.contract.expression_types import kind_of
from homeostat.contract.expressions import FUNCTIONS, MAX_CHARS, MAX_DEPTH, parse_expression

KINDS = {"n": "number", "m": "number", "b": "boolean", "s": "string", "t": "time"}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a + b * -2 / 3 % c // 4", {"a", "b", "c"}),
        ("a ** 2 + b ** -0.5", {"a", "b"}),
        ("0 < a <= 10 and not b or c != 'x'", {"a", "b", "c"}),
        ("1 if is_null(a) else coalesce(b, c, 0)", {"a", "b", "c"}),
        ('hour(t, "America/New_York") * 60 + minute(t)', {"t"}),
        ("min(a, b) + max(a, b, c) + sqrt(abs(sin(a))) - log1p(cos(b))", {"a", "b", "c"}),
        ("weekday(t) + month(t) + day_of_year(t) + epoch_s(t)", {"t"}),
        ("  (a\n + b)  ", {"a", "b"}),
        ("hour", {"hour"}),  # a field may be called like a function
        ("1 + 1", set()),
    ],
)
def test_an_expression_names_the_fields_it_needs(text: str, fields: set[str]) -> None:
    assert parse_expression(text).fields == fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__import__('os').system('ls')", "calls an attribute - allowed are numbers, texts, field names"),
        ("eval('a')", "unknown function 'eval' - expected one of abs, coalesce"),
        ("a.b", "'a.b' is an attribute"),
        ("a[0]", "'a[0]' is a subscript"),
        ("lambda: 1", "is a lambda"),
        ("[x for x in a]", "is a listcomp"),
        ("f'{a}'", "is a joinedstr"),
        ("(a := 1)", "is a namedexpr"),
        ("a @ b", "'a @ b' uses 'matmult'"),
        ("a is b", "uses 'is'"),
        ("a in b", "uses 'in'"),
        ("~a", "uses 'invert'"),
        ("huor(t)", "unknown function 'huor' - did you mean 'hour'?"),
        ("abs(a, b)", "'abs(a, b)' - abs takes 1 argument, not 2"),
        ("hour()", "'hour()' - hour takes 1 to 2 arguments, not 0"),
        ("abs(x=a)", "abs takes 1 argument, not named arguments"),
        ("min(*a, *b)", "'*a' is a starred"),
        ("hour(t, z)", "'z' - the second argument is the name of a zone"),
        ("hour(t, 'America/NewYork')", "unknown zone 'America/NewYork' - did you mean 'America/New_York'?"),
        ("hour(t, '../../etc/passwd')", "unknown zone"),
        ("2 ** 9 ** 9", "the exponent of ** is a number from -8 to 8"),
        ("a ** b", "the exponent of ** is a number from -8 to 8"),
        ("a ** True", "the exponent of ** is a number from -8 to 8"),
        ("a + 1e400", "is too large - numbers go up to 1e+15"),
        ("9" * 400, "is too large"),
        ("None", "ask for a missing value by is_null(field)"),
        ("1j", "is of the type complex"),
        ("b'x'", "is of the type bytes"),
        ("a +", "can't be read: invalid syntax at character 3"),
        ("", "can't be read"),
        ("a\x00", "can't be read"),
        ("(" * 300, "can't be read"),
        ("-" * 500 + "a", f"nested deeper than {MAX_DEPTH} levels"),
        ("a" * (MAX_CHARS + 1), "1001 characters - allowed are 1000"),
    ],
)
def test_everything_outside_the_whitelist_is_refused_in_words(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        parse_expression(text)


@settings(deadline=None)
@given(st.text(max_size=60) | st.text("ab01+-*/%<>=()[]{},.'\" :@~hourmin\\", max_size=60))
def test_any_text_is_an_expression_or_a_value_error(text: str) -> None:
    try:
        parse_expression(text)
    except ValueError as error:
        said = str(error)
    else:
        said = "fine"
    assert said


def test_every_function_says_how_many_arguments_it_takes() -> None:
    assert all(1 <= fewest <= most for fewest, most in FUNCTIONS.values())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("n * 2 + b", "number"),
        ("n > 2", "boolean"),
        ("s == 'x' and t < t", "boolean"),
        ("is_null(s) or not b", "boolean"),
        ("n if b else -m", "number"),
        ("coalesce(s, 'none')", "string"),
        ("hour(t, 'UTC')", "number"),
        ("max(n, m)", "number"),
        ("t", "time"),
        ("True", "boolean"),
        ("b == 1 and n", "boolean"),
        ("coalesce(b, 0)", "number"),
    ],
)
def test_the_kind_of_a_value_follows_from_its_fields(text: str, kind: str) -> None:
    assert kind_of(parse_expression(text), KINDS) == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s + 1", "'s' is a string - arithmetic (of times: through epoch_s) takes a number or boolean"),
        ("t - t", "'t' is a time - arithmetic (of times: through epoch_s)"),
        ("-s", "'s' is a string - a sign takes"),
        ("hour(n)", "'n' is a number - hour takes a time"),
        ("log1p(s)", "'s' is a string - log1p takes a number or boolean"),
        ("s and b", "'s' is a string - and takes a number or boolean"),
        ("not t", "'t' is a time - not takes a number or boolean"),
        ("1 if s else 2", "'s' is a string - if takes a number or boolean"),
        ("s < n", "'s < n' mixes number and string - expected values of one kind"),
        ("n if b else s", "mixes number and string"),
        ("coalesce(n, 'x')", "mixes number and string"),
        ("min(s, s)", "'s' is a string - min takes a number or boolean"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_words(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        kind_of(parse_expression(text), KINDS)

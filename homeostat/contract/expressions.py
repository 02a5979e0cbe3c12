"""The expression language of features: a small, safe part of Python over the fields of one event.

Python's own parser reads it and a whitelist goes over the tree; nothing is ever evaluated as Python.
``homeostat.features`` compiles the tree to columns.

Allowed: numbers, texts, ``True``, ``False``; field names; ``+ - * / % //``, and ``**`` with a small number as
exponent; comparisons, also chained; ``and``, ``or``, ``not``; ``a if condition else b``; the functions in
``FUNCTIONS``. Functions of time read UTC, or the zone named as second argument:
``hour(scheduled_at, "America/New_York")``.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NoReturn
from zoneinfo import ZoneInfo, available_timezones

from homeostat.contract.names import suggestion

FUNCTIONS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "hour": (1, 2),
        "minute": (1, 2),
        "weekday": (1, 2),  # 1 is Monday, 7 is Sunday
        "month": (1, 2),
        "day_of_year": (1, 2),
        "epoch_s": (1, 2),  # seconds since 1970; a zone is allowed and changes nothing
        "log1p": (1, 1),
        "sqrt": (1, 1),
        "abs": (1, 1),
        "sin": (1, 1),
        "cos": (1, 1),
        "min": (2, 8),
        "max": (2, 8),
        "is_null": (1, 1),
        "coalesce": (2, 8),
    }
)
"""The fewest and the most arguments of each function."""

TIME_FUNCTIONS: Final = frozenset({"hour", "minute", "weekday", "month", "day_of_year", "epoch_s"})
"""Functions of a time field, with an IANA zone as optional second argument."""

MAX_CHARS: Final = 1000
MAX_DEPTH: Final = 50  # far below Python's own recursion limit, for us and for who compiles the tree
MAX_NUMBER: Final = 1e15  # whole numbers up to here are exact in a float
MAX_EXPONENT: Final = 8

_ALLOWED: Final = (
    "allowed are numbers, texts, field names, + - * / % // **, comparisons, and/or/not, 'a if c else b', "
    f"and the functions {', '.join(FUNCTIONS)}"
)
_OPERATORS: Final = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.FloorDiv, ast.Pow),
    *(ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
_COMPOUND: Final = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp)


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression: its text, its tree, and the event fields it needs."""

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    fields: frozenset[str]


def parse_expression(text: str) -> Expression:
    """Return the checked expression behind a text.

    Args:
        text: At most 1000 characters; spaces and line breaks around it don't count.

    Raises:
        ValueError: It can't be read, or holds something outside the whitelist; the text says what was
            found, what is allowed, and the nearest valid name.

    >>> sorted(parse_expression("distance / coalesce(air_time, 60)").fields)
    ['air_time', 'distance']
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"{len(text)} characters - allowed are {MAX_CHARS}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"can't be read: {error.msg} at character {error.offset or len(text)} - {_ALLOWED}") from None
    except (RecursionError, MemoryError, ValueError) as error:
        raise ValueError(f"can't be read: {error} - {_ALLOWED}") from None
    return Expression(text, tree, frozenset(_names(tree, 0)))


def _names(node: ast.expr, depth: int) -> Iterator[str]:
    """Yield the field names below a node, refusing everything outside the whitelist on the way."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Constant):
        _check_constant(node)
    elif isinstance(node, (ast.Call, *_COMPOUND)):
        arguments = _check_call(node) if isinstance(node, ast.Call) else _check_compound(node)
        for argument in arguments:
            yield from _names(argument, depth + 1)
    else:
        _refuse(node, f"is {_kind(node)} - {_ALLOWED}")


def _check_constant(node: ast.Constant) -> None:
    value = node.value
    if value is None:
        raise ValueError("None is not a value here - ask for a missing value by is_null(field)")
    if not isinstance(value, bool | int | float | str):
        _refuse(node, f"is of the type {type(value).__name__} - {_ALLOWED}")
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        _refuse(node, f"is too large - numbers go up to {MAX_NUMBER:g}")


def _check_compound(node: ast.expr) -> list[ast.expr]:
    """Return the operands after a look at the operators."""
    operands: list[ast.expr] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            operands.append(child)
        elif not isinstance(child, _OPERATORS):
            _refuse(node, f"uses '{type(child).__name__.lower()}' - {_ALLOWED}")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        _check_exponent(node)
    return operands


def _check_exponent(node: ast.BinOp) -> None:
    exponent = node.right
    if isinstance(exponent, ast.UnaryOp) and isinstance(exponent.op, ast.USub):
        exponent = exponent.operand
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_EXPONENT:
        _refuse(node, f"- the exponent of ** is a number from -{MAX_EXPONENT} to {MAX_EXPONENT}")


def _check_call(node: ast.Call) -> list[ast.expr]:
    """Return the arguments that are expressions themselves."""
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name is None:
        _refuse(node, f"calls {_kind(node.func)} - {_ALLOWED}")
    if name not in FUNCTIONS:
        raise ValueError(f"unknown function '{name}' - {suggestion(name, FUNCTIONS)}")
    fewest, most = FUNCTIONS[name]
    if node.keywords or not fewest <= len(node.args) <= most:
        wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        given = "named arguments" if node.keywords else f"{len(node.args)}"
        _refuse(node, f"- {name} takes {wanted} argument{'s' * (most > 1)}, not {given}")
    if name in TIME_FUNCTIONS and len(node.args) == 2:
        _check_zone(node.args[1])
        return node.args[:1]
    return node.args


def _check_zone(node: ast.expr) -> None:
    zone = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(zone, str):
        _refuse(node, '- the second argument is the name of a zone, like "America/New_York"')
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):  # unknown, or a path that leads nowhere
        near = suggestion(zone, available_timezones())
        hint = near if near.startswith("did") else 'expected an IANA name like "America/New_York"'
        raise ValueError(f"unknown zone '{zone}' - {hint}") from None


def _kind(node: ast.AST) -> str:
    """Return what Python calls a node, in words: ``Subscript`` is 'a subscript'."""
    name = type(node).__name__.lower()
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _refuse(node: ast.AST, why: str) -> NoReturn:
    text = ast.unparse(node)
    raise ValueError(f"'{text if len(text) <= 60 else text[:57] + '...'}' {why}")

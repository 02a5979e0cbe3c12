"""The type of an expression's value, so that a mismatch is found in the contract and not in the stream."""

import ast
from collections.abc import Callable, Mapping
from typing import Final, Literal, cast

from homeostat.contract.expressions import TIME_FUNCTIONS, Expression
from homeostat.contract.model import FieldType

Kind = Literal["number", "boolean", "string", "time"]
KIND_OF: Final[Mapping[FieldType, Kind]] = {
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "string": "string",
    "time": "time",
}
_NUMERIC: Final = frozenset({"number", "boolean"})  # True counts as 1, and any number but 0 is true
_TIME: Final = frozenset({"time"})
_SAME_KIND: Final = frozenset({"coalesce", "min", "max"})


def kind_of(expression: Expression, kinds: Mapping[str, Kind]) -> Kind:
    """Return what kind of value an expression has.

    Args:
        expression: A checked expression.
        kinds: The kind of each field it names.

    Raises:
        ValueError: An operator or function is given a kind of value it has no meaning for.

    >>> from homeostat.contract.expressions import parse_expression
    >>> kind_of(parse_expression("hour(sent_at) < 6"), {"sent_at": "time"})
    'boolean'
    """
    return _kind(expression.tree, kinds)


def _kind(node: ast.expr, kinds: Mapping[str, Kind]) -> Kind:
    if isinstance(node, ast.Name):
        return kinds[node.id]
    if isinstance(node, ast.Constant):
        return {bool: "boolean", str: "string"}.get(type(node.value), "number")  # type: ignore[return-value]
    return _RULES[type(node)](node, kinds)


def _need(nodes: list[ast.expr], allowed: frozenset[str], kinds: Mapping[str, Kind], user: str) -> None:
    for node in nodes:
        if (found := _kind(node, kinds)) not in allowed:
            wanted = " or ".join(sorted(allowed, reverse=True))
            raise ValueError(f"'{ast.unparse(node)}' is a {found} - {user} takes a {wanted}")


def _same(nodes: list[ast.expr], kinds: Mapping[str, Kind], user: str) -> Kind:
    """Return the kind the nodes share; numbers and truth values mix to numbers."""
    found = {_kind(node, kinds) for node in nodes}
    if found == _NUMERIC:
        return "number"
    if len(found) > 1:
        raise ValueError(f"{user} mixes {' and '.join(sorted(found))} - expected values of one kind")
    return found.pop()


def _operation(node: ast.BinOp, kinds: Mapping[str, Kind]) -> Kind:
    _need([node.left, node.right], _NUMERIC, kinds, "arithmetic (of times: through epoch_s)")
    return "number"


def _unary(node: ast.UnaryOp, kinds: Mapping[str, Kind]) -> Kind:
    if isinstance(node.op, ast.Not):
        _need([node.operand], _NUMERIC, kinds, "not")
        return "boolean"
    _need([node.operand], _NUMERIC, kinds, "a sign")
    return "number"


def _logic(node: ast.BoolOp, kinds: Mapping[str, Kind]) -> Kind:
    _need(node.values, _NUMERIC, kinds, "and" if isinstance(node.op, ast.And) else "or")
    return "boolean"


def _comparison(node: ast.Compare, kinds: Mapping[str, Kind]) -> Kind:
    _same([node.left, *node.comparators], kinds, f"'{ast.unparse(node)}'")
    return "boolean"


def _choice(node: ast.IfExp, kinds: Mapping[str, Kind]) -> Kind:
    _need([node.test], _NUMERIC, kinds, "if")
    return _same([node.body, node.orelse], kinds, f"'{ast.unparse(node)}'")


def _call(node: ast.Call, kinds: Mapping[str, Kind]) -> Kind:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name == "is_null":
        _kind(node.args[0], kinds)
        return "boolean"
    if name in _SAME_KIND:
        kind = _same(node.args, kinds, f"'{ast.unparse(node)}'")
        if name == "coalesce":
            return kind
    allowed, arguments = (_TIME, node.args[:1]) if name in TIME_FUNCTIONS else (_NUMERIC, node.args)
    _need(arguments, allowed, kinds, name)
    return "number"


_RULES: Final = cast(
    "Mapping[type[ast.expr], Callable[[ast.expr, Mapping[str, Kind]], Kind]]",
    {
        ast.BinOp: _operation,
        ast.UnaryOp: _unary,
        ast.BoolOp: _logic,
        ast.Compare: _comparison,
        ast.IfExp: _choice,
        ast.Call: _call,
    },
)

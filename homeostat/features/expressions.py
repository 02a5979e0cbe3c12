"""Expressions of a contract become polars columns: booleans as 1.0 and 0.0, and null in gives null out."""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Final, TypeGuard

import polars as pl

from homeostat.contract.expressions import TIME_FUNCTIONS, parse_expression
from homeostat.contract.model import FieldType

DTYPES: Final[Mapping[FieldType, pl.DataType]] = {
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
    "string": pl.String(),
    "time": pl.Datetime("us", "UTC"),
    "vector": pl.List(pl.Float64()),
}
"""The column type of each type of field; a compiled expression takes any but a vector."""

_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[pl.Expr, pl.Expr], pl.Expr]]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,  # the sign of the divisor, like Python's
    ast.Pow: lambda a, b: a.pow(b),
}
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[pl.Expr, pl.Expr], pl.Expr]]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}
_NUMERIC: Final[Mapping[str, Callable[[pl.Expr], pl.Expr]]] = {
    "log1p": lambda x: x.log1p(),
    "sqrt": lambda x: x.sqrt(),
    "abs": lambda x: x.abs(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
}
_PARTIAL: Final = frozenset({ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, "log1p", "sqrt"})
"""What finite numbers may not have a finite result of, short of an overflow."""

_OF_TIME: Final[Mapping[str, Callable[[pl.Expr], pl.Expr]]] = {
    "hour": lambda t: t.dt.hour(),
    "minute": lambda t: t.dt.minute(),
    "weekday": lambda t: t.dt.weekday(),
    "month": lambda t: t.dt.month(),
    "day_of_year": lambda t: t.dt.ordinal_day(),
    "epoch_s": lambda t: t.dt.timestamp("us") / 1e6,
}


def compile_expression(text: str, types: Mapping[str, FieldType]) -> pl.Expr:
    """Return a float64 column expression over columns typed as in ``DTYPES``.

    What is not finite (a division by zero, the root of a negative number) is null on the spot, so that
    ``coalesce`` sees it and a comparison doesn't. ``and`` and
    ``or`` know three values: what is false whatever the missing part says is 0.0, not null.

    Args:
        text: An expression of ``homeostat.contract.expressions``.
        types: The type of each field it may name.

    Raises:
        ValueError: It is outside the language, names an unknown field, or mixes texts and times with numbers.

    >>> frame = pl.DataFrame({"a": [1.0, None]})
    >>> frame.select(compile_expression("a / 4 + 1", {"a": "number"})).to_series().to_list()
    [1.25, None]
    """
    part = _Compiler(types).compile(parse_expression(text).tree)
    return _number(part) if part.finite else _finite(_number(part))


class _Typed:
    """A column expression with its type; numbers are float64 throughout, ``finite`` if they can't be otherwise."""

    __slots__ = ("expr", "finite", "type")

    def __init__(self, expr: pl.Expr, type_: FieldType, *, finite: bool = False) -> None:
        self.expr = expr
        self.type = type_
        self.finite = finite or type_ == "boolean"


def _number(part: _Typed) -> pl.Expr:
    """Return a part as float64."""
    if part.type in ("string", "time"):
        raise ValueError(f"a {part.type} stands where a number is needed - compare it, or take a function of it")
    return part.expr.cast(pl.Float64) if part.type == "boolean" else part.expr


def _finite(expr: pl.Expr) -> pl.Expr:
    """Return numbers with null in place of NaN and the infinities."""
    return pl.when(expr.is_finite()).then(expr)


def _result(operation: type[ast.operator] | str, result: pl.Expr) -> _Typed:
    """Return what an operation makes of numbers; asking if it is finite computes it twice, so only where needed."""
    finite = operation in _PARTIAL
    return _Typed(_finite(result) if finite else result, "number", finite=finite)


def _truth(part: _Typed) -> pl.Expr:
    """Return a part as a truth value; any number but zero is true."""
    return part.expr if part.type == "boolean" else _number(part) != 0.0


def _unless_missing(parts: Sequence[_Typed], result: pl.Expr) -> pl.Expr:
    """Return ``result`` where no part is null."""
    return pl.when(pl.all_horizontal(part.expr.is_not_null() for part in parts)).then(result)


def _alike(parts: Sequence[_Typed]) -> tuple[list[pl.Expr], FieldType]:
    """Return parts in one type, so that they can be compared or take one another's place."""
    kinds = {part.type for part in parts}
    if len(kinds) == 1:
        return [part.expr for part in parts], parts[0].type
    return [_number(part) for part in parts], "number"


class _Compiler:
    """Walks a checked tree; the depth of the tree is limited where it is parsed."""

    def __init__(self, types: Mapping[str, FieldType]) -> None:
        self._types = types

    def compile(self, node: ast.expr) -> _Typed:
        """Return the column of a node."""
        match node:
            case ast.Constant():
                return _constant(node)
            case ast.Name(id=name):
                return self._field(name)
            case ast.Call(func=ast.Name(id=name)):
                return self._call(name, node.args)
            case ast.BinOp(left=left, op=op, right=right):
                return _result(type(op), _ARITHMETIC[type(op)](self._as_number(left), self._as_number(right)))
            case ast.Compare():
                return self._compare(node)
            case _:
                return self._logic(node)

    def _as_number(self, node: ast.expr) -> pl.Expr:
        return _number(self.compile(node))

    def _field(self, name: str) -> _Typed:
        if name not in self._types:
            raise ValueError(f"unknown field '{name}' - expected one of {', '.join(sorted(self._types))}")
        if self._types[name] == "vector":
            raise ValueError(f"'{name}' is a vector, which no expression takes")
        if self._types[name] == "integer":
            return _Typed(pl.col(name).cast(pl.Float64), "number")
        return _Typed(pl.col(name), self._types[name])

    def _compare(self, node: ast.Compare) -> _Typed:
        parts = [self.compile(part) for part in (node.left, *node.comparators)]
        pairs = [
            _COMPARISONS[type(op)](*_alike([left, right])[0])
            for op, left, right in zip(node.ops, parts, parts[1:], strict=False)
        ]
        return _Typed(reduce(lambda a, b: a & b, pairs), "boolean")

    def _logic(self, node: ast.expr) -> _Typed:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return _Typed(reduce(lambda a, b: a & b, [_truth(self.compile(v)) for v in values]), "boolean")
            case ast.BoolOp(values=values):
                return _Typed(reduce(lambda a, b: a | b, [_truth(self.compile(v)) for v in values]), "boolean")
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _Typed(~_truth(self.compile(operand)), "boolean")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _Typed(-self._as_number(operand), "number")
            case ast.UnaryOp(operand=operand):
                return _Typed(self._as_number(operand), "number")
            case ast.IfExp(test=test, body=body, orelse=orelse):
                condition = _truth(self.compile(test))
                (then, other), kind = _alike([self.compile(body), self.compile(orelse)])
                chosen = pl.when(condition).then(then).when(~condition).then(other)
                return _Typed(chosen, kind)
            case _:
                raise ValueError(f"'{ast.unparse(node)}' is outside the language of expressions")

    def _call(self, name: str, arguments: Sequence[ast.expr]) -> _Typed:
        if name in TIME_FUNCTIONS:
            return self._of_time(name, arguments)
        parts = [self.compile(argument) for argument in arguments]
        if name in _NUMERIC:
            return _result(name, _NUMERIC[name](_number(parts[0])))
        if name == "is_null":
            return _Typed(parts[0].expr.is_null(), "boolean")
        if name == "coalesce":
            exprs, kind = _alike(parts)
            return _Typed(pl.coalesce(exprs), kind)
        extreme = pl.min_horizontal if name == "min" else pl.max_horizontal
        return _Typed(_unless_missing(parts, extreme([_number(part) for part in parts])), "number")

    def _of_time(self, name: str, arguments: Sequence[ast.expr]) -> _Typed:
        part = self.compile(arguments[0])
        if part.type != "time":
            raise ValueError(f"{name} takes a field of the type time, not '{ast.unparse(arguments[0])}'")
        zone = arguments[1].value if len(arguments) == 2 and _is_text(arguments[1]) else "UTC"
        local = part.expr.dt.convert_time_zone(str(zone))
        return _Typed(_OF_TIME[name](local).cast(pl.Float64), "number", finite=True)


def _is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _constant(node: ast.Constant) -> _Typed:
    match node.value:
        case bool(value):
            return _Typed(pl.lit(value), "boolean")
        case int(value) | float(value):
            return _Typed(pl.lit(float(value)), "number")
        case value:
            return _Typed(pl.lit(str(value)), "string")

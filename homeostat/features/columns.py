"""Features of an event by itself: its fields as they stand, and expressions over them."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from homeostat.contract.expressions import parse_expression
from homeostat.contract.model import Contract, ExpressionFeature, FieldFeature, FieldType
from homeostat.errors import ContractError
from homeostat.features.expressions import compile_expression

_AS_THEY_ARE: Final = frozenset({"number", "string", "vector"})  # the parser made of them what a feature is


def _compiled(texts: Mapping[str, str], types: Mapping[str, FieldType]) -> list[pl.Expr]:
    """Return one column per expression, or refuse all that can't be compiled at once."""
    columns: list[pl.Expr] = []
    problems: list[str] = []
    for name, text in texts.items():
        try:
            columns.append(compile_expression(text, types).alias(name))
        except ValueError as error:
            problems.append(f"features.{name}.expression: '{text}': {error}")
    if problems:
        raise ContractError(problems)
    return columns


class EventColumns:
    """Computes the field and expression features of a contract for many events at once."""

    def __init__(self, contract: Contract) -> None:
        """Compile the expressions.

        Raises:
            ContractError: An expression is outside the language, or mixes types.
        """
        event = contract.event
        types: dict[str, FieldType] = {name: spec.type for name, spec in event.fields.items()}
        self._time: Final = event.time
        self._types: Final = {**types, event.entity: "string", event.time: "time"} | types
        self._fields: Final = {
            name: feature.field for name, feature in contract.features.items() if isinstance(feature, FieldFeature)
        }
        texts = {name: f.expression for name, f in contract.features.items() if isinstance(f, ExpressionFeature)}
        self._names: Final = tuple(texts)
        self._expressions: Final = _compiled(texts, self._types)
        self._needed: Final = sorted({self._time}.union(*(parse_expression(text).fields for text in texts.values())))

    def compute(self, events: pl.DataFrame) -> list[pl.Series]:
        """Return one column per feature, in the order of the events."""
        columns = [
            (cells if self._types[field] in _AS_THEY_ARE else cells.cast(pl.Float64)).alias(name)
            for name, field in self._fields.items()
            for cells in [events.get_column(field)]
        ]
        if self._names:
            # Not select, so that a constant fills the height; in sequence, as waking threads costs more than a batch.
            needed = pl.DataFrame([events.get_column(name) for name in self._needed])
            computed = needed.with_columns_seq(self._expressions)
            columns += [computed.get_column(name) for name in self._names]
        return columns

import polars as pl
import pytest

from homeostat.contract.lists import vectors
from homeostat.contract.load import contract_digest, parse_contract
from homeostat.errors import ContractError

TEXT = """
product: toys
event:
  entity: shop
  fields: {shop: string, price: number, emb: %s}
label: {field: returned, delay: 6h, maturity: 1d}
features:
  price: {field: price}
  look: %s
canary: {slices: [%s]}
"""
DIGEST_OF_BEFORE = "9b53f041d16f9891"
FIELD, FEATURE = "{type: vector, size: 8, nullable: true}", "{field: emb}"


def problem(field: str = FIELD, feature: str = FEATURE, slices: str = "") -> str:
    with pytest.raises(ContractError) as refused:
        parse_contract(TEXT % (field, feature, slices), "toys.yaml")
    (line,) = refused.value.problems
    return line


def test_a_vector_is_a_feature_that_is_neither_a_text_nor_a_number() -> None:
    contract = parse_contract(TEXT % (FIELD, FEATURE, ""), "toys.yaml")
    assert contract.vectors == {"look": 8}
    assert contract.categorical == frozenset()


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("vector", "event.fields.emb: a vector without a size - expected {type: vector, size: N}, N a whole number"),
        ("{type: vector, size: 0}", "event.fields.emb.size: 0 - expected greater than or equal to 1"),
        ("{type: vector, size: 99999}", "event.fields.emb.size: 99999 - expected less than or equal to 16384"),
        ("{type: vector, size: 8.5}", "event.fields.emb.size: 8.5 - expected a valid integer"),
        ("{type: vector, size: 8, min: 0}", "event.fields.emb: min or max of the type vector - expected on numbers"),
    ],
)
def test_a_vector_that_is_not_well_described_is_refused(field: str, said: str) -> None:
    assert said in problem(field)


def test_only_a_vector_has_a_size() -> None:
    assert "event.fields.emb: size of the type number - expected on vectors alone" in problem(
        "{type: number, size: 3}", "{field: emb}"
    )


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("{expression: emb + 1}", "features.look.expression: 'emb' is a vector, which no expression takes"),
        ("{expression: is_null(emb)}", "'emb' is a vector, which no expression takes - expected {field: emb}"),
        (
            "{aggregate: mean, of: emb, by: [shop], over: 1h}",
            "look.of: 'emb' has the type vector - mean takes",
        ),
        ("{aggregate: last, of: emb, by: [shop], over: 1h}", "last takes any type but time and vector"),
        ("{aggregate: count, by: [emb], over: 1h}", "features.look.by[0]: 'emb' is a vector, by which no rows go"),
    ],
)
def test_what_can_hold_no_vector_says_so(feature: str, said: str) -> None:
    assert said in problem(feature=feature)


def test_a_vector_is_no_entity() -> None:
    text = (TEXT % (FIELD, FEATURE, "")).replace("entity: shop", "entity: emb")
    with pytest.raises(ContractError, match="'emb' has the type nullable vector - expected string, not nullable"):
        parse_contract(text, "toys.yaml")


def test_a_vector_is_no_fact_of_a_label() -> None:
    text = (TEXT % (FIELD, FEATURE, "")).replace(
        "maturity: 1d", "maturity: 1d, facts: {later: {type: vector, size: 2}}"
    )
    with pytest.raises(ContractError, match=r"label\.facts\.later: a vector - facts serve aggregates alone"):
        parse_contract(text, "toys.yaml")


def test_a_vector_is_no_slice() -> None:
    assert "'look' is a vector, a text feature is needed" in problem(slices="look")


def test_a_contract_without_vectors_keeps_the_digest_it_had_before_there_were_any() -> None:
    contract = parse_contract(TEXT % ("number", FEATURE, ""), "toys.yaml")
    assert contract_digest(contract) == DIGEST_OF_BEFORE


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("v", [[1, 2], None], dtype=pl.List(pl.Int32)),
        pl.Series("v", [[1, 2], None], dtype=pl.Array(pl.Float32, 2)),
        pl.Series("v", ["[1, 2.0]", ""]),
        pl.Series("v", [' {"0": 1, "1": 2}', "NA"]),
    ],
    ids=["list", "array", "text", "object"],
)
def test_a_file_may_write_vectors_in_several_ways(column: pl.Series) -> None:
    assert vectors(column, 2).to_list() == [[1.0, 2.0], None]
    assert vectors(column, 2).dtype == pl.List(pl.Float64)


@pytest.mark.parametrize("cell", ["x", "[1, null]", '["a"]', '{"2": 1}', '{"-1": 1}', '{"a": 1}', "[", "3"])
def test_a_text_that_is_no_vector_is_unreadable(cell: str) -> None:
    assert vectors(pl.Series("v", [cell]), 2).to_list() == [None]


def test_a_list_of_anything_else_is_unreadable() -> None:
    assert vectors(pl.Series("v", [["a", "b"]]), 2).to_list() == [None]

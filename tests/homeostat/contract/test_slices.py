import pytest

from homeostat.contract.load import parse_contract
from homeostat.errors import ContractError

TEXT = """
product: toys
event: {entity: shop, fields: {shop: string, colour: string, price: number}}
label: {field: returned, delay: 6h, maturity: 1d}
features: {price: {field: price}, colour: {field: colour}}
canary:
  slices: [%s]
"""


def test_a_text_feature_is_a_slice() -> None:
    assert parse_contract(TEXT % "colour", "toys.yaml").canary.slices == ["colour"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("color", "'color' is no feature, a text feature is needed - did you mean 'colour'?"), ("price", "is a number")],
)
def test_what_is_no_text_feature_is_no_slice(name: str, problem: str) -> None:
    with pytest.raises(ContractError) as refused:
        parse_contract(TEXT % name, "toys.yaml")
    (line,) = refused.value.problems
    assert line.startswith("toys.yaml:7: canary.slices[0]: ")
    assert problem in line

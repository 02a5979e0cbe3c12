import pytest

from homeostat.contract.load import parse_contract
from homeostat.errors import ContractError


def problems_of(text: str) -> list[str]:
    with pytest.raises(ContractError) as caught:
        parse_contract(text, "c.yaml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.yaml:1: expected a mapping with the keys product, event, label, features"),
        ("- a\n- b", "c.yaml:1: expected a mapping"),
        ("a: b: c", "c.yaml:1: not valid YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2", "c.yaml:2: not valid YAML: but found another document"),
        ("a: \x00", "not valid YAML: special characters are not allowed"),
        ("a: *b", "c.yaml:1: not valid YAML: found undefined alias 'b'"),
        ("a: !!python/object/apply:os.system [ls]", "unknown key 'a'"),
        ("a: " + "[" * 500, "c.yaml:1: nested too deeply"),
        ("a: " + "x" * 300_000, "c.yaml:1: 300003 characters - a contract has at most 262144"),
        ("a: &a [*a]", "too much in one file"),
        ("a: " + "9" * 6000, "can't be read"),
        ("a: " + "9" * 600, "expected a smaller number"),
        ("a: 2013-99-99", "can't be read"),
        ("[a, b]: 1", "key a list - expected a text"),
    ],
)
def test_what_is_no_contract_at_all_is_refused_in_words(text: str, expected: str) -> None:
    assert any(expected in problem for problem in problems_of(text)), problems_of(text)


def test_aliases_are_written_out_up_to_a_limit(deliveries: str) -> None:
    shared = deliveries.replace("by: [courier]", "by: &key [courier]", 1).replace("by: [courier]", "by: *key")
    assert parse_contract(shared, "c.yaml") == parse_contract(deliveries, "c.yaml")
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "too much in one file - a contract has at most 20000 values" in problems_of(bomb)[0]

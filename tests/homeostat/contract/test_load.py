import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.contract.load import contract_digest, load_contract, parse_contract
from homeostat.contract.model import AggregateFeature, ExpressionFeature, FieldFeature
from homeostat.errors import ContractError

SPAN = "expected a whole number with a unit s, m, h, d or w, like 15m or 7d"
PAST_ALONE = "which is known only with the label: features may use it through an aggregate (its past) alone"

# (what is replaced in deliveries.yaml, by what, the text of the one problem)
BAD = [
    # form
    ("over: 3h", "over: 3 hours", f"c.yaml:27: features.town_parcels_3h.over: '3 hours' - {SPAN}"),
    ("every: 15m", "every: 15", f"c.yaml:30: drift.every: 15 - {SPAN}"),
    ("every: 15m", "every: 0m", "c.yaml:30: drift.every: '0m' - expected greater than 0s"),
    ("every: 15m", "every: 99999999999999w", "c.yaml:30: drift.every: '99999999999999w' - expected at most 3650d"),
    (
        "  false_discovery_rate",
        "  flase_discovery_rate",
        "c.yaml:31: drift: unknown key 'flase_discovery_rate' - did you mean 'false_discovery_rate'?",
    ),
    ("drift:", "drfit:", "c.yaml:29: unknown key 'drfit' - did you mean 'drift'?"),
    (
        "  every: 15m",
        "  qqq: 15m",
        "c.yaml:30: drift: unknown key 'qqq' - expected one of alarms, domain_classifier, every, false_discovery_rate",
    ),
    ("rate: 0.01", "rate: 0.7", "c.yaml:31: drift.false_discovery_rate: 0.7 - expected less than 0.5"),
    ("rate: 0.01", "rate: low", "c.yaml:31: drift.false_discovery_rate: 'low' - expected a valid number"),
    ("rate: 0.01", "rate: .nan", "c.yaml:31: drift.false_discovery_rate: nan - expected a finite number"),
    ("rate: 0.01", "rate: yes", "c.yaml:31: drift.false_discovery_rate: true - expected a valid number"),
    ("product: deliveries", "product: De", "c.yaml:1: product: 'De' - expected lower-case letters, digits and _"),
    ("product: deliveries\n", "", "c.yaml:1: product: missing - expected a text"),
    ("  entity: courier\n", "", "c.yaml:3: event.entity: missing - expected a text"),
    ("  delay: 1d\n", "", "c.yaml:14: label.delay: missing - expected a whole number with a unit"),
    ("stops: integer", "stops: intger", "c.yaml:11: event.fields.stops.type: 'intger' - expected 'number', 'integer'"),
    (
        "stops: integer",
        "stops: 3",
        "c.yaml:11: event.fields.stops: 3 - expected a mapping with the keys type, nullable",
    ),
    (
        "stops: integer",
        "no: integer",
        "c.yaml:11: event.fields: key 'no' (a bool to YAML) - expected a text; put it in",
    ),
    ("min: 0", "minn: 0", "c.yaml:10: event.fields.weight_kg: unknown key 'minn' - did you mean 'min'?"),
    (
        "stops: integer",
        "stops: integer\n    stops: string",
        "c.yaml:12: event.fields.stops: given twice, first on line 11 - expected once",
    ),
    # kinds of feature
    ("{field: town}", "{feild: town}", "c.yaml:23: features.town: unknown key 'feild' - did you mean 'field'?"),
    ("{field: town}", "{field: 3}", "c.yaml:23: features.town.field: 3 - expected a valid string"),
    ("{field: town}", "town", "c.yaml:23: features.town: 'town' - expected {field: ...}, {expression: ...} or"),
    ("{field: town}", "{}", "c.yaml:23: features.town: empty - expected {field: ...}"),
    ("{field: town}", "{zz: 1}", "c.yaml:23: features.town: unknown keys 'zz' - expected {field: ...}"),
    (
        "{field: town}",
        "{field: town, expression: town}",
        "c.yaml:23: features.town: has field and expression - expected exactly one of field, expression, aggregate",
    ),
    (
        "{aggregate: mean, of: late",
        "{agregate: mean, of: late",
        "c.yaml:26: features.courier_late_7d: unknown key 'agregate' - did you mean 'aggregate'?",
    ),
    (
        "aggregate: mean",
        "aggregate: men",
        "courier_late_7d.aggregate: 'men' - expected 'count', 'mean', 'sum', 'std' or 'last'; did you mean 'mean'?",
    ),
    ("[town, express]", "[]", "c.yaml:27: features.town_parcels_3h.by: a list - expected at least one"),
    ("[town, express]", "town", "c.yaml:27: features.town_parcels_3h.by: 'town' - expected a list"),
    (", over: 3h", "", "c.yaml:27: features.town_parcels_3h.over: missing - expected a whole number"),
    # names
    ("entity: courier", "entity: couriers", "c.yaml:5: event.entity: 'couriers' is no event field - did you mean 'cou"),
    ("entity: courier", "entity: stops", "c.yaml:5: event.entity: 'stops' has the type integer - expected string"),
    (
        "entity: courier",
        "entity: town",
        "c.yaml:5: event.entity: 'town' has the type nullable string - expected string",
    ),
    (
        "    stops:",
        "    sent_at:",
        "c.yaml:11: event.fields.sent_at: the event's time - expected no field of that name",
    ),
    ("time: sent_at", "time: parcel_id", "c.yaml:6: event.time: 'parcel_id' is the event's id too - expected another"),
    (
        "field: late",
        "time: late\n  field: late",
        "c.yaml:17: label.field: 'late' is the label's time too - expected another",
    ),
    (
        "depot: string",
        "depot: string\n    stops: integer",
        "c.yaml:22: label.facts.stops: also an event field - a fact is known only with",
    ),
    (
        "depot: string",
        "depot: string\n    late: number",
        "c.yaml:22: label.facts.late: the label's field - expected no fact of that name",
    ),
    (
        "stops: integer",
        "stops: integer\n    late: boolean",
        "c.yaml:17: label.field: 'late' is also in the event - the label is known only",
    ),
    (
        "  weight:",
        "  label:",
        "c.yaml:24: features.label: the name is reserved, as are entity_id, event_id, event_time",
    ),
    (
        "{field: town}",
        "{field: twon}",
        "c.yaml:23: features.town.field: 'twon' is no event field - did you mean 'town'?",
    ),
    ("{field: town}", "{field: sent_at}", "c.yaml:23: features.town.field: 'sent_at' is the event's time, which is no"),
    (
        "{field: town}",
        "{field: promised_at}",
        "features.town.field: 'promised_at' is a time, which no model takes - exp",
    ),
    ("[town, express]", "[twon]", "c.yaml:27: features.town_parcels_3h.by[0]: 'twon' is no event field - did you mean"),
    ("[town, express]", "[town, town]", "c.yaml:27: features.town_parcels_3h.by[1]: 'town' is named twice"),
    ("of: late", "of: latte", "c.yaml:26: features.courier_late_7d.of: 'latte' is no event field, label or fact - did"),
    # the future
    ("{field: town}", "{field: late}", f"c.yaml:23: features.town: uses 'late', {PAST_ALONE}"),
    ("log1p(weight_kg)", "log1p(delay_min)", f"c.yaml:24: features.weight: uses 'delay_min', {PAST_ALONE}"),
    ("[town, express]", "[depot]", f"c.yaml:27: features.town_parcels_3h: uses 'depot', {PAST_ALONE}"),
    # types of features
    ("log1p(weight_kg)", "log2(weight_kg)", "c.yaml:24: features.weight.expression: unknown function 'log2' - did you"),
    (
        "log1p(weight_kg)",
        "log1p(wieght_kg)",
        "features.weight.expression: 'wieght_kg' is no event field - did you mean",
    ),
    ("log1p(weight_kg)", "log1p(town)", "c.yaml:24: features.weight.expression: 'town' is a string - log1p takes a"),
    ("log1p(weight_kg)", "town", "c.yaml:24: features.weight.expression: the value is a string - expected a number or"),
    (
        "log1p(weight_kg)",
        "1 + 1",
        "c.yaml:24: features.weight.expression: uses no event field, so it would be the same",
    ),
    ("count, by", "count, of: late, by", "c.yaml:27: features.town_parcels_3h.of: count takes no 'of'"),
    (
        "mean, of: late",
        "mean",
        "c.yaml:26: features.courier_late_7d.of: missing - mean needs an event field, the label",
    ),
    (
        "of: late",
        "of: town",
        "c.yaml:26: features.courier_late_7d.of: 'town' has the type string - mean takes number, integer",
    ),
    ("of: depot", "of: promised_at", "c.yaml:28: features.last_depot.of: 'promised_at' has the type time - last takes"),
    # values that don't fit one another
    ("max: 100", "max: -1", "c.yaml:10: event.fields.weight_kg: min 0 is above max -1 - no value would pass"),
    ("stops: integer", "stops: {type: string, min: 0}", "event.fields.stops: min or max of the type string - expected"),
    ("maturity: 3d", "maturity: 2h", "c.yaml:18: label.maturity: 2h - expected at least label.delay, 1d"),
    ("every: 15m", "every: 8d", "c.yaml:29: drift.window: 7d (the default) - expected at least drift.every, 8d"),
    ("after: 14d", "after: 3d", "c.yaml:33: training.cold_start_after: 3d - expected more than label.maturity, 3d"),
    ("training:", "canary: {steps: [0.5, 0.1]}\ntraining:", "c.yaml:32: canary: a mapping - expected steps: that grow"),
    ("training:", "canary: {steps: [0.1], share: 0.1}\ntraining:", "expected either share: or steps:, not both"),
    ("training:", "canary: {steps: [0.1, 1], step_time: 8d}\ntraining:", "expected a max_duration: of at least one"),
    ("training:", "canary: {steps: [1.0], approval: manual}\ntraining:", "one below 1 where a person approves"),
    (
        "training:",
        "canary:\n  share: 0.1\n  max_duration: 2d\ntraining:",
        "c.yaml:34: canary.max_duration: 2d - expected more",
    ),
]


def problems_of(text: str) -> list[str]:
    with pytest.raises(ContractError) as caught:
        parse_contract(text, "c.yaml")
    return caught.value.problems


@pytest.mark.parametrize(("old", "new", "expected"), BAD)
def test_a_mistake_is_one_line_that_says_where_what_and_what_was_expected(
    deliveries: str, old: str, new: str, expected: str
) -> None:
    assert deliveries.count(old) >= 1
    problems = problems_of(deliveries.replace(old, new, 1))
    assert len(problems) == 1, problems
    assert expected in problems[0]


def test_a_valid_contract_keeps_the_order_of_its_features(deliveries: str) -> None:
    contract = parse_contract(deliveries, "c.yaml")
    names = ("town", "weight", "promised_hour", "courier_late_7d", "town_parcels_3h", "last_depot")
    assert contract.feature_names == names
    assert contract.categorical == {"town", "last_depot"}


def test_each_kind_of_feature_is_told_by_its_keys(deliveries: str) -> None:
    features = parse_contract(deliveries, "c.yaml").features
    assert isinstance(features["town"], FieldFeature)
    assert isinstance(features["weight"], ExpressionFeature)
    assert isinstance(features["town_parcels_3h"], AggregateFeature)
    assert features["town_parcels_3h"].over == timedelta(hours=3)


def test_all_problems_are_named_at_once_in_the_order_of_the_file(deliveries: str) -> None:
    text = deliveries.replace("stops: integer", "stops: intger").replace("of: late", "of: town").replace("15m", "15x")
    text = text.replace("maturity: 3d", "maturity: 1h").replace("entity: courier", "entity: courrier")
    lines = [int(problem.split(":")[1]) for problem in problems_of(text)]
    assert lines == [11, 18, 26, 30]  # the entity is looked up once the event's own types are right


def test_a_problem_in_the_event_does_not_make_every_feature_look_wrong(deliveries: str) -> None:
    problems = problems_of(deliveries.replace("weight_kg: {type: number", "weight_kg: {type: numbr"))
    assert [problem.split(" ")[1] for problem in problems] == ["event.fields.weight_kg.type:"]


def test_a_missing_event_is_one_problem(deliveries: str) -> None:
    head, tail = deliveries.split("event:\n")
    problems = problems_of(head + tail[tail.index("label:") :])
    assert len(problems) == 1
    assert "event: missing - expected a mapping with the keys id, entity, time, fields" in problems[0]


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200) | st.sampled_from(["event: {fields: [1]}", "features: {a: [1]}", "label: 3", "drift: []"]))
def test_no_text_escapes_as_another_error(text: str) -> None:
    with pytest.raises(ContractError):
        parse_contract(text, "c.yaml")


JUNK = st.recursive(
    st.sampled_from(["1d", "string", "late", "town", 3, -1.5, None, True, "x y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "of", "by", "q"]), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=60)
@given(line=st.integers(0, 32), junk=JUNK)
def test_junk_in_place_of_any_value_is_a_contract_error_or_a_contract(deliveries: str, line: int, junk: object) -> None:
    lines = deliveries.splitlines()
    lines[line] = lines[line].partition(":")[0] + ": " + json.dumps(junk)
    problems: list[str] = []
    try:
        parse_contract("\n".join(lines), "c.yaml")
    except ContractError as error:
        problems = error.problems
    assert all(problem.startswith("c.yaml:") and "\n" not in problem for problem in problems)


def test_a_contract_is_loaded_from_a_file_and_names_it_in_problems(deliveries: str, tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(deliveries)
    assert load_contract(path) == parse_contract(deliveries, "c.yaml")
    path.write_text(deliveries.replace("15m", "soon"))
    with pytest.raises(ContractError, match=r"contract\.yaml:30: drift\.every: 'soon'"):
        load_contract(path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"])
def test_a_file_that_cannot_be_read_is_a_contract_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "contract.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContractError, match="can't be read"):
        load_contract(path)


def test_the_digest_ignores_form_and_sees_meaning(deliveries: str) -> None:
    digest = contract_digest(parse_contract(deliveries, "c.yaml"))
    assert len(digest) == 16
    assert digest == contract_digest(parse_contract("# a comment\n" + deliveries.replace("15m", "900s"), "c.yaml"))
    assert digest != contract_digest(parse_contract(deliveries.replace("15m", "16m"), "c.yaml"))
    lines = deliveries.splitlines()
    lines[22], lines[23] = lines[23], lines[22]  # the order of features is the order of rows
    assert digest != contract_digest(parse_contract("\n".join(lines), "c.yaml"))


def test_an_expression_may_name_the_time_of_the_event() -> None:
    contract = parse_contract(
        """
        product: p
        event: {entity: e, time: sent_at, fields: {e: string}}
        label: {field: y, delay: 1h, maturity: 2h}
        features: {hour: {expression: hour(sent_at)}}
        """,
        "c.yaml",
    )
    assert contract.feature_names == ("hour",)

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.build import FOLDER, documents
from homeostat.cost.meter import PART_OF
from homeostat.flow import FLOW
from homeostat.metric_names import METRICS, Metric

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
DOCUMENTS = documents()
SUFFIXES = ("_bucket", "_sum", "_count")


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


RECORDED = {rule["record"] for rule in rules() if "record" in rule}
BY_NAME: dict[str, Metric] = {
    name: metric
    for metric in METRICS
    for name in ([metric.name + suffix for suffix in SUFFIXES] if metric.kind == "histogram" else [metric.name])
}


def queries(board: dict[str, Any]) -> list[str]:
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    marks = [mark["expr"] for mark in board["annotations"].get("list", ())]
    return [*panels, *marks, *(variable["query"] for variable in board["templating"]["list"])]


def names(text: str) -> set[str]:
    """Every series of ours that a query names, recorded ones too."""
    return set(re.findall(r"(?:[a-z_]+:)?homeostat_\w+(?::\w+)?", text))


ALL_QUERIES = {
    **{f"{name} {i}": query for name, text in DOCUMENTS.items() for i, query in enumerate(queries(json.loads(text)))},
    **{f"rule {rule.get('alert') or rule['record']} {i}": str(rule["expr"]) for i, rule in enumerate(rules())},
}


def test_the_files_are_what_the_generator_writes() -> None:
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == DOCUMENTS


@pytest.mark.parametrize("query", ALL_QUERIES.values(), ids=ALL_QUERIES)
def test_a_query_names_metrics_that_there_are(query: str) -> None:
    assert names(query) <= BY_NAME.keys() | RECORDED


@pytest.mark.parametrize("query", ALL_QUERIES.values(), ids=ALL_QUERIES)
def test_a_query_selects_by_labels_that_the_metric_has(query: str) -> None:
    for name, selector in re.findall(r"(homeostat_\w+)\{([^}]*)\}", query):
        if name in BY_NAME:
            assert set(re.findall(r"(\w+)(?:=~|!=|!~|=)\"", selector)) <= set(BY_NAME[name].labels)


def test_every_metric_is_on_a_dashboard_or_in_a_rule() -> None:
    used = set().union(*(names(query) for query in ALL_QUERIES.values()))
    shown_raw = {"homeostat_cost_per_1k_predictions_usd"}  # of one instance; the rules have it over all processes
    assert {metric.name for metric in METRICS} <= {BY_NAME[name].name for name in used & BY_NAME.keys()} | shown_raw


def test_every_panel_says_what_it_shows_and_has_a_name_of_its_own() -> None:
    for text in DOCUMENTS.values():
        panels = [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]
        assert all(panel["description"] for panel in panels)
        assert len({panel["title"] for panel in panels}) == len(panels)


def test_the_bill_s_parts_in_the_rules_are_those_of_the_meter() -> None:
    found: dict[str, str] = {}
    for rule in rules():
        if rule.get("record") == "product_part:homeostat_cpu_seconds:rate1d":
            [steps] = re.findall(r'step=~"([^"]+)"', rule["expr"])
            found |= dict.fromkeys(steps.split("|"), rule["labels"]["part"])
    assert found == PART_OF


def test_lag_is_watched_on_steps_that_stream_serving_ones() -> None:
    [rule] = [rule for rule in rules() if rule.get("alert") == "ConsumerLags"]
    streaming = {row.step for row in FLOW if not row.paced and row.process != "trainer"}
    for steps in re.findall(r'step=~"([^"]+)"', rule["expr"]):
        assert set(steps.split("|")) == streaming


def test_every_alert_says_what_happened_and_how_soon_somebody_has_to_look() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert rule["annotations"].keys() == {"summary", "description"}


def test_every_alert_has_a_unit_test_in_which_it_rings() -> None:
    tested = (ROOT / "deploy" / "prometheus" / "tests").glob("*_test.yml")
    ringing = {
        case["alertname"]
        for path in tested
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["exp_alerts"]
    }
    assert ringing == {rule["alert"] for rule in rules() if "alert" in rule}


def test_the_page_on_deployment_tells_of_every_alert() -> None:
    page = (ROOT / "deploy" / "README.md").read_text()
    rows = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| "))
    assert [rule["alert"] for rule in rules() if "alert" in rule and rule["alert"] not in rows] == []

"""What a person sees before a decision."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from homeostat.contract.model import Contract
from homeostat.healing.card import Card, as_html, as_markdown
from homeostat.records import Case, CaseState, DriftReport, DriftScore, TrainingRun, TrainingStatus

START = datetime(2013, 3, 1, tzinfo=UTC)
RECEIPT: dict[str, Any] = {
    "rows": 90_284,
    "data_span": ["2013-01-01 08:15:00+00:00", "2013-04-10 23:59:00+00:00"],
    "recipe": {"learner": "lightgbm"},
    "importance": [
        {"feature": "weight", "challenger": 0.05},
        {"feature": "colour", "champion": None},
        {"feature": "price", "challenger": 0.312, "champion": 0.2},
        {"feature": "shop", "challenger": 0.1, "champion": None},
        *({"feature": f"f{i}", "challenger": 0.01, "champion": 0.01} for i in range(6)),
    ],
    "candidates": [
        {"candidate": "do nothing", "loss": 0.475239, "difference": 0.0, "lower": 0.0, "upper": 0.0, "auc": 0.722728},
        {
            "candidate": "uniform",
            "loss": 0.47245,
            "difference": -0.0028,
            "lower": -0.0038,
            "upper": -0.0018,
            "auc": None,
        },
    ],
}
EVIDENCE = {
    "rows": 1800, "blocks": 30, "champion_loss": 0.48, "challenger_loss": 0.471, "mean_difference": -0.009,
    "lower": -0.02, "upper": 0.002, "rows_needed": 4200, "rows_needed_cautious": None, "fallback_ratio": 0.001,
    "champion_fallback_ratio": 0.0, "later_ratio": 0.015, "score_difference": -0.03,
    "calibration_error": -0.002, "champion_calibration_error": 0.01,
    "worst_slices": [{"slice": "colour <red>", "rows": 90, "mean_difference": 0.01}],
}  # fmt: skip


@pytest.fixture
def card(contract: Contract, report: Callable[..., DriftReport]) -> Card:
    price = DriftScore("price", 0.31, 0.05, 0.2, 0.1, 1e-9, drifted=True)
    calm = replace(price, name="calm", drifted=False)
    case = Case(
        CaseState.CANARY,
        request_id="case1",
        report=report(1, features=(price, calm)),
        reason="drift in 2 reports in a row: price moved",
        since=START,
        drift_since=START - timedelta(days=7),
        challenger="2",
    )
    run = TrainingRun("run", "case1", TrainingStatus.CANDIDATE, "2", "better", 3600.0, START, RECEIPT)
    return Card(contract, case, "1", run, "undecided", EVIDENCE, START)


def test_the_card_tells_the_reason_the_span_the_evidence_and_what_is_still_needed(card: Card) -> None:
    page = as_html(card)
    for told in (
        "toys: version 2 in place of version 1?",
        "drift in 2 reports in a row: price moved",
        "90,284 rows, 2013-01-01 08:15:00+00:00 to 2013-04-10 23:59:00+00:00",
        "1,800 in 30 blocks of 1h",
        "about 2,400 of 4,200; out of sight if luck was in it",
        "champion +0.0100, challenger -0.0020",
        "champion 0.0%, challenger 0.1%",
        "+1.50% against the champion",
        "-0.0300 on average",
        "-0.00900 [-0.02000, +0.00200]",
        "<td>price</td><td>0.310</td><td>0.050</td>",
        "<td>weight</td><td>5.0%</td><td></td><td>new</td>",
        "<td>colour</td><td></td><td></td><td>gone</td>",
        "<td>price</td><td>31.2%</td><td>20.0%</td><td>+11.2 points</td>",
        "<td>shop</td><td>10.0%</td><td></td><td></td>",
        "<td>f3</td><td>1.0%</td><td>1.0%</td><td>+0.0 points</td></tr><tr><td>and 2 more</td>",
        "99.00% of predictions within 100 ms",
        "0.0500 USD, 3,600 s of CPU",
    ):
        assert told in page
    assert "calm" not in page


def test_the_description_is_short_and_says_what_to_do(card: Card) -> None:
    text = as_markdown(card)
    assert len(text) < 1500
    assert "set the tag homeostat.decision to approve, reject or hold" in text
    assert "rows compared: 1,800 in 30 blocks" in text
    assert "- importance of features: weight new, colour gone, price +11.2 points\n" in text


def test_what_no_record_holds_is_left_out_and_not_made_up(card: Card) -> None:
    bare = replace(card, run=None, evidence={"rows": 0, "blocks": 0}, case=replace(card.case, report=None))
    page = as_html(bare)
    for absent in (
        "Offline receipt",
        "What moved",
        "Slices",
        "share in",
        "learned from",
        "rows still needed",
        "None",
        "USD",
    ):
        assert absent not in page


def test_shares_are_not_compared_with_those_of_a_champion_that_could_not_be_read(card: Card) -> None:
    assert card.run is not None
    alone = RECEIPT | {"importance": [{"feature": "price", "challenger": 1.0}]}
    assert "share in the challenger" not in as_html(replace(card, run=replace(card.run, receipt=alone)))


def test_what_a_stream_brings_is_shown_and_never_run(card: Card) -> None:
    page = as_html(replace(card, case=replace(card.case, reason="<script>alert(1)</script>")))
    assert "<script" not in page
    assert "colour &lt;red&gt;" in page


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state": CaseState.WAITING}, "waits for a person"),
        ({"held": True}, "A person holds it"),
        ({}, "The loop decides by itself"),
    ],
)
def test_the_card_says_who_decides(card: Card, changes: dict[str, Any], told: str) -> None:
    assert told in as_html(replace(card, case=replace(card.case, **changes)))

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from homeostat.contract.model import Contract
from homeostat.inspection.drift import label_lines, limits_line, told_limits, told_report
from homeostat.inspection.page import scores_table
from homeostat.records import DriftReport, DriftScore, DriftStatus, LabelRate, LossEstimate, Performance

AT = datetime(2030, 1, 1, tzinfo=UTC)


def contract(**drift):
    return Contract.model_validate(
        {
            "product": "parcels",
            "event": {"entity": "depot", "fields": {"depot": "string", "weight": "number"}},
            "label": {"field": "late", "delay": "1h", "maturity": "1d"},
            "features": {"weight": {"field": "weight"}},
            "drift": {"every": "1d", **drift},
        }
    )


def test_the_limits_a_budget_gives_are_told():
    told = told_limits(contract(alarms={"false_retrainings": 0.15, "effect": 0.5}))
    assert limits_line(told) == (
        "limits by alarm budget: at most 0.15 false retrainings in 30d expected (30 looks, 2 in a row open a case), so "
        "one look alarms by chance with at most 0.01, half for the labels, half for all columns; floors: PSI 0.25, "
        "KS 0.197, loss 2.0%"
    )


def test_limits_by_hand_tell_what_they_amount_to():
    told = told_limits(contract(false_discovery_rate=0.02))
    assert (told["by"], told["false_retrainings"], told["per"]) == ("thresholds", 0.3, "30d")


def test_what_scores_announce_and_labels_say_is_told():
    report = DriftReport(
        *("r", AT, AT, AT, 900, DriftStatus.DRIFTED, "1"),
        performance=Performance(800, 0.41, 0.45, 0.9, 0.08, degraded=True, calibration_p_value=1e-5),
        estimate=LossEstimate(900, 0.5, 0.48, 0.52),
    )
    assert label_lines(told_report(report)) == [
        "loss without labels: 0.5000 (0.4800 to 0.5200) announced by the scores of 900 rows",
        (
            "performance: loss 0.4100 on 800 mature rows, 0.4500 promised, p 0.9: degraded; the mean score lies 0.0800 "
            "above the label rate, p 1e-05"
        ),
    ]


def test_a_limit_that_no_column_can_pass_is_not_shown_as_one():
    score = DriftScore("temp", 0.1, 2.0, 0.5, 2.56, 0.6, drifted=False)
    told = told_report(DriftReport("r", AT, AT, AT, 900, DriftStatus.HEALTHY, "1", features=(score,)))
    page = StringIO()
    Console(file=page, width=80).print(scores_table(told["features"]))
    assert "0.5000   none" in page.getvalue()
    assert label_lines(told)[0].startswith("limit none: near rows of such a column are so alike")


def test_a_change_is_dated():
    changed = DriftReport("r", AT, AT, AT, 9, DriftStatus.DRIFTED, "1", changed_at=AT, labelled_since=1200)
    assert label_lines(told_report(changed)) == [f"changed at about {AT.isoformat()}; 1,200 labelled rows since then"]


def test_a_window_without_labels_has_no_lines_of_them():
    assert label_lines(told_report(DriftReport("r", AT, AT, AT, 0, DriftStatus.UNKNOWN, None))) == []


def test_the_rate_of_labels_is_told_beside_that_of_training_and_of_the_scores():
    rate = LabelRate(800, 0.41, 0.3, 0.02, 0.24, 0.36, 1e-4, moved=True)
    report = DriftReport(
        *("r", AT, AT, AT, 900, DriftStatus.HEALTHY, "1"),
        performance=Performance(800, 0.41, 0.45, 0.9, -0.01, degraded=False, calibration_p_value=0.4),
        label_rate=rate,
    )
    assert label_lines(told_report(report))[-1] == (
        "label rate: 0.4100, 0.3000 +- 0.0200 from window to window in training, calm windows lie between 0.2400 and "
        "0.3600, p 0.0001: moved, which alarms only where the scores don't follow; the scores announce 0.4000"
    )
    calm = DriftReport(
        *("r", AT, AT, AT, 900, DriftStatus.HEALTHY, "1"), label_rate=replace(rate, spread=None, moved=False)
    )
    assert label_lines(told_report(calm)) == [
        "label rate: 0.4100, 0.3000 in training, calm windows lie between 0.2400 and 0.3600, p 0.0001: calm"
    ]

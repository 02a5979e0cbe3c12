from datetime import UTC, datetime, timedelta

import pytest

from homeostat.replay.evaluation import Quality, Week
from homeostat.replay.report import render
from homeostat.replay.report_data import DriftMap, Moment, Receipt, ReportData

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def report_data() -> ReportData:
    """A small replay of three weeks with one promotion."""
    weeks = [
        Week(
            START + timedelta(weeks=n),
            100 + n,
            {"healed": Quality(0.47, 0.77), "frozen": Quality(0.50, 0.75), "monthly": Quality(0.475, None)},
        )
        for n in range(3)
    ]
    looks = tuple(START + timedelta(days=n) for n in range(4))
    drift = DriftMap(
        features=("temp", "wind<speed>"),
        times=looks,
        ratios=[[None, 0.2, 0.9, 3.0], [None, 0.1, 0.1, 0.1]],
        drifted=[[False, False, False, True], [False] * 4],
        statuses=("unknown", "healthy", "healthy", "drifted"),
    )
    summary = {
        "rows": 336_776,
        "wall_s": 201.7,
        "peak_rss_mib": 1234.5,
        "seed": 7,
        "healed": {"log_loss": 0.4701, "auc": 0.77, "retrains": 6},
        "frozen": {"log_loss": 0.5001, "auc": 0.75, "retrains": 1},
        "monthly": {"log_loss": 0.4711, "auc": 0.769, "retrains": 10},
        "healed_minus_frozen": {"mean": -0.03, "low": -0.035, "high": -0.025},
        "healed_minus_monthly": {"mean": -0.001, "low": -0.003, "high": 0.001},
        "retrains": 6,
        "promotions": 4,
        "rejections": 2,
        "rollbacks": 1,
        "stage_s": {"ingest": 60.0, "train": 30.0},
        "cost_usd_per_1k_predictions": 0.00042,
    }
    at = START + timedelta(days=3)
    return ReportData(
        title="A replay of <flights>",
        summary=summary,
        weeks=weeks,
        drift=drift,
        timeline=[
            Moment(at, "trigger", "drift in temp & wind"),
            Moment(at + timedelta(hours=2), "promotion", "version 2"),
        ],
        receipts=[
            Receipt(
                at, "version 2", "promote", "better on 500 rows", {"rows": 500, "p": 0.01234567, "list": [{"a": 1}]}
            )
        ],
        mlflow_command="mlflow ui --backend-store-uri 'sqlite:///x.db'",
    )


@pytest.fixture(scope="session")
def page(report_data: ReportData) -> str:
    """The report of that replay, drawn once for all tests."""
    return render(report_data)

"""SLA: what users were promised, and what puts it at risk."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.panels import THIRD, curves, new_board, number, of_product
from homeostat.metric_names import (
    CONSUMER_LAG,
    DOWN,
    FALLBACKS,
    FEATURE_TIME,
    LABEL_MATURITY,
    LATENCY,
    PREDICTIONS,
    QUARANTINED,
    REQUEST_LATENCY,
    REQUESTS,
    SLA_ATTAINMENT,
    SLA_FRESHNESS,
    SLA_LATENCY,
    WAITING,
)

_BURN = "product:homeostat_sla_burn:ratio_rate"
_BUDGET_LEFT = "product:homeostat_sla_budget_left:ratio30d"


def board() -> Dashboard:
    """Return the dashboard."""
    made = new_board("SLA", "sla", "Latency, error budget, freshness and lag, against what the contract promises.")
    _budget(made)
    _latency(made)
    _inflow(made)
    return made


def _quantiles(metric: str, **labels: str) -> dict[str, str]:
    rates = f"sum by (le) (rate({of_product(metric + '_bucket', **labels)}[$__rate_interval]))"
    return {f"p{percent}": f"histogram_quantile({percent / 100}, {rates})" for percent in (50, 95, 99)}


def _budget(made: Dashboard) -> None:
    made.with_row(Row("Error budget"))
    made.with_panel(
        number(
            "Budget left",
            "Of the 30 days' share of predictions that may be refused, fail, or come late.",
            of_product(_BUDGET_LEFT),
            unit="percentunit",
            limits={None: "red", 0: "orange", 0.25: "green"},
        )
    )
    made.with_panel(
        number(
            "Burn, last hour",
            "1 spends exactly the budget; 14.4 pages somebody.",
            of_product(f"{_BURN}1h"),
            limits={None: "green", 1: "orange", 14.4: "red"},
        )
    )
    made.with_panel(
        number(
            "Batches in time",
            "Share of predictions, of events too, scored within the promised latency since the start.",
            f"min by (product) ({of_product(SLA_ATTAINMENT)})",
            unit="percentunit",
        )
    )
    made.with_panel(
        curves(
            "Burn",
            "Times faster than the budget allows; alerts compare a long window with a short one.",
            {window: of_product(f"{_BURN}{window}") for window in ("5m", "1h", "6h", "3d")},
        )
    )
    made.with_panel(
        curves(
            "Requests",
            "Predictions asked for, by how they were answered: 429 is overload, 5xx a failure here.",
            {"{{status}}": f"sum by (status) (rate({of_product(REQUESTS, route='predict')}[$__rate_interval]))"},
            unit="reqps",
        )
    )


def _latency(made: Dashboard) -> None:
    promised = {"promised": f"max by (product) ({of_product(SLA_LATENCY)})"}
    made.with_row(Row("Latency"))
    made.with_panel(
        curves(
            "Requests for predictions",
            "From the first byte read to the answer, waiting included.",
            _quantiles(REQUEST_LATENCY, route="predict") | promised,
            unit="s",
        )
    )
    made.with_panel(
        curves(
            "Micro-batches",
            "Features looked up and models asked, without waiting.",
            _quantiles(LATENCY) | promised,
            unit="s",
        )
    )


def _inflow(made: Dashboard) -> None:
    made.with_row(Row("What comes in"))
    made.with_panel(
        curves(
            "Freshness",
            "Age of the newest feature row of all lanes, and what the contract allows.",
            {
                "age": f"time() - max by (product) ({of_product(FEATURE_TIME)})",
                "allowed": f"max by (product) ({of_product(SLA_FRESHNESS)})",
            },
            unit="s",
        )
    )
    made.with_panel(
        curves(
            "Waiting",
            "1 for a process that waits for a server or a disk, or that keeps dying: /readyz says what is the matter.",
            {
                "{{process}}": f"max by (process) ({of_product(WAITING)})",
                "{{process}} keeps dying": f"max by (process) ({of_product(DOWN)})",
            },
        )
    )
    made.with_panel(
        curves(
            "Lag",
            "Messages that a step has still to handle.",
            {"{{step}} of {{topic}}": f"sum by (step, topic) ({of_product(CONSUMER_LAG)})"},
        )
    )
    made.with_panel(
        curves(
            "Dead letters",
            "Records that break the contract, by where they came in.",
            {"{{topic}}": f"sum by (topic) (rate({of_product(QUARANTINED)}[$__rate_interval]))"},
            unit="ops",
            span=THIRD,
        )
    )
    none = f"0 * sum by (product) (rate({of_product(PREDICTIONS)}[$__rate_interval]))"
    made.with_panel(
        curves(
            "Answered by another model",
            "Rows whose own model failed.",
            {"rows": f"sum by (product) (rate({of_product(FALLBACKS)}[$__rate_interval])) or {none}"},
            unit="ops",
            span=THIRD,
        )
    )
    made.with_panel(
        curves(
            "Labels that came",
            "Share of the predictions that should have one by now.",
            {"share": f"min by (product) ({of_product(LABEL_MATURITY)})"},
            unit="percentunit",
            span=THIRD,
        )
    )

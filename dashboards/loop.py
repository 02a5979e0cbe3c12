"""Loop: the story of each healing case, from drift to promotion."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.panels import THIRD, curves, new_board, number, of_product, states
from dashboards.story import Mark
from homeostat.metric_names import (
    ALERTS,
    CANARY_LOSS_DIFFERENCE,
    CANARY_ROWS,
    CASE_SINCE,
    CASE_STATE,
    DECISIONS,
    DRIFT_REPORTS,
    DRIFTED_FEATURES,
    EVENTS,
    LABELS,
    MODEL_LOSS,
    PREDICTIONS,
    TRAININGS,
)


def board() -> Dashboard:
    """Return the dashboard."""
    made = new_board("Loop", "loop", "Who serves, where the healing case stands, and what led there.", since="now-30d")
    for mark in (
        Mark("Drift", "orange", DRIFT_REPORTS, "status", status="drifted"),
        Mark("Training", "purple", TRAININGS, "status"),
        Mark("Canary", "yellow", DECISIONS, "action", action="start|waiting|reject"),
        Mark("Promotion", "green", DECISIONS, "action", action="promote"),
        Mark("Rollback", "red", DECISIONS, "action", action="rollback"),
    ):
        made.annotation(mark)
    _case(made)
    _evidence(made)
    _traffic(made)
    return made


def _case(made: Dashboard) -> None:
    made.with_row(Row("The case"))
    made.with_panel(
        states(
            "Where the case stands",
            "One row a state; between cases it is stable.",
            f"max by (product, state) ({of_product(CASE_STATE)}) == 1",
            "{{state}}",
        )
    )
    made.with_panel(
        number(
            "In this state for",
            "Since the case came into it.",
            f"time() - max by (product) ({of_product(CASE_SINCE)})",
            unit="s",
        )
    )
    made.with_panel(
        number(
            "Trainings in 30 days",
            "However they ended; the contract's budget bounds them.",
            f"sum by (product) (increase({of_product(TRAININGS)}[30d]))",
        )
    )
    made.with_panel(
        number(
            "Features drifted",
            "Share of the features, in the last window that could be judged.",
            f"max by (product) ({of_product(DRIFTED_FEATURES)})",
            unit="percentunit",
            limits={None: "green", 0.01: "orange", 0.3: "red"},
        )
    )


def _evidence(made: Dashboard) -> None:
    made.with_row(Row("What speaks for whom"))
    made.with_panel(
        curves(
            "Loss",
            "Of the version that serves, on the mature rows of the last window.",
            {"version {{version}}": f"max by (version) ({of_product(MODEL_LOSS)})"},
        )
    )
    made.with_panel(
        curves(
            "Challenger against champion",
            "Mean loss of the challenger minus the champion's, on the same rows; below zero it is better.",
            {"difference": f"max by (product) ({of_product(CANARY_LOSS_DIFFERENCE)})"},
        )
    )
    made.with_panel(
        curves(
            "Rows of the canary",
            "Mature rows that both models have scored.",
            {"rows": f"max by (product) ({of_product(CANARY_ROWS)})"},
            span=THIRD,
        )
    )
    made.with_panel(
        curves(
            "Decisions",
            "Changes of who serves, and decisions to leave it, in a day.",
            {"{{action}}": f"sum by (action) (increase({of_product(DECISIONS)}[1d]))"},
            span=THIRD,
        )
    )
    made.with_panel(
        curves(
            "Alerts",
            "By whether they were sent or given up, in a day.",
            {"{{kind}}, {{fate}}": f"sum by (kind, fate) (increase({of_product(ALERTS)}[1d]))"},
            span=THIRD,
        )
    )


def _traffic(made: Dashboard) -> None:
    made.with_row(Row("What flows"))
    made.with_panel(
        curves(
            "Events",
            "Accepted by ingestion.",
            {"events": f"sum by (product) (rate({of_product(EVENTS)}[$__rate_interval]))"},
            unit="ops",
            span=THIRD,
        )
    )
    made.with_panel(
        curves(
            "Predictions",
            "By the version that answered and its arm.",
            {
                "version {{version}}, {{arm}}": (
                    f"sum by (version, arm) (rate({of_product(PREDICTIONS)}[$__rate_interval]))"
                )
            },
            unit="ops",
            span=THIRD,
        )
    )
    made.with_panel(
        curves(
            "Labels",
            "By what became of them.",
            {"{{fate}}": f"sum by (fate) (rate({of_product(LABELS)}[$__rate_interval]))"},
            unit="ops",
            span=THIRD,
        )
    )

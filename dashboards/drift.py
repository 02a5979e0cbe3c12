"""Drift: every feature over time."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.panels import WHOLE, curves, new_board, number, of_product
from homeostat.metric_names import (
    DRIFT_DISTANCE,
    DRIFT_KS,
    DRIFT_PSI,
    DRIFT_REPORTS,
    DRIFTED_FEATURES,
    LABEL_MATURITY,
    LABEL_RATE,
    MODEL_LOSS,
)


def board() -> Dashboard:
    """Return the dashboard."""
    made = new_board(
        "Drift", "drift", "How far each feature is from what the champion was trained on.", since="now-30d"
    )
    _now(made)
    _features(made)
    _errors(made)
    return made


def _now(made: Dashboard) -> None:
    made.with_row(Row("Now"))
    made.with_panel(
        number(
            "Features drifted",
            "Share of the features, in the last window that could be judged.",
            f"max by (product) ({of_product(DRIFTED_FEATURES)})",
            unit="percentunit",
            limits={None: "green", 0.01: "orange", 0.3: "red"},
        )
    )
    made.with_panel(
        number(
            "Farthest feature",
            "The largest population stability index of the last window.",
            f"max by (product) ({of_product(DRIFT_PSI)})",
        )
    )
    made.with_panel(
        number(
            "Labels that came",
            "Share of the predictions that should have one by now.",
            f"min by (product) ({of_product(LABEL_MATURITY)})",
            unit="percentunit",
        )
    )


def _features(made: Dashboard) -> None:
    made.with_row(Row("Features by time"))
    made.with_panel(
        curves(
            "Population stability index",
            "Each window against the champion's profile; what chance explains depends on the rows of the window.",
            {"{{feature}}": f"max by (feature) ({of_product(DRIFT_PSI)})"},
            span=WHOLE,
        )
    )
    made.with_panel(
        curves(
            "Kolmogorov-Smirnov distance",
            "Of numeric features.",
            {"{{feature}}": f"max by (feature) ({of_product(DRIFT_KS)})"},
            span=WHOLE,
        )
    )
    made.with_panel(
        curves(
            "Embedding distance",
            "Of vectors: how far the whole of one is from the reference, over random projections.",
            {"{{feature}}": f"max by (feature) ({of_product(DRIFT_DISTANCE)})"},
            span=WHOLE,
        )
    )


def _errors(made: Dashboard) -> None:
    made.with_row(Row("What it did to the model"))
    made.with_panel(
        curves(
            "Loss",
            "Of the version that serves, on the mature rows of the last window.",
            {"version {{version}}": f"max by (version) ({of_product(MODEL_LOSS)})"},
        )
    )
    made.with_panel(
        curves(
            "Label rate",
            "Share of ones among the mature labels of the last window, and of training.",
            {"{{of}}": f"max by (of) ({of_product(LABEL_RATE)})"},
            unit="percentunit",
        )
    )
    made.with_panel(
        curves(
            "Reports",
            "By what they conclude, in a day; unknown means too few rows to tell.",
            {"{{status}}": f"sum by (status) (increase({of_product(DRIFT_REPORTS)}[1d]))"},
        )
    )

"""Cost: what 1,000 predictions cost, everything counted."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.panels import curves, new_board, number, of_product, stacked
from homeostat.metric_names import BUDGET_PER_1K, CPU_PRICE, PREDICTIONS, STEP_CPU, TRAINING_CPU, TRAININGS

_PARTS = "product_part:homeostat_cost_per_1k_predictions_usd:1d"


def board() -> Dashboard:
    """Return the dashboard."""
    made = new_board("Cost", "cost", "What 1,000 predictions cost, by part of the bill.", since="now-7d")
    _price(made)
    _work(made)
    return made


def _price(made: Dashboard) -> None:
    made.with_row(Row("1,000 predictions"))
    made.with_panel(
        number(
            "Cost of 1,000 predictions",
            "Over the last day: features, serving, monitoring and training, at the contract's price of CPU time.",
            f"sum by (product) ({of_product(_PARTS)})",
            unit="currencyUSD",
        )
    )
    made.with_panel(
        number(
            "Budget",
            "What 1,000 predictions may cost by the contract.",
            f"max by (product) ({of_product(BUDGET_PER_1K)})",
            unit="currencyUSD",
        )
    )
    made.with_panel(
        number(
            "An hour of a CPU",
            "By the contract.",
            f"max by (product) ({of_product(CPU_PRICE)})",
            unit="currencyUSD",
        )
    )
    made.with_panel(
        stacked(
            curves(
                "By part",
                "Of 1,000 predictions, over a day.",
                {"{{part}}": f"sum by (part) ({of_product(_PARTS)})"},
                unit="currencyUSD",
                span=24,
            )
        )
    )


def _work(made: Dashboard) -> None:
    made.with_row(Row("What is paid for"))
    made.with_panel(
        stacked(
            curves(
                "CPUs busy",
                "By step, over an hour: a training's time is known at its end.",
                {"{{step}}": f"sum by (step) (rate({of_product(STEP_CPU)}[1h]))"},
            )
        )
    )
    made.with_panel(
        curves(
            "Predictions",
            "All that were served.",
            {"predictions": f"sum by (product) (rate({of_product(PREDICTIONS)}[$__rate_interval]))"},
            unit="ops",
        )
    )
    made.with_panel(
        curves(
            "CPU time of trainings",
            "In a day.",
            {"training": f"sum by (product) (increase({of_product(TRAINING_CPU)}[1d]))"},
            unit="s",
        )
    )
    made.with_panel(
        curves(
            "Trainings",
            "By how they ended, in a day.",
            {"{{status}}": f"sum by (status) (increase({of_product(TRAININGS)}[1d]))"},
        )
    )

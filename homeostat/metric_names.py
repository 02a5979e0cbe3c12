"""Every Prometheus metric once: its name, its kind, its labels, and what it says."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family; ``buckets`` for a histogram, upper bounds in the metric's unit."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


EVENTS = "homeostat_events_total"
QUARANTINED = "homeostat_quarantined_rows_total"
LABELS = "homeostat_labels_total"
PREDICTIONS = "homeostat_predictions_total"
FALLBACKS = "homeostat_fallbacks_total"
LATENCY = "homeostat_prediction_latency_seconds"
SLA_ATTAINMENT = "homeostat_sla_attainment_ratio"
FEATURE_FRESHNESS = "homeostat_feature_freshness_seconds"
LABEL_MATURITY = "homeostat_label_maturity_ratio"
DRIFT_PSI = "homeostat_drift_psi_ratio"
DRIFT_KS = "homeostat_drift_ks_ratio"
DRIFTED_FEATURES = "homeostat_drifted_features_ratio"
DRIFT_REPORTS = "homeostat_drift_reports_total"
MODEL_LOSS = "homeostat_model_loss_ratio"
CASE_STATE = "homeostat_case_state_ratio"
TRAININGS = "homeostat_trainings_total"
TRAINING_CPU = "homeostat_training_cpu_seconds_total"
CANARY_ROWS = "homeostat_canary_rows_ratio"
CANARY_LOSS_DIFFERENCE = "homeostat_canary_loss_difference_ratio"
DECISIONS = "homeostat_decisions_total"
STEP_CPU = "homeostat_step_cpu_seconds_total"
ALERTS = "homeostat_alerts_total"
COST_PER_1K = "homeostat_cost_per_1k_predictions_usd"

METRICS: tuple[Metric, ...] = (
    Metric(EVENTS, "counter", "Events accepted by ingestion", ("product",)),
    Metric(QUARANTINED, "counter", "Records sent to a dead-letter topic", ("product", "topic")),
    Metric(LABELS, "counter", "Labels by what became of them", ("product", "fate")),
    Metric(PREDICTIONS, "counter", "Predictions served", ("product", "version", "arm")),
    Metric(FALLBACKS, "counter", "Rows the champion answered because the challenger failed", ("product", "version")),
    Metric(
        LATENCY,
        "histogram",
        "Time to score one micro-batch, features looked up and prediction logged",
        ("product", "version", "arm"),
        (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
    ),
    Metric(SLA_ATTAINMENT, "gauge", "Share of predictions within the promised latency", ("product",)),
    Metric(FEATURE_FRESHNESS, "gauge", "Age of the newest stored feature row", ("product",)),
    Metric(LABEL_MATURITY, "gauge", "Share of matured predictions whose label came", ("product",)),
    Metric(DRIFT_PSI, "gauge", "Population stability index of the last window", ("product", "feature")),
    Metric(DRIFT_KS, "gauge", "Kolmogorov-Smirnov distance of the last window", ("product", "feature")),
    Metric(DRIFTED_FEATURES, "gauge", "Share of features drifted in the last window", ("product",)),
    Metric(DRIFT_REPORTS, "counter", "Drift reports by what they conclude", ("product", "status")),
    Metric(MODEL_LOSS, "gauge", "Loss on the mature rows of the last window", ("product", "version")),
    Metric(CASE_STATE, "gauge", "1 for the state the healing case is in", ("product", "state")),
    Metric(TRAININGS, "counter", "Training runs by how they ended", ("product", "status")),
    Metric(TRAINING_CPU, "counter", "CPU time spent on training", ("product",)),
    Metric(CANARY_ROWS, "gauge", "Mature rows scored by both models in the canary", ("product",)),
    Metric(CANARY_LOSS_DIFFERENCE, "gauge", "Mean loss of the challenger minus the champion's", ("product",)),
    Metric(DECISIONS, "counter", "Changes of who serves, and decisions to leave it", ("product", "action")),
    Metric(STEP_CPU, "counter", "CPU time by step", ("product", "step")),
    Metric(ALERTS, "counter", "Alerts by whether they were sent or given up", ("product", "kind", "fate")),
    Metric(COST_PER_1K, "gauge", "Cost of 1,000 predictions, all CPU counted", ("product", "part")),
)

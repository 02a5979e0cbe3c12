"""Every Prometheus metric once: its name, its kind, its labels, and what it says.

Ages are told as times, ``..._timestamp_seconds``: ``time() - x`` goes on growing while nobody is there to say so.
"""

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
REQUESTS = "homeostat_requests_total"
REQUEST_LATENCY = "homeostat_request_latency_seconds"
SLOW_REQUESTS = "homeostat_slow_requests_total"
SLA_TARGET = "homeostat_sla_target_ratio"
SLA_LATENCY = "homeostat_sla_latency_seconds"
SLA_FRESHNESS = "homeostat_sla_freshness_seconds"
SLA_ATTAINMENT = "homeostat_sla_attainment_ratio"
FEATURE_TIME = "homeostat_feature_timestamp_seconds"
LABEL_MATURITY = "homeostat_label_maturity_ratio"
LABEL_RATE = "homeostat_label_rate_ratio"
DRIFT_PSI = "homeostat_drift_psi_ratio"
DRIFT_KS = "homeostat_drift_ks_ratio"
DRIFT_DISTANCE = "homeostat_drift_distance_ratio"
DRIFTED_FEATURES = "homeostat_drifted_features_ratio"
DRIFT_REPORTS = "homeostat_drift_reports_total"
DATA_INCIDENT = "homeostat_data_incident_ratio"
MODEL_LOSS = "homeostat_model_loss_ratio"
LEADER = "homeostat_leader_ratio"
CASE_STATE = "homeostat_case_state_ratio"
CASE_SINCE = "homeostat_case_since_timestamp_seconds"
APPROVAL_SINCE = "homeostat_approval_since_timestamp_seconds"
APPROVAL_DUE = "homeostat_approval_due_timestamp_seconds"
CANARY_LIMIT = "homeostat_canary_limit_seconds"
TRAININGS = "homeostat_trainings_total"
TRAINING_CPU = "homeostat_training_cpu_seconds_total"
CANARY_ROWS = "homeostat_canary_rows_ratio"
CANARY_LOSS_DIFFERENCE = "homeostat_canary_loss_difference_ratio"
DECISIONS = "homeostat_decisions_total"
STEP_CPU = "homeostat_step_cpu_seconds_total"
CONSUMER_LAG = "homeostat_consumer_lag_rows"
WAITING = "homeostat_waiting_ratio"
DOWN = "homeostat_down_ratio"
ALERTS = "homeostat_alerts_total"
WEBHOOKS = "homeostat_webhooks_total"
COST_PER_1K = "homeostat_cost_per_1k_predictions_usd"
CPU_PRICE = "homeostat_cpu_hour_usd"
BUDGET_PER_1K = "homeostat_budget_per_1k_predictions_usd"

_LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

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
        _LATENCY_BUCKETS,
    ),
    Metric(
        REQUESTS,
        "counter",
        "HTTP requests by what was asked for and how it was answered",
        ("product", "route", "status"),
    ),
    Metric(
        REQUEST_LATENCY,
        "histogram",
        "Time from a request's first byte read to its answer, waiting included",
        ("product", "route"),
        (*_LATENCY_BUCKETS, 5.0, 10.0),
    ),
    Metric(
        SLOW_REQUESTS,
        "counter",
        "Predictions answered well, but later than the contract promises",
        ("product", "route"),
    ),
    Metric(SLA_TARGET, "gauge", "Share of predictions that the contract promises in time", ("product",)),
    Metric(SLA_LATENCY, "gauge", "Time within which the contract promises predictions", ("product",)),
    Metric(SLA_FRESHNESS, "gauge", "Age that the contract allows the newest stored feature row", ("product",)),
    Metric(SLA_ATTAINMENT, "gauge", "Share of predictions within the promised latency", ("product",)),
    Metric(FEATURE_TIME, "gauge", "Event time of the newest stored feature row of a lane", ("product", "lane")),
    Metric(LABEL_MATURITY, "gauge", "Share of matured predictions whose label came", ("product",)),
    Metric(
        LABEL_RATE, "gauge", "Share of ones among mature labels: of the last window, of training", ("product", "of")
    ),
    Metric(DRIFT_PSI, "gauge", "Population stability index of the last window", ("product", "feature")),
    Metric(DRIFT_KS, "gauge", "Kolmogorov-Smirnov distance of the last window", ("product", "feature")),
    Metric(DRIFT_DISTANCE, "gauge", "Embedding distance of a vector in the last window", ("product", "feature")),
    Metric(DRIFTED_FEATURES, "gauge", "Share of features drifted in the last window", ("product",)),
    Metric(DRIFT_REPORTS, "counter", "Drift reports by what they conclude", ("product", "status")),
    Metric(DATA_INCIDENT, "gauge", "1 while a fault of this kind breaks the newest rows", ("product", "kind")),
    Metric(MODEL_LOSS, "gauge", "Loss on the mature rows of the last window", ("product", "version")),
    Metric(LEADER, "gauge", "1 for the process that leads, 0 for one that stands by", ("product",)),
    Metric(CASE_STATE, "gauge", "1 for the state the healing case is in", ("product", "state")),
    Metric(CASE_SINCE, "gauge", "When the case came into the state it is in", ("product",)),
    Metric(
        APPROVAL_SINCE, "gauge", "Since when a proven challenger waits for an operator; infinite: none", ("product",)
    ),
    Metric(APPROVAL_DUE, "gauge", "When one that waits is rejected; infinite where none is", ("product",)),
    Metric(CANARY_LIMIT, "gauge", "Time that the contract gives a canary", ("product",)),
    Metric(TRAININGS, "counter", "Training runs by how they ended", ("product", "status")),
    Metric(TRAINING_CPU, "counter", "CPU time spent on training", ("product",)),
    Metric(CANARY_ROWS, "gauge", "Mature rows scored by both models in the canary", ("product",)),
    Metric(CANARY_LOSS_DIFFERENCE, "gauge", "Mean loss of the challenger minus the champion's", ("product",)),
    Metric(DECISIONS, "counter", "Changes of who serves, and decisions to leave it", ("product", "action")),
    Metric(STEP_CPU, "counter", "CPU time by step", ("product", "step")),
    Metric(
        CONSUMER_LAG,
        "gauge",
        "Messages of a topic that a step has still to handle",
        ("product", "step", "topic", "lane"),
    ),
    Metric(WAITING, "gauge", "1 while a process waits for a server or a disk", ("product", "process")),
    Metric(DOWN, "gauge", "1 while a process beside the server is not there or keeps dying", ("product", "process")),
    Metric(ALERTS, "counter", "Alerts by whether they were sent or given up", ("product", "kind", "fate")),
    Metric(WEBHOOKS, "counter", "Messages of the registry's server, the refused ones by reason", ("product", "fate")),
    Metric(COST_PER_1K, "gauge", "Cost of 1,000 predictions, all CPU counted", ("product", "part")),
    Metric(CPU_PRICE, "gauge", "Price of an hour of one CPU by the contract", ("product",)),
    Metric(BUDGET_PER_1K, "gauge", "What 1,000 predictions may cost by the contract", ("product",)),
)

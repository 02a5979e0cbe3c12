"""THE MAP: one row a step. Read it first.

Data goes forward by topics and comes back only through the registry's aliases. The graph is a DAG and
every topic has one writer (tests/architecture/test_flow.py).
"""

from dataclasses import dataclass
from datetime import timedelta

from homeostat.contract.model import Contract
from homeostat.contract.spans import memory_spans


@dataclass(frozen=True, slots=True)
class Row:
    """One step: what it reads, what it writes, which process runs it, and when."""

    step: str
    consumes: tuple[str, ...]
    produces: tuple[str, ...]
    process: str
    paced: bool = False  # looks at the world when the pace says so, not at every batch
    shared: bool = False  # several processes may offer to run it
    job: bool = False  # may run as a job whose metrics nobody reads: what it did is counted where its records are read


FLOW: tuple[Row, ...] = (
    Row("ingest", ("raw_events", "raw_labels"), ("features", "labels"), "ingestor", shared=True),
    Row("predict", ("features",), ("predictions",), "predictor", shared=True),
    Row("join", ("predictions", "labels"), ("outcomes",), "joiner"),
    Row("archive", ("features", "outcomes"), (), "joiner", paced=True),
    Row("detect", ("predictions", "outcomes"), ("drift_reports",), "detector", paced=True),
    Row("decide", ("drift_reports",), ("retrain_requests",), "healer", paced=True),
    Row("train", ("retrain_requests",), ("training_runs",), "trainer", job=True),
    Row("judge", ("training_runs", "predictions", "outcomes"), ("canary_verdicts",), "judge", paced=True),
    Row("promote", ("canary_verdicts",), ("promotions",), "healer", paced=True),
    Row("alert", ("drift_reports", "training_runs", "promotions", "outcomes"), (), "healer", paced=True),
)

EXTERNAL = ("raw_events", "raw_labels")
"""Topics that producers outside write."""


def dead_letters(step: str) -> str:
    """Return the topic for records the step could not use."""
    return f"{step}_dead_letters"


def topic_name(product: str, topic: str) -> str:
    """Return a topic's name in the log: ``<product>.<plural_noun>.v1``."""
    return f"{product}.{topic}.v1"


def memory_span(step: str, contract: Contract) -> timedelta:
    """Return how far back a restarted step folds its input to have its memory again."""
    return memory_spans(contract).get(step, timedelta(0))

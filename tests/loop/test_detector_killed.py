"""A detector killed with -9 in the middle of a window reports the same window as one that never stopped."""

import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import numpy as np
import polars as pl
import pytest

from homeostat.adapters.memory import MemoryRegistry, MemoryTelemetry
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.codec import TOPIC_OF, encode
from homeostat.contract.model import Contract
from homeostat.drift.domain import domain_reference
from homeostat.drift.profile import FILE, build_profile
from homeostat.flow import FLOW, memory_span, topic_name
from homeostat.ports import ModelPackage, NewMessage
from homeostat.records import Arm, Outcome, Prediction
from homeostat.steps.detect import DetectStep
from homeostat.worker import Worker

START, DAY, DAYS = datetime(2030, 1, 1, tzinfo=UTC), timedelta(days=1), 9
STUCK = (3, 4)  # two days, as pieces of a day don't begin at midnight
CONTRACT = Contract.model_validate(
    {
        "product": "parcels",
        "event": {
            "entity": "depot",
            "fields": {"depot": "string", "weight": "number", "kind": "string", "name": "string"},
        },
        "label": {"field": "late", "delay": "1h", "maturity": "1d"},
        "features": {"weight": {"field": "weight"}, "kind": {"field": "kind"}, "name": {"field": "name"}},
        "drift": {
            "every": "1d",
            "window": "7d",
            "min_rows": 500,
            "alarms": {"false_retrainings": 0.5},
            "domain_classifier": True,
        },
    }
)
(ROW,) = (row for row in FLOW if row.step == "detect")


def registry():
    rng, days = np.random.default_rng(0), 28
    rows = days * 200
    frame = pl.DataFrame(
        {
            "weight": rng.standard_normal(rows),
            "kind": rng.choice(["a", "b"], rows),
            "name": [f"n{k}" for k in rng.integers(0, 400, rows)],
            "event_time": [START - days * DAY + k * DAY / 200 for k in range(rows)],
        }
    )
    names, texts, scores = CONTRACT.feature_names, CONTRACT.categorical, rng.random(rows)
    profile = build_profile(frame, names, texts, scores, expected_loss=0.7, seed=1, window=7 * DAY)
    domain = domain_reference(profile.columns[:-1], frame, None, 7 * DAY, 1)
    made = MemoryRegistry()
    package = ModelPackage({FILE: replace(profile, domain=domain).to_bytes()})
    made.set_alias("champion", made.register(package, "first"))
    return made


def fill(log):
    """Nine days of 200 predictions and outcomes; a day's come at its end. On two of them all are of one kind."""
    rng = np.random.default_rng(1)
    for day in range(DAYS):
        messages = []
        for k in range(200):
            time = START + day * DAY + k * DAY / 200
            event, score = f"e{day}-{k}", float(rng.random())
            kind = "a" if day in STUCK else str(rng.choice(["a", "b"]))
            values = (float(rng.standard_normal() + 0.1 * day), kind, f"n{rng.integers(0, 400)}")
            seen = (event, event, "d", time, time, Arm.CHAMPION, "1", score, 0.9, 1.0, values, {"1": score})
            label = float(rng.random() < score)
            outcome = Outcome(event, "d", time, time + DAY, label, Arm.CHAMPION, "1", score, {"1": score})
            messages += [message(Prediction(*seen)), message(outcome)]
        log.append(messages, START + (day + 1) * DAY)


def message(record):
    value, headers = encode(record)
    return NewMessage(topic_name("parcels", TOPIC_OF[type(record)]), value, headers)


def detect(path, first, dies_at=None):
    """Look once a day from ``first`` on; ``dies_at`` is a day and a point of its batch."""
    now = START + first * DAY

    def hook(step, point):
        if dies_at == ((now - START) // DAY, point):
            os.kill(os.getpid(), signal.SIGKILL)

    step = DetectStep(CONTRACT, registry(), MemoryTelemetry())
    span = memory_span("detect", CONTRACT)
    worker = Worker(ROW, step, SqliteLog(path), MemoryTelemetry(), product="parcels", memory=span, hook=hook)
    worker.restore(now)
    while now <= START + DAYS * DAY:
        worker.run_once(now)
        now += DAY


def process(*given):
    """Run ``detect`` in a process of its own and return how it ended; a fork of threads that polars has may hang."""
    child = get_context("spawn").Process(target=detect, args=given)
    child.start()
    child.join(240)
    return child.exitcode


def reports(path):
    """Every report by its id, numbers to nine digits: sums over other batches differ in the last bit."""
    messages = SqliteLog(path).read(topic_name("parcels", "drift_reports"), 0, 1000)
    told = [json.loads(m.value, parse_float=lambda text: f"{float(text):.9g}") for m in messages]
    return {report["report_id"]: report for report in told}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What a detector reports that never stopped."""
    whole = filled(tmp_path_factory.mktemp("detector") / "whole.db")
    assert process(whole, 1) == 0
    return reports(whole)


def filled(path):
    """Return the path of a log with all days."""
    log = SqliteLog(path)
    fill(log)
    log.close()
    return path


@pytest.mark.parametrize("point", ["read", "handled", "published", "committed"])
def test_a_detector_killed_in_the_middle_of_a_window_reports_as_one_that_never_stopped(tmp_path, expected, point):
    killed = filled(tmp_path / "killed.db")
    assert process(killed, 1, (5, point)) == -signal.SIGKILL
    assert process(killed, 5) == 0
    assert reports(killed) == expected


def test_those_reports_hold_every_status_and_every_kind_of_evidence(expected):
    told = [*expected.values()]
    assert {report["status"] for report in told} == {"unknown", "healthy", "drifted"}
    assert any(report["performance"] for report in told)
    assert any(report["domain"] for report in told)
    assert any(report["features"] and report["features"][2]["ks"] for report in told)  # of the lengths of names
    assert {fault["kind"] for report in told for fault in report["incidents"]} == {"stuck_value"}

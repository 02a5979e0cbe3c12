"""A detector killed with -9 in the middle of a window reports the same window as one that never stopped."""

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import numpy as np
import polars as pl
import pytest

from homeostat.adapters.memory import MemoryRegistry, MemoryTelemetry
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.codec import TOPIC_OF, encode
from homeostat.contract.model import Contract
from homeostat.drift.profile import FILE, build_profile
from homeostat.flow import FLOW, memory_span, topic_name
from homeostat.ports import ModelPackage, NewMessage
from homeostat.records import Arm, Outcome, Prediction
from homeostat.steps.detect import DetectStep
from homeostat.worker import Worker

START, DAY, DAYS = datetime(2030, 1, 1, tzinfo=UTC), timedelta(days=1), 9
CONTRACT = Contract.model_validate(
    {
        "product": "parcels",
        "event": {"entity": "depot", "fields": {"depot": "string", "weight": "number", "kind": "string"}},
        "label": {"field": "late", "delay": "1h", "maturity": "1d"},
        "features": {"weight": {"field": "weight"}, "kind": {"field": "kind"}},
        "drift": {"every": "1d", "window": "7d", "min_rows": 500, "alarms": {"false_retrainings": 0.5}},
    }
)
(ROW,) = (row for row in FLOW if row.step == "detect")


def registry():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"weight": rng.standard_normal(3000), "kind": rng.choice(["a", "b"], 3000)})
    profile = build_profile(frame, ("weight", "kind"), frozenset({"kind"}), rng.random(3000), expected_loss=0.7, seed=1)
    made = MemoryRegistry()
    made.set_alias("champion", made.register(ModelPackage({FILE: profile.to_bytes()}), "first"))
    return made


def fill(log):
    """Nine days of 200 predictions and outcomes; a day's come at its end."""
    rng = np.random.default_rng(1)
    for day in range(DAYS):
        messages = []
        for k in range(200):
            time = START + day * DAY + k * DAY / 200
            event, score = f"e{day}-{k}", float(rng.random())
            values = (float(rng.standard_normal() + 0.1 * day), str(rng.choice(["a", "b"])))
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
    """Run ``detect`` in a process of its own and return how it ended."""
    child = get_context("fork").Process(target=detect, args=given)
    child.start()
    child.join(60)
    return child.exitcode


def reports(path):
    """Every report by its id, numbers to nine digits: sums over other batches differ in the last bit."""
    messages = SqliteLog(path).read(topic_name("parcels", "drift_reports"), 0, 1000)
    told = [json.loads(m.value, parse_float=lambda text: f"{float(text):.9g}") for m in messages]
    return {report["report_id"]: report for report in told}


@pytest.mark.parametrize("point", ["read", "handled", "published", "committed"])
def test_a_detector_killed_in_the_middle_of_a_window_reports_as_one_that_never_stopped(tmp_path, point):
    whole, killed = tmp_path / "whole.db", tmp_path / "killed.db"
    for path in (whole, killed):
        log = SqliteLog(path)
        fill(log)
        log.close()
    assert process(whole, 1) == 0
    assert process(killed, 1, (5, point)) == -signal.SIGKILL
    assert process(killed, 5) == 0
    expected = reports(whole)
    assert reports(killed) == expected
    assert {report["status"] for report in expected.values()} == {"unknown", "healthy", "drifted"}
    assert any(report["performance"] for report in expected.values())

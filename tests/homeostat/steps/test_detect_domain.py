"""The classifier that the detector asks where the contract wants it."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl

from homeostat.drift.domain import domain_reference
from homeostat.drift.profile import FILE, Profile
from homeostat.steps.detect import DetectStep
from tests.homeostat.steps.test_detect import CONTRACT, NOW, Registry, Telemetry, only_report, predictions


def test_the_domain_classifier_is_asked_where_contract_and_profile_have_it():
    registry = Registry()
    rng, rows = np.random.default_rng(0), 5600
    frame = pl.DataFrame(
        {
            "weight": rng.standard_normal(rows),
            "kind": rng.choice(["a", "b"], rows),
            "event_time": [NOW - timedelta(days=7 + 28 * k / rows) for k in range(rows)],
        }
    )
    features = Profile.from_bytes(registry.files[FILE]).columns[:-1]
    domain = domain_reference(features, frame, None, timedelta(days=7), 1)
    registry.files = {FILE: replace(Profile.from_bytes(registry.files[FILE]), domain=domain).to_bytes()}
    told = {}
    for asked in (False, True):
        drift = CONTRACT.drift.model_copy(update={"domain_classifier": asked})
        step = DetectStep(CONTRACT.model_copy(update={"drift": drift}), registry, Telemetry())
        step.handle(predictions(800, shift=1.0), NOW)
        told[asked] = only_report(step).domain
    assert told[False] is None
    assert told[True].drifted
    assert next(iter(told[True].carried)) == "weight"

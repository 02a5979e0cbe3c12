"""The classifier that the detector asks where the contract wants it, and the page of any other window as well."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.codec import encode
from homeostat.contract.model import Contract
from homeostat.drift.domain import domain_reference
from homeostat.drift.profile import FILE, Profile
from homeostat.flow import topic_name
from homeostat.inspection import drift_page
from homeostat.ports import NewMessage
from homeostat.records import Span
from homeostat.steps.detect import DetectStep
from tests.homeostat.steps.test_detect import CONTRACT, NOW, Registry, Telemetry, only_report, predictions
from tests.stacks import memory_stack


@pytest.fixture(scope="module")
def registry() -> Registry:
    """A champion whose profile has a reference for the classifier."""
    registry = Registry()
    rng, rows = np.random.default_rng(0), 5600
    frame = pl.DataFrame(
        {
            "weight": rng.standard_normal(rows),
            "kind": rng.choice(["a", "b"], rows),
            "event_time": [NOW - timedelta(days=7 + 28 * k / rows) for k in range(rows)],
        }
    )
    profile = Profile.from_bytes(registry.files[FILE])
    domain = domain_reference(profile.columns[:-1], frame, None, timedelta(days=7), 1)
    registry.files = {FILE: replace(profile, domain=domain).to_bytes()}
    return registry


def asking(*, asked: bool) -> Contract:
    return CONTRACT.model_copy(update={"drift": CONTRACT.drift.model_copy(update={"domain_classifier": asked})})


def test_the_domain_classifier_is_asked_where_contract_and_profile_have_it(registry: Registry) -> None:
    told = {}
    for asked in (False, True):
        step = DetectStep(asking(asked=asked), registry, Telemetry())
        step.handle(predictions(800, shift=1.0), NOW)
        told[asked] = only_report(step).domain
    assert told[False] is None
    assert told[True].drifted
    assert next(iter(told[True].carried)) == "weight"


def test_the_page_of_a_window_says_what_the_look_at_it_said(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract, rows = asking(asked=True), predictions(800, shift=1.0)
    stack = replace(memory_stack(contract, tmp_path), registry=registry)
    stack.log.append([NewMessage(topic_name(contract.product, "predictions"), *encode(row)) for row in rows], NOW)
    told = {}
    monkeypatch.setattr(drift_page, "training_rows", lambda *_: None)
    monkeypatch.setattr(drift_page, "evidently_page", lambda verdict, lines, *_: told.update(verdict, lines=lines))
    drift_page.page_of_span(contract, stack, Span(NOW - contract.drift.window, NOW))
    step = DetectStep(contract, registry, Telemetry())
    step.handle(rows, NOW)
    look = only_report(step)
    assert told["domain"]["auc"] == look.domain.auc
    assert told["reasons"] == list(look.reasons)
    assert told["rows"] == 800
    assert any(line.startswith("classifier: AUC") for line in told["lines"])

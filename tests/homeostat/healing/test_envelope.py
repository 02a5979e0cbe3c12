"""Changes that the loop makes by itself, and those that wait for an operator, at most until a deadline."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from homeostat.contract.model import Contract
from homeostat.contract.policies import CanaryPolicy
from homeostat.healing.envelope import outside
from homeostat.metric_names import APPROVAL_DUE, APPROVAL_SINCE
from homeostat.ports import Aliases, ModelPackage, OperatorDecision
from homeostat.records import CaseState

Rig = Any  # of conftest, which tests can't import

PACKAGE = ModelPackage({"model.txt": bytes(2**20)}, {"auc": 0.75}, {"recipe": json.dumps({"learner": "lightgbm"})})
EVIDENCE = {"challenger_loss": 0.47}


def within(contract: Contract, **canary: Any) -> Contract:
    policy = CanaryPolicy.model_validate({"share": 0.1, "min_rows": 50, "max_duration": "3d", "watch": "3d", **canary})
    return contract.model_copy(update={"canary": policy})


def enveloped(contract: Contract, **limits: Any) -> Contract:
    return within(contract, approval="automatic_within", within=limits)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"min_auc": 0.75},
        {"max_loss": 0.47},
        {"learners": ["lightgbm"]},
        {"features": ["price", "colour"]},
        {"max_model_mib": 1},
    ],
)
def test_a_change_inside_every_limit_needs_nobody(contract: Contract, limits: dict[str, Any]) -> None:
    assert outside(enveloped(contract, **limits), PACKAGE, EVIDENCE) is None


@pytest.mark.parametrize(
    "limits",
    [
        {"min_auc": 0.76},
        {"max_loss": 0.46},
        {"learners": ["linear"]},
        {"features": ["colour"]},
        {"max_model_mib": 0.99},
    ],
)
def test_a_change_outside_a_limit_names_it(contract: Contract, limits: dict[str, Any]) -> None:
    (name,) = limits
    assert f"outside canary.within ({name}: " in str(outside(enveloped(contract, **limits), PACKAGE, EVIDENCE))


@pytest.mark.parametrize("limits", [{"min_auc": 0.5}, {"max_loss": 9}, {"learners": ["lightgbm", "linear"]}])
def test_what_a_package_does_not_say_is_outside(contract: Contract, limits: dict[str, Any]) -> None:
    assert outside(enveloped(contract, **limits), ModelPackage({}), {}) is not None


@pytest.mark.parametrize("canary", [{"approval": "automatic_within"}, {"within": {"min_auc": 0.7}}])
def test_the_mode_and_its_envelope_go_together(contract: Contract, canary: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="go together"):
        within(contract, **canary)


def proven(rig: Rig) -> Rig:
    rig.first_champion()
    rig.canary()
    rig.outcomes({"1": 0.6, "2": 0.7})
    return rig


def test_inside_the_envelope_the_loop_promotes_by_itself(contract: Contract, rig_of: Callable[..., Rig]) -> None:
    rig = proven(rig_of(enveloped(contract, max_loss=9.0)))
    assert rig.registry.aliases() == Aliases("2", None, "1")


def test_outside_it_waits_for_an_operator_and_says_why(contract: Contract, rig_of: Callable[..., Rig]) -> None:
    rig = proven(rig_of(enveloped(contract, min_auc=0.9)))
    case = rig.cases.load()
    assert case.state is CaseState.WAITING
    assert "outside canary.within (min_auc: None, 0.9)" in case.reason
    assert case.waiting_since is not None
    rig.run(5)
    assert rig.telemetry.value(APPROVAL_SINCE, product="toys") == case.waiting_since.timestamp()
    assert rig.decide("approve", "2").startswith("done: ")
    assert rig.telemetry.value(APPROVAL_SINCE, product="toys") == float("inf")
    assert rig.telemetry.value(APPROVAL_DUE, product="toys") == float("inf")


def test_one_that_nobody_approves_by_the_deadline_is_rejected(contract: Contract, rig_of: Callable[..., Rig]) -> None:
    rig = proven(rig_of(within(contract, approval="manual", approval_deadline="3d")))
    since = rig.cases.load().waiting_since
    assert since is not None
    rig.run(2 * 24)
    assert rig.cases.load().state is CaseState.WAITING
    assert rig.telemetry.value(APPROVAL_DUE, product="toys") == (since + timedelta(days=3)).timestamp()
    rig.run(24)
    assert rig.registry.aliases() == Aliases("1", None, None)
    entry = [e for e in rig.ledger.entries() if e.kind == "reject"][-1]
    assert entry.payload["reason"].startswith("nobody approved it within 3d: better than the champion")


def test_an_approval_set_before_the_deadline_was_seen_to_pass_comes_first(
    contract: Contract, rig_of: Callable[..., Rig]
) -> None:
    rig = proven(rig_of(within(contract, approval="manual", approval_deadline="3d")))
    rig.now += timedelta(days=4)
    rig.registry.decide(OperatorDecision("2", "approve", "ann"))
    rig.workers[-1].run_once(rig.now)  # the judge has not looked since
    rig.run()
    assert rig.registry.aliases().champion == "2"


def test_an_alias_moved_before_the_deadline_was_seen_to_pass_is_an_approval_too(
    contract: Contract, rig_of: Callable[..., Rig]
) -> None:
    rig = proven(rig_of(within(contract, approval="manual", approval_deadline="3d")))
    rig.now += timedelta(days=4)
    rig.registry.set_alias("champion", "2")
    rig.workers[-1].run_once(rig.now)  # the judge has not looked since
    rig.run()
    ended = [(e.kind, e.actor) for e in rig.ledger.entries() if e.kind in {"promote", "reject"}]
    assert ended == [("promote", "homeostat"), ("promote", "operator")]


def test_a_deadline_does_not_end_one_that_an_operator_holds(contract: Contract, rig_of: Callable[..., Rig]) -> None:
    rig = proven(rig_of(within(contract, approval="manual", approval_deadline="3d")))
    rig.decide("hold", "2")
    rig.run(30 * 24)
    assert rig.cases.load().state is CaseState.WAITING


def test_a_deadline_passes_once_whenever_the_process_dies(contract: Contract, rig_of: Callable[..., Rig]) -> None:
    product = within(contract, approval="manual", approval_deadline="3d")

    def story(rig: Rig) -> tuple[Any, ...]:
        proven(rig).run(3 * 24)
        kinds = [(e.entry_id, e.kind) for e in rig.ledger.entries() if e.kind != "left_alone"]
        return rig.registry.aliases(), rig.cases.load(), kinds, set(rig.published("promotions"))

    whole = rig_of(product)
    expected, calls = story(whole), whole.calls[0]
    for crash_at in range(calls // 2, calls + 1):
        assert story(rig_of(product, crash_at)) == expected, f"crash after call {crash_at} of {calls}"

"""Whether a change is one that the loop may make by itself: pure."""

import json
from collections.abc import Mapping
from typing import Any

from homeostat.contract.model import Contract
from homeostat.contract.policies import ChangeEnvelope
from homeostat.ports import ModelPackage

_MIB = 2**20


def outside(contract: Contract, package: ModelPackage, evidence: Mapping[str, Any]) -> str | None:
    """Return why a proven challenger has to wait for an operator, None when it may replace the champion by itself.

    What a package does not say is outside of every limit.

    Args:
        contract: Its canary policy says who approves.
        package: The challenger.
        evidence: Of the canary.
    """
    policy = contract.canary
    if policy.approval == "manual":
        return "every promotion is approved by an operator"
    if policy.approval == "automatic" or policy.within is None:
        return None
    return _beyond(policy.within, contract.feature_names, package, evidence)


def _beyond(
    within: ChangeEnvelope, features: tuple[str, ...], package: ModelPackage, evidence: Mapping[str, Any]
) -> str | None:
    auc, loss, learner = package.metrics.get("auc"), evidence.get("challenger_loss"), _learner(package)
    size = sum(map(len, package.files.values())) / _MIB
    more = [] if within.features is None else sorted({*features} - {*within.features})
    limits = (
        (within.min_auc is not None and not (auc or 0.0) >= within.min_auc, f"min_auc: {auc}, {within.min_auc}"),
        (
            within.max_loss is not None and (loss is None or loss > within.max_loss),
            f"max_loss: {loss}, {within.max_loss}",
        ),
        (within.learners is not None and learner not in within.learners, f"learners: {learner}, {within.learners}"),
        (bool(more), f"features: {', '.join(more)}, not among {within.features}"),
        (
            within.max_model_mib is not None and size > within.max_model_mib,
            f"max_model_mib: {size:.2f}, {within.max_model_mib}",
        ),
    )
    broken = [words for is_broken, words in limits if is_broken]
    return f"outside canary.within ({'; '.join(broken)})" if broken else None


def _learner(package: ModelPackage) -> str | None:
    try:
        return str(json.loads(package.params["recipe"])["learner"])
    except (KeyError, ValueError, TypeError):
        return None

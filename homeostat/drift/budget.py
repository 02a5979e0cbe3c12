"""From an alarm budget to limits: how often a look may be wrong, and how far a column must move to matter."""

from datetime import timedelta
from statistics import NormalDist

from homeostat.contract.model import Contract
from homeostat.contract.policies import AlarmBudget, DriftPolicy

MOST_OFTEN = 0.25  # of a look, however generous the budget: beyond it a single look says nothing


def policy_in_force(contract: Contract) -> DriftPolicy:
    """Return the drift policy with what its alarm budget gives; what is written by hand stays.

    A normal column that moves by ``effect`` standard deviations has the index ``effect ** 2`` and the
    Kolmogorov-Smirnov distance ``2 * Phi(effect / 2) - 1``: those are the floors.
    """
    drift = contract.drift
    if drift.alarms is None:
        return drift
    derived = {
        "false_discovery_rate": level_of_a_look(drift.alarms, contract),
        "min_psi": drift.alarms.effect**2,
        "min_ks": 2 * NormalDist().cdf(drift.alarms.effect / 2) - 1,
    }
    return drift.model_copy(
        update={name: value for name, value in derived.items() if name not in drift.model_fields_set}
    )


def false_retrainings(contract: Contract, per: timedelta) -> float:
    """Return how many cases the policy in force may open for nothing within a span, at most and on average."""
    return policy_in_force(contract).false_discovery_rate * (per / contract.drift.every) / contract.healing.confirm


def level_of_a_look(budget: AlarmBudget, contract: Contract) -> float:
    """Return the chance with which one look may alarm without drift.

    A case takes ``healing.confirm`` drifted looks of its own, so over any span the expected number of false
    cases is at most the expected number of false looks over ``confirm``, however much the windows overlap and
    whatever is done in between: at ``level`` a look it is ``looks * level / confirm``. That holds at every
    moment of an endless stream, because each look has its share, not the year. Windows that overlap alarm
    together, so the true number is lower.

    >>> from datetime import timedelta
    >>> fields = {"depot": "string", "weight": "number"}
    >>> daily = Contract.model_validate({
    ...     "product": "parcels", "features": {"weight": {"field": "weight"}},
    ...     "event": {"entity": "depot", "fields": fields}, "label": {"field": "late", "delay": "1h", "maturity": "1d"},
    ...     "drift": {"every": "1d", "alarms": {"false_retrainings": 0.15, "per": "30d"}}, "healing": {"confirm": 2},
    ... })
    >>> round(level_of_a_look(daily.drift.alarms, daily), 6)
    0.01
    """
    looks = budget.per / contract.drift.every
    return min(MOST_OFTEN, budget.false_retrainings * contract.healing.confirm / looks)

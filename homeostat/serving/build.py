"""Puts a front together from the parts of a product's stack."""

from homeostat.bootstrap import Stack, build_worker
from homeostat.contract.model import Contract
from homeostat.ports import Clock
from homeostat.serving.answers import Answers, Overheard
from homeostat.serving.desk import Desk
from homeostat.serving.front import Front, Limits, Machine
from homeostat.serving.readiness import Readiness
from homeostat.steps.ingest import IngestStep
from homeostat.steps.predict import PredictStep
from homeostat.worker import Hook, no_hook


def build_front(
    contract: Contract, stack: Stack, clock: Clock, *, limits: Limits | None = None, hook: Hook = no_hook
) -> Front:
    """Return the front of one product, not yet started.

    Args:
        contract: The product.
        stack: Its stores; the front is the only one to run ingest and predict on them.
        clock: Of the instance.
        limits: How much is done at once and may wait.
        hook: Where a test puts a crash.
    """
    limits = limits or Limits()
    answers = Answers(contract)
    ingest = Overheard(IngestStep(contract, stack.online, stack.telemetry), answers.hear)
    predicting = PredictStep(contract, stack.registry, stack.online, stack.telemetry)
    predict = Overheard(predicting, answers.hear)
    machine = Machine(
        log=stack.log,
        ingest=build_worker("ingest", ingest, contract, stack, hook),
        predict=build_worker("predict", predict, contract, stack, hook),
        desk=Desk(contract, stack.log, predicting, answers, stack.telemetry),
        readiness=Readiness(contract, stack.registry, stack.cases, stack.ledger, stack.log),
    )
    return Front(contract, clock, machine, limits)

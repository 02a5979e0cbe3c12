"""Puts a front together from the parts of a product's stack."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from homeostat.bootstrap import Ports, build_worker
from homeostat.contract.model import Contract
from homeostat.ports import Clock
from homeostat.serving.answers import Answers, Overheard
from homeostat.serving.desk import Desk
from homeostat.serving.following import Following
from homeostat.serving.front import Front, Limits, Machine, Moving
from homeostat.serving.readiness import Readiness
from homeostat.steps.ingest import IngestStep
from homeostat.steps.predict import PredictStep, ServedModels
from homeostat.worker import Hook, Runner, Worker, no_hook


@dataclass(frozen=True, slots=True)
class Deployed:
    """How a front works beside other processes: it hears by the log what they make of the events sent to it.

    Args:
        models: Who serves, without asking a registry each time.
        share: Makes a worker of prediction that stands still while it is another front's turn.
    """

    models: ServedModels
    share: Callable[[Callable[[], Worker]], Runner]


def build_front(
    contract: Contract,
    stack: Ports,
    clock: Clock,
    *,
    limits: Limits | None = None,
    hook: Hook = no_hook,
    deployed: Deployed | None = None,
) -> Front:
    """Return the front of one product, not yet started.

    Args:
        contract: The product.
        stack: Its stores; the front is the only one to run its steps on them.
        clock: Of the instance.
        limits: How much is done at once and may wait.
        hook: Where a test puts a crash.
        deployed: What is different where ingestion, and at times prediction, is the work of other processes.
    """
    limits = limits or Limits()
    models = deployed.models if deployed else stack.registry
    answers = Answers(contract)
    predicting = PredictStep(contract, models, stack.online, stack.telemetry)
    build = partial(build_worker, contract=contract, stack=stack, hook=hook)
    workers: tuple[Moving, ...]
    if deployed:
        following = Following(contract.product, stack.log, answers)
        # last, as it can't be undone: what fails before is tried again
        workers = (deployed.share(partial(build, "predict", predicting)), following)
    else:
        ingest = Overheard(IngestStep(contract, stack.online, stack.telemetry), answers.hear)
        workers = (build("ingest", ingest), build("predict", Overheard(predicting, answers.hear)))
    desk = partial(Desk, contract, stack.log, predicting, telemetry=stack.telemetry)
    missing = Readiness(contract, models, stack).missing
    return Front(
        contract,
        clock,
        Machine(stack.log, workers, desk(answers=answers), missing),
        limits,
        # beside the log and whatever comes by it: who asks about an entity waits for no event of others
        queries=Front(contract, clock, Machine(stack.log, (), desk(answers=Answers(contract)), _nothing), limits)
        if deployed
        else None,
    )


def _nothing(_: datetime) -> None:
    """Miss nothing."""

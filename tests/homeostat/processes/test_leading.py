"""One of several processes works; another one takes over, and who led before begins anew."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from threading import Thread
from time import monotonic, sleep

import pytest

from homeostat.adapters.memory_lead import MemoryLead
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.system_clock import SystemClock
from homeostat.bootstrap import Stack
from homeostat.errors import HomeostatError, TransientError
from homeostat.flow import topic_name
from homeostat.metric_names import CASE_STATE, LEADER
from homeostat.ports import OperatorDecision
from homeostat.processes.leading import Leading
from homeostat.processes.life import Life
from homeostat.processes.service import Service
from homeostat.processes.stores import Product
from homeostat.records import CaseState
from homeostat.settings import Settings
from homeostat.worker import Hook, no_hook

WAIT_S = 60
REQUESTS = topic_name("turbines", "retrain_requests")
RETRAIN = OperatorDecision(None, "retrain")


def until(true: Callable[[], object]) -> None:
    deadline = monotonic() + WAIT_S
    while not true():
        assert monotonic() < deadline
        sleep(0.01)


class Healer:
    """A healer on a product's stores."""

    def __init__(self, product: Product, lead: MemoryLead, hook: Hook = no_hook) -> None:
        self.telemetry, self.life = PrometheusTelemetry(), Life()
        assert isinstance(product.stack, Stack)
        service = Service(
            process="healer",
            settings=Settings(home=product.home).without_servers(),
            product=replace(product, stack=replace(product.stack, telemetry=self.telemetry)),
            telemetry=self.telemetry,
            clock=SystemClock(),
            hook=hook,
            life=self.life,
        )
        self.leading = Leading(service, lead)

    @contextmanager
    def running(self) -> Iterator["Healer"]:
        thread = Thread(target=self.leading.run)
        thread.start()
        try:
            yield self
        finally:
            self.life.over.set()
            thread.join()

    def shows(self, name: str) -> list[str]:
        """The values of a metric as they are scraped."""
        lines = self.telemetry.render().decode().splitlines()
        return [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name}{{")]

    def works(self) -> bool:
        """Whether it has looked at the case, and shows it."""
        return self.leading.missing() is None and bool(self.shows(CASE_STATE))

    def stands_by(self) -> bool:
        return self.leading.missing() is None and self.leading.part == "standing by"


def test_one_works_and_the_other_is_ready_and_takes_over_when_it_ends(product: Product) -> None:
    seat: list[MemoryLead] = []
    first, second = (Healer(product, MemoryLead(seat)) for _ in range(2))
    with ExitStack() as later:
        with first.running():
            until(first.works)
            later.enter_context(second.running())
            until(second.stands_by)
            assert (first.shows(LEADER), second.shows(LEADER)) == (["1.0"], ["0.0"])
            assert not second.shows(CASE_STATE)
            second.leading.wake()  # an edit is told to whoever the message reaches
        until(second.works)
        assert second.shows(LEADER) == ["1.0"]
        assert second.leading.part == "ready"


def test_who_loses_the_lead_within_a_step_publishes_nothing_more(product: Product) -> None:
    seat: list[MemoryLead] = []
    other = MemoryLead(seat)
    thefts = []

    def stolen(step: str, point: str) -> None:
        if (step, point) == ("decide", "handled") and not thefts:
            thefts.append(product.stack.cases.load().state)
            seat[:] = [other]

    healer = Healer(product, MemoryLead(seat), stolen)
    product.stack.registry.decide(RETRAIN)
    with healer.running():
        until(healer.stands_by)
        assert thefts == [CaseState.TRAINING]  # the case was opened, and its request not published
        assert product.stack.log.end(REQUESTS) == 0
        assert healer.shows(LEADER) == ["0.0"]
        other.leave()
        until(healer.works)
        until(lambda: product.stack.log.end(REQUESTS))
    assert product.stack.log.end(REQUESTS) == 1


def test_who_leads_again_knows_what_another_one_did_meanwhile(product: Product) -> None:
    seat: list[MemoryLead] = []
    leads = MemoryLead(seat), MemoryLead(seat)
    first, second = (Healer(product, lead) for lead in leads)
    with first.running():
        until(first.works)
        seat[:] = [leads[1]]
        until(first.stands_by)
        assert not first.shows(CASE_STATE)  # how things stood when it led is no news
        with second.running():
            until(second.works)
            product.stack.registry.decide(RETRAIN)
            until(lambda: product.stack.log.end(REQUESTS))
        until(first.works)
        assert first.shows(CASE_STATE).count("1.0") == 1
    case = product.stack.cases.load()
    assert (case.state, case.revision) == (CaseState.TRAINING, 2)  # one was opened, and the operator answered


class Away(MemoryLead):
    """Can't be asked for a while."""

    def __init__(self, seat: list[MemoryLead]) -> None:
        super().__init__(seat)
        self.away = False

    def take(self) -> bool:
        if self.away:
            raise TransientError("the database is away", 0.01)
        return super().take()


def test_who_stands_by_is_not_ready_while_it_can_not_ask(product: Product) -> None:
    seat: list[MemoryLead] = []
    MemoryLead(seat).take()
    lead = Away(seat)
    healer = Healer(product, lead)
    with healer.running():
        until(healer.stands_by)
        lead.away = True
        until(lambda: "the database is away" in str(healer.leading.missing()))
        lead.away = False
        until(healer.stands_by)


def test_a_failure_that_does_not_pass_lets_another_one_lead(product: Product) -> None:
    seat: list[MemoryLead] = []

    def fails(step: str, point: str) -> None:
        raise HomeostatError(f"{step} can't be {point}")

    with pytest.raises(HomeostatError, match="can't be read"):
        Healer(product, MemoryLead(seat), fails).leading.run()
    assert MemoryLead(seat).take()

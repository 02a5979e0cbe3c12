"""A process of which several may run: one leads and works, the others stand by and take over when it goes."""

import logging
from dataclasses import replace
from typing import Final

from homeostat.bootstrap import Lead, lead_of
from homeostat.errors import LostLeadError
from homeostat.metric_names import LEADER
from homeostat.processes.service import Service, Turn, watched

_ASK_S: Final = 0.5  # between two questions of one that stands by: so long nobody leads when the leader has gone
_READY: Final = "ready"
_STANDBY: Final = "standing by"

_log = logging.getLogger("homeostat.leading")


def lead_rounds(service: Service) -> int:
    """Run the steps of a process in rounds while it leads, watched over HTTP also while it stands by."""
    leading = Leading(service, lead_of(service.process, service.product.contract, service.settings))
    with watched(service, leading.missing, leading.wake, part=lambda: leading.part):
        leading.run()
    return 0


class Leading:
    """Leads for one turn after the other, and stands by in between.

    The lead is looked at before each pass and at each boundary of a step. Who has lost it begins anew, as a process
    does that starts: what another one has done meanwhile is in the topics and stores. One that stands by is ready: it
    has opened all it needs, and were it not, no rollout would end and no machine could be drained.
    """

    def __init__(self, service: Service, lead: Lead) -> None:
        """Take what the process works with, and what says whether it leads."""
        self.part = _READY
        """What it says of itself while it waits for nothing."""
        self._service = replace(service, hook=self._checked)
        self._hook = service.hook
        self._lead = lead
        self._turn = self._new_turn()

    def missing(self) -> str | None:
        """Return what it waits for, None when it works or stands by."""
        return self._service.patience.trouble if self.part == _STANDBY else self._turn.missing()

    def wake(self) -> None:
        """Look at the registry in the next round; who stands by need not, for the leader looks by itself."""
        self._turn.wake()

    def run(self) -> None:
        """Stand by and lead, again and again, until the process shall end."""
        try:
            while self._stand_by():
                self._work()
        finally:
            self._lead.leave()

    def _stand_by(self) -> bool:
        """Return whether this process leads now, and not before either that is so or it shall end."""
        service, over = self._service, self._service.life.over
        if over.is_set():
            return False
        self._show(leads=False)
        if not service.patience.until_done(self._lead.take):
            _log.info("%s: another process leads, this one stands by", service.process)
            service.workers()  # made anew when it leads: by then all is imported and connected
            self.part = _STANDBY
            while not service.patience.until_done(self._lead.take):
                if over.wait(_ASK_S):
                    return False
        self.part = _READY
        return True

    def _work(self) -> None:
        service = self._service
        _log.info("%s: leads", service.process)
        self._show(leads=True)
        try:
            self._turn.run()
        except LostLeadError as error:
            _log.warning("%s: leads no more: %s", service.process, error)
            service.life.rest()
            service.telemetry.forget_gauges()
            self._turn = self._new_turn()

    def _new_turn(self) -> Turn:
        return Turn(self._service, self._lead.check)

    def _checked(self, step: str, point: str) -> None:
        self._hook(step, point)
        self._lead.check()

    def _show(self, *, leads: bool) -> None:
        self._service.telemetry.gauge(LEADER, float(leads), product=self._service.product.contract.product)

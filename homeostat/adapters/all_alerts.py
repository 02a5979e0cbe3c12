"""Several sinks as one."""

from collections.abc import Sequence

from homeostat.errors import TransientError
from homeostat.ports import Alert, AlertSink


class AllAlerts:
    """Sends every alert to each sink; one that fails keeps no other from it."""

    def __init__(self, sinks: Sequence[AlertSink]) -> None:
        """Take the sinks in the order they are tried."""
        self._sinks = tuple(sinks)

    def send(self, alert: Alert) -> None:
        """Deliver an alert to all.

        Raises:
            TransientError: At least one could not take it; sent again, the others do nothing.
        """
        failures = []
        for sink in self._sinks:
            try:
                sink.send(alert)
            except TransientError as error:
                failures.append(error)
        if failures:
            wait_s = max(error.retry_after_s for error in failures)
            raise TransientError("; ".join(map(str, failures)), wait_s)

"""Alerts that stay in this process."""

from homeostat.ports import Alert


class MemoryAlerts:
    """Keeps every alert for as long as the process lives: for tests, and to read what the port means."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}

    @property
    def alerts(self) -> list[Alert]:
        """The alerts in the order they were sent."""
        return list(self._alerts.values())

    def send(self, alert: Alert) -> None:
        """Keep an alert, once by its id."""
        self._alerts.setdefault(alert.alert_id, alert)

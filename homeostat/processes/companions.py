"""The processes beside the server: serving needs none of them, but whoever watches it should hear of their troubles."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from homeostat.inspection.instance import heartbeats
from homeostat.metric_names import DOWN
from homeostat.ports import Telemetry

WITHOUT: Final[Mapping[str, str]] = {
    "keeper": "joined labels, a watch on drift, and healing",
    "trainer": "training",
    "mlflow_ui": "the pages of the MLflow UI",
}
"""What an instance goes on without while one of them is down."""


class Companions:
    """What is the matter with the processes beside the server, as their signs of life and the supervisor's tell."""

    def __init__(self, home: Path, products: Iterable[str], telemetry: Telemetry) -> None:
        """Take the instance's folder, its products, and where it is shown who is down."""
        self.troubles: Mapping[str, str] = {}
        """By process, in words; empty while all are well."""
        self._home = home
        self._products = tuple(products)
        self._telemetry = telemetry

    def look(self) -> None:
        """Look again; what it takes is a few small files."""
        beats = {beat.process: beat for beat in heartbeats(self._home) if beat.process in WITHOUT}
        self.troubles = {process: beat.trouble for process, beat in beats.items() if beat.trouble}
        for process in WITHOUT:
            down = process in beats and beats[process].down is not None
            for product in self._products:
                self._telemetry.gauge(DOWN, float(down), product=product, process=process)

"""Telemetry by prometheus-client: the families of ``homeostat.metric_names`` and nothing else."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import inf
from pathlib import Path
from time import time
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import ValueClass

from homeostat.errors import HomeostatError
from homeostat.metric_names import METRICS, Metric

Family = Counter | Gauge | Histogram
F = TypeVar("F", Counter, Gauge, Histogram)


class PrometheusTelemetry:
    """Every metric family, registered once; a name, kind or label that is not in the list is refused.

    Where ``PROMETHEUS_MULTIPROC_DIR`` was set when this process started, the numbers live in files of that folder:
    any process renders those of all, and those of a process that died stay counted. One telemetry a process then.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register the families, in a registry of their own if none is given."""
        self._source = registry or CollectorRegistry()
        registry = self._source
        if getattr(ValueClass, "_multiprocess", False):
            self._source, registry = CollectorRegistry(), CollectorRegistry()
            self._source.register(_Ours())
        self._families = {metric.name: _family(metric, registry) for metric in METRICS}
        self._children: dict[tuple[object, ...], Family] = {}  # the library's own look-up takes several times as long

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Add to a counter.

        Raises:
            HomeostatError: The family is unknown, or the value is negative.
        """
        family = self._child(name, Counter, labels)
        if value < 0:
            raise HomeostatError(f"the counter {name} can't go down by {-value}")
        family.inc(value)

    def gauge(self, name: str, value: float | None, **labels: str) -> None:
        """Set a gauge; with None it is shown no more, but by processes that share a folder.

        Raises:
            HomeostatError: The family is unknown.
        """
        child = self._child(name, Gauge, labels)
        if value is not None:
            child.set(value)
        else:
            self._families[name].remove_by_labels(labels)
            del self._children[name, *labels.items()]

    def timestamp(self, name: str, at: datetime | None, now: datetime, **labels: str) -> None:
        """Set a gauge to a time by the machine's clock: Prometheus, whose ``time()`` it is, knows no replay's.

        Raises:
            HomeostatError: The family is unknown.
        """
        self.gauge(name, time() - (now - at).total_seconds() if at else inf, **labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add an observation to a histogram.

        Raises:
            HomeostatError: The family is unknown.
        """
        self._child(name, Histogram, labels).observe(value)

    def forget_gauges(self) -> None:
        """Show no gauge any more: another process knows how things stand. Counts of what this one did stay."""
        for family in self._families.values():
            if isinstance(family, Gauge):
                family.clear()
        self._children = {key: child for key, child in self._children.items() if not isinstance(child, Gauge)}

    def totals(self, name: str, by: str, **labels: str) -> dict[str, float]:
        """Return the sums of a counter by the values of one label, over all processes, where other labels fit."""
        sums: dict[str, float] = {}
        for family in self._source.collect():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    sums[sample.labels[by]] = sums.get(sample.labels[by], 0.0) + sample.value
        return sums

    def render(self) -> bytes:
        """Return all values in Prometheus' text exposition format."""
        return generate_latest(self._source)

    def serve(self, port: int, address: str = "127.0.0.1") -> tuple[Callable[[], None], int]:
        """Serve ``/metrics`` from a daemon thread and return how to stop it and the port (0 takes a free one).

        Raises:
            HomeostatError: The port is taken.
        """
        try:
            server, thread = start_http_server(port, addr=address, registry=self._source)
        except OSError as error:
            raise HomeostatError(f"can't serve metrics on {address}:{port}: {error}") from error

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return close, server.server_port

    def _child(self, name: str, kind: type[F], labels: Mapping[str, str]) -> F:
        key = (name, *labels.items())
        child = self._children.get(key)
        if isinstance(child, kind):
            return child
        family = self._families.get(name)
        try:
            if isinstance(family, kind):
                child = self._children[key] = family.labels(**labels)
                return child
        except ValueError:
            pass  # the library's text does not name the family
        raise HomeostatError(f"no {kind.__name__} {name} with labels {sorted(labels)} in homeostat.metric_names")


class _Ours(MultiProcessCollector):
    """The families of this list as all processes have them; libraries leave theirs in the same files."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[no-untyped-call]
        self._names = {metric.name.removesuffix("_total") for metric in METRICS}

    def collect(self) -> Iterable[MetricFamily]:
        # A file is empty for a moment when it is made, and for good where a kill -9 fell into that moment: the
        # library's own collect would raise then (its issue 1199).
        files = [str(file) for file in Path(self._path).glob("*.db") if file.stat().st_size]
        families = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return [family for family in families if family.name in self._names]


def _family(metric: Metric, registry: CollectorRegistry) -> Family:
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    if metric.kind == "gauge":
        # of several processes, the one that spoke last: a restarted one goes on where the dead one was
        return Gauge(metric.name, metric.help, metric.labels, registry=registry, multiprocess_mode="mostrecent")
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)

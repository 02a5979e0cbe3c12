"""Prometheus and Alertmanager, configured by files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import yaml

from deploy.servers.program import find_program
from deploy.servers.server import Server


class HttpServer(Server):
    """A server that says by HTTP whether it is ready and is told so to read its files again."""

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        """Return whether it answers and has read its data."""
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).is_success
        except httpx.HTTPError:
            return False


class Prometheus(HttpServer):
    """A Prometheus that scrapes whoever ``scrape`` names, once a second if not told otherwise.

    Args:
        folder: Of its data.
        port: Where it listens.
        rules: Rule files, ``*`` allowed.
        alertmanager: ``HOST:PORT`` of who gets the alerts.
        every: Seconds between two scrapes and between two looks at the rules, as Prometheus writes it.
    """

    name = "prometheus"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        rules: Sequence[Path] = (),
        alertmanager: str | None = None,
        every: str = "1s",
    ) -> None:
        super().__init__(folder, port)
        self.rules = rules
        self._alertmanager = alertmanager
        self._every = every
        self._targets = self.folder / "targets.json"

    def scrape(self, processes: Mapping[str, str]) -> None:
        """Scrape these from now on, and none else: ``HOST:PORT`` by name of the process; read within seconds."""
        groups = [
            {"targets": [address], "labels": {"job": "homeostat", "process": name}}
            for name, address in processes.items()
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        written = self._targets.with_suffix(".new")
        written.write_text(json.dumps(groups))
        written.replace(self._targets)  # Prometheus watches the file: it must never see half of it

    def find(self) -> None:
        """Look for Prometheus."""
        find_program("prometheus", "prometheus")

    def prepare(self) -> None:
        """Write the configuration."""
        if not self._targets.exists():
            self.scrape({})
        config = {
            "global": {"scrape_interval": self._every, "evaluation_interval": self._every},
            "rule_files": [str(path.absolute()) for path in self.rules],
            "scrape_configs": [{"job_name": "files", "file_sd_configs": [{"files": [str(self._targets)]}]}],
        }
        if self._alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [self._alertmanager]}]}]}
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def command(self) -> list[str]:
        """Return the command line of the server."""
        return [find_program("prometheus", "prometheus"), *self.options()]

    def options(self) -> list[str]:
        """Return what it is told on its command line."""
        return [
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]


class Alertmanager(HttpServer):
    """An Alertmanager.

    Args:
        folder: Of its data.
        port: Where it listens.
        config: Its configuration file as it is deployed.
        webhook: Where it posts alerts instead.
    """

    name = "alertmanager"

    def __init__(self, folder: Path, port: int | None = None, *, config: Path, webhook: str) -> None:
        super().__init__(folder, port)
        self._deployed = config
        self._webhook = webhook
        self._file = self.folder / "alertmanager.yml"

    @property
    def address(self) -> str:
        """Where Prometheus sends alerts."""
        return f"127.0.0.1:{self.port}"

    def find(self) -> None:
        """Look for Alertmanager, under Debian's name or its own."""
        _alertmanager()

    def prepare(self) -> None:
        """Write the configuration."""
        config = yaml.safe_load(self._deployed.read_text())
        for receiver in config["receivers"]:
            for hook in receiver.get("webhook_configs", ()):
                hook["url"] = self._webhook
        self._file.write_text(yaml.safe_dump(config))

    def command(self) -> list[str]:
        """Return the command line of the server, alone in its cluster."""
        return [
            _alertmanager(),
            f"--config.file={self._file}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]


def _alertmanager() -> str:
    return find_program("prometheus-alertmanager", "prometheus-alertmanager", other_name="alertmanager")

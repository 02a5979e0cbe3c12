"""The processes of the map as a deployment runs them: one each, started again when it dies."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, RLock, Thread

import httpx

from deploy.servers import free_port
from homeostat.flow import FLOW

from .running import around, until

ROOT = Path(__file__).parents[2]
PROCESSES = tuple(dict.fromkeys(row.process for row in FLOW))
SERVING = ("predictor",)
READY_S = 240  # seven processes that import Feast or MLflow, on a machine that is busy with other tests


class Deployment:
    """One product's processes; ``servers`` is the environment that names the servers, empty for embedded stores."""

    def __init__(
        self,
        home: Path,
        contract: Path,
        servers: Mapping[str, str] | None = None,
        processes: Sequence[str] = PROCESSES,
        modules: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Start them; ``modules`` says what runs instead of a process's own service, with its arguments."""
        self._modules = {name: (f"services.{name}",) for name in processes} | dict(modules or {})
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.ports = {name: free_port() for name in processes}
        self.url = f"http://127.0.0.1:{self.ports['predictor']}"
        self._environment = {
            **around(),
            **(servers or {}),
            "HOMEOSTAT_HOME": str(home),
            "HOMEOSTAT_CONTRACT": str(contract),
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        self._http = httpx.Client(timeout=10)
        self._lock = RLock()
        self._over = Event()
        self._running = {name: self._start(name) for name in processes}
        self.deaths = dict.fromkeys(processes, 0)
        self._watch = Thread(target=self._restart, daemon=True)
        self._watch.start()

    def pid(self, process: str) -> int:
        """Return the pid of a process as it runs now."""
        with self._lock:
            return self._running[process].pid

    def kill(self, process: str) -> None:
        """End a process by kill -9; it is started again."""
        with self._lock:
            self._running[process].kill()

    def wait_until_ready(self) -> None:
        """Wait until each process works; a predictor without a champion works too."""
        until(lambda: not self.waits(), READY_S, why=lambda: (self.waits(), self.logs()))

    def waits(self) -> dict[str, str]:
        """What each process that doesn't work yet waits for."""
        said = {name: self._missing(name) for name in self.ports}
        return {name: why for name, why in said.items() if why and "no champion yet" not in why}

    def stop(self) -> dict[str, int]:
        """End all by SIGTERM and return their exit codes."""
        self._over.set()
        self._watch.join()
        self._http.close()
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(60) for name, process in self._running.items()}

    def logs(self) -> dict[str, str]:
        """The end of what each has to say."""
        return {name: self._log(name).read_text()[-1500:] for name in self.ports}

    def _missing(self, name: str) -> str:
        try:
            answer = self._http.get(f"http://127.0.0.1:{self.ports[name]}/readyz")
        except httpx.TransportError as error:
            return repr(error)
        return "" if answer.is_success else str(answer.json()["detail"])

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        with self._log(name).open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", *self._modules[name]],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment | {"HOMEOSTAT_PORT": str(self.ports[name])},
            )

    def _restart(self) -> None:
        while not self._over.wait(0.2):
            with self._lock:
                for name, process in self._running.items():
                    if process.poll() is not None:
                        self.deaths[name] += 1
                        self._running[name] = self._start(name)

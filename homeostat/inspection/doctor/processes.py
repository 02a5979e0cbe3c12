"""Whether an instance runs, whether its processes live, and whose its ports are."""

import errno
import fcntl
import socket
from pathlib import Path

from homeostat.bootstrap import fetch_metrics
from homeostat.errors import TransientError
from homeostat.inspection.doctor.finding import Finding, ok, problem, warning
from homeostat.inspection.instance import Heartbeat, base_url, heartbeats, read_json

_SILENT_S = 30.0
_API, _MLFLOW = 8000, 5000  # what `homeostat up` takes unless told otherwise


def is_running(home: Path) -> bool:
    """Return whether `homeostat up` holds this folder now."""
    return _is_held(home / "run" / "up.lock", fcntl.LOCK_SH)


def lives(home: Path) -> list[Finding]:
    """Return whether the processes of an instance are as they should be: all alive, or none."""
    up, working = is_running(home), _is_held(home / "run" / "alive.lock", fcntl.LOCK_EX)
    beats = heartbeats(home)
    if not up and working:
        pids = ", ".join(str(beat.pid) for beat in beats if beat.alive)
        what = f"processes of an `up` that was killed still run: {pids or 'not known which'}"
        return [problem("processes", what, "wait a minute, they end by themselves; else end them by `kill PID`")]
    if not up:
        return [ok("processes", "not running")]
    if not beats:
        return [warning("processes", "no sign of life yet", f"it takes some seconds to start; see {home}/logs")]
    return [_life(home, beat) for beat in beats]


def ports(home: Path) -> list[Finding]:
    """Return whether the ports are ours while an instance runs, and free while none does."""
    said = read_json(home / "instance.json")
    host = str(said.get("host", "127.0.0.1"))
    api, mlflow = (
        port if isinstance(port, int) else usual
        for port, usual in ((said.get("port"), _API), (said.get("mlflow_port"), _MLFLOW))
    )
    if is_running(home):
        return [_answers(home), _listens("--mlflow-port", "127.0.0.1", mlflow)]
    return [_is_free("--port", host, api), _is_free("--mlflow-port", "127.0.0.1", mlflow)]


def _life(home: Path, beat: Heartbeat) -> Finding:
    log = home / "logs" / f"{beat.process}.log"
    if beat.trouble:
        return problem("processes", f"{beat.process}: {beat.trouble}", f"{log} says more; it goes on by itself")
    if not beat.alive:
        what = f"{beat.process} (pid {beat.pid}) is dead"
        return problem("processes", what, f"it is started again by itself; if it dies again, {log} says why")
    if beat.age_s is not None and beat.age_s < -_SILENT_S:
        what = f"{beat.process} (pid {beat.pid}) gave its last sign of life {-beat.age_s:,.0f} s in the future"
        return problem("processes", what, "the machine's clock stepped back: set it (NTP) and start Homeostat again")
    if beat.age_s is None or beat.age_s > _SILENT_S:
        age = "never" if beat.age_s is None else f"{beat.age_s:,.0f} s ago"
        what = f"{beat.process} (pid {beat.pid}) gave its last sign of life {age}"
        return problem("processes", what, f"look into {log}; `kill {beat.pid}` lets it be started again")
    return ok("processes", f"{beat.process} (pid {beat.pid}) gave a sign of life {beat.age_s:.1f} s ago")


def _answers(home: Path) -> Finding:
    """Return whether the API of a running instance answers."""
    url = base_url(home)
    if url is None:
        return warning("ports", "the instance has not said yet where it listens", "it is only now starting")
    try:
        fetch_metrics(f"{url}/healthz")
    except TransientError as error:
        return problem("ports", f"the API does not answer at {url}: {error}", f"look into {home}/logs/server.log")
    return ok("ports", f"the API answers at {url}")


def _listens(option: str, host: str, port: int) -> Finding:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return warning("ports", f"nobody answers on {option} {port}: {error}", "see the logs; healing does not need it")
    return ok("ports", f"port {port} ({option}) is ours")


def _is_free(option: str, host: str, port: int) -> Finding:
    if port == 0:
        return ok("ports", f"{option} takes any free port")
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = "is taken by another program" if error.errno == errno.EADDRINUSE else f"can't be used: {error}"
            todo = f"stop what listens there, or start with another {option}"
            return problem("ports", f"port {port} on {host} {why}", todo)
    return ok("ports", f"port {port} ({option}) is free")


def _is_held(path: Path, kind: int) -> bool:
    """Return whether another process holds a lock file against a lock of this kind."""
    try:
        with path.open() as file:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False

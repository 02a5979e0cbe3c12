"""What a running instance leaves in its folder: its address, its clock, the heartbeats of its processes."""

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeostat.bootstrap import fetch_metrics, instance_of
from homeostat.errors import TransientError


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A process's last sign of life."""

    process: str
    pid: int | None
    alive: bool
    age_s: float | None  # of the last beat, by the machine's clock
    passed: datetime | None  # how far it has come, by the instance's clock
    down: str | None = None  # why it is not there, or that it keeps dying, as the supervisor says
    waits: str | None = None  # what for, as it says itself

    @property
    def trouble(self) -> str | None:
        """What is the matter with it, None if nothing is known."""
        return self.down or self.waits


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file that others write; empty when it is not there, or only half written."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def heartbeats(home: Path) -> list[Heartbeat]:
    """Return the heartbeats of all processes of the instance that a product's home belongs to.

    One that is down is among them, even if it has never given a sign of life.
    """
    wall = datetime.now(UTC)
    said = {path.stem: read_json(path) for path in (instance_of(home) / "run").glob("*.json")}
    supervisor = _heartbeat("supervisor", said.get("supervisor", {}), wall)
    down = _texts(said["supervisor"].get("down")) if supervisor.alive else {}
    beats = [_heartbeat(process, said.get(process, {}), wall) for process in sorted({*said, *down})]
    return [replace(beat, down=down.get(beat.process)) for beat in beats]


def base_url(home: Path) -> str | None:
    """Return where the instance's server answers, None if the instance has never run."""
    said = read_json(instance_of(home) / "instance.json")
    if "port" not in said:
        return None
    host = str(said.get("host", "127.0.0.1"))
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - all addresses include ours
    return f"http://{host}:{said['port']}"


def metrics_page(home: Path) -> str | None:
    """Return the text of the instance's ``/metrics``, None when nobody answers."""
    url = base_url(home)
    try:
        return None if url is None else fetch_metrics(f"{url}/metrics")
    except TransientError:
        return None


def stream_time(home: Path) -> datetime | None:
    """Return what the stream clock of an instance shows, None if it follows the machine's."""
    folder = instance_of(home)
    if read_json(folder / "instance.json").get("clock") != "stream":
        return None
    return moment(read_json(folder / "clock.json").get("now"))


def moment(value: object) -> datetime | None:
    """Return the aware time in an ISO-8601 text, None for anything else."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


def is_alive(pid: int) -> bool:
    """Return whether a process with this id runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # none has a number so large
        return False
    except PermissionError:  # it runs, and belongs to somebody else
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]


def _heartbeat(process: str, said: dict[str, Any], wall: datetime) -> Heartbeat:
    pid = said.get("pid") if isinstance(said.get("pid"), int) else None
    at = moment(said.get("at"))
    alive = pid is not None and is_alive(pid)
    waits = "; ".join(f"{product}: {why}" for product, why in _texts(said.get("waits")).items()) if alive else ""
    return Heartbeat(
        process=process,
        pid=pid,
        alive=alive,
        age_s=(wall - at).total_seconds() if at else None,
        passed=moment(said.get("passed")),
        waits=waits or None,
    )


def _texts(said: object) -> dict[str, str]:
    """Return what of a JSON object is text."""
    return {str(key): text for key, text in said.items() if isinstance(text, str)} if isinstance(said, dict) else {}

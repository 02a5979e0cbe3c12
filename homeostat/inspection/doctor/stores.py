"""What one product has stored: SQLite files, ledger, Parquet parts, notes of trainings, the contract."""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from homeostat.bootstrap import instance_of, ledger_of, sight_of, sqlite_damage
from homeostat.codec import decode
from homeostat.contract.load import DIGEST_FILE, contract_digest, load_contract
from homeostat.contract.model import Contract
from homeostat.errors import ContractError, HomeostatError, InvalidRecordError
from homeostat.flow import FLOW, topic_name
from homeostat.inspection.doctor.finding import Finding, ok, problem, warning
from homeostat.inspection.instance import moment, read_json, stream_time
from homeostat.tail import Tail

_NAMES = ("log.db", "homeostat.db", "feast/online.db")
_NEWEST_PARTS = 200  # read whole; of older ones the footer alone, else a doctor's visit takes minutes
_LOCK_S = 60.0
_SKEW = timedelta(seconds=5)  # of the clock: less is NTP at work
RESTORE = "stop Homeostat and restore the file from a copy"


def contract(home: Path) -> tuple[Contract | None, list[Finding]]:
    """Return a product's contract, and whether it is the one its processes were started with."""
    path = home / "contract.yaml"
    try:
        found = load_contract(path)
    except ContractError as error:
        todo = "mend the contract; `homeostat check` names every place"
        return None, [problem("contract", line, todo) for line in error.problems]
    digest, noted = contract_digest(found), home / DIGEST_FILE
    if noted.exists() and (said := noted.read_text().strip()) != digest:
        todo = "put the old contract back, or start anew: `homeostat up --contract FILE` says which changes are allowed"
        return found, [problem("contract", f"{path} was edited: its digest is {digest}, not {said}", todo)]
    started = moment(read_json(instance_of(home) / "instance.json").get("started_at"))
    if started and datetime.fromtimestamp(path.stat().st_mtime, UTC) > started:
        what = f"{path} was changed after the start at {started:%Y-%m-%d %H:%M}"
        return found, [warning("contract", what, "start Homeostat again: until then its processes follow the old one")]
    return found, [ok("contract", f"{path} is sound (digest {digest})")]


def sqlite(files: Iterable[Path]) -> list[Finding]:
    """Return whether SQLite finds its files whole; one not there yet is none."""
    return [
        problem("sqlite", f"{path}: {broken}", RESTORE)
        if (broken := sqlite_damage(path))
        else ok("sqlite", f"{path} is whole")
        for path in files
        if path.exists()
    ]


def sqlite_files(home: Path) -> list[Path]:
    """Return where a product's SQLite files are."""
    return [home / name for name in _NAMES]


def ledger(home: Path, known: Contract) -> list[Finding]:
    """Return whether the chain of decisions is whole."""
    if not (home / "homeostat.db").exists():
        return [ok("ledger", "no decision yet")]
    try:
        return [ok("ledger", f"{ledger_of(known, home).verify()} entries, the chain is whole")]
    except HomeostatError as error:
        return [problem("ledger", str(error), f"{RESTORE}, or find out who edited it: nothing after it can be trusted")]


def parts(home: Path) -> list[Finding]:
    """Return whether the Parquet parts of the offline store can be read."""
    files = sorted(home.glob("feast/*/**/*.parquet"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = []
    for i, path in enumerate(files):
        try:
            _ = pl.read_parquet(path) if i < _NEWEST_PARTS else pl.read_parquet_schema(path)
        except FileNotFoundError:  # merged into another meanwhile
            continue
        except (OSError, pl.exceptions.PolarsError) as error:
            joined = path.parent.name == "joined"
            todo = "delete it: it is made again" if joined else f"{RESTORE}; without one, delete it: its rows are lost"
            found.append(problem("parquet", f"{path} can't be read: {_first_line(error)}", todo))
    return found or [ok("parquet", f"{len(files)} parts can be read")]


def trainings(home: Path) -> list[Finding]:
    """Return whether a training that was interrupted can go on: its study, its note, its lock."""
    found = []
    studies = sorted((home / "work").glob("*.study"))
    for path in studies:
        if (line := _broken_line(path)) is not None:
            todo = "delete it: the training begins anew"
            found.append(problem("trainings", f"{path}: line {line} is broken, its study can't go on", todo))
    notes = [path for path in sorted((home / "work").glob("*.run")) if not _is_note(path)]
    found += [warning("trainings", f"{path} can't be read", "delete it: the training is repeated") for path in notes]
    for path in sorted((home / "work").glob("*.lock")):
        if time.time() - path.lstat().st_mtime > _LOCK_S:
            what = f"{path} was left behind by a training that was killed"
            found.append(warning("trainings", what, "delete it while no training runs"))
    return found or [ok("trainings", f"{len(studies)} interrupted")]


def clock(home: Path, known: Contract) -> list[Finding]:
    """Return whether the clock has stepped back behind what the log has seen."""
    if not (home / "log.db").exists():
        return [ok("clock", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, nothing in the log yet")]
    shown = stream_time(home)
    if shown is None and not (instance_of(home) / "instance.json").exists():
        return [ok("clock", "history was played, nothing runs: its time is the recording's")]
    now = shown or datetime.now(UTC)
    last, topic = _last_time(home, known)
    if last is not None and last > now + _SKEW:
        what = f"the clock shows {now:%Y-%m-%d %H:%M:%S} UTC, but {topic} has a message of {last:%Y-%m-%d %H:%M:%S}"
        return [problem("clock", what, "set the clock (NTP): until it is past that time nothing new is looked at")]
    return [ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, behind no message of the log")]


def _last_time(home: Path, known: Contract) -> tuple[datetime | None, str]:
    tail = Tail(sight_of(known, home).log, known.product)
    topics = dict.fromkeys(topic for row in FLOW for topic in (*row.consumes, *row.produces))
    times = [(time, topic_name(known.product, t)) for t in topics if (time := tail.last_time(t)) is not None]
    return max(times, default=(None, ""))


def _broken_line(path: Path) -> int | None:
    """Return the number of the first line that is no JSON; a last one that is cut short counts: none may follow it."""
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n") or not _is_json(line):
            return number
    return None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _is_note(path: Path) -> bool:
    topic = "training_runs"
    try:
        decode(topic, path.read_bytes(), {"schema": f"{topic}.v1"})
    except InvalidRecordError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]

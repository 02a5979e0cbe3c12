"""What the machine gives: Python, libraries, disk, permissions."""

import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from homeostat.inspection.doctor.finding import Finding, ok, problem, warning

_MIB = 2**20
_LEAST_MIB = 200  # below it SQLite and Parquet files can't be rewritten
_LITTLE_MIB = 1024
_YOUNG_S = 3600.0  # too short a life to say how fast it grows
_SOON_DAYS = 14
_DAY_S = 86_400.0


def python() -> Finding:
    """Return whether this Python will do."""
    said = metadata("homeostat")["Requires-Python"] or ""
    found = ".".join(map(str, sys.version_info[:3]))
    if found in SpecifierSet(said):
        return ok("python", f"{found} at {sys.executable}")
    return problem("python", f"{found}, {said} needed", "make .venv anew with a newer Python: `make PYTHON=python3.12`")


def libraries() -> list[Finding]:
    """Return whether each library is there in a version that was asked for."""
    wanted = [Requirement(text) for text in requires("homeostat") or []]
    wanted = [one for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})]  # extras are nobody's duty
    bad = [finding for one in wanted if (finding := _library(one))]
    return bad or [ok("libraries", f"{len(wanted)} requirements hold")]


def disk(home: Path) -> list[Finding]:
    """Return whether there is room, and for how long at the pace so far."""
    usage, files = shutil.disk_usage(_nearest(home)), list(_files(home))
    used_mib, free_mib = sum(info.st_size for _, info in files) / _MIB, usage.free / _MIB
    room = f"{free_mib:,.0f} MiB free, {home} takes {used_mib:,.0f}"
    todo = "free some space, or shorten `retention` in the contract and start again"
    if free_mib < _LEAST_MIB:
        return [problem("disk", room, todo)]
    if free_mib < _LITTLE_MIB:
        return [warning("disk", room, todo)]
    age_s = time.time() - min((info.st_mtime for _, info in files), default=time.time())
    mib_a_day = used_mib / age_s * _DAY_S if age_s > _YOUNG_S else 0.0
    if not mib_a_day:
        return [ok("disk", room)]
    days = free_mib / mib_a_day
    grown = f"{room}; it grew by {mib_a_day:,.1f} MiB a day, there is room for {days:,.0f} days"
    return [warning("disk", grown, todo) if days < _SOON_DAYS else ok("disk", grown)]


def permissions(home: Path) -> list[Finding]:
    """Return whether everything below a home can be written by whoever asks, and by nobody else."""
    todo = f"give the files back to whoever runs Homeostat: chown -R USER {home}; chmod -R u+rwX,go-w {home}"
    locked, shared = [], []
    for path, info in [(home, home.stat()), *_files(home), *_folders(home)]:
        if not _writable(path, info):
            locked.append(path)
        if info.st_mode & stat.S_IWOTH and not path.is_symlink():
            shared.append(path)
    found = []
    if locked:
        found.append(problem("permissions", f"{_some(locked)} can't be written", todo))
    if shared:
        found.append(warning("permissions", f"{_some(shared)} can be written by everybody", todo))
    return found or [ok("permissions", f"{home} can be written")]


def _library(requirement: Requirement) -> Finding | None:
    """Return what is wrong with one requirement."""
    todo = "install what requirements.lock names: `make clean demo` or `uv pip install -r requirements.lock`"
    wanted = f"{requirement.name}{requirement.specifier}"
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return problem("libraries", f"{requirement.name} is not installed, {wanted} needed", todo)
    if found in requirement.specifier:
        return None
    return problem("libraries", f"{requirement.name} {found} is installed, {wanted} needed", todo)


def _writable(path: Path, info: os.stat_result) -> bool:
    """Return whether its owner may write it and we may act as the owner; root may anything, but runs nothing."""
    return bool(info.st_mode & stat.S_IWUSR) and (info.st_uid == os.geteuid() or os.access(path, os.W_OK))


def _some(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def _nearest(path: Path) -> Path:
    return next(folder for folder in (path.resolve(), *path.resolve().parents) if folder.exists())


def _files(home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    return _walked(home, folders=False)


def _folders(home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    return _walked(home, folders=True)


def _walked(home: Path, *, folders: bool) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is below a home; what goes away meanwhile is left out."""
    for folder, subfolders, names in os.walk(home):
        for name in subfolders if folders else names:
            path = Path(folder) / name
            try:
                yield path, path.lstat()
            except FileNotFoundError:
                continue

"""The steps of deploy/Dockerfile without a Docker engine: each stage in a root that begins empty.

Of this machine a root sees /usr, /etc and Python, which it can't write, and /dev and /proc. `python` and `pip` are
those of a new virtual environment, where the base image would bring its own. What installs Debian packages is left
undone.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
USER: Final = 10001
PATH: Final = "/base/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WRITABLE: Final = ("var/lib/homeostat", "var/lib/mlflow")
_NETWORK: Final = re.compile("(?i).*proxy|SSL_CERT_.*|(PIP|UV)_(CERT|INDEX|DEFAULT|NATIVE|EXTRA).*")
_PYTHON: Final = Path(sys.base_prefix)
_LENT: Final = ("usr", "etc", str(_PYTHON).lstrip("/"))
_ENTER: Final = """
set -eu
root=$1 cache=$2 user=$3 folder=$4 lent=$5 closed=$6
shift 6
mount --bind "$root" "$root"
for one in dev proc $lent; do mount --rbind "/$one" "$root/$one"; done
for one in $lent; do mount -o remount,ro,bind "$root/$one"; done
mount --bind "$cache" "$root/cache"
if [ -n "$closed" ]; then
  for one in $closed; do mount --bind "$root/$one" "$root/$one"; done
  mount -o remount,ro,bind "$root"
  mount -t tmpfs -o mode=1777,size=512m tmpfs "$root/tmp"
fi
exec chroot --userspec="$user" "$root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, by its name; the last one's name is empty."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {}
    name = "before"
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            name = rest.partition(" AS ")[2]
            found[name] = [(word, rest.partition(" AS ")[0])]
        elif name != "before":
            found[name].append((word, rest.strip()))
    return found


class Stage:
    """One stage: a root, and what its instructions have said so far."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cwd = "/"
        self.environment = {"PATH": PATH} | {name: v for name, v in os.environ.items() if _NETWORK.fullmatch(name)}
        self.undone: list[str] = []
        self._cache = cache
        for name in ("dev", "proc", "cache", "tmp", *_LENT, *_WRITABLE):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "tmp").chmod(0o1777)
        for name in _WRITABLE:
            os.chown(folder / name, USER, USER)
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / name).symlink_to(f"usr/{name}")
        made = self.run([str(_PYTHON / "bin" / "python3"), "-m", "venv", "/base"])
        if "mount" in made.stderr or "unshare" in made.stderr:
            pytest.skip(f"nothing can be mounted here, so no root be made: {made.stderr.strip()}")
        assert made.returncode == 0, made.stderr

    def follow(self, instructions: Sequence[tuple[str, str]], others: Mapping[str, "Stage"]) -> None:
        """Do what the instructions say."""
        for word, rest in instructions:
            if word == "RUN" and "apt-get" in rest:
                self.undone.append(rest)
            elif word == "RUN":
                done = self.run(["sh", "-c", rest])
                assert done.returncode == 0, done.stdout + done.stderr
            elif word == "COPY":
                self._copy(rest.split(), others)
            elif word == "WORKDIR":
                self.cwd = rest
                self._inside(rest).mkdir(parents=True, exist_ok=True)
            elif word == "ENV":
                self._set(rest)

    def run(self, command: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image is built: by root, who may write."""
        return subprocess.run(self._entering(command, "0:0", ""), **self._with(more), capture_output=True, check=False)

    def start(self, command: Sequence[str], log: Path, **more: str) -> "subprocess.Popen[str]":
        """Start a command as a container runs it: by a user without rights, on a root that can't be written."""
        with log.open("w") as out:
            words = self._entering(command, f"{USER}:{USER}", " ".join(_WRITABLE))
            return subprocess.Popen(words, **self._with(more), stdout=out, stderr=out)

    def files(self, below: str) -> set[str]:
        """The files below a folder, without what Python compiled."""
        folder = self._inside(below)
        paths = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
        return {str(path.relative_to(folder)) for path in paths if path.suffix != ".pyc"}

    def _with(self, more: Mapping[str, str]) -> dict[str, object]:
        return {"env": self.environment | more, "text": True, "stdin": subprocess.DEVNULL}

    def _entering(self, command: Sequence[str], user: str, closed: str) -> list[str]:
        words = [self.folder, self._cache, user, self.cwd, " ".join(_LENT), closed, *command]
        return ["/usr/bin/unshare", "--mount", "sh", "-c", _ENTER, "enter", *map(str, words)]

    def _inside(self, path: str) -> Path:
        return self.folder / os.path.normpath(os.path.join("/", self.cwd, path)).lstrip("/")  # noqa: PTH118 - of another root

    def _copy(self, words: list[str], others: Mapping[str, "Stage"]) -> None:
        origin, let_in = ROOT, True
        if words[0].startswith("--from="):
            origin, let_in = others[words.pop(0).partition("=")[2]].folder, False
        *sources, target = words
        for source in sources:
            path, into = origin / source.lstrip("/"), self._inside(target)
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc") if let_in else None
                shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True, ignore=ignored)
            else:
                into = into / path.name if target.endswith("/") else into
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)

    def _set(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.environment[name] = value.replace("${PATH}", self.environment["PATH"])

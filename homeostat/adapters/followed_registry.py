"""Who serves, as it was last known: serving neither waits for the registry nor ends with it."""

import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event, Lock, Thread
from typing import Final, Protocol

import msgspec

from homeostat.canary.routing import served
from homeostat.errors import HomeostatError, ModelError, TransientError
from homeostat.ports import Aliases, ModelPackage

_EVERY_S: Final = 0.25  # a bad model may answer for so long after its rollback
_ALIASES: Final = "aliases.json"

_log = logging.getLogger(__name__)


class Registry(Protocol):
    """What is followed of a model registry."""

    def aliases(self) -> Aliases:
        """Return who serves now."""

    def load(self, version: str) -> ModelPackage:
        """Return the package stored under a version."""


class FollowedRegistry:
    """Aliases and the packages behind them, kept below a folder by a thread that asks the registry four times a second.

    A new alias is shown once its package is on this disk, and never where the loop vouches for another version. While
    the registry is away, and after a restart meanwhile, the last known models go on serving.

    Raises:
        TransientError: The registry has never answered yet.
        ModelError: A version was asked for that no alias points to.
    """

    def __init__(self, open_registry: Callable[[], Registry], folder: Path, every_s: float = _EVERY_S) -> None:
        """Take how the registry is opened, which may take seconds and fail while it is away, and the folder.

        Args:
            open_registry: Called by the thread until it succeeds once.
            folder: Of what is kept.
            every_s: Seconds between two questions.
        """
        self._open = open_registry
        self._folder = folder
        self._every_s = every_s
        self._registry: Registry | None = None
        self._lock = Lock()
        self._over = Event()
        folder.mkdir(parents=True, exist_ok=True)
        self._known = self._remembered()
        self._trouble = "the model registry has not answered yet"
        self._thread = Thread(target=self._follow, name="registry", daemon=True)
        self._thread.start()

    def aliases(self) -> Aliases:
        """Return who serves, as last known."""
        with self._lock:
            if self._known is None:
                raise TransientError(self._trouble)
            return self._known

    def load(self, version: str) -> ModelPackage:
        """Return the package of a version that has an alias."""
        path = self._file(version)
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=ModelPackage)
        except OSError as error:
            raise ModelError(f"version {version} is not kept here: {error}") from error
        except msgspec.MsgspecError as error:
            path.unlink(missing_ok=True)  # it is fetched anew
            raise ModelError(f"version {version}: {path} is damaged: {error}") from error

    def close(self) -> None:
        """Follow no more."""
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while True:
            try:
                self._look()
            except (HomeostatError, OSError) as error:  # whoever ended at a full disk would serve as now for ever
                if str(error) != self._trouble:
                    _log.warning("going on with the models last known: %s", error)
                self._trouble = str(error)
            if self._over.wait(self._every_s):
                return

    def _look(self) -> None:
        if self._registry is None:
            self._registry = self._open()
        aliases = served(self._registry.aliases())
        wanted = {version for version in (aliases.champion, aliases.challenger, aliases.previous) if version}
        for version in wanted:
            if not self._file(version).exists():
                self._write(self._file(version), msgspec.msgpack.encode(self._registry.load(version)))
        if aliases != self._known:
            self._write(self._folder / _ALIASES, msgspec.json.encode(aliases))
            with self._lock:
                self._known = aliases
            _log.info("champion %s, challenger %s", aliases.champion, aliases.challenger)
        for path in self._folder.glob("*.msgpack"):
            if path.stem not in wanted:
                path.unlink(missing_ok=True)  # another predictor of this home may have been quicker

    def _remembered(self) -> Aliases | None:
        try:
            known = msgspec.json.decode((self._folder / _ALIASES).read_bytes(), type=Aliases)
        except (OSError, msgspec.MsgspecError):
            return None
        versions = (known.champion, known.challenger, known.previous)
        return known if all(self._file(version).exists() for version in versions if version) else None

    def _file(self, version: str) -> Path:
        return self._folder / f"{version}.msgpack"

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that is there whole or not at all; another process may keep the same folder."""
        with NamedTemporaryFile(dir=self._folder, prefix="draft", delete=False) as draft:
            draft.write(content)
        Path(draft.name).replace(path)

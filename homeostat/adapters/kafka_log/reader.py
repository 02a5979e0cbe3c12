"""Reads partitions in order, from any offset, through one consumer."""

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from homeostat.adapters.kafka_log.client import EARLIEST, LATEST, Client, Entry
from homeostat.adapters.kafka_log.cluster import OffsetGoneError
from homeostat.errors import HomeostatError, TransientError
from homeostat.ports import PAGE_BYTES

_WAIT_S = 0.1  # one look for messages that are known to be there


@dataclass(slots=True)
class _Page:
    """What has come of one partition and was not asked for yet."""

    position: int  # the next offset to hand out
    entries: deque[Entry] = field(default_factory=deque)
    size: int = 0  # bytes in it
    paused: bool = False

    def add(self, entry: Entry) -> None:
        after = self.entries[-1].offset + 1 if self.entries else self.position
        if entry.offset >= after:  # one from before a seek may still come
            self.entries.append(entry)
            self.size += len(entry.value)

    def is_full(self, limit: int) -> bool:
        return len(self.entries) >= limit or self.size >= PAGE_BYTES

    def take(self, limit: int) -> list[Entry]:
        taken: list[Entry] = []
        size = 0
        while self.entries and len(taken) < limit and size < PAGE_BYTES:
            entry = self.entries.popleft()
            taken.append(entry)
            size += len(entry.value)
        if taken:
            self.position = taken[-1].offset + 1
            self.size -= size
        return taken


class Reader:
    """Serves reads from what was fetched ahead; seeks only when another offset is asked for."""

    def __init__(self, client: Client, patience_s: float) -> None:
        """Read by a client, and give up when nothing comes for this long."""
        self._client = client
        self._patience_s = patience_s
        self._pages: dict[tuple[str, int], _Page] = {}
        self._lock = Lock()

    def read(self, topic: str, lane: int, offset: int, limit: int) -> list[Entry]:
        """Return up to ``limit`` messages from ``offset`` on, none at the end.

        Raises:
            HomeostatError: The offset was trimmed.
            TransientError: Messages that are there don't come.
        """
        with self._lock:
            page = self._pages.get((topic, lane))
            if page and page.position == offset and page.is_full(limit):
                return page.take(limit)
            end = self._client.offset(topic, lane, LATEST)
            if offset >= end:
                return []
            if page is None or page.position != offset:
                page = self._open(topic, lane, offset)
            try:
                self._fill(page, topic, lane, min(limit, end - offset), end)
            except HomeostatError:
                self._pages.clear()  # what came with the trouble may be lost, of any partition: each is sought again
                raise
            return page.take(limit)

    def _open(self, topic: str, lane: int, offset: int) -> _Page:
        first = self._client.offset(topic, lane, EARLIEST)
        if offset < first:
            raise HomeostatError(f"{topic}: offset {offset} was trimmed; commit {first} or later to begin there")
        self._client.seek(topic, lane, offset)
        page = self._pages[topic, lane] = _Page(offset)
        return page

    def _fill(self, page: _Page, topic: str, lane: int, wanted: int, end: int) -> None:
        """Fetch until a page is full or there is no more below ``end``; what comes of other partitions is kept."""
        if page.paused:
            self._client.pause(topic, lane, pause=False)
            page.paused = False
        deadline = monotonic() + self._patience_s
        while not page.is_full(wanted) and self._client.reached(topic, lane) < end:
            before = self._client.reached(topic, lane)
            try:
                self._keep(self._client.poll(wanted, _WAIT_S), page)
            except OffsetGoneError as error:
                raise HomeostatError(f"{topic}: offset {page.position} was trimmed while it was read") from error
            if self._client.reached(topic, lane) > before:
                deadline = monotonic() + self._patience_s
            elif monotonic() > deadline:
                raise TransientError(f"{topic}: messages below {end} don't come, the last was {before - 1}")

    def _keep(self, entries: list[Entry], wanted: _Page) -> None:
        for entry in entries:
            page = self._pages.get((entry.topic, entry.lane))
            if page is None:
                continue  # its last read failed: the next one seeks
            page.add(entry)
            if page is not wanted and page.size >= PAGE_BYTES and not page.paused:
                self._client.pause(entry.topic, entry.lane, pause=True)  # nobody asks for them: memory is not endless
                page.paused = True

"""An answer leaves in one piece, and whole."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
import uvicorn

from deploy.servers import free_port
from homeostat.processes.one_write import OneWriteProtocol
from tests.real.running import until

PART, PARTS = b"x" * 100_000, 30


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer with a word, or at ``/large`` with many parts."""
    parts = [PART] * PARTS if scope["path"] == "/large" else [b"hello"]
    length = str(sum(map(len, parts))).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    for i, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": i < len(parts) - 1})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, http=OneWriteProtocol, lifespan="off", log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    yield port
    server.should_exit = True
    thread.join()


@contextmanager
def asked(port: int, *requests: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"".join(requests))
        yield connection


def request(path: str, *, close: bool = True) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: {'close' if close else 'keep-alive'}\r\n\r\n".encode()


def whole(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(1 << 20), b""))


def test_head_and_body_come_together(port: int) -> None:
    for _ in range(20):  # two writes would come together now and then
        with asked(port, request("/", close=False)) as connection:
            assert connection.recv(1 << 16).endswith(b"\r\n\r\nhello")


def test_an_answer_is_whole_before_its_connection_is_closed(port: int) -> None:
    with asked(port, request("/large")) as connection:
        assert whole(connection).endswith(b"\r\n\r\n" + PART * PARTS)


def test_requests_sent_at_once_are_answered_in_order(port: int) -> None:
    with asked(port, request("/", close=False), request("/large", close=False), request("/")) as connection:
        answers = whole(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert [len(part) for part in answers.split(b"hello")[1:]] == [len(answers.split(b"hello")[1]), 0]

"""The obligations of AlertSink, over every adapter; the webhook against a real server."""

import hmac
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest

from homeostat.adapters.all_alerts import AllAlerts
from homeostat.adapters.file_alerts import FileAlerts
from homeostat.adapters.memory_alerts import MemoryAlerts
from homeostat.adapters.webhook_alerts import SIGNATURE, WebhookAlerts
from homeostat.errors import TransientError
from homeostat.ports import Alert, AlertSink

SECRET = "s3cret"  # noqa: S105 - of this test
PATIENT_S = 60.0  # a machine that is busy with other tests answers late
WRITER = """
from datetime import UTC, datetime
from pathlib import Path
from homeostat.adapters.file_alerts import FileAlerts
from homeostat.ports import Alert
sink = FileAlerts(Path({path!r}))
for i in range(10_000):
    sink.send(Alert(f"id{{i}}", datetime.now(UTC), "p", "k", "info", "x" * 500, {{}}, ""))
    print(f"id{{i}}", flush=True)
"""


class Receiver(ThreadingHTTPServer):
    """A webhook's other end: answers as it is told and keeps what it took."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.drip = Event()
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=secret"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 0:  # hang until the test ends
            self.server.drip.wait(30)
            return
        self.server.taken.append((dict(self.headers), body))  # before the answer: the sender may look at once
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.drip.set()
    server.shutdown()
    server.server_close()
    thread.join()


class Bench:
    """One adapter with a way to open it anew and to see what arrived."""

    def __init__(self, make: Callable[[], AlertSink], arrived: Callable[[], list[str]]) -> None:
        self.make, self.arrived = make, arrived


@pytest.fixture(params=["memory", "file", "webhook", "all"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Bench:
    memory, path = MemoryAlerts(), tmp_path / "deep" / "alerts.jsonl"

    def webhook() -> WebhookAlerts:
        return WebhookAlerts(receiver.url, SECRET, tmp_path / "deep" / "sent", timeout_s=PATIENT_S)

    def in_file() -> list[str]:
        return [json.loads(line)["alert_id"] for line in path.read_text().splitlines()]

    def at_receiver() -> list[str]:
        return [json.loads(body)["alert_id"] for _, body in receiver.taken]

    return {
        "memory": Bench(lambda: memory, lambda: [alert.alert_id for alert in memory.alerts]),
        "file": Bench(lambda: FileAlerts(path), in_file),
        "webhook": Bench(webhook, at_receiver),
        "all": Bench(lambda: AllAlerts([FileAlerts(path), webhook()]), at_receiver),
    }[request.param]


@pytest.fixture
def alert(at: datetime) -> Alert:
    return Alert("a1", at, "parcels", "drift_began", "warning", "drift: größer", {"report_id": "r1"}, "look")


def test_alerts_arrive_in_the_order_they_were_sent(bench: Bench, alert: Alert) -> None:
    sink = bench.make()
    for alert_id in ("a1", "a2", "a3"):
        sink.send(replace(alert, alert_id=alert_id))
    assert bench.arrived() == ["a1", "a2", "a3"]


def test_an_alert_sent_again_changes_nothing(bench: Bench, alert: Alert) -> None:
    sink = bench.make()
    sink.send(alert)
    sink.send(replace(alert, what="told differently"))
    assert bench.arrived() == ["a1"]


def test_an_alert_sent_before_a_restart_is_not_sent_again(bench: Bench, alert: Alert) -> None:
    bench.make().send(alert)
    again = bench.make()
    again.send(alert)
    again.send(replace(alert, alert_id="a2"))
    assert bench.arrived() == ["a1", "a2"]


# what only the file does


def test_a_line_holds_everything_an_alert_says(tmp_path: Path, alert: Alert) -> None:
    FileAlerts(tmp_path / "a").send(alert)
    said = json.loads((tmp_path / "a").read_text())
    assert said == {
        "alert_id": "a1", "at": "2024-03-01T12:30:15.123456Z", "product": "parcels", "kind": "drift_began",
        "severity": "warning", "what": "drift: größer", "evidence": {"report_id": "r1"}, "todo": "look",
    }  # fmt: skip


def test_a_line_cut_short_by_a_crash_spoils_no_other(tmp_path: Path, alert: Alert) -> None:
    path = tmp_path / "alerts"
    FileAlerts(path).send(alert)
    path.write_bytes(path.read_bytes() + b'{"alert_id":"a2","wh')
    FileAlerts(path).send(replace(alert, alert_id="a2"))
    lines = path.read_bytes().splitlines()
    assert json.loads(lines[0])["alert_id"] == "a1"
    assert json.loads(lines[2])["alert_id"] == "a2"


def test_a_file_that_has_grown_large_is_put_aside_and_no_alert_in_it_comes_again(
    tmp_path: Path, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeostat.adapters.file_alerts._MOST_BYTES", 1_000)
    path, ids = tmp_path / "alerts", [f"a{i}" for i in range(12)]
    for alert_id in ids:
        FileAlerts(path).send(replace(alert, alert_id=alert_id))
        FileAlerts(path).send(replace(alert, alert_id=alert_id))
    kept = [file.read_text().splitlines() for file in (tmp_path / "alerts.1", path)]
    told = [json.loads(line)["alert_id"] for lines in kept for line in lines]
    assert told == ids[-len(told) :]
    assert all(sum(map(len, lines)) < 2_000 for lines in kept)


def test_a_file_that_can_not_be_written_is_transient(tmp_path: Path, alert: Alert) -> None:
    (tmp_path / "alerts").mkdir()
    with pytest.raises(TransientError, match="alerts"):
        FileAlerts(tmp_path / "alerts").send(alert)


def test_what_was_acknowledged_survives_a_kill(
    tmp_path: Path, run_until_killed: Callable[[str, int], list[str]]
) -> None:
    path = tmp_path / "alerts"
    acknowledged = run_until_killed(WRITER.format(path=str(path)), 30)
    kept = [json.loads(line)["alert_id"] for line in path.read_text().splitlines() if line.endswith("}")]
    assert len(acknowledged) >= 30
    assert kept[: len(acknowledged)] == acknowledged


# what only the webhook does


def webhook(
    receiver: Receiver, tmp_path: Path, *, secret: str | None = SECRET, timeout_s: float = PATIENT_S
) -> WebhookAlerts:
    return WebhookAlerts(receiver.url, secret, tmp_path / "sent", timeout_s, clock=lambda: 1_700_000_000.9)


def test_a_receiver_can_check_the_signature(receiver: Receiver, tmp_path: Path, alert: Alert) -> None:
    webhook(receiver, tmp_path).send(alert)
    headers, body = receiver.taken[0]
    at, signed = (part.split("=")[1] for part in headers[SIGNATURE].split(","))
    assert at == "1700000000"
    assert hmac.compare_digest(signed, hmac.new(SECRET.encode(), f"{at}.".encode() + body, sha256).hexdigest())
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "a1"


def test_without_a_secret_nothing_is_signed(receiver: Receiver, tmp_path: Path, alert: Alert) -> None:
    webhook(receiver, tmp_path, secret=None).send(alert)
    assert SIGNATURE not in receiver.taken[0][0]


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
def test_any_answer_but_2xx_is_a_failure_and_the_alert_may_be_sent_again(
    receiver: Receiver, tmp_path: Path, alert: Alert, status: int
) -> None:
    sink = webhook(receiver, tmp_path)
    receiver.status = status
    with pytest.raises(TransientError, match=str(status)):
        sink.send(alert)
    receiver.status = 204
    sink.send(alert)
    assert len(receiver.taken) == 2


def test_a_receiver_that_hangs_is_left_after_the_timeout(receiver: Receiver, tmp_path: Path, alert: Alert) -> None:
    receiver.status = 0
    started = monotonic()
    with pytest.raises(TransientError, match=r"127\.0\.0\.1"):
        webhook(receiver, tmp_path, timeout_s=0.3).send(alert)
    assert monotonic() - started < 25  # it drips for 30 s


def test_an_error_does_not_tell_the_token_in_the_address(tmp_path: Path, alert: Alert) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://user:pass@127.0.0.1:{free.getsockname()[1]}/hook?token=secret"
        with pytest.raises(TransientError) as told:
            WebhookAlerts(url, SECRET, tmp_path / "sent", PATIENT_S).send(alert)
    assert "127.0.0.1" in str(told.value)
    assert "token" not in str(told.value)
    assert "pass" not in str(told.value)


def test_the_note_of_what_was_sent_stays_small(receiver: Receiver, tmp_path: Path, alert: Alert) -> None:
    (tmp_path / "sent").write_text("".join(f"old{i}\n" for i in range(20_000)))
    sink = webhook(receiver, tmp_path)
    sink.send(replace(alert, alert_id="old19999"))
    sink.send(alert)
    assert len(receiver.taken) == 1
    assert len((tmp_path / "sent").read_text().split()) == 5_001


# what only several sinks do


def test_a_sink_that_fails_keeps_no_other_from_the_alert(tmp_path: Path, alert: Alert) -> None:
    (tmp_path / "broken").mkdir()
    memory = MemoryAlerts()
    with pytest.raises(TransientError, match="broken"):
        AllAlerts([FileAlerts(tmp_path / "broken"), memory]).send(alert)
    assert memory.alerts == [alert]

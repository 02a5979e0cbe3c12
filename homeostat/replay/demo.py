"""The demo: a recorded stream through the whole loop on a virtual clock, then a report."""

from contextlib import ExitStack
from pathlib import Path

from homeostat.bootstrap import embedded_stack, serve_metrics
from homeostat.contract.model import Contract
from homeostat.replay.ahead import IngestAhead
from homeostat.replay.driver import Replay, ReplayOptions
from homeostat.replay.live import LiveView
from homeostat.replay.recording import Recording
from homeostat.replay.report import write_report
from homeostat.replay.story import tell


def run_demo(
    contract: Contract,
    recording: Recording,
    home: Path,
    ingestor: IngestAhead,
    *,
    seed: int,
    metrics_port: int | None = None,
) -> None:
    """Play the recording below ``home`` and leave ``report.html`` and ``report.json`` there.

    Args:
        contract: What the recording's events and labels are held against.
        recording: The stream.
        home: A folder that holds nothing but ``contract.yaml``, for the embedded stores.
        ingestor: Running on the stores below ``home``.
        seed: Of everything random.
        metrics_port: Serve ``/metrics`` on loopback meanwhile; 0 takes a free port.
    """
    options = ReplayOptions(seed=seed)
    with ExitStack() as running:
        replay = Replay(contract, recording, embedded_stack(contract, home), options, ingestor)
        view = running.enter_context(LiveView(contract.description or contract.product))
        if metrics_port is not None:
            running.enter_context(serve_metrics(replay.stack, metrics_port))
        played = replay.run(view)
    write_report(tell(contract, played, options, mlflow_command(home)), home)


def mlflow_command(home: Path) -> str:
    """Return what to type to look at the experiments and the registry of an embedded stack."""
    return f"mlflow ui --backend-store-uri sqlite:///{home / 'mlflow.db'} --host 127.0.0.1 --port 5000"

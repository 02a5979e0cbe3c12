"""Puts the steps of the map on the ports of a product.

LightGBM, Optuna and SciPy take seconds to import and a hundred megabytes: a process pays for its own steps alone.
"""

from collections.abc import Callable

from homeostat.bootstrap.stack import Ports
from homeostat.contract.model import Contract
from homeostat.worker import Step


def build_step(name: str, contract: Contract, ports: Ports, seed: int) -> Step:
    """Return a step of the map, made from the ports that it needs; no other one is opened."""
    return _MAKERS[name](contract, ports, seed)


def _ingest(contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.ingest import IngestStep

    return IngestStep(contract, ports.online, ports.telemetry)


def _predict(contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.predict import PredictStep

    return PredictStep(contract, ports.registry, ports.online, ports.telemetry)


def _join(contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.join import JoinStep

    return JoinStep(contract, ports.telemetry)


def _archive(_contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.archive import ArchiveStep

    return ArchiveStep(ports.offline)


def _detect(contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.detect import DetectStep

    return DetectStep(contract, ports.registry, ports.telemetry)


def _decide(contract: Contract, ports: Ports, seed: int) -> Step:
    from homeostat.steps.decide import DecideStep

    return DecideStep(contract, ports.registry, ports.cases, ports.ledger, ports.telemetry, seed)


def _train(contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.train import TrainStep

    return TrainStep(contract, ports.registry, ports.offline, ports.workdir)


def _judge(contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.judge import JudgeStep

    return JudgeStep(contract, ports.registry, ports.cases, ports.telemetry)


def _promote(contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.promote import PromoteStep

    return PromoteStep(contract, ports.registry, ports.cases, ports.ledger, ports.telemetry)


def _alert(contract: Contract, ports: Ports, _: int) -> Step:
    from homeostat.steps.alert import AlertStep

    return AlertStep(contract, ports.cases, ports.alerts, ports.telemetry)


_MAKERS: dict[str, Callable[[Contract, Ports, int], Step]] = {
    "ingest": _ingest,
    "predict": _predict,
    "join": _join,
    "archive": _archive,
    "detect": _detect,
    "decide": _decide,
    "train": _train,
    "judge": _judge,
    "promote": _promote,
    "alert": _alert,
}

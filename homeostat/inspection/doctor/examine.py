"""The order in which the doctor looks: from the machine to the models."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from homeostat.bootstrap import instance_of
from homeostat.errors import HomeostatError
from homeostat.inspection.doctor import limits, machine, models, processes, stores
from homeostat.inspection.doctor.finding import Finding, problem


def examine(home: Path) -> list[Finding]:
    """Return everything that was looked at, in order.

    Args:
        home: Folder of an instance, of one product of it, or of a demo; it need not be there yet.
    """
    return list(_looked_at(instance_of(home)))


def _looked_at(home: Path) -> Iterator[Finding]:
    yield machine.python()
    yield from machine.libraries()
    yield from _safely("disk", lambda: machine.disk(home))
    if not (home / "contract.yaml").exists():  # else one product that was played by itself: it listens nowhere
        yield from _safely("ports", lambda: processes.ports(home))
    if not home.exists():
        return
    yield from _safely("permissions", lambda: machine.permissions(home))
    yield from _safely("processes", lambda: processes.lives(home))
    yield from stores.sqlite([home / "mlflow.db"])
    for contract in [*sorted(home.glob("products/*/contract.yaml")), *home.glob("contract.yaml")]:
        yield from _product(contract.parent)


def _product(home: Path) -> Iterator[Finding]:
    contract, found = stores.contract(home)
    yield from found
    yield from _safely("sqlite", lambda: stores.sqlite(stores.sqlite_files(home)))
    yield from _safely("parquet", lambda: stores.parts(home))
    yield from _safely("trainings", lambda: stores.trainings(home))
    if contract is None:
        return
    yield from _safely("ledger", lambda: stores.ledger(home, contract))
    yield from _safely("clock", lambda: stores.clock(home, contract))
    yield from _safely("models", lambda: models.models(home, contract))
    yield from _safely("limits", lambda: limits.limits(home, contract))


def _safely(check: str, look: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
    """Return what a look finds; one that can't even look is a finding too."""
    try:
        return list(look())
    except (HomeostatError, OSError) as error:
        return [problem(check, str(error), "see the other lines: what can't be read can't be checked")]

"""What is checked before anything is started."""

import errno
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from homeostat.bootstrap import product_home
from homeostat.contract.load import DIGEST_FILE, contract_digest, load_contract
from homeostat.contract.model import Contract
from homeostat.errors import ContractError, HomeostatError
from homeostat.processes.instance import CONTRACT

_FIXED = ("event", "label", "features")
"""Parts of a contract that stored rows were made by."""

ADVICE = "rows stored so far were made by the old one: name another product, or another folder with --home"


def read_contracts(files: Sequence[Path], home: Path) -> dict[str, Path]:
    """Return the contract file of each product to run: those named, or all that the instance has.

    Raises:
        ContractError: Every problem of all files.
        HomeostatError: There is nothing to run.
    """
    known = _stored(home)
    if not files and not known:
        raise HomeostatError(f"{home} holds no product yet: name a contract with --contract FILE")
    found: dict[str, Path] = {}
    problems: list[str] = []
    for file in files or known:
        try:
            contract = load_contract(file)
        except ContractError as error:
            problems += error.problems
            continue
        if contract.product in found:
            problems.append(f"{file}:1: product: '{contract.product}' is also in {found[contract.product]}")
        problems += changes(contract, file, product_home(home, contract.product) / CONTRACT)
        found[contract.product] = file
    if problems:
        raise ContractError(problems)
    return found


def left_alone(home: Path, products: Iterable[str]) -> list[str]:
    """Return the products of an instance that are not among those to run."""
    return sorted({file.parent.name for file in _stored(home)} - set(products))


def _stored(home: Path) -> list[Path]:
    return sorted(home.glob(f"products/*/{CONTRACT}"))


def changes(contract: Contract, file: Path, stored: Path) -> list[str]:
    """Return what a contract changes that it must not, once its product has been run; policies may change."""
    if not stored.exists():
        return []
    old, new = load_contract(stored), contract
    return [
        f"{file}:1: {path}: differs from {stored} - {ADVICE}"
        for part in _FIXED
        for path in _differences(getattr(old, part), getattr(new, part), part)
    ]


def _differences(old: object, new: object, path: str) -> list[str]:
    """Return the paths of what is not the same, as deep as possible."""
    before, after = _parts(old), _parts(new)
    if before is None or after is None:
        return [] if old == new else [path]
    found = [
        inner
        for name in dict.fromkeys([*before, *after])
        for inner in _differences(before.get(name), after.get(name), f"{path}.{name}")
    ]
    if not found and path == "features" and list(before) != list(after):
        return ["features (their order, which is that of every row)"]
    return found


def _parts(value: object) -> Mapping[str, object] | None:
    if isinstance(value, dict):
        return value
    fields = getattr(type(value), "model_fields", None)
    return {name: getattr(value, name) for name in fields} if fields else None


def store_contracts(files: Mapping[str, Path], home: Path) -> None:
    """Keep a copy of each contract in its product's home, where its processes read it, and its digest.

    The digest is that of a contract which was given: an edit of the copy itself shows by it.
    """
    for product, file in files.items():
        stored = product_home(home, product) / CONTRACT
        stored.parent.mkdir(parents=True, exist_ok=True)
        noted = stored.with_name(DIGEST_FILE)
        if file.resolve() != stored.resolve() or not noted.exists():
            digest = contract_digest(load_contract(file))
            _write(stored, file.read_bytes())
            _write(noted, f"{digest}\n".encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, and is not touched where it says the same already."""
    if not path.exists() or path.read_bytes() != content:
        draft = path.with_suffix(".draft")
        draft.write_bytes(content)
        draft.replace(path)


def choose_ports(wanted: Sequence[tuple[str, str, int]]) -> list[int]:
    """Return a port for each address, the one wanted or a free one where that is 0.

    Args:
        wanted: The option that names it, the host, and the port.

    Raises:
        HomeostatError: One can't be listened on; every such one is named.
    """
    ports: list[int] = []
    problems = []
    for option, host, port in wanted:
        try:
            found = _listenable(host, port)
            while not port and found in ports:  # the first is closed again, so the system may offer it twice
                found = _listenable(host, port)
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be listened on ({error.strerror or error})"
            problems.append(f"port {port} on {host} {why}: stop what listens there, or name another with {option}")
            continue
        if found in ports:
            problems.append(f"port {port} is wanted twice: name another with {option}")
        ports.append(found)
    if problems:
        raise HomeostatError("\n".join(problems))
    return ports


def _listenable(host: str, port: int) -> int:
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will: TIME_WAIT is no obstacle
        probe.bind((host, port))
        return int(probe.getsockname()[1])

"""What the machine gives, and whether the doctor sees that it does not."""

import sys
from importlib import metadata

import pytest

from homeostat.inspection.doctor import Level, machine


def test_an_old_python_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert machine.python().level is Level.PROBLEM


def test_a_library_of_the_wrong_version_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "version", lambda name: "0.1" if name == "optuna" else metadata.version(name))
    (finding,) = machine.libraries()
    assert "optuna 0.1" in finding.what
    assert finding.level is Level.PROBLEM


def test_a_library_that_is_not_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        if name == "httpx":
            raise metadata.PackageNotFoundError(name)
        return metadata.version(name)

    monkeypatch.setattr(machine, "version", missing)
    (finding,) = machine.libraries()
    assert "httpx is not installed" in finding.what

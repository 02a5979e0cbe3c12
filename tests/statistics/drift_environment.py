"""The peers' own environment: their pins and ours don't go together."""

import subprocess
import sys
from pathlib import Path

PEERS = (
    "evidently==0.7.23",
    "nannyml==0.13.1",
    "frouros==0.9.0",
    "river==0.23.0",
    "statsmodels==0.15.0",
    "setuptools<81",
)

SILENT = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "OMP_NUM_THREADS": "1"}
"""Two of them report their use to their makers."""


def peers_python(folder: Path) -> Path:
    """Return the interpreter of the environment below ``folder``, made on first use."""
    place = folder.resolve() / "peers"
    python, ready, uv = place / "bin" / "python", place / ".ready", Path(sys.executable).with_name("uv")
    if not ready.exists():
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PEERS], check=True)
        ready.touch()
    return python

"""Evidently on the window, run by the peers' environment: seconds of its preset, and its PSI of every column of codes.

python evidently_window.py rows codes.npz answer.json
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from drift_window import window
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import psi_stat_test
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

warnings.filterwarnings("ignore")


def main(rows: int, codes: Path, answer: Path) -> None:
    """Time the preset; then let Evidently's PSI see our bins as categories."""
    frames = [_frame(*window(rows, seed)) for seed in (0, 1)]
    names = list(frames[0])
    definition = DataDefinition(
        numerical_columns=[n for n in names if n[0] == "x"], categorical_columns=[n for n in names if n[0] == "c"]
    )
    started, cpu = time.perf_counter(), time.process_time()
    before, now = (Dataset.from_pandas(frame, data_definition=definition) for frame in frames)
    Report([DataDriftPreset()]).run(now, before)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    ours = np.load(codes)
    psi = [
        float(psi_stat_test.func(pd.Series(a), pd.Series(b), ColumnType.Categorical, 0.1)[0])
        for a, b in zip(ours["before"].T, ours["now"].T, strict=True)
    ]
    answer.write_text(json.dumps({"preset_s": seconds, "preset_cpu_s": cpu_s, "psi": psi}))


def _frame(numbers: np.ndarray, codes: np.ndarray) -> pd.DataFrame:
    columns = {f"x{j}": column for j, column in enumerate(numbers)}
    return pd.DataFrame({**columns, **{f"c{j}": column.astype(str) for j, column in enumerate(codes)}})


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))

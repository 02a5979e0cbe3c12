"""Other drift detectors on the same streams, run by their own environment: scores a look, a line of JSON a stream.

    python drift_peers.py streams.npz scores.jsonl

A detector gives one number a look: the farthest column. What it would do as shipped is a second entry of 0 and 1.
"""

import json
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from frouros.detectors.data_drift import KSTest
from nannyml import DataReconstructionDriftCalculator, UnivariateDriftCalculator
from river import drift

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
TINY = 1e-300
WARM_UP = 1000  # reference rows a streaming detector sees before the live ones
STREAMING = {
    # name: detectors from calm to nervous; the shipped one is named
    "River ADWIN": ({f"delta {d:g}": (lambda d=d: drift.ADWIN(delta=d)) for d in (1e-5, 0.002, 0.05)}, "delta 0.002"),
    "River Page-Hinkley": (
        {f"threshold {t}": (lambda t=t: drift.PageHinkley(threshold=t)) for t in (400, 200, 100, 50)},
        "threshold 50",
    ),
    "River KSWIN": ({"alpha 0.005": lambda: drift.KSWIN(alpha=0.005, seed=1)}, "alpha 0.005"),
}


def main(source: Path, target: Path) -> None:
    """Score every stream of a file; each is added to the target as it is done."""
    stored = np.load(source)
    batch, width, labels = int(stored["batch"]), int(stored["width"]), bool(stored["labels"])
    for k, told in enumerate(stored["names"].tolist()):
        names = ("reference", "live", "categorical", "score_before", "score", "error_before", "error")
        stream = {name: stored[f"{name}_{k}"] for name in names}
        frames = [_frame(stream, *part, labels=labels) for part in (("reference", "_before"), ("live", ""))]
        windows = [frames[1].iloc[end - width * batch : end] for end in range(width * batch, len(frames[1]) + 1, batch)]
        answer = {
            **_evidently(frames[0], windows),
            **_nannyml(frames[0], windows),
            **_frouros(frames[0], windows),
            **_river(frames[0], frames[1], batch, width, labels=labels),
        }
        with target.open("a") as out:
            out.write(json.dumps([told, answer]) + "\n")


def _frame(stream: dict[str, np.ndarray], rows: str, suffix: str, *, labels: bool) -> pd.DataFrame:
    """Return features, score and, where labels are there, whether the model was wrong."""
    frame = pd.DataFrame({f"x{j}": column for j, column in enumerate(stream[rows].T)})
    for j in np.flatnonzero(stream["categorical"]):
        frame[f"x{j}"] = frame[f"x{j}"].astype(int).astype(str)
    frame["score"] = stream[f"score{suffix}"]
    if labels:
        frame["error"] = stream[f"error{suffix}"].astype(float)
    return frame


def _texts(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if frame[name].dtype == object]


def _evidently(reference: pd.DataFrame, windows: list[pd.DataFrame]) -> dict[str, list[float]]:
    """Distances of over 1,000 reference rows: Wasserstein by deviation and Jensen-Shannon, limit 0.1 a column."""
    texts, score = _texts(reference), reference["score"]
    kinds = {False: (ColumnType.Numerical, "wasserstein"), True: (ColumnType.Categorical, "jensenshannon")}
    tests = {text: get_stattest(score, score, *kind).func for text, kind in kinds.items()}

    def distance(window: pd.DataFrame, name: str) -> float:
        text = name in texts
        return float(tests[text](reference[name].dropna(), window[name].dropna(), kinds[text][0], 0.1)[0])

    distances = np.array([[distance(window, name) for name in reference] for window in windows])
    return {
        "Evidently, farthest column": distances.max(axis=1).tolist(),
        "Evidently, as shipped (half of the columns)": ((distances > 0.1).mean(axis=1) >= 0.5).astype(float).tolist(),
        "Evidently, any column at its 0.1": (distances > 0.1).any(axis=1).astype(float).tolist(),
    }


def _nannyml(reference: pd.DataFrame, windows: list[pd.DataFrame]) -> dict[str, list[float]]:
    size, live = len(windows[0]), pd.concat(windows, ignore_index=True)
    texts = _texts(reference)
    univariate = UnivariateDriftCalculator(
        column_names=list(reference), treat_as_categorical=texts, chunk_size=size,
        continuous_methods=["jensen_shannon"], categorical_methods=["jensen_shannon"],
    ).fit(reference)  # fmt: skip
    found = univariate.calculate(live).filter(period="analysis").to_df()
    distance = found.xs("value", axis=1, level=-1).max(axis=1)
    alarm = found.xs("alert", axis=1, level=-1).any(axis=1)
    features = [name for name in reference if name.startswith("x")]
    whole = DataReconstructionDriftCalculator(column_names=features, chunk_size=size).fit(reference[features])
    error = whole.calculate(live[features]).filter(period="analysis").to_df()
    values, low, high = (error[("reconstruction_error", n)] for n in ("value", "lower_threshold", "upper_threshold"))
    return {
        "NannyML, Jensen-Shannon, farthest column": distance.astype(float).tolist(),
        "NannyML, Jensen-Shannon, as shipped": alarm.astype(float).tolist(),
        "NannyML, PCA reconstruction": ((2 * values - low - high).abs() / (high - low)).astype(float).tolist(),
        "NannyML, PCA reconstruction, as shipped": error[("reconstruction_error", "alert")].astype(float).tolist(),
    }


def _frouros(reference: pd.DataFrame, windows: list[pd.DataFrame]) -> dict[str, list[float]]:
    """Frouros leaves the threshold to its user; 0.05 a column is what its examples take."""
    numbers = [name for name in reference if name not in _texts(reference)]
    detectors = {name: KSTest() for name in numbers}
    for name, detector in detectors.items():
        detector.fit(X=reference[name].dropna().to_numpy())
    p_values = np.array([
        [detector.compare(X=window[name].dropna().to_numpy())[0].p_value for name, detector in detectors.items()]
        for window in windows
    ])  # fmt: skip
    smallest = p_values.min(axis=1)
    return {
        "Frouros KS, smallest p": (-np.log(np.maximum(smallest, TINY))).tolist(),
        "Frouros KS, any p under 0.05": (smallest < 0.05).astype(float).tolist(),
    }


def _river(reference, live, batch, width, *, labels) -> dict[str, list[float]]:
    """Row by row: on whether the model was wrong where that is known, else on every column in deviations.

    A stronger setting means more alarms; the score of a look is how calm a setting still alarmed in its batch.
    """
    names = ["error"] if labels else [name for name in live if name not in _texts(live)]
    found = {}
    for name, (settings, shipped) in STREAMING.items():
        if name == "River KSWIN" and not labels:
            continue  # 0.6 ms a row and column: on all of them it would take half of this proof's time
        alarms = {setting: _streamed(make, reference[names], live[names], batch) for setting, make in settings.items()}
        ranks = np.arange(len(alarms), 0, -1)
        score = np.max([rank * seen for rank, seen in zip(ranks, alarms.values(), strict=True)], axis=0)
        if len(settings) > 1:
            found[f"{name}, by setting"] = score[width - 1 :].astype(float).tolist()
        found[f"{name}, as shipped"] = alarms[shipped][width - 1 :].astype(float).tolist()
    return found


def _streamed(make, reference: pd.DataFrame, live: pd.DataFrame, batch: int) -> np.ndarray:
    """Return whether any column alarmed in each batch of live rows."""
    alarmed = np.zeros(len(live), dtype=bool)
    for name in live:
        before, now = reference[name].to_numpy(), live[name].to_numpy()
        middle, scale = (0.0, 1.0) if name == "error" else (np.nanmean(before), np.nanstd(before))
        detector = make()
        for value in ((before - middle) / scale)[~np.isnan(before)][-WARM_UP:].tolist():
            detector.update(value)
        for i, value in enumerate(((now - middle) / scale).tolist()):
            if value == value:  # noqa: PLR0124 - not missing
                detector.update(value)
                alarmed[i] |= detector.drift_detected
    return alarmed.reshape(-1, batch).any(axis=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

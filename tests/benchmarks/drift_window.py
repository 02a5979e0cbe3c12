"""One window and its reference, drawn the same way in our environment and in the peers'."""

import numpy as np

NUMBERS, TEXTS, CATEGORIES = 100, 20, 30


def window(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers (NUMBERS, rows), every tenth column shifted by seed, and codes (TEXTS, rows)."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal((NUMBERS, rows))
    numbers[::10] += 0.3 * seed
    shares = 0.85 ** np.arange(CATEGORIES)
    codes = np.searchsorted(np.cumsum(shares / shares.sum())[:-1], rng.random((TEXTS, rows)))
    return numbers, codes

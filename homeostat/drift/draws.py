"""Random numbers that are the same under every NumPy, unlike its generators', so that a map can be drawn again."""

from hashlib import shake_256

import numpy as np

from homeostat.drift.tails import normal_scores

WIDTH = 64  # random Fourier features of a map; their covariance wants some 1,000 reference rows


def uniforms(seed: int, n: int) -> np.ndarray:
    """Return numbers strictly between 0 and 1, shape (n,)."""
    digest = shake_256(seed.to_bytes(16, "big", signed=True)).digest(4 * n)
    return (np.frombuffer(digest, dtype="<u4") + 0.5) / 2**32


def directions(seed: int, n: int) -> np.ndarray:
    """Return standard normal numbers as float32, shape (n, WIDTH)."""
    return np.asarray(normal_scores(uniforms(seed, n * WIDTH)).reshape(n, WIDTH).astype(np.float32))


def phases(seed: int) -> np.ndarray:
    """Return angles as float32, shape (WIDTH,)."""
    return np.asarray((2 * np.pi * uniforms(seed, WIDTH)).astype(np.float32))

"""Reproducible chance: the same seed gives the same numbers with every version of numpy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

RAW_MAX = 2.0**64


@dataclass(slots=True)
class Draw:
    """A stream of numbers drawn from a seed.

    Only the raw output of the Philox counter generator is used, which numpy
    promises to keep; its distributions may change between versions.

    Parameters
    ----------
    seed : int
        Which patient.
    purpose : int
        Which of the patient's streams, so that one can change without moving the others.
    """

    seed: int
    purpose: int
    _bits: np.random.Philox = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._bits = np.random.Philox(key=np.array([self.seed, self.purpose], dtype=np.uint64))

    def between(self, low: float, high: float) -> float:
        """Return a number, every one from low to high equally likely."""
        return low + (high - low) * (float(self._bits.random_raw()) / RAW_MAX)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both possible."""
        return min(high, low + int(self.between(0.0, 1.0) * (high - low + 1)))

    def direction(self) -> npt.NDArray[np.float64]:
        """Return a unit vector, every direction equally likely."""
        z, turn = self.between(-1.0, 1.0), self.between(0.0, 2 * np.pi)
        flat = np.sqrt(1 - z * z)
        return np.array([flat * np.cos(turn), flat * np.sin(turn), z])


def grains(seed: int, k: int, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return image noise of one slice: mean 0, standard deviation 1, neighbours a little alike.

    Parameters
    ----------
    seed : int
        Which scan.
    k : int
        Which slice; slices are independent of each other.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of float32
        Uniform grains seen through the 3 x 3 kernel (1, 2, 1) x (1, 2, 1): nearly Gaussian,
        neighbours in a row or column correlated by 2/3.
    """
    rows, columns = shape[0] + 2, shape[1] + 2
    bits = np.random.Philox(key=np.array([seed, (1 << 32) + k], dtype=np.uint64))
    raw = bits.random_raw((rows * columns + 3) // 4).astype("<u8").view("<u2")
    white = raw[: rows * columns].reshape(rows, columns).astype(np.float32)
    white -= 32767.5
    down = white[:-2] + white[2:] + 2 * white[1:-1]
    smooth = down[:, :-2] + down[:, 2:] + 2 * down[:, 1:-1]
    smooth *= np.float32(1 / (6.0 * np.sqrt((65536.0**2 - 1) / 12)))
    return np.asarray(smooth, dtype=np.float32)

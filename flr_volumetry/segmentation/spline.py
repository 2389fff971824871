"""A deformation of cubic splines that matches several pictures at once and bends in few places.

Growth acts by side: inside each the displacement is nearly affine, and where the sides meet it changes its
slope. What is held down is therefore not the displacement, nor its slope, which would make all growth seem
smaller, but its bending, and a sharp bend in one place costs little more than a gentle one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = npt.NDArray[np.float32]

STIFFNESS_MM2 = 50.0
"""Weight of bending against squared differences of the pictures; chosen on the phantom and one random
patient, and checked on thirteen others."""
SHARP_PER_MM = 0.0007
"""Second derivative from which on bending costs in proportion and no longer by its square (as above)."""
FARTHEST = 0.4
"""Of a round, in distances between control points: a cubic spline whose weights move by less than about
0.4 of it in one step stays invertible (Choi and Lee, Graph Models 2000;62:25)."""
SETTLED = 0.02
"""A round that moves no control point by more, in the same unit, is the last."""
MOST_PRODUCTS, SOLVED = 20, 1e-3
"""Of the conjugate gradients within a round: products, and share of the first residual left."""
TINY = 1e-6
ORDERS = (
    ((2, 0, 0), 1.0),
    ((0, 2, 0), 1.0),
    ((0, 0, 2), 1.0),
    ((1, 1, 0), 2.0),
    ((1, 0, 1), 2.0),
    ((0, 1, 1), 2.0),
)
"""Second derivatives, by order along each axis, and how often each occurs."""


@dataclass(frozen=True, slots=True)
class Level:
    """One step from coarse to fine.

    Parameters
    ----------
    step_mm : float
        Of the work grid.
    apart_mm : float
        Between control points.
    rounds : int
        At most.
    """

    step_mm: float
    apart_mm: float
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One picture of both livers on the work grid.

    Parameters
    ----------
    target, source : (i, j, k) float32 ndarray
        What is matched, and what is moved.
    """

    target: Array
    source: Array


def bent(pairs: Sequence[Pair], start: Array, level: Level) -> Array:
    """Move the sources onto the targets.

    Parameters
    ----------
    pairs : sequence of Pair
        On one grid.
    start : (3, i, j, k) float32 ndarray
        Displacement to begin from, mm.
    level : Level
        Of the grid.

    Returns
    -------
    (3, i, j, k) float32 ndarray
        Displacement, mm.

    Notes
    -----
    Least squares with weights of a tensor product of cubic B-splines as unknowns (Rueckert et al., IEEE Trans
    Med Imaging 1999;18:712), by Gauss-Newton with the mean of both slopes (Vercauteren et al., NeuroImage
    2009;45:S61) and preconditioned conjugate gradients. The bending energy is weighted anew in each round by
    ``1 / sqrt(1 + |H|^2 / s^2)``, H being the second derivatives: iteratively reweighted least squares for
    ``s^2 sqrt(1 + |H|^2 / s^2)``.
    """
    lattice = Lattice.over(start.shape[1:], level)
    rest = np.indices(start.shape[1:], dtype=np.float32)
    slopes = [_slope(pair.target, level.step_mm) for pair in pairs]
    weights = lattice.fitted(start)
    for _ in range(level.rounds):
        at = rest + lattice.field(weights) / np.float32(level.step_mm)
        square, pull = _differences(pairs, slopes, at, level.step_mm)
        bending = lattice.bending(weights)
        step = _solved(lattice, bending, square, lattice.gathered(pull) - bending.product(weights))
        most = float(np.abs(step).max()) / level.apart_mm
        weights = weights + step * np.float32(min(1.0, FARTHEST / max(most, TINY)))
        if most < SETTLED:
            break
    return lattice.field(weights)


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Control points over a work grid.

    Parameters
    ----------
    bases : sequence of tuple of ndarray
        For each axis: values, first and second derivatives of every B-spline at every point.
    """

    bases: tuple[tuple[Array, Array, Array], ...]

    @classmethod
    def over(cls, shape: tuple[int, ...], level: Level) -> Lattice:
        """Return one that covers a grid."""
        return cls(tuple(_basis(n, level.step_mm, level.apart_mm) for n in shape))

    def field(self, weights: Array) -> Array:
        """Return the displacement at every point of the grid."""
        return _along(weights, [b[0] for b in self.bases])

    def gathered(self, field: Array) -> Array:
        """Return the transpose of `field`."""
        return _along(field, [b[0].T for b in self.bases])

    def fitted(self, field: Array) -> Array:
        """Return weights of the spline next to a displacement, by least squares."""
        inverses = [np.linalg.pinv(b[0].astype(np.float64), rcond=1e-4) for b in self.bases]
        return _along(field, [m.astype(np.float32) for m in inverses])

    def bending(self, weights: Array) -> Bending:
        """Return the bending energy's quadratic form around a spline."""
        parts = [
            (np.float32(n), [b[o] for b, o in zip(self.bases, order, strict=True)]) for order, n in ORDERS
        ]
        square = sum((n * (_along(weights, part) ** 2).sum(axis=0) for n, part in parts), np.float32(0))
        stiff = np.float32(STIFFNESS_MM2) / np.sqrt(
            1 + square / np.float32(SHARP_PER_MM**2), dtype=np.float32
        )
        return Bending(parts, stiff)


@dataclass(frozen=True, slots=True, eq=False)
class Bending:
    """A quadratic form: what second derivatives cost, point by point."""

    parts: list[tuple[np.float32, list[Array]]]
    stiff: Array

    def product(self, weights: Array) -> Array:
        """Return its matrix times a spline's weights."""
        return self._summed(
            lambda n, part: n * _along(self.stiff * _along(weights, part), [m.T for m in part])
        )

    def diagonal(self) -> Array:
        """Return the diagonal of its matrix, (1, a, b, c)."""
        return self._summed(lambda n, part: n * _along(self.stiff[None], [m.T**2 for m in part]))

    def _summed(self, term: Callable[[np.float32, list[Array]], Array]) -> Array:
        return np.asarray(np.add.reduce(list(starmap(term, self.parts))))


def _basis(count: int, step: float, apart: float) -> tuple[Array, Array, Array]:
    """Values and derivatives per mm of cubic B-splines, (points, splines)."""
    at = np.arange(count) * step / apart
    away = at[:, None] - (np.arange(int(np.ceil(at[-1])) + 3) - 1)
    far = np.abs(away)
    near, rim = far < 1, (far >= 1) & (far < 2)
    value = np.where(near, 2 / 3 - far**2 + far**3 / 2, np.where(rim, (2 - far) ** 3 / 6, 0))
    first = np.where(near, -2 * far + 1.5 * far**2, np.where(rim, -((2 - far) ** 2) / 2, 0))
    second = np.where(near, 3 * far - 2, np.where(rim, 2 - far, 0))
    return (
        value.astype(np.float32),
        (np.sign(away) * first / apart).astype(np.float32),
        (second / apart**2).astype(np.float32),
    )


def _along(array: Array, parts: Sequence[Array]) -> Array:
    """Multiply by a matrix along each of the last three of four axes."""
    across = np.matmul(parts[1], np.matmul(array, parts[2].T))
    n, i, j, k = across.shape
    return np.asarray(np.matmul(parts[0], across.reshape(n, i, j * k)).reshape(n, -1, j, k))


def _differences(
    pairs: Sequence[Pair], slopes: Sequence[Array], at: Array, step_mm: float
) -> tuple[Array, Array]:
    """Return ``sum J J^T``, (3, 3, i, j, k), and ``sum J d``, (3, i, j, k), d being target less source."""
    from scipy.ndimage import map_coordinates

    square = np.zeros((3, *at.shape), dtype=np.float32)
    pull = np.zeros_like(at)
    for pair, slope in zip(pairs, slopes, strict=True):
        seen = map_coordinates(pair.source, at, order=1, mode="nearest", output=np.float32)
        both = np.float32(0.5) * (slope + _slope(seen, step_mm))
        pull += (pair.target - seen) * both
        square += both[:, None] * both[None]
    return square, pull


def _slope(array: Array, step_mm: float) -> Array:
    parts = [np.gradient(array, step_mm, axis=axis) for axis in range(3)]
    return np.stack(parts).astype(np.float32, copy=False)


def _solved(lattice: Lattice, bending: Bending, square: Array, wanted: Array) -> Array:
    """Solve for one round's step, by conjugate gradients with the diagonal as preconditioner."""
    own = np.stack([square[n, n] for n in range(3)])
    diagonal = _along(own, [b[0].T ** 2 for b in lattice.bases]) + bending.diagonal() + np.float32(TINY)
    step: Array = np.zeros_like(wanted)
    left = wanted
    ahead = scaled = left / diagonal
    first = now = float((left * scaled).sum())
    for _ in range(MOST_PRODUCTS):
        if now <= SOLVED * first:
            break
        field = lattice.field(ahead)
        product = lattice.gathered((square * field).sum(axis=1)) + bending.product(ahead)
        length = np.float32(now / float((ahead * product).sum()))
        step += length * ahead
        left = left - length * product
        scaled = left / diagonal
        before, now = now, float((left * scaled).sum())
        ahead = scaled + np.float32(now / before) * ahead
    return step

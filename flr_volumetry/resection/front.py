"""Ways from the vertices of a mesh to its front."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.raster import normals_of

Points = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SMOOTH = 0.99
"""Cosine between the mean way forward and a triangle's, above which the mean will do."""
SHARP = 0.5
"""Cosine between the mean way forward and a triangle's, below which the mean will not do for a vertex."""
FOLD_ROUNDS = 64


def forward(vertices: Points, triangles: Ints) -> Points:
    """Find steps of the vertices that bring every triangle forward by 1.

    Parameters
    ----------
    vertices : (3, n) float64 ndarray
        Along each axis.
    triangles : (3, m) int64 ndarray
        Three vertices each.

    Returns
    -------
    (3, n) float64 ndarray
        Of a flat part, its unit normal. At an edge a triangle comes forward by 1 or more, by 0.99 where the
        edge is hardly one; only in a fold so sharp that its triangles have no common front, by less.
    """
    across = normals_of(vertices, triangles)
    size = np.sqrt((across**2).sum(axis=0))
    vertex, triangle = triangles.ravel(), np.tile(np.arange(triangles.shape[1]), 3)
    steps = np.zeros_like(vertices)
    for axis in range(3):
        steps[axis] = np.bincount(vertex, np.tile(across[axis], 3), vertices.shape[1])
    length = np.sqrt((steps**2).sum(axis=0))
    steps /= np.where(length > 0, length, 1)
    across /= np.where(size > 0, size, 1)
    sound = np.flatnonzero(np.tile(size > 0, 3))
    vertex, triangle = vertex.take(sound), triangle.take(sound)
    gain = _gain(steps, across, vertex, triangle)
    if gain.min(initial=1.0) > SMOOTH:
        return steps
    least = _least(gain, vertex, steps.shape[1])
    if (least < SHARP).any():
        some = least[vertex] < SHARP
        _mend(steps, across, vertex[some], triangle[some])
        gain = _gain(steps, across, vertex, triangle)
        least = _least(gain, vertex, steps.shape[1])
    return np.asarray(steps / np.maximum(least, SHARP))


def _gain(steps: Points, across: Points, vertex: Ints, triangle: Ints) -> Points:
    """How far each triangle comes forward at each of its vertices."""
    return np.asarray(sum(s.take(vertex) * a.take(triangle) for s, a in zip(steps, across, strict=True)))


def _least(gain: Points, vertex: Ints, count: int) -> Points:
    """How far the triangle that comes forward least does so, at each vertex."""
    least = np.full(count, np.inf)
    np.minimum.at(least, vertex, gain)
    return np.where(np.isfinite(least), least, 1.0)


def _mend(steps: Points, across: Points, vertex: Ints, triangle: Ints) -> None:
    """Turn the steps of sharp vertices towards the triangle that comes forward least, again and again."""
    for _ in range(FOLD_ROUNDS):
        gain = _gain(steps, across, vertex, triangle)
        order = np.argsort(gain, kind="stable")
        worst = order[np.unique(vertex[order], return_index=True)[1]]
        worst = worst[gain[worst] < SHARP]
        if not len(worst):
            break
        # Half as much again as it lacks: the exact amount would come close only slowly.
        steps[:, vertex[worst]] += 1.5 * (1 - gain[worst]) * across[:, triangle[worst]]

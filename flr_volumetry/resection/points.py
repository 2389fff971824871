"""Exact distances between sets of points, with most pairs ruled out unseen.

The support of a set along a direction is how far it reaches there. It bounds every
distance that has to do with the set, from below and from above, at the price of one
product a point.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

_AROUND = np.array([v for v in np.ndindex(5, 5, 5) if 0 in v or 4 in v], dtype=np.float64) - 2
DIRECTIONS = _AROUND / np.linalg.norm(_AROUND, axis=1, keepdims=True)
"""98 directions all around."""
WIDEST_GAP_DEG = 18.0
"""No direction is further than this from the nearest of `DIRECTIONS`, or its opposite."""
COARSE = 7
FIRST_BATCH = 64
MOST_PAIRS = 2_000_000
PAIRS_AT_ONCE = 20_000
"""So many distances fit a processor's cache."""


def closest(ours: Points, theirs: Points) -> tuple[float, int]:
    """Find the smallest distance between two sets of points.

    Parameters
    ----------
    ours, theirs : (n, 3) float64 ndarray
        Not empty, in the same units.

    Returns
    -------
    float
        The distance, exact to rounding.
    int
        Which of `ours` it is.

    Notes
    -----
    The largest excess of one of theirs over our supports is a lower bound of its
    distance. A first answer leaves out those of theirs, and then of ours, that are
    further for certain. Theirs are asked in order of that bound, until it passes the
    best answer.
    """
    bound = excess(ours, theirs)
    best, at = _nearest(ours, theirs[[int(np.argmin(bound))]], math.inf)
    hopeful = theirs[bound <= best]
    (facing,) = np.nonzero(excess(hopeful, ours) <= best)
    near = ours[facing]
    bound = excess(near, hopeful, DIRECTIONS)
    if len(near) * np.count_nonzero(bound <= best) > MOST_PAIRS:
        # Surfaces side by side: nearly all are as close, and a bound tells them not apart.
        distance, index = _by_tree(near, hopeful[bound <= best], best)
        return (distance, int(facing[index])) if distance < best else (best, at)
    order = np.argsort(bound)
    hopeful, bound = hopeful[order], bound[order]
    done, size = 0, FIRST_BATCH
    while done < len(hopeful) and bound[done] <= best:
        distance, index = _nearest(near, hopeful[done : done + size], best)
        if distance < best:
            best, at = distance, int(facing[index])
        done, size = done + size, size * 2
    return best, at


def not_further_than(ours: Points, theirs: Points) -> float:
    """Bound the smallest distance between two sets of points from above, at little cost.

    Parameters
    ----------
    ours, theirs : (n, 3) float64 ndarray
        Not empty, in the same units.

    Returns
    -------
    float
        The distance of the most promising of theirs.
    """
    bound = excess(ours, theirs)
    return _nearest(ours, theirs[[int(np.argmin(bound))]], math.inf)[0]


def excess(
    ours: Points, theirs: Points, directions: Points = DIRECTIONS[::COARSE]
) -> npt.NDArray[np.float64]:
    """Return what the distance of each of theirs to ours cannot be less than.

    Parameters
    ----------
    ours, theirs : (n, 3) float64 ndarray
        Not empty, in the same units.
    directions : (m, 3) float64 ndarray
        Unit vectors along which the supports of ours are taken.

    Returns
    -------
    (n,) float64 ndarray
        One for each of theirs; negative inside the hull of ours.
    """
    mine, columns = np.ascontiguousarray(ours.T), np.ascontiguousarray(theirs.T)
    bound = np.full(len(theirs), -np.inf)
    for direction in directions:
        np.maximum(bound, _along(columns, direction) - _along(mine, direction).max(), out=bound)
    return bound


def _along(columns: Points, direction: Points) -> Points:
    """Places of points along a direction; summed here, as a product of few columns is not worth threads."""
    (x, y, z), (u, v, w) = columns, direction
    place = u * x
    place += v * y
    place += w * z
    return np.asarray(place)


def _by_tree(ours: Points, theirs: Points, limit: float) -> tuple[float, int]:
    """Smallest distance between two sets, if it is below the limit, and which of ours it is."""
    from scipy.spatial import cKDTree

    found = cKDTree(ours).query(theirs, distance_upper_bound=limit)
    distances, index = np.asarray(found[0]), np.asarray(found[1])
    first = int(np.argmin(distances))
    return float(distances[first]), int(index[first])


def _nearest(ours: Points, batch: Points, limit: float) -> tuple[float, int]:
    """Smallest distance of a batch to ours, by brute force over those that can be within the limit."""
    middle = batch.mean(axis=0)
    spread = float(np.linalg.norm(batch - middle, axis=1).max())
    near = np.flatnonzero(np.linalg.norm(ours - middle, axis=1) <= limit + spread)
    best, at = math.inf, 0
    mine, theirs = np.ascontiguousarray(ours[near].T), np.ascontiguousarray(batch.T)
    rows = max(1, PAIRS_AT_ONCE // max(1, len(near)))
    for start in range(0, len(batch) if len(near) else 0, rows):
        squared = np.zeros((min(rows, len(batch) - start), len(near)))
        for axis in range(3):
            apart = np.subtract.outer(theirs[axis, start : start + rows], mine[axis])
            apart *= apart
            squared += apart
        flat = int(np.argmin(squared))
        distance = math.sqrt(squared.flat[flat])
        if distance < best:
            best, at = distance, int(near[flat % len(near)])
    return best, at


def diameter(points: Points) -> float:
    """Find the largest distance between two of a set of points.

    Parameters
    ----------
    points : (n, 3) float64 ndarray
        Not empty.

    Returns
    -------
    float
        The distance, exact to rounding; 0 for a single point.

    Notes
    -----
    The pair sought lies along a direction within `WIDEST_GAP_DEG` of one of
    `DIRECTIONS`. Along that one it spans at least the best answer so far times the
    cosine of the gap, so that both its ends lie close to the supports there.
    """
    shrink = math.cos(math.radians(WIDEST_GAP_DEG))
    half = DIRECTIONS[: len(DIRECTIONS) // 2]
    along = half @ points.T
    lows, highs = along.argmin(axis=1), along.argmax(axis=1)
    best = float(np.linalg.norm(points[highs] - points[lows], axis=1).max())
    widths = along.max(axis=1) - along.min(axis=1)
    for n in np.argsort(-widths):
        slack = widths[n] - best * shrink
        if slack < 0:
            continue
        top = points[along[n] >= along[n].max() - slack]
        bottom = points[along[n] <= along[n].min() + slack]
        best = max(best, _farthest(top, bottom))
    return best


def _farthest(ours: Points, theirs: Points) -> float:
    best = 0.0
    rows = max(1, MOST_PAIRS // len(theirs))
    for start in range(0, len(ours), rows):
        gaps = ours[start : start + rows, None, :] - theirs[None, :, :]
        best = max(best, float(np.einsum("ijk,ijk->ij", gaps, gaps).max()))
    return math.sqrt(best)

"""Patches of control points, as triangles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.resection import topology

if TYPE_CHECKING:
    from collections.abc import Callable

Points = npt.NDArray[np.float64]
Triangles = npt.NDArray[np.int32]

DEGREE = 3
MEASURED_STEPS = 24
RESERVE = 1.25
"""Second derivatives of a rational patch are measured at so many steps a span, and raised by this."""
MOST_TRIANGLES = 4_000_000
MOST_STEPS = 4096
"""A span of a patch is divided into at most so many steps along either edge."""


def tessellate(control_mm: Points, weights: Points | None, chord_mm: float) -> tuple[Points, Triangles]:
    """Lay triangles through a bicubic patch.

    Parameters
    ----------
    control_mm : (n, m, 3) float64 ndarray
        At least 4 along either edge, LPS mm.
    weights : (n, m) float64 ndarray or None
        Of a rational patch.
    chord_mm : float
        No point of a triangle is further from the patch.

    Returns
    -------
    (k, 3) float64 ndarray
        Corners, those along the second edge side by side; as far to one side of the patch as the
        middles of the triangles are to the other, so that volumes come out even.
    (t, 3) int32 ndarray
        Facing the side from which steps along the first edge, then along the second, turn
        counter-clockwise.

    Raises
    ------
    PlanError
        If the patch has no area, that takes too many triangles, or the chord is not above 0.

    Notes
    -----
    Between a triangle with sides h and k along the parameters and the patch lie at most
    ``(h^2 M_uu + 2 h k M_uv + k^2 M_vv) / 8`` (Filip, Magedson, Markot, Comput Aided Geom Des
    1986;3:295), where M are bounds of the second derivatives: those of their control points. Those of a
    rational patch are measured at many of its points, with a quarter added.
    """
    if not chord_mm > 0:
        raise PlanError(f"chord_mm must be above 0 mm, got {chord_mm}")
    if not topology.has_area(control_mm.reshape(-1, 3), _cells(*control_mm.shape[:2])):
        raise PlanError(
            "a patch has no area: its control points lie on one line or in one place; draw it again",
            reason="zero_area",
        )
    spans = (control_mm.shape[0] - DEGREE, control_mm.shape[1] - DEGREE)
    if weights is None:
        steps = _steps(_bounds(control_mm), spans, chord_mm)
    else:
        steps = _rational_steps(control_mm, weights, spans, chord_mm)
    corners = _corners(control_mm, weights, steps)
    rows, columns = corners.shape[:2]
    return (corners - _sagitta(corners)).reshape(-1, 3), _cells(rows, columns)


def _corners(control: Points, weights: Points | None, steps: tuple[int, int]) -> Points:
    """Points of a patch at even steps through its spans."""
    along, across = (_basis(n, s) for n, s in zip(control.shape[:2], steps, strict=True))
    if weights is None:
        return _blended(along, control, across)
    lifted = _blended(along, control * weights[..., None], across)
    return np.asarray(lifted / (along @ weights @ across.T)[..., None])


def _blended(along: Points, control: Points, across: Points) -> Points:
    """Weigh control points along either edge, and add them up."""
    points = np.stack([along @ net @ across.T for net in np.moveaxis(control, 2, 0)])
    return np.ascontiguousarray(np.moveaxis(points, 0, 2))


def _sagitta(corners: Points) -> Points:
    """How far, in the mean, the triangles around each corner stand off the patch.

    Flat triangles between points of a patch lie on the hollow side of it, all of them. Over a cell with
    second differences a, b, c along the first edge, across both, and along the second, they do so by
    (a - b + c) / 12.
    """
    along, both, across = _second_differences(corners)
    return np.asarray((along - both + across) / 12)


def _second_differences(corners: Points) -> tuple[Points, Points, Points]:
    """Second differences along the first edge, across both, along the second; at the border, those beside."""
    along, both, across = np.zeros((3, *corners.shape))
    along[1:-1] = corners[2:] - 2 * corners[1:-1] + corners[:-2]
    across[:, 1:-1] = corners[:, 2:] - 2 * corners[:, 1:-1] + corners[:, :-2]
    both[1:-1, 1:-1] = (corners[2:, 2:] - corners[2:, :-2] - corners[:-2, 2:] + corners[:-2, :-2]) / 4
    for edge, beside in ((0, 1), (-1, -2)):
        along[edge], both[edge] = along[beside], both[beside]
        across[:, edge], both[:, edge] = across[:, beside], both[:, beside]
    return along, both, across


def _cells(rows: int, columns: int) -> Triangles:
    """Two triangles a cell of a grid of corners; the same diagonals whichever edge comes first."""
    corner = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    here, down = corner[:-1, :-1].ravel(), corner[1:, :-1].ravel()
    right, far = corner[:-1, 1:].ravel(), corner[1:, 1:].ravel()
    return np.concatenate([np.stack([here, down, right], axis=1), np.stack([far, right, down], axis=1)])


def _knots(count: int) -> Points:
    spans = count - DEGREE
    return np.concatenate([np.zeros(DEGREE), np.arange(spans + 1), np.full(DEGREE, spans)]).astype(np.float64)


def _basis(count: int, steps: int) -> Points:
    """Weight of each control point at even steps through all spans, (steps * spans + 1, count)."""
    knots = _knots(count)
    spans = count - DEGREE
    at = np.arange(spans * steps + 1) / steps
    span = np.minimum(np.arange(len(at)) // steps, spans - 1)
    weights = [np.ones(len(at))]
    # Each degree from the one below, by the recurrence of Cox and de Boor.
    for degree in range(1, DEGREE + 1):
        raised = [np.zeros(len(at)) for _ in range(degree + 1)]
        for n, weight in enumerate(weights):
            low, high = knots[span + DEGREE + n + 1 - degree], knots[span + DEGREE + n + 1]
            share = weight / (high - low)
            raised[n] += (high - at) * share
            raised[n + 1] += (at - low) * share
        weights = raised
    basis = np.zeros((len(at), count))
    for n, weight in enumerate(weights):
        basis[np.arange(len(at)), span + n] = weight
    return basis


def _derived(net: Points, axis: int, times: int) -> Points:
    """Control points of a derivative along one edge."""
    count = net.shape[axis]
    knots = _knots(count)
    net = np.moveaxis(net, axis, 0)
    for done in range(times):
        degree = DEGREE - done
        inner = knots[done + 1 : len(knots) - done - 1]
        width = inner[degree : degree + len(net) - 1] - inner[: len(net) - 1]
        net = degree * np.diff(net, axis=0) / width.reshape(-1, *[1] * (net.ndim - 1))
    return np.moveaxis(net, 0, axis)


Bounds = tuple[float, float, float]


def _largest(net: Points) -> Callable[[int, int], float]:
    """How long a derivative of a patch can get: so long as the longest of its control points."""

    def bound(along: int, across: int) -> float:
        derived = _derived(_derived(net, 0, along), 1, across)
        return float(np.linalg.norm(derived, axis=-1).max())

    return bound


def _bounds(control: Points) -> Bounds:
    bound = _largest(control)
    return bound(2, 0), bound(1, 1), bound(0, 2)


def _rational_steps(
    control: Points, weights: Points, spans: tuple[int, int], chord_mm: float
) -> tuple[int, int]:
    """Find the steps for a quotient: its second derivatives are measured, at steps no wider than those."""
    measured = (MEASURED_STEPS, MEASURED_STEPS)
    while True:
        corners = _corners(control, weights, measured)
        along, both, across = (np.linalg.norm(x, axis=2).max() for x in _second_differences(corners))
        u, v = measured
        bounds = RESERVE * along * u**2, RESERVE * both * u * v, RESERVE * across * v**2
        steps = _steps(bounds, spans, chord_mm)
        if steps[0] <= measured[0] and steps[1] <= measured[1]:
            return steps
        measured = (max(steps[0], measured[0]), max(steps[1], measured[1]))


def _steps(bounds: Bounds, spans: tuple[int, int], chord_mm: float) -> tuple[int, int]:
    """Fewest steps a span along either edge that keep to the chord."""
    uu, uv, vv = bounds
    first = np.arange(2, MOST_STEPS + 1)
    step = 1.0 / first
    left = 8 * chord_mm - step**2 * uu
    # The largest k with vv k^2 + 2 h uv k <= left, written so that vv may be 0.
    root = np.sqrt(np.maximum((step * uv) ** 2 + vv * np.maximum(left, 0), 0)) + step * uv
    enough = left > 0
    longest = np.where(root > 0, np.maximum(left, 0) / np.where(root > 0, root, 1), 1.0)
    enough &= longest * MOST_STEPS >= 1
    second = np.ceil(1 / np.where(enough, np.minimum(longest, 1.0), 1)).astype(np.int64)
    cells = np.where(enough, first * second, np.iinfo(np.int64).max)
    best = int(np.argmin(cells))
    if not enough[best] or 2 * int(cells[best]) * spans[0] * spans[1] > MOST_TRIANGLES:
        raise PlanError(
            f"a patch is so bent that it takes more than {MOST_TRIANGLES} triangles to follow it within "
            f"{chord_mm:g} mm; check its control points",
            reason="too_bent",
        )
    return int(first[best]), max(int(second[best]), 2)

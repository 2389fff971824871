"""Smooth shapes given by a distance: below nought inside, above nought outside, in mm.

Distances are close to the Euclidean one near the surface and never jump; only
their sign defines a shape. Every function works elementwise on arrays of
coordinates of one shape, in the axes of the phantom (LPS mm).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating]
"""One number for each point."""
Vector = tuple[float, float, float]

TINY = 1e-6


class Part(Protocol):
    """A shape that knows how far a point is from its surface, and a box that holds it."""

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds the shape, (2, 3), mm."""

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance of points, mm, negative inside."""


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid, its axes along the patient's or turned.

    Parameters
    ----------
    centre : tuple of float
        LPS mm.
    semi_axes : tuple of float
        Along its own three axes, mm.
    turn_deg : tuple of float
        Turned about x, then y, then z, degrees.
    """

    centre: Vector
    semi_axes: Vector
    turn_deg: Vector = (0.0, 0.0, 0.0)

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds it, mm."""
        turned = rotation(self.turn_deg) * np.asarray(self.semi_axes)
        half = np.sqrt((turned**2).sum(axis=1))
        return np.stack([np.asarray(self.centre) - half, np.asarray(self.centre) + half])

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance, mm: exact on the surface, first-order right beside it."""
        u, v, w = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        if any(self.turn_deg):
            R = rotation(self.turn_deg)
            u, v, w = (u * float(R[0, n]) + v * float(R[1, n]) + w * float(R[2, n]) for n in range(3))
        a, b, c = self.semi_axes
        return ellipsoid_distance(u / a, v / b, w / c, (a, b, c))


def ellipsoid_distance(u: Values, v: Values, w: Values, semi_axes: Vector) -> Values:
    """Return the first-order distance to an ellipsoid of points in units of its semi-axes.

    Parameters
    ----------
    u, v, w : ndarray
        Coordinates divided by the semi-axes.
    semi_axes : tuple of float
        Their lengths, mm.

    Returns
    -------
    ndarray
        mm, negative inside.

    Notes
    -----
    With ``k(p) = |p / r|`` and ``g(p) = |p / r^2|`` the distance is ``k (k - 1) / g``: the
    level set function ``k - 1`` divided by the length of its gradient, ``g / k``.
    """
    a, b, c = semi_axes
    k = np.sqrt(u * u + v * v + w * w)
    u, v, w = u / a, v / b, w / c
    return np.asarray(k * (k - 1) / np.maximum(np.sqrt(u * u + v * v + w * w), TINY))


@dataclass(frozen=True, slots=True)
class Capsule:
    """A straight piece of a tapered tube, with round ends.

    Parameters
    ----------
    start, end : tuple of float
        Ends of its axis, LPS mm.
    radii : tuple of float
        At both ends, mm; linear between them.
    """

    start: Vector
    end: Vector
    radii: tuple[float, float]

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds it, mm."""
        ends = np.array([self.start, self.end])
        radii = np.array(self.radii)[:, None]
        return np.stack([(ends - radii).min(axis=0), (ends + radii).max(axis=0)])

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Distance to the nearest point of the axis, less the radius there, mm."""
        axis = np.subtract(self.end, self.start)
        (ax, ay, az), (r0, r1) = axis.tolist(), self.radii
        length2 = max(float(axis @ axis), TINY)
        u, v, w = x - self.start[0], y - self.start[1], z - self.start[2]
        t = np.clip((u * ax + v * ay + w * az) * (1 / length2), 0.0, 1.0)
        u, v, w = u - t * ax, v - t * ay, w - t * az
        return np.asarray(np.sqrt(u * u + v * v + w * w) - (r0 + (r1 - r0) * t))


@dataclass(frozen=True, slots=True)
class Lobulated:
    """A ball with a few shallow lobes.

    Parameters
    ----------
    centre : tuple of float
        LPS mm.
    radius_mm : float
        Mean radius.
    lobes : tuple of (float, tuple of float)
        Height as a share of the radius, and the direction vector whose cube it follows.
    """

    centre: Vector
    radius_mm: float
    lobes: tuple[tuple[float, Vector], ...] = ()

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds it, mm."""
        return np.stack([np.asarray(self.centre) - self.reach_mm, np.asarray(self.centre) + self.reach_mm])

    @property
    def reach_mm(self) -> float:
        """No point of it is farther from its centre, mm."""
        return self.radius_mm * (1 + sum(abs(height) for height, _ in self.lobes))

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Distance to the centre less the radius in that direction, mm."""
        u, v, w = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        length = np.sqrt(u * u + v * v + w * w)
        scale = 1 / np.maximum(length, TINY)
        radius = np.full_like(length, self.radius_mm)
        for height, direction in self.lobes:
            a, b, c = (np.asarray(direction) / np.linalg.norm(direction)).tolist()
            cosine = (u * a + v * b + w * c) * scale
            radius += height * self.radius_mm * cosine * cosine * cosine
        return np.asarray(length - radius)


@dataclass(frozen=True, slots=True)
class Solid:
    """A shape made of parts: a point is in it if it is in any of them.

    Parameters
    ----------
    name : str
        What it is.
    parts : tuple of Part
        May overlap.
    """

    name: str
    parts: tuple[Part, ...] = field(repr=False)

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds all parts, mm."""
        boxes = np.array([part.bounds for part in self.parts])
        return np.stack([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)])

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance to the nearest part, mm."""
        nearest = self.parts[0].distance(x, y, z)
        for part in self.parts[1:]:
            nearest = np.minimum(nearest, part.distance(x, y, z))
        return nearest


def rotation(turn_deg: Vector) -> npt.NDArray[np.float64]:
    """Return the matrix that turns about x, then y, then z, by right-handed angles in degrees.

    Parameters
    ----------
    turn_deg : tuple of float
        The three angles.

    Returns
    -------
    (3, 3) ndarray
        To be multiplied with column vectors.
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def smooth_min(a: Values, b: Values, width_mm: float) -> Values:
    """Return the lower of two distances, the edge between them rounded.

    Parameters
    ----------
    a, b : ndarray
        Distances, mm.
    width_mm : float
        Where they differ by less, the result lies below both, by a quarter of it at most.

    Returns
    -------
    ndarray
        mm: a union with its crease filled.
    """
    overlap = np.maximum(width_mm - np.abs(a - b), 0.0)
    return np.asarray(np.minimum(a, b) - overlap * overlap * (0.25 / width_mm))


def smooth_max(a: Values, b: Values, width_mm: float) -> Values:
    """Return the higher of two distances, the edge between them rounded.

    Parameters
    ----------
    a, b : ndarray
        Distances, mm.
    width_mm : float
        Where they differ by less, the result lies above both, by a quarter of it at most.

    Returns
    -------
    ndarray
        mm: an intersection with its edge rounded off.
    """
    return -smooth_min(-a, -b, width_mm)


def tube(points: npt.ArrayLike, radii: npt.ArrayLike, *, step_mm: float = 6.0) -> tuple[Capsule, ...]:
    """Return the pieces of a tapered tube along a smooth curve through points.

    Parameters
    ----------
    points : (n, 3) array_like
        LPS mm; the curve passes through all of them (Catmull-Rom).
    radii : (n,) array_like
        At those points, mm; linear between them.
    step_mm : float
        Pieces are about this long.

    Returns
    -------
    tuple of Capsule
        End to end.
    """
    corners = np.asarray(points, dtype=np.float64)
    width = np.asarray(radii, dtype=np.float64)
    padded = np.vstack([2 * corners[0] - corners[1], corners, 2 * corners[-1] - corners[-2]])
    curve, thickness = [corners[0]], [float(width[0])]
    for n in range(len(corners) - 1):
        p0, p1, p2, p3 = padded[n : n + 4]
        pieces = max(1, int(np.ceil(np.linalg.norm(p2 - p1) / step_mm)))
        for t in np.arange(1, pieces + 1) / pieces:
            bend = 2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
            curve.append(0.5 * (bend + (3 * p1 - p0 - 3 * p2 + p3) * t**3))
            thickness.append(float(width[n] + (width[n + 1] - width[n]) * t))
    ends = [tuple(point.tolist()) for point in curve]
    return tuple(
        Capsule(ends[n], ends[n + 1], (thickness[n], thickness[n + 1])) for n in range(len(ends) - 1)
    )

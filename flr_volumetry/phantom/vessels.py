"""Portal and hepatic veins as trees of tapered tubes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.phantom.liver_shape import middle_x, right_y
from flr_volumetry.phantom.shapes import Solid, Vector, tube

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.phantom.liver_shape import LiverShape
    from flr_volumetry.phantom.shapes import Capsule, Part
    from flr_volumetry.phantom.variation import Draw

DEPTH_MM = 5.0
"""Branches end at least so far under the surface of the liver."""
CLEARANCE_MM = 2.0
"""Between the walls of one tree's branches and the other tree or a lesion."""
GENERATIONS = 2
THINNEST_MM = 0.9
SHARES = np.array([1.0, 0.75, 0.5])
"""Of its full length that a twig may be cut to."""

Path = tuple[tuple[Vector, ...], tuple[float, ...]]
"""Points of a branch, and the radii there, mm."""


def vena_cava() -> Solid:
    """Return the inferior vena cava, from the renal veins to the right atrium.

    Returns
    -------
    Solid
        A tapered tube.
    """
    points = [(-20, 13, -100), (-20, 12, -60), (-21, 10, 0), (-21, 9, 40), (-19, 6, 72), (-15, -3, 94)]
    return Solid("inferior vena cava", tube(points, [11, 11, 11.5, 12, 13, 13.5], step_mm=60.0))


PORTAL_STEM: tuple[Path, ...] = (
    (((6, -2, -62), (-2, -10, -42), (-12, -18, -24), (-22, -22, -10)), (7.5, 7.5, 7.2, 7.0)),
    (((-22, -22, -10), (-36, -18, -6)), (6.4, 5.8)),
    (((-22, -22, -10), (-8, -25, -5), (2, -31, 2), (5, -44, 4), (5, -58, -2)), (5.8, 5.4, 5.2, 4.6, 3.6)),
)
PORTAL_BRANCHES: tuple[Path, ...] = (
    (((-36, -18, -6), (-50, -24, 4), (-62, -30, 22), (-70, -34, 44)), (5.0, 4.4, 3.4, 2.0)),
    (((-50, -24, 4), (-62, -40, -12), (-74, -50, -34)), (3.6, 2.8, 1.7)),
    (((-36, -18, -6), (-56, 4, -4), (-74, 26, 6), (-86, 38, 28)), (5.0, 4.4, 3.4, 2.0)),
    (((-60, 8, -4), (-72, 22, -14), (-88, 26, -30)), (3.2, 2.5, 1.6)),
    (((3, -33, 3), (18, -30, 20), (38, -32, 36), (54, -36, 42)), (3.2, 2.6, 2.0, 1.5)),
    (((5, -56, -1), (20, -64, 8), (32, -68, 14)), (3.0, 2.3, 1.7)),
    (((5, -44, 4), (-8, -54, 18), (-16, -60, 34)), (3.0, 2.4, 1.6)),
    (((5, -56, -2), (-6, -64, -14), (-14, -68, -26)), (2.8, 2.2, 1.5)),
)


def _hepatic_branches(middle_mm: float) -> tuple[Path, ...]:
    middle = [(2.0, 60.0), (-14.0, 50.0), (-32.0, 32.0), (-48.0, 6.0), (-56.0, -14.0)]
    right = [(-26.0, 60.0), (-48.0, 54.0), (-76.0, 36.0), (-98.0, 10.0), (-104.0, -14.0)]
    y, z = np.array(middle).T
    in_middle = np.column_stack([middle_x(y, z) + middle_mm, y, z])
    x, w = np.array(right).T
    in_right = np.column_stack([x, right_y(x, w), w])
    return (
        (tuple(_vector(p) for p in in_right), (6.4, 5.8, 4.8, 3.4, 1.9)),
        (tuple(_vector(p) for p in in_middle), (5.6, 5.2, 4.4, 3.2, 1.9)),
        (
            ((-16, 2, 62), (0, -14, 56), (18, -30, 48), (36, -42, 44), (52, -50, 40)),
            (5.4, 4.9, 4.0, 2.9, 1.8),
        ),
        (((-98, 8, -8), (-84, 8, 4), (-62, 10, 13), (-32, 11, 10)), (1.5, 2.0, 2.6, 3.2)),
    )


@dataclass(frozen=True, slots=True)
class Trees:
    """The veins of a liver.

    Parameters
    ----------
    portal, hepatic : Solid
        Both trees, from their stems to their twigs.
    """

    portal: Solid
    hepatic: Solid


def trunks(liver: LiverShape) -> Solid:
    """Return both trees without their twigs: what lesions of a drawn patient keep clear of.

    Parameters
    ----------
    liver : LiverShape
        Whose.

    Returns
    -------
    Solid
        Portal and hepatic veins.
    """
    paths = (*PORTAL_STEM, *PORTAL_BRANCHES, *_hepatic_branches(liver.middle_mm))
    return Solid("large veins", tuple(piece for points, radii in paths for piece in tube(points, radii)))


@dataclass(frozen=True, slots=True, eq=False)
class Obstacles:
    """What twigs keep clear of: pieces of tube, as arrays for speed, and lesions.

    Parameters
    ----------
    start, axis : (n, 3, 1) ndarray
        Where each piece begins, and from there to its end, mm.
    radii : (n, 2, 1) ndarray
        At both ends, mm.
    lesions : tuple of Part
        Any shapes.
    """

    start: npt.NDArray[np.float64]
    axis: npt.NDArray[np.float64]
    radii: npt.NDArray[np.float64]
    lesions: tuple[Part, ...]

    @classmethod
    def of(cls, pieces: Sequence[Capsule], lesions: tuple[Part, ...]) -> Obstacles:
        """Collect pieces of tube and lesions."""
        start = np.array([piece.start for piece in pieces])[:, :, None]
        end = np.array([piece.end for piece in pieces])[:, :, None]
        return cls(start, end - start, np.array([piece.radii for piece in pieces])[:, :, None], lesions)

    def clearance_mm(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the distance of (3, m) points to the nearest of them, (m,) mm; see `Capsule.distance`."""
        from_start = points[None] - self.start
        along = (from_start * self.axis).sum(axis=1) / (self.axis**2).sum(axis=1)
        t = np.clip(along, 0.0, 1.0)
        across = np.linalg.norm(from_start - t[:, None] * self.axis, axis=1)
        radius = self.radii[:, 0] + (self.radii[:, 1] - self.radii[:, 0]) * t
        nearest = (across - radius).min(axis=0)
        for lesion in self.lesions:
            nearest = np.minimum(nearest, lesion.distance(*points))
        return np.asarray(nearest)


def grow(liver: LiverShape, lesions: tuple[Part, ...], draw: Draw) -> Trees:
    """Grow the portal and hepatic veins of a liver.

    Parameters
    ----------
    liver : LiverShape
        Twigs end under its surface.
    lesions : tuple of Part
        Twigs keep clear of them.
    draw : Draw
        Decides where twigs leave and where they go.

    Returns
    -------
    Trees
        The twigs of one tree keep clear of the other.
    """
    veins = _hepatic_branches(liver.middle_mm)
    hepatic = [piece for points, radii in veins for piece in tube(points, radii)]
    portal = [piece for points, radii in (*PORTAL_STEM, *PORTAL_BRANCHES) for piece in tube(points, radii)]
    portal_full = [*portal, *_twigs(PORTAL_BRANCHES, liver, Obstacles.of(hepatic, lesions), draw)]
    hepatic_full = [*hepatic, *_twigs(veins, liver, Obstacles.of(portal_full, lesions), draw)]
    return Trees(Solid("portal vein", tuple(portal_full)), Solid("hepatic veins", tuple(hepatic_full)))


def _twigs(
    branches: tuple[Path, ...], liver: LiverShape, obstacles: Obstacles, draw: Draw
) -> Iterator[Capsule]:
    level = list(branches)
    for generation in range(GENERATIONS):
        grown: list[Path] = []
        for points, radii in level:
            for where in range(1, len(points)):
                for side in (-1.0, 1.0):
                    twig = _twig(points, radii, where, side * (1 + generation), draw)
                    free = _shortened(twig, liver, obstacles)
                    if free is not None:
                        grown.append(free)
                        yield from tube(*free, step_mm=9.0)
        level = grown


def _twig(points: tuple[Vector, ...], radii: tuple[float, ...], where: int, side: float, draw: Draw) -> Path:
    tip = np.asarray(points[where], dtype=np.float64)
    along = tip - np.asarray(points[where - 1])
    along /= np.linalg.norm(along)
    across = np.cross(along, draw.direction())
    across /= np.linalg.norm(across)
    heading = along * 0.65 + across * np.sign(side)
    heading /= np.linalg.norm(heading)
    bent = heading + 0.35 * draw.direction()
    bent /= np.linalg.norm(bent)
    length = draw.between(20.0, 32.0) / abs(side)
    half = tip + heading * (length / 2)
    end = half + bent * (length / 2)
    radius = max(radii[where] * 0.72, THINNEST_MM)
    taper = (radius, max(radius * 0.8, THINNEST_MM), max(radius * 0.6, THINNEST_MM))
    return (_vector(tip), _vector(half), _vector(end)), taper


def _shortened(twig: Path, liver: LiverShape, obstacles: Obstacles) -> Path | None:
    """Return the longest of some lengths of a twig that stays in the liver and clear of obstacles."""
    points, radii = np.asarray(twig[0]), twig[1]
    t = np.linspace(0.2, 1.0, 9)[:, None]
    to_half, to_end = points[1] - points[0], points[2] - points[1]
    whole = np.where(t < 0.5, to_half * (2 * t), to_half + to_end * (2 * t - 1))
    probes = (points[0] + whole * SHARES[:, None, None]).reshape(-1, 3).T
    depth = -liver.distance(*probes).reshape(len(SHARES), -1).max(axis=1)
    clear = obstacles.clearance_mm(probes).reshape(len(SHARES), -1).min(axis=1)
    for share, fits in zip(SHARES, (depth > DEPTH_MM) & (clear > radii[0] + CLEARANCE_MM), strict=True):
        if fits:
            return tuple(_vector(p) for p in points[0] + (points - points[0]) * share), radii
    return None


def _vector(point: npt.NDArray[np.float64]) -> Vector:
    x, y, z = point.tolist()
    return x, y, z

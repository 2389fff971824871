"""The trunk: skin, body wall and diaphragm as distances that the organs are fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flr_volumetry.phantom.shapes import TINY, Values, ellipsoid_distance, smooth_max, smooth_min

TAPER_PER_MM = 0.0003
"""The trunk widens towards the chest by this share of its width for each mm."""
LOWEST_MM, HIGHEST_MM = -260.0, 190.0
"""How far the trunk goes on below and above the hilum of the liver."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A rounded tube along the body axis, between an ellipse and a rectangle in section.

    Parameters
    ----------
    semi_x_mm, semi_y_mm : float
        Half its width and half its depth at the height of the hilum.
    y_mm : float
        Where its axis lies.
    squareness : float
        0 an ellipse, 1 a rectangle.
    """

    semi_x_mm: float
    semi_y_mm: float
    y_mm: float
    squareness: float

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds it, mm."""
        grow = 1 + TAPER_PER_MM * HIGHEST_MM
        half_x, half_y = self.semi_x_mm * grow, self.semi_y_mm * grow
        low, high = [-half_x, self.y_mm - half_y, LOWEST_MM], [half_x, self.y_mm + half_y, HIGHEST_MM]
        return np.array([low, high])

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Distance along the ray from the axis, mm (Fernandez Guasti's squircle)."""
        shrink = 1 - TAPER_PER_MM * z
        across, deep = x * shrink, (y - self.y_mm) * shrink
        u2 = (across / self.semi_x_mm) ** 2
        v2 = (deep / self.semi_y_mm) ** 2
        both = u2 + v2
        flat = np.sqrt(np.maximum(both * both - (4 * self.squareness**2) * u2 * v2, 0.0))
        level = np.sqrt(0.5 * (both + flat))
        return np.asarray(np.sqrt(across * across + deep * deep) * (1 - 1 / np.maximum(level, TINY)))


SKIN = Tunnel(162.0, 112.0, 0.0, 0.52)
WALL_OUTSIDE = Tunnel(147.0, 98.0, 1.0, 0.50)
WALL_INSIDE = Tunnel(135.0, 82.0, -5.0, 0.50)

DOMES: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = (
    ((-65.0, -8.0, -8.0), (70.0, 82.0, 97.0)),
    ((10.0, -34.0, -20.0), (80.0, 66.0, 91.0)),
    ((68.0, -6.0, -22.0), (72.0, 84.0, 98.0)),
)
"""Centres and semi-axes, mm, of the three ellipsoids whose upper halves are the diaphragm."""


def diaphragm(x: Values, y: Values, z: Values) -> Values:
    """Return the distance to the diaphragm, negative on the side of the belly.

    Parameters
    ----------
    x, y, z : ndarray
        Points, mm.

    Returns
    -------
    ndarray
        mm; the domes go on straight down below their equators.
    """
    domes = []
    for (cx, cy, cz), (a, b, c) in DOMES:
        u, v, w = (x - cx) / a, (y - cy) / b, np.maximum(z - cz, 0.0) / c
        domes.append(ellipsoid_distance(u, v, w, (a, b, c)))
    return smooth_min(smooth_min(domes[0], domes[1], 30.0), domes[2], 30.0)


def belly(x: Values, y: Values, z: Values) -> Values:
    """Return the distance to the surface of the abdominal cavity, negative inside.

    Parameters
    ----------
    x, y, z : ndarray
        Points, mm.

    Returns
    -------
    ndarray
        mm: inside the wall and below the diaphragm.
    """
    return smooth_max(WALL_INSIDE.distance(x, y, z), diaphragm(x, y, z), 12.0)

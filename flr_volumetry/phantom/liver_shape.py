"""The liver and its eight segments as distances.

The liver fills the space under the diaphragm down to a tilted visceral
surface, into which the neighbours press: stomach, right kidney, spine,
gallbladder, vena cava, and the fissures of the hilum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flr_volumetry.phantom.shapes import Ellipsoid, Part, Solid, Values, smooth_max
from flr_volumetry.phantom.trunk import belly

BOUNDS = np.array([[-140.0, -92.0, -106.0], [114.0, 80.0, 97.0]])
"""A box that holds the liver of every shape, mm."""
CAPSULE_MM = 2.5
"""Between the wall of the cavity and the liver: diaphragm and a film of fat."""

STOMACH = Solid(
    "stomach",
    (
        Ellipsoid((72.0, 8.0, 22.0), (33.0, 35.0, 48.0), (0.0, -8.0, 0.0)),
        Ellipsoid((62.0, -30.0, -28.0), (30.0, 30.0, 46.0), (0.0, 20.0, 0.0)),
        Ellipsoid((24.0, -44.0, -62.0), (36.0, 22.0, 20.0), (0.0, 25.0, 0.0)),
    ),
)
RIGHT_KIDNEY = Ellipsoid((-64.0, 38.0, -70.0), (27.0, 25.0, 54.0), (-14.0, 10.0, 0.0))
SPINE = Ellipsoid((0.0, 44.0, 0.0), (33.0, 40.0, 900.0))
GALLBLADDER = Solid(
    "gallbladder",
    (
        Ellipsoid((-48.0, -50.0, -44.0), (14.0, 19.0, 24.0), (32.0, 0.0, 0.0)),
        Ellipsoid((-40.0, -30.0, -24.0), (7.0, 10.0, 16.0), (38.0, 0.0, 0.0)),
    ),
)
HILUM = Ellipsoid((-16.0, -22.0, -10.0), (34.0, 8.0, 12.0), (0.0, 8.0, 10.0))
VENOUS_FISSURE = Ellipsoid((24.0, -17.0, 18.0), (2.2, 25.0, 32.0), (0.0, 0.0, -68.0))
ROUND_FISSURE = Ellipsoid((8.0, -58.0, -26.0), (3.5, 34.0, 26.0), (24.0, 0.0, 0.0))

CAUDATE = Ellipsoid((0.0, -4.0, 14.0), (30.0, 18.0, 40.0), (0.0, 0.0, 12.0))

PRESSED: tuple[tuple[Part, float, float], ...] = (
    (STOMACH, 4.0, 14.0),
    (RIGHT_KIDNEY, 5.0, 14.0),
    (SPINE, 6.0, 14.0),
    (GALLBLADDER, 1.5, 6.0),
    (HILUM, 0.0, 8.0),
    (VENOUS_FISSURE, 0.0, 5.0),
    (ROUND_FISSURE, 0.0, 5.0),
)
"""What presses into the liver: the shape, the gap to it and the rounding of the edge, mm."""


VISCERAL_MM = 2.5
WAVINESS_MM = 4.0
LEFT_CURVE = 0.0024


@dataclass(frozen=True, slots=True)
class LiverShape:
    """A liver of one shape.

    Parameters
    ----------
    cava : Part
        The inferior vena cava, which runs in a groove of it.
    visceral_mm : float
        Height of the visceral surface over the point (0, 0): lower is a larger liver.
    right_slope, back_slope : float
        How far it rises for each mm to the left and to the back.
    left_curve : float
        How it bends up on the left, per mm: a larger value gives a shorter left lobe.
    middle_mm : float
        How far the middle hepatic vein's surface is moved to the left: larger gives a larger right liver.
    """

    cava: Part
    visceral_mm: float = VISCERAL_MM
    right_slope: float = 0.58
    back_slope: float = 0.42
    left_curve: float = LEFT_CURVE
    middle_mm: float = 0.0

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds it, mm."""
        return BOUNDS

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance to the surface of the liver, mm, negative inside."""
        left = np.maximum(x + 10.0, 0.0)
        floor = self.visceral_mm + self.right_slope * x + self.back_slope * y + self.left_curve * left * left
        floor += WAVINESS_MM * np.sin(x * (1 / 26.0) + 0.6) * np.sin(y * (1 / 30.0) + 1.0)
        steep = float(np.sqrt(1 + self.right_slope**2 + self.back_slope**2))
        outside = smooth_max(belly(x, y, z) + CAPSULE_MM, (floor - z) * (1 / steep), 18.0)
        for part, gap, rounding in PRESSED:
            outside = smooth_max(outside, gap - part.distance(x, y, z), rounding)
        return smooth_max(outside, 1.0 - self.cava.distance(x, y, z), 5.0)

    def segments(self, x: Values, y: Values, z: Values) -> npt.NDArray[np.uint8]:
        """Return the Couinaud segment, 1 to 8, of points that lie in the liver."""
        upper, behind = z > portal_z(x, y), y > right_y(x, z)
        right = np.where(behind, np.where(upper, 7, 6), np.where(upper, 8, 5))
        lateral = np.where(z > left_z(x, y), 2, 3)
        left = np.where(x > umbilical_x(y, z), lateral, 4)
        halves = np.where(x > middle_x(y, z) + self.middle_mm, left, right)
        return np.where(CAUDATE.distance(x, y, z) <= 0, 1, halves).astype(np.uint8)


def middle_x(y: Values, z: Values) -> Values:
    """Return where the middle hepatic vein's surface lies: right of it segments 5 and 8.

    Parameters
    ----------
    y, z : ndarray
        mm.

    Returns
    -------
    ndarray
        x, mm.
    """
    return np.asarray(-26.0 + 0.30 * (y - 8.0) + 0.10 * (z - 30.0) + 4.0 * np.sin((y + 40.0) * (1 / 40.0)))


def umbilical_x(y: Values, z: Values) -> Values:
    """Return where the umbilical fissure lies: left of it segments 2 and 3.

    Parameters
    ----------
    y, z : ndarray
        mm.

    Returns
    -------
    ndarray
        x, mm.
    """
    return np.asarray(1.5 - 0.12 * (y + 30.0) - 0.10 * (z - 10.0) + 2.5 * np.sin((y + z) * (1 / 35.0)))


def right_y(x: Values, z: Values) -> Values:
    """Return where the right hepatic vein's surface lies: behind it segments 6 and 7.

    Parameters
    ----------
    x, z : ndarray
        mm.

    Returns
    -------
    ndarray
        y, mm.
    """
    return np.asarray(6.0 + 0.10 * (x + 24.0) - 0.10 * (z - 40.0) + 5.0 * np.sin((x + 60.0) * (1 / 45.0)))


def portal_z(x: Values, y: Values) -> Values:
    """Return the height of the portal plane: above it segments 7 and 8, below it 6 and 5.

    Parameters
    ----------
    x, y : ndarray
        mm.

    Returns
    -------
    ndarray
        z, mm.
    """
    return np.asarray(2.0 + 0.12 * (x + 70.0) + 0.10 * y + 3.0 * np.sin(x * (1 / 30.0)))


def left_z(x: Values, y: Values) -> Values:
    """Return where the left hepatic vein's surface lies: above it segment 2, below it 3.

    Parameters
    ----------
    x, y : ndarray
        mm.

    Returns
    -------
    ndarray
        z, mm.
    """
    return np.asarray(34.0 - 0.55 * (y + 40.0) + 0.10 * (x - 30.0))

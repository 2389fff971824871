"""What lies around the liver, as layers painted one over the other.

Hounsfield units are those of a portal venous scan (clinical base 8.3: liver 100
to 120, spleen 110 to 130).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.phantom.liver_shape import GALLBLADDER, RIGHT_KIDNEY, STOMACH
from flr_volumetry.phantom.shapes import Capsule, Ellipsoid, Solid, Values, smooth_max, tube
from flr_volumetry.phantom.trunk import SKIN, WALL_INSIDE, WALL_OUTSIDE, belly, diaphragm

if TYPE_CHECKING:
    from flr_volumetry.phantom.shapes import Part

AIR, LUNG, FAT, MUSCLE, BOWEL = -1000.0, -860.0, -105.0, 58.0, 45.0
LIVER_HU, LESION_HU, LESION_RIM_HU, PORTAL_HU, HEPATIC_HU = 110.0, 64.0, 84.0, 176.0, 166.0
CAVA_HU, AORTA_HU, SPLEEN_HU = 150.0, 162.0, 122.0


@dataclass(frozen=True, slots=True)
class Layer:
    """One tissue, painted over what was painted before.

    Parameters
    ----------
    parts : tuple of Part
        Their union.
    hu : float
        Hounsfield units at the surface.
    core_hu : float or None
        Deeper than `shell_mm`; None where it is the same throughout.
    shell_mm : float
        Thickness of the surface layer.
    """

    parts: tuple[Part, ...] = field(repr=False)
    hu: float
    core_hu: float | None = None
    shell_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class Chest:
    """The lungs: inside the wall, above the diaphragm."""

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds them, mm."""
        box = WALL_INSIDE.bounds
        box[0, 2] = -40.0
        return box

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance, mm."""
        inside = smooth_max(WALL_INSIDE.distance(x, y, z), -diaphragm(x, y, z), 3.0)
        return smooth_max(inside, 4.0 - _MEDIASTINUM.distance(x, y, z), 6.0)


@dataclass(frozen=True, slots=True)
class Belly:
    """The abdominal cavity: fat, until organs are painted over it."""

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds it, mm."""
        box = WALL_INSIDE.bounds
        box[1, 2] = 110.0
        return box

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance, mm."""
        return belly(x, y, z)


HEART = Ellipsoid((30.0, -36.0, 112.0), (60.0, 44.0, 46.0), (0.0, 12.0, -18.0))
_MEDIASTINUM = Solid(
    "mediastinum",
    (
        HEART,
        Capsule((2.0, 6.0, 40.0), (2.0, 4.0, 190.0), (17.0, 20.0)),
        Ellipsoid((0.0, 44.0, 60.0), (29.0, 36.0, 260.0)),
    ),
)


@dataclass(frozen=True, slots=True)
class Fitted:
    """An organ that the wall of the cavity, and perhaps a neighbour, flattens.

    Parameters
    ----------
    part : Part
        The organ if it were free.
    neighbour : Part or None
        What it gives way to.
    """

    part: Part
    neighbour: Part | None = None

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds it, mm."""
        return self.part.bounds

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance, mm."""
        inside = smooth_max(self.part.distance(x, y, z), belly(x, y, z) + 3.0, 8.0)
        if self.neighbour is None:
            return inside
        return smooth_max(inside, 2.0 - self.neighbour.distance(x, y, z), 8.0)


@dataclass(frozen=True, slots=True)
class Table:
    """The scanner's table, a curved plate."""

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner of a box that holds it, mm."""
        return np.array([[-212.0, 100.0, -400.0], [212.0, 142.0, 400.0]])

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance, mm."""
        return np.maximum(np.abs(y - 131.0 + 0.00045 * x * x) - 5.0, np.abs(x) - 210.0)


SPLEEN = Fitted(Ellipsoid((112.0, 38.0, 26.0), (25.0, 46.0, 52.0), (-16.0, 14.0, 34.0)), STOMACH)
LEFT_KIDNEY = Ellipsoid((62.0, 40.0, -48.0), (26.0, 25.0, 54.0), (-14.0, -10.0, 0.0))
SPINE_PERIOD_MM = 33.0


def layers() -> tuple[Layer, ...]:
    """Return everything but the liver and its vessels, in painting order.

    Returns
    -------
    tuple of Layer
        From the skin inwards.
    """
    return (
        *_trunk_layers(),
        *_skeleton_layers(),
        *_retroperitoneum_layers(),
        *_bowel_layers(),
        *_organ_layers(),
    )


def _trunk_layers() -> tuple[Layer, ...]:
    muscles: list[Part] = [Ellipsoid((0.0, 62.0, -40.0), (29.0, 15.0, 330.0))]
    for side in (-1.0, 1.0):
        muscles += [
            Ellipsoid((side * 27.0, 82.0, -40.0), (24.0, 17.0, 330.0)),
            Ellipsoid((side * 34.0, 40.0, -160.0), (18.0, 20.0, 120.0), (0.0, side * -8.0, 0.0)),
            Ellipsoid((side * 66.0, 66.0, -140.0), (26.0, 12.0, 90.0), (0.0, 0.0, side * -18.0)),
            Ellipsoid((side * 30.0, -84.0, -60.0), (30.0, 6.0, 330.0), (0.0, 0.0, side * 6.0)),
            Ellipsoid((side * 9.0, 18.0, 20.0), (8.0, 9.0, 60.0), (0.0, 0.0, side * 20.0)),
        ]
    return (
        Layer((Table(),), 30.0, -900.0, 1.5),
        Layer((SKIN,), 30.0, FAT, 2.2),
        Layer((WALL_OUTSIDE,), MUSCLE),
        Layer((WALL_INSIDE,), -60.0, FAT, 2.5),
        Layer((Belly(),), MUSCLE, FAT, 3.0),
        Layer((Chest(),), MUSCLE, LUNG, 2.0),
        Layer(_lung_vessels(), 20.0),
        Layer(_MEDIASTINUM.parts[1:], FAT + 40.0),
        Layer((HEART,), FAT, 70.0, 3.0),
        Layer(
            (
                Ellipsoid((44.0, -30.0, 118.0), (34.0, 28.0, 34.0), (0.0, 12.0, -18.0)),
                Ellipsoid((2.0, -50.0, 116.0), (26.0, 24.0, 32.0)),
            ),
            150.0,
        ),
        Layer(tuple(muscles), MUSCLE),
    )


def _lung_vessels() -> tuple[Part, ...]:
    twigs: list[Part] = []
    for side, root in ((-1.0, -30.0), (1.0, 70.0)):
        for n in range(11):
            turn = 0.6 * n - 2.6
            start = (root + side * 6.0 * np.cos(turn), 10.0 + 8.0 * np.sin(turn), 150.0)
            middle = (root + side * 34.0 * abs(np.cos(turn)), 16.0 + 34.0 * np.sin(turn), 96.0)
            end = (root + side * 52.0 * abs(np.cos(turn)), 20.0 + 46.0 * np.sin(turn), 40.0)
            twigs += tube([start, middle, end], [3.2, 1.9, 0.9], step_mm=12.0)
    return tuple(twigs)


def _skeleton_layers() -> tuple[Layer, ...]:
    bodies: list[Part] = []
    discs: list[Part] = []
    processes: list[Part] = []
    for n in range(-8, 6):
        z = n * SPINE_PERIOD_MM + 8.0
        bodies.append(Ellipsoid((0.0, 28.0, z), (22.5, 17.5, 24.0)))
        discs.append(Ellipsoid((0.0, 28.0, z + SPINE_PERIOD_MM / 2), (22.0, 17.0, 5.0)))
        processes += tube([(0, 62, z), (0, 78, z - 8), (0, 96, z - 15)], [4.5, 3.0, 3.8], step_mm=12.0)
        for side in (-1.0, 1.0):
            processes += tube(
                [(side * 13, 38, z + 4), (side * 15, 52, z + 2), (side * 7, 63, z - 2), (0, 65, z - 3)],
                [5.0, 5.5, 3.6, 3.4],
                step_mm=10.0,
            )
            processes += tube([(side * 15, 52, z + 2), (side * 36, 58, z + 4)], [4.0, 2.8], step_mm=12.0)
    canal = (Ellipsoid((0.0, 51.5, -40.0), (9.0, 7.5, 400.0)),)
    ribs, cartilage = _ribs()
    return (
        Layer(tuple(processes), 420.0, 230.0, 1.6),
        Layer(tuple(bodies), 400.0, 185.0, 1.8),
        Layer(tuple(discs), 80.0),
        Layer(canal, 5.0, 38.0, 2.0),
        Layer(ribs, 520.0, 200.0, 1.6),
        Layer(cartilage, 105.0),
    )


def _ribs() -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Ribs run in the wall, from the spine down and forward; cartilage goes on towards the breastbone."""
    bone: list[Part] = []
    soft: list[Part] = [Ellipsoid((0.0, -91.0, 112.0), (9.0, 4.5, 62.0))]
    middle = [(WALL_OUTSIDE.semi_x_mm + WALL_INSIDE.semi_x_mm) / 2, 87.5, -1.0]
    for n in range(9):
        top = 176.0 - n * 30.0
        reach = 150.0 if n < 6 else 128.0 - 26.0 * (n - 6)
        for side in (-1.0, 1.0):
            turn = np.radians(np.arange(12.0, reach + 1.0, 6.0))
            squash = (np.abs(np.sin(turn)) ** 3.2 + np.abs(np.cos(turn)) ** 3.2) ** (-1 / 3.2) * 0.965
            squash = np.where(turn < np.radians(40), squash * 0.93 + 0.07 * turn / np.radians(40), squash)
            points = np.column_stack(
                [
                    side * middle[0] * np.sin(turn) * squash,
                    middle[2] + middle[1] * np.cos(turn) * squash,
                    top - 62.0 * (1 - np.cos(turn)) / 2 - 18.0 * np.sin(turn),
                ]
            )
            bone += tube(points, np.full(len(points), 4.6), step_mm=14.0)
            if n < 6:
                low = points[-1]
                front = np.array([side * (14.0 + 7.0 * n), -87.0, low[2] + 10.0 + 3.0 * n])
                between = (low + front) / 2 + np.array([0.0, -5.0, 0.0])
                soft += tube([low, between, front], [4.6, 5.0, 5.0], step_mm=10.0)
    return tuple(bone), tuple(soft)


def _retroperitoneum_layers() -> tuple[Layer, ...]:
    aorta = tube(
        [(6, 0, 190), (7, -1, 60), (5, -3, 0), (3, -3, -60), (1, -2, -230)],
        [12, 11, 10.5, 9.5, 8.5],
        step_mm=20.0,
    )
    trunk = tube([(4, -10, 12), (6, -24, 10)], [4.5, 4.0])
    mesenteric = tube([(4, -10, -4), (7, -24, -20), (10, -28, -60), (8, -30, -120)], [4.0, 3.8, 3.5, 2.5])
    lower_cava = tube([(-20, 13, -100), (-19, 14, -230)], [11, 11], step_mm=140.0)
    renal_left = tube([(-14, 4, -50), (6, -14, -48), (34, 10, -46), (52, 30, -46)], [5.0, 4.6, 4.6, 5.0])
    renal_right = tube([(-24, 10, -62), (-46, 26, -64)], [5.0, 5.0])
    adrenals = (
        *tube([(-34, 24, 4), (-40, 34, 2), (-42, 44, -4)], [2.4, 2.2, 1.8]),
        *tube([(34, 16, 2), (42, 26, 0), (38, 38, -6)], [2.6, 2.2, 1.8]),
        *tube([(42, 26, 0), (50, 34, -4)], [2.2, 1.8]),
    )
    kidneys = (RIGHT_KIDNEY, LEFT_KIDNEY)
    sinus = (
        Ellipsoid((-53.0, 34.0, -70.0), (13.0, 8.0, 26.0), (-14.0, 10.0, 0.0)),
        Ellipsoid((51.0, 36.0, -48.0), (13.0, 8.0, 26.0), (-14.0, -10.0, 0.0)),
    )
    pelvis = (
        Ellipsoid((-46.0, 32.0, -74.0), (9.0, 4.0, 10.0)),
        Ellipsoid((44.0, 34.0, -52.0), (9.0, 4.0, 10.0)),
    )
    return (
        Layer((*aorta, *trunk, *mesenteric), AORTA_HU),
        Layer(adrenals, 80.0),
        Layer(kidneys, 195.0, 158.0, 7.0),
        Layer(sinus, -70.0),
        Layer(pelvis, 60.0),
        Layer((*lower_cava, *renal_left, *renal_right), CAVA_HU),
    )


def _bowel_layers() -> tuple[Layer, ...]:
    loops: list[Part] = []
    for n in range(54):
        turn, far = 2.399963 * n, 8.0 + 10.5 * np.sqrt(n)
        height = -78.0 - 5.5 * ((7 * n) % 15)
        x, y = 22.0 + 1.05 * far * np.cos(turn), -34.0 + 0.55 * far * np.sin(turn)
        if y < 26.0 and (x > -20.0 or height < -110.0):
            loops.append(
                Ellipsoid((x, y, height), (19.0, 12.0, 11.0), (25.0 * (n % 3), 12.0 * (n % 2), 47.0 * n))
            )
    colon = (
        *tube(
            [(-104, 24, -240), (-106, 22, -150), (-98, 6, -98), (-84, -34, -102)],
            [20, 21, 20, 18],
            step_mm=16.0,
        ),
        *tube(
            [(-84, -34, -102), (-40, -62, -112), (10, -66, -116), (60, -60, -96)],
            [18, 16, 16, 15],
            step_mm=16.0,
        ),
        *tube(
            [(60, -60, -96), (96, -24, -40), (108, 4, -34), (104, 32, -90), (104, 34, -240)],
            [15, 15, 15, 13, 13],
            step_mm=16.0,
        ),
    )
    gas: list[Part] = []
    for piece in colon[2:-8:2]:
        x, y, z = piece.start
        gas.append(Ellipsoid((x, y - 5.0, z), (9.0, 6.0, 9.0)))
    duodenum = (
        *tube([(-10, -36, -46), (-34, -26, -46), (-42, -8, -66), (-38, -4, -100)], [11, 12, 12, 11]),
        *tube([(-38, -4, -100), (-6, -14, -108), (24, -12, -92)], [11, 11, 11]),
    )
    pancreas = (
        *tube(
            [(-28, -18, -72), (-16, -22, -52), (8, -30, -34), (36, -18, -22), (66, 14, -8), (84, 26, 4)],
            [14, 12, 9, 8.5, 9, 6],
        ),
    )
    splenic = tube([(4, -12, -42), (28, -12, -24), (58, 18, -8), (88, 30, 10)], [4.6, 4.4, 4.2, 4.0])
    mesenteric = tube([(5, -6, -58), (0, -22, -84), (-2, -30, -150)], [6.5, 6.0, 4.5])
    return (
        Layer(tuple(loops), 62.0, 22.0, 3.0),
        Layer(colon, 55.0, 18.0, 2.5),
        Layer(tuple(gas), -880.0),
        Layer(pancreas, 96.0),
        Layer(duodenum, 64.0, 20.0, 3.0),
        Layer((*splenic, *mesenteric), PORTAL_HU),
    )


def _organ_layers() -> tuple[Layer, ...]:
    oesophagus = tube([(6, -16, 190), (9, -15, 80), (20, -8, 56), (52, 0, 44)], [8, 8, 8, 9], step_mm=12.0)
    bubble = (
        Ellipsoid((70.0, -26.0, 16.0), (20.0, 9.0, 26.0)),
        Ellipsoid((58.0, -48.0, -28.0), (16.0, 8.0, 20.0)),
    )
    return (
        Layer(oesophagus, 50.0),
        Layer(tuple(Fitted(part) for part in STOMACH.parts), 72.0, 18.0, 3.5),
        Layer(bubble, -900.0),
        Layer((SPLEEN,), SPLEEN_HU),
        Layer(GALLBLADDER.parts, 48.0, 8.0, 1.8),
    )

"""Vessel trees with known centrelines, radii and forks, drawn on any grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Grid
from flr_volumetry.liver import Liver, Vessel
from tests.grids import ball, centres, grid_around
from tests.livers import CENTRE

RADIUS_MM = 60.0


@dataclass(frozen=True)
class Tube:
    """A straight vessel with round ends: from, to (mm from the liver's centre), radius, its parent."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float
    parent: int = -1

    @property
    def length(self):
        return float(np.linalg.norm(np.subtract(self.end, self.start)))


# Trunk, right, left, right anterior, right posterior: as a portal vein lies, LPS.
PORTAL = (
    Tube((10, 15, -70), (0, 0, -8), 6.0),
    Tube((0, 0, -8), (-20, 0, -4), 4.5, 0),
    Tube((0, 0, -8), (34, -22, 4), 4.0, 0),
    Tube((-20, 0, -4), (-32, -32, 10), 3.5, 1),
    Tube((-20, 0, -4), (-35, 30, 2), 3.0, 1),
)
Y = (
    Tube((5, 10, -70), (0, 0, -12), 5.5),
    Tube((0, 0, -12), (-42, -4, 6), 4.0, 0),
    Tube((0, 0, -12), (36, -8, 10), 3.5, 0),
)
# Right, middle, left hepatic vein and, lower down, an inferior right one; the vena cava behind them.
CAVA = Tube((0, 34, 64), (0, 34, -64), 10.0)
HEPATIC = (
    CAVA,
    Tube((0, 34, 40), (-44, 14, -6), 4.5, 0),
    Tube((0, 34, 40), (-14, -34, 0), 4.0, 0),
    Tube((0, 34, 40), (34, -16, 16), 4.0, 0),
)


def smaller(tubes, share):
    """The same tree on a smaller scale."""
    return tuple(
        replace(
            t,
            start=tuple(share * v for v in t.start),
            end=tuple(share * v for v in t.end),
            radius=share * t.radius,
        )
        for t in tubes
    )


def away_from(point, start, end):
    """How far voxel centres lie from a line, mm, and how far along it their feet are, 0 to 1."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
    return np.linalg.norm(point - start - along[..., None] * (end - start), axis=-1), along


def drawn(grid, tubes, *, rough_mm=0.0, seed=0):
    """Voxels inside any of the tubes; walls that stand out and in at random by up to so much."""
    points = centres(grid) - CENTRE
    noise = np.random.default_rng(seed).uniform(-rough_mm, rough_mm, grid.shape) if rough_mm else 0.0
    inside = np.zeros(grid.shape, dtype=bool)
    for tube in tubes:
        inside |= away_from(points, tube.start, tube.end)[0] <= tube.radius + noise
    return inside


def liver_grid(name, *, scale=1.5, radius_mm=RADIUS_MM):
    return grid_around(name, CENTRE, radius_mm + 12, scale=scale)


def spaced(step_mm, radius_mm=RADIUS_MM):
    """Upright grid with these steps."""
    half = np.ceil((radius_mm + 12) / np.asarray(step_mm)).astype(int)
    affine = np.diag([*step_mm, 1.0])
    affine[:3, 3] = CENTRE - np.asarray(step_mm) * half
    return Grid(tuple(int(n) for n in 2 * half + 1), affine)


def liver_with(grid, *vessels, radius_mm=RADIUS_MM):
    """Ball as a liver, with vessels: (structure, voxels) each."""
    found = tuple(Vessel(s, v, np.count_nonzero(v) * grid.voxel_ml) for s, v in vessels)
    return Liver(grid, ball(grid, CENTRE, radius_mm), grid, (0, 0, 0), vessels=found)


def portal_liver(grid, tubes=PORTAL, *, radius_mm=RADIUS_MM, **more):
    return liver_with(grid, (Structure.PORTAL_VEIN, drawn(grid, tubes, **more)), radius_mm=radius_mm)


def own_ml(territories, liver):
    """What each branch feeds by itself, mL, by number; 0 stands for no branch."""
    count = np.bincount(territories.labels[liver.voxels], minlength=len(territories.branches) + 1)
    return count * liver.grid.voxel_ml

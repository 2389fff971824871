"""Distances of lesions from the large part of vessels, against solids, on five grids."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.liver import Lesion, Liver, Vessel
from flr_volumetry.volumetry.near_vessels import near_vessels
from flr_volumetry.volumetry.nearby import neighbours
from tests.grids import STEPS, centres, grid_around


def scene(name, *, radius_mm, gap_mm=12.0, scale=1.0, structure=Structure.PORTAL_VEIN):
    """Return a ball of 6 mm at a distance from a straight vessel that runs along a skew direction."""
    grid, ball_mm = grid_around(name, (0, 0, 0), 32.0, scale=scale), 6.0
    points = centres(grid)
    along = np.array([1.0, 2.0, 2.0]) / 3
    across = np.array([2.0, 1.0, -2.0]) / 3
    vessel = np.linalg.norm(points - (points @ along)[..., None] * along, axis=-1) <= radius_mm
    centre = across * (radius_mm + gap_mm + ball_mm)
    ball = np.linalg.norm(points - centre, axis=-1) <= ball_mm
    corner = np.argwhere(ball).min(axis=0)
    box = tuple(slice(a, b + 1) for a, b in zip(corner, np.argwhere(ball).max(axis=0), strict=True))
    lesion = Lesion(1, "ball", tuple(int(n) for n in corner), ball[box].copy(), 1.0)
    whole = np.ones(grid.shape, dtype=bool)
    return Liver(grid, whole, grid, (0, 0, 0), (lesion,), None, (Vessel(structure, vessel, 1.0),))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("gap_mm", [0.0, 3.0, 12.0])
def test_distance_of_a_ball_from_a_wide_vessel(name, gap_mm):
    """A ball 12 mm wide beside a tube 8 mm wide: the gap between their surfaces, as it is told elsewhere."""
    liver = scene(name, radius_mm=4.0, gap_mm=gap_mm)
    (near,) = near_vessels(liver)

    assert (near.lesion, near.structure) == (1, Structure.PORTAL_VEIN)
    assert near.distance_mm == pytest.approx(gap_mm, abs=0.35 * max(liver.grid.spacing_mm))
    (beside,) = neighbours(liver)[0].found
    assert near.distance_mm == pytest.approx(beside.mm, abs=0.1)


def test_a_narrow_vessel_does_not_carry_heat_away():
    """A tube of 1.6 mm is no large vessel; one of 5 mm is; a gallbladder never."""
    assert near_vessels(scene("flipped", radius_mm=0.8, scale=0.5)) == ()
    assert len(near_vessels(scene("flipped", radius_mm=2.5, scale=0.5))) == 1
    assert near_vessels(scene("flipped", radius_mm=2.5, structure=Structure.GALLBLADDER)) == ()

"""Distances from lesions to vessels and to borders of segments, against balls, tubes and planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.liver import Vessel
from flr_volumetry.volumetry.nearby import neighbours
from tests.grids import STEPS, centres
from tests.livers import CENTRE, ball_liver

LESION = ((-20.0, 14.0, 9.0), 7.0)
"""In octant 8; its surface is 13 mm from x = 0, 7 mm from y = 0, and 2 mm from z = 0."""
OFF_AXIS_MM = 21.0


def with_tube(liver, radius_mm=3.0):
    """A portal vein along z, 21 mm in front of the lesion's middle."""
    away = (centres(liver.grid) - CENTRE - LESION[0])[..., :2] - (0, -OFF_AXIS_MM)
    tube = (np.linalg.norm(away, axis=-1) <= radius_mm) & liver.voxels
    return replace(liver, vessels=(Vessel(Structure.PORTAL_VEIN, tube, 1.0),))


@pytest.mark.parametrize("name", STEPS)
def test_distances_are_those_of_the_solids(name):
    """A ball of 7 mm beside planes and a tube: within 0.3 steps of what geometry says."""
    liver = with_tube(ball_liver(name, lesions=[LESION], segments=True, scale=0.8))
    step = max(liver.grid.spacing_mm)
    ((found),) = neighbours(liver)
    mm = {n.structure or n.segment: n.mm for n in found.found}
    assert found.lesion == 1
    assert set(mm) == {Structure.PORTAL_VEIN, 1, 2, 3, 4, 5, 6, 7}
    assert mm[Structure.PORTAL_VEIN] == pytest.approx(OFF_AXIS_MM - 7 - 3, abs=0.3 * step)
    # A voxel's octant is that of its centre, so that a plane lies anywhere within a step.
    for segment, true in ((4, 13.0), (7, 7.0), (6, 2.0)):
        assert mm[segment] == pytest.approx(true, abs=0.75 * step)
    assert mm[5] == pytest.approx(np.hypot(14, 9) - 7, abs=step)


def test_what_meets_the_lesion_is_at_0_and_what_is_far_has_no_distance():
    liver = ball_liver("axial", lesions=[((0.0, 24.0, 24.0), 6.0)], segments=True, scale=1.2)
    (found,) = neighbours(liver)
    mm = {n.segment: n.mm for n in found.found}
    # It lies in 4 and 8 alike; the main one of them has no entry.
    assert len({4, 8} & set(mm)) == 1
    assert mm[({4, 8} & set(mm)).pop()] == 0
    assert mm[1] is None
    assert mm[5] is None
    assert mm[2] == pytest.approx(18.0, abs=1.5)


def test_without_vessels_and_segments_nothing_is_beside():
    liver = ball_liver("axial", lesions=[LESION], scale=2.0)
    assert [n.found for n in neighbours(liver)] == [()]
    empty = Vessel(Structure.HEPATIC_VEINS, np.zeros(liver.grid.shape, dtype=bool), 0.0)
    assert [n.found for n in neighbours(replace(liver, vessels=(empty,)))] == [()]
    assert neighbours(ball_liver("axial", scale=2.0)) == ()

"""The area of the cut, against discs, balls and boxes."""

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.errors import GridError
from flr_volumetry.images import Mask
from flr_volumetry.resection import (
    Ablation,
    Combine,
    Plane,
    PlaneResection,
    RemnantResection,
    ResectionPlan,
    SegmentResection,
    Stage,
    WedgeResection,
    cut_surface,
    lesion_surface,
    resect,
)
from tests.grids import STEPS, centres
from tests.resection.solids import ellipsoid, grid_of, liver_of, middle_of, one_stage, unit

LIVER_MM = 26.0


def liver_with(name, lesions=()):
    """A ball at steps of 1 mm, and its middle."""
    grid = grid_of(name, LIVER_MM + 1)
    middle = middle_of(grid) + grid.affine[:3, :3] @ np.array([0.3, 0.15, -0.2])
    masks = [ellipsoid(grid, middle + np.asarray(offset), r) for offset, r in lesions]
    return liver_of(grid, ellipsoid(grid, middle, LIVER_MM), masks), middle


def areas(liver, *resections):
    """Of all pieces, mm2."""
    return [found.mm2 for found in cut_surface(liver, resect(liver, one_stage(*resections)))]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("normal", [(0, 0, 1.0), (1.0, 0.2, -0.1), (1.0, -1.0, 1.0), (0.3, 0.8, 0.5)])
@pytest.mark.parametrize("distance", [-9.3, 4.15])
def test_a_plane_through_a_ball_cuts_a_disc(name, normal, distance):
    """Whatever its direction, to 2 % at steps of 1 mm: along the grid the rim counts in whole voxels."""
    liver, middle = liver_with(name)
    plane = Plane(middle + distance * unit(normal), normal)

    assert areas(liver, PlaneResection((plane,))) == pytest.approx(
        [np.pi * (LIVER_MM**2 - distance**2)], rel=0.02
    )


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", [WedgeResection, Ablation])
def test_a_wedge_is_cut_out_along_a_ball(name, kind):
    """Of the radius of the lesion and the margin together, to 3 %."""
    liver, _ = liver_with(name, [((1.0, -2.0, 2.0), 7.0)])

    assert areas(liver, kind((1,), 6.0)) == pytest.approx([4 * np.pi * 13.0**2], rel=0.03)


@pytest.mark.parametrize("name", STEPS)
def test_the_border_of_an_imported_remnant_is_measured_from_its_voxels(name):
    """A ball of 14 mm goes; the normals come from the faces alone: to 1.5 %."""
    liver, middle = liver_with(name)
    stays = Mask(liver.grid, ~ellipsoid(liver.grid, middle + (0.4, 0.1, 0.3), 14.0))

    assert areas(liver, RemnantResection(stays)) == pytest.approx([4 * np.pi * 14.0**2], rel=0.015)


@pytest.mark.parametrize("name", STEPS)
def test_the_border_of_a_segment_is_measured_from_its_voxels(name):
    """An oblique half: to 3 %, the rim being lost in part."""
    liver, middle = liver_with(name)
    side = (centres(liver.grid) - middle) @ unit((1.0, 0.6, 0.3)) > 3.0
    liver = replace(liver, segments=(np.where(side, 5, 2) * liver.voxels).astype(np.uint8))

    found = areas(liver, SegmentResection(frozenset({5})))

    assert found == pytest.approx([np.pi * (LIVER_MM**2 - 3.0**2)], rel=0.03)


def test_two_planes_share_the_cut_between_them():
    """A quarter of a ball: two half discs; what lies beyond any of two planes leaves the same edge."""
    liver, middle = liver_with("oblique")
    planes = (Plane(middle, (1.0, 0.1, 0)), Plane(middle, (-0.1, 1.0, 0)))

    both = areas(liver, PlaneResection(planes))
    either = areas(liver, PlaneResection(planes, Combine.ANY))

    assert both == pytest.approx([np.pi * LIVER_MM**2], rel=0.01)
    assert either == pytest.approx([np.pi * LIVER_MM**2], rel=0.01)


def test_each_piece_has_the_part_of_the_cut_that_bounds_what_stays_at_the_end():
    """Stage two takes what stage one was cut from: nothing of that cut is left but the ring around it."""
    liver, middle = liver_with("axial", [((0.0, 0.0, 12.0), 5.0)])
    low, high = (Plane(middle + (0, 0, z), (0.05, 0.02, 1.0)) for z in (-4.0, 8.0))
    plan = ResectionPlan((Stage("one", (PlaneResection((high,)),)), Stage("two", (PlaneResection((low,)),))))

    first, second = cut_surface(liver, resect(liver, plan))

    assert (first.label, second.label) == (2, 3)
    assert first.mm2 == 0
    assert second.mm2 == pytest.approx(np.pi * (LIVER_MM**2 - 4.0**2), rel=0.01)


def test_a_lesions_surface_at_hand_gives_the_same():
    """Found sooner, and to the bit."""
    liver, _ = liver_with("gantry tilt", [((1.0, -2.0, 2.0), 6.0)])
    partition = resect(liver, one_stage(WedgeResection((1,), 4.0)))
    at_hand = {1: lesion_surface(liver.lesions[0], liver.grid)}

    assert cut_surface(liver, partition) == cut_surface(liver, partition, surfaces=at_hand)


def test_a_partition_of_another_liver_is_refused():
    """Before anything is measured."""
    liver, middle = liver_with("axial")
    other, _ = liver_with("oblique")
    partition = resect(liver, one_stage(PlaneResection((Plane(middle, (1.0, 0, 0)),))))
    with pytest.raises(GridError, match="another liver"):
        cut_surface(other, partition)

"""Comparison of masks against textbook solids, on five grids."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import GridError, SegmentationError
from flr_volumetry.images import Grid, Mask
from flr_volumetry.segmentation.metrics import compare, score_lesions, surface_samples
from tests.grids import STEPS, ball, grid_around

CENTRE = np.array([17.0, -40.0, 120.0])


def mask(grid, *balls):
    voxels = np.zeros(grid.shape, dtype=bool)
    for centre, radius in balls:
        voxels |= ball(grid, centre, radius)
    return Mask(grid, voxels)


@pytest.mark.parametrize("name", STEPS)
def test_concentric_balls_differ_by_their_radii(name):
    """Dice 2 r^3 / (r^3 + R^3), distance R - r, volume error (r / R)^3 - 1."""
    grid = grid_around(name, CENTRE, 36)
    found = compare("x", mask(grid, (CENTRE, 28)), mask(grid, (CENTRE, 32)))

    assert found.dice == pytest.approx(2 * 28**3 / (28**3 + 32**3), abs=0.004)
    assert found.mean_mm == pytest.approx(3.8, abs=0.25)
    assert found.hausdorff_95_mm == pytest.approx(4.5, abs=0.7)
    assert found.surface_dice_1mm == 0
    assert found.surface_dice_3mm < 0.15
    assert found.volume_error == pytest.approx((28 / 32) ** 3 - 1, abs=0.005)
    assert compare("x", mask(grid, (CENTRE, 32)), mask(grid, (CENTRE, 28))).volume_error > 0


@pytest.mark.parametrize("name", STEPS)
def test_a_mask_agrees_with_itself_and_distance_goes_both_ways(name):
    grid = grid_around(name, CENTRE, 30)
    one, other = mask(grid, (CENTRE, 20)), mask(grid, (CENTRE + [5, 0, 0], 22))

    same = compare("x", one, one)
    assert (same.dice, same.surface_dice_1mm, same.mean_mm, same.hausdorff_95_mm) == (1, 1, 0, 0)
    there, back = compare("x", one, other), compare("x", other, one)
    assert there.mean_mm == pytest.approx(back.mean_mm)
    assert there.hausdorff_95_mm == pytest.approx(back.hausdorff_95_mm)
    assert there.surface_dice_3mm == pytest.approx(back.surface_dice_3mm)


def test_the_95_percent_distance_leaves_out_the_farthest_twentieth():
    """A ball of a hundredth of the surface, 24 mm off, is none of it; one of a quarter is."""
    grid = grid_around("axial", CENTRE, 60)
    whole = (CENTRE, 30)
    away = CENTRE + [0, 50, 0]
    small = compare("x", mask(grid, whole, (away, 3.5)), mask(grid, whole))
    large = compare("x", mask(grid, whole, (away, 15)), mask(grid, whole))
    assert small.hausdorff_95_mm == 0
    assert large.hausdorff_95_mm > 20


def test_slabs_moved_along_are_exact():
    """The faces of a slab of 40 mm are moved by 2 mm; its long sides lie where they lay."""
    grid = Grid((60, 30, 30), np.diag([1.0, 4.0, 4.0, 1.0]))
    one, other = np.zeros(grid.shape, dtype=bool), np.zeros(grid.shape, dtype=bool)
    one[10:50], other[12:52] = True, True
    found = compare("x", Mask(grid, one), Mask(grid, other))

    assert found.dice == pytest.approx(2 * 38 / 80)
    assert found.hausdorff_95_mm == pytest.approx(2, abs=0.01)
    assert found.volume_error == 0


@pytest.mark.parametrize("name", STEPS)
def test_the_surface_of_a_ball_is_about_as_large_as_the_textbook_says(name):
    """Marching cubes of a yes-or-no mask is rough: up to a fifth more than 4 pi r^2."""
    grid = grid_around(name, CENTRE, 30)
    surface = surface_samples(ball(grid, CENTRE, 25), grid)

    assert surface.area_mm2.sum() == pytest.approx(4 * np.pi * 25**2, rel=0.2)
    assert np.average(surface.points_mm, axis=0, weights=surface.area_mm2) == pytest.approx(CENTRE, abs=0.3)
    assert np.linalg.norm(surface.corners_mm - CENTRE, axis=1).mean() == pytest.approx(25, abs=0.6)


def test_lesions_found_missed_and_invented():
    """One found, one missed, one touched by too little, one false finding."""
    grid = grid_around("axial", CENTRE, 60)
    at = [CENTRE + offset for offset in ([-30, 0, 0], [30, 0, 0], [0, 30, 0], [0, -30, 0])]
    truth = [mask(grid, (at[0], 8)), mask(grid, (at[1], 8)), mask(grid, (at[2], 8))]
    guess = [mask(grid, (at[0], 8)), mask(grid, (at[2] + [9.0, 0, 0], 3)), mask(grid, (at[3], 6))]
    score = score_lesions(guess, truth)

    assert (score.reference, score.found, score.false) == (3, 1, 1)
    assert sorted(d > 0.99 for d in score.dices) == [False, False, True]
    assert score.sensitivity == pytest.approx(1 / 3)


def test_one_lesion_in_two_masks_is_one():
    grid = grid_around("axial", CENTRE, 30)
    halves = mask(grid, (CENTRE, 10)).voxels
    left = halves.copy()
    left[: grid.shape[0] // 2] = False
    parts = [Mask(grid, left), Mask(grid, halves & ~left)]
    assert score_lesions([Mask(grid, halves)], parts).reference == 1
    assert score_lesions([], parts).false == 0
    assert score_lesions(parts, []).false == 1


def test_what_cannot_be_compared_is_refused():
    grid, other = grid_around("axial", CENTRE, 20), grid_around("oblique", CENTRE, 20)
    full, empty = mask(grid, (CENTRE, 10)), Mask(grid, np.zeros(grid.shape, dtype=bool))
    with pytest.raises(GridError):
        compare("x", full, mask(other, (CENTRE, 10)))
    for pair in ((full, empty), (empty, full)):
        with pytest.raises(SegmentationError, match="empty"):
            compare("x", *pair)
    with pytest.raises(SegmentationError):
        score_lesions([], [])

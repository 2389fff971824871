"""A phantom that grows on one side of a plane and shrinks on the other: every volume by its factor."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import GridError
from flr_volumetry.phantom import Growth, PhantomSpec, Warp, phantom_of
from flr_volumetry.phantom.shapes import rotation

GROWTH = Growth((-20.0, -10.0, 10.0), (1.0, -0.3, -0.1), 1.35, 0.82)


def sides(phantom, back, step=4.0):
    """Voxels of the liver on either side of the plane, mL, and the tumours."""
    grid = phantom.default_grid((step, step, step))
    masks = phantom.structures(grid)
    points = back(grid.centres_mm(np.argwhere(masks.liver.voxels)))
    beyond = (points - GROWTH.point_mm) @ np.asarray(GROWTH.normal) > 0
    ml = grid.voxel_ml
    return beyond.sum() * ml, (~beyond).sum() * ml, [m.ml for m in masks.lesions]


def test_both_sides_change_by_their_factor_wherever_the_patient_lies():
    """Voxels counted on both sides of the plane, before and after, turned and moved."""
    phantom = phantom_of(PhantomSpec())
    turn, shift = rotation((8.0, -5.0, 12.0)), np.array([20.0, -30.0, 45.0])
    after = phantom.grown(GROWTH).placed(turn, shift)
    beyond, before, tumours = sides(phantom, lambda x: x)
    more, less, tumours_after = sides(after, lambda x: (x - shift) @ turn)

    assert more / beyond == pytest.approx(1.35, rel=0.01)
    assert less / before == pytest.approx(0.82, rel=0.01)
    factors = [b / a for a, b in zip(tumours, tumours_after, strict=True)]
    assert factors == pytest.approx([0.82, 0.82, 1.35], rel=0.06)


def test_growth_undone_is_where_it_was():
    """`undone` takes back what `done` did."""
    points = np.random.default_rng(3).uniform(-100, 100, (50, 3))
    there = GROWTH.done(points)
    back = np.stack(GROWTH.undone(*there.T), axis=-1)

    assert back == pytest.approx(points, abs=1e-9)
    assert np.abs(there - points).max() > 10


def test_boxes_hold_what_grew():
    """No grown point of a box lies outside the box that `reach` gives."""
    warp = Warp(growth=GROWTH)
    low, high = np.array([-140.0, -90.0, -100.0]), np.array([110.0, 80.0, 95.0])
    points = GROWTH.done(np.random.default_rng(4).uniform(low, high, (500, 3)))
    least, most = warp.reach(low, high)

    assert (points >= least - 1e-9).all()
    assert (points <= most + 1e-9).all()


@pytest.mark.parametrize(
    ("growth", "said"),
    [
        (lambda: Growth((0, 0, 0), (0, 0, 0)), "a normal of some length"),
        (lambda: Growth((0, 0, 0), (1, 0, 0), beyond=2.5), "must lie between"),
        (lambda: Growth((0, 0, 0), (1, 0, 0), before=0.4), "must lie between"),
        (lambda: phantom_of(PhantomSpec()).grown(GROWTH).grown(GROWTH), "has grown already"),
    ],
)
def test_impossible_growth_is_refused(growth, said):
    with pytest.raises(GridError, match=said):
        growth()

"""Margins and diameters, against geometry and against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.liver import Lesion
from flr_volumetry.resection import (
    Ablation,
    Plane,
    PlaneResection,
    ResectionPlan,
    Stage,
    WedgeResection,
    longest_diameter_mm,
    margins,
    resect,
)
from tests.grids import STEPS, grid_around
from tests.livers import CENTRE, ball_liver

LESIONS = (((-25.0, 10.0, 5.0), 9.0), ((20.0, -15.0, -8.0), 6.0), ((5.0, 5.0, 30.0), 5.0))


def one_stage(*resections):
    return ResectionPlan((Stage("one", resections),))


def points_of(lesion, grid):
    return grid.centres_mm(np.argwhere(lesion.voxels) + np.asarray(lesion.start))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("gap_mm", [3.0, 12.0])
def test_the_margin_to_a_plane_is_the_gap_to_within_a_voxel(name, gap_mm):
    """A ball 9 mm in radius beyond a plane: its margin is its distance from the plane, never less."""
    liver = ball_liver(name, lesions=LESIONS[:1])
    normal = np.array([-2.0, 0.5, 1.0]) / np.linalg.norm([-2.0, 0.5, 1.0])
    plane = Plane(CENTRE + np.asarray(LESIONS[0][0]) - (9.0 + gap_mm) * normal, normal)

    (found,) = margins(liver, resect(liver, one_stage(PlaneResection((plane,)))))

    assert gap_mm - 1e-6 <= found.margin_mm <= gap_mm + max(liver.grid.spacing_mm)
    assert found.remaining == 0
    assert found.cleared_in_stage == 1


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(list(STEPS)),
    distance=st.floats(-20, 20),
    seed=st.integers(0, 1000),
    margin=st.floats(0, 12),
)
def test_margins_are_those_of_brute_force(name, distance, seed, margin):
    """Every pair of a lesion voxel and a remnant voxel, on every grid."""
    liver = ball_liver(name, lesions=LESIONS, scale=2.5)
    normal = np.random.default_rng(seed).normal(size=3)
    plane = Plane(CENTRE + distance * normal / np.linalg.norm(normal), normal)
    partition = (
        resect(liver, one_stage(PlaneResection((plane,)), Ablation((1, 2, 3), margin)))
        if (_keeps_a_lesion(liver, plane))
        else resect(liver, one_stage(PlaneResection((plane,))))
    )
    remnant = liver.grid.centres_mm(np.argwhere(partition.remnant.voxels))

    for lesion, found in zip(liver.lesions, margins(liver, partition), strict=True):
        points = points_of(lesion, liver.grid)
        distances = np.array([np.linalg.norm(remnant - p, axis=1).min() for p in points])
        assert found.margin_mm == pytest.approx(distances.min(), abs=1e-9)
        assert found.remaining == np.count_nonzero(distances == 0)
        if found.remaining == 0:
            nearest = np.linalg.norm(remnant - found.closest_mm, axis=1).min()
            assert nearest == pytest.approx(found.margin_mm, abs=1e-9)


def _keeps_a_lesion(liver, plane):
    return any(
        ((points_of(lesion, liver.grid) - plane.point_mm) @ plane.normal <= 0).any()
        for lesion in liver.lesions
    )


def test_the_stage_that_clears_a_lesion_is_named():
    """The wedge clears lesion 2 in stage one, the plane lesion 1 in stage two; lesion 3 stays."""
    liver = ball_liver("axial", lesions=LESIONS)
    plane = Plane(CENTRE + np.array([-10.0, 0, 0]), (-1.0, 0, 0))
    plan = ResectionPlan(
        (Stage("one", (WedgeResection((2,), 4.0),)), Stage("two", (PlaneResection((plane,)),)))
    )

    found = margins(liver, resect(liver, plan))

    assert [m.cleared_in_stage for m in found] == [2, 1, 0]
    assert found[1].margin_mm > 4.0
    assert found[2].margin_mm == 0
    assert found[2].closest_mm is None
    assert found[2].remaining == np.count_nonzero(liver.lesions[2].voxels)


def test_without_lesions_there_are_no_margins():
    """Nothing to measure is an empty answer, not an error."""
    liver = ball_liver("axial")
    plane = Plane(CENTRE, (1.0, 0, 0))
    assert margins(liver, resect(liver, one_stage(PlaneResection((plane,))))) == ()


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(STEPS)),
    points=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)),
        min_size=1,
        max_size=40,
        unique=True,
    ),
    flat=st.sampled_from([None, 0, 1, 2]),
)
def test_the_longest_diameter_is_that_of_brute_force(name, points, flat):
    """Largest distance over all pairs of voxels, also for flat and single-voxel lesions."""
    voxels = np.zeros((7, 7, 7), dtype=bool)
    for point in points:
        index = list(point)
        if flat is not None:
            index[flat] = 3
        voxels[tuple(index)] = True
    grid = grid_around(name, CENTRE, 30)
    lesion = Lesion(1, "", (2, 3, 4), voxels, 0.0)
    centres = grid.centres_mm(np.argwhere(voxels) + (2, 3, 4))
    expected = max(np.linalg.norm(centres - c, axis=1).max() for c in centres)

    assert longest_diameter_mm(lesion, grid) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", STEPS)
def test_the_diameter_of_a_ball_is_twice_its_radius_to_within_a_voxel(name):
    """Centres lie inside the surface, so it is never too long."""
    liver = ball_liver(name, lesions=[((0, 0, 0), 15.0)])
    found = longest_diameter_mm(liver.lesions[0], liver.grid)
    assert 30 - max(liver.grid.spacing_mm) <= found <= 30 + 1e-9

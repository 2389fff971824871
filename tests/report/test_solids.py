"""Surfaces of masks: closed, seen from outside, of the masks' own volume, on any grid."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import OutputError
from flr_volumetry.report.solids import Solid, is_closed, solid_of
from tests.grids import STEPS, ball, grid_around

CENTRE = np.array([17.0, -40.0, 120.0])
RADIUS_MM = 30.0
TETRAHEDRON = Solid(
    np.array([[0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]]),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("most", [None, 1500])
def test_a_ball_has_its_voxels_volume_and_its_own_area(name, most):
    """Closed, outward, to 0.1 % of what the voxels hold, area of a sphere to 3 %, radius to half a voxel."""
    grid = grid_around(name, CENTRE, RADIUS_MM + 2)
    voxels = ball(grid, CENTRE, RADIUS_MM)

    solid = solid_of(voxels, grid, most_triangles=most)

    assert is_closed(solid)
    assert solid.ml == pytest.approx(np.count_nonzero(voxels) * grid.voxel_ml, rel=1.1e-3)
    assert solid.area_mm2 == pytest.approx(4 * np.pi * RADIUS_MM**2, rel=0.03)
    away = solid.vertices_mm - CENTRE
    assert np.abs(np.linalg.norm(away, axis=1) - RADIUS_MM).max() < 1.3
    outward = np.einsum("ij,ij->i", solid.normals, away) / np.linalg.norm(away, axis=1)
    assert np.median(outward) > 0.97
    if most is not None:
        assert len(solid.triangles) <= most < len(solid_of(voxels, grid).triangles)


def test_a_box_of_a_grid_lies_where_the_box_begins():
    """The same ball in its own box is the same surface."""
    grid = grid_around("oblique", CENTRE, 12)
    voxels = ball(grid, CENTRE, 10)
    start = (3, 2, 1)
    part = voxels[3:-2, 2:-1, 1:-1]

    whole, boxed = solid_of(voxels, grid), solid_of(part, grid, start=start)

    assert np.allclose(whole.vertices_mm.mean(axis=0), boxed.vertices_mm.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 1), (1, 9, 1), (3, 3, 3)])
def test_the_smallest_masks_have_a_surface_too(size):
    """A voxel, a pair, a line: closed, and of their volume to 2 %."""
    grid = grid_around("axial", CENTRE, 10)
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[5 : 5 + size[0], 6 : 6 + size[1], 4 : 4 + size[2]] = True

    solid = solid_of(voxels, grid)

    assert is_closed(solid)
    assert solid.ml == pytest.approx(np.prod(size) * grid.voxel_ml, rel=0.02)


def test_two_parts_and_a_hole_stay_what_they_are():
    """A shell and a ball beside it hold their voxels' volume: the hole is not filled."""
    grid = grid_around("axial", CENTRE, 40, scale=1.5)
    shell = ball(grid, CENTRE, 20) & ~ball(grid, CENTRE, 12)
    both = shell | ball(grid, CENTRE + [0, 30, 0], 8)

    solid = solid_of(both, grid)

    assert is_closed(solid)
    assert solid.ml == pytest.approx(np.count_nonzero(both) * grid.voxel_ml, rel=1.1e-3)


def test_volume_and_area_are_those_of_a_textbook_solid():
    """A tetrahedron of 30, 20 and 10 mm holds 1 mL; turned inside out, minus that."""
    assert TETRAHEDRON.ml == pytest.approx(1.0)
    slanted = np.linalg.norm(np.cross([-30, 20, 0], [-30, 0, 10])) / 2
    assert TETRAHEDRON.area_mm2 == pytest.approx(300 + 150 + 100 + slanted)
    assert Solid(TETRAHEDRON.vertices_mm, TETRAHEDRON.triangles[:, ::-1]).ml == pytest.approx(-1.0)


def test_holes_and_turned_triangles_are_not_closed():
    """A missing triangle, one turned round, one given twice."""
    corners = TETRAHEDRON.triangles
    turned = corners.copy()
    turned[0] = turned[0, ::-1]

    assert is_closed(TETRAHEDRON)
    for triangles in (corners[1:], turned, np.vstack([corners, corners[:1]])):
        assert not is_closed(Solid(TETRAHEDRON.vertices_mm, triangles))


def test_an_empty_mask_is_refused():
    """There is no surface of nothing."""
    grid = grid_around("axial", CENTRE, 10)
    with pytest.raises(OutputError, match="no surface"):
        solid_of(np.zeros(grid.shape, dtype=bool), grid)

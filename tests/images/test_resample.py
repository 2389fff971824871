"""Masks from one grid onto another."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FrameError, GridError
from flr_volumetry.images import Grid, LabelMap, Mask, bounding_box, to_grid
from tests.grids import STEPS, ball, centres, grid_around


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(STEPS)),
    order=st.permutations(range(3)),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    cut=st.tuples(*[st.integers(0, 3)] * 6),
    seed=st.integers(0, 1000),
)
def test_another_order_direction_or_field_of_view_of_one_lattice_is_exact(name, order, flips, cut, seed):
    """Each voxel keeps its value and its place, and no caveat is needed while nothing is lost."""
    rng = np.random.default_rng(seed)
    whole = grid_around(name, (5, -7, 11), 6)
    voxels = np.zeros(whole.shape, dtype=np.uint8)
    inner = tuple(slice(3, n - 3) for n in whole.shape)
    voxels[inner] = rng.integers(1, 5, size=voxels[inner].shape)
    box = tuple(slice(a, n - b) for a, b, n in zip(cut[:3], cut[3:], whole.shape, strict=True))
    moved, affine = voxels[box], whole.crop(box).affine.copy()
    for axis in range(3):
        if flips[axis]:
            affine[:, 3] += affine[:, axis] * (moved.shape[axis] - 1)
            affine[:, axis] *= -1
            moved = np.flip(moved, axis)
    moved = moved.transpose(order)
    affine[:, :3] = affine[:, list(order)]
    other = LabelMap(Grid(moved.shape, affine), np.ascontiguousarray(moved))

    back = to_grid(other, whole)

    assert np.array_equal(back.voxels, voxels)
    assert back.caveats == ()


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(STEPS, 2)))
def test_a_ball_keeps_its_place_and_volume_on_any_other_grid(source, target):
    """Nearest neighbour takes, at each voxel centre, the nearest old voxel: checked point by point."""
    centre = (12.0, -30.0, 55.0)
    old, new = grid_around(source, centre, 20), grid_around(target, (12.13, -30.07, 55.19), 20)
    mask = Mask(old, ball(old, centre, 17.0), "ball")

    moved = to_grid(mask, new)

    index = np.floor(old.indices_at(centres(new).reshape(-1, 3)) + 0.5).astype(int)
    inside = ((index >= 0) & (index < old.shape)).all(axis=1)
    expected = np.zeros(len(index), dtype=bool)
    expected[inside] = mask.voxels[tuple(index[inside].T)]
    assert (moved.voxels.ravel() != expected).mean() < 1e-4
    assert moved.ml == pytest.approx(4 / 3 * np.pi * 17**3 / 1000, rel=0.03)
    assert [c.code for c in moved.caveats] == ["mask_resampled"]
    assert f"{mask.ml:.1f} mL became {moved.ml:.1f} mL" in moved.caveats[0].message


def test_the_outermost_voxels_count_too():
    """A block that fills its array, on a grid of half the step, has eight voxels for each of its own."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    fine = np.diag([1.0, 1.0, 1.0, 1.0])
    fine[:3, 3] = -3.5
    block = Mask(Grid((4, 5, 6), affine), np.ones((4, 5, 6), dtype=bool), "block")

    moved = to_grid(block, Grid((16, 18, 20), fine))

    assert moved.count == 8 * 4 * 5 * 6
    assert bounding_box(moved.voxels) == (slice(3, 11), slice(3, 13), slice(3, 15))


def test_what_lies_outside_the_scan_is_said():
    """Half of a block beyond the scan's edge is left out, with its mL."""
    grid = Grid((20, 20, 20), np.diag([10.0, 10.0, 10.0, 1.0]))
    mask = Mask(grid, np.ones(grid.shape, dtype=bool), "block")

    part = to_grid(mask, grid.crop((slice(0, 20), slice(0, 20), slice(0, 10))))

    assert part.ml == pytest.approx(4000.0)
    assert [c.code for c in part.caveats] == ["mask_outside_scan"]
    assert "4000.0 of the 8000.0 mL" in part.caveats[0].message


def test_a_mask_that_meets_the_scan_nowhere_is_refused():
    """Another patient's mask usually lies elsewhere."""
    grid = Grid((10, 10, 10), np.eye(4))
    away = np.eye(4)
    away[:3, 3] = 500
    full = np.ones(grid.shape, dtype=bool)
    with pytest.raises(GridError, match="does not meet the scan anywhere") as caught:
        to_grid(Mask(Grid(grid.shape, away), full, "liver"), grid)
    assert caught.value.reason == "no_overlap"


def test_another_frame_of_reference_is_refused_even_on_the_same_lattice():
    """Equal coordinates in two frames mean nothing."""
    mask = Mask(Grid((3, 3, 3), np.eye(4), "1.2.3"), np.ones((3, 3, 3), dtype=bool), "liver")
    with pytest.raises(FrameError):
        to_grid(mask, Grid((3, 3, 3), np.eye(4), "1.2.4"))


@settings(max_examples=50, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 6)), max_size=5),
    fortran=st.booleans(),
)
def test_a_bounding_box_is_tight(points, fortran):
    """Its bounds are the smallest and largest index along each axis."""
    voxels = np.zeros((5, 6, 7), dtype=bool, order="F" if fortran else "C")
    for point in points:
        voxels[point] = True

    box = bounding_box(voxels)

    if not points:
        assert box is None
    else:
        expected = [(min(p[a] for p in points), max(p[a] for p in points) + 1) for a in range(3)]
        assert [(s.start, s.stop) for s in box] == expected

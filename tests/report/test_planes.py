"""Pictures are taken by geometry: the same patient looks the same on any grid."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.images import Grid, Image
from flr_volumetry.report import planes, positions
from flr_volumetry.report.planes import DisplayPlane, View
from tests.report.cases import CUT_X_MM, LESIONS, LOBES, MIDDLE_MM, STEPS, grid_of, make_liver, make_partition

LOW, HIGH = MIDDLE_MM - 40, MIDDLE_MM + 40
SLOPE = np.array([0.7, -1.3, 0.4])


def plane_through(view, point=MIDDLE_MM, *, pixel=1.7):
    return DisplayPlane.through(view, point, low_mm=LOW, high_mm=HIGH, pixel_mm=pixel)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("view", View)
def test_a_scan_that_is_a_slope_is_seen_as_that_slope(name, view):
    """Linear interpolation reproduces a linear function of the patient's coordinates exactly."""
    grid = grid_of(name, half_mm=(75, 75, 75))
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    values = (index @ grid.affine[:3, :3].T + grid.affine[:3, 3] - MIDDLE_MM) @ SLOPE
    plane = plane_through(view, MIDDLE_MM + [3.3, -4.1, 5.7])

    seen = planes.linear(plane, Image(grid, values.astype(np.float32)))

    expected = ((plane.points_mm() - MIDDLE_MM) @ SLOPE).reshape(plane.shape)
    assert np.abs(seen - expected).max() < 1e-3


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("view", View)
def test_labels_are_those_of_the_voxel_a_pixel_lies_in(name, view):
    """A pixel on a voxel centre shows that voxel, wherever the box of voxels begins."""
    grid = grid_of(name, half_mm=(20, 20, 20))
    labels = np.random.default_rng(3).integers(1, 255, grid.shape, dtype=np.uint8)
    rng = np.random.default_rng(4)
    for _ in range(20):
        index = tuple(int(rng.integers(0, n)) for n in grid.shape)
        centre = grid.affine[:3, :3] @ index + grid.affine[:3, 3]
        plane = DisplayPlane(view, centre, 1.0, (1, 1))
        box = tuple(slice(max(0, i - 2), i + 3) for i in index)
        start = tuple(s.start for s in box)

        assert planes.nearest(plane, grid, labels)[0, 0] == labels[index]
        assert planes.nearest(plane, grid, labels[box], start=start)[0, 0] == labels[index]


@pytest.mark.parametrize("name", STEPS)
def test_nothing_is_shown_outside_the_array(name):
    """Beyond the scan there is no value, and no label; half a voxel outside there still is."""
    grid = grid_of(name, half_mm=(20, 20, 20))
    ones = np.ones(grid.shape, dtype=np.uint8)
    image = Image(grid, ones.astype(np.float32))
    for past, is_inside in ((-0.4, True), (-0.6, False)):
        for axis in range(3):
            index = (np.array(grid.shape) - 1) / 2
            for position in (past, grid.shape[axis] - 1 - past):
                index[axis] = position
                plane = DisplayPlane(View.CORONAL, grid.centres_mm([index])[0], 1.0, (1, 1))

                assert bool(planes.nearest(plane, grid, ones)[0, 0]) is is_inside
                assert bool(np.isfinite(planes.linear(plane, image)[0, 0])) is is_inside


@pytest.mark.parametrize(
    ("view", "direction", "column", "row"),
    [
        (View.AXIAL, (1, 0, 0), 1, 0),  # the patient's left is on the right
        (View.AXIAL, (0, 1, 0), 0, 1),  # the back is below
        (View.CORONAL, (1, 0, 0), 1, 0),
        (View.CORONAL, (0, 0, 1), 0, -1),  # the head is above
        (View.SAGITTAL, (0, 1, 0), 1, 0),  # the back is on the right: seen from the left
        (View.SAGITTAL, (0, 0, 1), 0, -1),
    ],
)
def test_pictures_have_radiological_orientation(view, direction, column, row):
    """Ten millimetres in a direction of the patient move a point so many pixels in the picture."""
    plane = plane_through(view, pixel=2.0)
    here = np.array(plane.pixel_at(MIDDLE_MM))
    there = np.array(plane.pixel_at(MIDDLE_MM + 10 * np.array(direction)))

    assert (there - here).tolist() == pytest.approx([5 * column, 5 * row])


def test_letters_stand_where_their_direction_points():
    """L, P, H lie on the side where x, y, z grow; R, A, F opposite."""
    sides = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}
    for way in planes.ORIENTATIONS.values():
        left, right, top, bottom = way.letters
        assert sides[right] == (way.across, way.across_sign)
        assert sides[left] == (way.across, -way.across_sign)
        assert sides[bottom] == (way.down, way.down_sign)
        assert sides[top] == (way.down, -way.down_sign)


@pytest.mark.parametrize("view", View)
def test_pixel_at_is_the_inverse_of_points(view):
    """Each pixel's centre is found at its own column and row, and the plane covers its box."""
    plane = plane_through(view)
    points = plane.points_mm().reshape(*plane.shape, 3)

    assert plane.pixel_at(points[7, 11]) == pytest.approx((11, 7))
    way = planes.ORIENTATIONS[view]
    assert np.ptp(points[..., way.across]) >= 80
    assert np.ptp(points[..., way.down]) >= 80
    assert np.ptp(points[..., way.through]) == 0
    assert plane.position_mm == MIDDLE_MM[way.through]


@pytest.mark.parametrize("name", STEPS)
def test_the_box_shown_is_the_livers_with_a_margin(name):
    """On any grid it is the box of all voxel centres, and so that of the two ellipsoids, to a voxel."""
    liver = make_liver(name, image=False)
    low, high = positions.shown_box(liver)

    every = liver.grid.centres_mm(np.argwhere(liver.voxels))
    assert low == pytest.approx(every.min(axis=0) - positions.MARGIN_MM)
    assert high == pytest.approx(every.max(axis=0) + positions.MARGIN_MM)

    centres, radii = (np.array(part, dtype=float) for part in zip(*LOBES, strict=True))
    assert low == pytest.approx((centres - radii).min(axis=0) - positions.MARGIN_MM, abs=3.0)
    assert high == pytest.approx((centres + radii).max(axis=0) + positions.MARGIN_MM, abs=3.0)


@pytest.mark.parametrize("name", STEPS)
def test_the_plan_is_shown_where_both_parts_are_large(name):
    """Each plane meets remnant and specimen, and lies through a voxel centre where the cut is long."""
    partition = make_partition(make_liver(name, image=False))
    centre = positions.plan_centre(partition)

    stays, goes = partition.labels == 1, partition.labels > 1
    for axis in range(3):
        index = np.argwhere(stays | goes)
        points = partition.grid.centres_mm(index)[:, axis]
        near = np.abs(points - centre[axis]) <= 3.0
        kept = stays[tuple(index[near].T)]
        score = int(kept.sum()) * int((~kept).sum())
        others = []
        for position in np.arange(points.min(), points.max(), 6.0):
            there = stays[tuple(index[np.abs(points - position) <= 3.0].T)]
            others.append(int(there.sum()) * int((~there).sum()))
        assert score > 0.8 * max(others)
        assert np.abs(points - centre[axis]).min() < 1e-9
    assert abs(centre[0] - CUT_X_MM) < 30


@pytest.mark.parametrize("name", STEPS)
def test_looking_at_fewer_voxels_finds_the_same_planes(name, monkeypatch):
    """With one voxel in about 27 the point lies within a few voxels of that found with all."""
    partition = make_partition(make_liver(name, image=False))
    exact = positions.plan_centre(partition)
    monkeypatch.setattr(positions, "SAMPLE_VOXELS", np.count_nonzero(partition.labels) // 27)

    assert np.abs(positions.plan_centre(partition) - exact).max() < 15


def test_a_plan_cut_straight_along_an_axis_shows_the_remnant():
    """Where no plane meets both parts, the one that shows most of the remnant is taken."""
    liver = make_liver("axial", image=False)
    labels = liver.voxels.astype(np.uint8)
    x = liver.grid.affine[0, 3] + liver.grid.affine[0, 0] * np.arange(liver.grid.shape[0])
    labels[(x < 0)[:, None, None] & liver.voxels] = 2
    partition = make_partition(liver)
    straight = type(partition)(liver.grid, labels, partition.pieces, partition.plan)

    centre = positions.plan_centre(straight)

    areas = (labels == 1).sum(axis=(1, 2))
    assert centre[0] > 0
    assert areas[np.argmin(np.abs(x - centre[0]))] > 0.9 * areas.max()


@pytest.mark.parametrize("name", STEPS)
def test_a_lesion_is_shown_through_its_middle(name):
    """The middle of a ball is its centre, to half a voxel's diagonal."""
    liver = make_liver(name, image=False)
    for lesion, (centre, _) in zip(liver.lesions, LESIONS, strict=True):
        assert np.linalg.norm(positions.lesion_centre(lesion, liver.grid) - centre) < 2.2


@pytest.mark.parametrize("name", STEPS)
def test_what_stays_of_a_lesion_is_shown_where_it_stays(name):
    """Of a lesion cut in two it is a voxel of the half that stays; of a cleared one there is none."""
    liver = make_liver(name, image=False)
    partition = make_partition(liver)
    lesion = liver.lesions[0]
    assert positions.staying_point(lesion, partition) is None
    labels = partition.labels.copy()
    points = liver.grid.centres_mm(np.argwhere(liver.voxels))
    front = np.argwhere(liver.voxels)[points[:, 1] < LESIONS[0][0][1]]
    labels[tuple(front.T)] = 1
    cut = type(partition)(liver.grid, labels, partition.pieces, partition.plan)

    point = positions.staying_point(lesion, cut)

    i, j, k = np.rint(liver.grid.indices_at([point])[0]).astype(int)
    assert labels[i, j, k] == 1
    assert np.linalg.norm(point - LESIONS[0][0]) < LESIONS[0][1]
    assert point[1] < LESIONS[0][0][1] - 2


def test_a_hollow_lesion_is_shown_where_it_is_not_hollow():
    """The centroid of a ring lies beside it; the point shown is one of its voxels."""
    from flr_volumetry.liver import Lesion

    grid = Grid((20, 20, 9), np.diag([2.0, 2, 2, 1]))
    ring = np.zeros((9, 9, 1), dtype=bool)
    ring[0], ring[-1], ring[:, 0], ring[:, -1] = True, True, True, True
    point = positions.lesion_centre(Lesion(1, "ring", (3, 4, 5), ring, 1.0), grid)

    i, j, k = np.rint(grid.indices_at([point])[0]).astype(int) - (3, 4, 5)
    assert ring[i, j, k]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("view", View)
def test_padding_is_not_interpolated_into_what_was_scanned(name, view):
    """Beside the scanned circle a figure shows the scan's values, or nothing; never a mixture with -3024."""
    grid = grid_of(name, half_mm=(75, 75, 75))
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    centres = index @ grid.affine[:3, :3].T + grid.affine[:3, 3] - MIDDLE_MM
    scanned = np.linalg.norm(centres, axis=-1) < 30
    values = np.where(scanned, 50, -3024).astype(np.int16)

    seen = planes.linear(plane_through(view), Image(grid, values, padding=-3024))

    shown = np.isfinite(seen)
    np.testing.assert_allclose(seen[shown], 50, rtol=1e-6)
    far = np.linalg.norm(plane_through(view).points_mm() - MIDDLE_MM, axis=1).reshape(seen.shape)
    assert shown[far < 25].all()
    assert not shown[far > 35].any()

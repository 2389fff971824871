"""Margins, distances and diameters, against geometry."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import GridError
from flr_volumetry.images import Grid, Mask
from flr_volumetry.liver import Lesion
from flr_volumetry.resection import (
    Ablation,
    Combine,
    Plane,
    PlaneResection,
    RemnantResection,
    ResectionPlan,
    SegmentResection,
    Stage,
    SurfaceResection,
    TriangleSurface,
    WedgeResection,
    distance_to,
    lesion_surface,
    longest_diameter_mm,
    margins,
    resect,
)
from tests.grids import STEPS, centres, grid_around
from tests.livers import CENTRE, ball_liver
from tests.resection.solids import ellipsoid, grid_of, liver_of, middle_of, one_stage, unit

LESIONS = (((-25.0, 10.0, 5.0), 9.0), ((20.0, -15.0, -8.0), 6.0), ((5.0, 5.0, 30.0), 5.0))
LIVER_MM = 26.0
ALONG = unit([-2.0, 0.7, 1.1])


def liver_with(name, balls, *, radius=LIVER_MM, **more):
    """A ball as a liver at steps of 1 mm, balls as lesions, a little off the voxels: liver, its middle."""
    grid = grid_of(name, radius + 1)
    middle = middle_of(grid) + grid.affine[:3, :3] @ np.array([0.21, -0.33, 0.4])
    lesions = [ellipsoid(grid, middle + np.asarray(offset), r) for offset, r in balls]
    return liver_of(grid, ellipsoid(grid, middle, radius), lesions, **more), middle


def margin_of(liver, *resections, **more):
    """Of the first lesion."""
    return margins(liver, resect(liver, one_stage(*resections)), **more)[0]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("radius", [5.0, 8.0])
@pytest.mark.parametrize("gap_mm", [0.4, 3.3, 9.7])
def test_the_margin_to_a_plane_is_the_gap(name, radius, gap_mm):
    """A ball beyond a plane: to a tenth of a millimetre at steps of 1 mm, both ends of it where they are."""
    liver, middle = liver_with(name, [((2.0, 1.0, -1.0), radius)])
    centre = middle + (2.0, 1.0, -1.0)
    plane = Plane(centre - (radius + gap_mm) * ALONG, ALONG)

    found = margin_of(liver, PlaneResection((plane,)))

    assert found.margin_mm == pytest.approx(gap_mm, abs=0.1)
    assert (found.cut_mm - plane.point_mm) @ plane.normal == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(found.closest_mm - centre) == pytest.approx(radius, abs=0.1)
    assert np.linalg.norm(np.subtract(found.cut_mm, found.closest_mm)) == pytest.approx(found.margin_mm)
    assert found.remaining == 0
    assert found.cleared_in_stage == 1


@pytest.mark.parametrize("axes", [(9.0, 7.0, 6.0), (6.0, 11.0, 8.0)])
@pytest.mark.parametrize("name", STEPS)
def test_the_margin_of_an_ellipsoid_to_a_plane_is_the_gap(name, axes):
    """Its support along the normal is known; to 0.15 mm."""
    grid = grid_of(name, LIVER_MM + 1)
    middle = middle_of(grid) + (0.2, 0.35, -0.4)
    liver = liver_of(grid, ellipsoid(grid, middle, LIVER_MM), [ellipsoid(grid, middle, axes)])
    support = np.linalg.norm(ALONG * axes)
    plane = Plane(middle - (support + 4.0) * ALONG, ALONG)

    assert margin_of(liver, PlaneResection((plane,))).margin_mm == pytest.approx(4.0, abs=0.15)


@pytest.mark.parametrize("name", STEPS)
def test_of_several_planes_the_nearest_counts_or_the_edge_between_them(name):
    """Beyond all: the nearer plane. Beyond any: what stays ends in an edge, and the edge is closest."""
    liver, middle = liver_with(name, [((0, 0, 0), 7.0)])
    other = unit(ALONG + 0.8 * unit(np.cross(ALONG, (0.3, 1.0, 0.2))))
    near, far = Plane(middle - 9.0 * ALONG, ALONG), Plane(middle - 12.5 * other, other)
    edge = middle - 11.0 * unit(ALONG + other)
    tip = (Plane(edge, ALONG), Plane(edge, other))

    assert margin_of(liver, PlaneResection((near, far))).margin_mm == pytest.approx(2.0, abs=0.1)
    found = margin_of(liver, PlaneResection(tip, Combine.ANY))
    assert found.margin_mm == pytest.approx(4.0, abs=0.12)
    assert [(np.array(found.cut_mm) - edge) @ p.normal for p in tip] == pytest.approx([0, 0], abs=0.1)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", [WedgeResection, Ablation])
@pytest.mark.parametrize("margin_mm", [0.8, 3.7, 8.0])
def test_a_wedge_leaves_the_margin_that_was_asked_for(name, kind, margin_mm):
    """Around the lesion itself to 0.03 mm; within the zone of another, what geometry says."""
    liver, middle = liver_with(name, [((2.0, 1.0, -1.0), 7.0), ((-1.0, 3.0, 1.5), 4.0)])

    assert margin_of(liver, kind((1,), margin_mm)).margin_mm == pytest.approx(margin_mm, abs=0.03)
    inner = margins(liver, resect(liver, one_stage(kind((1,), 8.0))))[1]
    apart = np.linalg.norm(np.subtract((2.0, 1.0, -1.0), (-1.0, 3.0, 1.5)))
    assert inner.margin_mm == pytest.approx(7.0 + 8.0 - apart - 4.0, abs=0.12)
    assert middle is not None


def test_a_wedge_of_two_lesions_that_meet_leaves_each_its_own_margin():
    """Where the two zones meet nothing stays; elsewhere each lesion keeps the margin or more."""
    liver, _ = liver_with("oblique", [((-6.0, 0.0, 0.0), 6.0), ((7.0, 1.0, 0.0), 4.0)])
    found = margins(liver, resect(liver, one_stage(WedgeResection((1, 2), 3.0))))

    assert [m.margin_mm for m in found] == pytest.approx([3.0, 3.0], abs=0.02)


@pytest.mark.parametrize("name", STEPS)
def test_the_margin_to_an_imported_remnant_is_known_between_the_voxels_too(name):
    """All but a ball of 17 mm is the remnant: both surfaces come from voxels alone."""
    liver, middle = liver_with(name, [((1.0, 0.5, -1.5), 6.0)])
    stays = ~ellipsoid(liver.grid, middle, 17.0)
    found = margin_of(liver, RemnantResection(Mask(liver.grid, stays)))

    assert found.margin_mm == pytest.approx(17.0 - 6.0 - np.linalg.norm([1.0, 0.5, -1.5]), abs=0.15)


@pytest.mark.parametrize("name", ["axial", "flipped", "sagittal"])
def test_a_border_parallel_to_the_grid_is_taken_half_way(name):
    """A segment that ends between two layers of voxels: right to half a step, and said to lie half-way."""
    liver, middle = liver_with(name, [((9.0, 0, 0), 6.0)])
    where = centres(liver.grid)[..., 0] - middle[0]
    segments = (np.where(where > 0, 2, 5) * liver.voxels).astype(np.uint8)
    layers = np.unique(np.round(where, 6))
    border = (layers[layers <= 0].max() + layers[layers > 0].min()) / 2

    found = margin_of(replace(liver, segments=segments), SegmentResection(frozenset({2})))

    assert found.margin_mm == pytest.approx(9.0 - 6.0 - border, abs=0.1)
    assert found.cut_mm[0] - middle[0] == pytest.approx(border, abs=0.03)


def test_the_margin_to_a_drawn_surface_is_that_to_its_triangles():
    """Two triangles as a roof over the lesion: the ridge of what stays is closest."""
    liver, middle = liver_with("gantry tilt", [((0, 0, 0), 6.0)])
    ridge, side = 10.0, 60.0
    corners = np.array(
        [(-side, -side, -ridge - side), (0, -side, -ridge), (side, -side, -ridge - side)]
        + [(-side, side, -ridge - side), (0, side, -ridge), (side, side, -ridge - side)]
    )
    triangles = [(0, 1, 4), (0, 4, 3), (1, 2, 5), (1, 5, 4)]
    surface = TriangleSurface(corners + middle, np.array(triangles))

    found = margin_of(liver, SurfaceResection(surface))

    assert found.margin_mm == pytest.approx(4.0, abs=0.1)
    assert found.cut_mm[2] - middle[2] == pytest.approx(-10.0, abs=0.05)


def test_where_tissue_stays_across_a_gap_the_livers_own_surface_bounds_it():
    """Two lobes with air between: the lesion's lobe goes, and the other's capsule is closest."""
    grid = grid_of("oblique", 30)
    middle = middle_of(grid) + (0.2, 0.3, -0.1)
    lobes = [ellipsoid(grid, middle + (x, 0, 0), 12.0) for x in (-15.0, 15.0)]
    lesion = ellipsoid(grid, middle + (-10.0, 0, 0), 5.0)
    liver = liver_of(grid, lobes[0] | lobes[1], [lesion])
    found = margin_of(liver, PlaneResection((Plane(middle, (-1.0, 0, 0)),)))

    assert found.margin_mm == pytest.approx(25.0 - 12.0 - 5.0, abs=0.15)
    assert np.linalg.norm(found.cut_mm - middle - (15.0, 0, 0)) == pytest.approx(12.0, abs=0.15)


@settings(max_examples=12, deadline=None)
@given(name=st.sampled_from(list(STEPS)), distance=st.floats(-20, 20), seed=st.integers(0, 1000))
def test_margins_are_no_further_from_the_centres_than_the_surfaces_can_be(name, distance, seed):
    """All pairs of voxel centres: the surfaces lie between, up to one step nearer; larger lesions too."""
    liver = ball_liver(name, lesions=LESIONS, scale=2.5)
    normal = unit(np.random.default_rng(seed).normal(size=3))
    partition = resect(liver, one_stage(PlaneResection((Plane(CENTRE + distance * normal, normal),))))
    remnant = liver.grid.centres_mm(np.argwhere(partition.remnant.voxels))
    surfaces = {lesion.number: lesion_surface(lesion, liver.grid) for lesion in liver.lesions}
    quick = margins(liver, partition, surfaces=surfaces)

    for lesion, found, same in zip(liver.lesions, margins(liver, partition), quick, strict=True):
        points = liver.grid.centres_mm(np.argwhere(lesion.voxels) + np.asarray(lesion.start))
        distances = np.array([np.linalg.norm(remnant - p, axis=1).min() for p in points])
        step = float(np.linalg.norm(liver.grid.spacing_mm))
        assert distances.min() - 1.2 * step <= found.margin_mm <= distances.min() + 1e-9
        assert found.remaining == np.count_nonzero(distances == 0)
        assert same == found


def test_a_patient_who_moves_keeps_the_margins():
    """Turned, mirrored and shifted, plan and all."""
    liver, middle = liver_with("axial", [((3.0, 1.0, -1.0), 6.0)])
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    shift = np.array([100.0, -30.0, 7.0])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn @ liver.grid.affine[:3, :3], turn @ liver.grid.affine[:3, 3] + shift
    grid = Grid(liver.grid.shape, affine)
    moved = replace(liver, grid=grid, scan_grid=grid)
    plane = Plane(middle - 9.0 * ALONG, ALONG)
    carried = Plane(turn @ plane.point_mm + shift, turn @ plane.normal)

    still = margin_of(liver, PlaneResection((plane,)))
    after = margin_of(moved, PlaneResection((carried,)))

    assert after.margin_mm == pytest.approx(still.margin_mm, abs=1e-6)
    assert after.cut_mm == pytest.approx(turn @ still.cut_mm + shift, abs=1e-5)


def test_a_lesion_that_touches_what_stays_has_no_margin():
    """The plane grazes the ball from inside: every centre is beyond it, yet the surfaces overlap."""
    grid = grid_of("axial", 20)
    middle = middle_of(grid)
    voxels = ellipsoid(grid, middle, 18.0)
    lesion = np.zeros(grid.shape, dtype=bool)
    lesion[tuple(slice(n // 2 - 4, n // 2 + 4) for n in grid.shape)] = True
    liver = liver_of(grid, voxels, [lesion])
    low = liver.grid.centres_mm([liver.lesions[0].start])[0]
    plane = Plane(low - (0.1, 0, 0), (1.0, 0, 0))

    found = margin_of(liver, PlaneResection((plane,)))

    assert found.remaining == 0
    assert found.margin_mm == 0
    assert found.closest_mm is not None


def test_the_stage_that_clears_a_lesion_is_named():
    """The wedge clears lesion 2 in stage one, the plane lesion 1 in stage two; lesion 3 stays."""
    liver = ball_liver("axial", lesions=LESIONS)
    plane = Plane(CENTRE + np.array([-10.0, 0, 0]), (-1.0, 0, 0))
    plan = ResectionPlan(
        (Stage("one", (WedgeResection((2,), 4.0),)), Stage("two", (PlaneResection((plane,)),)))
    )

    found = margins(liver, resect(liver, plan))

    assert [m.cleared_in_stage for m in found] == [2, 1, 0]
    assert found[1].margin_mm == pytest.approx(4.0, abs=0.01)
    assert found[2].margin_mm == 0
    assert found[2].closest_mm is None
    assert found[2].cut_mm is None
    assert found[2].remaining == np.count_nonzero(liver.lesions[2].voxels)


def test_without_lesions_there_are_no_margins():
    """Nothing to measure is an empty answer, not an error."""
    liver = ball_liver("axial")
    plane = Plane(CENTRE, (1.0, 0, 0))
    assert margins(liver, resect(liver, one_stage(PlaneResection((plane,))))) == ()


def test_where_nothing_stays_the_margin_has_no_end():
    """A partition made by hand, with no remnant left."""
    liver, middle = liver_with("axial", [((0, 0, 0), 5.0)])
    partition = resect(liver, one_stage(PlaneResection((Plane(middle, (1.0, 0, 0)),))))
    bare = replace(partition, labels=np.where(liver.voxels, 2, 0).astype(np.uint8))

    (found,) = margins(liver, bare)

    assert found.margin_mm == np.inf
    assert found.closest_mm is None
    assert found.cleared_in_stage == 1


def test_margins_of_another_livers_partition_are_refused():
    """Another grid, and the same grid with another liver in it."""
    liver, middle = liver_with("axial", [((0, 0, 0), 5.0)])
    other, there = liver_with("oblique", [((0, 0, 0), 5.0)])
    cut = PlaneResection((Plane(middle, (1.0, 0, 0)),))
    partition = resect(liver, one_stage(cut))
    with pytest.raises(GridError, match="its grid is not this liver's"):
        margins(other, partition)
    smaller = replace(liver, voxels=liver.voxels & (centres(liver.grid)[..., 2] < middle[2] + 9))
    with pytest.raises(GridError, match="not this liver's voxels"):
        margins(smaller, partition)
    assert there is not None


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("apart", [14.5, 19.0, 30.0])
def test_the_distance_to_a_structure_is_that_between_the_surfaces(name, apart):
    """A ball of 6 mm and a vessel of 3 mm radius; the same when the lesion's surface is at hand."""
    liver, middle = liver_with(name, [((-8.0, -4.0, 2.0), 6.0)], radius=30.0)
    lesion = liver.lesions[0]
    way = unit([1.0, 0.5, -0.2])
    axis = unit(np.cross(way, (0.1, 0.2, 1.0)))
    off = centres(liver.grid) - (middle + (-8.0, -4.0, 2.0) + apart * way)
    along = off @ axis
    vessel = np.linalg.norm(off - along[..., None] * axis, axis=-1) <= 3.0

    found = distance_to(lesion, vessel, liver.grid)

    assert found.mm == pytest.approx(apart - 9.0, abs=0.2)
    assert np.linalg.norm(np.subtract(found.lesion_mm, found.other_mm)) == pytest.approx(found.mm)
    assert found == distance_to(lesion, vessel, liver.grid, surface=lesion_surface(lesion, liver.grid))


def test_a_structure_in_the_lesion_is_at_no_distance_and_an_empty_one_at_none():
    """One voxel shared is enough; another grid is refused."""
    liver, _ = liver_with("sagittal", [((0, 0, 0), 5.0)])
    lesion = liver.lesions[0]
    structure = np.zeros(liver.grid.shape, dtype=bool)
    assert distance_to(lesion, structure, liver.grid) is None
    first = np.argwhere(lesion.voxels)[0] + np.asarray(lesion.start)
    structure[tuple(first)] = True
    found = distance_to(lesion, structure, liver.grid)
    assert found.mm == 0
    assert found.lesion_mm == pytest.approx(liver.grid.centres_mm([first])[0])
    with pytest.raises(GridError, match="the structure is"):
        distance_to(lesion, structure[:-1], liver.grid)


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

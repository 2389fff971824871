"""Landmarks found in masks and named branches, against shapes whose axes are known."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import LiverError
from flr_volumetry.images import Grid
from flr_volumetry.liver import Branch, Liver, Masks, Territories, Vessel, crop_liver
from flr_volumetry.phantom import sample_patient
from flr_volumetry.territories import Landmark, cantlie_plane, couinaud_segments, find_landmarks
from flr_volumetry.territories.couinaud_find import cava_points, gallbladder_points
from flr_volumetry.territories.geometry import distance_to_liver_mm, rim, wide_parts
from flr_volumetry.territories.planes import Side
from tests.evaluate.test_phantoms import scan_of
from tests.grids import STEPS, ball, centres, grid_around
from tests.livers import CENTRE, RADIUS_MM
from tests.territories.marks import dice, true_points

LEAN = np.array([0.1, 0.2, 1.0]) / np.linalg.norm([0.1, 0.2, 1.0])
BESIDE = CENTRE + (5, RADIUS_MM + 4, 0)


def tube(grid, start, direction, radius_mm, length_mm=np.inf):
    away = centres(grid) - start
    along = away @ direction
    across = np.linalg.norm(away - along[..., None] * direction, axis=-1)
    return (across <= radius_mm) & (np.abs(along) <= length_mm)


def liver_with(name, vessels, scale=2.0):
    grid = grid_around(name, CENTRE, RADIUS_MM + 30, scale=scale)
    masks = tuple(Vessel(s, voxels(grid), 1.0) for s, voxels in vessels.items())
    return Liver(grid, ball(grid, CENTRE, RADIUS_MM), grid, (0, 0, 0), vessels=masks)


def off_axis(points, start, direction):
    away = points - start
    return np.linalg.norm(away - np.outer(away @ direction, direction), axis=1)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("structure", [Structure.IVC, Structure.HEPATIC_VEINS])
def test_the_axis_of_a_leaning_cava_is_found(structure, name):
    """A tube of 11 mm with a vein of 4 mm into it: within 1 mm of its axis; a point each 5 mm of height."""

    def cava(grid):
        away = centres(grid) - BESIDE
        vein = tube(grid, BESIDE, np.array([0.0, -1, 0]), 4.0) & (away[..., 1] < 0)
        return tube(grid, BESIDE, LEAN, 11.0) | vein

    liver = liver_with(name, {structure: cava})
    line = cava_points(liver)

    # The ends are cut by the edge of the grid, not at right angles to the axis.
    assert off_axis(line[2:-2], BESIDE, LEAN).max() < 1.0
    assert np.diff(line[:, 2])[1:-1] == pytest.approx(5, abs=2.6)
    assert (distance_to_liver_mm(line, liver) <= 25).all()


def test_hepatic_veins_alone_hold_no_cava():
    """Nowhere 15 mm wide: none is found; the same tube as a cava of its own is one."""
    liver = liver_with("axial", {Structure.HEPATIC_VEINS: lambda g: tube(g, BESIDE, LEAN, 6.0)})
    thin = liver_with("axial", {Structure.IVC: lambda g: tube(g, BESIDE, LEAN, 6.0)})

    assert cava_points(liver) is None
    assert off_axis(cava_points(thin)[2:-2], BESIDE, LEAN).max() < 1.0
    assert cava_points(liver_with("axial", {})) is None
    assert cava_points(liver_with("axial", {Structure.IVC: lambda g: np.zeros(g.shape, dtype=bool)})) is None


def test_a_cava_far_from_the_liver_is_none():
    """Its centre line counts within 25 mm of the liver."""
    near, far = (CENTRE + (0, RADIUS_MM + mm, 0) for mm in (20, 29))
    up = np.array([0, 0, 1.0])

    def points(start):
        grid = grid_around("axial", CENTRE, RADIUS_MM + 45, scale=2.0)
        mask = Vessel(Structure.IVC, tube(grid, start, up, 10.0), 1.0)
        return cava_points(Liver(grid, ball(grid, CENTRE, RADIUS_MM), grid, (0, 0, 0), vessels=(mask,)))

    assert np.abs(points(near)[:, 2] - CENTRE[2]).max() < 35
    assert points(far) is None


@pytest.mark.parametrize("name", STEPS)
def test_the_bed_of_the_gallbladder_is_the_surface_nearest_to_it(name):
    """A bladder along x under the ball: its bed lies on the ball, below the middle, along x."""
    below = CENTRE - (0, 0, RADIUS_MM + 12)
    bladder = {Structure.GALLBLADDER: lambda g: tube(g, below, np.array([1.0, 0, 0]), 10.0, length_mm=25.0)}
    liver = liver_with(name, bladder, scale=1.2)
    bed = gallbladder_points(liver)
    order = np.argsort(bed[:, 0])

    assert bed.shape == (3, 3)
    assert np.linalg.norm(bed - CENTRE, axis=1) == pytest.approx(RADIUS_MM, abs=4)
    assert bed[order[1]] == pytest.approx(CENTRE - (0, 0, RADIUS_MM), abs=4)
    assert np.abs(bed[:, 1] - CENTRE[1]).max() < 4
    assert set(order.tolist()) == {0, 1, 2}
    assert order[1] == 1
    assert bed[order[2], 0] - bed[order[0], 0] > 15


def test_without_a_gallbladder_there_is_no_bed():
    """Nor with an empty mask."""
    assert gallbladder_points(liver_with("axial", {})) is None
    empty = {Structure.GALLBLADDER: lambda g: np.zeros(g.shape, dtype=bool)}
    assert gallbladder_points(liver_with("axial", empty)) is None


@pytest.mark.parametrize("name", STEPS)
def test_an_erosion_by_a_ball_is_exact_on_every_grid(name):
    """What stays is further than the radius from every voxel centre outside: by a search of all of them."""
    grid = grid_around(name, CENTRE, 24, scale=1.5)
    voxels = ball(grid, CENTRE, 20) | tube(grid, CENTRE, LEAN, 9.0, length_mm=24.0)
    left = wide_parts(voxels, grid, 7.77)
    outside = cKDTree(centres(grid)[~voxels])
    far = outside.query(centres(grid)[voxels])[0]

    assert np.array_equal(left[voxels], far > 7.77)
    assert left.any()
    assert not left[~voxels].any()


def test_what_touches_the_edge_of_the_grid_is_not_wide():
    """Outside the grid there is nothing."""
    grid = grid_around("axial", CENTRE, 20)
    left = wide_parts(np.ones(grid.shape, dtype=bool), grid, 6.0)

    assert left.any()
    assert not left[:7].any()
    assert not left[:, :, :2].any()


def test_the_rim_is_what_misses_a_neighbour():
    """A box: all but its inside; the edge of the array counts as missing."""
    box = np.zeros((7, 8, 9), dtype=bool)
    box[1:6, 2:7, 3:9] = True
    inner = np.zeros_like(box)
    inner[2:5, 3:6, 4:8] = True

    assert np.array_equal(rim(box), box & ~inner)


@pytest.mark.parametrize("name", STEPS)
def test_distances_from_a_ball_of_liver(name):
    """Nought inside, elsewhere the distance to the nearest voxel centre."""
    liver = liver_with(name, {})
    points = CENTRE + np.array([(0, 0, 0), (0, 30, 0), (0, RADIUS_MM + 20, 0), (-200, 0, 0.0)])
    brute = [
        np.linalg.norm(liver.grid.centres_mm(np.argwhere(liver.voxels)) - p, axis=1).min() for p in points
    ]
    found = distance_to_liver_mm(points, liver)

    assert found[:2].tolist() == [0, 0]
    assert found[2:] == pytest.approx(brute[2:])


def test_a_point_in_the_first_or_last_voxel_of_the_grid_is_inside():
    """A liver that fills its grid: nought to every edge, a distance beyond."""
    grid = Grid((5, 6, 7), np.diag([2.0, 2.0, 2.0, 1.0]))
    liver = Liver(grid, np.ones(grid.shape, dtype=bool), grid, (0, 0, 0))
    inside = np.array([(-0.9, 0, 0), (8.9, 10.9, 12.9), (0, -0.9, 3), (4, 4, -0.9)])

    assert distance_to_liver_mm(inside, liver).tolist() == [0, 0, 0, 0]
    assert distance_to_liver_mm(np.array([(-1.5, 0, 0), (0, 0, 14.0)]), liver) == pytest.approx([1.5, 2])


def branch(number, parent, points, *, name="", radius=4.0):
    points = np.array(points, dtype=float)
    radii = np.full(len(points), radius) if np.isscalar(radius) else np.array(radius, dtype=float)
    return Branch(number, str(number), parent, 1 if parent == 0 else 2, name, points, radii)


def with_trees(portal, veins):
    liver = liver_with("axial", {}, scale=3.0)
    labels = np.zeros(liver.grid.shape, dtype=np.uint16)
    trees = (
        Territories(Structure.PORTAL_VEIN, labels, tuple(portal)),
        Territories(Structure.HEPATIC_VEINS, labels, tuple(veins)),
    )
    return Liver(liver.grid, liver.voxels, liver.grid, (0, 0, 0), territories=trees)


def test_veins_are_followed_along_the_wider_child():
    """From the root on; the branch of that name nearest to the root; a narrow first child is passed by."""
    veins = [
        branch(1, 0, [(0, 0, 90), (-20, 0, 80)], name="right hepatic vein", radius=6),
        branch(2, 1, [(-20, 0, 80), (-25, 30, 70)], radius=2),
        branch(3, 1, [(-20, 0, 80), (-50, 0, 60)], radius=3, name="right hepatic vein"),
        branch(4, 3, [(-50, 0, 60), (-80, 0, 40)], radius=1),
        branch(5, 0, [(0, 0, 95), (5, -30, 90)], name="left hepatic vein"),
    ]
    found = find_landmarks(with_trees([], veins))

    right = [(0, 0, 90), (-20, 0, 80), (-20, 0, 80), (-50, 0, 60), (-50, 0, 60), (-80, 0, 40)]
    assert found.at(Landmark.RIGHT_VEIN).tolist() == [list(p) for p in right]
    assert found.at(Landmark.LEFT_VEIN).tolist() == [[0, 0, 95], [5, -30, 90]]
    assert found.at(Landmark.MIDDLE_VEIN) is None
    assert set(found.points_mm) == {Landmark.RIGHT_VEIN, Landmark.LEFT_VEIN}


def test_the_portal_vein_gives_fork_right_branch_and_umbilical_portion():
    """The umbilical portion runs from the leftmost point to the last with a radius of 3 mm."""
    portal = [
        branch(1, 0, [(0, 20, -60), (-20, -20, -10)], name="main portal vein", radius=7),
        branch(2, 1, [(-20, -20, -10), (-36, -18, -6)], name="right portal vein", radius=6),
        branch(3, 1, [(-18, -20, -10), (-2, -28, -3), (5, -40, 3)], name="left portal vein", radius=5),
        branch(4, 3, [(5, -40, 3), (4, -50, 0), (3, -58, -2)], radius=[4, 3.5, 3.0]),
        branch(5, 3, [(5, -40, 3), (30, -30, 30)], radius=2),
        branch(6, 4, [(3, -58, -2), (40, -70, 10)], radius=[2.9, 2]),
    ]
    found = find_landmarks(with_trees(portal, []))

    assert found.at(Landmark.PORTAL_BIFURCATION).tolist() == [[-19, -20, -10]]
    assert found.at(Landmark.RIGHT_PORTAL).tolist() == [[-36, -18, -6]]
    left = [(5, -40, 3), (5, -40, 3), (4, -50, 0), (3, -58, -2)]
    assert found.at(Landmark.LEFT_PORTAL).tolist() == [list(p) for p in left]


def test_the_right_portal_vein_counts_where_it_divides_not_where_a_twig_leaves():
    """A branch of half its radius makes the fork; a thinner one is passed by."""

    def fork_of(radius):
        portal = [
            branch(1, 0, [(-20, -20, -10), (-24, -20, -8)], name="right portal vein", radius=6),
            branch(2, 1, [(-24, -20, -8), (-24, -5, 5)], radius=2.9),
            branch(3, 1, [(-24, -20, -8), (-36, -18, -2)], radius=5),
            branch(4, 3, [(-36, -18, -2), (-50, -30, 4)], radius=4),
            branch(5, 3, [(-36, -18, -2), (-50, 5, -4)], radius=radius),
        ]
        return find_landmarks(with_trees(portal, [])).at(Landmark.RIGHT_PORTAL).tolist()

    assert fork_of(3.0) == [[-36, -18, -2]]
    assert fork_of(2.9) == [[-24, -20, -8]]


def test_a_left_portal_vein_narrow_from_the_start_still_gives_its_first_point():
    """One landmark, not none."""
    portal = [branch(1, 0, [(0, 0, 0), (20, -10, 0)], name="left portal vein", radius=2)]
    found = find_landmarks(with_trees(portal, []))

    assert found.at(Landmark.LEFT_PORTAL).tolist() == [[0, 0, 0]]
    assert found.at(Landmark.PORTAL_BIFURCATION).tolist() == [[0, 0, 0]]
    assert found.at(Landmark.RIGHT_PORTAL) is None


def test_what_was_found_is_said():
    """One caveat with the names, and where they come from."""
    liver = liver_with("axial", {Structure.IVC: lambda g: tube(g, BESIDE, LEAN, 11.0)})
    found = find_landmarks(liver)
    (caveat,) = found.caveats

    assert caveat.code == "landmarks_found"
    assert "inferior vena cava" in caveat.message
    assert "gallbladder" not in caveat.message
    assert "automatically" in found.source


def test_nothing_to_find_is_refused():
    """No mask and no named branch."""
    for liver in (liver_with("axial", {}), with_trees([branch(1, 0, [(0, 0, 0), (1, 1, 1)])], [])):
        with pytest.raises(LiverError) as caught:
            find_landmarks(liver)
        assert caught.value.reason == "no_landmarks"


@pytest.mark.parametrize("name", STEPS)
def test_cantlies_plane_from_the_phantoms_masks_alone(name):
    """Cava and gallbladder of the sample patient: the right liver with a Dice of 0.97 against its own."""
    phantom = sample_patient()
    masks = phantom.structures(scan_of(phantom, STEPS[name] * 2))
    vessels = [(Structure.IVC, masks.ivc), (Structure.GALLBLADDER, masks.gallbladder)]
    liver = crop_liver(Masks(masks.liver, segments=masks.segments, vessels=vessels))
    plane = cantlie_plane(find_landmarks(liver), removed=Side.RIGHT)
    index = np.argwhere(liver.voxels)
    right = np.zeros(liver.grid.shape, dtype=bool)
    right[tuple(index.T)] = plane.height_mm(liver.grid.centres_mm(index)) > 0

    assert dice(right, liver.segments >= 5) > 0.97


def test_segments_from_named_branches_are_those_of_the_landmarks():
    """The phantom's own paths as branches: the same points found again, and segments from them."""
    phantom = sample_patient()
    points = true_points(phantom)
    masks = phantom.structures(scan_of(phantom, STEPS["axial"] * 2))
    vessels = [(Structure.IVC, masks.ivc), (Structure.GALLBLADDER, masks.gallbladder)]
    liver = crop_liver(Masks(masks.liver, segments=masks.segments, vessels=vessels))
    labels = np.zeros(liver.grid.shape, dtype=np.uint16)
    veins = [
        branch(n, 0, points[kind], name=kind.value)
        for n, kind in enumerate((Landmark.RIGHT_VEIN, Landmark.MIDDLE_VEIN, Landmark.LEFT_VEIN), start=1)
    ]
    fork = points[Landmark.PORTAL_BIFURCATION]
    portal = [
        branch(1, 0, np.vstack([fork, points[Landmark.RIGHT_PORTAL]]), name="right portal vein"),
        branch(2, 0, np.vstack([fork, points[Landmark.LEFT_PORTAL]]), name="left portal vein"),
    ]
    trees = (
        Territories(Structure.HEPATIC_VEINS, labels, tuple(veins)),
        Territories(Structure.PORTAL_VEIN, labels, tuple(portal)),
    )
    labelled = Liver(
        liver.grid, liver.voxels, liver.grid, (0, 0, 0), vessels=liver.vessels, territories=trees
    )
    found = couinaud_segments(labelled, find_landmarks(labelled))

    assert "landmarks_found" in [c.code for c in found.caveats]
    assert dice(found.labels >= 5, liver.segments >= 5) > 0.98
    assert np.mean([dice(found.labels == n, liver.segments == n) for n in range(1, 9)]) > 0.83

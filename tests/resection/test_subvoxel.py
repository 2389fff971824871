"""The surface between the voxels of a lesion, against solids known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.images import Grid
from flr_volumetry.resection import lesion_surface
from flr_volumetry.resection.faces import DENSE, blocks, faces_of, numbered, steps_out_mm, thinned
from flr_volumetry.resection.fitting import fit_patches, mean_normals, reach_mm
from flr_volumetry.resection.quadrics import together
from flr_volumetry.resection.subvoxel import equal_radius_mm
from tests.grids import STEPS, centres
from tests.resection.solids import ellipsoid, grid_of, lesion_of, middle_of, unit


def ball_at(rng, name, radius, **more):
    """A ball somewhere between the voxels: grid, centre, lesion."""
    grid = grid_of(name, radius + 1, **more)
    centre = middle_of(grid) + grid.affine[:3, :3] @ rng.uniform(-0.5, 0.5, 3)
    return grid, centre, lesion_of(ellipsoid(grid, centre, radius))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(
    ("radius", "mean", "most"), [(3.0, 0.06, 0.45), (5.0, 0.03, 0.25), (12.0, 0.01, 0.15)]
)
def test_the_surface_of_a_ball_is_where_it_is(name, radius, mean, most):
    """At steps of 1 mm: right on average to a few hundredths, and nowhere far off."""
    rng = np.random.default_rng(5)
    off = []
    for _ in range(3):
        grid, centre, lesion = ball_at(rng, name, radius)
        surface = lesion_surface(lesion, grid)
        off.append(np.linalg.norm(surface.points_mm - centre, axis=1) - radius)
        outward = (surface.points_mm - centre) / np.linalg.norm(surface.points_mm - centre, axis=1)[:, None]
        assert np.einsum("ij,ij->i", outward, surface.normals).min() > 0.9
    off = np.concatenate(off)

    assert abs(off.mean()) < mean
    assert np.abs(off).max() < most
    assert off.std() < 0.4 * most


@pytest.mark.parametrize("name", STEPS)
def test_patches_of_a_ball_are_bent_as_it_is(name):
    """Curvature 1/R in every direction, to a tenth on average; the frame stands at right angles."""
    grid, _, lesion = ball_at(np.random.default_rng(2), name, 12.0)
    surface = lesion_surface(lesion, grid)

    assert surface.curvatures.mean(axis=0) == pytest.approx(np.eye(2) / 12.0, abs=0.008)
    frame = np.concatenate([surface.across, surface.normals[:, None]], axis=1)
    assert frame @ frame.transpose(0, 2, 1) == pytest.approx(
        np.broadcast_to(np.eye(3), frame.shape), abs=1e-9
    )
    assert np.linalg.det(frame) == pytest.approx(1.0)


@pytest.mark.parametrize("name", STEPS)
def test_distances_to_a_ball_are_right_inside_outside_and_far(name):
    """Each point on some patch's own ground: within 0.15 mm, and without bias, at any distance."""
    rng = np.random.default_rng(8)
    grid, centre, lesion = ball_at(rng, name, 10.0)
    surface = lesion_surface(lesion, grid)
    directions = unit(rng.normal(size=(300, 3)).T).T
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    for far in (-4.0, 0.5, 6.0, 40.0):
        distance, feet = surface.nearest_mm(centre + (10 + far) * directions)

        off = distance - abs(far)
        assert abs(off.mean()) < 0.02
        assert np.abs(off).max() < 0.15
        assert np.linalg.norm(feet - centre, axis=1) == pytest.approx(np.full(300, 10.0), abs=0.15)


@pytest.mark.parametrize(
    ("axes", "usual", "most"),
    [((9.0, 8.0, 7.0), 0.14, 0.25), ((14.0, 8.0, 6.0), 0.12, 0.3), ((6.0, 6.0, 18.0), 0.16, 0.35)],
)
@pytest.mark.parametrize("name", ["axial", "oblique"])
def test_the_surface_of_an_ellipsoid_is_where_it_is(name, axes, usual, most):
    """At steps of 1 mm, first-order distance: nineteen in twenty patches; sharp poles are hardest."""
    grid = grid_of(name, max(axes) + 1)
    centre = middle_of(grid) + np.array([0.31, -0.2, 0.44])
    surface = lesion_surface(lesion_of(ellipsoid(grid, centre, axes)), grid)

    scaled = (surface.points_mm - centre) / axes
    level = np.linalg.norm(scaled, axis=1)
    off = level * (level - 1) / np.linalg.norm(scaled / axes, axis=1)
    assert abs(off.mean()) < 0.03
    assert np.quantile(np.abs(off), 0.95) < usual
    assert np.abs(off).max() < most


@pytest.mark.parametrize("name", STEPS)
def test_an_oblique_flat_surface_is_found_to_a_tenth_of_a_step(name):
    """A slab cut obliquely to every axis of the grid."""
    grid = grid_of(name, 14)
    middle, normal = middle_of(grid), unit([0.71, -0.43, 0.36])
    height = (centres(grid) - middle) @ normal
    inside = (np.abs(height - 0.2) < 5.0) & (np.linalg.norm(centres(grid) - middle, axis=-1) < 13)
    surface = lesion_surface(lesion_of(inside), grid)

    at = (surface.points_mm - middle) @ normal
    inner = np.linalg.norm(surface.points_mm - middle, axis=1) < 9
    off = np.abs(at[inner] - 0.2) - 5.0
    assert np.count_nonzero(inner) > 40
    assert abs(off.mean()) < 0.03
    assert np.abs(off).max() < 0.2


def test_a_flat_surface_parallel_to_the_grid_is_taken_half_way():
    """All that the voxels say of it: it lies between two layers of centres."""
    grid = grid_of("axial", 12)
    inside = np.zeros(grid.shape, dtype=bool)
    inside[4:22, 5:21, 6:20] = True
    surface = lesion_surface(lesion_of(inside), grid)
    index = grid.indices_at(surface.points_mm)

    for axis, (low, high) in enumerate([(3.5, 21.5), (4.5, 20.5), (5.5, 19.5)]):
        flat = np.abs(surface.normals[:, axis]) > 0.999
        at = np.where(index[flat, axis] < (low + high) / 2, low, high)
        assert np.count_nonzero(flat) > 20
        assert index[flat, axis] == pytest.approx(at, abs=0.02)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (1, 4, 1), (3, 3, 1), (1, 5, 5), (2, 2, 2)])
def test_the_smallest_lesions_stay_sane(name, shape):
    """Down to one voxel: between the centres inside and the centres beyond, with normals outwards."""
    grid = grid_of(name, 6, step_mm=3.0, even=False)
    start = (3, 3, 3)
    lesion = replace(lesion_of(np.ones(shape, dtype=bool)), start=start)
    surface = lesion_surface(lesion, grid)

    assert len(surface) == 2 * (shape[0] * shape[1] + shape[1] * shape[2] + shape[0] * shape[2])
    index = grid.indices_at(surface.points_mm) - start
    assert (index > -1.1).all()
    assert (index < np.array(shape) + 0.1).all()
    middle = grid.centres_mm([np.array(start) + (np.array(shape) - 1) / 2])[0]
    assert (np.einsum("ij,ij->i", surface.points_mm - middle, surface.normals) > 0).all()
    assert np.isfinite(surface.curvatures).all()


def test_no_patch_is_moved_beyond_the_voxels_on_its_two_sides():
    """Ragged masks too: half a step along the normal, and a tenth for rounding."""
    rng = np.random.default_rng(3)
    grid = grid_of("oblique", 9)
    for share in (0.2, 0.5, 0.8):
        inside = ellipsoid(grid, middle_of(grid), 8.0) & (rng.random(grid.shape) < share)
        lesion = lesion_of(inside)
        faces = faces_of(lesion.voxels, grid, lesion.start)
        at = np.arange(0, len(faces), 7)
        surface = fit_patches(faces, at, grid, equal_radius_mm(lesion, grid))
        moved = surface.points_mm - faces.middles_mm[at]
        along = np.abs(np.einsum("ij,ij->i", steps_out_mm(grid)[faces.sides[at]], surface.normals)) / 2
        assert (np.linalg.norm(moved, axis=1) <= along + 0.1 + 1e-9).all()
        assert np.linalg.norm(surface.curvatures, axis=(1, 2)).max() <= 2 + 1e-9


@pytest.mark.parametrize("name", STEPS)
def test_a_patient_who_moves_takes_the_surface_along(name):
    """Turned, mirrored and shifted: the same patches to a micrometre."""
    grid, _, lesion = ball_at(np.random.default_rng(4), name, 8.0)
    turn, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))
    shift = np.array([31.0, -12.0, 207.0])
    affine = np.eye(4)
    affine[:3, :3] = turn @ grid.affine[:3, :3]
    affine[:3, 3] = turn @ grid.affine[:3, 3] + shift

    still, moved = lesion_surface(lesion, grid), lesion_surface(lesion, Grid(grid.shape, affine))

    assert moved.points_mm == pytest.approx(still.points_mm @ turn.T + shift, abs=1e-6)
    assert moved.normals == pytest.approx(still.normals @ turn.T, abs=1e-6)


def test_faces_lie_half_way_out_of_the_mask():
    """Every pair of neighbours of which one is inside, once, on a sheared grid."""
    grid = grid_of("gantry tilt", 5)
    inside = np.random.default_rng(1).random((5, 6, 7)) < 0.4
    faces = faces_of(inside, grid, (2, 1, 3))
    padded = np.pad(inside, 1)
    expected = sum(int(np.count_nonzero(np.diff(padded.astype(int), axis=axis))) for axis in range(3))
    within = [faces_of(inside, grid, (2, 1, 3), closed=False)]

    assert len(faces) == expected == len(np.unique(np.c_[faces.inside, faces.sides], axis=0))
    assert inside[tuple((faces.inside - (2, 1, 3)).T)].all()
    index = grid.indices_at(faces.middles_mm)
    out = np.rint(2 * index - faces.inside).astype(int) - (2, 1, 3) + 1
    assert not padded[tuple(out.T)].any()
    assert len(within[0]) == sum(int(np.count_nonzero(np.diff(inside.astype(int), axis=a))) for a in range(3))


def test_thinned_faces_leave_no_part_of_the_surface_bare():
    """Every face of a large lesion has a chosen one within two reaches; all of a small one's are chosen."""
    grid, _, lesion = ball_at(np.random.default_rng(6), "axial", 14.0, step_mm=2.0, even=False)
    faces = faces_of(lesion.voxels, grid, lesion.start)
    chosen = thinned(faces, grid)
    gaps = np.linalg.norm(faces.middles_mm[:, None] - faces.middles_mm[chosen][None], axis=-1).min(axis=1)

    assert 60 < len(chosen) < 0.6 * len(faces)
    assert gaps.max() < 2 * reach_mm(grid)
    few = faces.take(np.arange(200))
    assert thinned(few, grid).tolist() == list(range(200))


def test_values_are_numbered_in_order_whether_few_or_far_apart():
    """The table and the sort agree."""
    values = np.array([7, 2, 7, 0, 40])
    for given in (values, values * DENSE):
        unique, of = numbered(given)
        assert unique.tolist() == sorted(set(given.tolist()))
        assert (unique[of] == given).all()


def test_blocks_are_of_the_size_asked_for():
    """Faces of one block lie within its edges, along the steps of the grid."""
    grid, _, lesion = ball_at(np.random.default_rng(6), "gantry tilt", 9.0)
    faces = faces_of(lesion.voxels, grid, lesion.start)
    number = blocks(faces, 3.0, grid)
    index = grid.indices_at(faces.middles_mm) * grid.spacing_mm
    for block in np.unique(number)[::5]:
        assert np.ptp(index[number == block], axis=0).max() <= 3.0 + 1e-9


def test_the_mean_normal_of_something_one_voxel_thick_is_the_faces_own():
    """Its two sides would cancel."""
    grid = grid_of("axial", 12, step_mm=0.5)
    lesion = lesion_of(np.ones((14, 14, 1), dtype=bool))
    faces = faces_of(lesion.voxels, grid, lesion.start)
    at = np.flatnonzero((faces.sides >= 4) & (np.abs(faces.inside[:, :2] - 6.5) < 2).all(axis=1))
    normals = mean_normals(faces, at, grid)

    assert np.abs(normals[:, 2]) == pytest.approx(np.ones(len(at)), abs=0.01)
    assert (
        np.sign(normals[:, 2]) == np.where(faces.sides[at] == 5, 1, -1) * np.sign(grid.affine[2, 2])
    ).all()


def test_surfaces_are_joined_in_order():
    """Every array of both."""
    grid, _, lesion = ball_at(np.random.default_rng(6), "axial", 5.0)
    surface = lesion_surface(lesion, grid)
    both = together([surface.take(np.arange(3)), surface.take(np.arange(3, len(surface)))])

    for name in ("points_mm", "normals", "across", "curvatures", "reach_mm"):
        assert np.array_equal(getattr(both, name), getattr(surface, name))
        assert not getattr(both, name).flags.writeable

"""Which voxels lie beyond a surface: against planes, integrals, winding numbers, and heights found anew."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import PlanError
from flr_volumetry.images import Grid
from flr_volumetry.liver import Liver
from flr_volumetry.resection import (
    BezierSurface,
    ClosedCurve,
    Plane,
    ResectionPlan,
    Stage,
    SurfaceResection,
    TriangleSurface,
    beyond,
    resect,
    tabulate,
)
from flr_volumetry.resection.lines import lines_of, lines_of_rows
from flr_volumetry.resection.mesh_cut import beyond_surface, surface_parts
from tests.grids import STEPS
from tests.resection.shapes import (
    CENTRE,
    NORMAL,
    ball,
    box,
    box_mesh,
    ellipsoid,
    frame,
    graph_patch,
    grid_of,
    icosphere,
    inside_points,
    liver_in,
    parabola_heights,
    sheet_height,
    sheet_mesh,
    two_lobes,
    winding,
)

SOLIDS = {
    "ball": ball(40),
    "ellipsoid": ellipsoid(45, 38, 30),
    "box": box(38, 33, 28),
    "two lobes": two_lobes(30, 30),
}
NAMES = sorted(STEPS)


def beyond_plane(liver, point, normal):
    return beyond(Plane(point, normal), liver.grid) & liver.voxels


def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.linalg.det(q)


@pytest.mark.parametrize("solid", SOLIDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_flat_patch_cuts_the_voxels_of_its_plane(name, solid):
    liver = liver_in(grid_of(name, [50] * 3, 2.5), SOLIDS[solid])
    point = CENTRE + 4 * NORMAL
    for heights in (np.zeros((4, 4)), np.zeros((6, 5))):
        patch = graph_patch(point, NORMAL, 90, heights)
        assert np.array_equal(beyond_surface(patch, liver), beyond_plane(liver, point, NORMAL))
        assert np.array_equal(beyond_surface(patch.flipped(), liver), beyond_plane(liver, point, -NORMAL))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", range(3))
def test_centres_on_a_flat_patch_stay_whichever_side_goes(name, axis):
    liver = liver_in(grid_of(name, [30] * 3, 3.0), ball(28))
    normal = np.linalg.inv(liver.grid.affine[:3, :3])[axis]
    on = np.array([n // 2 for n in liver.grid.shape])
    point = liver.grid.centres_mm([on])[0]
    patch = graph_patch(point, normal, 70, np.zeros((4, 4)))
    goes, other = beyond_surface(patch, liver), beyond_surface(patch.flipped(), liver)
    layer = liver.voxels & (np.arange(liver.grid.shape[axis]) == on[axis]).reshape(
        [-1 if n == axis else 1 for n in range(3)]
    )
    assert layer.any()
    assert np.array_equal(liver.voxels & ~(goes | other), layer)
    assert not (goes & other).any()
    assert np.array_equal(goes, beyond_plane(liver, point, normal))


@functools.cache
def beyond_parabola_share(radius, curvature, offset):
    """Share of a ball that lies above ``offset + curvature u^2``, by integration over (u, v)."""
    count = 1200
    u = (np.arange(count) + 0.5) / count * 2 * radius - radius
    u, v = u[:, None], u[None, :]
    top = np.sqrt(np.maximum(radius**2 - u**2 - v**2, 0))
    low = np.clip(offset + curvature * u**2, -top, top)
    return float((top - low).sum()) * (2 * radius / count) ** 2 / (4 / 3 * math.pi * radius**3)


RADIUS, HALF, RISE = 68.0, 85.0, 25.0
PARABOLA = graph_patch(CENTRE + 5 * NORMAL, NORMAL, HALF, parabola_heights(RISE))


@pytest.mark.parametrize("name", NAMES)
def test_a_parabolic_patch_takes_its_integral_of_a_ball(name):
    middle = CENTRE + [0.31, 0.17, 0.43]
    liver = liver_in(grid_of(name, [RADIUS / 3**0.5] * 3, 1.0, centre=middle), ball(RADIUS))
    share = beyond_surface(PARABOLA, liver).sum() / liver.voxels.sum()
    assert share == pytest.approx(beyond_parabola_share(RADIUS, RISE / HALF**2, 5.0), abs=2e-4)


def test_coarse_voxels_take_it_in_the_mean_and_one_by_one():
    errors = []
    u, _, n = frame(NORMAL)
    for seed, name in enumerate(NAMES * 4):
        middle = CENTRE + np.random.default_rng(seed).uniform(-2, 2, 3)
        spacing = 5.0 * abs(np.linalg.det(STEPS[name])) ** (1 / 3) / np.linalg.norm(STEPS[name], axis=0).max()
        liver = liver_in(grid_of(name, [RADIUS / 3**0.5] * 3, spacing, centre=middle), ball(RADIUS))
        goes = beyond_surface(PARABOLA, liver)
        x = inside_points(liver) - CENTRE - 5 * NORMAL
        # What is left is the counting of voxels by their centres, as of a plane.
        assert abs(goes.sum() - (x @ n > RISE / HALF**2 * (x @ u) ** 2).sum()) <= 6
        errors.append(goes.sum() / liver.voxels.sum() - beyond_parabola_share(RADIUS, RISE / HALF**2, 5.0))
    assert np.abs(errors).max() < 1e-3
    assert abs(np.mean(errors)) < 2e-4


def test_a_parabolic_patch_at_a_fine_spacing():
    radius, half, rise = 45.0, 60.0, 15.0
    liver = liver_in(grid_of("oblique", [radius / 3**0.5] * 3, 0.7), ball(radius))
    patch = graph_patch(CENTRE - 3 * NORMAL, NORMAL, half, parabola_heights(rise))
    share = beyond_surface(patch, liver).sum() / liver.voxels.sum()
    assert share == pytest.approx(beyond_parabola_share(radius, rise / half**2, -3.0), abs=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_closed_sphere_takes_the_lens_it_shares_with_a_ball(name):
    big, small, apart = 55.0, 35.0, 40.0
    liver = liver_in(grid_of(name, [big / 3**0.5] * 3, 1.2), ball(big))
    sphere = icosphere(CENTRE + apart * NORMAL, small, 5)
    lens = (
        math.pi
        * (big + small - apart) ** 2
        * (apart**2 + 2 * apart * (big + small) - 3 * (big - small) ** 2)
        / (12 * apart)
    )
    goes = beyond_surface(sphere, liver)
    share = lens / (4 / 3 * math.pi * big**3)
    assert goes.sum() / liver.voxels.sum() == pytest.approx(share, abs=3e-4)
    # Facing inwards, all else goes.
    assert np.array_equal(beyond_surface(sphere.flipped(), liver), liver.voxels & ~goes)


@pytest.mark.parametrize("name", NAMES)
def test_closed_triangles_take_what_they_wind_around(name):
    liver = liver_in(grid_of(name, [22] * 3, 3.0), two_lobes(20, 20))
    middle = CENTRE + [7, 3, -4]
    sphere = icosphere(middle, 17, 2)
    points = inside_points(liver)
    assert np.array_equal(beyond_surface(sphere, liver)[liver.voxels], winding(sphere, points) > 0.5)
    hollow = TriangleSurface(
        np.concatenate([sphere.vertices_mm, (sphere.vertices_mm + middle) / 2]),
        np.concatenate([sphere.triangles, sphere.triangles[:, ::-1] + len(sphere.vertices_mm)]),
    )
    assert np.array_equal(beyond_surface(hollow, liver)[liver.voxels], winding(hollow, points) > 0.5)


def test_a_closed_surface_around_the_whole_liver_takes_it():
    liver = liver_in(grid_of("oblique", [20] * 3, 3.0), ball(18))
    sphere = icosphere(CENTRE, 30, 2)
    assert np.array_equal(beyond_surface(sphere, liver), liver.voxels)
    with pytest.raises(PlanError, match="leaves no liver"):
        resect(liver, ResectionPlan((Stage("one", (SurfaceResection(sphere),)),)))


def test_faces_through_voxel_centres_belong_to_what_stays():
    grid = Grid((12, 12, 12), np.eye(4))
    liver = Liver(grid, np.ones(grid.shape, dtype=bool), grid, (0, 0, 0))
    mesh = box_mesh((2.0, 3.0, 4.0), (8.0, 9.0, 7.0))
    expected = np.zeros(grid.shape, dtype=bool)
    expected[3:8, 4:9, 5:7] = True
    assert np.array_equal(beyond_surface(mesh, liver), expected)
    wider = np.ones(grid.shape, dtype=bool)
    wider[2:9, 3:10, 4:8] = False
    assert np.array_equal(beyond_surface(mesh.flipped(), liver), wider)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    seed=st.integers(0, 2**32 - 1),
    rough=st.sampled_from([0.0, 2.0, 12.0]),
    count=st.integers(2, 9),
    full=st.sampled_from([0.3, 0.7, 1.0]),
)
def test_a_rough_sheet_takes_what_lies_above_it(name, seed, rough, count, full):
    rng = np.random.default_rng(seed)
    grid = grid_of(name, [13] * 3, 2.5, centre=CENTRE + rng.uniform(-1, 1, 3))
    # Sparse livers are in many parts, most of which the sheet does not touch.
    liver = liver_in(grid, lambda x: ball(20)(x) & (rng.uniform(size=grid.shape) <= full))
    normal = rng.normal(size=3)
    u, v, n = frame(normal)
    point = CENTRE + rng.uniform(-8, 8) * n
    heights = rng.normal(0, rough, (count, count + 1))
    mesh = sheet_mesh(point, normal, 32, heights)
    x = inside_points(liver) - point
    above = x @ n - sheet_height(32, heights, x @ u, x @ v)
    assume((above > 0).any() and (above < 0).any())
    goes = beyond_surface(mesh, liver)[liver.voxels]
    assert np.array_equal(goes, above > 0)
    assert np.array_equal(beyond_surface(mesh.flipped(), liver)[liver.voxels], above < 0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), axis=st.integers(0, 2))
def test_corners_and_edges_on_voxel_centres(seed, axis):
    # Whole heights over whole places: lines run through corners and edges, and faces through centres.
    rng = np.random.default_rng(seed)
    grid = Grid((9, 9, 9), np.eye(4))
    liver = Liver(grid, np.ones(grid.shape, dtype=bool), grid, (0, 0, 0))
    heights = rng.integers(1, 8, (11, 11)).astype(float)
    places = np.stack(np.meshgrid(np.arange(-1, 10), np.arange(-1, 10), indexing="ij"), axis=-1)
    corners = np.concatenate([places, heights[..., None]], axis=-1).reshape(-1, 3)
    mesh = sheet_mesh(np.zeros(3), [0, 0, 1], 5, heights)
    mesh = TriangleSurface(np.roll(corners, axis + 1, axis=1), mesh.triangles)
    index = np.roll(np.argwhere(liver.voxels), -axis - 1, axis=1)
    above = index[:, 2] - heights[index[:, 0] + 1, index[:, 1] + 1]
    assert np.array_equal(beyond_surface(mesh, liver)[liver.voxels], above > 0)
    assert np.array_equal(beyond_surface(mesh.flipped(), liver)[liver.voxels], above < 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_bent_patch_takes_what_lies_above_it(name):
    half, heights = 70.0, np.random.default_rng(5).normal(0, 18, (4, 4))
    liver = liver_in(grid_of(name, [40] * 3, 3.0), ellipsoid(45, 40, 35))
    patch = graph_patch(CENTRE, NORMAL, half, heights)
    u, v, n = frame(NORMAL)
    x = inside_points(liver) - CENTRE
    s, t = ((x @ w + half) / (2 * half) for w in (u, v))
    bernstein = [
        np.stack([math.comb(3, k) * r**k * (1 - r) ** (3 - k) for k in range(4)], axis=1) for r in (s, t)
    ]
    above = x @ n - np.einsum("ni,ij,nj->n", bernstein[0], heights, bernstein[1])
    goes = beyond_surface(patch, liver)[liver.voxels]
    assert np.abs(above[goes != (above > 0)]).max(initial=0) <= 0.02 * 3
    assert (goes != (above > 0)).sum() <= 2


def test_moving_the_patient_moves_nothing():
    heights = np.random.default_rng(8).normal(0, 10, (4, 4))
    grid = grid_of("gantry tilt", [25] * 3, 3.0)
    liver = liver_in(grid, two_lobes(22, 20))
    patch = graph_patch(CENTRE, NORMAL, 60, heights)
    goes = beyond_surface(patch, liver)
    turn, shift = rotation(3), np.array([100.0, -70.0, 33.0])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn, shift
    moved = Grid(grid.shape, affine @ grid.affine)
    liver = Liver(moved, liver.voxels, moved, (0, 0, 0))
    turned = BezierSurface(patch.control_mm @ turn.T + shift)
    assert np.array_equal(beyond_surface(turned, liver), goes)


@pytest.mark.parametrize("axis", range(3))
def test_numbering_the_voxels_the_other_way_round_changes_nothing(axis):
    heights = np.random.default_rng(9).normal(0, 10, (4, 4))
    grid = grid_of("oblique", [25] * 3, 3.0)
    liver = liver_in(grid, two_lobes(22, 20))
    patch = graph_patch(CENTRE, NORMAL, 60, heights)
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, axis] * (grid.shape[axis] - 1)
    affine[:3, axis] *= -1
    turned = Grid(grid.shape, affine)
    other = Liver(turned, np.flip(liver.voxels, axis), turned, (0, 0, 0))
    assert np.array_equal(np.flip(beyond_surface(patch, other), axis), beyond_surface(patch, liver))


def test_a_plan_with_a_surface_conserves_the_liver():
    liver = liver_in(grid_of("axial", [30] * 3, 2.5), two_lobes(30, 20))
    patch = graph_patch(CENTRE, NORMAL, 70, parabola_heights(8))
    partition = resect(liver, ResectionPlan((Stage("one", (SurfaceResection(patch, "patch"),)),)))
    assert sum(piece.count for piece in partition.pieces) == liver.voxels.sum()
    assert partition.pieces[1].count == beyond_surface(patch, liver).sum()
    assert partition.pieces[1].title == "resection beyond patch"


def test_parts_of_rows_are_the_voxels_beyond():
    liver = liver_in(grid_of("sagittal", [30] * 3, 2.5), two_lobes(30, 20))
    patch = graph_patch(CENTRE, NORMAL, 70, parabola_heights(8))
    lines, same = lines_of(liver), lines_of_rows(tabulate(liver))
    for name in ("line", "begin", "end", "pointer"):
        assert np.array_equal(getattr(lines.solid, name), getattr(same.solid, name))
    assert all(np.array_equal(a, b) for a, b in zip(lines.beside, same.beside, strict=True))
    found = surface_parts(patch, lines)
    goes = beyond_surface(patch, liver)[lines.box]
    flat = goes.ravel(order="F")
    ends = found.places()
    assert (np.diff(ends) >= 0).all()
    assert sum(flat[a:b].sum() for a, b in ends.reshape(-1, 2)) == flat.sum()
    assert (ends[1::2] - ends[::2]).sum() == flat.sum()
    parts = found.parts
    assert (parts.end - parts.begin).sum() == liver.voxels.sum()


def test_a_part_beside_the_surface_takes_the_side_of_the_nearest_point():
    grid = Grid((30, 30, 30), np.diag([2.0, 2.0, 2.0, 1.0]))
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[5:15, 5:25, 5:25] = True
    voxels[18:20, 5:8, 5:8] = True
    voxels[18:20, 5:8, 22:25] = True
    liver = Liver(grid, voxels, grid, (0, 0, 0))
    # It ends between the large part and the two small ones, one above and one below its plane.
    patch = BezierSurface(
        np.array([[[x, y, 30.5] for y in np.linspace(-20, 80, 4)] for x in np.linspace(-20, 32, 4)])
    )
    goes = beyond_surface(patch, liver)
    assert np.array_equal(goes, beyond_plane(liver, [0, 0, 30.5], [0, 0, 1]))


def test_a_fold_outside_the_liver_and_a_double_layer_within_a_step_do_not_matter():
    grid = Grid((20, 20, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[4:16, 4:16, 4:16] = True
    liver = Liver(grid, voxels, grid, (0, 0, 0))
    # A sheet that doubles back on itself between two layers of voxels: up, down, up again.
    profile = [(-10.0, 15.0), (20.0, 15.5), (18.0, 15.2), (60.0, 15.9)]
    corners = np.array([[(x, y, z) for x, z in profile] for y in (-10.0, 60.0)]).reshape(-1, 3)
    strips = [(0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6)]
    mesh = TriangleSurface(corners, [t for a, b, c, d in strips for t in ((a, b, c), (a, c, d))])
    assert np.array_equal(beyond_surface(mesh, liver), beyond_plane(liver, [0, 0, 15.5], [0, 0, 1]))


def refusal(surface, liver):
    with pytest.raises(PlanError) as caught:
        beyond_surface(surface, liver)
    return caught.value


LIVER = liver_in(grid_of("gantry tilt", [30] * 3, 3.0), ball(45))


def test_a_surface_that_misses_the_liver_is_refused_with_its_distance():
    error = refusal(graph_patch(CENTRE + 70 * NORMAL, NORMAL, 40, np.zeros((4, 4))), LIVER)
    assert error.reason == "surface_misses_liver"
    assert "no closer than about 25." in error.message
    error = refusal(icosphere(CENTRE + 80 * NORMAL, 20, 1), LIVER)
    assert error.reason == "surface_misses_liver"


def test_a_surface_that_ends_inside_the_liver_is_refused_where_it_leaks():
    u, v, _ = frame(NORMAL)
    corner = BezierSurface(
        CENTRE + np.linspace(-80, 20, 4)[:, None, None] * u + np.linspace(-80, 80, 4)[None, :, None] * v
    )
    error = refusal(corner, LIVER)
    assert error.reason == "surface_leaks"
    place = np.array([float(x) for x in error.message.split("at (")[1].split(")")[0].split(",")])
    assert (place - CENTRE) @ u == pytest.approx(20, abs=1)
    assert float(error.message.split("deepest, ")[1].split(" mm")[0]) == pytest.approx(25, abs=3)
    assert float(error.message.split("liver: ")[1].split(" mm")[0]) == pytest.approx(81, abs=7)


def test_a_hole_is_a_leak():
    mesh = sheet_mesh(CENTRE, NORMAL, 80, np.zeros((11, 11)))
    middle = mesh.vertices_mm[mesh.triangles].mean(axis=1)
    hole = np.linalg.norm(middle - CENTRE, axis=1) < 14
    error = refusal(TriangleSurface(mesh.vertices_mm, mesh.triangles[~hole]), LIVER)
    assert error.reason == "surface_leaks"


def test_two_sheets_that_face_the_same_way_contradict_each_other():
    one, other = (sheet_mesh(CENTRE + d * NORMAL, NORMAL, 80, np.zeros((3, 3))) for d in (-10, 10))
    both = TriangleSurface(
        np.concatenate([one.vertices_mm, other.vertices_mm]),
        np.concatenate([one.triangles, other.triangles + len(one.vertices_mm)]),
    )
    error = refusal(both, LIVER)
    assert error.reason == "contradictory_surface"
    place = np.array([float(x) for x in error.message.split("near (")[1].split(")")[0].split(",")])
    assert abs((place - CENTRE) @ NORMAL) < 13
    # Facing apart, what lies beyond either goes.
    apart = TriangleSurface(both.vertices_mm, np.concatenate([one.triangles[:, ::-1], both.triangles[8:]]))
    x = inside_points(LIVER) - CENTRE
    assert np.array_equal(beyond_surface(apart, LIVER)[LIVER.voxels], np.abs(x @ NORMAL) > 10)


def test_triangles_that_do_not_face_the_same_way_are_refused():
    mesh = sheet_mesh(CENTRE, NORMAL, 80, np.zeros((5, 5)))
    mixed = mesh.triangles.copy()
    mixed[3] = mixed[3][::-1]
    error = refusal(TriangleSurface(mesh.vertices_mm, mixed), LIVER)
    assert error.reason == "inconsistent_orientation"


def test_triangles_without_area_are_refused():
    flat = TriangleSurface([CENTRE, CENTRE + NORMAL, CENTRE + 2 * NORMAL], [[0, 1, 2]])
    assert refusal(flat, LIVER).reason == "zero_area"
    line = BezierSurface(CENTRE + np.arange(16).reshape(4, 4, 1) * NORMAL)
    assert refusal(line, LIVER).reason == "zero_area"


def test_a_sphere_with_an_open_sheet_beside_it_is_refused():
    ball_mesh, sheet = icosphere(CENTRE, 20, 1), sheet_mesh(CENTRE, NORMAL, 80, np.zeros((3, 3)))
    both = TriangleSurface(
        np.concatenate([ball_mesh.vertices_mm, sheet.vertices_mm]),
        np.concatenate([ball_mesh.triangles, sheet.triangles + len(ball_mesh.vertices_mm)]),
    )
    error = refusal(both, LIVER)
    assert error.reason == "open_surface"


def test_vertices_given_once_for_each_triangle_as_in_stl_make_one_surface():
    sphere = icosphere(CENTRE + 30 * NORMAL, 35, 2)
    corners = sphere.vertices_mm[sphere.triangles].reshape(-1, 3)
    loose = TriangleSurface(corners, np.arange(len(corners)).reshape(-1, 3))
    assert np.array_equal(beyond_surface(loose, LIVER), beyond_surface(sphere, LIVER))


def test_a_curve_is_cut_like_a_surface():
    u, v, n = frame(NORMAL)
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)[:, None]
    curve = ClosedCurve(CENTRE + 44.5 * (np.cos(turn) * u + np.sin(turn) * v))
    assert np.array_equal(beyond_surface(curve, LIVER), beyond_plane(LIVER, CENTRE, n))
    assert np.array_equal(beyond_surface(curve.flipped(), LIVER), beyond_plane(LIVER, CENTRE, -n))

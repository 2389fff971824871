"""Surfaces as values: what they are made of, which way they face, and how patches become triangles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import PlanError
from flr_volumetry.resection import BezierSurface, ClosedCurve, TriangleSurface
from flr_volumetry.resection.surfaces import CHORD_MM
from tests.resection.shapes import CENTRE, NORMAL, box_mesh, frame, graph_patch, icosphere, sheet_mesh


def reason_of(make):
    with pytest.raises(PlanError) as caught:
        make()
    return caught.value.reason


def bernstein(t):
    return np.stack([math.comb(3, k) * t**k * (1 - t) ** (3 - k) for k in range(4)], axis=-1)


def test_a_box_is_closed_and_encloses_its_volume():
    box = box_mesh(CENTRE, CENTRE + [20, 30, 40])
    assert box.is_closed
    assert box.enclosed_ml == pytest.approx(24)
    assert box.flipped().enclosed_ml == pytest.approx(-24)
    assert box.area_mm2 == pytest.approx(2 * (600 + 800 + 1200))
    assert box.border_mm.shape == (0, 2, 3)


def test_an_open_sheet_has_a_border_and_no_volume():
    sheet = sheet_mesh(CENTRE, NORMAL, 10, np.zeros((3, 4)))
    assert not sheet.is_closed
    assert sheet.area_mm2 == pytest.approx(400)
    border = sheet.border_mm
    assert np.linalg.norm(border[:, 1] - border[:, 0], axis=1).sum() == pytest.approx(80)
    # As the triangles run, so does the border: counter-clockwise.
    around = np.cross(border[:, 0] - CENTRE, border[:, 1] - CENTRE).sum(axis=0) / 2
    assert around @ NORMAL == pytest.approx(400)
    assert reason_of(lambda: sheet.enclosed_ml) == "open_surface"


def test_vertices_at_one_place_are_one():
    sphere = icosphere(CENTRE, 10, 2)
    loose = TriangleSurface(
        np.concatenate([sphere.vertices_mm[sphere.triangles].reshape(-1, 3), [CENTRE]]),
        np.arange(3 * len(sphere.triangles)).reshape(-1, 3),
    )
    assert loose.is_closed
    tidied = loose.tidied()
    assert len(tidied.vertices_mm) == len(sphere.vertices_mm)
    assert tidied.enclosed_ml == pytest.approx(sphere.enclosed_ml)
    zero = TriangleSurface([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [-0.0, 0, 0]], [[0, 1, 2], [0, 3, 1]])
    assert len(zero.tidied().triangles) == 1


def test_triangles_are_turned_to_face_as_most_of_their_sheet_do():
    sphere = icosphere(CENTRE, 10, 2)
    rng = np.random.default_rng(1)
    mixed = sphere.triangles.copy()
    turned = rng.choice(len(mixed), len(mixed) // 3, replace=False)
    mixed[turned] = mixed[turned][:, ::-1]
    outward = TriangleSurface(sphere.vertices_mm, mixed).consistent()
    assert outward.enclosed_ml == pytest.approx(sphere.enclosed_ml)
    inward = TriangleSurface(sphere.vertices_mm, mixed[:, ::-1]).consistent()
    assert inward.enclosed_ml == pytest.approx(-sphere.enclosed_ml)
    two = TriangleSurface(
        np.concatenate([sphere.vertices_mm, sphere.vertices_mm + 50]),
        np.concatenate([mixed, mixed[:, ::-1] + len(sphere.vertices_mm)]),
    )
    assert two.consistent().enclosed_ml == pytest.approx(0, abs=1e-9)


def test_a_moebius_strip_has_no_two_sides():
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    middle = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1) * 50
    across = np.cos(turn / 2)[:, None] * middle / 50 + np.sin(turn / 2)[:, None] * [0, 0, 1]
    ends = np.stack([middle + 8 * across, middle - 8 * across], axis=1).reshape(-1, 3)
    strip = []
    for n in range(24):
        a, b = 2 * n, 2 * n + 1
        c, d = (2 * n + 2, 2 * n + 3) if n < 23 else (1, 0)
        strip += [(a, b, c), (b, d, c)]
    moebius = TriangleSurface(ends, strip)
    assert reason_of(moebius.consistent) == "inconsistent_orientation"


def test_three_triangles_at_an_edge_are_no_surface():
    corners = [[0, 0, 0], [0, 0, 9], [9, 0, 0], [0, 9, 0], [-9, -9, 0]]
    fan = TriangleSurface(corners, [[0, 1, 2], [0, 1, 3], [0, 1, 4]])
    assert reason_of(fan.consistent) == "inconsistent_orientation"


def test_a_surface_is_turned_towards_a_point():
    u, v, n = frame(NORMAL)
    sheet = sheet_mesh(CENTRE, NORMAL, 20, np.zeros((4, 4)))
    patch = graph_patch(CENTRE, NORMAL, 20, np.zeros((4, 5)))
    turn = np.linspace(0, 2 * np.pi, 9, endpoint=False)[:, None]
    curve = ClosedCurve(CENTRE + 20 * (np.cos(turn) * u + np.sin(turn) * v))

    def up(surface):
        mesh = surface if isinstance(surface, TriangleSurface) else surface.mesh()
        a, b, c = mesh.vertices_mm[mesh.triangles[0]]
        return np.cross(b - a, c - a) @ n > 0

    for surface in (sheet, patch, curve):
        assert up(surface)
        assert not up(surface.flipped())
        assert up(surface.flipped().flipped())
        for turned in (surface, surface.flipped()):
            assert up(turned.towards(CENTRE + 5 * n + 3 * u))
            assert not up(turned.towards(CENTRE - 5 * n + 3 * u))
            # To one side, beyond the border, it is the plane that decides.
            assert up(turned.towards(CENTRE + 5 * n + 40 * v))
        assert reason_of(lambda s=surface: s.towards(CENTRE + 3 * u)) == "no_side"
        assert reason_of(lambda s=surface: s.towards(CENTRE + 50 * u)) == "no_side"
        with pytest.raises(PlanError):
            surface.towards([0, math.nan, 0])


def test_a_closed_surface_is_turned_so_that_a_point_goes():
    sphere = icosphere(CENTRE, 20, 2)
    for surface in (sphere, sphere.flipped()):
        assert surface.towards(CENTRE + [3, 0, 0]).enclosed_ml > 0
        assert surface.towards(CENTRE + [33, 0, 0]).enclosed_ml < 0


@pytest.mark.parametrize(
    ("vertices", "triangles"),
    [
        ([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]]),
        ([[0, 0, 0], [1, 0, 0], [0, math.inf, 0]], [[0, 1, 2]]),
        ([[0, 0, 0], [1, 0, 0], [0, 1e9, 0]], [[0, 1, 2]]),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 3]]),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, -1]]),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0.0, 1.0, 2.0]]),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1]]),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.zeros((0, 3), dtype=int)),
    ],
)
def test_what_is_no_mesh_is_refused(vertices, triangles):
    with pytest.raises(PlanError):
        TriangleSurface(vertices, triangles)


def test_values_cannot_be_written_to_and_keep_no_tie_to_what_they_were_made_from():
    control = np.random.default_rng(0).normal(size=(4, 4, 3))
    patch = BezierSurface(control, np.ones((4, 4)))
    control[0, 0, 0] = 99
    assert patch.control_mm[0, 0, 0] != 99
    for array in (patch.control_mm, patch.weights, ClosedCurve(control.reshape(-1, 3)).points_mm):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_what_is_no_patch_or_no_curve_is_refused():
    flat = np.zeros((4, 4, 3))
    assert reason_of(lambda: BezierSurface(flat[:3])) == "too_few_points"
    assert reason_of(lambda: BezierSurface(flat, np.ones((4, 5)))) == "bad_weights"
    assert reason_of(lambda: BezierSurface(flat, np.zeros((4, 4)))) == "bad_weights"
    assert reason_of(BezierSurface(flat).mesh) == "zero_area"
    with pytest.raises(PlanError):
        BezierSurface(np.full((4, 4, 3), math.nan))
    assert reason_of(lambda: ClosedCurve([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]])) == "too_few_points"
    assert reason_of(lambda: ClosedCurve([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]])) == "too_few_points"
    for chord in (0, -1, math.nan):
        with pytest.raises(PlanError):
            graph_patch(CENTRE, NORMAL, 20, np.zeros((4, 4))).mesh(chord_mm=chord)
    wild = graph_patch(CENTRE, NORMAL, 20, np.random.default_rng(1).normal(0, 1e5, (4, 4)))
    assert reason_of(wild.mesh) == "too_bent"


def de_boor(control, degree, u):
    """Point of a clamped uniform B-spline curve, by de Boor's algorithm."""
    spans = len(control) - degree
    knots = [0] * degree + list(range(spans + 1)) + [spans] * degree
    k = min(int(u), spans - 1) + degree
    d = [np.array(control[j + k - degree]) for j in range(degree + 1)]
    for r in range(1, degree + 1):
        for j in range(degree, r - 1, -1):
            low, high = knots[j + k - degree], knots[j + 1 + k - r]
            share = (u - low) / (high - low)
            d[j] = (1 - share) * d[j - 1] + share * d[j]
    return d[degree]


def patch_point(control, weights, u, v):
    """Point of a patch, recomputed."""
    lifted = np.concatenate([control * weights[..., None], weights[..., None]], axis=2)
    x = de_boor([de_boor(row, 3, v) for row in lifted], 3, u)
    return x[:3] / x[3]


def grid_shape(mesh, patch):
    """Corners of a mesh of a patch, by rows and columns: the first triangle names the second row."""
    columns = int(mesh.triangles[0, 1])
    return len(mesh.vertices_mm) // columns, columns


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(4, 4), (4, 6), (7, 5)]),
    rational=st.booleans(),
    chord=st.sampled_from([0.02, 0.5]),
)
def test_triangles_keep_to_the_chord(seed, shape, rational, chord):
    rng = np.random.default_rng(seed)
    flat = np.stack(np.meshgrid(*(np.linspace(-30, 30, n) for n in shape), indexing="ij"), axis=-1)
    control = np.concatenate([flat, np.zeros((*shape, 1))], axis=2) + rng.normal(0, 6, (*shape, 3))
    weights = rng.uniform(0.5, 2, shape) if rational else np.ones(shape)
    patch = BezierSurface(control, weights if rational else None)
    mesh = patch.mesh(chord_mm=chord)
    rows, columns = grid_shape(mesh, patch)
    corners = mesh.vertices_mm.reshape(rows, columns, 3)
    spans = np.array(shape) - 3
    for _ in range(60):
        i, j = rng.integers(rows - 1), rng.integers(columns - 1)
        s, t = rng.uniform(size=2)
        here, down, right, far = corners[i, j], corners[i + 1, j], corners[i, j + 1], corners[i + 1, j + 1]
        flat_point = (
            here + s * (down - here) + t * (right - here)
            if s + t < 1
            else far + (1 - s) * (right - far) + (1 - t) * (down - far)
        )
        u, v = (i + s) / (rows - 1) * spans[0], (j + t) / (columns - 1) * spans[1]
        assert np.linalg.norm(flat_point - patch_point(control, weights, u, v)) <= chord


def test_a_patch_of_four_by_four_is_the_bezier_patch():
    control = np.random.default_rng(2).normal(0, 20, (4, 4, 3))
    mesh = BezierSurface(control).mesh()
    rows, columns = grid_shape(mesh, control)
    u, v = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    exact = np.einsum("abi,ijx,abj->abx", bernstein(u), control, bernstein(v))
    assert np.linalg.norm(mesh.vertices_mm.reshape(rows, columns, 3) - exact, axis=2).max() < CHORD_MM


def test_a_flat_patch_takes_few_triangles_and_a_finer_chord_more():
    assert len(graph_patch(CENTRE, NORMAL, 50, np.zeros((4, 4))).mesh().triangles) == 8
    bent = graph_patch(CENTRE, NORMAL, 50, np.random.default_rng(3).normal(0, 10, (4, 4)))
    coarse, fine = (len(bent.mesh(chord_mm=c).triangles) for c in (0.2, 0.002))
    assert 50 < fine / coarse < 200


def test_the_volume_under_a_curved_patch_comes_out_even():
    # A paraboloid: chords alone would lose (h^2 + k^2) / 12 of its curvature everywhere.
    half, chord = 40.0, 1.0
    q = np.array([1, -1 / 3, -1 / 3, 1])
    patch = graph_patch(np.zeros(3), [0, 0, 1], half, 15 * (q[:, None] + q[None, :]))
    mesh = patch.mesh(chord_mm=chord)
    a, b, c = mesh.vertices_mm[mesh.triangles.T]
    across = np.cross(b - a, c - a)[:, 2] / 2
    _, _, n = frame([0, 0, 1])
    volume = (across * (a + b + c)[:, 2] / 3).sum() * n[2]
    exact = (2 * half) ** 2 * 2 * 15 / 3
    assert volume == pytest.approx(exact, rel=2e-3)


def test_equal_weights_change_nothing_and_heavy_ones_draw_near():
    control = graph_patch(CENTRE, NORMAL, 30, np.random.default_rng(4).normal(0, 10, (5, 4))).control_mm
    plain, same = BezierSurface(control).mesh(), BezierSurface(control, np.full((5, 4), 3.0)).mesh()

    def nearest(mesh):
        return np.linalg.norm(mesh.vertices_mm - control[2, 2], axis=1).min()

    assert nearest(plain) == pytest.approx(nearest(same), abs=0.2)
    weights = np.ones((5, 4))
    weights[2, 2] = 8
    assert nearest(BezierSurface(control, weights).mesh(chord_mm=0.2)) < nearest(plain) / 2


def test_a_rational_patch_can_be_a_cylinder():
    # Cubic form of a quarter circle, in rows: weights 1, (1 + sqrt 2) / 3 twice, 1.
    w = (1 + 2**0.5) / 3
    lifted = np.array([(1, 0, 1), (w, 2**0.5 / 3, w), (2**0.5 / 3, w, w), (0, 1, 1)])
    arc = np.concatenate([50 * lifted[:, :2] / lifted[:, 2:], np.zeros((4, 1))], axis=1)
    control = arc[:, None, :] + np.linspace(0, 30, 4)[None, :, None] * [0, 0, 1]
    mesh = BezierSurface(control, np.repeat(lifted[:, 2:], 4, axis=1)).mesh()
    radius = np.linalg.norm(mesh.vertices_mm[:, :2], axis=1)
    assert np.abs(radius - 50).max() < CHORD_MM
    middle = mesh.vertices_mm[mesh.triangles].mean(axis=1)
    assert np.abs(np.linalg.norm(middle[:, :2], axis=1) - 50).max() < CHORD_MM

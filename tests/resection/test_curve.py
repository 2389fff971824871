"""Closed curves drawn on a liver: the sheet that spans them, and how far it goes on."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import PlanError
from flr_volumetry.resection import ClosedCurve, Plane, beyond
from flr_volumetry.resection.mesh_cut import beyond_surface
from flr_volumetry.resection.topology import border_of
from tests.grids import STEPS
from tests.resection.shapes import (
    CENTRE,
    NORMAL,
    ball,
    ellipsoid,
    frame,
    grid_of,
    inside_points,
    liver_in,
    two_lobes,
)

NAMES = sorted(STEPS)
U, V, N = frame(NORMAL)


def ring(radius, count=24, *, rise=0.0, waves=2, point=CENTRE):
    """A circle across the normal, rising and falling as it goes."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)[:, None]
    return point + radius * (np.cos(turn) * U + np.sin(turn) * V) + rise * np.cos(waves * turn) * N


def refusal(points, liver):
    with pytest.raises(PlanError) as caught:
        beyond_surface(ClosedCurve(points), liver)
    return caught.value


def place_in(error):
    return np.array([float(x) for x in error.message.split("near (")[1].split(")")[0].split(",")])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("off", [-4.0, 0.0, 6.0])
def test_a_flat_curve_cuts_the_voxels_of_its_plane(name, off):
    liver = liver_in(grid_of(name, [30] * 3, 2.5), ball(45))
    point = CENTRE + 10 * N
    curve = ClosedCurve(ring((45**2 - 100) ** 0.5 + off, point=point))
    plane = beyond(Plane(point, N), liver.grid) & liver.voxels
    assert np.array_equal(beyond_surface(curve, liver), plane)


def test_a_flat_curve_through_voxel_centres_leaves_them():
    liver = liver_in(grid_of("axial", [30] * 3, 2.5), ball(40))
    turn = np.linspace(0, 2 * np.pi, 30, endpoint=False)[:, None]
    curve = ClosedCurve(CENTRE + 41 * (np.cos(turn) * [1, 0, 0] + np.sin(turn) * [0, 1, 0]))
    goes, other = beyond_surface(curve, liver), beyond_surface(curve.flipped(), liver)
    assert np.array_equal(goes, beyond(Plane(CENTRE, [0, 0, 1]), liver.grid) & liver.voxels)
    assert (liver.voxels & ~(goes | other)).any()


def test_only_what_the_curve_encloses_is_cut():
    # Two lobes with a gap; a curve around one of them.
    shift = np.array([40.0, 0, 0])
    liver = liver_in(grid_of("sagittal", [45] * 3, 2.5), lambda x: ball(30)(x - shift) | ball(30)(x + shift))
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)[:, None]
    around = CENTRE + shift + 30.5 * (np.cos(turn) * [0, 1, 0] + np.sin(turn) * [0, 0, 1])
    goes = beyond_surface(ClosedCurve(around), liver)
    x = inside_points(liver) - CENTRE
    assert np.array_equal(goes[liver.voxels], x[:, 0] > 40)


@pytest.mark.parametrize("name", NAMES)
def test_a_saddle_is_spanned_by_its_harmonic_sheet(name):
    radius, rise = 45.0, 9.0
    liver = liver_in(grid_of(name, [30] * 3, 1.5), ball(radius))
    goes = beyond_surface(ClosedCurve(ring(radius, rise=rise)), liver)[liver.voxels]
    x = inside_points(liver) - CENTRE
    a, b, height = x @ U, x @ V, x @ N
    above = height - rise * (a**2 - b**2) / radius**2
    within = a**2 + b**2 < (0.98 * radius) ** 2
    wrong = goes != (above > 0)
    assert np.abs(above[wrong & within]).max(initial=0) < 0.03
    # By symmetry half of the ball goes.
    assert goes.mean() == pytest.approx(0.5, abs=1e-3)


def test_three_waves_are_followed_too():
    radius, rise = 40.0, 6.0
    mesh = ClosedCurve(ring(radius, 36, rise=rise, waves=3)).mesh()
    x = mesh.vertices_mm - CENTRE
    a, b = x @ U, x @ V
    assert x @ N == pytest.approx(rise * (a**3 - 3 * a * b**2) / radius**3, abs=0.03)
    assert np.hypot(a, b).max() == pytest.approx(radius, abs=0.05)


def test_an_off_centre_ellipse_keeps_its_area_and_goes_on_as_far_as_asked():
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)[:, None]
    curve = ClosedCurve(CENTRE + 50 * np.cos(turn) * U + 20 * np.sin(turn) * V)
    assert curve.mesh().area_mm2 == pytest.approx(np.pi * 50 * 20, rel=2e-3)
    wider = curve.mesh(beyond_mm=6.0)
    x = wider.vertices_mm - CENTRE
    assert np.abs(x @ N).max() < 1e-9
    border = wider.vertices_mm[border_of(wider.triangles)].mean(axis=1) - CENTRE
    seen = border @ np.stack([U, V]).T
    gap = np.linalg.norm(seen[:, None] - ellipse(400), axis=2).min(axis=1)
    assert gap.min() > 5.0
    assert gap.max() < 10.0


def ellipse(count):
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([50 * np.cos(turn), 20 * np.sin(turn)], axis=1)


def test_a_hollow_outline_is_not_bridged():
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)[:, None]
    radius = 40 * (1 + 0.55 * np.cos(2 * turn))
    curve = ClosedCurve(CENTRE + radius * (np.cos(turn) * U + np.sin(turn) * V))
    exact = np.pi * 40**2 * (1 + 0.55**2 / 2)
    assert curve.mesh().area_mm2 == pytest.approx(exact, rel=5e-3)
    mesh = curve.mesh()
    a, b, c = mesh.vertices_mm[mesh.triangles.T]
    assert (np.cross(b - a, c - a) @ N > 0).all()


def test_the_direction_of_the_curve_says_what_goes():
    liver = liver_in(grid_of("oblique", [30] * 3, 2.5), ellipsoid(45, 40, 35))
    curve = ClosedCurve(ring(50, point=CENTRE + 3 * N))
    plane = beyond(Plane(CENTRE + 3 * N, N), liver.grid) & liver.voxels
    assert np.array_equal(beyond_surface(curve, liver), plane)
    up = beyond_surface(curve.towards(CENTRE + 30 * N), liver)
    down = beyond_surface(curve.towards(CENTRE - 30 * N), liver)
    assert np.array_equal(up, beyond_surface(curve, liver))
    assert np.array_equal(down, liver.voxels & ~up)


def test_a_point_given_twice_and_a_closing_point_do_not_matter():
    liver = liver_in(grid_of("axial", [25] * 3, 2.5), ball(38))
    points = ring(39, 16)
    goes = beyond_surface(ClosedCurve(points), liver)
    twice = np.concatenate([points[:5], points[4:], points[:1]])
    assert np.array_equal(beyond_surface(ClosedCurve(twice), liver), goes)


def test_the_same_curve_gives_the_same_sheet_to_the_bit():
    points = ring(40, 17, rise=7)
    one, other = ClosedCurve(points).mesh(beyond_mm=4), ClosedCurve(points).mesh(beyond_mm=4)
    assert np.array_equal(one.vertices_mm, other.vertices_mm)
    assert np.array_equal(one.triangles, other.triangles)


LIVER = liver_in(grid_of("gantry tilt", [30] * 3, 2.5), ball(45))


def test_a_curve_deep_inside_the_liver_is_refused_where_it_is_deepest():
    points = ring(44)
    points[3] -= 0.5 * (points[3] - CENTRE)
    error = refusal(points, LIVER)
    assert error.reason == "curve_inside_liver"
    assert np.linalg.norm(place_in(error) - points[3]) < 8
    # A little inside is made good: the sheet is carried on.
    goes = beyond_surface(ClosedCurve(ring(38.5)), LIVER)
    assert np.array_equal(goes, beyond(Plane(CENTRE, N), LIVER.grid) & LIVER.voxels)
    assert refusal(ring(33), LIVER).reason == "curve_inside_liver"


def test_a_curve_off_the_liver_is_refused():
    points = ring(46)
    points[7] += 40 * (points[7] - CENTRE) / 46
    error = refusal(points, LIVER)
    assert error.reason == "curve_off_liver"
    assert "point 8 " in error.message
    assert beyond_surface(ClosedCurve(ring(60)), LIVER).any()


def test_a_curve_that_crosses_itself_is_refused_where_it_does():
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)[:, None]
    eight = CENTRE + 45 * np.sin(turn) * U + 40 * np.sin(2 * turn) * V + 1.0 * np.cos(turn) * N
    error = refusal(eight, LIVER)
    assert error.reason == "self_crossing_curve"
    assert np.linalg.norm(place_in(error) - CENTRE) < 3
    loop = ring(45)
    swapped = loop[[0, 1, 2, 7, 6, 5, 4, 3, *range(8, 24)]]
    assert refusal(swapped, LIVER).reason == "self_crossing_curve"


def test_a_curve_there_and_back_encloses_nothing():
    out = CENTRE + np.linspace(-45, 45, 7)[:, None] * U
    assert refusal(np.concatenate([out, out[-2:0:-1] + 1e-7 * V]), LIVER).reason in {
        "zero_area",
        "self_crossing_curve",
    }


def test_a_curve_seen_as_a_whole_only_from_aside_is_spanned():
    # Tipped over far enough, a ring with an overhang crosses itself in one view and not in another.
    turn = np.linspace(0, 2 * np.pi, 80, endpoint=False)[:, None]
    lean = 60 * np.exp(-(((turn - 1) / 0.35) ** 2)) * np.sin(6 * turn)
    points = CENTRE + 40 * (np.cos(turn) * U + np.sin(turn) * V) + 0.35 * lean * (N + 0.2 * U)
    mesh = ClosedCurve(points).mesh()
    assert len(mesh.border_mm) >= 128


def test_a_curve_that_winds_over_itself_is_refused():
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)[:, None]
    spiral = CENTRE + 30 * (np.cos(2 * turn) * U + np.sin(2 * turn) * V) + 25 * np.cos(turn) * N
    assert refusal(spiral, LIVER).reason in {"too_bent", "self_crossing_curve"}


def test_a_curve_on_two_lobes_meets_the_waist():
    liver = liver_in(grid_of("flipped", [35] * 3, 2.0), two_lobes(32, 44))
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)[:, None]
    waist = CENTRE + [-2.0, 0, 0] + 22.5 * (np.cos(turn) * [0, 1, 0] + np.sin(turn) * [0, 0, 1])
    goes = beyond_surface(ClosedCurve(waist), liver)[liver.voxels]
    x = inside_points(liver) - CENTRE
    assert np.array_equal(goes, x[:, 0] > -2.0)

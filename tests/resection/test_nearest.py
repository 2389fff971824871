"""Distances to surfaces, sides, and crossings: against spheres, boxes and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.resection import TriangleSurface
from flr_volumetry.resection.nearest import Nearest, near_part
from flr_volumetry.resection.sheet import bare
from flr_volumetry.resection.ways import crossings
from tests.resection.shapes import CENTRE, NORMAL, box_mesh, frame, icosphere, sheet_mesh, winding


def brute(surface, points, count=60):
    """Distances to a fine set of points of the triangles."""
    s, t = np.meshgrid(*(np.linspace(0, 1, count),) * 2)
    s, t = s[s + t <= 1 + 1e-9], t[s + t <= 1 + 1e-9]
    a, b, c = surface.vertices_mm[surface.triangles.T]
    filled = a[:, None] + s[None, :, None] * (b - a)[:, None] + t[None, :, None] * (c - a)[:, None]
    filled = filled.reshape(-1, 3)
    return np.array([np.linalg.norm(filled - p, axis=1).min() for p in points])


def box_distance(low, high, points):
    """Signed distance to a box, negative inside."""
    q = np.abs(points - (low + high) / 2) - (high - low) / 2
    return np.linalg.norm(np.maximum(q, 0), axis=1) + np.minimum(q.max(axis=1), 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), reach=st.sampled_from([3.0, 20.0, 200.0]))
def test_distances_to_a_box_are_exact_with_their_side(seed, reach):
    rng = np.random.default_rng(seed)
    low, high = CENTRE - rng.uniform(5, 30, 3), CENTRE + rng.uniform(5, 30, 3)
    box = box_mesh(low, high)
    corner = rng.integers(0, 2, (40, 3))
    points = np.where(corner, low, high) + rng.normal(0, reach, (40, 3))
    exact = box_distance(low, high, points)
    for surface, sign in ((box, 1), (box.flipped(), -1)):
        near = Nearest(bare(surface))
        depth, outward = near.depth_mm(points)
        # Of a closed surface what it encloses goes.
        assert depth == pytest.approx(-sign * exact, abs=1e-9)
        assert np.linalg.norm(outward, axis=1) == pytest.approx(1)
        distance, foot = near.feet_mm(points)
        assert distance == pytest.approx(np.abs(exact), abs=1e-9)
        assert box_distance(low, high, foot) == pytest.approx(0, abs=1e-9)
        assert points - depth[:, None] * outward == pytest.approx(foot, abs=1e-9)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_distances_to_a_bent_mesh_are_those_of_brute_force(times):
    rng = np.random.default_rng(times)
    sphere = icosphere(CENTRE, 25, times)
    points = CENTRE + rng.normal(0, 25, (60, 3))
    distance, foot = Nearest(bare(sphere)).feet_mm(points)
    sampled = brute(sphere, points, 60 if times < 3 else 12)
    assert (distance <= sampled + 1e-9).all()
    assert distance == pytest.approx(sampled, abs=0.35)
    assert np.linalg.norm(points - foot, axis=1) == pytest.approx(distance)
    depth, _ = Nearest(bare(sphere)).depth_mm(points)
    assert np.array_equal(depth > 0, winding(sphere, points) > 0.5)


def test_large_triangles_are_found_as_surely_as_small_ones():
    coarse, fine = (sheet_mesh(CENTRE, NORMAL, 150, np.zeros((n, n))) for n in (2, 40))
    rough = sheet_mesh(CENTRE, NORMAL, 150, np.random.default_rng(0).normal(0, 30, (5, 5)))
    points = CENTRE + np.random.default_rng(1).normal(0, 80, (300, 3))
    a, b = (Nearest(bare(s)).depth_mm(points)[0] for s in (coarse, fine))
    assert a == pytest.approx(b, abs=1e-9)
    near = Nearest(bare(rough))
    every = near._best(points, np.broadcast_to(np.arange(32), (300, 32)))[0]
    assert near.feet_mm(points)[0] == pytest.approx(every, abs=1e-12)


def test_a_point_on_the_surface_has_the_way_of_its_face():
    sheet = bare(sheet_mesh(CENTRE, NORMAL, 20, np.zeros((3, 3))))
    u, v, n = frame(NORMAL)
    depth, outward = Nearest(sheet).depth_mm(np.array([CENTRE + 3 * u + 1 * v, CENTRE, CENTRE + 20 * u]))
    assert depth == pytest.approx(0, abs=1e-9)
    assert outward == pytest.approx(np.tile(n, (3, 1)), abs=1e-9)


def test_beyond_the_border_the_side_is_that_of_the_surface_carried_on():
    sheet = bare(sheet_mesh(CENTRE, NORMAL, 20, np.zeros((3, 3))))
    u, v, n = frame(NORMAL)
    points = CENTRE + np.array([30 * u + 4 * n, 30 * u - 4 * n, 30 * u + 35 * v + n, 30 * u + 35 * v - n])
    depth, _ = Nearest(sheet).depth_mm(points)
    assert depth == pytest.approx([116**0.5, -(116**0.5), 326**0.5, -(326**0.5)])


@pytest.mark.parametrize("within", [0.5, 3.0, 20.0])
def test_what_a_surface_does_not_reach_is_further_from_it(within):
    rng = np.random.default_rng(7)
    mesh = sheet_mesh(CENTRE, NORMAL, 60, rng.normal(0, 8, (6, 7)))
    ready = Nearest(bare(mesh))
    points = CENTRE + rng.uniform(-90, 90, (3000, 3))
    far = np.abs(ready.depth_mm(points)[0])
    reached = ready.reaches(points, within)
    assert reached[far <= within].all()
    assert not reached[far > within + 7].any()


def test_the_part_of_a_surface_near_a_point_tells_the_same():
    rng = np.random.default_rng(4)
    rough = bare(sheet_mesh(CENTRE, NORMAL, 40, rng.normal(0, 6, (15, 15))))
    whole = Nearest(rough)
    for point in CENTRE + rng.normal(0, 30, (60, 3)):
        part = near_part(rough, point[None])
        assert len(part.triangles) < 40
        depth, _ = whole.depth_mm(point[None])
        assert Nearest(part).depth_mm(point[None])[0] == pytest.approx(depth, abs=1e-9)
    assert near_part(rough, CENTRE + rng.normal(0, 30, (100, 3))) is rough


def first_crossing(surface, start, end):
    """Where a way first meets any triangle, one at a time, by solving for the three parameters."""
    best = np.inf
    for a, b, c in surface.vertices_mm[surface.triangles]:
        matrix = np.stack([end - start, a - b, a - c], axis=1)
        if abs(np.linalg.det(matrix)) < 1e-12:
            continue
        t, s, r = np.linalg.solve(matrix, a - start)
        if 0 <= t <= 1 and s >= 0 and r >= 0 and s + r <= 1:
            best = min(best, t)
    return best if np.isfinite(best) else np.nan


def test_ways_are_cut_where_they_first_meet_a_triangle():
    rng = np.random.default_rng(7)
    sphere = icosphere(CENTRE, 20, 1)
    starts = CENTRE + rng.normal(0, 20, (150, 3))
    ends = starts + rng.normal(0, 1, (150, 3)) * rng.choice([1, 30], (150, 1))
    found = crossings(bare(sphere), starts, ends)
    expected = [first_crossing(sphere, a, b) for a, b in zip(starts, ends, strict=True)]
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert 20 < np.isfinite(found).sum() < 130


def test_ways_through_edges_and_corners_and_ends_on_the_surface_count():
    sheet = bare(TriangleSurface([[0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]], [[0, 1, 2], [0, 2, 3]]))
    ways = [
        ((2, 2, 1), (2, 2, -1)),
        ((0, 0, 2), (0, 0, -2)),
        ((4, 4, -1), (4, 4, 3)),
        ((1, 2, 0), (1, 2, 5)),
        ((1, 2, -3), (1, 2, 0)),
        ((9, 9, 1), (9, 9, -1)),
        ((1, 1, 1), (1, 1, 3)),
        ((0, 0, 0), (3, 1, 0)),
    ]
    found = crossings(sheet, [way[0] for way in ways], [way[1] for way in ways])
    assert found[:6] == pytest.approx([0.5, 0.5, 0.25, 0, 1, np.nan], nan_ok=True)
    # One that does not reach the surface, and one that runs in it, do not cross.
    assert np.isnan(found[6:]).all()
    assert len(crossings(sheet, np.zeros((0, 3)), np.zeros((0, 3)))) == 0

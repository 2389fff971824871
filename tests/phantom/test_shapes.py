"""Distances: nought on the surface, right beside it, and smooth where shapes meet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from flr_volumetry.phantom.shapes import (
    Capsule,
    Ellipsoid,
    Lobulated,
    Solid,
    rotation,
    smooth_max,
    smooth_min,
    tube,
)
from flr_volumetry.phantom.trunk import WALL_INSIDE, Tunnel, belly, diaphragm


def at(part, *point):
    return float(part.distance(*(np.array([float(c)]) for c in point))[0])


def test_a_ball_as_an_ellipsoid_has_the_exact_distance():
    """Along any ray the distance to a ball is the distance to its centre less the radius."""
    ball = Ellipsoid((3.0, -2.0, 5.0), (10.0, 10.0, 10.0))

    assert at(ball, 3, -2, 30) == pytest.approx(15.0)
    assert at(ball, 3 + 12, -2 + 16, 5) == pytest.approx(10.0)
    assert at(ball, 3, -2, 9) == pytest.approx(-6.0)


def test_points_of_a_turned_ellipsoids_surface_lie_at_nought():
    """The surface turns about x, then y, then z, around the centre."""
    turn = (20.0, -35.0, 50.0)
    shape = Ellipsoid((1.0, 2.0, 3.0), (8.0, 5.0, 2.0), turn)
    own = np.array([[8, 0, 0], [0, 5, 0], [0, 0, -2], [8 * 0.6, 5 * 0.8, 0]], dtype=float)
    x, y, z = (rotation(turn) @ own.T) + np.array([[1.0], [2.0], [3.0]])

    assert shape.distance(x, y, z) == pytest.approx(0.0, abs=1e-9)
    assert (shape.distance(x * 1.2 - 0.2, y * 1.2 - 0.4, z * 1.2 - 0.6) > 0).all()


def test_the_distance_to_an_ellipsoid_grows_by_one_mm_for_each_mm_beside_its_surface():
    """The length of its gradient on the surface is 1."""
    shape = Ellipsoid((0.0, 0.0, 0.0), (9.0, 6.0, 3.0))
    turn = np.linspace(0.1, 3.0, 12)
    points = np.array([9 * np.cos(turn), 6 * np.sin(turn) * 0.8, 3 * np.sin(turn) * 0.6])
    step = 1e-4
    gradient = np.array(
        [
            (shape.distance(*(points + d)) - shape.distance(*(points - d))) / (2 * step)
            for d in step * np.eye(3)[:, :, None]
        ]
    )

    assert np.linalg.norm(gradient, axis=0) == pytest.approx(1.0, abs=1e-3)


def test_rotations_are_right_handed():
    """A quarter turn about z takes x to y, about x takes y to z, about y takes z to x."""
    assert rotation((0, 0, 90)) @ [1, 0, 0] == pytest.approx([0, 1, 0])
    assert rotation((90, 0, 0)) @ [0, 1, 0] == pytest.approx([0, 0, 1])
    assert rotation((0, 90, 0)) @ [0, 0, 1] == pytest.approx([1, 0, 0])


def test_rotations_turn_about_x_first():
    """Turned about x and then about z, the y axis ends up along z."""
    assert rotation((90, 0, 90)) @ [0, 1, 0] == pytest.approx([0, 0, 1])


def test_a_capsule_tapers_from_its_first_radius_to_its_second():
    """Halfway along, the wall is at the mean radius; beyond the ends they are round."""
    piece = Capsule((0.0, 0.0, 0.0), (0.0, 0.0, 10.0), (4.0, 2.0))

    assert at(piece, 3, 0, 5) == pytest.approx(0.0)
    assert at(piece, 0, 0, -4) == pytest.approx(0.0)
    assert at(piece, 0, 0, 12) == pytest.approx(0.0)


def test_a_lobe_raises_one_side_and_lowers_the_other():
    """The radius in a lobe's direction is larger by its height, behind it smaller."""
    lesion = Lobulated((0.0, 0.0, 0.0), 10.0, ((0.1, (0.0, 2.0, 0.0)),))

    assert at(lesion, 0, 11, 0) == pytest.approx(0.0)
    assert at(lesion, 0, -9, 0) == pytest.approx(0.0)
    assert at(lesion, 10, 0, 0) == pytest.approx(0.0)
    assert lesion.reach_mm == pytest.approx(11.0)


def test_smooth_minimum_fills_the_crease_by_a_quarter_of_its_width():
    """Where both are equal it lies a quarter of the width below; far from that it is the lower one."""
    a, b = np.array([1.0, 0.0, 5.0]), np.array([1.0, 8.0, -3.0])

    assert smooth_min(a, b, 8.0) == pytest.approx([-1.0, 0.0, -3.0])
    assert smooth_max(a, b, 8.0) == pytest.approx([3.0, 8.0, 5.0])


def test_a_tube_runs_through_its_points_with_their_radii():
    """Pieces are end to end, and every point given is the end of one."""
    points, radii = [(0, 0, 0), (20, 5, 0), (25, 30, 10)], [5.0, 3.0, 1.0]
    pieces = tube(points, radii, step_mm=4.0)

    assert all(a.end == b.start and a.radii[1] == b.radii[0] for a, b in itertools.pairwise(pieces))
    ends = {piece.end: piece.radii[1] for piece in pieces} | {pieces[0].start: pieces[0].radii[0]}
    assert [ends[tuple(map(float, p))] for p in points] == pytest.approx(radii)


@pytest.mark.parametrize(
    "part",
    [
        Ellipsoid((5.0, 1.0, -3.0), (9.0, 4.0, 14.0), (30.0, 20.0, -40.0)),
        Capsule((1.0, 2.0, 3.0), (-9.0, 12.0, 6.0), (4.0, 2.0)),
        Lobulated((1.0, 2.0, 3.0), 10.0, ((0.1, (1.0, 1.0, 0.0)), (-0.08, (0.0, 1.0, 3.0)))),
        Solid(
            "two",
            (
                Ellipsoid((0.0, 0.0, 0.0), (5.0, 5.0, 5.0)),
                Capsule((8.0, 0.0, 0.0), (20.0, 3.0, 1.0), (3.0, 2.0)),
            ),
        ),
    ],
)
def test_a_part_lies_inside_its_box_and_fills_it(part):
    """No point outside the box is inside the shape, and the box is not loose by more than a fifth."""
    low, high = part.bounds
    size = high - low
    axes = [np.linspace(a - 0.3 * s, b + 0.3 * s, 81) for a, b, s in zip(low, high, size, strict=True)]
    inside = np.array(np.nonzero(part.distance(*np.meshgrid(*axes, indexing="ij")) <= 0))
    found = np.array([[axis[n.min()], axis[n.max()]] for axis, n in zip(axes, inside, strict=True)])

    assert (found[:, 0] >= low - 1e-9).all()
    assert (found[:, 1] <= high + 1e-9).all()
    assert (found[:, 1] - found[:, 0] > 0.8 * size).all()


def test_a_tunnel_is_as_wide_and_deep_as_it_says_and_its_corners_are_full():
    """It passes through the ends of its semi-axes, and between an ellipse's corner and a rectangle's."""
    tunnel = Tunnel(100.0, 60.0, 10.0, 0.5)

    assert at(tunnel, 100, 10, 0) == pytest.approx(0.0, abs=1e-9)
    assert at(tunnel, 0, -50, 0) == pytest.approx(0.0, abs=1e-9)
    assert at(tunnel, 100 * 0.7072, 10 + 60 * 0.7072, 0) < 0 < at(tunnel, 100, 70, 0)


def test_the_belly_is_what_lies_inside_the_wall_and_below_the_diaphragm():
    """Points in it are in both; above the dome of the diaphragm there is none."""
    rng = np.random.default_rng(0)
    x, y, z = rng.uniform([[-150], [-110], [-100]], [[150], [100], [120]], (3, 5000))
    inside = belly(x, y, z) <= 0

    assert inside.any()
    assert (WALL_INSIDE.distance(x, y, z)[inside] <= 0).all()
    assert (diaphragm(x, y, z)[inside] <= 0).all()
    assert not inside[z > 95].any()

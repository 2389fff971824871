"""Distances between sets of points, against all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.resection.points import DIRECTIONS, WIDEST_GAP_DEG, closest, diameter


def cloud(rng, kind, count):
    """Points of several shapes: scattered, a sphere, a plane, a line, a lattice with many ties."""
    points = rng.normal(size=(count, 3)) * rng.uniform(0.1, 40)
    if kind == "sphere":
        points *= 20 / np.linalg.norm(points, axis=1, keepdims=True)
    elif kind == "plane":
        points[:, 2] = 3
    elif kind == "line":
        points[:, 1:] = (5, 7)
    elif kind == "lattice":
        points = np.rint(points)
    return points + rng.uniform(-60, 60, size=3)


KINDS = st.sampled_from(["scattered", "sphere", "plane", "line", "lattice"])


@settings(max_examples=150, deadline=None)
@given(
    kinds=st.tuples(KINDS, KINDS), sizes=st.tuples(*[st.integers(1, 300)] * 2), seed=st.integers(0, 10_000)
)
def test_the_closest_pair_is_that_of_all_pairs(kinds, sizes, seed):
    """Distance and point, whatever the shapes, far apart or interlaced."""
    rng = np.random.default_rng(seed)
    ours, theirs = (cloud(rng, kind, size) for kind, size in zip(kinds, sizes, strict=True))
    pairs = np.linalg.norm(ours[:, None] - theirs[None], axis=-1)

    distance, at = closest(ours, theirs)

    assert distance == pytest.approx(pairs.min(), abs=1e-9)
    assert pairs[at].min() == pytest.approx(distance, abs=1e-9)


@pytest.mark.parametrize("apart", [5.0, 0.0])
def test_surfaces_side_by_side_whose_points_are_all_as_close(apart):
    """A lesion and the wedge around it: bounds leave over millions of pairs, and none may be missed."""
    rng = np.random.default_rng(3)
    around = rng.normal(size=(3000, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    ours, theirs = 20 * around, (20 + apart) * rng.permutation(around)
    if apart:
        theirs[1234] *= 24.9 / 25
    pairs = np.linalg.norm(ours[:, None] - theirs[None], axis=-1)

    distance, at = closest(ours, theirs)

    assert distance == pytest.approx(pairs.min(), abs=1e-9)
    assert pairs[at].min() == pytest.approx(distance, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(kind=KINDS, size=st.integers(1, 400), seed=st.integers(0, 10_000))
def test_the_diameter_is_that_of_all_pairs(kind, size, seed):
    """The sphere is the hardest: every point has a partner nearly as far."""
    points = cloud(np.random.default_rng(seed), kind, size)
    pairs = np.linalg.norm(points[:, None] - points[None], axis=-1)

    assert diameter(points) == pytest.approx(pairs.max(), abs=1e-9)


def test_no_direction_is_further_from_the_nearest_than_is_claimed():
    """Half a million directions: the widest gap is below the bound that the diameter relies on."""
    some = np.random.default_rng(0).normal(size=(500_000, 3))
    some /= np.linalg.norm(some, axis=1, keepdims=True)
    nearest = np.zeros(len(some))
    for direction in DIRECTIONS:
        np.maximum(nearest, some @ direction, out=nearest)

    assert 15 < np.degrees(np.arccos(nearest.min())) < WIDEST_GAP_DEG
    assert np.allclose(DIRECTIONS[: len(DIRECTIONS) // 2], -DIRECTIONS[::-1][: len(DIRECTIONS) // 2])

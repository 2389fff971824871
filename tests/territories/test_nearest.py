"""The nearest seed, against brute force over all pairs of voxels; the lattice's neighbours and wall."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.territories.lattice import Upright, facets, neighbours, superbase, wall
from flr_volumetry.territories.nearest import nearest_seeds
from tests.grids import STEPS, grid_around

SHEARED = {
    **STEPS,
    "isotropic": np.eye(3),
    "steep tilt": np.array([[0.8, 0, 0], [0, 0.8, 2.1], [0, 0, 2.5]]),
    "all sheared": np.array([[0.9, 0.4, -0.7], [0.2, 1.1, 0.8], [-0.3, 0.1, 2.2]]),
}


def nearest_mm2(liver, seeds, steps):
    """Square of the distance to the nearest seed, for each voxel of the liver, from all pairs."""
    away = (np.argwhere(liver)[:, None] - np.argwhere(seeds)[None]) @ steps.T
    return (away**2).sum(axis=2).min(axis=1)


@pytest.mark.parametrize("steps", SHEARED.values(), ids=SHEARED)
@pytest.mark.parametrize("seed", range(4))
def test_no_seed_is_nearer_than_the_one_that_is_found(steps, seed):
    """Against all pairs: a scattered liver, a whole one, seeds in and out of it, single and in lines."""
    rng = np.random.default_rng(seed)
    shape = (17, 14, 11)
    liver = rng.random(shape) < (0.4, 0.9, 1.0, 0.7)[seed]
    liver[: 2 * seed] = False
    seeds = np.zeros(shape, dtype=bool)
    for _ in range(8):
        i, j, k = rng.integers(0, shape)
        seeds[i, j, max(0, k - 2) : k + 3] = True
        seeds[max(0, i - 2) : i + 2, j, k] = True

    found = nearest_seeds(liver, seeds, steps)

    box = tuple(s.start for s in found.box)
    inner = tuple(s.stop - s.start for s in found.box)
    at = np.stack(np.unravel_index(found.at, inner), axis=1) + box
    assert seeds[tuple(at.T)].all()
    own = (((np.argwhere(liver) - at) @ steps.T) ** 2).sum(axis=1)
    np.testing.assert_allclose(own, nearest_mm2(liver, seeds, steps), rtol=1e-9, atol=1e-12)


def test_the_box_holds_the_liver_and_all_seeds_and_no_more():
    liver, seeds = np.zeros((9, 8, 7), dtype=bool), np.zeros((9, 8, 7), dtype=bool)
    liver[2:4, 3:5, 1:3] = True
    seeds[6, 1, 2] = True
    for steps in (np.eye(3), SHEARED["all sheared"]):
        found = nearest_seeds(liver, seeds, steps)
        assert [(s.start, s.stop) for s in found.box] == [(2, 7), (1, 5), (1, 3)]
        assert set(found.at.tolist()) == {np.ravel_multi_index((4, 0, 1), (5, 4, 2))}


@pytest.mark.parametrize("steps", SHEARED.values(), ids=SHEARED)
def test_the_base_of_a_lattice_is_obtuse_and_spans_it(steps):
    base = np.stack(superbase(steps))
    assert abs(round(np.linalg.det(base))) == 1
    four = np.vstack([base, -base.sum(axis=0)]) @ steps.T
    gram = four @ four.T
    assert gram[~np.eye(4, dtype=bool)].max() <= 1e-9 * np.trace(gram)


@pytest.mark.parametrize("steps", SHEARED.values(), ids=SHEARED)
def test_neighbours_and_faces_of_a_voxel(steps):
    """26 neighbours in opposite pairs; across faces those that no third voxel comes between."""
    around = neighbours(steps)
    assert len({tuple(n) for n in around}) == 26
    assert np.array_equal(around, -around[::-1])
    across = {tuple(int(v) for v in n) for n in facets(steps)}
    expected = set()
    grid = np.stack(np.meshgrid(*3 * [np.arange(-4, 5)], indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[np.any(grid != 0, axis=1)]
    length = np.linalg.norm(grid @ steps.T, axis=1)
    for n in grid[length < 4 * length.min() + 4]:
        middle = n @ steps.T / 2
        others = grid[np.any(grid != n, axis=1)]
        if np.linalg.norm(others @ steps.T - middle, axis=1).min() > np.linalg.norm(middle) * (1 + 1e-9):
            expected.add(tuple(int(v) for v in n))
    assert across == expected


@pytest.mark.parametrize("name", STEPS)
def test_the_wall_of_a_ball_lies_at_its_radius(name):
    grid = grid_around(name, (0, 0, 0), 12.0)
    steps = grid.affine[:3, :3]
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    middle = np.array(grid.shape) // 2
    voxels = np.linalg.norm((index - middle) @ steps.T, axis=-1) <= 10.0
    inner, points = wall(voxels, steps)
    assert voxels[tuple(inner.T)].all()
    away = np.linalg.norm(points - middle @ steps.T, axis=1)
    assert away.mean() == pytest.approx(10.0, abs=0.35)
    assert np.abs(away - 10.0).max() <= np.linalg.norm(facets(steps) @ steps.T, axis=1).max() / 2 + 1e-9
    # All round, a single voxel too.
    one = np.zeros((1, 1, 1), dtype=bool)
    one[...] = True
    assert len(wall(one, steps)[0]) == len(facets(steps))


@pytest.mark.parametrize("name", STEPS)
def test_upright_arrays_run_head_back_and_left(name):
    grid = grid_around(name, (5.0, -3.0, 40.0), 6.0)
    upright = Upright.of(grid)
    assert [int(np.argmax(np.abs(step))) for step in upright.steps.T] == [2, 1, 0]
    assert all(upright.steps[axis, n] > 0 for n, axis in enumerate((2, 1, 0)))
    array = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    turned = upright.turn(array)
    assert np.array_equal(upright.turn_back(turned), array)
    for index in ((0, 0, 0), (2, 3, 1)):
        (at,) = np.argwhere(array == turned[index])
        expected = upright.origin_mm + upright.steps @ index
        np.testing.assert_allclose(grid.centres_mm(at[None])[0], expected, atol=1e-9)

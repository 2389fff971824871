"""Splines that bend in few places: their algebra, and pictures whose displacement is known."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.segmentation.spline import Lattice, Level, Pair, bent

SHAPE, LEVEL = (22, 20, 18), Level(4.0, 16.0, 12)
LATTICE = Lattice.over(SHAPE, LEVEL)
PLACES = np.indices(SHAPE, dtype=np.float32) * np.float32(LEVEL.step_mm)


def picture(x, y, z):
    """Waves of 40 to 60 mm along every axis."""
    return (np.sin(x / 7) + np.cos(y / 9) + np.sin(z / 8 + 1)).astype(np.float32)


def weights(seed):
    field = np.zeros((3, *SHAPE), dtype=np.float32)
    shape = LATTICE.gathered(field).shape
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_an_affine_displacement_is_a_spline_that_does_not_bend():
    affine = np.stack([0.1 * PLACES[0] - 3, 0.05 * PLACES[1] + 0.02 * PLACES[0], np.full(SHAPE, 2.0)])
    fitted = LATTICE.fitted(affine.astype(np.float32))
    assert LATTICE.field(fitted)[:, 2:-2, 2:-2, 2:-2] == pytest.approx(affine[:, 2:-2, 2:-2, 2:-2], abs=0.02)
    pure = Lattice.over(SHAPE, LEVEL)
    knots = np.stack(np.meshgrid(*(np.arange(b[0].shape[1]) for b in pure.bases), indexing="ij")) * 16.0
    straight = (0.2 * knots).astype(np.float32)
    bending = pure.bending(straight)
    assert np.abs(bending.product(straight)).max() < 1e-4


def test_derivatives_are_slopes_of_the_values():
    """Against finite differences of a lattice on a fine grid."""
    fine = Lattice.over((400, 2, 2), Level(0.2, 16.0, 1)).bases[0]
    for order in (0, 1):
        slope = np.gradient(fine[order].astype(np.float64), 0.2, axis=0)
        assert fine[order + 1][2:-2] == pytest.approx(slope[2:-2], abs=1e-4)
    assert fine[0].sum(axis=1) == pytest.approx(np.ones(400), abs=1e-5)


def test_gathering_is_the_transpose_and_bending_is_symmetric():
    one, two = weights(1), weights(2)
    field = LATTICE.field(two)
    assert (LATTICE.field(one) * field).sum() == pytest.approx(
        (one * LATTICE.gathered(field)).sum(), rel=1e-4
    )
    bending = LATTICE.bending(one)
    assert (one * bending.product(two)).sum() == pytest.approx((two * bending.product(one)).sum(), rel=1e-3)
    unit = np.zeros_like(one)
    unit[1, 3, 2, 4] = 1
    assert bending.diagonal()[0, 3, 2, 4] == pytest.approx(bending.product(unit)[1, 3, 2, 4], rel=1e-4)


def test_a_sharp_bend_is_held_less_than_a_gentle_one():
    gentle = LATTICE.bending(0.01 * weights(1)).stiff.mean()
    sharp = LATTICE.bending(100 * weights(1)).stiff.mean()
    assert sharp < 0.01 * gentle


def test_a_stretch_of_one_side_comes_back():
    """Stretched by 30 % beyond a plane, by nothing before it: the kink stays in place."""
    beyond = np.maximum(PLACES[0] - 40, 0) * np.float32(0.3)
    target = picture(PLACES[0] + beyond, PLACES[1], PLACES[2])
    pair = Pair(target, picture(*PLACES))
    found = bent([pair], np.zeros((3, *SHAPE), dtype=np.float32), LEVEL)
    core = (slice(2, 14), slice(3, -3), slice(3, -3))
    assert np.abs(found[0][core] - beyond[core]).mean() < 0.6
    assert np.abs(found[1:][(slice(None), *core)]).mean() < 0.3


def test_no_round_changes_nothing():
    begun = np.full((3, *SHAPE), 2.0, dtype=np.float32)
    flat = Pair(np.zeros(SHAPE, dtype=np.float32), np.zeros(SHAPE, dtype=np.float32))
    found = bent([flat], begun, Level(4.0, 16.0, 0))
    assert found[:, 2:-2, 2:-2, 2:-2] == pytest.approx(begun[:, 2:-2, 2:-2, 2:-2], abs=0.01)


def test_bending_does_not_depend_on_the_axes():
    """``x y`` is ``(x^2 - y^2) / 2`` turned by 45 degrees."""
    shape = weights(0).shape
    x, y, _ = 16.0 * np.indices(shape[1:]) - 48
    energies = []
    for height in (x * y, (x**2 - y**2) / 2):
        held = np.broadcast_to(1e-6 * height, shape).astype(np.float32)
        energies.append(float((held * LATTICE.bending(held).product(held)).sum()))
    assert energies[0] == pytest.approx(energies[1], rel=1e-3)


def test_where_nothing_is_seen_bends_are_smoothed_out():
    flat = Pair(np.zeros(SHAPE, dtype=np.float32), np.zeros(SHAPE, dtype=np.float32))
    begun = LATTICE.field(weights(3))
    found = LATTICE.fitted(bent([flat], begun, LEVEL))
    before, after = (float((w * LATTICE.bending(0 * w).product(w)).sum()) for w in (weights(3), found))
    assert after < 0.1 * before

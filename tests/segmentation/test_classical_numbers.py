"""Formulas inside the classical back-end against values known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.images import Grid, Image, Source
from flr_volumetry.segmentation.classical.cava import _front, _misplaced
from flr_volumetry.segmentation.classical.closeup import CloseUp
from flr_volumetry.segmentation.classical.lesions import find_lesions, grown_from
from flr_volumetry.segmentation.classical.likeness import LUNG_WORTH, WALL_WORTH, _enclosed
from flr_volumetry.segmentation.classical.magnetic import as_hounsfield
from flr_volumetry.segmentation.classical.maxflow import continuous_cut
from flr_volumetry.segmentation.classical.model import Model, Scene
from flr_volumetry.segmentation.classical.refine import refine
from flr_volumetry.segmentation.classical.tissue import Tissue
from flr_volumetry.segmentation.classical.working import Working, distance_mm, doubled

STEP = 1.5
SHAPE = (48, 48, 48)
POINTS = np.stack(np.meshgrid(*(np.arange(n) * STEP for n in SHAPE), indexing="ij"), axis=-1)


def ball(centre, radius):
    return np.linalg.norm(POINTS - np.asarray(centre), axis=-1) < radius


def close_up(noise=3.0, **balls):
    """A ball of liver of 110 HU with noise, and balls in it: name = (centre, radius, HU)."""
    liver = ball((36, 36, 36), 33)
    values = np.where(liver, 110.0, -80.0) + np.random.default_rng(3).normal(0, noise, SHAPE)
    for centre, radius, value in balls.values():
        values[ball(centre, radius)] = value
    depth, mean = distance_mm(liver, STEP), np.full(SHAPE, 110.0, np.float32)
    box = tuple(slice(0, n) for n in SHAPE)
    grid = Grid(SHAPE, np.diag([STEP, STEP, STEP, 1.0]))
    return CloseUp(grid, box, values.astype(np.float32), liver, depth, mean, noise)


@pytest.mark.parametrize(
    ("right", "ahead", "cost"),
    [
        # In the corridor: 12 to 35 mm to the right, 3 to 24 mm ahead of the vertebra at the lower end.
        (20.0, 10.0, 0.0),
        (50.0, 10.0, 1.0),
        (6.0, 10.0, 1.0),
        (20.0, 36.0, 1.0),
        (20.0, -5.0, 1.0),
        (65.0, 48.0, 4.0),
    ],
)
def test_the_vena_cava_runs_in_a_corridor_before_the_spine(right, ahead, cost):
    below = _misplaced(np.array([-right]), np.array([-ahead]), 5)[0, 0, 0]
    assert below == pytest.approx(cost)


def test_the_corridor_moves_ahead_and_widens_towards_the_heart():
    """At the upper end it is 12 to 45 mm to the right and 20 to 74 mm ahead."""
    assert _misplaced(np.array([-44.0]), np.array([-73.0]), 5)[0, 0, -1] == 0
    assert _misplaced(np.array([-20.0]), np.array([-12.0]), 5)[0, 0, -1] == pytest.approx(1.0)


def test_the_front_of_a_vertebra_is_its_foremost_row_and_not_the_aortas():
    dense = np.zeros((60, 80), dtype=bool)
    dense[:, 30:50] = True
    dense[20:40, 10:16] = True
    assert _front(dense, 30.0, 45, 2.5) == 30


def test_calcium_that_touches_a_lesion_belongs_to_it():
    dark, calcium = ((30, 36, 36), 12.0, 60.0), ((43.5, 36, 36), 2.6, 400.0)
    (found, *_) = find_lesions(close_up(dark=dark, calcium=calcium), np.zeros(SHAPE, dtype=bool))
    assert found.inside[ball(*calcium[:2])].mean() > 0.95
    assert found.inside[ball(*dark[:2])].mean() > 0.9


@pytest.mark.parametrize("odd", [(0, 0, 0), (1, 1, 1)])
def test_a_point_in_a_lesion_is_judged_by_the_voxels_around_it(odd):
    """One voxel that is off by noise changes nothing."""
    close = close_up(dark=((30, 36, 36), 9.0, 70.0))
    values = np.array(close.smooth)
    values[20 + odd[0], 24 + odd[1], 24 + odd[2]] = 112.0
    noisy = CloseUp(close.grid, close.box, values, close.liver, close.depth_mm, close.mean, close.spread)
    found = grown_from(noisy, (20, 24, 24), np.ones(SHAPE, dtype=bool))
    assert found[ball((30, 36, 36), 9.0)].mean() > 0.9


def test_the_liver_of_an_mr_scan_is_the_larger_of_two_even_organs():
    """Even muscle of half the signal lies on the same side."""
    grid = Grid((60, 50, 40), np.diag([5.0, 5.0, 5.0, 1.0]))
    x, y, z = np.moveaxis(
        np.stack(np.meshgrid(*(np.arange(n) * 5.0 for n in grid.shape), indexing="ij"), -1), -1, 0
    )
    signal = np.full(grid.shape, 8.0)
    signal[np.hypot((x - 150) / 130, (y - 125) / 95) < 1] = 120.0
    liver = np.hypot((x - 95) / 60, (y - 115) / 55) < 1
    signal[liver] = 600.0
    muscle = liver & (z < 50)
    signal[muscle] = 480.0
    noise = np.random.default_rng(5).normal(0, 4, grid.shape)
    image = Image(grid, np.maximum(signal + noise, 0).astype(np.float32), Source(modality="MR"))
    hu = as_hounsfield(image).voxels
    assert np.median(hu[liver & ~muscle]) == pytest.approx(110, abs=5)


@pytest.mark.parametrize(("gain", "kept"), [(1.8, False), (3.2, True)])
def test_a_sheet_is_kept_if_it_gains_more_than_its_two_faces_cost(gain, kept):
    """One voxel thick, faces of price 1 each: between 2 and 2 sqrt(2) by how faces meet in a voxel."""
    gains, costs = np.zeros((2, 15, 6, 6), np.float32)
    costs[:] = 20.0
    costs[7], gains[7] = 0.0, gain
    found = continuous_cut(costs, gains, np.ones_like(costs)) > 0.5
    assert found[7].all() == kept
    assert not found[:7].any()
    assert not found[8:].any()


def test_a_border_is_told_by_the_liver_beside_it_not_by_the_mean():
    """A liver that fades from 240 HU on its right to 80 HU on its left keeps its left end."""
    shape, step = (60, 60, 60), 2.5
    points = np.stack(np.meshgrid(*(np.arange(n) * step for n in shape), indexing="ij"), axis=-1)
    truth = np.linalg.norm(points - 75, axis=-1) < 42
    fading = np.interp(points[..., 0], (33, 117), (240, 80))
    grid = Grid(shape, np.diag([step, step, step, 1.0]))
    image = Image(grid, np.where(truth, fading, -100).astype(np.int16), Source(modality="CT"))
    given = np.linalg.norm(points - 75, axis=-1) < 40.5
    model = Model(truth, image.voxels.astype(np.float32), 160.0, 4.0, 4.0, 55.0, 5.0, 5.0)
    found = refine(image, grid, given, model, np.zeros_like(truth))
    left = truth & (points[..., 0] > 95)
    assert found[left].mean() > 0.9
    assert not (found & ~truth).sum() > 0.02 * truth.sum()


def test_what_was_halved_fills_any_shape_again():
    """The last voxel is repeated where the shape reaches beyond it."""
    small = np.arange(3)[:, None, None]
    assert doubled(small, (8, 1, 1)).ravel().tolist() == [0, 0, 1, 1, 2, 2, 2, 2]


def test_the_lung_above_speaks_for_liver_on_the_right_more_than_on_the_left():
    """On the left the diaphragm covers stomach and spleen as well: the lung counts as any wall does."""
    shape, step = (60, 40, 40), 2.5
    grid = Grid(shape, np.diag([step, step, step, 1.0]))
    body = np.ones(shape, dtype=bool)
    lung = np.zeros(shape, dtype=bool)
    lung[..., 24:] = True
    tissue = Tissue(body, lung, ~body, np.full(shape[2], 30.0), np.full(shape[:2], 24.0))
    values = np.where(lung, -800.0, 60.0).astype(np.float32)
    scene = Scene(Working(grid, values, body), tissue, np.full(shape, -50.0, np.float32))
    model = Model(~body, values, 110.0, 4.0, 4.0, 55.0, 5.0, 5.0)
    _, share = _enclosed(scene, model, ~body, np.zeros(shape, np.float32))
    right, left = share[10:14, 18:22, 18:20].mean(), share[46:50, 18:22, 18:20].mean()
    assert right > 0
    assert right / left == pytest.approx(LUNG_WORTH / WALL_WORTH, rel=0.02)

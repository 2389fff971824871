"""The inner face of the wall, and the thin layers between organs: against geometry known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.images import Grid, Image, Source
from flr_volumetry.segmentation.classical.likeness import gaps_between
from flr_volumetry.segmentation.classical.model import Model, Scene, with_cartilage
from flr_volumetry.segmentation.classical.refine import refine
from flr_volumetry.segmentation.classical.tissue import Tissue
from flr_volumetry.segmentation.classical.wall import beyond_wall_mm
from flr_volumetry.segmentation.classical.working import Working, distance_mm

STEP = 2.5
SHAPE = (140, 140, 24)
SKIN_R, MUSCLE_R, INNER_R = 150.0, 135.0, 125.0
MIDDLE = (SHAPE[0] - 1) / 2
COLUMN, ROW, K = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
X, Y = (COLUMN - MIDDLE) * STEP, (ROW - MIDDLE) * STEP
R = np.hypot(X, Y)


def trunk():
    """A round trunk: fat under the skin, a ring of muscle 10 mm thick, fat inside; (values, body)."""
    values = np.full(SHAPE, -1000.0, np.float32)
    values[R < SKIN_R] = -100.0
    values[(R < MUSCLE_R) & (R > INNER_R)] = 55.0
    return values, R < SKIN_R


def wall_radius(values, body, level=220.0):
    """Mean radius of the inner face in front, 20 degrees to each side of the middle, mm."""
    beyond = beyond_wall_mm(values, body & (values > level), body, STEP)
    front = (np.abs(np.arctan2(X, -Y)) < np.radians(20)) & (np.abs(R - 120) < 25) & (SHAPE[2] // 2 == K)
    assert (beyond[front] > -90).all()
    return float((R - beyond)[front].mean())


def test_a_ring_of_muscle_is_found():
    """Its inner face, to half a voxel."""
    assert wall_radius(*trunk()) == pytest.approx(INNER_R, abs=STEP / 2)


def test_a_thin_organ_that_lies_on_the_muscle_is_no_muscle():
    """A left lobe 12 mm thick on the wall, 50 mm wide, with fat behind it."""
    values, body = trunk()
    values[(R <= INNER_R) & (R > INNER_R - 12) & (np.abs(X) < 25) & (Y < 0)] = 60.0

    assert wall_radius(values, body) == pytest.approx(INNER_R, abs=STEP)


def test_gut_filled_with_contrast_is_no_rib():
    """A bag of 400 HU, 50 mm wide, behind the wall: too thick, and at its rim too deep."""
    values, body = trunk()
    bag = np.hypot(X, Y + 90) < 25
    values[bag] = 400.0
    values[np.hypot(X, Y + 80) < 10] = 100.0

    assert wall_radius(values, body) == pytest.approx(INNER_R, abs=STEP)


def test_a_thin_bright_piece_30_mm_deep_in_front_is_no_rib():
    """A vessel or a stone; behind, under thick muscle, a rib may lie as deep."""
    values, body = trunk()
    deep = (R < MUSCLE_R - 28) & (R > MUSCLE_R - 34) & (Y < 0)
    values[deep] = 500.0

    assert wall_radius(values, body) == pytest.approx(INNER_R, abs=STEP)


def ribbed(density):
    """Ribs 10 mm thick of some density, of which every second slice shows one, inside the muscle."""
    values, body = trunk()
    rib = (R < INNER_R) & (R > INNER_R - 10) & (np.abs(np.sin(8 * np.arctan2(Y, X))) > 0.4)
    values[rib & (Y < 60)] = density
    return values, body


def test_the_wall_ends_at_the_inner_face_of_ribs():
    """And nothing lies behind a rib."""
    values, body = ribbed(500.0)

    assert wall_radius(values, body) == pytest.approx(INNER_R - 10, abs=2.0)
    beyond = beyond_wall_mm(values, body & (values > 220), body, STEP)
    middle = (values > 400) & (INNER_R - 3 > R) & (Y < 0)
    assert (beyond[middle] > -STEP).all()


def test_cartilage_is_found_where_the_liver_is_less_dense():
    """At 130 HU it is no bone; beside a liver of 50 HU it bounds the trunk, beside one of 190 HU not."""
    values, body = ribbed(130.0)
    grid = Grid(SHAPE, np.diag([STEP, STEP, STEP, 1.0]))
    nothing = np.zeros(SHAPE, dtype=bool)
    tissue = Tissue(body, nothing, nothing, np.full(SHAPE[2], MIDDLE), np.full(SHAPE[:2], np.inf))
    plain = beyond_wall_mm(values, nothing, body, STEP)
    scene = Scene(Working(grid, values, body), tissue, plain)
    inside_rib = (values == 130) & (R > INNER_R - 6) & (Y < 0)

    def moved(mean):
        model = Model(nothing, values, mean, 4.0, 4.0, 55.0, 5.0, 5.0)
        return float((with_cartilage(scene, model).beyond - plain)[inside_rib].mean())

    assert moved(50.0) > 4.0
    assert moved(190.0) == 0.0


def model_of(values, noise=4.0):
    return Model(
        np.zeros(values.shape, dtype=bool), values.astype(np.float32), 100.0, 5.0, noise, 55.0, 5.0, 5.0
    )


def test_a_thin_dark_layer_parts_two_organs():
    """Fat 2.5 mm wide, half drowned in the blur, between liver and stomach; a bright vessel makes none."""
    values = np.full((40, 40, 40), 100.0)
    values[20] = 60.0
    values[5:8, 10:13, :] = 250.0
    values[9:12, 10:13, :] = 250.0

    gaps = gaps_between(model_of(values), STEP)

    assert gaps[20, 4:-4, 4:-4].all()
    assert not gaps[:18].any()
    assert not gaps[23:].any()


def test_noise_specks_and_wide_pieces_are_no_layers():
    """One voxel, a layer within the noise, and a lesion 20 mm wide."""
    values = np.full((40, 40, 40), 100.0)
    values[5, 5, 5] = 20.0
    values[30] = 94.0
    lesion = (
        np.linalg.norm(np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), -1) - 16, axis=-1) < 4.5
    )
    values[lesion] = 50.0
    assert distance_mm(lesion, STEP).max() > 10

    assert not gaps_between(model_of(values), STEP).any()
    values[30] = 85.0
    assert not gaps_between(model_of(values, noise=12.0), STEP).any()
    assert gaps_between(model_of(values, noise=4.0), STEP)[30].any()


def ball_in_fat(extra):
    """A ball of liver on a scan, and the same on the working grid with more beside it."""
    shape = (60, 60, 60)
    points = np.stack(np.meshgrid(*[np.arange(n) * STEP for n in shape], indexing="ij"), axis=-1)
    truth = np.linalg.norm(points - 75, axis=-1) < 40
    grid = Grid(shape, np.diag([STEP, STEP, STEP, 1.0]))
    voxels = np.where(truth, 50, -100).astype(np.int16)
    mask = truth.copy()
    for centre, radius, value in extra:
        piece = np.linalg.norm(points - np.asarray(centre), axis=-1) < radius
        voxels[piece & ~truth] = value
        mask |= piece & (value == 50)
    return Image(grid, voxels, Source(modality="CT")), grid, truth, mask, voxels


def test_a_loose_piece_falls_off():
    """Only the largest piece is kept on the scan's voxels."""
    image, grid, truth, mask, voxels = ball_in_fat([((130.0, 130.0, 130.0), 9.0, 50)])
    model = Model(truth, voxels.astype(np.float32), 50.0, 4.0, 4.0, 55.0, 5.0, 5.0)

    found = refine(image, grid, mask, model, np.zeros_like(truth))

    assert found[truth].mean() > 0.9
    assert not found[48:, 48:, 48:].any()


def test_the_border_does_not_creep_to_bone():
    """A rib 5 mm off, behind muscle as dense as the liver: half way to bone is no border of the liver."""
    image, grid, truth, mask, voxels = ball_in_fat([])
    radius = np.linalg.norm(
        np.stack(np.meshgrid(*[np.arange(60) * STEP for _ in range(3)], indexing="ij"), axis=-1) - 75, axis=-1
    )
    wall = (radius >= 40) & (radius < 44)
    bone = (radius >= 44) & (radius < 52)
    voxels[wall], voxels[bone] = 55, 600
    image = Image(grid, voxels, Source(modality="CT"))
    smooth = np.clip(voxels, -200, 400).astype(np.float32)
    model = Model(truth, smooth, 50.0, 4.0, 4.0, 55.0, 5.0, 5.0)

    blind = refine(image, grid, mask, model, np.zeros_like(truth))
    found = refine(image, grid, mask, model, bone)

    assert (found & ~truth).sum() < 0.5 * (blind & ~truth).sum()
    assert found.sum() == pytest.approx(truth.sum(), rel=0.03)

"""The parts of the classical back-end: each against an answer known beforehand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import Grid, Image, Source
from flr_volumetry.segmentation.classical.cava import track_cava
from flr_volumetry.segmentation.classical.closeup import CloseUp
from flr_volumetry.segmentation.classical.enclosure import enclosed_share
from flr_volumetry.segmentation.classical.lesions import find_lesions, grown_from
from flr_volumetry.segmentation.classical.magnetic import as_hounsfield
from flr_volumetry.segmentation.classical.maxflow import continuous_cut
from flr_volumetry.segmentation.classical.model import Model
from flr_volumetry.segmentation.classical.refine import refine, signed_depth
from flr_volumetry.segmentation.classical.tissue import Tissue
from flr_volumetry.segmentation.classical.working import box_of, distance_mm, doubled, onto, upright
from tests.grids import STEPS, ball, centres, grid_around

CENTRE = (12.0, -7.0, 30.0)


def at(shape, step=1.0):
    """Coordinates of the voxels of a cube of a grid, mm."""
    return np.stack(np.meshgrid(*(np.arange(n) * step for n in shape), indexing="ij"), axis=-1)


@pytest.mark.parametrize("name", STEPS)
def test_the_working_copy_lies_upright_and_in_place(name):
    """A scan whose values are its coordinates gives them back, on any grid."""
    grid = grid_around(name, CENTRE, 30.0)
    slopes = np.array([1.0, -2.0, 0.5])
    image = Image(grid, (centres(grid) @ slopes).astype(np.float32), Source(modality="CT"))

    work = upright(image, 2.5)

    assert np.array_equal(work.grid.affine[:3, :3], np.eye(3) * 2.5)
    inner = np.linalg.norm(centres(work.grid) - np.asarray(CENTRE), axis=-1) < 24.0
    assert inner.sum() > 1000
    assert work.seen[inner].all()
    assert np.abs(work.values - centres(work.grid) @ slopes)[inner].max() < 0.02


@pytest.mark.parametrize("name", STEPS)
def test_a_mask_goes_there_and_back(name):
    """A ball on the working grid is the ball on the scan's, and its box holds it."""
    grid = grid_around(name, CENTRE, 40.0)
    work = Grid(
        (40, 40, 40), np.array([[2.5, 0, 0, -38], [0, 2.5, 0, -57], [0, 0, 2.5, -20], [0, 0, 0, 1.0]])
    )
    depth = signed_depth(ball(work, CENTRE, 25.0), 2.5)
    box = box_of(depth > 0, work, grid, 5.0)

    found = np.zeros(grid.shape, dtype=bool)
    found[box] = onto(depth, work, grid.crop(box)) > 0

    truth = ball(grid, CENTRE, 25.0)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.97
    assert found.sum() / truth.sum() == pytest.approx(1, abs=0.03)


def test_a_cut_takes_noise_away_and_leaves_the_shape():
    """A ball drowned in noise comes back nearly whole; a threshold does not."""
    points = at((30, 30, 30))
    truth = np.linalg.norm(points - 14.5, axis=-1) < 9.0
    noise = np.random.Generator(np.random.Philox(3)).normal(0, 1.2, truth.shape)
    cost = (np.where(truth, -1.0, 1.0) + noise).astype(np.float32)

    found = (
        continuous_cut(np.maximum(cost, 0), np.maximum(-cost, 0), np.full(cost.shape, 0.9, np.float32)) > 0.5
    )

    def dice(mask):
        return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())

    assert dice(found) > 0.95
    assert dice(cost < 0) < 0.75


def test_a_cut_without_a_price_on_the_border_is_the_cheaper_label():
    """Each voxel by itself."""
    cost = np.random.Generator(np.random.Philox(5)).uniform(-1, 1, (12, 12, 12)).astype(np.float32)

    found = continuous_cut(np.maximum(cost, 0), np.maximum(-cost, 0), np.zeros_like(cost))

    assert np.array_equal(found > 0.5, cost < 0)


def test_a_cut_falls_where_the_border_is_cheap():
    """Between two seeds without a preference in between, at the one sheet that costs little."""
    cost = np.zeros((30, 8, 8), np.float32)
    cost[0], cost[-1] = -5.0, 5.0
    weight = np.ones_like(cost)
    weight[19:21] = 0.05

    found = continuous_cut(np.maximum(cost, 0), np.maximum(-cost, 0), weight) > 0.5

    assert found[:19].all()
    assert not found[21:].any()


def test_enclosing_is_counted_by_direction():
    """A flat wall hides nine of 26 directions, a closed box all of them, nothing none."""
    free = np.ones((21, 21, 21), dtype=bool)
    free[:5] = False
    wall = np.where(free, 0, 1).astype(np.float32)

    assert enclosed_share(free, wall, 8)[7, 10, 10] == pytest.approx(9 / 26)
    assert enclosed_share(free, wall, 1)[7, 10, 10] == 0
    assert enclosed_share(free, 0.5 * wall, 8)[7, 10, 10] == pytest.approx(4.5 / 26)
    box = np.zeros((9, 9, 9), dtype=bool)
    box[2:7, 2:7, 2:7] = True
    share = enclosed_share(box, np.ones(box.shape, np.float32), 9)
    assert np.allclose(share[box], 1)
    assert not share[~box].any()


def test_enclosing_looks_past_what_is_free_only():
    """What stands in front hides what is behind."""
    free = np.ones((15, 3, 3), dtype=bool)
    free[10], free[12] = False, False
    worth = np.zeros(free.shape, np.float32)
    worth[12] = 1.0

    assert not enclosed_share(free, worth, 14)[:9].any()


def test_distances_and_doubling():
    """To the nearest voxel outside; the border of the grid is none."""
    inside = np.ones((6, 5, 4), dtype=bool)
    assert np.isinf(distance_mm(inside, 2.0)).all()
    inside[0] = False
    assert distance_mm(inside, 2.0)[:, 2, 2].tolist() == [0, 2, 4, 6, 8, 10]
    small = np.arange(8).reshape(2, 2, 2)
    assert np.array_equal(doubled(small, (4, 3, 4))[::2, ::2, ::2], small)


@pytest.mark.parametrize("name", STEPS)
def test_the_border_goes_to_the_edge_of_the_scan(name):
    """A mask 2 mm too small grows to the true ball where the scan shows its edge, on any grid."""
    grid = grid_around(name, CENTRE, 45.0)
    truth = ball(grid, CENTRE, 30.0)
    image = Image(grid, np.where(truth, 110, -100).astype(np.int16), Source(modality="CT"))
    work = upright(image, 2.5)
    small = ball(work.grid, CENTRE, 28.0)
    model = Model(small, work.values, 110.0, 4.0, 4.0, 30.0, 5.0, 5.0)

    found = refine(image, work.grid, small, model, np.zeros_like(small))

    given = onto(signed_depth(small, 2.5), work.grid, grid) > 0

    def dice(mask):
        return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())

    assert dice(given) < 0.92
    assert dice(found) > 0.95


def scene_of_a_vein(lean):
    """A spine, an aorta and a leaning vena cava in fat; (values, tissue, centre on each slice)."""
    shape, step = (90, 80, 40), 2.5
    i, j, k = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    values = np.full(shape, -100.0, dtype=np.float32)
    bone = np.hypot(i - 45, j - 55) * step < 18
    values[bone] = 300.0
    values[np.hypot(i - 48, j - 43) * step < 10] = 160.0
    x, y = 37.0 + 0 * k, 45.0 - lean * k
    values[np.hypot(i - x, j - y) * step < 10.5] = 120.0
    lung = np.zeros(shape, dtype=bool)
    tissue = Tissue(~lung, lung, bone, np.full(shape[2], 45.0), np.full(shape[:2], np.inf))
    return values, tissue, np.stack([x[0, 0], y[0, 0]], axis=-1)


@pytest.mark.parametrize("lean", [0.0, 0.25])
def test_the_vena_cava_is_followed(lean):
    """The disc to the right of the aorta, also where it leaves the spine."""
    values, tissue, truth = scene_of_a_vein(lean)

    cava = track_cava(values, tissue, range(2, 38), 2.5)

    assert cava is not None
    off_mm = 2.5 * np.linalg.norm(cava.centres[:, :2] - truth[2:38], axis=1)
    assert off_mm.max() < 4.0
    assert np.median(cava.radii_mm) == pytest.approx(10.5, abs=1.6)
    assert cava.inside.any()


def test_where_there_is_no_vein_none_is_made_up():
    """Neither without a spine nor in plain fat."""
    values, tissue, _ = scene_of_a_vein(0.0)
    plain = np.where(tissue.bone, values, -100.0).astype(np.float32)

    assert track_cava(plain, tissue, range(2, 38), 2.5) is None
    boneless = Tissue(tissue.body, tissue.lung, tissue.lung, tissue.middle, tissue.ceiling)
    assert track_cava(values, boneless, range(2, 38), 2.5) is None


def close_up_of(lesions):
    """A ball of liver at 110 HU with noise, and balls of other values in it."""
    shape, step = (64, 64, 64), 1.5
    points = at(shape, step)
    middle = np.full(3, 48.0)
    liver = np.linalg.norm(points - middle, axis=-1) < 44.0
    values = np.where(liver, 110.0, -80.0) + np.random.Generator(np.random.Philox(7)).normal(0, 4.0, shape)
    for centre, radius, value in lesions:
        values[np.linalg.norm(points - np.asarray(centre), axis=-1) < radius] = value
    affine = np.diag([step, step, step, 1.0])
    box = (slice(0, 64), slice(0, 64), slice(0, 64))
    depth = distance_mm(liver, step)
    mean = np.full(shape, 110.0, np.float32)
    return CloseUp(Grid(shape, affine), box, values.astype(np.float32), liver, depth, mean, 4.0)


def test_lesions_are_found_dark_and_bright_near_their_true_size():
    """Two dark balls and a bright one; nothing else."""
    truth = [
        ((35.0, 48.0, 48.0), 12.0, 65.0),
        ((66.0, 40.0, 52.0), 6.0, 80.0),
        ((50.0, 68.0, 40.0), 9.0, 165.0),
    ]
    close = close_up_of(truth)

    found = find_lesions(close, np.zeros_like(close.liver))

    assert len(found) == 3
    for centre, radius, _ in truth:
        ball_ = np.linalg.norm(at(close.grid.shape, 1.5) - np.asarray(centre), axis=-1) < radius
        best = max(2 * (f.inside & ball_).sum() / (f.inside.sum() + ball_.sum()) for f in found)
        assert best > 0.85
    assert min(f.confidence for f in found) >= 0.7


def test_a_healthy_liver_has_no_lesion_and_a_vessel_is_none():
    """Noise is not taken for lesions, nor a dark tube across the liver."""
    assert find_lesions(close_up_of([]), np.zeros((64, 64, 64), dtype=bool)) == ()
    close = close_up_of([])
    points = at(close.grid.shape, 1.5)
    tube = (np.hypot(points[..., 0] - 48, points[..., 1] - 48) < 3.5) & close.liver
    values = np.where(tube, 70.0, close.smooth).astype(np.float32)
    dark = CloseUp(close.grid, close.box, values, close.liver, close.depth_mm, close.mean, 4.0)

    assert find_lesions(dark, np.zeros_like(close.liver)) == ()


def test_a_lesion_pointed_out_is_grown_and_plain_liver_is_not():
    """From a point inside; a point in healthy liver gives nothing."""
    close = close_up_of([((35.0, 48.0, 48.0), 12.0, 85.0)])
    whole = np.ones_like(close.liver)
    truth = np.linalg.norm(at(close.grid.shape, 1.5) - np.array([35.0, 48.0, 48.0]), axis=-1) < 12.0

    found = grown_from(close, (24, 32, 32), whole)

    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
    assert not grown_from(close, (44, 32, 32), whole).any()


def test_mr_is_brought_to_the_scale_of_ct():
    """Air, fat, muscle and liver land where CT has them, whatever the scanner's scale."""
    grid = Grid((60, 50, 40), np.diag([5.0, 5.0, 5.0, 1.0]))
    x, y, _ = np.moveaxis(at(grid.shape, 5.0), -1, 0)
    signal = np.full(grid.shape, 8.0)
    body = np.hypot((x - 150) / 130, (y - 125) / 95) < 1
    signal[body] = 120.0
    liver = np.hypot((x - 95) / 60, (y - 115) / 55) < 1
    signal[liver] = 600.0
    noise = np.random.Generator(np.random.Philox(11)).normal(0, 6, grid.shape)
    image = Image(grid, np.maximum(signal + noise, 0).astype(np.float32), Source(modality="MR"))

    for scale in (1.0, 0.2):
        scaled = Image(grid, (image.voxels * scale).astype(np.float32), Source(modality="MR"))
        hu = as_hounsfield(scaled).voxels
        assert np.median(hu[liver]) == pytest.approx(110, abs=5)
        assert np.median(hu[~body]) < -900
        assert -200 < np.median(hu[body & ~liver]) < 0


def test_mr_without_tissue_is_refused():
    """Nothing stands out from the background."""
    grid = Grid((30, 30, 30), np.diag([5.0, 5.0, 5.0, 1.0]))
    image = Image(grid, np.full(grid.shape, 7.0, np.float32), Source(modality="MR"))

    with pytest.raises(SegmentationError) as refusal:
        as_hounsfield(image)
    assert refusal.value.reason == "no_liver"


def test_all_directions_are_looked_in():
    """Each of the 26 counts once."""
    for direction in itertools.product((-1, 0, 1), repeat=3):
        if direction == (0, 0, 0):
            continue
        free = np.ones((7, 7, 7), dtype=bool)
        spot = tuple(3 + 2 * d for d in direction)
        free[spot] = False
        worth = np.where(free, 0, 1).astype(np.float32)
        assert enclosed_share(free, worth, 5)[3, 3, 3] == pytest.approx(1 / 26)


def test_a_tail_does_not_belong_to_a_lesion():
    """Darkness along a sheet that hangs on a dark ball is left out; the ball stays whole."""
    close = close_up_of([((48.0, 48.0, 48.0), 13.0, 65.0)])
    points = at(close.grid.shape, 1.5)
    sheet = (np.abs(points[..., 2] - 48) < 2.5) & (points[..., 0] > 48) & (np.abs(points[..., 1] - 48) < 14)
    sheet &= close.liver & (points[..., 0] < 84)
    truth = np.linalg.norm(points - 48.0, axis=-1) < 13.0
    values = np.where(sheet, 65.0, close.smooth).astype(np.float32)
    dark = CloseUp(close.grid, close.box, values, close.liver, close.depth_mm, close.mean, 4.0)

    found = find_lesions(dark, np.zeros_like(close.liver))

    largest = found[0].inside
    assert 2 * (largest & truth).sum() / (largest.sum() + truth.sum()) > 0.9
    assert largest[sheet & ~truth].mean() < 0.35

"""The scan: tissue values, noise, mixed voxels, and independence of the array's order."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import GridError
from flr_volumetry.images import Grid
from flr_volumetry.phantom.variation import Draw, grains
from tests.grids import grid_around
from tests.phantom.conftest import LIVER_CENTRE_MM

GRID = grid_around("axial", LIVER_CENTRE_MM, 150.0, scale=2.5)


@pytest.fixture(scope="module")
def scan(phantom):
    """The scan on a coarse axial grid."""
    return phantom.image(GRID)


@pytest.fixture(scope="module")
def clean(phantom):
    """The same without noise."""
    return phantom.image(GRID, noise_sd=0.0)


@pytest.fixture(scope="module")
def masks(phantom):
    """Its structures."""
    return phantom.structures(GRID)


def test_the_scan_holds_hounsfield_units_of_the_portal_venous_phase(scan, masks):
    """Liver 100 to 120 HU (clinical base 8.3), lesions darker, veins brighter; air and bone occur."""
    from scipy import ndimage

    hu = scan.voxels
    deep = ndimage.binary_erosion(masks.liver.voxels, iterations=2)
    veins = masks.portal_vein.voxels | masks.hepatic_veins.voxels
    lesions = masks.lesions[0].voxels
    wide = ndimage.binary_erosion(masks.ivc.voxels)

    assert hu.dtype == np.int16
    assert 100 < np.median(hu[deep & ~veins]) < 120
    assert 60 < np.median(hu[lesions]) < 75
    assert np.median(hu[masks.portal_vein.voxels]) > 140
    assert np.median(hu[wide]) == pytest.approx(150, abs=5)
    assert np.median(hu[masks.gallbladder.voxels]) < 25
    assert hu.min() < -950
    assert hu.max() > 350


def test_noise_has_the_standard_deviation_asked_for(phantom, scan, clean, masks):
    """In tissue 12 HU by default, or what is asked."""
    liver = masks.liver.voxels
    noise = scan.voxels[liver].astype(float) - clean.voxels[liver]
    more = phantom.image(GRID, noise_sd=30.0).voxels[liver].astype(float) - clean.voxels[liver]

    assert noise.std() == pytest.approx(12.0, rel=0.02)
    assert noise.mean() == pytest.approx(0.0, abs=0.3)
    assert more.std() == pytest.approx(30.0, rel=0.02)


def test_parenchyma_varies_slowly_beneath_the_noise(clean, masks):
    """Deep in the liver, away from veins, values still spread by some HU, neighbours alike."""
    from scipy import ndimage

    away = ~ndimage.binary_dilation(masks.portal_vein.voxels | masks.hepatic_veins.voxels, iterations=2)
    lesions = np.logical_or.reduce([mask.voxels for mask in masks.lesions])
    deep = ndimage.binary_erosion(masks.liver.voxels, iterations=2) & away
    deep &= ~ndimage.binary_dilation(lesions, iterations=2)
    hu = clean.voxels.astype(float)
    pair = deep[1:] & deep[:-1]

    assert 2.0 < hu[deep].std() < 6.0
    assert (hu[1:] - hu[:-1])[pair].std() < hu[deep].std()


def test_a_voxel_on_a_border_holds_a_mixture(clean, masks):
    """Values between a lesion's rim and the liver occur where they meet, and hardly anywhere else."""
    from scipy import ndimage

    lesion = masks.lesions[0].voxels
    away = ~ndimage.binary_dilation(masks.portal_vein.voxels | masks.hepatic_veins.voxels)
    ring = ndimage.binary_dilation(lesion) & ~ndimage.binary_erosion(lesion) & away
    deep = ndimage.binary_erosion(lesion, iterations=3)
    mixed = (clean.voxels > 86) & (clean.voxels < 100)

    assert mixed[ring].mean() > 0.12
    assert not mixed[deep].any()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(False, True, False), (True, False, True)])
def test_the_same_voxel_centres_get_the_same_values_in_any_order(phantom, axes, flips):
    """Transposed and flipped arrays over one set of places hold the same scan and masks, noise included."""
    small = grid_around("axial", (-60.0, -20.0, 10.0), 40.0, scale=2.5)
    affine = np.eye(4)
    corner = np.zeros(3)
    for n, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
        affine[:3, n] = small.affine[:3, axis] * (-1 if flip else 1)
        corner[axis] = (small.shape[axis] - 1) * flip
    affine[:3, 3] = small.centres_mm(corner[None])[0]
    other = Grid(tuple(small.shape[axis] for axis in axes), affine)
    turn = tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)

    image, there = phantom.image(small).voxels, phantom.image(other).voxels
    labels, labels_there = phantom.structures(small), phantom.structures(other)

    assert np.array_equal(image.transpose(axes)[turn], there)
    assert np.array_equal(labels.segments.voxels.transpose(axes)[turn], labels_there.segments.voxels)


def test_the_scan_is_the_same_every_time(phantom, scan):
    """Two renderings are equal to the byte, threads or not."""
    assert np.array_equal(phantom.image(GRID).voxels, scan.voxels)


def test_the_masks_lie_where_the_scan_shows_the_organs(clean, masks):
    """Just outside the liver it is darker or brighter than inside: the mask's edge is the scan's."""
    from scipy import ndimage

    outside = ndimage.binary_dilation(masks.liver.voxels, iterations=3) & ~ndimage.binary_dilation(
        masks.liver.voxels, iterations=2
    )
    inside = ndimage.binary_erosion(masks.liver.voxels)

    assert np.mean(np.abs(clean.voxels[outside] - 110.0) > 25) > 0.8
    assert np.mean(np.abs(clean.voxels[inside] - 110.0) > 25) < 0.12


@pytest.mark.parametrize("noise_sd", [-1.0, float("nan"), float("inf")])
def test_impossible_noise_is_refused(phantom, noise_sd):
    """Below nought, or not a number."""
    with pytest.raises(GridError, match="noise_sd"):
        phantom.image(GRID, noise_sd=noise_sd)


def test_rendering_needs_little_more_than_the_image(phantom):
    """Beside the array it takes less than 100 MB, by numpy's own account."""
    import tracemalloc

    grid = phantom.default_grid((0.9, 0.9, 7.0))
    phantom.structures(phantom.default_grid((8.0, 8.0, 8.0)))
    tracemalloc.start()
    image = phantom.image(grid)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak - image.voxels.nbytes < 60e6


def test_noise_grains_are_standard_and_a_little_alike():
    """Mean 0, standard deviation 1, neighbours correlated by 2/3, slices independent."""
    one, two = grains(7, 3, (300, 400)), grains(7, 4, (300, 400))

    assert one.mean() == pytest.approx(0.0, abs=0.02)
    assert one.std() == pytest.approx(1.0, abs=0.02)
    assert np.mean(one[1:] * one[:-1]) == pytest.approx(2 / 3, abs=0.03)
    assert np.mean(one[:, 1:] * one[:, :-1]) == pytest.approx(2 / 3, abs=0.03)
    assert np.mean(one * two) == pytest.approx(0.0, abs=0.03)
    assert np.array_equal(one, grains(7, 3, (300, 400)))


def test_draws_stay_within_their_limits_and_repeat():
    """Numbers between, whole numbers at both ends, unit directions without a preferred side."""
    draw, again = Draw(5, 1), Draw(5, 1)
    numbers = [draw.between(2.0, 3.0) for _ in range(500)]
    whole = [draw.whole(1, 3) for _ in range(300)]
    ways = np.array([draw.direction() for _ in range(800)])

    assert [again.between(2.0, 3.0) for _ in range(500)] == numbers
    assert 2.0 <= min(numbers) < 2.05
    assert 2.95 < max(numbers) <= 3.0
    assert set(whole) == {1, 2, 3}
    assert np.linalg.norm(ways, axis=1) == pytest.approx(1.0)
    assert np.abs(ways.mean(axis=0)).max() < 0.08
    assert Draw(5, 2).between(0.0, 1.0) != Draw(5, 1).between(0.0, 1.0)

"""A map of function on its own grid, dealt out to a remnant, against solids and integrals on five grids."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import FrameError, LiverError
from flr_volumetry.images import Grid, Image, Source
from flr_volumetry.resection import Plane, PlaneResection, ResectionPlan, Stage, resect
from flr_volumetry.volumetry.functional_map import MapKind, weigh_map
from tests.grids import STEPS, centres, grid_around
from tests.livers import CENTRE, RADIUS_MM, ball_liver, ball_ml, cap_ml

NORMAL = np.array([2.0, 1.0, -2.0]) / 3
DISTANCE_MM = 15.0
KIND = MapKind.MEBROFENIN


def cut(liver, distance_mm=DISTANCE_MM):
    """Cut off the cap beyond a skew plane; what stays is the ball without it."""
    plane = Plane(CENTRE + distance_mm * NORMAL, NORMAL)
    return resect(liver, ResectionPlan((Stage("one", (PlaneResection((plane,)),)),)))


def spect(value, *, steps="oblique", scale=4.0, frame=""):
    """Return a map on a coarse grid of another kind; value is a function of height along the normal."""
    grid = grid_around(steps, CENTRE, RADIUS_MM + 12, scale=scale, frame=frame)
    height = (centres(grid) - CENTRE) @ NORMAL
    return Image(grid, np.asarray(value(height), dtype=np.float32), Source(modality="NM"))


@pytest.mark.parametrize("liver_grid", STEPS)
@pytest.mark.parametrize("map_grid", ["oblique", "gantry tilt"])
def test_an_even_map_gives_the_share_of_volume(liver_grid, map_grid):
    """Share by map and by volume are one and that of the textbook; the sum is that of the density."""
    liver = ball_liver(liver_grid, scale=1.6)
    even = spect(lambda h: 7.0 + 0 * h, steps=map_grid, scale=3.0)
    found = weigh_map(liver, cut(liver), even, kind=KIND)

    assert found.remnant_share == pytest.approx(found.volume_share, rel=1e-12)
    assert found.remnant_share == pytest.approx(1 - cap_ml(DISTANCE_MM) / ball_ml(RADIUS_MM), abs=0.01)
    assert found.liver_sum == pytest.approx(7.0 * liver.ml / even.grid.voxel_ml, rel=1e-9)
    assert found.remnant_mean == found.liver_mean == 7.0


def ramp_share(distance_mm, slope, radius=RADIUS_MM):
    """Share of the ball below a plane for a density 1 + slope h, by integrating pi (R2 - h2) dh."""
    h = np.linspace(-radius, radius, 200_001)
    density = (1 + slope * h) * (radius**2 - h**2)
    return density[h <= distance_mm].sum() / density.sum()


@pytest.mark.parametrize("liver_grid", STEPS)
@pytest.mark.parametrize("slope", [0.012, -0.012])
def test_a_ramp_of_function_shifts_the_share_as_its_integral_says(liver_grid, slope):
    """A SPECT of some 3 x 4 x 8 mm under a finer liver: to 1.5 points of the analytic share."""
    liver = ball_liver(liver_grid, scale=1.6)
    found = weigh_map(liver, cut(liver), spect(lambda h: 100 * (1 + slope * h)), kind=KIND)

    assert found.remnant_share == pytest.approx(ramp_share(DISTANCE_MM, slope), abs=0.015)
    assert (found.remnant_share > found.volume_share) == (slope < 0)
    assert any("sum is kept" in sentence for sentence in found.methods)


def test_a_map_finer_than_the_liver_keeps_its_sum():
    """An MRI of about half the liver's steps counts each of its own voxels once."""
    liver = ball_liver("gantry tilt", scale=3.0)
    fine = spect(lambda h: 100 * (1 + 0.012 * h), steps="sagittal", scale=1.0)
    found = weigh_map(liver, cut(liver), fine, kind=MapKind.GADOXETATE)

    assert fine.grid.voxel_ml < liver.grid.voxel_ml
    assert found.remnant_share == pytest.approx(ramp_share(DISTANCE_MM, 0.012), abs=0.015)
    assert found.liver_sum == pytest.approx(100 * ball_ml(RADIUS_MM) / fine.grid.voxel_ml, rel=0.02)


def test_both_sides_of_a_cut_share_the_whole():
    """What one plane leaves and its mirror image leaves add up to one."""
    liver = ball_liver("axial", scale=1.6)
    uneven = spect(lambda h: 50 + h**2)
    left = weigh_map(liver, cut(liver), uneven, kind=KIND).remnant_share
    plane = Plane(CENTRE + DISTANCE_MM * NORMAL, -NORMAL)
    mirror = resect(liver, ResectionPlan((Stage("one", (PlaneResection((plane,)),)),)))
    assert left + weigh_map(liver, mirror, uneven, kind=KIND).remnant_share == pytest.approx(1, abs=2e-3)


def test_lesions_hold_no_function():
    """A lesion in the remnant leaves numerator and denominator alike."""
    liver = ball_liver("axial", scale=1.6, lesions=[(-25 * NORMAL, 18.0)])
    found = weigh_map(liver, cut(liver), spect(lambda h: 5.0 + 0 * h), kind=KIND)
    lesion, whole = ball_ml(18.0), ball_ml(RADIUS_MM)
    expected = (whole - cap_ml(DISTANCE_MM) - lesion) / (whole - lesion)
    assert found.remnant_share == pytest.approx(expected, abs=0.01)


def test_what_a_map_shows_in_a_lesion_is_not_counted():
    """A lesion a hundred times as hot, on the liver's own grid, changes nothing."""
    liver = ball_liver("axial", scale=1.6, lesions=[(-25 * NORMAL, 18.0)])
    even = np.ones(liver.grid.shape, dtype=np.float32)
    hot = even.copy()
    (lesion,) = liver.lesions
    hot[lesion.box][lesion.voxels] = 100
    found = weigh_map(liver, cut(liver), Image(liver.grid, hot), kind=KIND)
    assert (
        found.remnant_share == weigh_map(liver, cut(liver), Image(liver.grid, even), kind=KIND).remnant_share
    )
    assert found.liver_mean == 1


def test_each_voxel_takes_the_map_voxel_it_lies_in():
    """A map twice as coarse, its first voxel around the liver's first eight: dealt out to the voxel."""
    liver = ball_liver("flipped", scale=1.6)
    affine = liver.grid.affine.copy()
    affine[:3, 3] = (liver.grid.affine @ [0.5, 0.5, 0.5, 1.0])[:3]
    affine[:3, :3] *= 2
    shape = tuple(-(-n // 2) for n in liver.grid.shape)
    values = np.random.default_rng(3).uniform(1, 9, shape).astype(np.float32)
    fine = values.repeat(2, 0).repeat(2, 1).repeat(2, 2)[tuple(slice(n) for n in liver.grid.shape)]
    partition = cut(liver)
    found = weigh_map(liver, partition, Image(Grid(shape, affine), values), kind=KIND)
    expected = fine[partition.labels == 1].sum(dtype=np.float64) / fine[liver.voxels].sum(dtype=np.float64)
    assert found.remnant_share == pytest.approx(expected, rel=1e-9)


def test_background_is_subtracted_before_anything_else():
    liver = ball_liver("axial", scale=1.6)
    ramp = spect(lambda h: 100 * (1 + 0.012 * h) + 400)
    plain = spect(lambda h: 100 * (1 + 0.012 * h))
    with_background = weigh_map(liver, cut(liver), ramp, kind=KIND, background=400.0)
    assert with_background.remnant_share == pytest.approx(
        weigh_map(liver, cut(liver), plain, kind=KIND).remnant_share, rel=1e-6
    )


def test_slight_negative_values_count_as_nought_and_are_said():
    """Some 1 % of noise below nought."""
    liver = ball_liver("axial", scale=1.6)
    noisy = spect(lambda h: np.where(np.abs(h) < 1.5, -20.0, 100.0))
    found = weigh_map(liver, cut(liver), noisy, kind=KIND)
    assert "map_negative_values" in {c.code for c in found.caveats}
    assert found.liver_mean > 90


def test_a_map_that_is_no_higher_in_the_liver_is_flagged():
    liver = ball_liver("axial", scale=1.6)
    flat = spect(lambda h: 7.0 + 0 * h)
    assert "map_does_not_show_liver" in {
        c.code for c in weigh_map(liver, cut(liver), flat, kind=KIND).caveats
    }
    shown = Image(
        flat.grid,
        np.where(np.linalg.norm(centres(flat.grid) - CENTRE, axis=-1) < 60, 9, 1).astype(np.float32),
    )
    assert weigh_map(liver, cut(liver), shown, kind=KIND).caveats == ()


def _small(image):
    grid = Grid(image.grid.shape[:2] + (image.grid.shape[2] // 2,), image.grid.affine)
    return Image(grid, image.voxels[:, :, : grid.shape[2]].copy())


REFUSED = {
    "map_does_not_cover": _small,
    "map_not_a_number": lambda m: Image(m.grid, np.full(m.grid.shape, np.nan, dtype=np.float32)),
    "map_negative": lambda m: Image(m.grid, -m.voxels),
    "map_empty": lambda m: Image(m.grid, 0 * m.voxels),
    "map_is_ct": lambda m: Image(m.grid, m.voxels, Source(modality="CT")),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_map_that_tells_nothing_is_refused(reason):
    liver = ball_liver("axial", scale=1.6)
    with pytest.raises(LiverError) as caught:
        weigh_map(liver, cut(liver), REFUSED[reason](spect(lambda h: 100 + h)), kind=KIND)
    assert caught.value.reason == reason


def test_a_map_of_another_frame_is_refused():
    liver = ball_liver("axial", scale=1.6, frame="1.2.3")
    with pytest.raises(FrameError):
        weigh_map(liver, cut(liver), spect(lambda h: 100 + h, frame="1.2.4"), kind=KIND)

"""Errors from geometry: analytic solids, exact sharing, and drawings with simulated errors."""

import math
from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.errors import Caveat, FormulaError
from flr_volumetry.images import Mask
from flr_volumetry.liver import Liver, Masks, crop_liver
from flr_volumetry.resection import (
    Plane,
    PlaneResection,
    ResectionPlan,
    SegmentResection,
    Stage,
    WedgeResection,
    resect,
)
from flr_volumetry.volumetry.measure import measure
from flr_volumetry.volumetry.uncertainty import DrawingErrors, RelativeErrors, estimate_errors
from flr_volumetry.volumetry.uncertainty.borders import borders_of
from flr_volumetry.volumetry.uncertainty.spread import counting_variance
from tests.grids import STEPS, ball, centres, grid_around
from tests.volumetry.drawings import draw, make_truth, read

MIDDLE, RADIUS = np.array([3.3, -7.1, 12.2]), 50.0
NONE = {"outline_sd_mm": 0.0, "local_sd_mm": 0.0, "cut_sd_mm": 0.0, "cut_sd_degrees": 0.0, "slice_share": 0.0}
AREA = 4 * math.pi * RADIUS**2


def only(**some):
    """Errors of one source."""
    return DrawingErrors(**{**NONE, **some})


def errors_of(name, errors, *, normal=(1.0, 0.4, -0.3), height_mm=-15.0, lesion=None, scale=1.0):
    """A ball cut by a plane, on one of the five grids."""
    grid = grid_around(name, MIDDLE, RADIUS + 8, scale=scale)
    lesions = [Mask(grid, ball(grid, MIDDLE + lesion[0], lesion[1]), "l")] if lesion else []
    liver = crop_liver(Masks(Mask(grid, ball(grid, MIDDLE, RADIUS), "liver"), lesions))
    way = np.array(normal) / np.linalg.norm(normal)
    plane = PlaneResection((Plane(MIDDLE + height_mm * way, way),))
    partition = resect(liver, ResectionPlan((Stage("one", (plane,)),)))
    volumes = measure(liver, partition)
    return volumes, estimate_errors(liver, partition, volumes, errors=errors)


@pytest.mark.parametrize("name", STEPS)
def test_borders_of_a_ball_have_its_area_and_enclose_its_volume(name):
    """Area to 4 %; a closed surface has no net vector area; its flux is three times the volume."""
    grid = grid_around(name, MIDDLE, RADIUS)
    voxels = ball(grid, MIDDLE, RADIUS)
    for codes in (voxels.astype(np.uint8), np.asfortranarray(voxels.astype(np.uint16))):
        found = borders_of(codes, grid)
        assert found.areas_mm2.sum() == pytest.approx(AREA, rel=0.04)
        assert np.abs(found.vectors_mm2.sum(axis=0)).max() < 1e-6 * AREA
        flux = -np.sum(found.vectors_mm2 * (found.centres_mm - MIDDLE))
        assert flux == pytest.approx(3 * np.count_nonzero(voxels) * grid.voxel_mm3, rel=0.02)
        assert set(found.first) == {0}
        assert set(found.second) == {1}


@pytest.mark.parametrize("name", STEPS)
def test_volume_moves_with_the_outline_as_the_distance_to_it_says(name):
    """One sd of the whole outline: by the volume of the ball grown and shrunk by it; the cap by its area."""
    volumes, found = errors_of(name, only(outline_sd_mm=0.5))
    grown = [4 / 3 * math.pi * (RADIUS + d) ** 3 / 1000 for d in (-0.5, 0.5)]
    assert found.sd("total_ml") == pytest.approx((grown[1] - grown[0]) / 2, rel=0.04)
    cap = 2 * math.pi * RADIUS * (RADIUS - 15.0)
    assert found.sd("remnant_ml") == pytest.approx(0.5 * cap / 1000, rel=0.05)
    assert found.sd("remnant_ml") + found.sd("resected_ml") == pytest.approx(found.sd("total_ml"), rel=2e-3)
    # All of it is shared.
    shared = found.covariance("remnant_ml", "total_ml")
    assert shared == pytest.approx(found.sd("remnant_ml") * found.sd("total_ml"), rel=2e-3)
    assert volumes.total_ml > 500


@pytest.mark.parametrize("name", STEPS)
def test_a_moved_cut_gives_one_side_what_it_takes_from_the_other(name):
    """Area of the disc times the shift; nothing of the whole."""
    _, found = errors_of(name, only(cut_sd_mm=2.0))
    disc = math.pi * (RADIUS**2 - 15.0**2)
    assert found.sd("total_ml") == pytest.approx(0.0, abs=1e-9)
    expected = 2.0 * disc / 1000
    # A cut also ends between two voxel centres.
    assert found.sd("remnant_ml") == pytest.approx(expected, rel=0.05)
    assert found.covariance("remnant_ml", "resected_ml") == pytest.approx(-(found.sd("remnant_ml") ** 2))
    assert found.cut_ml_per_mm == pytest.approx(disc / 1000, rel=0.05)


def test_a_tilt_about_the_middle_sweeps_lesions_but_not_the_remnant():
    """A lesion at the rim of the cut changes hands; both halves keep their volume to first order."""
    aside = np.cross([1.0, 0.4, -0.3], [0, 0, 1.0])
    aside *= 25 / np.linalg.norm(aside)
    at = -15.0 * np.array([1.0, 0.4, -0.3]) / np.linalg.norm([1.0, 0.4, -0.3]) + aside
    volumes, found = errors_of("axial", only(cut_sd_degrees=4.0), lesion=(at, 9.0), scale=0.8)
    swept = math.radians(4.0) * 25 * math.pi * 9.0**2 / 1000
    assert found.sd("resected_tumour_ml") == pytest.approx(swept, rel=0.1)
    assert found.sd("remnant_ml") < 0.15 * swept
    assert volumes.tumour_ml > 2.5


@pytest.mark.parametrize("correlation_mm", [6.0, 12.0, 60.0])
def test_wavering_of_a_ball_is_that_of_the_closed_form(correlation_mm):
    """sd^2 A 2 pi L^2 (1 - exp(-A / 2 pi L^2)): from many independent places to one."""
    _, found = errors_of("axial", only(local_sd_mm=1.0, correlation_mm=correlation_mm))
    patch = 2 * math.pi * correlation_mm**2
    expected = math.sqrt(AREA * patch * (1 - math.exp(-AREA / patch))) / 1000
    assert found.sd("total_ml") == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("name", ["axial", "oblique"])
def test_a_lesion_is_as_uncertain_as_its_own_outline(name):
    """A ball of 9 mm offset by 1.96 sd of 0.5 mm, and the liver's functional part with it."""
    volumes, found = errors_of(name, only(outline_sd_mm=0.5), lesion=((20, 5, 5), 9.0), scale=0.7)
    low, high = found.lesions[0].ml_interval
    for bound, offset in ((low, -0.98), (high, 0.98)):
        assert bound == pytest.approx(4 / 3 * math.pi * (9 + offset) ** 3 / 1000, rel=0.05)
    assert volumes.lesions[0].ml == pytest.approx(3.05, rel=0.02)
    apart = found.sd("functional_ml") ** 2 - found.sd("total_ml") ** 2
    assert apart == pytest.approx(found.sd("tumour_ml") ** 2, rel=0.02)


def test_a_margin_is_off_by_lesion_and_cut_and_by_the_lever_of_a_tilt():
    """Shift of the cut and of the outline in quadrature; tilt times the way from the middle of the cut."""
    lesion = ((20.0, 0.0, 0.0), 8.0)
    _, plain = errors_of("axial", only(outline_sd_mm=0.6, cut_sd_mm=2.0), normal=(1, 0, 0), lesion=lesion)
    step = 0.8 / math.sqrt(12)
    assert plain.lesions[0].margin_sd_mm == pytest.approx(math.sqrt(0.36 + 4.0 + step**2), rel=1e-3)
    aside = ((20.0, 20.0, 0.0), 8.0)
    _, turned = errors_of("axial", only(cut_sd_degrees=5.0), normal=(1, 0, 0), lesion=aside)
    lever = math.radians(5.0) * 20.0
    assert turned.lesions[0].margin_sd_mm == pytest.approx(math.hypot(lever, step), rel=0.05)


def test_thick_slices_and_cuts_along_them_add():
    """slice_share times the distance; half a layer for a cut along the slices, little for an oblique one."""
    _, found = errors_of("axial", only(slice_share=0.1), normal=(1, 1, 1))
    assert found.sd("total_ml") == pytest.approx(0.25 * AREA / 1000, rel=0.06)
    disc = math.pi * (RADIUS**2 - 15.0**2) / 1000
    _, along = errors_of("axial", only(), normal=(0, 0, 1))
    assert along.sd("remnant_ml") == pytest.approx(2.5 / math.sqrt(12) * disc, rel=0.06)
    _, oblique = errors_of("axial", only(), normal=(1, 1, 1))
    assert oblique.sd("remnant_ml") < 0.1 * along.sd("remnant_ml")


def test_counting_a_ball_varies_as_the_formula_says():
    """Against 400 random positions of a ball in steps of a fifth to a half of its width."""
    rng = np.random.default_rng(0)
    for radius in (1.6, 2.6):
        at = rng.random((400, 3))
        where = np.stack(np.meshgrid(*[np.arange(-4, 6)] * 3, indexing="ij"), axis=-1)
        counts = [np.count_nonzero(np.linalg.norm(where - a, axis=-1) < radius) for a in at]
        voxels = np.linalg.norm(where, axis=-1) < radius
        said = math.sqrt(counting_variance(voxels))
        assert np.std(counts) / np.mean(counts) == pytest.approx(said, rel=0.6)


def halves(name="axial"):
    """A ball with eight octants as segments."""
    grid = grid_around(name, MIDDLE, RADIUS + 8)
    voxels = ball(grid, MIDDLE, RADIUS)
    side = centres(grid) > MIDDLE
    segments = (1 + side @ np.array([1, 2, 4])).astype(np.uint8) * voxels
    return Liver(grid, voxels, grid, (0, 0, 0), (), segments)


def test_segments_are_off_by_their_own_borders():
    """An octant has three flat borders, each moving by itself, one for each pair of segments."""
    liver = halves()
    partition = resect(liver, ResectionPlan((Stage("one", (SegmentResection(frozenset({2, 4, 6, 8})),)),)))
    volumes = measure(liver, partition)
    found = estimate_errors(liver, partition, volumes, errors=only(cut_sd_mm=2.0))
    quarter = math.pi * RADIUS**2 / 4 / 1000
    for segment, sd in found.segment_sds_ml:
        if segment:
            assert sd == pytest.approx(2.0 * quarter * math.sqrt(3), rel=0.12)
    low, high = found.segment_interval(1, 40.0)
    assert high - 40.0 == pytest.approx(40.0 - low)
    assert found.segment_interval(9, 1.0) is None


def test_what_is_too_small_to_be_measured_is_held_and_said():
    """A sliver: its error is held to a quarter of it, with a caveat; the rest stays."""
    volumes, found = errors_of("axial", DrawingErrors(), height_mm=-47.0)
    assert found.sd("remnant_ml") == pytest.approx(0.25 * volumes.remnant_ml)
    assert "error_beyond_model" in {c.code for c in found.caveats}
    assert np.linalg.eigvalsh(found.covariance_ml2).min() > -1e-9


def test_sources_add_up_and_stages_carry_their_own():
    """The variances of the sources sum to that of the remnant; the wedge of stage one is uncertain too."""
    grid = grid_around("axial", MIDDLE, RADIUS + 8)
    lesion = Mask(grid, ball(grid, MIDDLE + [25, 0, 0], 8.0), "l")
    liver = crop_liver(Masks(Mask(grid, ball(grid, MIDDLE, RADIUS), "liver"), [lesion]))
    cut = PlaneResection((Plane(MIDDLE - [10, 0, 0], (-1, 0, 0)),))
    plan = ResectionPlan((Stage("one", (WedgeResection((1,), 5.0),)), Stage("two", (cut,))))
    partition = resect(liver, plan)
    volumes = measure(liver, partition)
    found = estimate_errors(liver, partition, volumes)
    total = sum(s.remnant_sd_ml**2 for s in found.sources)
    assert math.sqrt(total) == pytest.approx(found.sd("remnant_functional_ml"))
    assert found.sd("stage 1 resected_ml") > 3 * found.sd("stage 1 ablated_ml") == 0
    assert found.sd("stage 2 remnant_ml") == found.sd("remnant_ml")
    own = found.with_relative(volumes, RelativeErrors(remnant=0.05, liver=0.03))
    assert own.sd("remnant_ml") == pytest.approx(0.05 * volumes.remnant_ml)
    assert own.covariance("remnant_ml", "total_ml") == 0
    assert own.lesions == found.lesions


def test_resampled_masks_count_their_steps_twice():
    """The variance of a cut along the slices doubles."""
    grid = grid_around("axial", MIDDLE, RADIUS + 8)
    liver = crop_liver(Masks(Mask(grid, ball(grid, MIDDLE, RADIUS), "liver")))
    plan = ResectionPlan((Stage("one", (PlaneResection((Plane(MIDDLE, (0, 0, 1)),)),)),))
    partition = resect(liver, plan)
    volumes = measure(liver, partition)
    moved = replace(liver, caveats=(Caveat("mask_resampled", "on another grid"),))
    once = estimate_errors(liver, partition, volumes, errors=only())
    twice = estimate_errors(moved, partition, volumes, errors=only())
    assert twice.sd("remnant_ml") == pytest.approx(math.sqrt(2) * once.sd("remnant_ml"))


@pytest.mark.parametrize(
    "some",
    [
        {"outline_sd_mm": -0.1},
        {"local_sd_mm": math.nan},
        {"correlation_mm": 0.0},
        {"cut_sd_mm": 25.0},
        {"cut_sd_degrees": 40.0},
        {"slice_share": 0.6},
    ],
)
def test_errors_without_sense_are_refused(some):
    """By name, with what was found."""
    with pytest.raises(FormulaError, match=next(iter(some))):
        DrawingErrors(**some)


ERRORS = DrawingErrors(correlation_mm=15.0, lesion_correlation_mm=8.0, local_sd_mm=1.5)


@pytest.fixture(scope="module")
def readings():
    """150 drawings of one liver on steps of 4 mm."""
    truth, rng = make_truth(0, step_mm=2.0, take=(2, 2, 2)), np.random.default_rng(3)
    amounts = truth.amounts
    return [(amounts, read(*draw(truth, rng, ERRORS), ERRORS)) for _ in range(150)]


def test_readings_scatter_around_the_truth_as_they_say(readings):
    """Root mean square of (read - true) / sd is 1: an sd wrong by a fifth would be 4 standard errors off."""
    for name in ("total_ml", "functional_ml", "remnant_functional_ml", "resected_ml"):
        off = [(r.values[name] - t[name]) / r.sds[name] for t, r in readings]
        assert math.sqrt(np.mean(np.square(off))) == pytest.approx(1.0, abs=0.13), name
    for name in ("flr", "tumour_ml"):
        held = [r.intervals[name][0] <= t[name] <= r.intervals[name][1] for t, r in readings]
        assert 0.91 <= np.mean(held) <= 0.985, name


def test_probabilities_are_how_often_thresholds_are_reached(readings):
    """Ten thresholds for each; by thirds of probability, to 15 points, on the whole to 6 (150 drawings)."""
    off = np.random.default_rng(7).uniform(-0.04, 0.04, (len(readings), 10))
    said = np.array(
        [[r.probability(t["flr"] + d) for d in o] for (t, r), o in zip(readings, off, strict=True)]
    )
    reached = off <= 0
    assert said.mean() == pytest.approx(reached.mean(), abs=0.06)
    for low, high in ((0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.01)):
        here = (said >= low) & (said < high)
        assert here.sum() > 20
        assert said[here].mean() == pytest.approx(reached[here].mean(), abs=0.15)

"""Checks of masks: good ones pass, each way to spoil one is named with its place."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Mask, Origin, to_grid
from flr_volumetry.segmentation.quality import (
    boundary_sd_mm,
    check_masks,
    expected_boundary_mm,
)
from flr_volumetry.segmentation.quality_features import Features, raggedness
from flr_volumetry.segmentation.quality_look import look_at
from flr_volumetry.segmentation.readers import (
    MEASURED_MM,
    READERS_MM,
    against_reader,
    expected_dice,
    own_error,
)
from tests.grids import STEPS, ball, grid_around
from tests.segmentation.degrade import SPOILT, blur_outline, liver_of, phantom, round_about, spoil

EXPECTED = {
    "leak up": {"mask_foreign"},
    "leak back": {"mask_foreign"},
    "leak left": {"mask_foreign"},
    "hole": {"mask_holes"},
    "shift across": {"mask_off_edges"},
    "shift along": {"mask_off_edges"},
    "cut": {"mask_cut_flat"},
    "mirror": {"mask_mirrored", "mask_off_edges"},
}


@pytest.fixture(scope="module")
def patient():
    return phantom(1)


def codes(checked):
    return {f.caveat.code for f in checked.findings}


def test_a_good_mask_passes_with_a_high_estimate(patient):
    image, mask, lesions = patient
    checked = check_masks(liver_of(image, mask, lesions))
    assert codes(checked) == set()
    # The exact outline: what is left is how two readers differ.
    assert checked.quality.boundary_mm == pytest.approx(READERS_MM)
    assert 0.94 < checked.quality.dice < 0.97
    assert "Dice 0.9" in checked.methods[0]


@pytest.mark.parametrize("kind", SPOILT)
def test_each_gross_error_is_named(patient, kind):
    image, mask, lesions = patient
    spoilt = spoil(mask, kind)
    checked = check_masks(liver_of(image, spoilt, lesions if kind.startswith("leak") else ()))
    assert EXPECTED[kind] <= codes(checked)
    if kind in {"hole", "cut", "mirror"}:
        assert checked.quality.dice is None
        assert "no estimate" in checked.methods[0]
    elif kind.startswith("shift"):
        assert checked.quality.dice < 0.9


@pytest.mark.parametrize("kind", ["leak up", "leak back", "leak left", "hole"])
def test_the_place_of_an_error_is_where_the_mask_differs(patient, kind):
    image, mask, lesions = patient
    spoilt = spoil(mask, kind)
    wrong = mask.grid.centres_mm(np.argwhere(spoilt.voxels != mask.voxels))
    places = [f.place_mm for f in check_masks(liver_of(image, spoilt, lesions)).findings if f.place_mm]
    assert min(float(np.linalg.norm(wrong - p, axis=1).min()) for p in places) < 5


@pytest.mark.parametrize(("kind", "back"), [("shift across", "right"), ("shift along", "feet")])
def test_it_is_said_which_way_a_moved_mask_must_go_back(patient, kind, back):
    """By 9 to 10 mm to the left or to the head."""
    image, mask, _ = patient
    checked = check_masks(liver_of(image, spoil(mask, kind, 0.8)))
    message = next(f.caveat.message for f in checked.findings if f.caveat.code == "mask_off_edges")
    length, way = re.search(r"moved by about (\d+) mm towards (\w+)", message).groups()
    assert way == back
    assert 3 <= int(length) <= 12


def test_the_estimate_falls_as_the_outline_wavers(patient):
    image, mask, lesions = patient
    made = [mask, *(blur_outline(mask, np.random.default_rng(1), bias_mm=0, waver_mm=w) for w in (2, 5))]
    dices = [check_masks(liver_of(image, m, lesions)).quality.dice for m in made]
    dices = [d if d is not None else 0 for d in dices]
    assert dices[0] > dices[1] > dices[2]


@pytest.mark.parametrize("name", STEPS)
def test_holes_and_planes_are_found_on_any_grid_without_a_scan(name):
    centre = np.array([17.0, -40.0, 120.0])
    grid = grid_around(name, centre, 64, scale=1.5)
    whole = ball(grid, centre, 56)
    assert codes(check_masks(liver_of(None, Mask(grid, whole)))) == set()

    holed = check_masks(liver_of(None, Mask(grid, whole & ~ball(grid, centre + [10, 5, -5], 12))))
    assert codes(holed) == {"mask_holes"}
    assert holed.findings[0].place_mm == pytest.approx(centre + [10, 5, -5], abs=1.5)
    assert "7.2 mL" in holed.findings[0].caveat.message or "7.3 mL" in holed.findings[0].caveat.message

    cut = whole & ((np.einsum("...x,x", _centres(grid) - centre, [0.6, 0.0, 0.8])) < 20)
    flat = check_masks(liver_of(None, Mask(grid, cut)))
    assert "mask_cut_flat" in codes(flat)
    place = next(f.place_mm for f in flat.findings if f.caveat.code == "mask_cut_flat")
    assert (np.asarray(place) - centre) @ [0.6, 0.0, 0.8] == pytest.approx(20, abs=2.5)


def _centres(grid):
    from tests.grids import centres

    return centres(grid)


@pytest.mark.parametrize("name", ["flipped", "sagittal"])
def test_findings_do_not_depend_on_how_the_array_lies(patient, name):
    """The same voxels in another order of axes: the same findings at the same places."""
    image, mask, _ = patient
    spoilt = spoil(mask, "hole")
    order = (2, 1, 0) if name == "sagittal" else (0, 1, 2)
    turn = slice(None, None, -1)
    affine = mask.grid.affine.copy()
    if name == "flipped":
        affine[:3, 0] *= -1
        affine[:3, 3] = mask.grid.centres_mm([[mask.grid.shape[0] - 1, 0, 0]])[0]
    else:
        affine[:3, :3] = affine[:3, list(order)]

    def laid(voxels):
        return np.ascontiguousarray(voxels[turn] if name == "flipped" else voxels.transpose(order))

    grid = dataclasses.replace(mask.grid, shape=laid(mask.voxels).shape, affine=affine)
    other = dataclasses.replace(image, grid=grid, voxels=laid(image.voxels))
    there = check_masks(liver_of(other, to_grid(spoilt, grid)))
    here = check_masks(liver_of(image, spoilt))
    assert codes(there) == codes(here)
    assert here.findings[0].place_mm == pytest.approx(there.findings[0].place_mm, abs=0.1)


def test_slices_out_of_place_are_named(patient):
    image, mask, _ = patient
    voxels = mask.voxels.copy()
    voxels[..., ::2] = False
    assert "mask_ragged" in codes(check_masks(liver_of(image, Mask(mask.grid, voxels))))
    assert raggedness(mask.voxels) < 0.02


def test_a_marked_lesion_is_not_foreign_and_an_unmarked_organ_is(patient):
    """A ball of bone beside the liver is named as such."""
    image, mask, lesions = patient
    bright = np.argwhere(mask.voxels)[len(np.argwhere(mask.voxels)) // 2]
    ball_there = round_about(mask.grid, mask.grid.centres_mm([bright])[0], 14) & mask.voxels
    voxels = np.array(image.voxels)
    voxels[ball_there] = 400
    scan = dataclasses.replace(image, voxels=voxels)
    told = liver_of(scan, mask, [*lesions, Mask(mask.grid, ball_there)])
    # What a liver looks like is told without what is marked.
    assert look_at(told).median == pytest.approx(look_at(liver_of(image, mask, lesions)).median, abs=2)
    marked = check_masks(told)
    unmarked = check_masks(liver_of(scan, mask, lesions))
    assert "mask_foreign" not in codes(marked)
    foreign = next(f for f in unmarked.findings if f.caveat.code == "mask_foreign")
    assert "bone or metal" in foreign.caveat.message
    # The place is its middle, not its rim.
    assert foreign.place_mm == pytest.approx(mask.grid.centres_mm([bright])[0], abs=5)


def test_the_formulas_of_the_estimate():
    good = Features(0.7, 1.5, 0.02, 0.02, 0.07, 0.0, 0.8)
    assert expected_boundary_mm(good) == pytest.approx(1.35)
    worse = dataclasses.replace(good, edge_share=0.3, edge_offset_mm=3.0, like_outside=0.2)
    # -3.82 + 3.27 * 0.7 + 1.16 * 3 + 3.29 * 0.2 + 0.23 * 0.02 + 11.3 * 0.07, and a reader's 0.9546 in square.
    assert expected_boundary_mm(worse) == pytest.approx(np.hypot(3.4026, 0.9546), abs=1e-3)
    assert expected_boundary_mm(dataclasses.replace(worse, edge_offset_mm=90.0)) == 20
    assert expected_dice(2.0, ml=1000, area_cm2=800) == pytest.approx(0.92)
    image = check_masks(liver_of(None, Mask(*_plain())))
    assert image.quality.dice is None
    assert boundary_sd_mm(image.quality) is None


def _plain():
    grid = grid_around("axial", (0, 0, 0), 60, scale=2)
    return grid, ball(grid, (0, 0, 0), 56)


def test_an_outline_that_is_expected_to_be_off_widens_the_intervals_and_a_good_one_does_not_narrow_them():
    from flr_volumetry.app.measured import widened
    from flr_volumetry.segmentation import Quality
    from flr_volumetry.volumetry.uncertainty import DrawingErrors

    drawing = DrawingErrors()
    assert widened(drawing, Quality(Structure.LIVER)) == drawing
    # A mask as good as a reader's wavers as far as the default says: both are from the same readers.
    assert boundary_sd_mm(Quality(Structure.LIVER, boundary_mm=READERS_MM)) == pytest.approx(1.2, abs=0.01)
    assert widened(drawing, Quality(Structure.LIVER, boundary_mm=READERS_MM)) == drawing
    wider = widened(drawing, Quality(Structure.LIVER, boundary_mm=np.hypot(2.0, READERS_MM / np.sqrt(2))))
    assert wider.local_sd_mm == pytest.approx(2.5066, abs=1e-3)
    assert wider.outline_sd_mm == pytest.approx(2.5066 / 3, abs=1e-3)
    site = widened(DrawingErrors(outline_sd_mm=1.5), Quality(Structure.LIVER, boundary_mm=3.0))
    assert (site.outline_sd_mm, site.local_sd_mm > 3) == (1.5, True)
    assert widened(drawing, Quality(Structure.LIVER, boundary_mm=20.0)).local_sd_mm == 20.0


def made(mask, origin):
    return dataclasses.replace(mask, source=dataclasses.replace(mask.source, origin=origin))


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, READERS_MM),
        (Origin("classical 0.1.0"), MEASURED_MM["classical"]),
        (Origin("classical 0.1.0", 2.2), 2.2),
        (Origin("classical 0.1.0", 0.4), READERS_MM),
        (Origin("someone-elses 3"), READERS_MM),
    ],
)
def test_nothing_better_is_expected_of_a_mask_than_of_what_made_it(patient, origin, expected):
    """The outline follows the edges exactly, as that of a back-end does by its making."""
    image, mask, lesions = patient
    checked = check_masks(liver_of(image, made(mask, origin), lesions))
    assert checked.quality.boundary_mm == pytest.approx(expected)
    if expected > READERS_MM:
        assert "classical 0.1.0" in checked.methods[0]


def test_what_is_seen_to_be_worse_than_its_maker_says_stays_worse(patient):
    image, mask, _ = patient
    moved = spoil(mask, "shift across")
    plain = check_masks(liver_of(image, moved)).quality.boundary_mm
    assert plain > 4
    said = check_masks(liver_of(image, made(moved, Origin("classical 0.1.0", 1.5)))).quality
    assert said.boundary_mm == pytest.approx(plain)


def test_without_a_scan_or_an_estimate_the_maker_is_still_known(patient):
    image, mask, _ = patient
    origin = Origin("classical 0.1.0", 2.2)
    for checked in (
        check_masks(liver_of(None, made(mask, origin))),
        check_masks(liver_of(image, made(spoil(mask, "hole"), origin))),
    ):
        assert checked.quality.dice is None
        assert checked.quality.boundary_mm == 2.2
        assert "2.2 mm" in checked.methods[0]


@pytest.mark.parametrize("distance", [0.96, 1.5, 4.0, 19.0])
def test_a_readers_error_is_added_and_taken_off_again(distance):
    assert own_error(against_reader(distance)) == pytest.approx(distance)
    assert against_reader(distance) > distance


def test_two_readers_alike_differ_by_root_two_of_each():
    assert against_reader(0.0) == pytest.approx(READERS_MM)
    assert own_error(0.0) == pytest.approx(READERS_MM / np.sqrt(2))

"""The classical back-end on synthetic patients: masks in any orientation, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import Grid, Image, Source
from flr_volumetry.phantom import random_patient, sample_patient
from flr_volumetry.segmentation import BoxMm, Hints, backend, segment
from flr_volumetry.segmentation.classical import find_anatomy
from tests.grids import STEPS, ball

LIVER = frozenset({Structure.LIVER})
EVERYTHING = frozenset(
    {
        Structure.LIVER,
        Structure.LESION,
        Structure.PORTAL_VEIN,
        Structure.HEPATIC_VEINS,
        Structure.IVC,
        Structure.GALLBLADDER,
    }
)


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def scan_grid(phantom, steps):
    """A grid of the given steps over the phantom's field of view."""
    low, high = phantom.field_of_view_mm
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (high - low) + low
    index = corners @ np.linalg.inv(steps).T
    first = np.floor(index.min(axis=0))
    shape = tuple(int(n) for n in np.ceil(index.max(axis=0)) - first + 1)
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = steps @ first
    return Grid(shape, affine)


@pytest.fixture(scope="module")
def patient():
    """The sample patient, a scan of it, what is true, and what was found."""
    phantom = sample_patient()
    image = phantom.image(phantom.default_grid((2.0, 2.0, 4.0)))
    found = segment(image, EVERYTHING, segmenter=backend("classical"))
    return image, phantom.structures(image.grid), found


def test_the_liver_is_found(patient):
    """Close to the truth, without a doubt, with a quality and methods."""
    _, truth, found = patient

    mask = found.masks[Structure.LIVER]
    assert dice(mask.voxels, truth.liver.voxels) > 0.95
    assert mask.ml == pytest.approx(truth.liver.ml, rel=0.05)
    assert found.caveats == ()
    assert found.quality[0].dice > 0.9
    assert found.methods
    assert found.made.backend == "classical"


def test_lesions_lie_in_the_liver_where_they_are(patient):
    """Every lesion above 3 mL is met by one found; what is found overlaps a true one."""
    _, truth, found = patient

    assert found.lesions
    for lesion in truth.lesions:
        if lesion.ml > 3:
            assert max(dice(f.mask.voxels, lesion.voxels) for f in found.lesions) > 0.6
    liver = found.masks[Structure.LIVER].voxels
    for lesion in found.lesions:
        assert not (lesion.mask.voxels & ~liver).any()
        assert 0.7 <= lesion.confidence <= 1


def test_veins_are_told_apart(patient):
    """Each tree holds more of its own voxels than of the other's."""
    _, truth, found = patient

    portal, hepatic = (found.masks[s].voxels for s in (Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS))
    own = (portal & truth.portal_vein.voxels).sum(), (hepatic & truth.hepatic_veins.voxels).sum()
    other = (portal & truth.hepatic_veins.voxels).sum(), (hepatic & truth.portal_vein.voxels).sum()
    assert own[0] > 2 * other[0]
    assert own[1] > 2 * other[1]
    assert not (portal & hepatic).any()


def test_the_vena_cava_is_kept_out(patient):
    """It is found, and hardly any of it is in the liver."""
    _, truth, found = patient

    liver, vein = found.masks[Structure.LIVER].voxels, found.masks[Structure.IVC].voxels
    assert (liver & truth.ivc.voxels).sum() < 0.25 * truth.ivc.count
    assert (vein & truth.ivc.voxels).sum() > 0.5 * vein.sum()
    assert not (liver & vein).any()


@pytest.mark.evaluate
def test_the_same_liver_on_an_oblique_grid():
    """Orientation does not matter."""
    phantom = sample_patient()
    grid = scan_grid(phantom, STEPS["oblique"] * 2.2)

    anatomy = find_anatomy(phantom.image(grid))

    assert dice(anatomy.liver, phantom.structures(grid).liver.voxels) > 0.94


@pytest.mark.evaluate
@pytest.mark.parametrize("name", STEPS)
def test_the_same_liver_on_every_grid(name):
    """Dice against the truth on each of five grids."""
    phantom = random_patient(2)
    grid = scan_grid(phantom, STEPS[name] * 2.0)

    anatomy = find_anatomy(phantom.image(grid))

    assert dice(anatomy.liver, phantom.structures(grid).liver.voxels) > 0.94


def scan_of(shape, step_mm, fill):
    grid = Grid(shape, np.diag([step_mm, step_mm, step_mm, 1.0]))
    voxels = np.full(shape, -1000, dtype=np.int16)
    fill(grid, voxels)
    return Image(grid, voxels, Source(modality="CT"))


def refused(image, hints=None):
    with pytest.raises(SegmentationError) as refusal:
        segment(image, LIVER, segmenter=backend("classical"), hints=hints or Hints())
    return refusal.value


def test_a_head_is_no_trunk():
    """A ball of 80 mm with a skull."""

    def head(grid, voxels):
        voxels[ball(grid, (110, 110, 110), 80)] = 900
        voxels[ball(grid, (110, 110, 110), 73)] = 35

    assert refused(scan_of((56, 56, 56), 4.0, head)).reason == "no_trunk"


def test_an_empty_scan_and_water_are_no_liver():
    """Air alone; a tub of water."""
    assert refused(scan_of((40, 40, 30), 5.0, lambda *_: None)).reason in {"no_trunk", "no_liver"}

    def tub(_, voxels):
        voxels[5:65, 10:50, :] = 0

    assert refused(scan_of((70, 60, 40), 5.0, tub)).reason == "no_liver"


def test_values_that_are_not_hounsfield_units_are_refused():
    """A CT with 1024 added, an MR that calls itself CT."""
    phantom = sample_patient()
    image = phantom.image(phantom.default_grid((5.0, 5.0, 10.0)))
    shifted = replace(image, voxels=(image.voxels + 1024).astype(np.int16))

    error = refused(shifted)

    assert error.reason == "not_hounsfield"
    assert "MR" in error.message


def test_a_chest_has_no_liver():
    """Slices above the diaphragm: lungs and heart."""
    phantom = sample_patient()
    low, high = phantom.field_of_view_mm
    affine = np.diag([3.0, 3.0, 5.0, 1.0])
    affine[:3, 3] = [low[0], low[1], 112.0]
    shape = tuple(int(n) for n in (*((high - low)[:2] / 3.0), 18))

    assert refused(phantom.image(Grid(shape, affine))).reason in {"no_liver", "not_a_liver"}


def test_hints_that_cannot_be_are_refused(patient):
    """Off the scan, in air, in fat; a box and a mask are checked where they are made."""
    image, truth, _ = patient

    assert refused(image, Hints(seeds_mm=((0, 0, 900.0),))).reason == "hint_outside_scan"
    assert refused(image, Hints(seeds_mm=((-100.0, 0.0, 115.0),))).reason == "hint_outside_liver"
    far = truth.liver.grid.affine.copy()
    far[:3, 3] += 3000
    rough = replace(truth.liver, grid=Grid(truth.liver.grid.shape, far))
    assert refused(image, Hints(rough=rough)).reason == "hint_outside_scan"


@pytest.mark.evaluate
def test_hints_are_used():
    """A rough mask, a seed and a box each lead to the liver; a box cuts off what lies outside."""
    phantom = sample_patient()
    image = phantom.image(phantom.default_grid((2.5, 2.5, 5.0)))
    truth = phantom.structures(image.grid)
    middle = image.grid.centres_mm(np.argwhere(truth.liver.voxels)).mean(axis=0)
    rough = replace(truth.liver, voxels=np.roll(truth.liver.voxels, 2, axis=0))
    for hints in (Hints(rough=rough), Hints(seeds_mm=((-70.0, 0.0, 20.0),))):
        assert dice(find_anatomy(image, hints).liver, truth.liver.voxels) > 0.93
    low = image.grid.centres_mm([[0, 0, 0]])[0]
    box = BoxMm(tuple(low - 10), (float(middle[0]), 500.0, 500.0))
    cut = find_anatomy(image, Hints(box_mm=box)).liver
    x = image.grid.centres_mm(np.argwhere(cut))[:, 0]
    assert np.percentile(x, 99) < middle[0] + 6.0

"""The expected error of masks against the true one, on patients that it was not fitted on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import FlrError
from flr_volumetry.images import Mask, Origin
from flr_volumetry.io import read_image, read_label_map, read_mask
from flr_volumetry.segmentation import backend, segment
from flr_volumetry.segmentation.quality import check_masks, expected_boundary_mm
from flr_volumetry.segmentation.quality_features import features_of, profiles_of
from flr_volumetry.segmentation.quality_look import look_at
from flr_volumetry.segmentation.readers import expected_dice, own_error
from tests.segmentation.degrade import SPOILT, dice, liver_of, phantom, spoil, varied
from tests.segmentation.phases import PHASES, patient_in

LIVER = frozenset({Structure.LIVER})
pytestmark = pytest.mark.evaluate


def pairs(image, mask, lesions, numbers):
    """True and expected Dice of many masks of one liver."""
    found = []
    for number in numbers:
        made = varied(mask, number)
        try:
            liver = liver_of(image, made, lesions)
        except FlrError:
            continue
        look = look_at(liver)
        boundary = expected_boundary_mm(features_of(look, profiles_of(look)))
        found.append((dice(made, mask), expected_dice(boundary, ml=liver.ml, area_cm2=look.area_cm2)))
    return np.array(found)


def ircad17(folder):
    image = read_image(folder / "ircad17" / "PATIENT_DICOM")
    masks = folder / "ircad17" / "MASKS_DICOM"
    lesions = [read_mask(masks / f"livertumor{n}", grid=image.grid) for n in (1, 2)]
    return image, read_mask(masks / "liver", grid=image.grid), lesions


def test_expected_and_true_dice_go_together_on_other_phantoms():
    """Five patients, 100 masks."""
    both = np.concatenate([pairs(*phantom(seed), range(seed * 50, seed * 50 + 20)) for seed in range(5)])
    off = both[:, 1] - both[:, 0]
    print(f"phantoms: n = {len(both)}, r = {np.corrcoef(both.T)[0, 1]:.3f}, off {off.mean():+.4f}")
    assert len(both) >= 95
    assert np.corrcoef(both.T)[0, 1] > 0.9


def test_expected_dice_is_neither_too_high_nor_too_low_in_four_phases():
    """Twelve other patients, what a reader adds taken off; gross errors at one place have no estimate."""
    off = []
    for n, phase in enumerate(sorted(PHASES) * 3):
        image, mask, lesions = patient_in(phase, 400 + n, (2.0, 2.0, 3.0))
        for number in range(9 * n, 9 * n + 9):
            made = varied(mask, number)
            try:
                liver = liver_of(image, made, lesions)
            except FlrError:
                continue
            checked = check_masks(liver)
            if checked.quality.dice is not None:
                area = look_at(liver).area_cm2
                own = expected_dice(own_error(checked.quality.boundary_mm), ml=liver.ml, area_cm2=area)
                off.append(own - dice(made, mask))
    print(f"four phases: n = {len(off)}, off {np.mean(off):+.4f} on average, {np.std(off):.4f} sd")
    assert len(off) > 80
    assert abs(np.mean(off)) < 0.015


@pytest.mark.parametrize("phase", PHASES)
def test_what_the_classical_back_end_expects_of_its_livers_is_true_in_each_phase(phase):
    """Four patients each that nothing was fitted on; what is expected, a reader's error taken off."""
    off, distances = [], []
    for n in range(4):
        image, truth, _ = patient_in(
            phase, 300 + n, ((1.5, 1.5, 2.0), (2.0, 2.0, 5.0))[n % 2], (8.0, 20.0)[n // 2]
        )
        found = segment(image, LIVER, segmenter=backend("classical"))
        mask = found.masks[Structure.LIVER]
        area = look_at(liver_of(image, mask)).area_cm2
        distances.append(20 * (1 - dice(mask, truth)) * mask.ml / area)
        off.append(own_error(found.quality[0].boundary_mm) - distances[-1])
    print(f"{phase}: {np.mean(distances):.2f} mm from the truth, expected {np.mean(off):+.2f} off")
    assert abs(np.mean(off)) < 0.4


@pytest.mark.parametrize("name", ["ircad17", "ct_truncated"])
def test_what_is_expected_of_automatic_livers_of_real_patients_is_not_too_good(real_data, name):
    """Against the reader: by the back-end, by the check that knows who made it, and by one that does not."""
    if name == "ircad17":
        image, reference, lesions = ircad17(real_data)
    else:
        folder = real_data / name
        image, lesions = read_image(folder / "example_ct.nii.gz"), []
        reference = read_mask(folder / "masks" / "liver.nii.gz", grid=image.grid)
    found = segment(image, LIVER, segmenter=backend("classical"))
    mask = found.masks[Structure.LIVER]
    true = dice(mask, reference)
    nobodys = dataclasses.replace(mask, source=dataclasses.replace(mask.source, origin=None))
    named = dataclasses.replace(
        mask, source=dataclasses.replace(mask.source, origin=Origin("classical 0.1.0"))
    )
    said = [found.quality[0].dice]
    said += [check_masks(liver_of(image, m, lesions)).quality.dice for m in (mask, named, nobodys)]
    print(
        f"{name}: true {true:.4f}; back-end {said[0]:.4f}, known {said[1]:.4f}, by name {said[2]:.4f}, "
        f"unknown {said[3]:.4f}; reader's own mask "
        f"{check_masks(liver_of(image, reference, lesions)).quality.dice:.4f}"
    )
    assert max(said) < true + 0.005
    assert min(said) > true - 0.03
    assert said[1] >= said[2] - 0.01


def test_expected_and_true_dice_go_together_on_a_real_patient(real_data):
    both = pairs(*ircad17(real_data), range(40))
    print(f"ircad17: n = {len(both)}, r = {np.corrcoef(both.T)[0, 1]:.3f}")
    assert np.corrcoef(both.T)[0, 1] > 0.7


def test_good_masks_of_real_patients_raise_no_alarm(real_data):
    """But for LiTS-44, whose header is known to lie about left and right."""
    assert check_masks(liver_of(*ircad17(real_data))).findings == ()
    for path in sorted((real_data / "couinaud").glob("*/label.nii.gz")):
        labels = read_label_map(path)
        found = check_masks(liver_of(None, Mask(labels.grid, labels.voxels > 0)))
        expected = ["mask_mirrored"] if path.parent.name == "LiTS-44" else []
        assert [f.caveat.code for f in found.findings] == expected, path


@pytest.mark.parametrize("kind", SPOILT)
def test_each_gross_error_on_a_real_patient_is_flagged(real_data, kind):
    image, mask, lesions = ircad17(real_data)
    liver = liver_of(image, spoil(mask, kind), lesions if kind.startswith("leak") else ())
    assert check_masks(liver).findings

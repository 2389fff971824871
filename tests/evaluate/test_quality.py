"""The expected error of masks against the true one, on patients that it was not fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import FlrError
from flr_volumetry.images import Mask
from flr_volumetry.io import read_image, read_label_map, read_mask
from flr_volumetry.segmentation.quality import check_masks, expected_boundary_mm, expected_dice
from flr_volumetry.segmentation.quality_features import features_of, profiles_of
from flr_volumetry.segmentation.quality_look import look_at
from tests.segmentation.degrade import SPOILT, dice, liver_of, phantom, spoil, varied

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
    print(f"phantoms: n = {len(both)}, r = {np.corrcoef(both.T)[0, 1]:.3f}")
    assert len(both) >= 95
    assert np.corrcoef(both.T)[0, 1] > 0.8


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

"""Territories of a patient's own vessels, against the segments that were drawn on him: ``make evaluate``."""

import numpy as np
import pytest

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.io import read_label_map, read_mask
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.resection import feeding_branches
from flr_volumetry.territories import find_territories, with_territories

pytestmark = pytest.mark.evaluate


@pytest.fixture(scope="module")
def ircad17(real_data):
    """The liver with its lesions, its vessels and one drawing as its segments; territories of both veins."""
    folder = real_data / "ircad17" / "MASKS_DICOM"
    veins = ((Structure.PORTAL_VEIN, "portalvein"), (Structure.HEPATIC_VEINS, "venoussystem"))
    liver = crop_liver(
        Masks(
            read_mask(folder / "liver"),
            [read_mask(folder / "livertumor1"), read_mask(folder / "livertumor2")],
            read_label_map(real_data / "couinaud" / "3Dircadb-17" / "label.nii.gz"),
            [(structure, read_mask(folder / name)) for structure, name in veins],
        )
    )
    for structure, _ in veins:
        liver = with_territories(liver, find_territories(liver, structure))
    return liver


def ml_by_segment(liver, structure, name):
    """What a branch and all behind it serve, mL: by segment from 1, and in all."""
    found = liver.territories_of(structure)
    served = np.isin(found.labels, list(found.behind([name]))) & liver.voxels
    count = np.bincount(liver.segments[served], minlength=len(SEGMENTS) + 1) * liver.grid.voxel_ml
    return count[1:], float(np.count_nonzero(served) * liver.grid.voxel_ml)


def test_portal_territories_agree_with_the_drawn_halves(ircad17, capsys):
    """Right portal vein: V to VIII; left: II to IV; the whole liver is divided."""
    drawn = np.bincount(ircad17.segments[ircad17.voxels], minlength=9)[1:] * ircad17.grid.voxel_ml
    right, right_ml = ml_by_segment(ircad17, Structure.PORTAL_VEIN, "right portal vein")
    left, left_ml = ml_by_segment(ircad17, Structure.PORTAL_VEIN, "left portal vein")
    halves = 100 * np.array([drawn[4:].sum(), right_ml]) / ircad17.ml
    with capsys.disabled():
        print(f"\nircad17: right {right_ml:.1f} mL, left {left_ml:.1f} mL of {ircad17.ml:.1f} mL")
        print(f"V-VIII as drawn {halves[0]:.1f} %, fed by the right portal vein {halves[1]:.1f} %")
    assert right_ml + left_ml == pytest.approx(ircad17.ml, abs=0.1)
    assert right[4:].sum() > 0.9 * drawn[4:].sum()
    assert left[1:4].sum() > 0.97 * drawn[1:4].sum()
    assert right_ml / ircad17.ml == pytest.approx(drawn[4:].sum() / ircad17.ml, abs=0.03)


def test_hepatic_veins_are_named(ircad17, capsys):
    found = ircad17.territories_of(Structure.HEPATIC_VEINS)
    shares = {
        side: ml_by_segment(ircad17, Structure.HEPATIC_VEINS, f"{side} hepatic vein")[1] / ircad17.ml
        for side in ("right", "middle", "left")
    }
    with capsys.disabled():
        print(
            f"\nircad17: {len(found.branches)} branches; " + str({k: round(v, 3) for k, v in shares.items()})
        )
    assert all(0.2 < share < 0.5 for share in shares.values())
    assert sum(shares.values()) > 0.85


def test_what_feeds_the_lesions_grows_with_the_margin(ircad17, capsys):
    for lesion in (1, 2):
        found = [feeding_branches(ircad17, Structure.PORTAL_VEIN, [lesion], mm) for mm in (0.0, 5.0, 10.0)]
        with capsys.disabled():
            for each in found:
                print(f"\n{each}")
        assert found[0].zone_ml < found[1].zone_ml < found[2].zone_ml
        assert found[0].cover_ml < found[1].cover_ml < found[2].cover_ml < 0.6 * ircad17.ml

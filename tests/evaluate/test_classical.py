"""The classical back-end against readers and against the truth of synthetic patients: ``make evaluate``."""

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.io import read_image, read_masks
from flr_volumetry.phantom import random_patient
from flr_volumetry.segmentation import backend, segment
from flr_volumetry.segmentation.classical import find_anatomy

INNER = frozenset({Structure.LIVER, Structure.LESION, Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS})
VEINS = ((Structure.PORTAL_VEIN, "portalvein"), (Structure.HEPATIC_VEINS, "venoussystem"))
POINTS_MM = ((122.0, 112.0, 64.0), (164.0, 186.0, 104.0), (161.0, 176.0, 140.0))
TOWARDS_MM = (80.0, 180.0, 100.0)
"""Cantlie's plane of pipelines/ircad17/right_hepatectomy_plane.toml."""


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def one_mask(path, grid):
    return next(iter(read_masks(path, grid=grid).values()))


def remnant_share(voxels, grid):
    """Share of a liver on the left of the plane."""
    a, b, c = (np.asarray(p) for p in POINTS_MM)
    normal = np.cross(b - a, c - a)
    normal *= np.sign(normal @ (np.asarray(TOWARDS_MM) - a))
    side = (grid.centres_mm(np.argwhere(voxels)) - a) @ normal
    return float((side <= 0).mean())


@pytest.mark.evaluate
def test_ircad17(real_data, capsys):
    """Liver, future liver remnant, both lesions and the veins of a real patient."""
    folder = real_data / "ircad17"
    image = read_image(folder / "PATIENT_DICOM")
    masks = folder / "MASKS_DICOM"
    reference = one_mask(masks / "liver", image.grid)

    found = segment(image, INNER, segmenter=backend("classical"))

    liver = found.masks[Structure.LIVER]
    shares = [remnant_share(m.voxels, image.grid) for m in (liver, reference)]
    scores = []
    for name in ("livertumor1", "livertumor2"):
        truth = one_mask(masks / name, image.grid).voxels
        scores.append(max(dice(lesion.mask.voxels, truth) for lesion in found.lesions))
    with capsys.disabled():
        score = dice(liver.voxels, reference.voxels)
        print(f"\nliver: Dice {score:.4f}, {liver.ml:.0f} for {reference.ml:.0f} mL")
        print(f"remnant of a right hepatectomy: {shares[0]:.1%} for {shares[1]:.1%}")
        print(
            f"lesions: {len(found.lesions)} found, Dice of the two true ones {scores[0]:.2f}, {scores[1]:.2f}"
        )
        for structure, name in (
            (Structure.PORTAL_VEIN, "portalvein"),
            (Structure.HEPATIC_VEINS, "venoussystem"),
        ):
            if structure in found.masks:
                truth = one_mask(masks / name, image.grid).voxels & reference.voxels
                inside = found.masks[structure].voxels & reference.voxels
                print(f"{structure.value}: Dice {dice(inside, truth):.2f} inside the liver")
    assert dice(liver.voxels, reference.voxels) >= 0.95
    assert found.quality[0].dice == pytest.approx(dice(liver.voxels, reference.voxels), abs=0.03)
    assert liver.ml == pytest.approx(reference.ml, rel=0.04)
    assert abs(shares[0] - shares[1]) <= 0.02
    assert min(scores) > 0.5
    assert len(found.lesions) <= 8


@pytest.mark.evaluate
def test_ct_truncated(real_data, capsys):
    """An unenhanced scan that cuts the liver at the top: the part in view, and the caveat."""
    folder = real_data / "ct_truncated"
    image = read_image(folder / "example_ct.nii.gz")
    reference = one_mask(folder / "masks" / "liver.nii.gz", image.grid)

    found = segment(image, frozenset({Structure.LIVER}), segmenter=backend("classical"))

    liver = found.masks[Structure.LIVER]
    with capsys.disabled():
        score = dice(liver.voxels, reference.voxels)
        print(f"\nliver: Dice {score:.4f}, {liver.ml:.0f} for {reference.ml:.0f} mL")
    assert dice(liver.voxels, reference.voxels) >= 0.95
    assert found.quality[0].dice == pytest.approx(dice(liver.voxels, reference.voxels), abs=0.03)
    assert liver.ml == pytest.approx(reference.ml, rel=0.04)
    assert "liver_partly_in_view" in {caveat.code for caveat in found.caveats}


@pytest.mark.evaluate
def test_synthetic_patients_of_many_shapes(capsys):
    """Twelve livers, thin and thick slices, little and much noise."""
    scores, errors = [], []
    for seed in range(12):
        phantom = random_patient(seed)
        thick = (2.0, 3.0, 5.0)[seed % 3]
        image = phantom.image(
            phantom.default_grid((1.5, 1.5, thick)), noise_sd=(8.0, 15.0, 25.0, 12.0)[seed % 4]
        )
        truth = phantom.structures(image.grid).liver
        liver = find_anatomy(image).liver
        scores.append(dice(liver, truth.voxels))
        errors.append(np.count_nonzero(liver) / truth.count - 1)
    with capsys.disabled():
        print(
            f"\nDice {np.min(scores):.3f} to {np.max(scores):.3f}, median {np.median(scores):.3f}; ", end=""
        )
        print(f"volume error {np.min(errors):+.1%} to {np.max(errors):+.1%}, median {np.median(errors):+.1%}")
    assert np.median(scores) > 0.96
    assert np.min(scores) > 0.92

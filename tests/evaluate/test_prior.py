"""The liver with the shape of other livers, against the liver without it: ``make evaluate``."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.images import Image
from flr_volumetry.io import read_image, read_label_map, read_masks
from flr_volumetry.phantom import random_patient
from flr_volumetry.segmentation import NO_HINTS, Settings
from flr_volumetry.segmentation.atlas_folder import read_atlas
from flr_volumetry.segmentation.classical import find_anatomy
from flr_volumetry.segmentation.fusion import AtlasLiver
from flr_volumetry.segmentation.shaped import shaped_liver
from tests.grids import centres

pytestmark = pytest.mark.evaluate


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@pytest.fixture(scope="module")
def livers(real_data):
    """The public livers that are no lie: LiTS-44 lies mirrored and is 3Dircadb-17 once more."""
    found = read_atlas(Settings(real_data / "couinaud", read_segments=read_label_map))
    why = " ".join(found.no_liver)
    assert "LiTS-44/label.nii.gz (segments II and III" in why
    assert "3Dircadb-17/liver.nii.gz (the same liver as 3Dircadb-17/label.nii.gz)" in why
    assert "3Dircadb-17/vessel.nii.gz" in why
    assert len(found.livers) == 13
    return found.livers


@pytest.mark.parametrize(
    ("scan", "mask", "own"),
    [
        ("ircad17/PATIENT_DICOM", "ircad17/MASKS_DICOM/liver", "3Dircadb-17"),
        ("ct_truncated/example_ct.nii.gz", "ct_truncated/masks/liver.nii.gz", ""),
    ],
)
def test_good_livers_of_real_scans_stay_good(real_data, livers, capsys, scan, mask, own):
    """The patient's own liver is not among those that help."""
    image = read_image(real_data / scan)
    truth = next(iter(read_masks(real_data / mask, grid=image.grid).values()))
    others = [one for one in livers if not own or own not in one.name]

    without = find_anatomy(image).liver
    found = shaped_liver(image, others, NO_HINTS)

    with capsys.disabled():
        print(f"\n{scan}: trust {found.prior.trust:.2f}")
        for name, voxels in (("without", without), ("with", found.mask.voxels)):
            score = dice(voxels, truth.voxels)
            print(f"  {name}: Dice {score:.4f}, volume {voxels.sum() / truth.count - 1:+.1%}")
    assert dice(found.mask.voxels, truth.voxels) > dice(without, truth.voxels) - 0.001
    assert found.mask.ml == pytest.approx(truth.ml, rel=0.04)


def test_a_leak_gets_smaller(capsys):
    """A stomach as bright as the liver, on the left lobe's lower face: less of it is taken for liver."""
    patients = [random_patient(seed) for seed in range(100, 108)]
    others = [
        AtlasLiver.of(f"p{n}", p.structures(p.default_grid((3.0, 3.0, 4.0))).segments)
        for n, p in enumerate(patients)
    ]
    phantom = random_patient(0)
    grid = phantom.default_grid((2.0, 2.0, 4.0))
    image, truth = phantom.image(grid), phantom.structures(grid)
    liver, at = truth.liver.voxels, centres(grid)
    middle = at[np.isin(truth.segments.voxels, [2, 3])].mean(axis=0) + [25, 5, -40]
    stomach = ((((at - middle) / [32, 28, 34]) ** 2).sum(axis=-1) < 1) & ~liver & (image.voxels > -200)
    noise = np.random.Generator(np.random.Philox(0)).normal(0, 12, stomach.sum())
    voxels = np.array(image.voxels, order="F")
    voxels[stomach] = np.median(voxels[liver]) + noise
    image = Image(grid, voxels, image.source)

    without = find_anatomy(image).liver
    found = shaped_liver(image, others, NO_HINTS)

    leak = [float((v & stomach).sum()) * grid.voxel_ml for v in (without, found.mask.voxels)]
    scores = [dice(v, liver) for v in (without, found.mask.voxels)]
    with capsys.disabled():
        print(f"\nleak {leak[0]:.0f} mL without, {leak[1]:.0f} with; Dice {scores[0]:.3f}, {scores[1]:.3f}")
    assert leak[1] < 0.85 * leak[0]
    assert scores[1] > scores[0]
    assert "prior_changed_liver" in {c.code for c in found.caveats}

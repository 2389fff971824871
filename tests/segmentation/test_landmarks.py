"""Points for automatic planes from a scan alone, against synthetic patients whose anatomy is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from flr_volumetry.phantom import random_patient, sample_patient
from flr_volumetry.segmentation.classical import find_anatomy, find_landmarks
from flr_volumetry.territories import Landmark, Landmarks, Side, cantlie_plane


@pytest.fixture(scope="module", params=["sample", 1])
def patient(request):
    """What was found in a scan, the true structures, and the true points."""
    phantom = sample_patient() if request.param == "sample" else random_patient(request.param)
    image = phantom.image(phantom.default_grid((2.0, 2.0, 4.0)))
    truth = phantom.structures(image.grid)
    return find_landmarks(find_anatomy(image)), truth, true_points(truth)


def true_points(truth):
    """The middle of the gallbladder within 5 mm of the liver, and of the vena cava on each slice."""
    grid = truth.liver.grid
    near = ndimage.distance_transform_edt(~truth.liver.voxels, sampling=grid.spacing_mm)
    fossa = grid.centres_mm(np.argwhere(truth.gallbladder.voxels & (near <= 5))).mean(axis=0)
    vein = grid.centres_mm(np.argwhere(truth.ivc.voxels & (near <= 30)))
    heights = np.unique(vein[:, 2])
    return Landmarks(
        {
            Landmark.GALLBLADDER: fossa[None],
            Landmark.CAVA: np.array([vein[vein[:, 2] == z].mean(axis=0) for z in heights]),
        },
        "the phantom",
    )


def test_the_fossa_and_the_vena_cava_lie_where_they_are(patient):
    """The fossa to 10 mm; the vena cava to 3 mm on half of its slices."""
    found, _, truth = patient

    fossa = found.at(Landmark.GALLBLADDER) - truth.at(Landmark.GALLBLADDER)
    assert np.linalg.norm(fossa) < 10.0
    cava, true_cava = found.at(Landmark.CAVA), truth.at(Landmark.CAVA)
    shared = cava[(cava[:, 2] >= true_cava[0, 2]) & (cava[:, 2] <= true_cava[-1, 2])]
    assert len(shared) > 12
    middle = [np.interp(shared[:, 2], true_cava[:, 2], true_cava[:, a]) for a in (0, 1)]
    off = np.hypot(*(shared[:, a] - middle[a] for a in (0, 1)))
    assert np.median(off) < 3.0


def test_cantlies_plane_divides_the_liver_as_the_true_points_do(patient):
    """The share of the right liver differs by less than 4 points."""
    found, masks, truth = patient
    centres = masks.liver.grid.centres_mm(np.argwhere(masks.liver.voxels))

    def share(points):
        plane = cantlie_plane(points, removed=Side.RIGHT)
        return float(((centres - np.asarray(plane.point_mm)) @ np.asarray(plane.normal) > 0).mean())

    assert share(truth) > 0.5
    assert share(found) == pytest.approx(share(truth), abs=0.04)

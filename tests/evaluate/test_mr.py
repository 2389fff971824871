"""The classical back-end on MR-like scans of synthetic patients: ``make evaluate``."""

import numpy as np
import pytest

from flr_volumetry.phantom import random_patient
from flr_volumetry.segmentation.classical import find_anatomy
from tests.segmentation.mr import mr_of


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@pytest.mark.evaluate
def test_dice_on_many_mr_scans(capsys):
    """Eight patients, fields off by 0 to 40 %, noise of 3 to 8 % of the liver's signal, slices of 3 mm."""
    scores, errors = [], []
    for seed in range(8):
        phantom = random_patient(seed)
        grid = phantom.default_grid((1.5, 1.5, 3.0))
        image = mr_of(
            phantom, grid, seed=seed, bias=(0.0, 0.2, 0.3, 0.4)[seed % 4], noise=(0.03, 0.05, 0.08)[seed % 3]
        )
        truth = phantom.structures(grid).liver.voxels
        liver = find_anatomy(image).liver
        scores.append(dice(liver, truth))
        errors.append(np.count_nonzero(liver) / np.count_nonzero(truth) - 1)
    with capsys.disabled():
        print(f"\nMR: Dice {min(scores):.3f} to {max(scores):.3f}, median {np.median(scores):.3f}; ", end="")
        print(f"volume error {min(errors):+.1%} to {max(errors):+.1%}, median {np.median(errors):+.1%}")
    assert np.median(scores) > 0.96
    assert min(scores) > 0.93

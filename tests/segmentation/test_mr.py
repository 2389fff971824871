"""From an MR scan to a liver: synthetic patients with other contrasts, a bias field and Rician noise."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Grid
from flr_volumetry.phantom import sample_patient
from flr_volumetry.segmentation import Modality, backend, segment
from flr_volumetry.segmentation.classical.tissue import find_tissue
from flr_volumetry.segmentation.classical.working import Working
from tests.segmentation.mr import mr_of

LIVER = frozenset({Structure.LIVER})


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def test_a_liver_is_found_on_mr_and_what_it_rests_on_is_said():
    """The sample patient with a field off by a quarter, on whatever scale the scanner has."""
    phantom = sample_patient()
    grid = phantom.default_grid((2.5, 2.5, 4.0))
    image = mr_of(phantom, grid, seed=1, bias=0.25, noise=0.05, liver_signal=173.0)

    found = segment(image, LIVER, segmenter=backend("classical"))

    truth = phantom.structures(grid).liver
    mask = found.masks[Structure.LIVER]
    assert dice(mask.voxels, truth.voxels) > 0.94
    assert mask.ml == pytest.approx(truth.ml, rel=0.08)
    assert {c.code for c in found.caveats} == {"mr_scale_assumed"}


def gassy(lung_top):
    """A trunk with a piece of air below, and one that ends at a slice."""
    shape = (60, 60, 40)
    grid = Grid(shape, np.diag([5.0, 5.0, 5.0, 1.0]))
    i, j, k = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    values = np.full(shape, -1000.0, np.float32)
    values[np.hypot(i - 29.5, j - 29.5) < 25] = 40.0
    gut = (np.hypot(i - 29.5, j - 20) < 5) & (k > 3) & (k < 14)
    lung = (np.hypot(i - 20, j - 30) < 7) & (k > 24) & (k < lung_top)
    values[gut | lung] = -990.0
    return Working(grid, values, np.ones(shape, dtype=bool)), gut, lung


def test_on_mr_lungs_are_told_from_gas_by_their_place():
    """Both are empty there; on CT neither would be lung, being emptier than any."""
    work, gut, lung = gassy(lung_top=40)

    found = find_tissue(work, Modality.MR).lung

    assert found[lung].mean() > 0.95
    assert not found[gut].any()
    assert not find_tissue(work, Modality.CT).lung.any()


def test_air_that_ends_below_the_top_is_no_lung():
    """A stomach full of gas, 50 mm under the top of the scan."""
    work, *_ = gassy(lung_top=30)

    assert not find_tissue(work, Modality.MR).lung.any()

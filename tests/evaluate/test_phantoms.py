"""The whole chain on many livers, grids and plans, against the analytic truth: ``make evaluate``."""

import numpy as np
import pytest

from flr_volumetry.images import Grid
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.phantom import random_patient
from flr_volumetry.resection import ResectionPlan, SegmentResection, Stage, WedgeResection, resect
from flr_volumetry.volumetry.measure import measure
from tests.grids import STEPS

SEEDS = range(12)
RIGHT = frozenset({5, 6, 7, 8})


def scan_of(phantom, steps):
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


@pytest.mark.evaluate
@pytest.mark.parametrize("name", STEPS)
def test_remnants_of_random_livers_are_the_true_ones(name, capsys):
    """Twelve livers on each grid at 1.5 times the step: share of the left liver within 0.15 points."""
    errors = []
    for seed in SEEDS:
        phantom = random_patient(seed)
        truth = phantom.true_ml()
        masks = phantom.structures(scan_of(phantom, STEPS[name] * 1.5))
        liver = crop_liver(Masks(masks.liver, masks.lesions, masks.segments))
        wedge = WedgeResection((1,), 3.0)
        plan = ResectionPlan((Stage("one", (wedge,)), Stage("two", (SegmentResection(RIGHT),))))
        partition = resect(liver, plan)
        volumes = measure(liver, partition)
        assert volumes.remnant_ml + volumes.resected_ml == pytest.approx(volumes.total_ml, abs=1e-6)
        assert np.array_equal(partition.labels > 0, liver.voxels)
        kept = sum(s.ml for s in volumes.segments if s.segment not in RIGHT) / volumes.total_ml
        true_kept = sum(truth[f"segment{n}"] for n in (1, 2, 3, 4)) / truth["liver"]
        errors.append((100 * (kept - true_kept), 100 * (volumes.total_ml / truth["liver"] - 1)))
    share, total = np.array(errors).T
    with capsys.disabled():
        print(
            f"\n{name:12} share of segments 1-4: {share.mean():+.3f} +- {share.std():.3f} points, "
            f"total: {total.mean():+.3f} +- {total.std():.3f} %"
        )
    assert np.abs(share).max() < 0.15
    assert np.abs(total).max() < 0.3

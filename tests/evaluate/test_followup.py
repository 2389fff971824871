"""Plan transfer and growth on phantoms that grew by known factors, with vessels, scans, or outlines alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.followup_facts import OUTLINE_SD_MM
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.phantom import Growth, random_patient
from flr_volumetry.phantom.shapes import rotation
from flr_volumetry.segmentation.registration import register
from tests.segmentation.grown import oblique

pytestmark = pytest.mark.evaluate


def liver_of(phantom, grid):
    masks = phantom.structures(grid)
    vessels = [
        (Structure.PORTAL_VEIN, masks.portal_vein),
        (Structure.HEPATIC_VEINS, masks.hepatic_veins),
    ]
    parts = Masks(masks.liver, masks.lesions, None, vessels)
    return crop_liver(parts, image=phantom.image(grid))


WAYS = {
    "vessels and scan": lambda liver: liver,
    "vessels": lambda liver: replace(liver, image=None),
    "scan": lambda liver: replace(liver, vessels=()),
    "outline": lambda liver: replace(liver, vessels=(), image=None),
}
SEEDS = range(6)


@pytest.fixture(scope="module")
def carried():
    """For each way and seed: distance of the cut on average, mm, and error of the remnant as a share."""
    found = {name: [] for name in WAYS}
    for seed in SEEDS:
        for name, measures in measured(seed).items():
            found[name].append(measures)
    return {name: np.asarray(measures) for name, measures in found.items()}


def measured(seed):
    """Grown by 35 %, atrophied by 18 %, moved, turned, at another spacing."""
    rng = np.random.default_rng(seed)
    phantom = random_patient(seed)
    growth = Growth(
        (-20.0, -10.0, 10.0), (1.0, float(rng.uniform(-0.5, 0.2)), float(rng.uniform(-0.3, 0.3))), 1.35, 0.82
    )
    turn, shift = rotation(tuple(rng.uniform(-10, 10, 3))), rng.uniform(-40, 40, 3)
    after = phantom.grown(growth).placed(turn, shift)
    before = liver_of(phantom, phantom.default_grid((1.5, 1.5, 2.5)))
    later = liver_of(after, oblique(after.default_grid((1.3, 1.3, 3.0))))
    points = later.grid.centres_mm(np.argwhere(later.voxels)[::5])
    across = np.asarray(growth.normal)
    true = (np.stack(growth.undone(*((points - shift) @ turn).T), axis=-1) - growth.point_mm) @ across
    near = np.abs(true) < 3
    measures = {}
    for name, way in WAYS.items():
        found = register(way(before), way(later))
        ours = (found.to_baseline(points) - growth.point_mm) @ across
        off = float(np.abs(ours - true)[near].mean())
        share = float((ours > 0).sum()) / float((true > 0).sum()) - 1
        print(f"seed {seed} {name}: cut {off:.2f} mm, remnant {100 * share:+.1f} %, dice {found.dice:.3f}")
        measures[name] = (off, share)
    return measures


@pytest.mark.parametrize("name", ["vessels and scan", "vessels", "scan"])
def test_the_cut_is_carried_to_within_2_mm_on_average(carried, name):
    """Over six random patients; none of them further than 2.5 mm."""
    off, share = carried[name].T
    assert off.mean() <= 2.0
    assert off.max() < 2.5
    assert np.abs(share).max() < 0.05


def test_outlines_alone_stay_within_what_their_interval_assumes(carried):
    """Further off, and said so: see `flr_volumetry.app.followup_facts.OUTLINE_SD_MM`."""
    off, share = carried["outline"].T
    assert off.mean() < OUTLINE_SD_MM
    assert np.abs(share).max() < 0.08

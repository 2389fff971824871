"""Plan transfer and growth on phantoms that grew by known factors, with vessels, scans, or outlines alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
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


@pytest.mark.parametrize("seed", range(6))
def test_the_cut_of_another_patient_is_carried(seed):
    """Grown by 35 %, atrophied by 18 %, moved, turned, at another spacing: distance of the cut, and mL."""
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
    ways = {
        "vessels and scan": lambda liver: liver,
        "vessels": lambda liver: replace(liver, image=None),
        "scan": lambda liver: replace(liver, vessels=()),
        "outline": lambda liver: replace(liver, vessels=(), image=None),
    }
    for name, way in ways.items():
        found = register(way(before), way(later))
        ours = (found.to_baseline(points) - growth.point_mm) @ across
        off = float(np.abs(ours - true)[near].mean())
        share = float((ours > 0).sum()) / float((true > 0).sum()) - 1
        print(f"seed {seed} {name}: cut {off:.2f} mm, remnant {100 * share:+.1f} %, dice {found.dice:.3f}")
        if "vessels" in name:
            assert off < 4.0
            assert abs(share) < 0.06

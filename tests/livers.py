"""Analytic livers on the five grids."""

from __future__ import annotations

import numpy as np

from flr_volumetry.images import Grid, LabelMap, Mask
from flr_volumetry.liver import Masks, crop_liver
from tests.grids import ball, centres, grid_around

RADIUS_MM = 55.0
"""696.9 mL: a small liver of usual size."""
CENTRE = np.array([17.0, -40.0, 120.0])


def ball_ml(radius_mm):
    """Volume of a ball, mL."""
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def cap_ml(distance_mm, radius_mm=RADIUS_MM):
    """Volume of the cap of a ball beyond a plane at a signed distance from its centre, mL."""
    h = radius_mm - distance_mm
    return np.pi * h**2 * (3 * radius_mm - h) / 3 / 1000


def octants(grid, centre=CENTRE):
    """Segments as octants about a point: 1 to 4 on the patient's left, 5 to 8 on the right."""
    signs = (centres(grid) - centre >= 0).astype(np.uint8)
    return 1 + 4 * (1 - signs[..., 0]) + signs[..., 1] + 2 * signs[..., 2]


def ball_liver(name, *, lesions=(), segments=False, scale=1.0, frame=""):
    """Ball of 55 mm as a liver, with balls as lesions: ((centre offset), radius) each."""
    grid = grid_around(name, CENTRE, RADIUS_MM + 4, scale=scale, frame=frame)
    whole = ball(grid, CENTRE, RADIUS_MM)
    masks = [
        Mask(grid, ball(grid, CENTRE + np.asarray(offset), radius), f"lesion {n}")
        for n, (offset, radius) in enumerate(lesions, start=1)
    ]
    labels = LabelMap(grid, (octants(grid) * whole).astype(np.uint8)) if segments else None
    return crop_liver(Masks(Mask(grid, whole, "liver"), masks, labels))


def grid_of(shape=(60, 60, 60), spacing=2.0, frame=""):
    """Plain axial grid."""
    return Grid(shape, np.diag([spacing, spacing, spacing, 1.0]), frame)

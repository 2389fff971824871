"""A small liver before and after growth, in another place and posture."""

from __future__ import annotations

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Grid
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.phantom import Growth, PhantomSpec, Warp, phantom_of
from flr_volumetry.phantom.shapes import rotation

SIZE = 0.75
PHANTOM = phantom_of(PhantomSpec(warp=Warp((SIZE, SIZE, SIZE))))
GROWTH = Growth((-15.0, -8.0, 8.0), (1.0, -0.3, -0.1), 1.35, 0.82)
TURN, SHIFT = rotation((6.0, -5.0, 10.0)), np.array([18.0, -25.0, 40.0])


def true_baseline(points_mm):
    """Where points of the later scan lay before."""
    return np.stack(GROWTH.undone(*((points_mm - SHIFT) @ TURN).T), axis=-1)


def oblique(grid):
    """The same field of view with slices that are turned a little."""
    affine = grid.affine.copy()
    middle = grid.centres_mm([np.asarray(grid.shape) / 2])[0]
    affine[:3, :3] = rotation((0.0, 4.0, -7.0)) @ affine[:3, :3]
    affine[:3, 3] = middle - affine[:3, :3] @ (np.asarray(grid.shape) / 2)
    return Grid(grid.shape, affine)


def plain_liver(step=3.0):
    return _liver(PHANTOM, PHANTOM.default_grid((step, step, step)))


def grown_liver(step=3.0, growth=GROWTH):
    after = (PHANTOM if growth is None else PHANTOM.grown(growth)).placed(TURN, SHIFT)
    return _liver(after, oblique(after.default_grid((0.9 * step, 0.9 * step, 1.2 * step))))


def _liver(phantom, grid):
    masks = phantom.structures(grid)
    vessels = [
        (Structure.PORTAL_VEIN, masks.portal_vein),
        (Structure.HEPATIC_VEINS, masks.hepatic_veins),
    ]
    return crop_liver(Masks(masks.liver, masks.lesions, None, vessels))

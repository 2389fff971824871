"""Ways to spoil a liver mask, and phantoms to spoil it on."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from flr_volumetry.images import Mask
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.phantom import random_patient
from flr_volumetry.segmentation.quality_look import signed_distance

SPOILT = ("leak up", "leak back", "leak left", "hole", "shift across", "shift along", "cut", "mirror")


def phantom(seed, spacing=(2.0, 2.0, 3.0), noise=12.0):
    """Scan, liver and lesions of a synthetic patient."""
    patient = random_patient(seed)
    grid = patient.default_grid(spacing)
    masks = patient.structures(grid)
    return patient.image(grid, noise_sd=noise), masks.liver, list(masks.lesions)


def liver_of(image, mask, lesions=()):
    """The cropped liver."""
    return crop_liver(Masks(mask, list(lesions)), image=image)


def round_about(grid, centre_mm, radius_mm):
    """Voxels of a ball, worked out only around it."""
    inside = np.zeros(grid.shape, dtype=bool)
    at = grid.indices_at([centre_mm])[0]
    reach = np.ceil(np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1) * radius_mm) + 1
    low = np.maximum(np.floor(at - reach), 0).astype(int)
    high = np.minimum(np.ceil(at + reach) + 1, grid.shape).astype(int)
    if (low >= high).any():
        return inside
    index = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1
    )
    near = np.linalg.norm(grid.centres_mm(index.reshape(-1, 3)) - centre_mm, axis=1) <= radius_mm
    inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = near.reshape(index.shape[:3])
    return inside


def _outermost(mask, direction):
    index = np.argwhere(mask.voxels)
    points = mask.grid.centres_mm(index)
    return points[int((points @ np.asarray(direction, dtype=float)).argmax())]


def spoil(mask, kind, size=1.0):
    """A mask with one gross error; at size 1 a leak of a 25 mm ball, a 12 mm hole or shift, a cut of 20 %."""
    grid, voxels = mask.grid, mask.voxels.copy()
    leaks = {"leak up": (0, 0, 1), "leak back": (0, 1, 0), "leak left": (1, 0, 0)}
    axes = np.abs(grid.affine[:3, :3]).argmax(axis=0)
    if kind in leaks:
        way = np.asarray(leaks[kind], dtype=float)
        voxels |= round_about(grid, _outermost(mask, way) + 12 * way, 25 * size)
    elif kind == "hole":
        depth = signed_distance(voxels, grid)
        centre = grid.centres_mm([np.unravel_index(int(depth.argmax()), depth.shape)])[0]
        voxels &= ~round_about(grid, centre, 12 * size)
    elif kind.startswith("shift"):
        axis = int(np.flatnonzero(axes == (0 if kind == "shift across" else 2))[0])
        voxels = np.roll(voxels, round(12 * size / grid.spacing_mm[axis]), axis)
    elif kind == "cut":
        heights = grid.centres_mm(np.argwhere(voxels)) @ np.array([0.3, 0.1, 1.0])
        index = np.argwhere(voxels)
        voxels[tuple(index[heights > np.quantile(heights, 1 - 0.2 * size)].T)] = False
    elif kind == "mirror":
        axis = int(np.flatnonzero(axes == 0)[0])
        filled = np.flatnonzero(voxels.any(axis=tuple(a for a in range(3) if a != axis)))
        part = [slice(None)] * 3
        part[axis] = slice(filled[0], filled[-1] + 1)
        voxels[tuple(part)] = np.flip(voxels[tuple(part)], axis)
    return Mask(grid, voxels, mask.name)


def blur_outline(mask, rng, *, bias_mm, waver_mm, length_mm=25.0):
    """A mask whose outline wavers by some millimetres over some length, and lies too wide or too tight."""
    grid = mask.grid
    coarse = [max(4, int(n * s / length_mm)) for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    field = zoom(rng.standard_normal(coarse), np.array(grid.shape) / coarse, order=1)[
        : grid.shape[0], : grid.shape[1], : grid.shape[2]
    ]
    field = gaussian_filter(field, 2)
    field *= waver_mm / max(float(field.std()), 1e-9)
    sdf = signed_distance(mask.voxels, grid)
    return Mask(grid, sdf + field + bias_mm > 0, mask.name)


def varied(mask, number):
    """One of many masks of one liver, from nearly right to badly wrong."""
    rng = np.random.default_rng(number)
    made = mask
    if number % 4:
        made = blur_outline(
            mask, rng, bias_mm=float(rng.uniform(-3, 3)), waver_mm=float(rng.choice([0, 1, 2, 4, 6]))
        )
    if number % 3 == 0:
        made = spoil(made, SPOILT[int(rng.integers(7))], float(rng.uniform(0.4, 1.8)))
    return made


def dice(one, other):
    """Dice coefficient of two masks on one grid."""
    both = np.count_nonzero(one.voxels & other.voxels)
    return 2 * both / (one.count + other.count)

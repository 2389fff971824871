"""Five ways to lay a grid through the patient, and solids with textbook volumes on them."""

from __future__ import annotations

import numpy as np

from flr_volumetry.images import Grid

# Columns: the step in mm, in the patient, of one voxel along column, row and slice.
STEPS = {
    "axial": np.diag([0.8, 0.8, 2.5]),
    "flipped": np.diag([-0.8, -0.8, 2.5]),
    "sagittal": np.array([[0, 0, 2.5], [0.8, 0, 0], [0, 0.9, 0]]),
    "oblique": np.array([[0.9, -0.5, 0.2], [0.5, 0.9, 0.0], [-0.1, 0.1, 2.0]]),
    "gantry tilt": np.array([[0.8, 0, 0], [0, 0.8, 0.6], [0, 0, 2.5]]),
}


def grid_around(name, centre_mm, radius_mm, *, scale=1.0, frame=""):
    """Grid of the named kind that holds a ball of the radius, with some air around it."""
    steps = STEPS[name] * scale
    inverse = np.linalg.inv(steps)
    half = np.ceil(np.linalg.norm(inverse, axis=1) * radius_mm).astype(int) + 3
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = np.asarray(centre_mm) - steps @ half
    return Grid(tuple(int(n) for n in 2 * half + 1), affine, frame)


def centres(grid):
    """Voxel centres of a whole grid, as an array of its shape plus (3,)."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def ball(grid, centre_mm, radius_mm):
    """Voxels whose centre lies inside a ball."""
    return np.linalg.norm(centres(grid) - np.asarray(centre_mm), axis=-1) <= radius_mm

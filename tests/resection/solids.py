"""Small analytic livers with steps of a given length on the five grids, lesions between the voxels."""

import numpy as np

from flr_volumetry.images import Grid
from flr_volumetry.liver import Lesion, Liver
from flr_volumetry.resection import ResectionPlan, Stage
from tests.grids import STEPS, centres


def grid_of(name, radius_mm, *, step_mm=1.0, centre_mm=(17.0, -40.0, 120.0), even=True):
    """Grid of the named kind around a point; its steps are all of one length, or longest so."""
    steps = STEPS[name] / (
        np.linalg.norm(STEPS[name], axis=0) if even else np.linalg.norm(STEPS[name], axis=0).max()
    )
    steps = steps * step_mm
    half = np.ceil(np.linalg.norm(np.linalg.inv(steps), axis=1) * radius_mm).astype(int) + 3
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = np.asarray(centre_mm) - steps @ half
    return Grid(tuple(int(n) for n in 2 * half + 1), affine)


def middle_of(grid):
    """The patient's point in the middle of a grid."""
    return grid.centres_mm([[(n - 1) / 2 for n in grid.shape]])[0]


def ellipsoid(grid, centre_mm, axes_mm):
    """Voxels whose centre lies in an ellipsoid along the patient's axes; one radius makes a ball."""
    return (((centres(grid) - centre_mm) / axes_mm) ** 2).sum(axis=-1) <= 1


def lesion_of(voxels, number=1):
    """A mask as a lesion in its own box."""
    where = np.argwhere(voxels)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    inside = voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].copy(order="F")
    return Lesion(number, f"lesion {number}", tuple(int(n) for n in low), inside, 0.0)


def liver_of(grid, voxels, lesions, **more):
    """A liver of any size, past the checks of the door."""
    numbered = tuple(lesion_of(mask, n) for n, mask in enumerate(lesions, start=1))
    return Liver(grid, np.asfortranarray(voxels), grid, (0, 0, 0), numbered, **more)


def one_stage(*resections):
    """All resections in one operation."""
    return ResectionPlan((Stage("one", resections),))


def unit(vector):
    """A direction of length one."""
    return np.asarray(vector, dtype=float) / np.linalg.norm(vector)

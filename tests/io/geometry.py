"""Lattices that DICOM can say, and arrays to lay on them."""

from __future__ import annotations

import numpy as np


def _rotation(axis, degrees):
    axis = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    angle = np.radians(degrees)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def lattice(rotation, spacing, origin, shear=(0.0, 0.0)):
    """An affine: rotated columns and rows, slices along their normal plus a shear in mm."""
    steps = rotation @ np.diag(spacing)
    steps[:, 2] += rotation[:, 0] * shear[0] + rotation[:, 1] * shear[1]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, origin
    return affine


AFFINES = {
    "axial": lattice(np.eye(3), (0.8, 0.7, 2.5), (-100, -90, 30)),
    "flipped": lattice(np.diag([-1.0, -1, 1]), (0.8, 0.7, 2.5), (100, 90, 30)),
    "sagittal": lattice(np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]), (0.8, 0.9, 2.5), (5, 6, 7)),
    "oblique": lattice(_rotation([1, 2, 3], 33), (0.8, 0.9, 2.0), (5, -60, 7)),
    "gantry tilt": lattice(_rotation([1, 0, 0], 14), (0.8, 0.9, 3.0), (1, 2, 3), shear=(0, 0.75)),
}


def values(shape=(7, 6, 5), dtype=np.int16, seed=0, low=-900, high=1500):
    """Stored values without any symmetry."""
    return np.asfortranarray(np.random.default_rng(seed).integers(low, high, shape).astype(dtype))


rotation = _rotation

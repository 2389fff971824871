"""Landmarks of the synthetic patient, read off the paths of its own vessels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from flr_volumetry.phantom.vessels import _hepatic_branches
from flr_volumetry.territories import Landmark, Landmarks

FORK = (-22.0, -22.0, -10.0)


def along(path, steps=5):
    """Points along a path, the same number between any two of its own."""
    path = np.asarray(path, dtype=np.float64)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    return np.vstack([*(a + (b - a) * t for a, b in pairwise(path)), path[-1:]])


def patient_of(phantom, points):
    """Where points of the standard phantom lie in a patient, by going back and forth until they do."""
    points, warp, pose = np.asarray(points, dtype=np.float64), phantom.pose.warp, phantom.pose.to_patient
    body = points * warp.scale
    for _ in range(40):
        body = body + (points - np.stack(warp.to_phantom(*body.T), axis=1)) * warp.scale
    return body @ pose[:3, :3].T + pose[:3, 3]


def true_points(phantom):
    """Every landmark but the ligamentum venosum, which the phantom has no line for."""
    right, middle, left, *_ = (path for path, _ in _hepatic_branches(phantom.spec.middle_mm))
    standard = {
        Landmark.RIGHT_VEIN: along(right),
        Landmark.MIDDLE_VEIN: along(middle),
        Landmark.LEFT_VEIN: along(left),
        Landmark.CAVA: along([(-20, 12, -60), (-21, 10, 0), (-21, 9, 40), (-19, 6, 72)]),
        Landmark.PORTAL_BIFURCATION: [FORK],
        Landmark.RIGHT_PORTAL: [(-50, -24, 4), (-60, 8, -4)],
        Landmark.LEFT_PORTAL: along([(2, -31, 2), (5, -44, 4), (5, -58, -2)]),
        Landmark.GALLBLADDER: [(-40, -30, -24), (-48, -50, -44)],
    }
    return {kind: patient_of(phantom, points) for kind, points in standard.items()}


def true_landmarks(phantom):
    """All of `true_points`."""
    return Landmarks(true_points(phantom))


def dice(one, other):
    """Overlap of two sets of voxels."""
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))

"""Recomputes the plans of pipelines/ircad17 without the package: plain arrays on the whole grid.

    python tests/real/brute_force.py DATA

prints, as JSON, every volume in voxels and every margin in millimetres. It imports
numpy, scipy, pydicom and nibabel, and nothing of flr_volumetry.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from scipy import ndimage
from scipy.spatial.distance import cdist

PLANE = [[122.0, 112.0, 64.0], [164.0, 186.0, 104.0], [161.0, 176.0, 140.0]]
TOWARDS = [80.0, 180.0, 100.0]
RIGHT = (5, 6, 7, 8)


def read_series(folder):
    """Stack a folder of single slices, lowest first: (slice, row, column)."""
    files = sorted(
        (pydicom.dcmread(path) for path in folder.iterdir()), key=lambda f: float(f.ImagePositionPatient[2])
    )
    heights = [float(f.ImagePositionPatient[2]) for f in files]
    spacing = ((heights[-1] - heights[0]) / (len(heights) - 1), *map(float, files[0].PixelSpacing))
    return np.stack([f.pixel_array for f in files]), np.array(spacing)


def read_segments(path, shape):
    """Couinaud labels in the same order: this file runs left, anterior, head; DICOM left, posterior, head."""
    labels = np.asarray(nib.load(path).dataobj).astype(np.uint8).transpose(2, 1, 0)[:, ::-1, :]
    assert labels.shape == shape
    return labels


def diameter(lesion, spacing):
    points = np.argwhere(lesion & ~ndimage.binary_erosion(lesion, np.ones((3, 3, 3)))) * spacing
    return float(max(cdist(points[n : n + 500], points).max() for n in range(0, len(points), 500)))


def results(liver, lesions, segments, removed_by_stage, spacing, distance):
    remnant = liver.copy()
    stages = []
    for removed in removed_by_stage:
        stages.append(int((remnant & removed).sum()))
        remnant &= ~removed
    tumour = np.logical_or.reduce(lesions) & liver
    return {
        "total": int(liver.sum()),
        "tumour": int(tumour.sum()),
        "remnant": int(remnant.sum()),
        "remnant_functional": int((remnant & ~tumour).sum()),
        "resected_by_stage": stages,
        "segments": {
            str(n): [int((liver & (segments == n)).sum()), int((remnant & (segments == n)).sum())]
            for n in range(9)
        },
        "lesions": [
            {
                "voxels": int((lesion & liver).sum()),
                "remaining": int((lesion & remnant).sum()),
                "margin_mm": float(far[remnant].min()),
                "diameter_mm": diameter(lesion, spacing),
            }
            for lesion, far in zip(lesions, distance, strict=True)
        ],
    }


def main(data):
    """Read, cut and count everything."""
    folder = data / "ircad17" / "MASKS_DICOM"
    liver, spacing = read_series(folder / "liver")
    liver = liver > 0
    lesions = [read_series(folder / f"livertumor{n}")[0] > 0 for n in (1, 2)]
    portal = read_series(folder / "portalvein")[0] > 0
    segments = read_segments(data / "couinaud" / "3Dircadb-17" / "label.nii.gz", liver.shape)
    distance = [ndimage.distance_transform_edt(~lesion, sampling=spacing) for lesion in lesions]

    a, b, c = np.array(PLANE)
    normal = np.cross(b - a, c - a)
    normal *= np.sign(normal @ (np.array(TOWARDS) - a)) / np.linalg.norm(normal)
    z, y, x = (np.arange(n) * s for n, s in zip(liver.shape, spacing, strict=True))
    side = (
        (z[:, None, None] - a[2]) * normal[2]
        + (y[None, :, None] - a[1]) * normal[1]
        + (x[None, None, :] - a[0]) * normal[0]
    )
    right = liver & np.isin(segments, RIGHT)
    plans = {
        "right_hepatectomy_segments": [right],
        "right_hepatectomy_plane": [liver & (side > 0)],
        # A lesion's surface lies up to half a voxel's diagonal outside its voxels' centres.
        "two_stage": [liver & (distance[1] <= 5.0), right],
        "two_stage_most": [liver & (distance[1] <= 5.0 + np.linalg.norm(spacing) / 2), right],
    }
    return {
        "voxel_ml": float(np.prod(spacing)) / 1000,
        "diagonal_mm": float(np.linalg.norm(spacing)),
        "portal_vein": int(portal.sum()),
        "plans": {
            name: results(liver, lesions, segments, removed, spacing, distance)
            for name, removed in plans.items()
        },
    }


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1])), sys.stdout, indent=1)

"""Vessel territories of a large liver: ours, scipy's distance transform, and the method of Slicer-Liver.

Slicer-Liver labels each voxel with the segment of its nearest centreline vertex, one query of a kd-tree a
voxel (its LiverSegments module). That is written here as it does it, timed on a sample of the voxels and
scaled up, and once more with all voxels in one call. Both get our centrelines and the cropped liver.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from flr_volumetry.anatomy import Structure
from flr_volumetry.territories import find_territories
from flr_volumetry.territories.nearest import nearest_seeds

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.liver import Liver, Territories

SAMPLE = 20_000


def best_ms(call: Callable[[], object], runs: int) -> tuple[float, float]:
    """Least wall and CPU time of some runs: what else the machine does counts for nothing."""
    wall, cpu = [], []
    for _ in range(runs):
        began, spent = time.perf_counter(), time.process_time()
        call()
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - spent))
    return min(wall), min(cpu)


def transform(liver: Liver) -> object:
    """Scipy's distance transform with indices, of the vessel on the crop."""
    voxels = portal_voxels(liver)
    return distance_transform_edt(
        ~voxels, sampling=liver.grid.spacing_mm, return_distances=False, return_indices=True
    )


def portal_voxels(liver: Liver) -> np.ndarray:
    return next(v.voxels for v in liver.vessels if v.structure is Structure.PORTAL_VEIN)


def vertices(found: Territories) -> tuple[cKDTree, np.ndarray]:
    """Centreline vertices of the branches that feed liver, and the branch of each."""
    parents = {b.parent for b in found.branches}
    feeding = [b for b in found.branches if b.parent or b.number not in parents]
    points = np.concatenate([b.points_mm for b in feeding])
    return cKDTree(points), np.repeat([b.number for b in feeding], [len(b.points_mm) for b in feeding])


def one_by_one_ms(liver: Liver, found: Territories) -> tuple[float, float]:
    """Nearest centreline vertex, one query a voxel; from a sample."""
    tree, number = vertices(found)
    index = np.argwhere(liver.voxels)
    some = index[np.random.default_rng(0).choice(len(index), SAMPLE, replace=False)]
    points = liver.grid.centres_mm(some)
    labels = np.zeros(len(points), dtype=np.uint16)
    began, spent = time.perf_counter(), time.process_time()
    for n, point in enumerate(points):
        labels[n] = number[tree.query(point)[1]]
    scale = 1000 * len(index) / SAMPLE
    return scale * (time.perf_counter() - began), scale * (time.process_time() - spent)


def all_at_once(liver: Liver, found: Territories) -> np.ndarray:
    """Nearest centreline vertex, all voxels in one call."""
    tree, number = vertices(found)
    labels = np.zeros(liver.grid.shape, dtype=np.uint16)
    index = np.argwhere(liver.voxels)
    labels[tuple(index.T)] = number[tree.query(liver.grid.centres_mm(index))[1]]
    return labels


def divided(liver: Liver) -> object:
    """Our division of the liver alone: the nearest vessel voxel of each liver voxel."""
    return nearest_seeds(liver.voxels, portal_voxels(liver), liver.grid.affine[:3, :3])


def rows(liver: Liver, runs: int) -> tuple[dict[str, tuple[float, float]], Territories]:
    """Milliseconds of each way."""
    found = find_territories(liver, Structure.PORTAL_VEIN)
    return {
        "territories: centrelines, branches, division": best_ms(
            lambda: find_territories(liver, Structure.PORTAL_VEIN), runs
        ),
        "territories: the division alone": best_ms(lambda: divided(liver), runs),
        "scipy's EDT with indices on the crop": best_ms(lambda: transform(liver), runs),
        "nearest centreline vertex, all in one call": best_ms(lambda: all_at_once(liver, found), 1),
        "Slicer-Liver: nearest vertex, voxel by voxel": one_by_one_ms(liver, found),
    }, found

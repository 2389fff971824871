"""Body, lungs, bone and the ceiling of the abdomen, found before the liver."""

from __future__ import annotations

from dataclasses import dataclass, field

import cc3d
import numpy as np
from scipy import ndimage

from flr_volumetry.segmentation.classical.working import Bools, Floats, Working, distance_mm
from flr_volumetry.segmentation.protocol import Modality

BODY_HU, LUNG_HU, BONE_HU = -300.0, -500.0, 220.0
"""Above, below and above which a voxel of the working grid is body, air and bone (assumed)."""
GAS_HU = -965.0
"""Lung is not as empty as gas in the gut, which fills its voxels wholly (assumed)."""
LUNG_ML = 60.0
"""Smaller pockets of air are gut (assumed)."""
TOP_MM = 25.0
"""Lungs reach so near to the top of an MR scan of the liver (assumed)."""
SPREADS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """What is plain to see on a CT.

    Parameters
    ----------
    body, lung, bone : (i, j, k) bool ndarray
        The trunk without the table, filled; its lungs; its bones and whatever else is as bright.
    middle : (k,) float64 ndarray
        Column of the body's middle on each slice.
    ceiling : (i, j) float64 ndarray
        Slice of the diaphragm in each column: where lung begins, spread smoothly between the lungs
        under the heart; infinite where no lung is in view.
    """

    body: Bools = field(repr=False)
    lung: Bools = field(repr=False)
    bone: Bools = field(repr=False)
    middle: Floats = field(repr=False)
    ceiling: Floats = field(repr=False)


def find_tissue(work: Working, modality: Modality = Modality.CT) -> Tissue:
    """Find body, lungs and bone.

    Parameters
    ----------
    work : Working
        In Hounsfield units, or MR brought to their scale.
    modality : Modality
        MR shows lungs as empty as gas in the gut: there they are known by reaching up to the scan's top.

    Returns
    -------
    Tissue
        What is plain to see.
    """
    body = _body(work)
    lung = _lungs(work, body, modality)
    bone = body & (work.values > BONE_HU)
    return Tissue(body, lung, bone, _middle(body), _ceiling(lung))


def _body(work: Working) -> Bools:
    step = work.step_mm
    dense = (work.values > BODY_HU) & work.seen
    core = cc3d.largest_k(distance_mm(dense, step) > 2 * step, k=1, connectivity=6) > 0
    if not core.any():
        return np.zeros_like(dense)
    body = dense & (distance_mm(~core, step) <= 2.5 * step)
    for k in range(body.shape[2]):
        part = body[:, :, k]
        body[:, :, k] = ndimage.binary_fill_holes(ndimage.binary_closing(part) | part)
    return np.asarray(body)


def _lungs(work: Working, body: Bools, modality: Modality) -> Bools:
    labels, count = cc3d.connected_components(body & (work.values < LUNG_HU), connectivity=6, return_N=True)
    lung = np.zeros_like(body)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * work.voxel_ml
    top = int(np.flatnonzero(work.seen.any(axis=(0, 1)))[-1])
    high = (np.arange(work.seen.shape[2]) > top - TOP_MM / work.step_mm)[None, None, :]
    for label in np.flatnonzero(sizes > LUNG_ML):
        part = labels == label
        if label == 0:
            continue
        if modality is Modality.MR:
            is_lung = bool((part & high).any())
        else:
            inner = ndimage.binary_erosion(part, iterations=2)
            is_lung = bool(np.median(work.values[inner if inner.any() else part]) > GAS_HU)
        if is_lung:
            lung |= part
    return lung


def _middle(body: Bools) -> Floats:
    hit = np.asarray(body.any(axis=1))
    middle = np.full(body.shape[2], (body.shape[0] - 1) / 2)
    for k in np.flatnonzero(hit.any(axis=0)):
        on = np.flatnonzero(hit[:, k])
        middle[k] = (on[0] + on[-1]) / 2
    return middle


def _ceiling(lung: Bools) -> Floats:
    has = np.asarray(lung.any(axis=2))
    if not has.any():
        return np.full(has.shape, np.inf)
    lowest = np.where(has, lung.argmax(axis=2), 0).astype(np.float64)
    _, nearest = ndimage.distance_transform_edt(~has, return_indices=True)
    ceiling = lowest[tuple(nearest)]
    for _ in range(SPREADS):
        ceiling = np.where(has, ceiling, ndimage.uniform_filter(ceiling, 3, mode="nearest"))
    return np.asarray(ceiling)

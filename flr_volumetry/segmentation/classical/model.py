"""What the liver looks like on this scan: its core, its grey value and how far it strays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cc3d
import numpy as np
from scipy import ndimage

from flr_volumetry.errors import SegmentationError
from flr_volumetry.segmentation.classical.tissue import BONE_HU, Tissue
from flr_volumetry.segmentation.classical.wall import beyond_wall_mm
from flr_volumetry.segmentation.classical.working import Bools, Floats, Values, Working

SOFT_HU = (15.0, 230.0)
WINDOW = 5
"""Voxels across the block in which tissue must be alike: 12.5 mm, less than a liver, more than a vessel."""
LEAST_CORE_ML = 60.0
"""Less tissue of one grey value than this, on the right, is no liver (assumed)."""
LEAST_SPREAD, LEAST_LIMIT = 4.0, 8.0
DARK, BRIGHT = (2.0, 6.5), (2.4, 5.0)
"""Bounds of how many spreads darker and brighter than its mean the liver may be (assumed)."""
DEEP_MM, NEAR_SEED_MM = 6.0, 25.0
AROUND_MM = 75.0
"""Of the liver above and below its core, at most (assumed)."""
CARTILAGE_HU, ABOVE_LIVER_HU = 100.0, 50.0
"""What is denser than both is no organ, but cartilage or bone where it is as thin as a rib (assumed)."""
MUSCLE_HU = 55.0
"""Where no muscle is seen (clinical base 8.3, phantom)."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A scan as the search for the liver sees it.

    Parameters
    ----------
    work : Working
        The scan on the working grid.
    tissue : Tissue
        Body, lung, bone.
    beyond : (i, j, k) float32 ndarray
        Distance outside the inner face of the wall, mm.
    """

    work: Working
    tissue: Tissue
    beyond: Values = field(repr=False)

    @property
    def step(self) -> float:
        """Of the working grid, mm."""
        return self.work.step_mm

    @property
    def right_mm(self) -> Values:
        """How far each column lies to the right of the body's middle, mm, (i, 1, k)."""
        x = np.arange(self.work.values.shape[0])[:, None, None]
        return np.asarray((self.tissue.middle[None, None, :] - x) * self.step, dtype=np.float32)

    @property
    def high_mm(self) -> Values:
        """How far each voxel lies above the diaphragm, mm; minus infinity where no lung says."""
        k = np.arange(self.work.values.shape[2])[None, None, :]
        return np.asarray((k - self.tissue.ceiling[:, :, None]) * self.step, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The liver's look.

    Parameters
    ----------
    core : (i, j, k) bool ndarray
        Surely liver.
    smooth : (i, j, k) float32 ndarray
        The scan with noise filtered away.
    mean, spread : float
        Of the core in `smooth`, HU.
    noise : float
        Standard deviation in flat tissue of the working grid, HU.
    muscle : float
        Of the trunk's wall, HU.
    dark, bright : float
        How many spreads below and above its mean the liver goes: half way to muscle, within bounds.
    """

    core: Bools = field(repr=False)
    smooth: Values = field(repr=False)
    mean: float
    spread: float
    noise: float
    muscle: float
    dark: float
    bright: float


def find_model(scene: Scene, seeds: Bools | None = None) -> Model:
    """Find the largest piece of tissue of one grey value on the right, below the diaphragm.

    Parameters
    ----------
    scene : Scene
        The scan.
    seeds : (i, j, k) bool ndarray, optional
        Voxels that the user says are liver: then the piece around them.

    Returns
    -------
    Model
        What it looks like.

    Raises
    ------
    SegmentationError
        If there is no such piece.
    """
    v = np.clip(scene.work.values, -200, 400)
    mean = ndimage.uniform_filter(v, WINDOW)
    sd = np.sqrt(np.maximum(ndimage.uniform_filter(v * v, WINDOW) - mean * mean, 0))
    soft = scene.tissue.body & scene.work.seen & (mean > SOFT_HU[0]) & (mean < SOFT_HU[1])
    if not soft.any():
        raise SegmentationError("no soft tissue is in view, so no liver.", reason="no_liver")
    noise = _mode(sd[soft], 0.0, 40.0, 0.5)
    limit = max(1.6 * noise, LEAST_LIMIT)
    flat = soft & (sd < limit)
    inside = flat & (scene.beyond < -DEEP_MM) & (scene.high_mm < 0)
    inside &= scene.right_mm > 0 if seeds is None else _near(seeds, scene.step)
    core = _largest_alike(inside, mean, limit * 1.2, seeds)
    if core is None or np.count_nonzero(core) * scene.work.voxel_ml < LEAST_CORE_ML * (seeds is None):
        raise SegmentationError(
            "no liver is in view: there is no large piece of tissue of one grey value on the patient's "
            "right, below the diaphragm and inside the ribs. Is it a scan of the abdomen?",
            reason="no_liver",
        )
    wall = flat & (scene.beyond > -3) & (scene.beyond < 40) & ~scene.tissue.bone & (mean < 120)
    muscle = _mode(mean[wall], 15.0, 120.0, 1.0) if np.count_nonzero(wall) > 200 else MUSCLE_HU
    return _described(core, denoised(scene.work.values, noise), noise, muscle)


def _described(core: Bools, smooth: Values, noise: float, muscle: float) -> Model:
    mean = float(np.median(smooth[core]))
    spread = max(float(1.4826 * np.median(np.abs(smooth[core] - mean))), LEAST_SPREAD)
    half = 0.5 * (mean - muscle) / spread
    dark = float(np.clip(half, *DARK)) if half > 0 else 3.0
    bright = float(np.clip(-half, *BRIGHT)) if half < 0 else BRIGHT[1]
    return Model(core, smooth, mean, spread, noise, muscle, dark, bright)


def narrowed(scene: Scene, model: Model) -> tuple[Scene, Model]:
    """Leave out of a scene what the liver cannot reach: air around the body, slices far from its core."""
    hit = scene.tissue.body
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        on = np.flatnonzero((model.core if axis == 2 else hit).any(axis=others))
        pad = round(AROUND_MM / scene.step) if axis == 2 else 2
        box.append(slice(max(int(on[0]) - pad, 0), min(int(on[-1]) + 1 + pad, hit.shape[axis])))
    i, j, k = box
    part = (i, j, k)
    tissue = Tissue(
        hit[part],
        scene.tissue.lung[part],
        scene.tissue.bone[part],
        scene.tissue.middle[k],
        scene.tissue.ceiling[i, j] - k.start,
    )
    work = Working(scene.work.grid.crop(part), scene.work.values[part], scene.work.seen[part])
    close = replace(model, core=model.core[part], smooth=np.ascontiguousarray(model.smooth[part]))
    return Scene(work, tissue, np.ascontiguousarray(scene.beyond[part])), close


def with_cartilage(scene: Scene, model: Model) -> Scene:
    """Find the wall again where cartilage of the ribs, less dense than bone, is denser than the liver."""
    level = max(CARTILAGE_HU, model.mean + ABOVE_LIVER_HU)
    if level >= BONE_HU:
        return scene
    dense = scene.tissue.body & (scene.work.values > level)
    return replace(scene, beyond=beyond_wall_mm(scene.work.values, dense, scene.tissue.body, scene.step))


def denoised(values: Values, noise: float) -> Values:
    """Average flat parts and keep edges: a guided filter of the image by itself (He, Sun, Tang 2013)."""
    v = np.clip(values, -200, 400)
    eps = (1.5 * noise) ** 2
    mean = ndimage.uniform_filter(v, WINDOW)
    variance = np.maximum(ndimage.uniform_filter(v * v, WINDOW) - mean * mean, 0)
    a = variance / (variance + eps + 1e-6)
    b = mean - a * mean
    smooth = ndimage.uniform_filter(a, WINDOW) * v + ndimage.uniform_filter(b, WINDOW)
    return np.asarray(smooth, dtype=np.float32)


def _largest_alike(inside: Bools, mean: Values, width: float, seeds: Bools | None) -> Bools | None:
    best, core = 0, None
    peaks = _peaks(mean[inside]) if seeds is None else [float(np.median(mean[seeds]))]
    for peak in peaks:
        part = ndimage.binary_erosion(inside & (np.abs(mean - peak) < width), iterations=1)
        labels = cc3d.connected_components(part, connectivity=6)
        sizes = np.bincount(labels.ravel(), minlength=2)
        sizes[0] = 0
        if sizes.max() > best:
            best, core = int(sizes.max()), labels == int(sizes.argmax())
    return core


def _near(seeds: Bools, step: float) -> Bools:
    return np.asarray(ndimage.distance_transform_edt(~seeds, sampling=step) < NEAR_SEED_MM)


def _mode(values: Values, low: float, high: float, width: float) -> float:
    counts, edges = np.histogram(values, np.arange(low, high + width, width))
    n = int(ndimage.gaussian_filter1d(counts.astype(np.float64), 2).argmax())
    return float((edges[n] + edges[n + 1]) / 2)


def _peaks(values: Values) -> list[float]:
    """Grey values that are more common than their neighbours, and a tenth as common as the commonest."""
    counts, edges = np.histogram(values, np.arange(0, 240, 2.0))
    smooth: Floats = ndimage.gaussian_filter1d(counts.astype(np.float64), 2)
    before, here, after = smooth[:-2], smooth[1:-1], smooth[2:]
    top = np.flatnonzero((here >= before) & (here > after) & (here > 0.1 * smooth.max())) + 1
    return [float(edges[n] + 1) for n in top]

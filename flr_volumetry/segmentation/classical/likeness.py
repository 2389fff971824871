"""What each voxel pays for being called liver: by its grey value, by its place, by its edges."""

from __future__ import annotations

import cc3d
import numpy as np
from scipy import ndimage

from flr_volumetry.segmentation.classical.enclosure import enclosed_share
from flr_volumetry.segmentation.classical.model import Model, Scene
from flr_volumetry.segmentation.classical.working import Bools, Values, distance_mm, doubled

NEVER = np.float32(4.0)
HALF = (slice(None, None, 2),) * 3
FAT_HU, AIR_HU = -30.0, -150.0
LEFT_MM = 90.0
"""The left lobe seldom reaches further to the left of the middle (assumed)."""
LOCAL_MM = 20.0
SIGHT_MM = 60.0
"""How far the enclosing is looked for: across a large tumour."""
LUNG_WORTH, WALL_WORTH = 0.9, 0.4
SOLID_SHARE, FLUID_SHARE, BLOOD_SHARE = 0.5, 0.75, 0.85
"""Share of directions in which a solid, a fluid and a bright piece must be enclosed to belong to the liver:
the gallbladder is open on about half its side, the portal vein in the hilum on about a quarter (assumed)."""
FLUID_HU = 25.0
GAP_MM, GAP_HU, GAP_NOISES, GAP_ML = 5.0, 10.0, 1.5, 0.5
"""Twice this wide a layer at most, so much darker than its sides, so many times the noise, and so large
(assumed)."""
LEVELS = (0.5, 0.42, 0.35)
"""Pieces are cut out of what is enclosed at each of these shares, and judged whole."""


def place_cost(scene: Scene, model: Model) -> Values:
    """Cost of a place: above the diaphragm, in the trunk's wall, far to the left."""
    # Where muscle looks like liver only its place tells them apart.
    apart = abs(model.mean - model.muscle) / model.spread
    slack = float(np.interp(apart, [2.0, 8.0], [4.5, -0.5]))
    cost = np.clip((scene.high_mm - 2.0) / 6.0, 0, 3) + np.clip((scene.beyond + slack) / 3.0, 0, 3)
    return np.asarray(cost + np.clip((-scene.right_mm - LEFT_MM) / 40.0, 0, 2), dtype=np.float32)


def look_cost(scene: Scene, model: Model, mean: Values | float) -> Values:
    """Cost of a grey value, -1 for the local mean to 1.5 for what is nothing like it."""
    v, tissue = model.smooth, scene.tissue
    off = (v - mean) / model.spread
    cost = np.clip(np.where(off < 0, -off / model.dark, off / model.bright) - 1.0, -1.0, 1.5)
    # Voxels half liver, half fat or lung say nothing: there the edge decides.
    like = ndimage.maximum_filter(np.abs(off) < 2, 3)
    mixed = (off < 0) & (v > AIR_HU) & like & (ndimage.minimum_filter(v, 5) < -20.0)
    cost[mixed] = np.minimum(cost[mixed], 0.0)
    never = ~tissue.body | tissue.lung | (v < AIR_HU) | ((v < FAT_HU) & ~mixed)
    return np.where(never, NEVER, cost).astype(np.float32)


def border_weight(model: Model) -> Values:
    """Cost of a border there: low on edges."""
    gradient = ndimage.gaussian_gradient_magnitude(model.smooth, 0.7)
    kappa = max(1.6 * model.noise, 10.0)
    return np.asarray(0.6 * (0.05 + 1.0 / (1 + (gradient / kappa) ** 2)), dtype=np.float32)


def gaps_between(model: Model, step: float) -> Bools:
    """Thin dark layers, such as fat between the liver and what lies on it: less bright than both sides."""
    reach = round(GAP_MM / step)
    i, j, k = np.ogrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1]
    ball = i * i + j * j + k * k <= reach * reach
    v = np.minimum(model.smooth, model.mean + model.spread)
    dip = ndimage.grey_closing(v, footprint=ball) - v
    dark = dip > max(GAP_HU, GAP_NOISES * model.noise)
    return np.asarray(cc3d.dust(dark, threshold=int(GAP_ML * 1000 / step**3), connectivity=18) > 0)


def local_mean(scene: Scene, model: Model, inside: Bools) -> Values:
    """Grey value of the liver around each voxel: contrast and beam hardening vary across it."""
    use = inside & (np.abs(model.smooth - model.mean) < 6 * model.spread)
    sigma = LOCAL_MM / scene.step / 2
    weight = ndimage.gaussian_filter(use[HALF].astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(use, model.smooth, 0)[HALF].astype(np.float32), sigma)
    return doubled((total + model.mean * 0.03) / (weight + 0.03), inside.shape).astype(np.float32)


def pockets(scene: Scene, model: Model, inside: Bools, place: Values, mean: Values) -> Bools:
    """Return what belongs to the liver though it does not look like it: lesions, vessels within it.

    Parameters
    ----------
    scene, model : Scene, Model
        The scan and the liver's look.
    inside : (i, j, k) bool ndarray
        The liver so far.
    place, mean : (i, j, k) float32 ndarray
        As `place_cost` and `local_mean` give them.

    Returns
    -------
    (i, j, k) bool ndarray
        Pieces that liver, right lung and wall enclose from enough sides.
    """
    free, share = _enclosed(scene, model, inside, place)
    v, step = model.smooth, scene.step
    limit = np.where(
        v > mean + 6 * model.spread, BLOOD_SHARE, np.where(v < FLUID_HU, FLUID_SHARE, SOLID_SHARE)
    )
    excess = share - limit
    sure = excess > 0.15
    for level in LEVELS:
        maybe = share > level
        labels = cc3d.connected_components(distance_mm(maybe, step) > 4.0, connectivity=6)
        good = np.bincount(labels.ravel(), excess.ravel()) > 0
        good[0] = False
        if good.any():
            sure |= maybe & (distance_mm(~good[labels], step) <= 6.0)
    return np.asarray(sure & free)


def _enclosed(scene: Scene, model: Model, inside: Bools, place: Values) -> tuple[Bools, Values]:
    tissue, beyond = scene.tissue, scene.beyond
    right = scene.right_mm > -10.0
    soft = tissue.body & ~tissue.lung & (model.smooth > -20) & (place < 1.0) & (beyond < -5)
    # Under the heart nothing says where the liver ends but the liver itself.
    soft &= np.asarray(tissue.lung.any(axis=2))[:, :, None] | (scene.high_mm < -6.0)
    # On the left the diaphragm covers stomach and spleen as well.
    above = tissue.lung | (tissue.body & (scene.high_mm > -6.0))
    worth = np.where(tissue.lung & right, LUNG_WORTH, np.where(above, WALL_WORTH, 0.0))
    worth = np.where((beyond > -2) & right & ~tissue.lung, WALL_WORTH, worth)
    worth = np.where(inside, 1.0, worth).astype(np.float32)
    free = soft & ~inside
    share = enclosed_share(free[HALF], worth[HALF], int(SIGHT_MM / (2 * scene.step)))
    # Thin layers are pulled down by what lies beside them: a rim of the liver's neighbours is no pocket.
    share = ndimage.uniform_filter(doubled(share, free.shape), 3)
    return free, np.where(free, share, 0).astype(np.float32)

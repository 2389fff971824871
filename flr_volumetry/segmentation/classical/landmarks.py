"""Points of the liver from which planes are placed: vena cava and gallbladder fossa."""

from __future__ import annotations

from dataclasses import dataclass, field

import cc3d
import numpy as np

from flr_volumetry.segmentation.classical.cava import Cava
from flr_volumetry.segmentation.classical.liver import Found
from flr_volumetry.segmentation.classical.model import Model, Scene
from flr_volumetry.segmentation.classical.working import Bools, Floats, distance_mm

FLUID_HU = (-10.0, 32.0)
"""Bile (assumed; clinical base 8.3 gives unenhanced liver from 38)."""
GALL_ML = (2.0, 250.0)
GALL_RADIUS_MM = 4.0
TOUCH_MM = 5.0
TOUCHING, LEAST_TOUCH = (0.2, 0.75), 2.0
"""Share of the gallbladder's surface against the liver, and least area, cm2 (assumed)."""


BEHIND = 0.4
"""Share of the liver's height above which the vena cava runs behind it; below, it lies free (assumed)."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallbladder:
    """The gallbladder.

    Parameters
    ----------
    inside : (i, j, k) bool ndarray
        On the working grid.
    fossa_mm : (3,) float64 ndarray
        Middle of its contact with the liver, LPS mm.
    """

    inside: Bools = field(repr=False)
    fossa_mm: Floats


def find_gallbladder(scene: Scene, model: Model, found: Found) -> Gallbladder | None:
    """Find a bag of fluid that lies in the liver's lower surface.

    Parameters
    ----------
    scene, model, found : Scene, Model, Found
        The scan and its liver.

    Returns
    -------
    Gallbladder or None
        None where there is none, or bile cannot be told from liver.
    """
    v, step = model.smooth, scene.step
    if model.mean - FLUID_HU[1] < 3 * model.spread:
        return None
    near = distance_mm(~found.inside, step)
    fluid = scene.tissue.body & ~found.inside & (v > FLUID_HU[0]) & (v < FLUID_HU[1]) & (near < 60.0)
    fluid &= (scene.right_mm > -20.0) & (scene.beyond < -8.0) & (scene.high_mm < -20.0)
    deep = distance_mm(fluid, step) > GALL_RADIUS_MM
    labels, count = cc3d.connected_components(deep, connectivity=6, return_N=True)
    best: tuple[float, Bools] | None = None
    for label in range(1, count + 1):
        inside = fluid & (distance_mm(labels != label, step) <= GALL_RADIUS_MM * 1.2)
        rim = inside & (distance_mm(inside, step) <= step)
        touch = rim & (near <= TOUCH_MM)
        ml, share = float(inside.sum()) * scene.work.voxel_ml, float(touch.sum()) / max(int(rim.sum()), 1)
        area = float(touch.sum()) * step**2 / 100.0
        if GALL_ML[0] <= ml <= GALL_ML[1] and TOUCHING[0] <= share <= TOUCHING[1] and area >= LEAST_TOUCH:
            score = area * share
            best = (score, inside) if best is None or score > best[0] else best
    if best is None:
        return None
    touch = best[1] & (near <= TOUCH_MM)
    return Gallbladder(best[1], scene.work.grid.centres_mm([np.argwhere(touch).mean(axis=0)])[0])


def cava_mm(scene: Scene, cava: Cava) -> Floats:
    """Centres of the vena cava, (n, 3) LPS mm, from below upwards."""
    return scene.work.grid.centres_mm(cava.centres)


def cava_beside(scene: Scene, cava: Cava, inside: Bools) -> Floats:
    """Centres of the vena cava where it runs behind the liver's upper part, (n, 3) LPS mm."""
    on = np.flatnonzero(inside.any(axis=(0, 1)))
    lowest = on[0] + BEHIND * (on[-1] - on[0])
    near = distance_mm(~inside, scene.step) <= 10.0
    index = np.rint(cava.centres).astype(int)
    touching = np.array([bool((cava.inside[:, :, k] & near[:, :, k]).any()) for k in index[:, 2]])
    touching &= index[:, 2] >= lowest
    return np.asarray(cava_mm(scene, cava)[touching])

"""The liver on the working grid: a first guess, then smooth cuts around it that let it grow."""

from __future__ import annotations

from dataclasses import dataclass, field

import cc3d
import fill_voids
import numpy as np

from flr_volumetry.segmentation.classical.cava import Cava, track_cava
from flr_volumetry.segmentation.classical.likeness import (
    border_weight,
    gaps_between,
    local_mean,
    look_cost,
    place_cost,
    pockets,
)
from flr_volumetry.segmentation.classical.maxflow import continuous_cut
from flr_volumetry.segmentation.classical.model import Model, Scene
from flr_volumetry.segmentation.classical.working import Bools, Values, distance_mm

OPENINGS_MM = (7.5, 6.0, 5.0)
"""After each cut what hangs on by a narrower neck than twice this falls off."""
REGROW = 1.35
FREE_MM, SLOPE_MM = 9.0, 9.0
"""Each cut may go this far from the last without cost, and about twice as far at all."""
SURE_MM = 8.0
KEPT, HELD = np.float32(-0.5), np.float32(-0.7)
VEIN_MM, HILUM_MM = 3.5, 6.0
"""Vessels of at least this radius, this near to fat, run in the hilum, not in the liver (assumed)."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What the user says, on the working grid.

    Parameters
    ----------
    cost : (i, j, k) float32 ndarray or None
        Added to the cost of a place.
    likely : (i, j, k) bool ndarray or None
        Where a thin part of the liver is kept: it does not fall off as what hangs on by a neck does.
    """

    cost: Values | None = field(default=None, repr=False)
    likely: Bools | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The liver on the working grid.

    Parameters
    ----------
    inside : (i, j, k) bool ndarray
        The liver, lesions and the vessels in it included.
    mean : (i, j, k) float32 ndarray
        Grey value of healthy liver around each voxel.
    cava : Cava or None
        The vena cava, which is kept out.
    """

    inside: Bools = field(repr=False)
    mean: Values = field(repr=False)
    cava: Cava | None


def find_liver(scene: Scene, model: Model, given: Given | None = None) -> Found:
    """Find the liver on the working grid.

    Parameters
    ----------
    scene, model : Scene, Model
        The scan and the liver's look.
    given : Given, optional
        What the user says.

    Returns
    -------
    Found
        The liver; empty if what was like it fell apart.
    """
    place = place_cost(scene, model)
    if given is not None and given.cost is not None:
        place = place + given.cost
    cava = track_cava(model.smooth, scene.tissue, _slices(model.core), scene.step)
    vein = cava.inside if cava is not None else np.zeros_like(model.core)
    place[vein] += 2.5
    mean: Values | float = model.mean
    gaps = gaps_between(model, scene.step)
    likely = given.likely if given is not None else None
    current = _first(scene, model, look_cost(scene, model, mean) + place, place < 1, gaps)
    held = np.zeros_like(current)
    weight = border_weight(model)
    for radius in OPENINGS_MM:
        filled = fill_voids.fill(current)
        mean = local_mean(scene, model, filled)
        held |= pockets(scene, model, filled, place, mean)
        cost = look_cost(scene, model, mean) + place
        cost += np.clip((distance_mm(~filled, scene.step) - FREE_MM) / SLOPE_MM, 0, 3)
        cost = np.where(distance_mm(filled, scene.step) > SURE_MM, np.minimum(cost, KEPT), cost)
        cost = np.where(held, np.minimum(cost, HELD), cost)
        cost[vein] = np.maximum(cost[vein], 1.0)
        cut = _cut(cost, weight)
        current = _opened(cut, model.core, radius, scene.step, gaps & ~held)
        if likely is not None and current.any():
            current = _biggest_with(current | (cut & likely), current)
        if not current.any():
            break
    mean = local_mean(scene, model, current)
    inside = _without_hilum(fill_voids.fill(current), model, mean, scene.step) & ~vein
    return Found(inside, mean, cava)


def _slices(core: Bools) -> range:
    on = np.flatnonzero(core.any(axis=(0, 1)))
    return range(max(0, int(on[0]) - 8), min(core.shape[2], int(on[-1]) + 13))


def _first(scene: Scene, model: Model, cost: Values, allowed: Bools, gaps: Bools) -> Bools:
    """Take what is like the liver and not too far from its core, without what hangs on by a neck."""
    cost = cost + np.clip((distance_mm(~model.core, scene.step) - 60.0) / 40.0, 0, 2)
    like = (cost < -0.1) | (model.core & allowed)
    return _opened(like, model.core, OPENINGS_MM[0], scene.step, gaps)


def _cut(cost: Values, weight: Values) -> Bools:
    where = np.argwhere(cost < 0.2)
    low, high = np.maximum(where.min(axis=0) - 3, 0), np.minimum(where.max(axis=0) + 4, cost.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part = np.ascontiguousarray(cost[box], dtype=np.float32)
    inside = np.zeros(cost.shape, dtype=bool)
    u = continuous_cut(np.maximum(part, 0), np.maximum(-part, 0), np.ascontiguousarray(weight[box]))
    inside[box] = u > 0.5
    return inside


def _opened(inside: Bools, core: Bools, radius_mm: float, step: float, gaps: Bools) -> Bools:
    deep = _biggest_with(distance_mm(inside & ~gaps, step) > radius_mm, core)
    return inside & (distance_mm(~deep, step) <= radius_mm * REGROW)


def _biggest_with(inside: Bools, core: Bools) -> Bools:
    labels = cc3d.connected_components(inside, connectivity=6)
    hits = np.bincount(labels[core], minlength=2)
    hits[0] = 0
    return np.asarray(labels == int(hits.argmax())) if hits.any() else np.zeros_like(inside)


def _without_hilum(inside: Bools, model: Model, mean: Values, step: float) -> Bools:
    """Leave out fat in fissures, and thick vessels that run in it: the hilum lies outside the liver."""
    v = model.smooth
    fat = inside & (v < min(0.0, model.mean - 50.0))
    fat = cc3d.dust(fat, threshold=int(200.0 / step**3), connectivity=6)
    bright = v > mean + max(5 * model.spread, 25.0)
    thick = bright & (distance_mm(~(distance_mm(bright, step) > VEIN_MM), step) <= VEIN_MM + 1.0)
    vessel = thick & (distance_mm(v >= 0, step) <= HILUM_MM)
    return np.asarray(inside & ~(fat > 0) & ~vessel)

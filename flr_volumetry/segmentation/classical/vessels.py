"""Portal and hepatic veins: bright tubes in the liver, told apart by which of two trunks they run to."""

from __future__ import annotations

from dataclasses import dataclass, field

import cc3d
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from flr_volumetry.segmentation.classical.cava import Cava
from flr_volumetry.segmentation.classical.closeup import MARGIN_MM, CloseUp, around
from flr_volumetry.segmentation.classical.working import Bools, Floats, distance_mm

FAINT_HU, FAINT_SPREADS, STRONG = 12.0, 2.2, 1.7
"""How much brighter than the liver a vessel is at least, and how much more its trunk (assumed)."""
CALCIUM_HU = 160.0
"""So much brighter than liver is no blood in the portal phase: calcium, iodised oil, a stent (assumed)."""
NEAR_MM = 8.0
"""Vessels stand out against the liver this near; broad brightness is perfusion."""
LEAST_ML = 0.3
TRUNK_MM = 4.0
"""Radius from which a vessel beside the liver can be the trunk of the portal vein (assumed)."""
REACH_MM, AHEAD_MM = 14.0, 8.0
BESIDE_MM = (4.0, 10.0)
"""How far from the liver the trunk is looked for, the nearer first."""
STEPS = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Vessels:
    """Veins on the close-up.

    Parameters
    ----------
    portal, hepatic : (i, j, k) bool ndarray
        Empty where no trunk was found that they could be told apart by.
    all : (i, j, k) bool ndarray
        Every bright tube in the liver.
    trunk_mm : (3,) float64 ndarray or None
        Where the portal vein enters the liver, LPS mm.
    """

    portal: Bools = field(repr=False)
    hepatic: Bools = field(repr=False)
    all: Bools = field(repr=False)
    trunk_mm: Floats | None = None


def find_vessels(close: CloseUp, cava: Cava | None, cava_mm: Floats | None) -> Vessels:
    """Find the veins of the liver and tell them apart.

    Parameters
    ----------
    close : CloseUp
        The liver.
    cava : Cava or None
        The vena cava.
    cava_mm : (n, 3) float64 ndarray or None
        Its centres, LPS mm.

    Returns
    -------
    Vessels
        By which trunk each piece is nearer to, along vessels, narrow ones counting as longer.
    """
    bright = _bright(close)
    none = np.zeros_like(bright)
    if cava is None or cava_mm is None or not bright.any():
        return Vessels(none, none, bright & close.liver)
    hepatic = _confluence(close, bright, cava, cava_mm)
    portal, trunk = _trunk(close, bright & ~hepatic, cava_mm)
    if not hepatic.any() or not portal.any():
        only = bright & close.liver
        return Vessels(only if portal.any() else none, only if hepatic.any() else none, only, trunk)
    to_portal, to_hepatic = _along(bright, portal, close.step), _along(bright, hepatic, close.step)
    nearer = to_portal <= to_hepatic
    known = np.isfinite(np.minimum(to_portal, to_hepatic)) & bright
    lost = bright & ~known
    if lost.any():
        _, at = ndimage.distance_transform_edt(~known, return_indices=True)
        nearer = np.where(lost, nearer[tuple(at)], nearer)
    disc = distance_to(cava, cava_mm, close)
    near_liver = bright & (distance_mm(~close.liver, close.step) <= MARGIN_MM)
    portal_all = near_liver & nearer & (close.liver | _joined(near_liver & nearer, portal))
    return Vessels(portal_all & ~disc, bright & ~nearer & close.liver & ~disc, bright & close.liver, trunk)


def distance_to(cava: Cava, cava_mm: Floats, close: CloseUp) -> Bools:
    """Return the voxels of the close-up that lie in the vena cava."""
    index = close.grid.indices_at(cava_mm)
    inside = np.zeros(close.grid.shape, dtype=bool)
    i, j = np.meshgrid(*(np.arange(n) for n in close.grid.shape[:2]), indexing="ij")
    for k in range(close.grid.shape[2]):
        x, y, r = (np.interp(k, index[:, 2], c) for c in (index[:, 0], index[:, 1], cava.radii_mm))
        if index[0, 2] <= k <= index[-1, 2]:
            inside[:, :, k] = np.hypot(i - x, j - y) * close.step <= r
    return inside


def _bright(close: CloseUp) -> Bools:
    plain = (close.depth_mm > 2.0) & (np.abs(close.smooth - close.mean) < 2.0 * close.spread)
    level = float(np.median(close.mean[close.liver]))
    off = close.smooth - around(close.smooth, plain, NEAR_MM / close.step, level)
    domain = distance_mm(~close.liver, close.step) <= MARGIN_MM
    faint = max(FAINT_HU, FAINT_SPREADS * close.spread)
    calcium = ndimage.binary_dilation(off > CALCIUM_HU, iterations=2)
    weak = domain & (off > faint) & ~calcium
    # A bright rim under the surface is bone or kidney seen through the blur, not a vessel.
    weak &= (close.depth_mm > 2.5) | ~close.liver
    labels, count = cc3d.connected_components(weak, connectivity=18, return_N=True)
    strong = np.bincount(labels.ravel(), (off > STRONG * faint).ravel(), minlength=count + 1) > 0
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * close.step**3 / 1000
    kept = strong & (sizes >= LEAST_ML)
    kept[0] = False
    return np.asarray(kept[labels])


def _confluence(close: CloseUp, bright: Bools, cava: Cava, cava_mm: Floats) -> Bools:
    """Bright voxels in the liver beside the upper part of the vena cava: where hepatic veins end."""
    disc = distance_to(cava, cava_mm, close)
    on = np.flatnonzero(close.liver.any(axis=(0, 1)))
    high = np.arange(close.grid.shape[2]) > on[0] + 0.6 * (on[-1] - on[0])
    near = distance_mm(~disc, close.step) <= REACH_MM if disc.any() else disc
    return np.asarray(bright & near & high[None, None, :] & close.liver)


def _trunk(close: CloseUp, bright: Bools, cava_mm: Floats) -> tuple[Bools, Floats | None]:
    """Thick bright voxels at the hilum: beside the liver or in its fissures, in front of the vena cava."""
    depth = distance_mm(bright, close.step)
    y = np.arange(close.grid.shape[1])[None, :, None]
    index = close.grid.indices_at(cava_mm)
    z = np.arange(close.grid.shape[2])
    behind = np.interp(z, index[:, 2], index[:, 1])[None, None, :]
    x = np.arange(close.grid.shape[0])[:, None, None]
    side = np.interp(z, index[:, 2], index[:, 0])[None, None, :]
    ahead = (behind - y) * close.step
    place = (ahead > AHEAD_MM) & (ahead < 70.0) & (np.abs(x - side) * close.step < 45.0)
    on = np.flatnonzero(close.liver.any(axis=(0, 1)))
    place &= (z < on[0] + 0.7 * (on[-1] - on[0]))[None, None, :]
    open_ = close.depth_mm < 8.0
    core = (depth > TRUNK_MM) & place & open_
    labels = cc3d.connected_components(core, connectivity=26)
    away = distance_mm(~close.liver, close.step)
    for reach in BESIDE_MM:
        touch = away <= reach
        score = np.bincount(labels.ravel(), (core & touch).ravel())
        score[0] = 0
        if score.any():
            break
    else:
        return np.zeros_like(bright), None
    found = (score >= 0.25 * score.max())[labels] & core
    inside = found & touch
    centre = np.argwhere(inside if inside.any() else found).mean(axis=0)
    return np.asarray(found), close.grid.centres_mm([centre])[0]


def _joined(inside: Bools, seed: Bools) -> Bools:
    labels = cc3d.connected_components(inside, connectivity=26)
    hit = np.unique(labels[seed & inside])
    return np.asarray(np.isin(labels, hit[hit > 0]))


def _along(bright: Bools, source: Bools, step: float) -> Floats:
    """Length of the shortest way inside the vessels to a source; a step in a narrow one counts more."""
    depth = distance_mm(bright, step)
    number = np.full(bright.shape, -1, dtype=np.int64)
    number[bright] = np.arange(np.count_nonzero(bright))
    rows, columns, lengths = [], [], []
    for axis in STEPS:
        low = tuple(slice(0, n - d) for n, d in zip(bright.shape, axis, strict=True))
        high = tuple(slice(d, None) for d in axis)
        both = bright[low] & bright[high]
        rows.append(number[low][both])
        columns.append(number[high][both])
        lengths.append(step / np.minimum(np.minimum(depth[low][both], depth[high][both]), 5.0))
    n = int(np.count_nonzero(bright))
    graph = sparse.coo_array(
        (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns))), (n, n)
    )
    found = csgraph.dijkstra(graph.tocsr(), directed=False, indices=number[source & bright], min_only=True)
    out = np.full(bright.shape, np.inf)
    out[bright] = found
    return out

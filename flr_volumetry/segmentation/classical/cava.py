"""The inferior vena cava, tracked as a disc from slice to slice in front of the spine and to its right."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from flr_volumetry.segmentation.classical.tissue import Tissue
from flr_volumetry.segmentation.classical.working import Bools, Floats, Values

RADII_MM = (7.0, 8.5, 10.0, 11.5, 13.0)
N_SPOKES = 12
RIM_MM = 1.2
"""Half the width across which the wall of the vein is looked for."""
EDGE_HU, ROUGH_HU = 50.0, 40.0
VERTEBRA_HU = 150.0
ACROSS_MM, DEEP_MM = (-70.0, 5.0), (-82.5, 0.0)
"""Where a centre may lie from the front of the spine's middle: to the right and in front (assumed)."""
MOVES = tuple(itertools.product((-1, 0, 1), repeat=3))
LEAST_SCORE = 0.25
"""Mean sharpness of the rim below which the track is not believed (assumed)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cava:
    """The vena cava, slice by slice.

    Parameters
    ----------
    centres : (n, 3) float64 ndarray
        Column, row and slice of the working grid.
    radii_mm : (n,) float64 ndarray
        Of the disc.
    inside : (i, j, k) bool ndarray
        Its discs.
    score : float
        Mean sharpness of its rim, at most about 1.
    """

    centres: Floats = field(repr=False)
    radii_mm: Floats = field(repr=False)
    inside: Bools = field(repr=False)
    score: float


def track_cava(v: Values, tissue: Tissue, slices: range, step: float) -> Cava | None:
    """Find the path of discs with the clearest rims, by dynamic programming from slice to slice.

    Parameters
    ----------
    v : (i, j, k) float32 ndarray
        The scan without noise, HU, on the working grid.
    tissue : Tissue
        For the spine.
    slices : range
        From below the liver to above it.
    step : float
        Of the grid, mm.

    Returns
    -------
    Cava or None
        None where no spine is in view, or no path is believable.
    """
    middle, front = _spine(tissue, v, step)
    if not np.isfinite(middle).all():
        return None
    ks = np.asarray(slices)
    dx = np.arange(*ACROSS_MM, step) / step
    dy = np.arange(*DEEP_MM, step) / step
    x, y, k = np.meshgrid(dx, dy, ks, indexing="ij")
    x, y = x + middle[k], y + front[k]
    scores = np.stack([_rim(v, (x, y, k.astype(np.float64)), r / step) for r in RADII_MM], axis=-1)
    scores -= 0.5 * _misplaced(dx * step, dy * step, len(ks))[..., None]
    scores += 0.015 * (np.asarray(RADII_MM) - RADII_MM[0])
    path = _best_path(scores)
    n = np.arange(len(ks))
    score = float(scores[path[:, 0], path[:, 1], n, path[:, 2]].mean())
    if score < LEAST_SCORE:
        return None
    at = (path[:, 0], path[:, 1], n)
    centres = np.column_stack(
        [ndimage.gaussian_filter1d(c[at], 1.0) for c in (x, y)] + [ks.astype(np.float64)]
    )
    radii = ndimage.gaussian_filter1d(np.asarray(RADII_MM)[path[:, 2]], 1.5)
    return Cava(centres, radii, _discs(v, centres, radii, step), score)


def _discs(v: Values, centres: Floats, radii: Floats, step: float) -> Bools:
    inside = np.zeros(v.shape, dtype=bool)
    i, j = np.meshgrid(np.arange(v.shape[0]), np.arange(v.shape[1]), indexing="ij")
    for (cx, cy, k), r in zip(centres, radii, strict=True):
        inside[:, :, int(k)] = (np.hypot(i - cx, j - cy) * step <= r) & (v[:, :, int(k)] > 0)
    return inside


def _misplaced(dx_mm: Floats, dy_mm: Floats, n: int) -> Floats:
    """How far a centre lies from where the vein runs: beside the spine below, well in front of it above."""
    level = np.linspace(0, 1, n)[None, None, :] ** 2
    right, ahead = -dx_mm[:, None, None], -dy_mm[None, :, None]
    out = np.maximum((right - 35 - 10 * level) / 15, 0) + np.maximum((12 - right) / 6, 0)
    out = out + np.maximum((ahead - 24 - 50 * level) / 12, 0) + np.maximum((3 + 17 * level - ahead) / 8, 0)
    return np.asarray(out)


def _rim(v: Values, at: tuple[Floats, Floats, Floats], r: float) -> Floats:
    """Sharpness of the rim of a disc around each point, less how rough it is inside and how unlike blood."""
    x, y, k = at
    edge = np.zeros(x.shape)
    inner = []
    gap = RIM_MM / 2.5
    for angle in np.arange(N_SPOKES) * 2 * np.pi / N_SPOKES:
        c, s = np.cos(angle), np.sin(angle)
        near, far = (
            ndimage.map_coordinates(v, [x + c * q, y + s * q, k], order=1, mode="nearest")
            for q in (max(r - 1.25 * gap * 2, 0.5), r + 1.25 * gap * 2)
        )
        inner.append(near)
        edge += np.clip(np.abs(near - far) / EDGE_HU, 0, 1)
    centre = ndimage.map_coordinates(v, [x, y, k], order=1, mode="nearest")
    ring = np.stack(inner)
    rough = np.abs(ring - centre).mean(axis=0)
    typical = np.median(ring, axis=0)
    out = edge / N_SPOKES - np.clip(rough / ROUGH_HU, 0, 1.5)
    return np.asarray(out - np.clip((10 - typical) / 20, 0, 2) - np.clip((centre - 260) / 50, 0, 2))


def _best_path(scores: Floats) -> Floats:
    """Column, row and radius index on each slice of the path with the highest sum, one step at a time."""
    best = scores[:, :, 0]
    back = []
    for n in range(1, scores.shape[2]):
        ways = np.stack([_moved(best, move) for move in MOVES])
        back.append(ways.argmax(axis=0))
        best = ways.max(axis=0) + scores[:, :, n]
    state = np.array(np.unravel_index(int(best.argmax()), best.shape))
    path = [state]
    for pick in back[::-1]:
        state = state - np.array(MOVES[int(pick[tuple(state)])])
        path.append(state)
    return np.array(path[::-1])


def _moved(best: Floats, move: tuple[int, ...]) -> Floats:
    out = np.full(best.shape, -np.inf)
    to = tuple(slice(max(d, 0), n + min(d, 0)) for d, n in zip(move, best.shape, strict=True))
    start = tuple(slice(max(-d, 0), n + min(-d, 0)) for d, n in zip(move, best.shape, strict=True))
    out[to] = best[start] - 0.05 * (abs(move[0]) + abs(move[1])) - 0.08 * abs(move[2])
    return out


def _spine(tissue: Tissue, v: Values, step: float) -> tuple[Floats, Floats]:
    """Column of the spine's middle and row of the front of the vertebrae on each slice."""
    nx, ny, nz = v.shape
    middles, fronts = np.full(nz, np.nan), np.full(nz, np.nan)
    reach, top = round(45 / step), ny // 3
    for k in range(nz):
        low = max(round(tissue.middle[k]) - reach, 0)
        part = tissue.bone[low : min(low + 2 * reach + 1, nx), top:, k]
        if np.count_nonzero(part) < 20:
            continue
        on = np.argwhere(part).mean(axis=0)
        front = _front(v[:, :, k] > VERTEBRA_HU, low + on[0], top + int(on[1]), step)
        if front is not None:
            middles[k], fronts[k] = low + on[0], front
    return _filled(middles), _filled(fronts)


def _front(dense: Bools, x: float, y: int, step: float) -> float | None:
    """Go forward from the middle of the bone, to the right of the aorta, until the vertebra ends."""
    top = max(y - int(45 / step), 0)
    ends = []
    for column in range(max(int(x) - int(14 / step), 0), int(x) - int(2 / step) + 1):
        on = np.flatnonzero(dense[column, top : y + 1])[::-1]
        if len(on):
            gaps = np.flatnonzero(-np.diff(on) > 12.5 / step)
            ends.append(top + int(on[gaps[0]] if len(gaps) else on[-1]))
    return float(np.percentile(ends, 30)) if ends else None


def _filled(track: Floats) -> Floats:
    known = np.isfinite(track)
    if not known.any():
        return track
    full = np.interp(np.arange(len(track)), np.flatnonzero(known), track[known])
    return np.asarray(ndimage.gaussian_filter1d(ndimage.median_filter(full, 9, mode="nearest"), 2))

"""The inner face of the trunk's wall, as a radius around its axis: ribs where there are any, else muscle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from scipy import ndimage

from flr_volumetry.segmentation.classical.working import Bools, Floats, Values

N_ANGLES = 144
FAT_HU = -20.0
SKIN_MM = 5.0
THICK_MM = (2.0, 27.0)
"""Thickness of the muscles around the belly (assumed)."""
RIB_MM, FRONT_MM, BACK_MM = 20.0, 22.0, 45.0
"""Thickness of a rib along a ray, and its depth under the muscles' outer face in front and behind, at most
(assumed)."""
BULGE_MM = 12.0
"""No rib stands further inside the wall than this (assumed)."""
THIN_REACH, THIN_SHARE = (21, 25.0), 30.0
"""Angles and mm above and below among which that share of the muscle is at least as thin (assumed)."""
SPINE_MM, NEAR_MM = 55.0, 60.0
"""Bone behind the axis within this of the middle, and any within this of the axis, is no rib (assumed)."""
UNKNOWN = -99.0
WRAP: Final[tuple[Literal["wrap"], Literal["nearest"]]] = ("wrap", "nearest")


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """One slice along rays from the axis: whether body, Hounsfield units, whether rib; (angles, radii)."""

    body: Bools = field(repr=False)
    values: Values = field(repr=False)
    rib: Bools = field(repr=False)


def beyond_wall_mm(values: Values, bone: Bools, body: Bools, step_mm: float) -> Values:
    """How far each voxel lies outside the inner face of the wall, mm.

    Parameters
    ----------
    values : (i, j, k) float32 ndarray
        Hounsfield units on the working grid.
    bone, body : (i, j, k) bool ndarray
        As found by `find_tissue`.
    step_mm : float
        Of the grid.

    Returns
    -------
    (i, j, k) float32 ndarray
        Negative inside; -99 where neither ribs nor muscle with fat behind it are near.
    """
    centres = _centres(body)
    rib, outer, inner = (np.full((N_ANGLES, body.shape[2]), np.nan) for _ in range(3))
    for k in range(body.shape[2]):
        if not body[:, :, k].any():
            continue
        rays = _rays(values[:, :, k], bone[:, :, k], body[:, :, k], centres[k], step_mm)
        outer[:, k], inner[:, k] = _muscle(rays, step_mm)
        rib[:, k] = _ribs(rays, outer[:, k], step_mm)
    return _unrolled(_radius(rib, outer, inner, step_mm), body.shape, centres, step_mm)


def _rays(values: Values, bone: Bools, body: Bools, centre: Floats, step_mm: float) -> _Rays:
    theta = ((np.arange(N_ANGLES) + 0.5) * 2 * np.pi / N_ANGLES)[:, None]
    radii = np.arange(int(np.hypot(*body.shape) / 2), dtype=np.float64)
    dx, dy = np.cos(theta) * radii, np.sin(theta) * radii
    at = [centre[0] + dx, centre[1] + dy]
    inside, bony = (ndimage.map_coordinates(m.astype(np.float32), at, order=1) > 0.5 for m in (body, bone))
    hu = ndimage.map_coordinates(values, at, order=1, cval=-1000.0)
    bony &= ~((dy > 0) & (np.abs(dx) * step_mm < SPINE_MM)) & (radii * step_mm > NEAR_MM)
    return _Rays(np.asarray(inside), np.asarray(hu), np.asarray(bony))


def _muscle(rays: _Rays, step_mm: float) -> tuple[Floats, Floats]:
    """Radius of the outer face of the muscle, and of its inner one where fat or air lies behind it."""
    outer, inner = (np.full(N_ANGLES, np.nan) for _ in range(2))
    soft = rays.body & (rays.values > FAT_HU)
    for angle in np.flatnonzero(rays.body.any(axis=1)):
        skin = int(np.flatnonzero(rays.body[angle])[-1]) - int(SKIN_MM / step_mm)
        inwards = soft[angle, : max(skin, 0) + 1][::-1]
        runs = np.flatnonzero(inwards[:-1] & inwards[1:])
        if not len(runs):
            continue
        start = int(runs[0])
        outer[angle] = skin - start + 0.5
        ends = np.flatnonzero(~inwards[start:])
        if len(ends) and THICK_MM[0] <= ends[0] * step_mm <= THICK_MM[1]:
            inner[angle] = outer[angle] - ends[0]
    return outer, inner


def _radius(rib: Floats, outer: Floats, inner: Floats, step_mm: float) -> Floats:
    """Radius of the inner face for each angle and slice, in voxels; infinite where unknown."""
    # A stone, contrast in the gut or a bright kidney is no rib, and where the wall is too thin to be
    # seen a ray goes on into the belly: both lie far inside their neighbours.
    rib = _near_outermost(rib, (19, 30.0), 22.0, step_mm)
    outer = _near_outermost(outer, (9, 15.0), 10.0, step_mm)
    ribs, sure_rib = _spread(rib, (2.5, 14.0 / step_mm))
    edge, sure_edge = _spread(outer, (1.5, 3.0 / step_mm))
    thick, sure_thick = _spread(_usual_thickness(outer - inner, step_mm), (3.0, 12.0 / step_mm))
    has_muscle = (sure_edge > 0.02) & (sure_thick > 0.04)
    share = np.clip((sure_rib - 0.04) / 0.1, 0, 1)
    radius = share * ribs + (1 - share) * np.where(has_muscle, edge - thick, ribs)
    # Between ribs the wall runs smoothly; nothing lies behind a rib.
    own = ndimage.minimum_filter(np.where(np.isfinite(rib), rib, np.inf), 3, mode="nearest")
    radius = np.where((radius - own) * step_mm < BULGE_MM, np.minimum(radius, own), radius)
    return np.where((sure_rib > 0.04) | has_muscle, radius, np.inf)


def _ribs(rays: _Rays, outer: Floats, step_mm: float) -> Floats:
    """Radius of the innermost rib; what is too thick or too deep is gut or kidney."""
    found = np.full(N_ANGLES, np.nan)
    for angle in np.flatnonzero(rays.rib.any(axis=1)):
        ends = np.flatnonzero(np.diff(np.pad(rays.rib[angle], 1).astype(np.int8)))
        first, last = ends[::2], ends[1::2]
        face = outer[angle] if np.isfinite(outer[angle]) else float(last[-1])
        deepest = FRONT_MM if angle >= N_ANGLES // 2 else BACK_MM
        thin = ((last - first) * step_mm <= RIB_MM) & ((face - last) * step_mm <= deepest)
        if thin.any():
            found[angle] = first[thin][0] - 0.5
    return found


def _usual_thickness(thick: Floats, step_mm: float) -> Floats:
    """Take the thickness that is common around: an organ in front of fat looks like a thick muscle."""
    has = np.isfinite(thick)
    if not has.any():
        return thick
    _, nearest = ndimage.distance_transform_edt(~has, return_indices=True)
    size = (THIN_REACH[0], 2 * int(THIN_REACH[1] / step_mm) + 1)
    around = np.pad(thick[tuple(nearest)], ((size[0], size[0]), (0, 0)), mode="wrap")
    low = ndimage.percentile_filter(around, THIN_SHARE, size, mode="nearest")[size[0] : -size[0]]
    return np.where(has, np.minimum(thick, low), np.nan)


def _near_outermost(radius: Floats, reach: tuple[int, float], tolerance_mm: float, step_mm: float) -> Floats:
    size = (reach[0], 2 * int(reach[1] / step_mm) + 1)
    shell = ndimage.maximum_filter(np.nan_to_num(radius), size, mode=WRAP)
    return np.where((shell - radius) * step_mm < tolerance_mm, radius, np.nan)


def _spread(radius: Floats, sigma: tuple[float, float]) -> tuple[Floats, Floats]:
    has = np.isfinite(radius)
    weight = ndimage.gaussian_filter(has.astype(np.float64), sigma, mode=WRAP)
    total = ndimage.gaussian_filter(np.where(has, radius, 0.0), sigma, mode=WRAP)
    return total / np.maximum(weight, 1e-6), weight


def _unrolled(radius: Floats, shape: tuple[int, ...], centres: Floats, step_mm: float) -> Values:
    x, y = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    out = np.empty(shape, dtype=np.float32)
    for k in range(shape[2]):
        dx, dy = x - centres[k, 0], y - centres[k, 1]
        angle = ((np.arctan2(dy, dx) / (2 * np.pi) * N_ANGLES) % N_ANGLES).astype(int)
        edge = radius[angle, k]
        out[:, :, k] = np.where(np.isfinite(edge), (np.hypot(dx, dy) - edge) * step_mm, UNKNOWN)
    return out


def _centres(body: Bools) -> Floats:
    count = np.maximum(body.sum(axis=(0, 1)), 1)
    cx = (body.sum(axis=1) * np.arange(body.shape[0])[:, None]).sum(axis=0) / count
    cy = (body.sum(axis=0) * np.arange(body.shape[1])[:, None]).sum(axis=0) / count
    return np.column_stack([ndimage.gaussian_filter1d(c, 3) for c in (cx, cy)])

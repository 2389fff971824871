"""Lesions: pieces of the liver darker or brighter than the liver around them, on several scales."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cc3d
import fill_voids
import numpy as np
from scipy import ndimage

from flr_volumetry.segmentation.classical.closeup import CloseUp
from flr_volumetry.segmentation.classical.vessels import CALCIUM_HU
from flr_volumetry.segmentation.classical.working import Bools, Floats, Values, distance_mm

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALES_MM = (6.0, 3.0, 1.5)
"""Standard deviations of the smoothing, the coarsest first: it finds the faint and large."""
LEAST_HU, LEAST_SPREADS = 12.0, 2.5
LEAST_ML, LEAST_RADIUS_MM = 0.2, 2.5
"""Smaller pieces than this are not told from noise (assumed)."""
LEAST_ROUND, SURE_ROUND = 0.35, 0.7
"""Radius of the largest ball inside over that of a ball of its volume; a vessel's is a third (derived)."""
RIM_MM = 4.0
LEAST_CONFIDENCE = 0.75
EXTENT = 0.4
"""Share of its contrast down to which a lesion reaches: its rim is fainter than its middle (assumed)."""
TAIL = 0.3
"""What is thinner than this share of a lesion's own radius hangs on it and is no part (assumed)."""
BRIGHT_ROUND, BRIGHT_DEEP, BRIGHT_RADIUS_MM = 0.6, 0.7, 5.0
"""Bright pieces must be rounder, larger and lie deeper, for most of them are vessels (assumed)."""
SKIN_MM = 2.5
"""Under the surface voxels are half something else."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """A piece that may be a lesion.

    Parameters
    ----------
    inside : (i, j, k) bool ndarray
        On the close-up.
    confidence : float
        0 to 1, from contrast, size, roundness and distance from the liver's surface.
    """

    inside: Bools = field(repr=False)
    confidence: float


def find_lesions(close: CloseUp, vessels: Bools) -> tuple[Lesion, ...]:
    """Find lesions unasked.

    Parameters
    ----------
    close : CloseUp
        The liver.
    vessels : (i, j, k) bool ndarray
        What is taken for a vessel, and so for no bright lesion.

    Returns
    -------
    tuple of Lesion
        The largest first.
    """
    off = np.where(close.liver, close.smooth - close.mean, 0).astype(np.float32)
    weight = (close.depth_mm > SKIN_MM).astype(np.float32)
    pieces: list[Bools] = []
    for scale in SCALES_MM:
        sigma = scale / close.step
        share = np.maximum(ndimage.gaussian_filter(weight, sigma), 0.2)
        smooth = np.where(weight > 0, ndimage.gaussian_filter(off * weight, sigma) / share, 0)
        limit = max(LEAST_HU, LEAST_SPREADS * _stray(smooth[close.depth_mm > RIM_MM]))
        for blobs in (smooth < -limit, (smooth > limit) & ~ndimage.binary_dilation(vessels, iterations=2)):
            for piece in _pieces(close, blobs, off, scale):
                _add(pieces, piece, off)
    lesions = [Lesion(piece, confidence_of(close, piece)) for piece in _with_calcium(pieces, off, close)]
    sure = [lesion for lesion in lesions if lesion.confidence >= LEAST_CONFIDENCE]
    return tuple(sorted(sure, key=lambda lesion: -int(np.count_nonzero(lesion.inside))))


def grown_from(close: CloseUp, seed: tuple[int, int, int], within: Bools) -> Bools:
    """Return the piece around a point that is nearer to the point's grey value than to the liver's.

    Parameters
    ----------
    close : CloseUp
        The liver.
    seed : tuple of int
        Index of the point.
    within : (i, j, k) bool ndarray
        Where it may grow.

    Returns
    -------
    (i, j, k) bool ndarray
        Empty where the point looks like the liver around it.
    """
    ball = tuple(slice(max(n - 1, 0), n + 2) for n in seed)
    off = close.smooth - close.mean
    here = float(np.median(off[ball]))
    if abs(here) < max(6.0, 1.2 * close.spread):
        return np.zeros_like(close.liver)
    like = (off < here / 2) if here < 0 else (off > here / 2)
    piece = like & within & close.liver
    core = ndimage.binary_opening(piece) | _point(piece.shape, seed)
    labels = cc3d.connected_components(core & (piece | _point(piece.shape, seed)), connectivity=6)
    found = labels == labels[seed]
    return np.asarray(_filled(found & close.liver, close.step))


def confidence_of(close: CloseUp, inside: Bools) -> float:
    """Return how likely a piece is a lesion, 0 to 1: the geometric mean of four doubts (assumed)."""
    depth = distance_mm(inside, close.step)
    radius = float(depth.max())
    ball = (3 * np.count_nonzero(inside) * close.step**3 / (4 * np.pi)) ** (1 / 3)
    contrast = abs(float((close.smooth - close.mean)[inside].mean()))
    rim = float((close.depth_mm[inside] < RIM_MM).mean())
    doubts = np.array(
        [
            (contrast - 0.5 * LEAST_HU) / 25.0,
            radius / 5.0,
            (radius / ball - LEAST_ROUND) / (SURE_ROUND - LEAST_ROUND),
            1.15 - rim,
        ]
    )
    return float(np.prod(np.clip(doubts, 0, 1)) ** 0.25)


def _stray(values: Values) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if values.size else 0.0


def _pieces(close: CloseUp, blobs: Bools, off: Values, scale: float) -> Iterator[Bools]:
    """Take each blob out to two fifths of its contrast, and keep what is large, round and deep enough."""
    labels, count = cc3d.connected_components(blobs, connectivity=6, return_N=True)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * close.step**3 / 1000
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        if sizes[label] < LEAST_ML:
            continue
        pad = int(2 * scale / close.step) + 2
        box = tuple(slice(max(s.start - pad, 0), s.stop + pad) for s in place)
        blob = labels[box] == label
        dark = float(off[box][blob].mean()) < 0
        core = EXTENT * float(np.percentile(off[box][blob], 35 if dark else 65))
        like = (off[box] < core) if core < 0 else (off[box] > core)
        zone = (distance_mm(~blob, close.step) <= 1.5 * scale) & close.liver[box]
        inside = ndimage.binary_opening(like & zone, iterations=1)
        parts = cc3d.connected_components(inside, connectivity=6)
        hits = np.bincount(parts[blob], minlength=2)
        hits[0] = 0
        if not hits.any():
            continue
        best = _compact(_filled(parts == int(hits.argmax()), close.step) & close.liver[box], close.step)
        if _is_lesion(close, best, box, bright=core > 0):
            piece = np.zeros_like(close.liver)
            piece[box] = best
            yield piece


def _compact(inside: Bools, step: float) -> Bools:
    """Cut off what is thin beside the piece's own thickness: darkness along the surface or a vessel."""
    depth = distance_mm(np.pad(inside, 1), step)[1:-1, 1:-1, 1:-1]
    radius = TAIL * float(depth.max())
    if radius < step:
        return inside
    core = cc3d.largest_k(depth > radius, k=1, connectivity=6) > 0
    return np.asarray(inside & (distance_mm(~core, step) <= radius + step))


def _add(pieces: list[Bools], piece: Bools, off: Values) -> None:
    """Put a piece among the others; those that share a part, or a bright one beside a dark one, are one."""
    wide = ndimage.binary_dilation(piece, iterations=2)
    bright = float(off[piece].mean()) > 0
    for n, other in enumerate(pieces):
        shared = other & (wide if bright else piece)
        limit = 0.05 if bright else 0.3
        if np.count_nonzero(shared) > limit * min(np.count_nonzero(other), np.count_nonzero(piece)):
            pieces[n] = other | piece
            return
    pieces.append(piece)


def _with_calcium(pieces: list[Bools], off: Values, close: CloseUp) -> list[Bools]:
    """Give calcium and iodised oil that touch a lesion to it."""
    hard = close.liver & (off > CALCIUM_HU)
    if not hard.any():
        return pieces
    labels = cc3d.connected_components(ndimage.binary_dilation(hard) & close.liver, connectivity=6)
    out = []
    for piece in pieces:
        near = np.unique(labels[ndimage.binary_dilation(piece, iterations=2)])
        joined = piece | np.isin(labels, near[near > 0])
        out.append(_filled(joined, close.step) & close.liver)
    return out


def _is_lesion(close: CloseUp, inside: Bools, box: tuple[slice, ...], *, bright: bool) -> bool:
    if not inside.any():
        return False
    radius = float(distance_mm(np.pad(inside, 1), close.step).max())
    ball = (3 * np.count_nonzero(inside) * close.step**3 / (4 * np.pi)) ** (1 / 3)
    deep = float((close.depth_mm[box][inside] > RIM_MM).mean())
    large = ball**3 * 4 * np.pi / 3000 >= LEAST_ML and radius >= LEAST_RADIUS_MM
    if bright:
        return bool(radius >= BRIGHT_RADIUS_MM and radius / ball >= BRIGHT_ROUND and deep > BRIGHT_DEEP)
    return bool(large and radius / ball >= LEAST_ROUND and (deep > 0.4 or radius > 3 * RIM_MM))


def _filled(inside: Bools, step: float) -> Bools:
    """Close gaps of 3 mm and holes."""
    wide = distance_mm(~inside, step) <= 3.0
    closed = distance_mm(wide, step) > 3.0
    return np.asarray(fill_voids.fill(closed | inside))


def _point(shape: tuple[int, ...], at: tuple[int, int, int]) -> Bools:
    out = np.zeros(shape, dtype=bool)
    out[at] = True
    return out


def index_of(close: CloseUp, point_mm: Floats) -> tuple[int, int, int] | None:
    """Return the index of a point on the close-up, or None if it lies off it."""
    i, j, k = (int(n) for n in np.rint(close.grid.indices_at([point_mm])[0]))
    inside = all(0 <= n < size for n, size in zip((i, j, k), close.grid.shape, strict=True))
    return (i, j, k) if inside else None

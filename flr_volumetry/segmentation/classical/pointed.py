"""Lesions that the user points out."""

from __future__ import annotations

import numpy as np

from flr_volumetry.errors import Caveat
from flr_volumetry.segmentation.classical.closeup import CloseUp
from flr_volumetry.segmentation.classical.lesions import confidence_of, grown_from, index_of
from flr_volumetry.segmentation.classical.working import Bools
from flr_volumetry.segmentation.hints import BoxMm, Hints, PointMm

REACH_MM = 70.0
"""A lesion does not reach further from the point set in it (assumed)."""

Asked = tuple[Bools, float, PointMm]


def asked_for(close: CloseUp, hints: Hints) -> tuple[tuple[Asked, ...], tuple[Caveat, ...]]:
    """Return the lesions pointed out, each with its confidence and its point.

    Parameters
    ----------
    close : CloseUp
        The liver.
    hints : Hints
        Seeds and boxes.

    Returns
    -------
    tuple of (mask, confidence, point)
        In the order asked for.
    tuple of Caveat
        For each that gave nothing.
    """
    found: list[Asked] = []
    doubts: list[Caveat] = []
    for point in hints.lesion_seeds_mm:
        inside = _from_seed(close, point)
        _keep(found, doubts, close, inside, point)
    for box in hints.lesion_boxes_mm:
        middle = tuple((a + b) / 2 for a, b in zip(box.low, box.high, strict=True))
        _keep(found, doubts, close, _from_box(close, box), (middle[0], middle[1], middle[2]))
    return tuple(found), tuple(doubts)


def _keep(found: list[Asked], doubts: list[Caveat], close: CloseUp, inside: Bools, point: PointMm) -> None:
    if inside.any():
        found.append((inside, confidence_of(close, inside), point))
        return
    at = "({:.1f}, {:.1f}, {:.1f}) mm".format(*point)
    doubts.append(
        Caveat(
            "lesion_hint_unheeded",
            f"A lesion was pointed out at {at}, and nothing there is told from the liver around it, or it "
            "lies outside.",
        )
    )


def _from_seed(close: CloseUp, point: PointMm) -> Bools:
    seed = index_of(close, np.asarray(point))
    if seed is None or not close.liver[seed]:
        return np.zeros_like(close.liver)
    at = [
        close.grid.affine[a, 3] + close.step * np.arange(n) - point[a] for a, n in enumerate(close.grid.shape)
    ]
    x, y, z = (c**2 for c in at)
    ball = x[:, None, None] + y[None, :, None] + z[None, None, :] <= REACH_MM**2
    return grown_from(close, seed, np.asarray(ball))


def _from_box(close: CloseUp, box: BoxMm) -> Bools:
    """Grow from the voxel in the box that strays most from the liver around it, and stay in the box."""
    at = [close.grid.affine[a, 3] + close.step * np.arange(n) for a, n in enumerate(close.grid.shape)]
    x, y, z = ((c >= box.low[a]) & (c <= box.high[a]) for a, c in enumerate(at))
    within = x[:, None, None] & y[None, :, None] & z[None, None, :] & close.liver
    if not within.any():
        return np.zeros_like(close.liver)
    off = np.where(within, close.smooth - close.mean, 0)
    weight = float(np.median(off[within & (np.abs(off) > close.spread)])) if within.any() else 0.0
    index = int((off if weight > 0 else -off).argmax())
    i, j, k = (int(n) for n in np.unravel_index(index, off.shape))
    return grown_from(close, (i, j, k), within)

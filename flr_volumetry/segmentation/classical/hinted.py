"""What the user says of the liver, on the working grid."""

from __future__ import annotations

import numpy as np

from flr_volumetry.errors import Caveat, SegmentationError
from flr_volumetry.segmentation.classical.liver import Given
from flr_volumetry.segmentation.classical.model import Scene
from flr_volumetry.segmentation.classical.working import Bools, distance_mm, onto
from flr_volumetry.segmentation.hints import Hints, PointMm

SEED_MM, OUT_MM = 5.0, 6.0
ROUGH_DEEP_MM, ROUGH_FREE_MM, ROUGH_SLOPE_MM = 8.0, 10.0, 5.0
"""A rough mask is trusted this deep inside, and may be off by so much and not much more (assumed)."""
WALL = np.float32(4.0)


def seeds_of(scene: Scene, hints: Hints) -> Bools | None:
    """Return the voxels that the user says are liver.

    Parameters
    ----------
    scene : Scene
        The scan.
    hints : Hints
        What the user says.

    Returns
    -------
    (i, j, k) bool ndarray or None
        Around the seeds, and deep in the rough mask; None without either.

    Raises
    ------
    SegmentationError
        If a seed lies off the scan, or not in soft tissue: in air, fat, bone or outside the body.
    """
    seeds = np.zeros(scene.work.grid.shape, dtype=bool)
    for point in hints.seeds_mm:
        _require_tissue(scene, point)
        seeds |= _ball(scene, point, SEED_MM)
    if hints.rough is not None:
        rough = _rough(scene, hints)
        deep = distance_mm(rough, scene.step) > ROUGH_DEEP_MM
        seeds |= (deep if deep.any() else rough) & scene.tissue.body & ~scene.tissue.lung
    return seeds if seeds.any() else None


def given_by(scene: Scene, hints: Hints) -> Given:
    """Return what the user's box, rough mask and points outside cost.

    Parameters
    ----------
    scene : Scene
        The scan.
    hints : Hints
        What the user says.

    Returns
    -------
    Given
        Added to the cost of a place.
    """
    cost = np.zeros(scene.work.grid.shape, dtype=np.float32)
    for point in hints.outside_mm:
        cost[_ball(scene, point, OUT_MM)] = WALL
    if hints.box_mm is not None:
        low, high = np.array(hints.box_mm.low), np.array(hints.box_mm.high)
        at = [scene.work.grid.affine[a, 3] + scene.step * np.arange(n) for a, n in enumerate(cost.shape)]
        inside = [(c >= low[a]) & (c <= high[a]) for a, c in enumerate(at)]
        cost[~(inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :])] = WALL
    if hints.rough is not None:
        off = distance_mm(~_rough(scene, hints), scene.step)
        cost += np.clip((off - ROUGH_FREE_MM) / ROUGH_SLOPE_MM, 0, 3)
    return Given(cost)


def unheeded(scene: Scene, hints: Hints, inside: Bools) -> tuple[Caveat, ...]:
    """Say which seeds the liver found does not hold.

    Parameters
    ----------
    scene : Scene
        The scan.
    hints : Hints
        What the user says.
    inside : (i, j, k) bool ndarray
        The liver on the working grid.

    Returns
    -------
    tuple of Caveat
        One for each seed.
    """
    near = distance_mm(~inside, scene.step) <= 2 * scene.step
    return tuple(
        Caveat(
            "hint_outside_liver",
            f"The point {_words(point)} was given as liver, and the liver found does not reach it: one of "
            "them is wrong.",
        )
        for point in hints.seeds_mm
        if not (near & _ball(scene, point, scene.step)).any()
    )


def _rough(scene: Scene, hints: Hints) -> Bools:
    rough = hints.rough
    if rough is None:
        return np.zeros(scene.work.grid.shape, dtype=bool)
    found = onto(rough.voxels, rough.grid, scene.work.grid) > 0.5
    found &= scene.work.seen
    if not found.any():
        raise SegmentationError(
            f"the rough mask {rough.name!r} does not meet the scan anywhere: is it this patient's?",
            reason="hint_outside_scan",
        )
    return np.asarray(found)


def _require_tissue(scene: Scene, point: PointMm) -> None:
    index = np.rint(scene.work.grid.indices_at([point])[0]).astype(int)
    if (index < 0).any() or (index >= scene.work.grid.shape).any() or not scene.work.seen[tuple(index)]:
        raise SegmentationError(
            f"the point {_words(point)} given as liver lies outside the scan: are its coordinates LPS mm "
            "of this scan?",
            reason="hint_outside_scan",
        )
    value = float(scene.work.values[tuple(index)])
    if not scene.tissue.body[tuple(index)] or not -20.0 < value < 300.0:
        raise SegmentationError(
            f"the point {_words(point)} given as liver lies in no soft tissue ({value:.0f} HU): in air, "
            "fat, bone or "
            "outside the body.",
            reason="hint_outside_liver",
        )


def _ball(scene: Scene, point: PointMm, radius_mm: float) -> Bools:
    grid = scene.work.grid
    squares = [
        (grid.affine[a, 3] + scene.step * np.arange(n) - point[a]) ** 2 for a, n in enumerate(grid.shape)
    ]
    x, y, z = squares
    radius = max(radius_mm, scene.step)
    return np.asarray(x[:, None, None] + y[None, :, None] + z[None, None, :] <= radius**2)


def _words(point: PointMm) -> str:
    return "({:.1f}, {:.1f}, {:.1f}) mm".format(*point)

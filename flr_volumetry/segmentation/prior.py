"""Where a liver may lie: livers of an atlas laid upon a first guess and fused to a chance."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import Grid
from flr_volumetry.segmentation.fusion import REACH_MM, SHARPNESS, WORK_MM, demons, points_of, sample
from flr_volumetry.segmentation.quality_look import signed_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.segmentation.fusion import AtlasLiver

FEWEST: Final = 3
"""Fewer livers say nothing of how livers vary (assumed)."""
MOST: Final = 12
"""No more livers are deformed: those that the affine map lays best (assumed)."""
ROOM_MM: Final = 40.0
"""Around the first guess: a lobe that it lost may reach so far."""
ROUNDS: Final = 15
POINTS: Final = 3000
SLACK_MM: Final = (16.0, 8.0)
"""Points of the surface further off count less (Cauchy weights), in the first rounds and the last."""
RIDGE: Final = 3e-3
GROSS_MM: Final = 20.0
"""Beyond such a gap after the affine map nothing pulls: it is a leak or a loss, and not to be followed."""
DEMONS_ROUNDS: Final = 20
SMOOTH_VOXELS: Final = 2.5
SOFT_MM: Final = 4.0
"""Surfaces of laid livers stray by about so much (measured: see tests/evaluate/test_prior.py)."""
OUTLIER: Final = 0.1
"""A liver that overlaps by so much less than the median is left out (assumed)."""
DOUBT: Final = 0.5
"""Of one liver, on either side, that is added to the vote: few livers are never sure (Jeffreys)."""
TRUST: Final = (0.75, 0.87)
"""Median Dice below which a prior is worth nothing, and from which it is worth all (assumed)."""
STRETCH: Final = (1.5, 1.9)
"""Median stretch of the affine maps up to which a prior is worth all, and from which nothing: to fit what is
left of a liver a whole one has to shrink (assumed)."""
CUT_CM2: Final = 4.0
Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Voter:
    """A liver that counts in a prior.

    Parameters
    ----------
    name : str
        Of its file.
    dice : float
        Overlap with the first guess after registration, in what the scan shows.
    weight : float
        Its share of the vote; all sum to one.
    """

    name: str
    dice: float
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class ShapePrior:
    """How likely each place is to be liver, by the shape of other livers alone.

    Parameters
    ----------
    grid : Grid
        Steps of 4 mm along the patient's axes.
    chance : (i, j, k) float32 ndarray
        0 to 1, never either.
    voters : tuple of Voter
        By weight, the heaviest first.
    left_out : tuple of str
        Livers that fit much worse than the others.
    stretch : float
        How much the affine maps stretch or shrink them along some direction, median; 1 or more.
    trust : float
        0 to 1: how well the livers fit at all, by Dice and by stretch.
    digest : str
        Of all livers that voted.
    """

    grid: Grid
    chance: Values = field(repr=False)
    voters: tuple[Voter, ...]
    left_out: tuple[str, ...]
    stretch: float
    trust: float
    digest: str

    @property
    def median_dice(self) -> float:
        """Median overlap of the voters with the first guess."""
        return float(np.median([v.dice for v in self.voters]))


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """The first guess on the work grid, and what of it the scan shows."""

    work: Grid
    points: Floats
    depth: Values
    seen: Bools
    known: Bools
    cut: tuple[tuple[bool, bool], ...]

    @property
    def inside(self) -> Bools:
        return np.asarray(self.depth > 0)

    def dice(self, depth: npt.NDArray[np.floating[Any]]) -> float:
        there, here = (depth > 0) & self.seen, self.inside & self.seen
        return 2 * float((there & here).sum()) / max(float(there.sum() + here.sum()), 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    liver: AtlasLiver
    affine: Floats
    depth: Values
    dice: float

    @property
    def stretch(self) -> float:
        """Of the affine map, along the direction where it is farthest from 1."""
        size = np.linalg.svd(self.affine[:3, :3], compute_uv=False)
        return float(max(size.max(), 1 / max(float(size.min()), 1e-3)))


def prior_of(inside: Bools, seen: Bools, grid: Grid, livers: Sequence[AtlasLiver]) -> ShapePrior:
    """Lay the livers of an atlas upon a first guess, and fuse them to a chance.

    Parameters
    ----------
    inside : (i, j, k) bool ndarray
        The first guess of the liver; it may leak and may have lost parts.
    seen : (i, j, k) bool ndarray
        What the scan shows.
    grid : Grid
        Of both, along the patient's axes.
    livers : sequence of AtlasLiver
        Those that vote.

    Returns
    -------
    ShapePrior
        Its grid reaches 40 mm beyond the guess.

    Raises
    ------
    SegmentationError
        If fewer than three livers can vote.

    Notes
    -----
    An affine map by iteratively reweighted least squares on the distances at the guess's surface, with Cauchy
    weights, so that a leak does not pull; then demons whose pull falls to nought at a gap of 20 mm (Tukey's
    biweight), strongly smoothed, so that they follow neither leak nor loss. What the edge of the scan cuts
    is no surface. Each liver is ``1 / (1 + exp(-d / s))`` at depth ``d``; the mean, weighted by the eighth
    power of the Dice, counts as the effective number of livers ``n = (sum w)^2 / sum w^2``, to which one
    undecided liver is added (Jeffreys): ``p = (n m + 1/2) / (n + 1)``.
    """
    target = _target(inside, seen, grid)
    laid = sorted((_fitted(liver, target) for liver in livers), key=lambda one: (-one.dice, one.liver.name))
    laid = [_deformed(one, target) for one in laid[:MOST]]
    typical = float(np.median([one.dice for one in laid])) if laid else 0.0
    kept = [one for one in laid if one.dice >= typical - OUTLIER]
    gone = tuple(f"{one.liver.name} (Dice {one.dice:.2f})" for one in laid if one not in kept)
    if len(kept) < FEWEST:
        raise SegmentationError(
            f"{len(kept)} livers of the atlas can be laid upon this one, and a prior needs {FEWEST}"
            + (f"; left out: {', '.join(gone)}." if gone else "."),
            reason="atlas_too_small",
        )
    weight = np.array([max(one.dice, 1e-3) ** SHARPNESS for one in kept])
    weight = weight / weight.sum()
    mean = np.zeros(target.work.shape, dtype=np.float32)
    for share, one in zip(weight, kept, strict=True):
        mean += np.float32(share) / (1 + np.exp(-one.depth / np.float32(SOFT_MM)))
    count = 1 / float((weight**2).sum())
    chance = (count * mean + DOUBT) / (count + 2 * DOUBT)
    voters = [Voter(one.liver.name, one.dice, float(w)) for one, w in zip(kept, weight, strict=True)]
    median = float(np.median([v.dice for v in voters]))
    stretch = float(np.median([one.stretch for one in kept]))
    fits = (median - TRUST[0]) / (TRUST[1] - TRUST[0])
    alike = (STRETCH[1] - stretch) / (STRETCH[1] - STRETCH[0])
    digest = hashlib.sha256("".join(sorted(one.liver.digest for one in kept)).encode()).hexdigest()[:16]
    return ShapePrior(
        target.work,
        chance.astype(np.float32),
        tuple(sorted(voters, key=lambda v: (-v.weight, v.name))),
        gone,
        stretch,
        float(np.clip(min(fits, alike), 0, 1)),
        f"SHA-256 {digest}",
    )


def _target(inside: Bools, seen: Bools, grid: Grid) -> _Target:
    from scipy.ndimage import distance_transform_edt, map_coordinates

    centres = grid.centres_mm(np.argwhere(inside))
    low, high = centres.min(axis=0) - ROOM_MM, centres.max(axis=0) + ROOM_MM
    i, j, k = (int(n) + 1 for n in np.ceil((high - low) / WORK_MM))
    affine = np.diag([WORK_MM, WORK_MM, WORK_MM, 1.0])
    affine[:3, 3] = low
    work = Grid((i, j, k), affine)
    points = points_of(work)
    at = grid.indices_at(points).T
    here, shown = (
        map_coordinates(m.view(np.uint8), at, order=0, mode="constant").reshape(work.shape) > 0
        for m in (inside, seen)
    )
    depth = np.clip(signed_distance(here, work), -REACH_MM, REACH_MM)
    to_edge = distance_transform_edt(shown, sampling=WORK_MM) if not shown.all() else np.inf
    # Nearer to the edge of the scan than to the surface seen, the true surface may lie beyond the edge.
    known = shown & (to_edge > np.abs(depth) + WORK_MM)
    return _Target(work, points, depth, shown, known, _cut_ends(inside, seen, grid))


def _cut_ends(inside: Bools, seen: Bools, grid: Grid) -> tuple[tuple[bool, bool], ...]:
    """Whether the edge of the scan cuts the liver at its low and high end along each axis."""
    liver, shown = np.pad(inside, 1), np.pad(seen, 1)
    ends = []
    for axis in range(3):
        area = grid.voxel_mm3 / grid.spacing_mm[axis] / 100
        low, high = (np.count_nonzero(liver & ~np.roll(shown, s, axis)) * area > CUT_CM2 for s in (1, -1))
        ends.append((bool(low), bool(high)))
    return tuple(ends)


def _fitted(liver: AtlasLiver, target: _Target) -> _Laid:
    """Lay a liver upon the target by an affine map."""
    affine = _start(liver, target)
    rim = np.flatnonzero((np.abs(target.depth) < WORK_MM).ravel() & target.known.ravel())
    rim = rim[:: max(1, len(rim) // POINTS)]
    points, wanted = target.points[rim], target.depth.ravel()[rim].astype(np.float64)
    if len(rim) >= 12:
        affine = _matched(liver, affine, points, wanted)
    depth = sample(liver, target.points @ affine[:3, :3].T + affine[:3, 3]).reshape(target.work.shape)
    return _Laid(liver, affine, depth.astype(np.float32), target.dice(depth))


def _start(liver: AtlasLiver, target: _Target) -> Floats:
    """Match middle and spread along each axis; where the scan cuts an end, the other end and no size."""
    here = target.work.centres_mm(np.argwhere(target.inside))
    there = liver.grid.centres_mm(np.argwhere(liver.labels > 0))
    whole = [axis for axis in range(3) if not any(target.cut[axis])]
    size = there.std(axis=0) / here.std(axis=0)
    usual = float(np.mean(size[whole])) if whole else 1.0
    affine = np.eye(4)
    for axis, (low, high) in enumerate(target.cut):
        scale = size[axis] if not (low or high) else usual
        ends = (50.0 if low == high else 98.0 if low else 2.0,) * 2
        mine, its = (np.percentile(p[:, axis], e) for p, e in zip((here, there), ends, strict=True))
        if low == high:
            mine, its = here[:, axis].mean(), there[:, axis].mean()
        affine[axis, axis], affine[axis, 3] = scale, its - scale * mine
    return affine


def _matched(liver: AtlasLiver, affine: Floats, points: Floats, wanted: Floats) -> Floats:
    centre, size = points.mean(axis=0), float(points.std())
    design = np.column_stack([(points - centre) / size, np.ones(len(points))])
    for n in range(ROUNDS):
        at = points @ affine[:3, :3].T + affine[:3, 3]
        gap = wanted - sample(liver, at)
        slack = SLACK_MM[0] if n < ROUNDS // 2 else SLACK_MM[1]
        weight = 1 / (1 + (gap / slack) ** 2)
        slope = np.stack([(sample(liver, at + e) - sample(liver, at - e)) / 4 for e in 2 * np.eye(3)], axis=1)
        system = (slope[:, :, None] * design[:, None, :]).reshape(len(points), 12)
        normal = system.T @ (weight[:, None] * system) + RIDGE * len(points) * np.eye(12)
        change = np.linalg.solve(normal, system.T @ (weight * gap)).reshape(3, 4)
        step = np.zeros((4, 4))
        step[:3, :3] = change[:, :3] / size
        step[:3, 3] = change[:, 3] - step[:3, :3] @ centre
        affine = affine + step
    return affine


def _deformed(laid: _Laid, target: _Target) -> _Laid:
    """Deform a laid liver where it nearly fits; gross gaps, and what the scan does not show, pull nothing."""
    gap = target.depth - laid.depth
    pull = gap * np.maximum(1 - (gap / GROSS_MM) ** 2, 0) ** 2
    wanted = laid.depth + np.where(target.known, pull, 0)
    shift = demons(wanted.astype(np.float32), laid.depth, rounds=DEMONS_ROUNDS, smooth_voxels=SMOOTH_VOXELS)
    moved = (target.points + shift.reshape(-1, 3)) @ laid.affine[:3, :3].T + laid.affine[:3, 3]
    depth = sample(laid.liver, moved).reshape(target.work.shape).astype(np.float32)
    return replace(laid, depth=depth, dice=target.dice(depth))

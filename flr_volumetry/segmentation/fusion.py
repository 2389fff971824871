"""Livers laid upon a liver by their outlines, and a vote of their segments."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import ROMAN, SEGMENTS
from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import Grid, LabelMap, Mask, bounding_box
from flr_volumetry.segmentation.quality_look import signed_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

WORK_MM: Final = 4.0
"""Step of the grid on which livers are matched."""
ROOM_MM: Final = 24.0
REACH_MM: Final = 24.0
"""Distances are cut off here, so that far places do not pull."""
AFFINE_ROUNDS: Final = 12
AFFINE_POINTS: Final = 3000
RIDGE: Final = 1e-3
DEMONS_ROUNDS: Final = 30
SMOOTH_VOXELS: Final = 1.5
"""Width of the Gaussian that keeps the deformation even, in work voxels (assumed)."""
VOTE_VOXELS: Final = 1.0
SHARPNESS: Final = 8.0
"""Votes count by this power of the Dice after registration (assumed)."""
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class AtlasLiver:
    """One liver with its segments, cropped and thinned.

    Made by `AtlasLiver.of`.

    Parameters
    ----------
    name : str
        What to call it.
    grid : Grid
        Of the label array.
    labels : ndarray of uint8
        Segments 1 to 8; 0 outside.
    sdf : ndarray of float32
        Distance to the outline, mm, positive inside.
    digest : str
        SHA-256 of the labels.
    """

    name: str
    grid: Grid
    labels: Labels = field(repr=False)
    sdf: npt.NDArray[np.float32] = field(repr=False)
    digest: str

    @classmethod
    def of(cls, name: str, segments: LabelMap) -> AtlasLiver:
        """Return a liver of an atlas.

        Parameters
        ----------
        name : str
            What to call it.
        segments : LabelMap
            Couinaud segments.

        Returns
        -------
        AtlasLiver
            Thinned to about half the work grid's step.

        Raises
        ------
        SegmentationError
            If there is no label in it.
        """
        if bounding_box(segments.voxels) is None:
            raise SegmentationError(f"{name} holds no label", reason="empty_mask")
        thin = [max(1, int(WORK_MM / 1.5 / s)) for s in segments.grid.spacing_mm]
        voxels = segments.voxels[tuple(slice(None, None, n) for n in thin)]
        affine = segments.grid.affine.copy()
        affine[:3, :3] = affine[:3, :3] * thin
        box = bounding_box(voxels)
        if box is None:
            raise SegmentationError(f"{name} is too small", reason="empty_mask")
        grid = Grid(voxels.shape, affine).crop(box)
        room = [int(np.ceil(REACH_MM / s)) for s in grid.spacing_mm]
        labels = np.pad(np.asarray(voxels[box], dtype=np.uint8), [(n, n) for n in room])
        affine = grid.affine.copy()
        affine[:3, 3] = grid.centres_mm([[-n for n in room]])[0]
        grid = Grid(labels.shape, affine)
        digest = hashlib.sha256(labels.tobytes()).hexdigest()
        return cls(name, grid, labels, signed_distance(labels > 0, grid), digest)


@dataclass(frozen=True, slots=True, eq=False)
class Vote:
    """What the livers of an atlas make of a liver.

    Parameters
    ----------
    labels : LabelMap
        Segments on the liver's grid.
    share : float
        Mean share of the votes that the winner has.
    mean_dice : float
        Mean overlap of the livers after registration.
    digest : str
        Of all livers that voted.
    """

    labels: LabelMap
    share: float
    mean_dice: float
    digest: str


def is_mirrored(liver: AtlasLiver) -> bool:
    """Whether segments II and III lie to the patient's right of VI and VII."""
    sides = []
    for numbers in ((2, 3), (6, 7)):
        index = np.argwhere(np.isin(liver.labels, numbers))
        sides.append(float(liver.grid.centres_mm(index)[:, 0].mean()) if len(index) else np.nan)
    return bool(sides[0] < sides[1])


def fused(mask: Mask, livers: Sequence[AtlasLiver]) -> Vote:
    """Find the segments of a liver by vote.

    Parameters
    ----------
    mask : Mask
        The liver.
    livers : sequence of AtlasLiver
        Those that vote.

    Returns
    -------
    Vote
        Every voxel of the liver has a segment.

    Raises
    ------
    SegmentationError
        If there is no liver to vote.
    """
    if not livers:
        raise SegmentationError("an atlas without livers cannot vote", reason="atlas_too_small")
    work = work_grid(mask)
    target = _on_work(mask, work)
    inside = target > 0
    votes = np.zeros((len(SEGMENTS) + 1, *work.shape), dtype=np.float32)
    dices = []
    for liver in livers:
        carried = carry(liver, target, work)
        there = carried > 0
        dice = 2 * np.count_nonzero(there & inside) / (np.count_nonzero(there) + np.count_nonzero(inside))
        dices.append(float(dice))
        for n in SEGMENTS:
            votes[n] += (carried == n) * np.float32(dice**SHARPNESS)
    votes = _spread(votes, inside)
    total = np.maximum(votes.sum(axis=0), 1e-9)
    share = float((votes.max(axis=0) / total)[inside].mean())
    digest = hashlib.sha256("".join(sorted(v.digest for v in livers)).encode()).hexdigest()[:16]
    return Vote(_to_scan(votes, work, mask), share, float(np.mean(dices)), f"SHA-256 {digest}")


def work_grid(mask: Mask) -> Grid:
    """Return the grid along the patient's axes on which a liver is matched."""
    index = np.argwhere(mask.voxels[::2, ::2, ::2]) * 2
    points = mask.grid.centres_mm(index if len(index) else np.argwhere(mask.voxels))
    low, high = points.min(axis=0) - ROOM_MM, points.max(axis=0) + ROOM_MM
    i, j, k = (int(n) + 1 for n in np.ceil((high - low) / WORK_MM))
    affine = np.diag([WORK_MM, WORK_MM, WORK_MM, 1.0])
    affine[:3, 3] = low
    return Grid((i, j, k), affine)


def points_of(work: Grid) -> Floats:
    """Return the centres of all voxels of a grid, (n, 3) LPS mm."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in work.shape), indexing="ij"), axis=-1)
    return work.centres_mm(index.reshape(-1, 3))


def _on_work(mask: Mask, work: Grid) -> npt.NDArray[np.float32]:
    """Return the distance map of a mask on the work grid."""
    from scipy.ndimage import map_coordinates

    at = mask.grid.indices_at(points_of(work)).T
    inside = map_coordinates(mask.voxels.view(np.uint8), at, order=0, mode="constant").reshape(work.shape)
    return np.clip(signed_distance(inside > 0, work), -REACH_MM, REACH_MM)


def sample(liver: AtlasLiver, points: Floats) -> Floats:
    """Return how deep (n, 3) points, LPS mm, lie in a liver of the atlas, mm, within 24 mm of its surface."""
    from scipy.ndimage import map_coordinates

    at = liver.grid.indices_at(points).T
    values = map_coordinates(liver.sdf, at, order=1, mode="constant", cval=-REACH_MM)
    return np.asarray(np.clip(values, -REACH_MM, REACH_MM), dtype=np.float64)


def carry(liver: AtlasLiver, target: npt.NDArray[np.float32], work: Grid) -> Labels:
    """Lay a liver of the atlas upon another one, and return its segments there.

    Parameters
    ----------
    liver : AtlasLiver
        Which.
    target : (i, j, k) ndarray of float32
        Distance map of the other liver on the work grid.
    work : Grid
        The work grid.

    Returns
    -------
    ndarray of uint8
        Segments on the work grid; 0 outside the liver that was laid upon it.

    Notes
    -----
    An affine map by Gauss-Newton on the distances at the other liver's surface, begun with centroids and
    standard deviations along the patient's axes; then demons (Vercauteren et al., NeuroImage 2009;45:S61) on
    the two distance maps.
    """
    from scipy.ndimage import map_coordinates

    points = points_of(work)
    affine = _affine(liver, target, work)
    moved = sample(liver, points @ affine[:3, :3].T + affine[:3, 3]).reshape(work.shape)
    shift = demons(target, moved, rounds=DEMONS_ROUNDS, smooth_voxels=SMOOTH_VOXELS)
    there = (points + shift.reshape(-1, 3)) @ affine[:3, :3].T + affine[:3, 3]
    at = liver.grid.indices_at(there).T
    carried = map_coordinates(liver.labels, at, order=0, mode="constant")
    return np.asarray(carried, dtype=np.uint8).reshape(work.shape)


def demons(
    fixed: npt.NDArray[np.float32],
    moving: npt.NDArray[np.floating[Any]],
    *,
    rounds: int,
    smooth_voxels: float,
) -> npt.NDArray[np.float64]:
    """Deform one distance map onto another by diffeomorphic demons.

    Parameters
    ----------
    fixed, moving : (i, j, k) ndarray
        On the work grid.
    rounds : int
        Iterations.
    smooth_voxels : float
        Standard deviation of the Gaussian that evens the displacement after each.

    Returns
    -------
    (i, j, k, 3) ndarray
        What is added to points of `fixed` to find their like in `moving`, mm along the grid's axes.

    Notes
    -----
    Vercauteren et al., NeuroImage 2009;45:S61, as SimpleITK has it; one thread, so that it answers the same.
    """
    # Its functions have no types.
    sitk: Any = importlib.import_module("SimpleITK")
    images = []
    for array in (fixed, moving):
        image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0), dtype=np.float32))
        image.SetSpacing([WORK_MM] * 3)
        images.append(image)
    search = sitk.DiffeomorphicDemonsRegistrationFilter()
    search.SetNumberOfIterations(rounds)
    search.SmoothDisplacementFieldOn()
    search.SetStandardDeviations(smooth_voxels)
    search.SetNumberOfThreads(1)
    return np.asarray(sitk.GetArrayFromImage(search.Execute(*images)).transpose(2, 1, 0, 3))


def _affine(liver: AtlasLiver, target: npt.NDArray[np.float32], work: Grid) -> Floats:
    """Return the affine map from points of the target to points of an atlas liver."""
    here = work.centres_mm(np.argwhere(target > 0))
    there = liver.grid.centres_mm(np.argwhere(liver.labels > 0))
    affine = np.eye(4)
    affine[:3, :3] = np.diag(there.std(axis=0) / here.std(axis=0))
    affine[:3, 3] = there.mean(axis=0) - affine[:3, :3] @ here.mean(axis=0)
    rim = work.centres_mm(np.argwhere(np.abs(target) < WORK_MM))
    rim = rim[:: max(1, len(rim) // AFFINE_POINTS)]
    centre, size = rim.mean(axis=0), float(rim.std())
    design = np.column_stack([(rim - centre) / size, np.ones(len(rim))])
    wanted = target[tuple(np.rint(work.indices_at(rim)).astype(np.intp).T)].astype(np.float64)
    for _ in range(AFFINE_ROUNDS):
        at = rim @ affine[:3, :3].T + affine[:3, 3]
        gap = wanted - sample(liver, at)
        slope = np.stack([(sample(liver, at + e) - sample(liver, at - e)) / 4 for e in 2 * np.eye(3)], axis=1)
        system = (slope[:, :, None] * design[:, None, :]).reshape(len(rim), 12)
        normal = system.T @ system + RIDGE * len(rim) * np.eye(12)
        change = np.linalg.solve(normal, system.T @ gap).reshape(3, 4)
        step = np.zeros((4, 4))
        step[:3, :3] = change[:, :3] / size
        step[:3, 3] = change[:, 3] - step[:3, :3] @ centre
        affine = affine + step
    return affine


def _spread(votes: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Even the votes out, and give voxels without any those of the nearest that has some."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    none = votes.sum(axis=0) <= 0
    if none.any() and not none.all():
        at = distance_transform_edt(none, return_distances=False, return_indices=True)
        votes = votes[:, *at]
    even = np.stack([gaussian_filter(v, VOTE_VOXELS) for v in votes])
    even[:, ~(inside | ~none)] = votes[:, ~(inside | ~none)]
    return even


def _to_scan(votes: npt.NDArray[np.float32], work: Grid, mask: Mask) -> LabelMap:
    """Return for each voxel of the liver the segment with most votes, interpolated linearly."""
    from scipy.ndimage import map_coordinates

    index = np.argwhere(mask.voxels)
    winner = np.zeros(len(index), dtype=np.uint8)
    best = np.full(len(index), -1.0, dtype=np.float32)
    at = work.indices_at(mask.grid.centres_mm(index)).T
    for n in SEGMENTS:
        if votes[n].any():
            value = map_coordinates(votes[n], at, order=1, mode="nearest")
            better = value > best
            winner[better], best[better] = n, value[better]
    labels = np.zeros(mask.grid.shape, dtype=np.uint8, order="F")
    labels[tuple(index.T)] = winner
    return LabelMap(mask.grid, labels, {n: f"segment {ROMAN[n]}" for n in SEGMENTS})

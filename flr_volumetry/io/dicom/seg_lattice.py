"""The lattice that frames of a segmentation lie on, where slices without any voxel are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import Caveat, NotAVolumeError
from flr_volumetry.images import Grid
from flr_volumetry.io.dicom.stacks import POSITION_ATOL_MM, POSITION_RTOL

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.io.dicom.seg_frames import SegFrames

SAME_SLICE_MM: Final = 0.01
"""Frames nearer than this lie on one slice: their positions are copies of one image's."""
WHOLE_ATOL: Final = 0.1
"""How far a gap may be from a whole number of steps."""
INDEX_ATOL: Final = 0.25
"""How far, in pixels, a frame may lie beside the pixels of the lattice it is put onto.

Each voxel takes the nearest pixel, so that half a pixel is the limit."""
MAX_SLICES: Final = 1 << 14
SAME_STEP_RTOL: Final = 0.02
"""Two slice steps are one where they differ by less than this part."""
NAMED: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """Frames as they lie along the axes of one lattice.

    Parameters
    ----------
    turns : (n, 2, 2) ndarray of int
        Steps along the lattice's columns and rows, of one column and one row of each frame.
    corners : (n, 3) ndarray
        Where in the patient the pixel lies that comes first on the lattice, mm.
    """

    turns: npt.NDArray[np.int64]
    corners: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Where the frames of one object lie.

    Parameters
    ----------
    grid : Grid
        From the lowest frame to the highest.
    slices : (n,) ndarray of int
        On which slice each frame lies.
    turned : Turned
        How each frame lies on it.
    caveats : tuple of Caveat
        What was found on the way.
    """

    grid: Grid
    slices: npt.NDArray[np.int64]
    turned: Turned
    caveats: tuple[Caveat, ...] = ()


def turned(frames: SegFrames, axes: npt.NDArray[np.float64]) -> Turned | None:
    """Return how frames lie along two axes, or None if one of them lies askew.

    Parameters
    ----------
    frames : SegFrames
        All of one object.
    axes : (3, 2) ndarray
        Steps of one column and one row of the lattice, mm.

    Returns
    -------
    Turned or None
        For each frame its own: scans and masks of one patient may count rows and columns
        from opposite ends.
    """
    turns = np.empty((len(frames.axes), 2, 2), dtype=np.int64)
    corners = frames.positions.copy()
    last = np.array([frames.columns - 1, frames.rows - 1])
    _, kinds = np.unique(np.round(frames.axes, 6), axis=0, return_inverse=True)
    for kind in range(int(kinds.max()) + 1):
        members = np.flatnonzero(kinds.ravel() == kind)
        own = frames.axes[members[0]]
        turn, *_ = np.linalg.lstsq(axes, own, rcond=None)
        whole = np.rint(turn).astype(np.int64)
        if not (np.abs(whole).sum(axis=0) == 1).all() or not (np.abs(whole).sum(axis=1) == 1).all():
            return None
        # The farthest pixel must still lie on its own pixel of the lattice.
        off = np.linalg.norm((axes @ whole - own) * last, axis=0).max()
        if off > INDEX_ATOL * float(np.linalg.norm(axes, axis=0).min()):
            return None
        turns[members] = whole
        backwards = (whole < 0).any(axis=0)
        corners[members] += own @ np.where(backwards, last, 0)
    return Turned(turns, corners)


def lattice_of(
    frames: SegFrames, label: str, *, hint_mm: float | None = None, frame_uid: str = ""
) -> Lattice:
    """Return the lattice that the frames of an object span by themselves.

    Parameters
    ----------
    frames : SegFrames
        All of one object.
    label : str
        What to call it in messages.
    hint_mm : float, optional
        Slice step of the scan it belongs to, where that is known.
    frame_uid : str, optional
        Its frame of reference.

    Returns
    -------
    Lattice
        With a slice for every step from the lowest frame to the highest.

    Raises
    ------
    NotAVolumeError
        If frames do not lie parallel, or on no regular lattice.
    """
    axes = _usual_axes(frames)
    placed = turned(frames, axes)
    if placed is None:
        raise NotAVolumeError(
            f"{label}: its frames do not lie parallel to each other, or differ in pixel spacing. "
            "They are not one volume.",
            reason="mixed_orientation",
        )
    shape = (frames.columns, frames.rows)
    swapped = placed.turns[:, 0, 0] == 0
    if swapped.any() and shape[0] != shape[1]:
        raise NotAVolumeError(
            f"{label}: some frames have rows where others have columns, and they are not square.",
            reason="mixed_orientation",
        )
    normal = np.cross(axes[:, 0], axes[:, 1])
    normal /= np.linalg.norm(normal)
    levels, level_of = _levels(placed.corners @ normal)
    centres = np.array([placed.corners[level_of == n].mean(axis=0) for n in range(len(levels))])
    numbers, step_mm, caveats = _numbers(levels, frames, label, hint_mm)
    step = normal * step_mm if len(levels) == 1 else (centres[-1] - centres[0]) / numbers[-1]
    if numbers[-1] >= MAX_SLICES:
        raise NotAVolumeError(
            f"{label}: its frames span {numbers[-1]} slices, which no scan has.", reason="irregular_spacing"
        )
    _require_on(placed.corners, centres[0] + numbers[level_of][:, None] * step, step, label)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([axes, step])
    affine[:3, 3] = centres[0]
    grid = Grid((*shape, int(numbers[-1]) + 1), affine, frame_uid)
    return Lattice(grid, numbers[level_of], placed, caveats)


def _usual_axes(frames: SegFrames) -> npt.NDArray[np.float64]:
    _, first, counts = np.unique(np.round(frames.axes, 6), axis=0, return_index=True, return_counts=True)
    most = first[counts == counts.max()].min()
    axes: npt.NDArray[np.float64] = frames.axes[most]
    return axes


def _levels(heights: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Return the distinct heights, ascending, and which of them each frame has."""
    order = np.argsort(heights, kind="stable")
    starts = np.concatenate([[True], np.diff(heights[order]) > SAME_SLICE_MM])
    level = np.empty(len(heights), dtype=np.intp)
    level[order] = np.cumsum(starts) - 1
    sums = np.bincount(level, weights=heights)
    return sums / np.bincount(level), level


def _numbers(
    levels: npt.NDArray[np.float64], frames: SegFrames, label: str, hint_mm: float | None
) -> tuple[npt.NDArray[np.int64], float, tuple[Caveat, ...]]:
    """Return the slice number of each height, the step, and what is doubtful about it."""
    said, thickness = frames.spacing_between, frames.thickness
    if len(levels) == 1:
        return _single_level(frames, label, hint_mm)
    gaps, even = np.diff(levels), False
    for step_mm in _candidates(gaps, frames, hint_mm):
        counts = np.rint(gaps / step_mm)
        if counts.sum() >= MAX_SLICES:
            # So tiny a step is damage, and its multiples are no whole numbers any more.
            continue
        if counts.min() < 1 or np.abs(gaps - counts * step_mm).max() > _gap_tolerance(step_mm):
            continue
        stated = step_mm in {said, thickness, hint_mm}
        if not stated and 2 * int((counts == 1).sum()) < len(gaps):
            # Most neighbours must be one step apart, or the step is only that of a stray frame.
            even = True
            continue
        numbers = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        usual = float(levels[-1] - levels[0]) / float(numbers[-1])
        return numbers, usual, _doubts(counts, usual, frames, label)
    listed = ", ".join(f"{gap:.3f}" for gap in sorted(set(np.round(gaps, 3)))[:NAMED])
    why = (
        "does not say how far its slices are apart, and too few of its frames are neighbours to tell"
        if even
        else "its frames are not evenly spaced"
    )
    raise NotAVolumeError(
        f"{label}: {why} (steps of {listed} mm). Read it together with the scan it was drawn on.",
        reason="irregular_spacing",
    )


def _gap_tolerance(step_mm: float) -> float:
    return min(max(WHOLE_ATOL * step_mm, POSITION_ATOL_MM), POSITION_RTOL * step_mm)


def _candidates(gaps: npt.NDArray[np.float64], frames: SegFrames, hint_mm: float | None) -> list[float]:
    """Return the steps to be tried: what the file says, the smallest gap, thickness, the scan's."""
    smallest = float(gaps.min())
    said, thickness = frames.spacing_between, frames.thickness
    if said is None and hint_mm is not None and (thickness is None or not _same(thickness, smallest)):
        found = [hint_mm, smallest, thickness]
    else:
        found = [said, smallest, thickness, hint_mm]
    return [step for step in found if step]


def _same(a: float, b: float) -> bool:
    return abs(a / b - 1) <= SAME_STEP_RTOL


def _single_level(
    frames: SegFrames, label: str, hint_mm: float | None
) -> tuple[npt.NDArray[np.int64], float, tuple[Caveat, ...]]:
    step_mm = frames.spacing_between or hint_mm or frames.thickness
    if step_mm is None:
        raise NotAVolumeError(
            f"{label} has frames on one slice only and does not say how thick that is. "
            "Read it together with the scan it was drawn on.",
            reason="single_slice",
        )
    caveats: tuple[Caveat, ...] = ()
    if frames.spacing_between is None and hint_mm is None:
        caveats = (
            Caveat(
                "slice_step_assumed",
                f"{label} has frames on one slice only; the slice thickness it states, {step_mm:g} mm, "
                "was taken as the distance of slices.",
            ),
        )
    return np.zeros(1, dtype=np.int64), step_mm, caveats


def _doubts(
    counts: npt.NDArray[np.float64], step_mm: float, frames: SegFrames, label: str
) -> tuple[Caveat, ...]:
    caveats = []
    said, thickness = frames.spacing_between, frames.thickness
    if said is not None and not _same(said, step_mm):
        caveats.append(
            Caveat(
                "spacing_contradicts_positions",
                f"{label} says that its slices are {said:g} mm apart, but its frames lie {step_mm:.3f} mm "
                "apart; their positions were followed.",
            )
        )
    if counts.min() > 1:
        caveats.append(
            Caveat(
                "no_neighbouring_slices",
                f"{label} states slices {step_mm:.3f} mm apart, but no two of its frames are neighbours: "
                f"at least {int(counts.min()) - 1} slices are empty between any two. If it was drawn on "
                "every other slice only, its volumes are too small.",
            )
        )
    elif said is None and thickness is None:
        caveats.append(
            Caveat(
                "slice_step_assumed",
                f"{label} says neither how far its slices are apart nor how thick they are; the distance of "
                f"its nearest frames, {step_mm:.3f} mm, was taken.",
            )
        )
    elif said is None and thickness is not None and step_mm / thickness > 2 - WHOLE_ATOL:
        caveats.append(
            Caveat(
                "slice_step_assumed",
                f"{label} does not say how far its slices are apart; its frames lie {step_mm:.3f} mm apart "
                f"and are {thickness:g} mm thick. The distance was followed.",
            )
        )
    return tuple(caveats)


def _require_on(
    corners: npt.NDArray[np.float64],
    places: npt.NDArray[np.float64],
    step: npt.NDArray[np.float64],
    label: str,
) -> None:
    # Frames copy the positions of images, each of which may be off by the tolerance of a stack;
    # so may the first and the last, through which this lattice is drawn.
    allowed = min(2 * POSITION_ATOL_MM, POSITION_RTOL * float(np.linalg.norm(step)))
    off = np.linalg.norm(corners - places, axis=1)
    if off.max() > allowed:
        stray = np.flatnonzero(off > allowed)
        raise NotAVolumeError(
            f"{label}: up to {off.max():.3f} mm lie between {named_frames(stray)} and the lattice of the "
            "others. Read it together with the scan it was drawn on.",
            reason="irregular_spacing",
        )


def named_frames(indices: npt.NDArray[np.integer]) -> str:
    """Return frames by their numbers, for a message.

    Parameters
    ----------
    indices : (n,) ndarray of int
        From 0.

    Returns
    -------
    str
        A few of them.
    """
    listed = ", ".join(str(int(n) + 1) for n in indices[:NAMED])
    more = f" and {len(indices) - NAMED} more" if len(indices) > NAMED else ""
    return f"{'frames' if len(indices) > 1 else 'frame'} {listed}{more}"

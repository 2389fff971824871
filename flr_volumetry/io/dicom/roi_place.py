"""Contours onto the slices of a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import Caveat, NotAVolumeError
from flr_volumetry.images import Grid, require_same_frame
from flr_volumetry.io.dicom.contours import Patch, fill, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

SLICE_ATOL: Final = 0.25
"""How far, in slices, a contour may lie beside the slice it is drawn on.

Half a slice would reach the next one; contours copy slice positions, which some
systems round to a tenth of a millimetre."""
FLAT_ATOL: Final = 0.1
"""How far, in slices, the points of one contour may lie from its plane."""
EDGE_ATOL: Final = 1.0
"""How far, in voxels, a contour may reach beyond the outermost voxel centres: their faces lie at half."""
NAMED: Final = 4

Polygons = dict[int, list["npt.NDArray[np.float64]"]]


def place_contours(
    contours: Sequence[npt.NDArray[np.float64]], grid: Grid, frame_uid: str, what: str
) -> tuple[npt.NDArray[np.bool_], tuple[Caveat, ...]]:
    """Return which voxels of a scan lie inside contours drawn on its slices.

    Parameters
    ----------
    contours : sequence of (n, 3) ndarray
        Closed polygons, LPS mm.
    grid : Grid
        The scan's; tilted and oblique ones too.
    frame_uid : str
        Frame of reference of the contours; empty if it is not stated.
    what : str
        Whose they are, for messages.

    Returns
    -------
    ndarray of bool, tuple of Caveat
        Of the grid's shape, in Fortran order; and what is doubtful.

    Raises
    ------
    FrameError
        If the scan lies in another frame of reference.
    NotAVolumeError
        If a contour lies between the slices, beyond them, or across them.
    """
    if frame_uid:
        require_same_frame(grid, Grid((1, 1, 1), np.eye(4), frame_uid), what)
    lengths = np.array([len(contour) for contour in contours])
    index = grid.indices_at(np.concatenate(contours))
    starts = np.cumsum(lengths) - lengths
    axis = _plane_axis(index, starts)
    polygons, doubled = _by_slice(index, lengths, axis, grid, what)
    in_plane = [n for n in range(3) if n != axis]
    stack = np.zeros(grid.shape, dtype=np.bool_, order="F")
    planes = np.moveaxis(stack, axis, 0)
    crossing = 0
    for number, members in polygons.items():
        flat = [polygon[:, in_plane] for polygon in members]
        crossing += _overlaps(flat, (grid.shape[in_plane[0]], grid.shape[in_plane[1]]))
        patch = fill(flat, (grid.shape[in_plane[0]], grid.shape[in_plane[1]]))
        if patch is not None:
            rows, columns = patch.inside.shape
            planes[number][patch.column : patch.column + columns, patch.row : patch.row + rows] = (
                patch.inside.T
            )
    return stack, _caveats(sorted(polygons), doubled, crossing, what)


def _plane_axis(index: npt.NDArray[np.float64], starts: npt.NDArray[np.intp]) -> int:
    """Return the array axis across which contours are flat: slices, unless they were drawn otherwise."""
    spread = np.maximum.reduceat(index, starts) - np.minimum.reduceat(index, starts)
    worst = spread.max(axis=0)
    if worst[2] <= 2 * FLAT_ATOL:
        return 2
    flat = np.flatnonzero(worst <= 2 * FLAT_ATOL)
    return int(flat[0]) if len(flat) else 2


def _by_slice(
    index: npt.NDArray[np.float64], lengths: npt.NDArray[np.intp], axis: int, grid: Grid, what: str
) -> tuple[Polygons, int]:
    """Return polygons by slice, and how many were dropped as copies of another."""
    found: Polygons = {}
    seen: set[tuple[int, bytes]] = set()
    doubled = 0
    across: list[float] = []
    between: list[float] = []
    beyond: list[float] = []
    for polygon in np.split(index, np.cumsum(lengths)[:-1]):
        heights = polygon[:, axis]
        middle = float((heights.min() + heights.max()) / 2)
        number = round(middle)
        if np.ptp(heights) > 2 * FLAT_ATOL:
            across.append(middle)
        elif not -SLICE_ATOL <= middle <= grid.shape[axis] - 1 + SLICE_ATOL or _leaves(polygon, axis, grid):
            beyond.append(middle)
        elif abs(middle - number) > SLICE_ATOL:
            between.append(middle)
        else:
            key = (number, np.round(np.delete(polygon, axis, axis=1), 3).tobytes())
            doubled += key in seen
            if key not in seen:
                found.setdefault(number, []).append(polygon)
            seen.add(key)
    _require(not across, "contour_across_slices", "lie across the slices", across, what)
    _require(not beyond, "contour_outside_image", "reach beyond the scan", beyond, what)
    _require(not between, "contour_between_slices", "lie between two slices", between, what)
    return found, doubled


def _leaves(polygon: npt.NDArray[np.float64], axis: int, grid: Grid) -> bool:
    others = [n for n in range(3) if n != axis]
    low, high = polygon[:, others].min(axis=0), polygon[:, others].max(axis=0)
    last = np.array(grid.shape)[others] - 1
    return bool((low < -EDGE_ATOL).any() or (high > last + EDGE_ATOL).any())


def _require(met: bool, reason: str, where: str, at: list[float], what: str) -> None:  # noqa: FBT001
    if met:
        return
    listed = ", ".join(f"{number:.2f}" for number in at[:NAMED])
    raise NotAVolumeError(
        f"{what}: {len(at)} contours {where} of the scan (at slice {listed}, counted from 0). "
        "It was drawn on another scan; name that one.",
        reason=reason,
    )


def _overlaps(polygons: list[npt.NDArray[np.float64]], shape: tuple[int, int]) -> int:
    """Return how many voxels lie where two contours cross each other, which are no holes."""
    if len(polygons) < 2:
        return 0
    patches = [patch for patch in (fill([polygon], shape) for polygon in polygons) if patch is not None]
    sizes = [int(np.count_nonzero(patch.inside)) for patch in patches]
    total = 0
    for n, first in enumerate(patches):
        for m in range(n):
            both = shared(first, patches[m])
            if 0 < both < min(sizes[n], sizes[m]):
                total += both
    return total


def _caveats(slices: list[int], doubled: int, crossing: int, what: str) -> tuple[Caveat, ...]:
    found = []
    missing = sorted(set(range(slices[0], slices[-1] + 1)) - set(slices)) if slices else []
    if missing:
        listed = ", ".join(map(str, missing[: 2 * NAMED])) + (", ..." if len(missing) > 2 * NAMED else "")
        found.append(
            Caveat(
                "slices_without_contour",
                f"{what} has no contour on {len(missing)} slices between its first and its last "
                f"(slices {listed}, counted from 0); nothing was drawn there; its volume may be too small.",
            )
        )
    if doubled:
        found.append(
            Caveat("copies_dropped", f"{what} has {doubled} contours twice, point by point; one was used.")
        )
    if crossing:
        found.append(
            Caveat(
                "crossing_contours",
                f"{what} has contours that cross each other; {crossing} voxels lie inside two of them and "
                "count as outside.",
            )
        )
    return tuple(found)


__all__ = ["Patch", "place_contours"]

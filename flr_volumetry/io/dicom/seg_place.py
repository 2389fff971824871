"""Frames of a segmentation onto the slices of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import NotAVolumeError
from flr_volumetry.io.dicom.seg_lattice import (
    INDEX_ATOL,
    SAME_STEP_RTOL,
    Lattice,
    lattice_of,
    turned,
)
from flr_volumetry.io.dicom.stacks import POSITION_ATOL_MM

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.images import Grid
    from flr_volumetry.io.dicom.seg_frames import SegFrames

SLICE_RTOL: Final = 0.1
"""How far from a slice of the scan, as a part of the slice step, a frame may lie and be that slice's.

At least `POSITION_ATOL_MM`, by which the slices of a scan may themselves be off; never
more than `INDEX_ATOL`."""
MAJORITY: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where on a grid each frame comes to lie.

    Parameters
    ----------
    grid : Grid
        The grid.
    starts : (n, 3) ndarray of int
        Column, row and slice of the pixel that comes first; slice -1 for frames that meet none.
    turns : (n, 2, 2) ndarray of int
        How each frame is turned.
    """

    grid: Grid
    starts: npt.NDArray[np.int64]
    turns: npt.NDArray[np.int64]

    @property
    def strays(self) -> npt.NDArray[np.intp]:
        """Frames that meet no slice."""
        return np.flatnonzero(self.starts[:, 2] < 0)


def on_own(lattice: Lattice) -> Placement:
    """Return the placement of frames on the lattice that they span themselves."""
    starts = np.zeros((len(lattice.slices), 3), dtype=np.int64)
    starts[:, 2] = lattice.slices
    return Placement(lattice.grid, starts, lattice.turned.turns)


def on_scan(frames: SegFrames, grid: Grid, label: str, *, frame_uid: str = "") -> Placement | Lattice:
    """Return where frames lie on a scan, or the lattice of their own where that is another.

    Parameters
    ----------
    frames : SegFrames
        All of one object.
    grid : Grid
        The scan's.
    label : str
        What to call the object in messages.
    frame_uid : str, optional
        The object's frame of reference.

    Returns
    -------
    Placement or Lattice
        A placement if frames are slices of the scan: parallel to it, pixel on pixel, as far
        apart. Otherwise the lattice, from which masks have to be resampled.

    Raises
    ------
    NotAVolumeError
        If frames are neither slices of the scan nor a regular volume themselves.
    """
    failure: NotAVolumeError | None = None
    lattice: Lattice | None = None
    try:
        lattice = lattice_of(frames, label, hint_mm=grid.slice_distance_mm, frame_uid=frame_uid)
    except NotAVolumeError as error:
        failure = error
    placement = placed_on(frames, grid)
    if placement is not None and _is_of_the_scan(frames, placement, lattice):
        return placement
    if lattice is None:
        raise failure or NotAVolumeError(f"{label} is no volume.", reason="irregular_spacing")
    return lattice


def placed_on(frames: SegFrames, grid: Grid) -> Placement | None:
    """Return which slice of a scan each frame lies on, if pixels lie on pixels.

    Parameters
    ----------
    frames : SegFrames
        All of one object.
    grid : Grid
        The scan's.

    Returns
    -------
    Placement or None
        None if the frames lie askew to the scan, or beside its pixels.
    """
    lying = turned(frames, grid.affine[:3, :2])
    if lying is None:
        return None
    at = grid.indices_at(lying.corners)
    whole = np.rint(at).astype(np.int64)
    off = np.abs(at - whole)
    if off[:, :2].max() > INDEX_ATOL:
        return None
    step = grid.spacing_mm[2]
    allowed = min(max(SLICE_RTOL, POSITION_ATOL_MM / step), INDEX_ATOL)
    meets = (off[:, 2] <= allowed) & (whole[:, 2] >= 0) & (whole[:, 2] < grid.shape[2])
    whole[~meets, 2] = -1
    return Placement(grid, whole, lying.turns)


def _is_of_the_scan(frames: SegFrames, placement: Placement, lattice: Lattice | None) -> bool:
    """Whether frames are drawn on the slices of the scan, not on thicker or thinner ones."""
    step = placement.grid.slice_distance_mm
    met = np.unique(placement.starts[placement.starts[:, 2] >= 0, 2])
    if len(placement.strays) > MAJORITY * len(placement.starts):
        return False
    if lattice is not None:
        return abs(lattice.grid.slice_distance_mm / step - 1) <= SAME_STEP_RTOL
    thickness = frames.thickness
    neighbours = len(met) < 2 or int(np.diff(met).min()) == 1
    return neighbours or thickness is None or abs(thickness / step - 1) <= SAME_STEP_RTOL


def put(
    out: npt.NDArray[Any], frame: npt.NDArray[Any], start: npt.NDArray[np.int64], turn: npt.NDArray[np.int64]
) -> int:
    """Put one frame into the slice it belongs to, and return how many of its pixels found no place.

    Parameters
    ----------
    out : (rows, columns) ndarray
        A slice of the lattice.
    frame : (rows, columns) ndarray
        Of the file; what is not nought is written.
    start : (3,) ndarray of int
        Where its first pixel comes to lie: column, row.
    turn : (2, 2) ndarray of int
        As in `Turned`.

    Returns
    -------
    int
        Pixels not nought that lie beside the slice.
    """
    lying = as_it_lies(frame, turn)
    column, row = int(start[0]), int(start[1])
    rows, columns = lying.shape
    if column == 0 and row == 0 and lying.shape == out.shape:
        out[...] = lying
        return 0
    target = out[max(row, 0) : max(row + rows, 0), max(column, 0) : max(column + columns, 0)]
    part = lying[max(-row, 0) :, max(-column, 0) :][: target.shape[0], : target.shape[1]]
    target[...] = part
    return int(np.count_nonzero(lying)) - int(np.count_nonzero(part))


def as_it_lies(frame: npt.NDArray[Any], turn: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return a frame with its rows and columns in the order of the lattice.

    Parameters
    ----------
    frame : (rows, columns) ndarray
        Of the file.
    turn : (2, 2) ndarray of int
        As in `Turned`.

    Returns
    -------
    ndarray
        A view.
    """
    lying = frame if turn[0, 0] else frame.T
    columns, rows = int(turn[0].sum()), int(turn[1].sum())
    return lying[::rows, ::columns]

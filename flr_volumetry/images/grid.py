"""Where an array of voxels lies in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import FrameError, GridError

MM3_PER_ML = 1000.0
AFFINE_ATOL_MM = 1e-3
"""Two grids are the same if no voxel centre differs by more than this, in mm."""
MIN_VOXEL_MM3 = 1e-6
ORTHOGONAL_ATOL = 1e-4
"""Largest cosine between two array axes of a grid that counts as right-angled."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where an array of voxels lies in the patient.

    Parameters
    ----------
    shape : tuple of int
        Voxels along the array axes ``(column, row, slice)``.
    affine : (4, 4) float64 ndarray, read-only
        Takes ``(column, row, slice, 1)`` to the voxel centre ``(x, y, z, 1)``, in
        mm, in DICOM patient axes: +x left, +y posterior, +z head (LPS).
    frame_of_reference_uid : str
        DICOM (0020,0052); empty where the file does not say.

    Raises
    ------
    GridError
        If the shape is not three positive integers, or the affine is not a
        finite (4, 4) matrix that gives a voxel some volume and ends in the
        row 0, 0, 0, 1.
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64] = field(repr=False)
    frame_of_reference_uid: str = ""

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GridError(f"shape must be three positive integers, got {self.shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GridError(f"affine must be a finite (4, 4) matrix, got\n{affine}")
        if not np.array_equal(affine[3], [0, 0, 0, 1]):
            raise GridError(f"affine's last row must be 0, 0, 0, 1, got {affine[3]}")
        if abs(np.linalg.det(affine)) < MIN_VOXEL_MM3:
            raise GridError(f"affine gives a voxel no volume:\n{affine}")
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel, mm3; right for sheared (gantry-tilted) grids too."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, mL."""
        return self.voxel_mm3 / MM3_PER_ML

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Length of one step along each array axis, mm; on a sheared grid not the slice distance."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def slice_distance_mm(self) -> float:
        """Distance between neighbouring slices, at right angles to them, mm."""
        i, j, k = self.affine[:3, :3].T
        normal = np.cross(i, j)
        return float(abs(k @ normal) / np.linalg.norm(normal))

    @property
    def tilt_deg(self) -> float:
        """Angle between the slice step and the normal of the slices, degrees (gantry tilt)."""
        cosine = min(1.0, self.slice_distance_mm / self.spacing_mm[2])
        return float(np.degrees(np.arccos(cosine)))

    @property
    def is_orthogonal(self) -> bool:
        """Whether the array axes stand at right angles to each other in the patient."""
        steps = self.affine[:3, :3] / np.asarray(self.spacing_mm)
        cosines = steps.T @ steps - np.eye(3)
        return bool(np.abs(cosines).max() < ORTHOGONAL_ATOL)

    def centres_mm(self, indices: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Voxel centres of (n, 3) array indices, in LPS mm, as an (n, 3) array."""
        index = np.asarray(indices, dtype=np.float64)
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    def indices_at(self, points_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Fractional array indices of (n, 3) points given in LPS mm, as an (n, 3) array."""
        points = np.asarray(points_mm, dtype=np.float64) - self.affine[:3, 3]
        return np.asarray(np.linalg.solve(self.affine[:3, :3], points.T).T)

    def crop(self, box: Box) -> Grid:
        """Return the grid of ``array[box]``; slices need explicit bounds and step 1."""
        starts = [s.start for s in box]
        affine = self.affine.copy()
        affine[:3, 3] = self.centres_mm([starts])[0]
        shape = (
            box[0].stop - box[0].start,
            box[1].stop - box[1].start,
            box[2].stop - box[2].start,
        )
        return Grid(shape, affine, self.frame_of_reference_uid)

    def matches(self, other: Grid) -> bool:
        """Whether both grids put every voxel at the same place in the patient."""
        return (
            self.shape == other.shape
            and not self.contradicts_frame_of(other)
            and bool(np.abs(self._corners_mm() - other._corners_mm()).max() <= AFFINE_ATOL_MM)
        )

    def contradicts_frame_of(self, other: Grid) -> bool:
        """Whether both grids name a frame of reference, and not the same one."""
        mine, theirs = self.frame_of_reference_uid, other.frame_of_reference_uid
        return bool(mine and theirs and mine != theirs)

    def _corners_mm(self) -> npt.NDArray[np.float64]:
        # One step beyond the last voxel, so that a single slice too shows how far the next would lie.
        i, j, k = self.shape
        return self.centres_mm([[0, 0, 0], [i, 0, 0], [0, j, 0], [0, 0, k], [i, j, k]])


def require_same_frame(grid: Grid, other: Grid, what: str) -> None:
    """Refuse an object that names another frame of reference than the scan.

    Parameters
    ----------
    grid : Grid
        The scan's.
    other : Grid
        The object's.
    what : str
        What the object is, for the message.

    Raises
    ------
    FrameError
        If both name one and they differ.
    """
    if grid.contradicts_frame_of(other):
        raise FrameError(
            f"{what} lies in frame of reference {other.frame_of_reference_uid}, "
            f"the scan in {grid.frame_of_reference_uid}: their coordinates cannot be compared. "
            "Register them first, or export the mask from the scan it is used on."
        )

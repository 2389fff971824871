"""Scans, masks and label maps: arrays on a grid."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, GridError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flr_volumetry.images.grid import Box, Grid

ArrayT = TypeVar("ArrayT", bound=npt.NDArray[Any])
ORIGIN_WORDS: Final = "flr-volumetry: "
_ORIGIN: Final = re.compile(rf"{ORIGIN_WORDS}(\S+(?: \S+?)?)(?:, (\d{{1,2}}(?:\.\d+)?) mm)?")


def read_only(array: ArrayT) -> ArrayT:
    """Return a view of an array that cannot be written through.

    Parameters
    ----------
    array : ndarray
        Of any kind.

    Returns
    -------
    ndarray
        The same memory, read-only.
    """
    view = array.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a mask, as its file keeps it.

    Parameters
    ----------
    made_by : str
        Name and version of a back-end: "classical 0.1.0".
    boundary_mm : float or None
        How far its outline was expected to lie from a careful reader's when it was made, mm, on average.

    Examples
    --------
    >>> Origin("classical 0.1.0", 1.4).text
    'flr-volumetry: classical 0.1.0, 1.40 mm'
    >>> Origin.from_text("flr-volumetry: classical 0.1.0, 1.40 mm")
    Origin(made_by='classical 0.1.0', boundary_mm=1.4)
    """

    made_by: str
    boundary_mm: float | None = None

    @property
    def backend(self) -> str:
        """Name of the back-end alone."""
        return self.made_by.split(" ", 1)[0]

    @property
    def text(self) -> str:
        """As the header of a file holds it."""
        expected = "" if self.boundary_mm is None else f", {self.boundary_mm:.2f} mm"
        return f"{ORIGIN_WORDS}{self.made_by}{expected}"

    @classmethod
    def from_text(cls, text: str) -> Origin | None:
        """Return what a header says; None if it holds something else.

        Parameters
        ----------
        text : str
            As `text` gives it.

        Returns
        -------
        Origin or None
            With the distance if there is one.
        """
        found = _ORIGIN.fullmatch(text.strip())
        return None if found is None else cls(found[1], float(found[2]) if found[2] else None)


@dataclass(frozen=True, slots=True)
class Source:
    """Which file or files an array was read from.

    Parameters
    ----------
    path : str
        The file, or the folder of a series, as the user named it.
    sha256 : str
        Of a file: its SHA-256. Of a series: the SHA-256 of its files' digests, in
        hexadecimal, sorted, one per line. Empty for arrays that never were a file.
    modality : str
        DICOM modality, "CT" or "MR"; empty where the file does not say.
    patient_id, study_uid, series_uid, description, acquired : str
        As the file says, or empty; never written to a log. `acquired` is a DICOM
        date, YYYYMMDD.
    n_files : int
        How many files.
    origin : Origin or None
        Of a mask: the back-end that made it, where the file says so.
    """

    path: str = ""
    sha256: str = ""
    modality: str = ""
    patient_id: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    series_uid: str = ""
    description: str = field(default="", repr=False)
    acquired: str = field(default="", repr=False)
    n_files: int = 1
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A scan: one number for each voxel of a grid.

    Parameters
    ----------
    grid : Grid
        Where the voxels lie.
    voxels : ndarray of int16 or float32, read-only, of the grid's shape
        Values after rescaling: Hounsfield units for CT.
    source : Source
        Which files it was read from.
    padding : float or None
        The value, after rescaling, of voxels outside the scanned circle.
    caveats : tuple of Caveat
        What the reader must know of it.

    Raises
    ------
    GridError
        If the array has another shape than the grid.
    """

    grid: Grid
    voxels: npt.NDArray[Any] = field(repr=False)
    source: Source = field(default_factory=Source)
    padding: float | None = None
    caveats: tuple[Caveat, ...] = ()

    def __post_init__(self) -> None:
        _require_shape(self.grid, self.voxels, "image")
        object.__setattr__(self, "voxels", read_only(self.voxels))

    def crop(self, box: Box) -> Image:
        """Return the part of the image in a box, as a copy that keeps no more in memory."""
        part = self.voxels[box].copy(order="K")
        return Image(self.grid.crop(box), part, self.source, self.padding, self.caveats)

    def measured(self, inside: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        """Return the values of some voxels, for statistics: without padding, and without what is no number.

        Parameters
        ----------
        inside : ndarray of bool, of the grid's shape
            Which voxels.

        Returns
        -------
        (n,) ndarray
            Their values, in Fortran order; empty if none of them was measured.
        """
        values = self.voxels.ravel(order="F")[inside.ravel(order="F")]
        if self.padding is not None:
            values = values[values != self.padding]
        return values[np.isfinite(values)] if values.dtype.kind == "f" else values


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """One structure: which voxels of a grid belong to it.

    Parameters
    ----------
    grid : Grid
        Where the voxels lie.
    voxels : ndarray of bool, read-only, of the grid's shape
        True inside.
    name : str
        What the file calls it.
    source : Source
        Which file it was read from.
    caveats : tuple of Caveat
        What the reader must know of it.

    Raises
    ------
    GridError
        If the array has another shape than the grid, or is not boolean.
    """

    grid: Grid
    voxels: npt.NDArray[np.bool_] = field(repr=False)
    name: str = ""
    source: Source = field(default_factory=Source)
    caveats: tuple[Caveat, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.dtype != np.bool_:
            raise GridError(f"a mask's voxels must be bool, got {self.voxels.dtype}")
        _require_shape(self.grid, self.voxels, f"mask {self.name!r}")
        object.__setattr__(self, "voxels", read_only(self.voxels))

    @property
    def count(self) -> int:
        """Number of voxels inside."""
        return int(np.count_nonzero(self.voxels))

    @property
    def ml(self) -> float:
        """Volume, mL: voxels counted times the volume of one."""
        return self.count * self.grid.voxel_ml


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Several structures that do not overlap: one whole number for each voxel.

    Parameters
    ----------
    grid : Grid
        Where the voxels lie.
    voxels : ndarray of unsigned integers, read-only, of the grid's shape
        0 belongs to nothing.
    names : mapping of int to str
        What the labels mean, as far as the file says.
    source : Source
        Which file it was read from.
    caveats : tuple of Caveat
        What the reader must know of it.

    Raises
    ------
    GridError
        If the array has another shape than the grid, or is not of unsigned integers.
    """

    grid: Grid
    voxels: npt.NDArray[Any] = field(repr=False)
    names: Mapping[int, str] = field(default_factory=dict)
    source: Source = field(default_factory=Source)
    caveats: tuple[Caveat, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.dtype.kind != "u":
            raise GridError(f"a label map's voxels must be unsigned integers, got {self.voxels.dtype}")
        _require_shape(self.grid, self.voxels, "label map")
        object.__setattr__(self, "voxels", read_only(self.voxels))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def mask_of(self, *labels: int) -> Mask:
        """Return the voxels that carry any of the labels."""
        name = " + ".join(self.names.get(label, str(label)) for label in labels)
        inside = self.voxels == labels[0] if len(labels) == 1 else np.isin(self.voxels, np.asarray(labels))
        return Mask(self.grid, inside, name, self.source, self.caveats)


def _require_shape(grid: Grid, voxels: npt.NDArray[Any], what: str) -> None:
    if voxels.shape != grid.shape:
        raise GridError(f"{what}: the array is {voxels.shape}, its grid {grid.shape}")

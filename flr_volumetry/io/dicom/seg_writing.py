"""Masks as a DICOM SEG in the study of the scan they were made from."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.anatomy import ROMAN, Structure
from flr_volumetry.errors import OutputError
from flr_volumetry.io.derived.segments import (
    ABNORMAL,
    ANATOMY,
    LIVER,
    Coded,
    Maker,
    SegmentToWrite,
    SeriesWords,
    as_file,
    binary_dataset,
)
from flr_volumetry.io.derived.source import of_stack
from flr_volumetry.io.derived.uids import new_uid
from flr_volumetry.io.reading import choose
from flr_volumetry.io.scan import scan
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from flr_volumetry.errors import Caveat
    from flr_volumetry.images import Mask

_CODED: Final[dict[Structure, tuple[str, str, tuple[int, int, int]]]] = {
    Structure.LIVER: ("10200004", "Liver", (221, 130, 101)),
    Structure.LESION: ("52988006", "Lesion", (253, 226, 67)),
    Structure.PORTAL_VEIN: ("32764006", "Portal vein", (0, 151, 206)),
    Structure.HEPATIC_VEINS: ("8993003", "Hepatic vein", (46, 101, 131)),
    Structure.IVC: ("64131007", "Inferior vena cava", (0, 112, 165)),
    Structure.GALLBLADDER: ("28231008", "Gallbladder", (139, 150, 98)),
}
"""SNOMED CT (clinical base 9.2), and colours near those of 3D Slicer's own list."""
SEGMENT_CODES: Final = (
    *("71133005", "277956007", "277957003", "277958008"),
    *("277959000", "277960005", "277961009", "277962002"),
)
"""SNOMED CT, of the Couinaud segments in order (CID 7170)."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskToWrite:
    """One mask, and what it stands for.

    Parameters
    ----------
    structure : Structure
        What it is of.
    mask : Mask
        On the scan's grid.
    number : int
        Of a lesion, from 1, or of a Couinaud segment; 0 for all else.
    """

    structure: Structure
    mask: Mask
    number: int = 0

    @property
    def key(self) -> str:
        """Stem of its file; `flr_volumetry.io.read_structures` tells it from that."""
        if self.structure is Structure.LESION:
            return f"lesion_{self.number}"
        return f"segment_{self.number}" if self.structure is Structure.SEGMENTS else self.structure.value

    @property
    def label(self) -> str:
        """What people call it."""
        if self.structure is Structure.SEGMENTS:
            return f"Liver segment {ROMAN[self.number]}"
        name = "Hepatic veins" if self.structure is Structure.HEPATIC_VEINS else _CODED[self.structure][1]
        return f"{name} {self.number}" if self.number else name

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Its colour; lesions and segments differ among themselves."""
        if self.structure is Structure.SEGMENTS:
            hue = colorsys.hsv_to_rgb((self.number - 1) / 8, 0.55, 0.9)
            return (round(255 * hue[0]), round(255 * hue[1]), round(255 * hue[2]))
        red, green, blue = _CODED[self.structure][2]
        if self.structure is Structure.LESION:
            return (red, max(0, green - 30 * ((self.number - 1) % 6)), blue)
        return (red, green, blue)

    @property
    def segment(self) -> SegmentToWrite:
        """As a segment of a DICOM segmentation."""
        if self.structure is not Structure.LESION:
            return SegmentToWrite(self.label, ANATOMY, Coded(*self.code), self.rgb)
        return SegmentToWrite(
            self.label,
            ABNORMAL,
            Coded(*self.code),
            self.rgb,
            region=LIVER,
            tracking_id=self.label,
            tracking_uid=new_uid(),
        )

    @property
    def code(self) -> tuple[str, str, str]:
        """SNOMED CT code of its type: value, scheme, meaning."""
        if self.structure is Structure.SEGMENTS:
            return (SEGMENT_CODES[self.number - 1], "SCT", f"Liver segment {ROMAN[self.number]}")
        value, meaning, _ = _CODED[self.structure]
        return (value, "SCT", meaning)


class Family(Enum):
    """Kind of algorithm, by its code and meaning in CID 7162."""

    LEARNT = ("123110", "Artificial Intelligence")
    REGISTRATION = ("123111", "Deformable Models")
    SHAPES = ("123104", "Morphological Operations")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What made the masks, for the file.

    Parameters
    ----------
    name, version : str
        Of the back-end.
    family : Family
        What kind it is.
    """

    name: str
    version: str
    family: Family = Family.LEARNT

    @property
    def maker(self) -> Maker:
        """As a DICOM object names it."""
        value, meaning = self.family.value
        return Maker(self.name, self.version, Coded(value, "DCM", meaning), automatic=True)


def write_dicom_seg(
    path: str | os.PathLike[str],
    masks: Sequence[MaskToWrite],
    *,
    scan_path: str | os.PathLike[str],
    algorithm: Algorithm,
    series: str | None = None,
) -> tuple[Caveat, ...]:
    """Write masks as a DICOM segmentation that refers to the images of their scan.

    It lies in the scan's study and frame of reference, with codes of CID 7150 and 7151, colours, and a
    tracking identifier for each lesion, and opens in 3D Slicer and OHIF over the scan.

    Parameters
    ----------
    path : path-like
        An existing file is replaced.
    masks : sequence of MaskToWrite
        They may overlap.
    scan_path : path-like
        The DICOM series that the masks were made from.
    algorithm : Algorithm
        What made them.
    series : str, optional
        Which series, as for `flr_volumetry.io.read_image`.

    Returns
    -------
    tuple of Caveat
        What must be said of the file.

    Raises
    ------
    OutputError
        If the scan is no DICOM series, the masks lie on another grid, or the file cannot be written.
    FlrError
        If the scan cannot be read.
    """
    found = choose(scan([scan_path]), str(scan_path), series=series)
    if found.stack is None:
        raise OutputError(
            f"{scan_path} is no DICOM series: there are no images for a DICOM segmentation to refer to.",
            reason="not_a_series",
        )
    for one in masks:
        if not one.mask.grid.matches(found.stack.grid):
            raise OutputError(f"the mask of {one.label} does not lie on the scan's grid", reason="wrong_grid")
    source = of_stack(found.stack, str(scan_path))
    used = [n for n in range(source.grid.shape[2]) if any(m.mask.voxels[..., n].any() for m in masks)]

    def frame(n: int) -> npt.NDArray[np.uint8]:
        return np.stack([m.mask.voxels[..., n].T for m in masks], axis=-1).astype(np.uint8)

    made = binary_dataset(
        source,
        frame,
        used,
        [one.segment for one in masks],
        maker=algorithm.maker,
        words=SeriesWords(0, f"Segmentation by {algorithm.name}", "LIVER"),
    )
    write_atomically(Path(path), [as_file(made)])
    return source.caveats


def colour_table(masks: Sequence[MaskToWrite]) -> str:
    """Return the labels of a label map as ITK-SNAP's label descriptions, which it imports.

    Parameters
    ----------
    masks : sequence of MaskToWrite
        Labelled from 1 in this order.

    Returns
    -------
    str
        One line a label: number, colour, opacity, visible in slices and in 3D, name.
    """
    lines = ['    0     0    0    0        0  0  0    "Clear Label"']
    for number, one in enumerate(masks, start=1):
        red, green, blue = one.rgb
        lines.append(f'{number:5d} {red:5d} {green:4d} {blue:4d}        1  1  1    "{one.label}"')
    return "\n".join(lines) + "\n"


def label_array(masks: Sequence[MaskToWrite]) -> npt.NDArray[np.uint8]:
    """Return one label for each voxel: the last mask that holds it, so that the liver comes first.

    Parameters
    ----------
    masks : sequence of MaskToWrite
        On one grid.

    Returns
    -------
    ndarray of uint8
        0 outside all of them.
    """
    labels = np.zeros(masks[0].mask.grid.shape, dtype=np.uint8, order="F")
    for number, one in enumerate(masks, start=1):
        labels[one.mask.voxels] = number
    return labels

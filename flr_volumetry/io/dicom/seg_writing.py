"""Masks as a DICOM SEG in the study of the scan they were made from."""

from __future__ import annotations

import colorsys
import io
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.anatomy import ROMAN, Structure
from flr_volumetry.errors import FlrError, OutputError
from flr_volumetry.io.reading import choose
from flr_volumetry.io.scan import scan
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt
    import pydicom

    from flr_volumetry.images import Mask
    from flr_volumetry.io.dicom.stacks import Stack

ANATOMY: Final = ("91723000", "SCT", "Anatomical Structure")
ABNORMAL: Final = ("49755003", "SCT", "Morphologically Altered Structure")
MAX_BYTES: Final = 4 << 30
"""Masks that need more memory than this at once are not written as one object."""
_CODED: Final[dict[Structure, tuple[str, str, tuple[int, int, int]]]] = {
    Structure.LIVER: ("10200004", "Liver", (221, 130, 101)),
    Structure.LESION: ("52988006", "Lesion", (253, 226, 67)),
    Structure.PORTAL_VEIN: ("32764006", "Portal vein", (0, 151, 206)),
    Structure.HEPATIC_VEINS: ("8993003", "Hepatic vein", (46, 101, 131)),
    Structure.IVC: ("64131007", "Inferior vena cava", (0, 112, 165)),
    Structure.GALLBLADDER: ("28231008", "Gallbladder", (139, 150, 98)),
}
"""SNOMED CT (clinical base 9.2), and colours near those of 3D Slicer's own list."""
_SEGMENT_CODES: Final = (
    *("71133005", "277956007", "277957003", "277958008"),
    *("277959000", "277960005", "277961009", "277962002"),
)


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
    def code(self) -> tuple[str, str, str]:
        """SNOMED CT code of its type: value, scheme, meaning."""
        if self.structure is Structure.SEGMENTS:
            return (_SEGMENT_CODES[self.number - 1], "SCT", f"Liver segment {ROMAN[self.number]}")
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


def write_dicom_seg(
    path: str | os.PathLike[str],
    masks: Sequence[MaskToWrite],
    *,
    scan_path: str | os.PathLike[str],
    algorithm: Algorithm,
    series: str | None = None,
) -> None:
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

    Raises
    ------
    OutputError
        If the scan is no DICOM series, its gantry was tilted (viewers would draw the masks aslant), the
        masks lie on another grid, or the file cannot be written.
    FlrError
        If the scan cannot be read.
    """
    found = choose(scan([scan_path]), str(scan_path), series=series)
    if found.stack is None:
        raise OutputError(
            f"{scan_path} is no DICOM series: there are no images for a DICOM segmentation to refer to.",
            reason="not_a_series",
        )
    stack = found.stack
    if not stack.grid.is_orthogonal:
        raise OutputError(
            f"{scan_path} was taken with a gantry tilted by {stack.grid.tilt_deg:.1f} degrees: viewers draw "
            "a segmentation of such a scan aslant. The NIfTI files hold the exact place.",
            reason="tilted",
        )
    for one in masks:
        if not one.mask.grid.matches(stack.grid):
            raise OutputError(f"the mask of {one.label} does not lie on the scan's grid", reason="wrong_grid")
    try:
        content = _content(stack, masks, algorithm)
    except FlrError:
        raise
    except Exception as error:
        raise OutputError(
            f"a DICOM segmentation cannot be made from {scan_path}: {error}", reason="scan_lacks_attributes"
        ) from error
    write_atomically(Path(path), [content])


def _content(stack: Stack, masks: Sequence[MaskToWrite], algorithm: Algorithm) -> bytes:
    import highdicom as hd

    images, frames = _source(stack)
    used = [n for n in range(len(stack.frames)) if any(m.mask.voxels[..., n].any() for m in masks)]
    single = len(images) == 1 and len(stack.frames) > 1
    places = range(frames) if single else range(len(used))
    rows, columns = stack.grid.shape[1], stack.grid.shape[0]
    if len(places) * rows * columns * len(masks) > MAX_BYTES:
        raise OutputError("the masks are too large for one DICOM segmentation", reason="too_large")
    pixels = np.zeros((len(places), rows, columns, len(masks)), dtype=np.uint8)
    for place, n in enumerate(used):
        at = stack.frames[n].index if single else place
        for m, one in enumerate(masks):
            pixels[at, ..., m] = one.mask.voxels[..., n].T
    made = hd.seg.Segmentation(
        source_images=images if single else [images[n] for n in used],
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(n, one, algorithm) for n, one in enumerate(masks, start=1)],
        series_instance_uid=hd.UID(),
        series_number=_series_number(images[0]),
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="flr_volumetry",
        manufacturer_model_name=algorithm.name,
        software_versions=algorithm.version,
        device_serial_number="0",
        content_label="LIVER",
        content_description="Liver segmentation, research use only",
        series_description=f"Segmentation by {algorithm.name}"[:64],
    )
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _series_number(image: pydicom.Dataset) -> int:
    """Return a number beside the scan's own."""
    return int(image.get("SeriesNumber") or 0) % 9000 + 900


def _source(stack: Stack) -> tuple[list[Any], int]:
    """Return the headers of the scan's images in the order of its slices, and frames in the one file."""
    import pydicom

    headers = {id(frame.header): frame.header for frame in stack.frames}
    if 1 < len(headers) < len(stack.frames):
        raise OutputError(
            "the scan is spread over several multi-frame files, which one segmentation cannot refer to",
            reason="several_files",
        )
    read: dict[int, Any] = {}
    for key, header in headers.items():
        content = io.BytesIO(header.file.read(0, header.file.size))
        read[key] = pydicom.dcmread(content, stop_before_pixels=True)
    ordered = [read[id(frame.header)] for frame in stack.frames]
    if len(headers) == 1:
        return ordered[:1], int(ordered[0].NumberOfFrames)
    return ordered, 1


def _described(number: int, one: MaskToWrite, algorithm: Algorithm) -> Any:
    import highdicom as hd
    from pydicom.sr.coding import Code

    abnormal = one.structure is Structure.LESION
    value, meaning = algorithm.family.value
    liver = [Code("10200004", "SCT", "Liver")] if abnormal else None
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=one.label,
        segmented_property_category=Code(*(ABNORMAL if abnormal else ANATOMY)),
        segmented_property_type=Code(*one.code),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm.name, version=algorithm.version, family=Code(value, "DCM", meaning)
        ),
        anatomic_regions=liver,
        display_color=hd.color.CIELabColor.from_rgb(*one.rgb),
        tracking_uid=hd.UID() if abnormal else None,
        tracking_id=one.label if abnormal else None,
    )


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

"""The images of a scan, as objects that refer to them need them."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.errors import Caveat, OutputError
from flr_volumetry.io.derived.uids import tracking_uid
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.files import digest
from flr_volumetry.io.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.images import Grid, Source
    from flr_volumetry.io.dicom.header import Header
    from flr_volumetry.io.dicom.stacks import Stack
    from flr_volumetry.io.scan import Found

NEEDED: Final = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"),
    *("SeriesInstanceUID", "Modality"),
)
"""What an image must say so that another object can refer to it and lie in its study."""
EMPTY: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""What must be there, empty if need be (type 2 of PS3.3, C.7.1.1 and C.7.2.1), and is often taken out."""
UTF_8: Final = "ISO_IR 192"
TILTED: Final = (
    "The gantry was tilted by {:.1f} degrees: each frame of the segmentations carries its own position, "
    "which is exact, but programs that take the first position and the slice distance alone draw them aslant."
)


UNPLACED: Final = (
    "The images name no frame of reference, which CT and MR images must: the DICOM objects have one of their "
    "own, and lie on these images by referring to them."
)


@dataclass(frozen=True, slots=True, eq=False)
class SourceScan:
    """The images of a scan, without their pixels.

    Parameters
    ----------
    grid : Grid
        Where their voxels lie; its third axis counts slices.
    images : tuple of pydicom.Dataset
        One for each slice, in order; or one image of many frames.
    frames : tuple of int
        Of an image of many frames, which of them each slice is, from 0; empty otherwise.
    unplaced : bool
        Whether the images name no frame of reference; one made of their series stands for it.
    """

    grid: Grid
    images: tuple[Any, ...] = field(repr=False)
    frames: tuple[int, ...] = ()
    unplaced: bool = False

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """What must be said of objects made of it."""
        said = []
        if not self.grid.is_orthogonal:
            said.append(Caveat("dicom_tilted", TILTED.format(self.grid.tilt_deg)))
        if self.unplaced:
            said.append(Caveat("dicom_frame_of_reference", UNPLACED))
        return tuple(said)

    @property
    def first(self) -> Any:
        """The image that stands for patient and study."""
        return self.images[0]

    def images_at(self, slices: Sequence[int]) -> list[Any]:
        """Return the images of some slices; of an image of many frames, itself."""
        return list(self.images) if self.frames else [self.images[n] for n in slices]


def source_scan(source: Source, grid: Grid) -> SourceScan:
    """Find the images that a scan was read from, again.

    Parameters
    ----------
    source : Source
        Of the scan.
    grid : Grid
        The scan's.

    Returns
    -------
    SourceScan
        Their headers.

    Raises
    ------
    OutputError
        If the scan is no DICOM series ("no_dicom_source"), if its images lack identifiers
        ("no_source_uids"), or if it is spread over several multi-frame files ("several_files").
    FlrError
        If the files cannot be read any more.
    """
    where = source.path
    volumes = [item for item in scan([where]).images() if item.is_readable and item.stack is not None]
    if not volumes:
        raise OutputError(
            f"{where or 'the case'} is no DICOM series: there are no images for DICOM objects to refer to. "
            "Name the folder of the original DICOM images as the scan, or run without DICOM output.",
            reason="no_dicom_source",
        )
    meant = [item for item in volumes if item.text(tags.SERIES) == source.series_uid and _lies_on(item, grid)]
    if len(meant) > 1:
        meant = [item for item in meant if digest(item.files) == source.sha256]
    if len(meant) != 1 or meant[0].stack is None:
        raise OutputError(
            f"{where} no longer holds the images that the scan was read from; run again.",
            reason="source_changed",
        )
    return of_stack(meant[0].stack, where)


def _lies_on(item: Found, grid: Grid) -> bool:
    return item.stack is not None and item.stack.grid.matches(grid)


def of_stack(volume: Stack, where: str) -> SourceScan:
    """Read the headers of a volume's images.

    Parameters
    ----------
    volume : Stack
        The slices.
    where : str
        The path they were read from, for messages.

    Returns
    -------
    SourceScan
        The headers, in the order of the slices.

    Raises
    ------
    OutputError
        As for `source_scan`.
    """
    headers = {id(frame.header): frame.header for frame in volume.frames}
    if 1 < len(headers) < len(volume.frames):
        raise OutputError(
            f"{where} is spread over {len(headers)} multi-frame files, and a segmentation refers to one of "
            "them only. Export the scan as single images or as one file.",
            reason="several_files",
        )
    read = {key: _dataset(header, volume.grid.slice_distance_mm) for key, header in headers.items()}
    images = [read[id(frame.header)] for frame in volume.frames]
    lacking = {name for image in read.values() for name in NEEDED if not str(image.get(name, "")).strip()}
    if lacking:
        raise OutputError(
            f"the images in {where} carry no {', '.join(n for n in NEEDED if n in lacking)}, so that nothing "
            "can refer to them: it was lost when they were anonymised or converted. Use the original series, "
            "or have the archive give them new identifiers; or run without DICOM output.",
            reason="no_source_uids",
        )
    unplaced = not volume.grid.frame_of_reference_uid
    if unplaced:
        for image in read.values():
            image.FrameOfReferenceUID = tracking_uid(str(image.SeriesInstanceUID), "frame of reference")
    if len(headers) == 1 and len(volume.frames) > 1:
        frames = tuple(frame.index for frame in volume.frames)
        return SourceScan(volume.grid, (images[0],), frames, unplaced=unplaced)
    return SourceScan(volume.grid, tuple(images), unplaced=unplaced)


def _dataset(header: Header, distance_mm: float) -> Any:
    """Read a header, and fill in what must be in it: a thickness with the distance of the slices."""
    import pydicom

    content = io.BytesIO(header.file.read(0, header.file.size))
    with quietly():
        image = pydicom.dcmread(content, stop_before_pixels=True)
        # Objects say their texts in the character set of their images; it must hold those of a report too.
        image.decode()
    image.SpecificCharacterSet = UTF_8
    for name in EMPTY:
        if name not in image:
            setattr(image, name, "")
    for measures in _measures_of(image):
        if not measures.get("SliceThickness"):
            measures.SliceThickness = round(distance_mm, 6)
    return image


def _measures_of(image: Any) -> Iterator[Any]:
    """Give the data sets that say how large pixels are: the image itself, or items of its groups."""
    if "NumberOfFrames" not in image:
        yield image
        return
    shared = image.get("SharedFunctionalGroupsSequence") or ()
    for groups in (*shared, *(image.get("PerFrameFunctionalGroupsSequence") or ())):
        yield from groups.get("PixelMeasuresSequence") or ()


@contextmanager
def quietly() -> Iterator[None]:
    """Have pydicom and highdicom say nothing of values that they pass on: names are among them."""
    logs = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    before = [log.disabled for log in logs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for log in logs:
            log.disabled = True
        try:
            yield
        finally:
            for log, was in zip(logs, before, strict=True):
                log.disabled = was

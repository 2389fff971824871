"""Frames of a segmentation object: which segment each belongs to, and where it lies (PS3.3, C.8.20)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import NotAVolumeError
from flr_volumetry.io.dicom import mask_tags, tags

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.io.dicom.header import Attributes, Header

MAX_FRAMES: Final = 1 << 20
MAX_FRAME_PIXELS: Final = 1 << 26
MAX_COORDINATE_MM: Final = 1e5
"""A position farther from the origin than 100 m is no position."""
MAX_PIXEL_MM: Final = 100.0
MIN_PIXEL_MM: Final = 1e-3
"""A pixel of a micrometre is no scanner's."""
COSINE_ATOL: Final = 1e-3
"""How far directions may be from unit vectors at right angles."""
ALL_SEGMENTS: Final = -1
"""Segment of a frame that holds the numbers of all of them."""


class SegKind(Enum):
    """How frames say what belongs to a segment."""

    BINARY = "BINARY"
    LABEL_MAP = "LABELMAP"
    FRACTIONAL = "FRACTIONAL"


@dataclass(frozen=True, slots=True, eq=False)
class SegFrames:
    """All frames of an object, as arrays with one row for each.

    Parameters
    ----------
    kind : SegKind
        How they are to be taken.
    rows, columns : int
        Pixels of each frame.
    segments : (n,) ndarray of int
        Which segment each belongs to, `ALL_SEGMENTS` for frames of label maps.
    positions : (n, 3) ndarray
        Centre of the first pixel, LPS mm.
    axes : (n, 3, 2) ndarray
        Step of one column and of one row, mm.
    spacing_between : float or None
        Distance between slices that the file says.
    thickness : float or None
        Thickness of slices that the file says.
    """

    kind: SegKind
    rows: int
    columns: int
    segments: npt.NDArray[np.int64]
    positions: npt.NDArray[np.float64]
    axes: npt.NDArray[np.float64]
    spacing_between: float | None
    thickness: float | None


def seg_frames(header: Header) -> SegFrames:
    """Return where the frames of a segmentation lie.

    Parameters
    ----------
    header : Header
        Of a SEG object.

    Returns
    -------
    SegFrames
        In the order of the file.

    Raises
    ------
    NotAVolumeError
        If it is tiled, its numbers of frames contradict each other, or a frame does not
        say where it lies.
    """
    a, label = header.attributes, header.file.label
    _refuse_tiled(header)
    per_frame, shared = a.items(tags.PER_FRAME_GROUPS), a.items(tags.SHARED_GROUPS)
    said = a.text(tags.NUMBER_OF_FRAMES)
    count = a.integer(tags.NUMBER_OF_FRAMES) if said else 1
    if count != len(per_frame) or not 0 < len(per_frame) <= MAX_FRAMES:
        raise NotAVolumeError(
            f"{label} says it holds {said or 'one frame, having no number of'} frames, "
            f"but describes {len(per_frame)}. Export it again.",
            reason="inconsistent_frames",
        )
    rows, columns = a.unsigned(tags.ROWS) or 0, a.unsigned(tags.COLUMNS) or 0
    if not 0 < rows * columns <= MAX_FRAME_PIXELS:
        raise NotAVolumeError(
            f"{label}: frames of {columns} x {rows} pixels cannot be read.", reason="unsupported_pixels"
        )
    kind = _kind(header)
    reader = _GroupReader(label, shared[0] if shared else a)
    for index, own in enumerate(per_frame):
        reader.take(index, own, kind)
    return SegFrames(
        kind,
        rows,
        columns,
        np.array(reader.segments, dtype=np.int64),
        np.array(reader.positions),
        np.array(reader.axes),
        _single(reader.between),
        _single(reader.thickness),
    )


def _single(values: dict[float | None, None]) -> float | None:
    """Return the one value that all frames have; frames that contradict each other say nothing."""
    return next(iter(values)) if len(values) == 1 else None


def _refuse_tiled(header: Header) -> None:
    a = header.attributes
    per_frame, shared = a.items(tags.PER_FRAME_GROUPS), a.items(tags.SHARED_GROUPS)
    if (
        a.text(mask_tags.DIMENSION_ORGANIZATION_TYPE).startswith("TILED")
        or mask_tags.TOTAL_PIXEL_MATRIX_COLUMNS in a
        or any(mask_tags.PLANE_POSITION_SLIDE in item for item in (*per_frame[:1], *shared[:1]))
    ):
        raise NotAVolumeError(
            f"{header.file.label} is a segmentation of a microscopy slide, in tiles, not of a volume.",
            reason="tiled",
        )


def _kind(header: Header) -> SegKind:
    said = header.attributes.text(tags.SEGMENTATION_TYPE)
    try:
        return SegKind(said)
    except ValueError:
        raise NotAVolumeError(
            f"{header.file.label}: a segmentation of type {said!r} is not read; "
            "BINARY, LABELMAP and FRACTIONAL are.",
            reason="unsupported_masks",
        ) from None


class _GroupReader:
    """Takes frame after frame; what they share is turned into numbers once."""

    def __init__(self, label: str, shared: Attributes) -> None:
        self.label = label
        self.shared = shared
        self.segments: list[int] = []
        self.positions: list[tuple[float, ...]] = []
        self.axes: list[npt.NDArray[np.float64]] = []
        self.between: dict[float | None, None] = {}
        self.thickness: dict[float | None, None] = {}
        self.known: dict[tuple[bytes, ...], npt.NDArray[np.float64]] = {}
        self.measures: dict[tuple[bytes, ...], tuple[float | None, float | None]] = {}

    def group(self, own: Attributes, sequence: int) -> Attributes | None:
        """Return a functional group: the frame's own, or that of all frames (PS3.3, C.7.6.16)."""
        items = own.items(sequence) or self.shared.items(sequence)
        return items[0] if items else None

    def take(self, index: int, own: Attributes, kind: SegKind) -> None:
        """Read one frame's groups."""
        plane = self.group(own, tags.PLANE_POSITION)
        orientation = self.group(own, tags.PLANE_ORIENTATION)
        measures = self.group(own, tags.PIXEL_MEASURES)
        position = plane.floats(tags.POSITION) if plane else ()
        if (
            len(position) != 3
            or max(map(abs, position)) > MAX_COORDINATE_MM
            or not (orientation and measures)
        ):
            raise self.nowhere(index)
        self.positions.append(position)
        key = (orientation.raw(tags.ORIENTATION), measures.raw(tags.PIXEL_SPACING))
        if key not in self.known:
            self.known[key] = self.steps(index, orientation, measures)
        self.axes.append(self.known[key])
        distances = (measures.raw(mask_tags.SPACING_BETWEEN_SLICES), measures.raw(mask_tags.SLICE_THICKNESS))
        if distances not in self.measures:
            self.measures[distances] = (
                _length(measures, mask_tags.SPACING_BETWEEN_SLICES),
                _length(measures, mask_tags.SLICE_THICKNESS),
            )
            self.between[self.measures[distances][0]] = None
            self.thickness[self.measures[distances][1]] = None
        self.segments.append(ALL_SEGMENTS if kind is SegKind.LABEL_MAP else self.segment(index, own))

    def segment(self, index: int, own: Attributes) -> int:
        """Return the segment that a frame belongs to."""
        identification = self.group(own, mask_tags.SEGMENT_IDENTIFICATION)
        number = identification.unsigned(mask_tags.REFERENCED_SEGMENT) if identification else None
        if number is None:
            raise NotAVolumeError(
                f"{self.label}: frame {index + 1} does not say which segment it belongs to. Export it again.",
                reason="missing_segment_number",
            )
        return number

    def steps(self, index: int, orientation: Attributes, measures: Attributes) -> npt.NDArray[np.float64]:
        """Return the steps of one column and one row, mm."""
        cosines = np.array(orientation.floats(tags.ORIENTATION))
        spacing = np.array(measures.floats(tags.PIXEL_SPACING))
        if cosines.shape != (6,) or spacing.shape != (2,):
            raise self.nowhere(index)
        directions = cosines.reshape(2, 3)
        lengths = np.linalg.norm(directions, axis=1)
        if (
            np.abs(lengths - 1).max() > COSINE_ATOL
            or abs(directions[0] @ directions[1]) > COSINE_ATOL
            or not (spacing.min() >= MIN_PIXEL_MM and spacing.max() <= MAX_PIXEL_MM)
        ):
            raise self.nowhere(index)
        return np.asarray((directions / lengths[:, None] * spacing[::-1, None]).T)

    def nowhere(self, index: int) -> NotAVolumeError:
        """Return the refusal of a frame without a place."""
        return NotAVolumeError(
            f"{self.label}: frame {index + 1} does not say where it lies in the patient. Export it again.",
            reason="missing_geometry",
        )


def _length(measures: Attributes, tag: int) -> float | None:
    numbers = measures.floats(tag)
    return numbers[0] if len(numbers) == 1 and 0 < numbers[0] <= MAX_PIXEL_MM else None

"""One slice of a DICOM image: where it lies, and how its pixels are to be taken."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from flr_volumetry.errors import NotAVolumeError
from flr_volumetry.io.dicom import tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.io.dicom.header import Attributes, Header

MAX_FRAMES: Final = 1 << 20

Vector = tuple[float, float, float]

DIMENSIONS: Final = tuple(f"dimension {number}" for number in range(1, 7))
"""Indices of multi-frame images along what their maker calls dimensions (PS3.3, C.7.6.17)."""

SPLIT_KEYS: Final = (
    "stack",
    "temporal position",
    "echo time",
    "b value",
    "trigger delay",
    "inversion time",
    "flip angle",
    "image type",
    "acquisition number",
    "acquisition time",
    "tube voltage",
    "kernel",
    "diffusion direction",
    *DIMENSIONS,
    "file",
)
"""By what the images of one series may differ when it holds several volumes."""
ONLY_AT_ONE_PLACE: Final = frozenset(
    {"acquisition time", "tube voltage", "kernel", "diffusion direction", *DIMENSIONS}
)
"""Those that tell images of one place apart, but say nothing of images that lie unevenly."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One slice.

    Parameters
    ----------
    header : Header
        Its file.
    index : int
        Which frame of the file, from 0.
    position : tuple of float or None
        Centre of its first voxel, LPS mm.
    orientation : tuple of float or None
        Direction in which columns count up, then that in which rows do.
    spacing : tuple of float or None
        Distance between rows, then between columns, mm.
    slope, intercept : float or None
        Rescaling of stored values; None where the file has none, NaN where it is no number.
    keys : tuple of str
        Values by which a series may be split, in the order of `SPLIT_KEYS`.
    """

    header: Header
    index: int
    position: Vector | None
    orientation: tuple[float, ...] | None = field(repr=False)
    spacing: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    keys: tuple[str, ...] = field(repr=False)

    @property
    def instance_number(self) -> int | None:
        """The number the scanner gave the image."""
        return self.header.attributes.integer(tags.INSTANCE_NUMBER)

    @property
    def label(self) -> str:
        """What to call it in a message."""
        name = self.header.file.name
        return f"{name}, frame {self.index + 1}" if self.frames_in_file > 1 else name

    @property
    def frames_in_file(self) -> int:
        """How many frames its file says it holds."""
        return self.header.attributes.integer(tags.NUMBER_OF_FRAMES) or 1


def _vector(numbers: tuple[float, ...]) -> Vector | None:
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def _exactly(numbers: tuple[float, ...], count: int) -> tuple[float, ...] | None:
    return numbers if len(numbers) == count else None


def _rescaling(a: Attributes, tag: int) -> float | None:
    """Return one number of the rescaling: None where it is not there, NaN where it is no number."""
    if not a.raw(tag).strip(b" \0"):
        return None
    numbers = a.floats(tag)
    return numbers[0] if len(numbers) == 1 else math.nan


def _plain(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


SLICE_TAGS: Final = (
    *(tags.ORIENTATION, tags.PIXEL_SPACING, tags.SLOPE, tags.INTERCEPT, tags.TEMPORAL_POSITION),
    *(tags.ECHO_TIME, tags.ECHO_NUMBERS, tags.B_VALUE, tags.TRIGGER_TIME, tags.INVERSION_TIME),
    *(tags.FLIP_ANGLE, tags.IMAGE_TYPE, tags.ACQUISITION_NUMBER, tags.ACQUISITION_TIME),
    *(tags.TUBE_VOLTAGE, tags.KERNEL, tags.DIFFUSION_DIRECTION, tags.CHARACTER_SET),
    *(tags.SOP_CLASS, tags.PER_FRAME_GROUPS, tags.NUMBER_OF_FRAMES),
)
"""All that a classic slice is taken by, but its position and its pixels."""


def slices_of(headers: Sequence[Header]) -> list[Frame]:
    """Return the slices of files that hold one each, and are alike but for their position.

    Parameters
    ----------
    headers : sequence of Header
        Of classic CT or MR images that have the same values of `SLICE_TAGS`.

    Returns
    -------
    list of Frame
        One for each; what the header does not say is None.
    """
    a = headers[0].attributes
    keys = (
        "",
        a.text(tags.TEMPORAL_POSITION),
        a.text(tags.ECHO_TIME) or a.text(tags.ECHO_NUMBERS),
        _plain(a.double(tags.B_VALUE)),
        a.text(tags.TRIGGER_TIME),
        a.text(tags.INVERSION_TIME),
        a.text(tags.FLIP_ANGLE),
        a.text(tags.IMAGE_TYPE),
        a.text(tags.ACQUISITION_NUMBER),
        a.text(tags.ACQUISITION_TIME),
        a.text(tags.TUBE_VOLTAGE),
        a.text(tags.KERNEL),
        a.raw(tags.DIFFUSION_DIRECTION).hex(),
        *[""] * len(DIMENSIONS),
        "",
    )
    orientation = _exactly(a.floats(tags.ORIENTATION), 6)
    spacing = _exactly(a.floats(tags.PIXEL_SPACING), 2)
    slope, intercept = _rescaling(a, tags.SLOPE), _rescaling(a, tags.INTERCEPT)
    return [
        Frame(
            header,
            0,
            _vector(header.attributes.floats(tags.POSITION)),
            orientation,
            spacing,
            slope,
            intercept,
            keys,
        )
        for header in headers
    ]


def frames_of(header: Header) -> list[Frame]:
    """Return the slices of a file that holds many.

    Parameters
    ----------
    header : Header
        Of an enhanced image.

    Returns
    -------
    list of Frame
        In the order of the file.

    Raises
    ------
    NotAVolumeError
        If its frames are not described one by one.
    """
    a = header.attributes
    count = a.integer(tags.NUMBER_OF_FRAMES) or 1
    per_frame = a.items(tags.PER_FRAME_GROUPS)
    shared = a.items(tags.SHARED_GROUPS)
    if not per_frame and not shared:
        raise NotAVolumeError(
            f"{header.file.label} holds {count} frames without saying where they lie "
            "(no functional groups). Export the series again from the scanner or archive.",
            reason="missing_geometry",
        )
    if count != len(per_frame) or not 0 < count <= MAX_FRAMES:
        raise NotAVolumeError(
            f"{header.file.label} says it holds {count} frames but describes {len(per_frame)}.",
            reason="inconsistent_frames",
        )
    common = shared[0] if shared else a
    return [_enhanced(header, index, own, common) for index, own in enumerate(per_frame)]


def _group(own: Attributes, common: Attributes, sequence: int) -> Attributes | None:
    """Return a functional group: the frame's own, or that of all frames (PS3.3, C.7.6.16)."""
    items: Sequence[Attributes] = own.items(sequence) or common.items(sequence)
    return items[0] if items else None


def _enhanced(header: Header, index: int, own: Attributes, common: Attributes) -> Frame:
    def numbers(sequence: int, tag: int) -> tuple[float, ...]:
        group = _group(own, common, sequence)
        return group.floats(tag) if group else ()

    def text(sequence: int, tag: int) -> str:
        group = _group(own, common, sequence)
        return group.text(tag) if group else ""

    def double(sequence: int, tag: int) -> str:
        group = _group(own, common, sequence)
        return _plain(group.double(tag)) if group else ""

    content = _group(own, common, tags.FRAME_CONTENT)
    frame_type = text(tags.MR_FRAME_TYPE, tags.FRAME_TYPE) + text(tags.CT_FRAME_TYPE, tags.FRAME_TYPE)
    keys = (
        content.text(tags.STACK_ID) if content else "",
        str(content.unsigned(tags.TEMPORAL_INDEX) or "") if content else "",
        double(tags.MR_ECHO, tags.EFFECTIVE_ECHO_TIME),
        double(tags.MR_DIFFUSION, tags.B_VALUE),
        double(tags.CARDIAC_SYNCHRONIZATION, tags.TRIGGER_DELAY),
        "",
        "",
        f"{frame_type} {text(tags.MR_FRAME_TYPE, tags.COMPLEX_COMPONENT)}".strip(),
        str(content.unsigned(tags.FRAME_ACQUISITION_NUMBER) or "") if content else "",
        *[""] * 4,
        *_dimensions(content),
        header.file.label,
    )
    values = _group(own, common, tags.PIXEL_TRANSFORMATION)
    if values is None or tags.SLOPE not in values:
        values = header.attributes
    return Frame(
        header,
        index,
        _vector(numbers(tags.PLANE_POSITION, tags.POSITION)),
        _exactly(numbers(tags.PLANE_ORIENTATION, tags.ORIENTATION), 6),
        _exactly(numbers(tags.PIXEL_MEASURES, tags.PIXEL_SPACING), 2),
        _rescaling(values, tags.SLOPE),
        _rescaling(values, tags.INTERCEPT),
        keys,
    )


def _dimensions(content: Attributes | None) -> list[str]:
    """Return the index of a frame along each of its dimensions; empty for those it has not."""
    raw = content.raw(tags.DIMENSION_VALUES) if content else b""
    order: Literal["big", "little"] = "big" if content and content.big_endian else "little"
    indices = [str(int.from_bytes(raw[n : n + 4], order)) for n in range(0, len(raw), 4)]
    return [*indices, *[""] * len(DIMENSIONS)][: len(DIMENSIONS)]

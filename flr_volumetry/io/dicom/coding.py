"""How the stored values of a frame are to be taken (PS3.3, C.7.6.3 and C.11.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import NotAVolumeError
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.codecs import FrameSize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flr_volumetry.io.dicom.frames import Frame

INT16: Final = np.iinfo(np.int16)
LARGEST_INTEGER_SLOPE: Final = 1 << 15
_CODED: Final = (
    *(tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED, tags.BITS_STORED, tags.HIGH_BIT),
    *(tags.PIXEL_REPRESENTATION, tags.SLOPE, tags.INTERCEPT),
)


@dataclass(frozen=True, slots=True)
class Coding:
    """How the stored values of a frame are to be taken.

    Parameters
    ----------
    size : FrameSize
        Rows, columns, bits allocated.
    stored, high : int
        How many bits count, and the highest of them.
    signed : bool
        Whether they are two's complement.
    big_endian : bool
        Byte order.
    swapped : bool
        Whether bytes were written as words of that order.
    slope, intercept : float
        Rescaling.
    padding : tuple of int or None
        Lowest and highest stored value that means "outside the scan".
    """

    size: FrameSize
    stored: int
    high: int
    signed: bool
    big_endian: bool
    swapped: bool
    slope: float
    intercept: float
    padding: tuple[int, int] | None

    @property
    def whole(self) -> bool:
        """Whether rescaled values are whole numbers that may fit 16 bits."""
        return (
            self.slope == int(self.slope)
            and self.intercept == int(self.intercept)
            and abs(self.slope) < LARGEST_INTEGER_SLOPE
            and abs(self.intercept) < 1 << 24
        )

    @property
    def plain(self) -> bool:
        """Whether a slice can be read into an int16 array and corrected there."""
        fits = self.size.bits == 16 and self.high == self.stored - 1
        return fits and not self.big_endian and self.slope == 1 and abs(self.intercept) <= -INT16.min

    @property
    def narrow(self) -> bool:
        """Whether stored values are plain bytes, as in masks."""
        plain = self.size.bits == self.stored == 8 and self.high == 7 and not self.signed
        return plain and self.slope == 1 and self.whole and abs(self.intercept) < INT16.max - 255

    @property
    def padding_value(self) -> float | None:
        """What a padded voxel is after rescaling."""
        return None if self.padding is None else self.padding[0] * self.slope + self.intercept


def coding_of(frame: Frame) -> Coding:
    """Return how the stored values of a frame are to be taken.

    Parameters
    ----------
    frame : Frame
        A slice.

    Returns
    -------
    Coding
        What its header says.

    Raises
    ------
    NotAVolumeError
        If it contradicts itself, or leaves no measured values.
    """
    a, label = frame.header.attributes, frame.header.file.label
    rows, columns, bits = (a.unsigned(t) or 0 for t in (tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED))
    stored = a.unsigned(tags.BITS_STORED) or bits
    high = a.unsigned(tags.HIGH_BIT)
    high = stored - 1 if high is None else high
    if not 0 < stored <= high + 1 <= bits:
        raise NotAVolumeError(
            f"{label}: {stored} bits up to bit {high} cannot lie in {bits} allocated bits.",
            reason="unsupported_pixels",
        )
    if tags.MODALITY_LUT in a:
        raise NotAVolumeError(
            f"{label} turns stored values into measured ones by a table, which is not read.",
            reason="unsupported_pixels",
        )
    slope = 1.0 if frame.slope is None else frame.slope
    intercept = frame.intercept or 0.0
    if slope == 0 or math.isnan(slope) or math.isnan(intercept):
        said = a.text(tags.SLOPE) or slope, a.text(tags.INTERCEPT) or intercept
        raise NotAVolumeError(
            f"{label}: a rescale slope of {said[0]} and an intercept of {said[1]} leave no values.",
            reason="bad_rescale",
        )
    representation = a.unsigned(tags.PIXEL_REPRESENTATION) or 0
    if representation > 1:
        raise NotAVolumeError(
            f"{label}: whether its pixels are signed is said by a {representation}, which means nothing.",
            reason="unsupported_pixels",
        )
    signed = representation == 1
    return Coding(
        FrameSize(rows, columns, bits),
        stored,
        high,
        signed,
        a.big_endian,
        a.big_endian and bits == 8 and frame.header.pixel_vr == b"OW",
        slope,
        intercept,
        _padding(frame, signed),
    )


def _padding(frame: Frame, signed: bool) -> tuple[int, int] | None:  # noqa: FBT001
    a = frame.header.attributes
    found = []
    for tag in (tags.PADDING, tags.PADDING_LIMIT):
        value = a.raw(tag)
        if len(value) in {2, 4}:
            found.append(int.from_bytes(value, "big" if a.big_endian else "little", signed=signed))
    if tags.PADDING not in a or not found:
        return None
    return min(found), max(found)


def require_codings(frames: Iterable[Frame]) -> None:
    """Refuse slices whose stored values cannot be taken as numbers, without reading them.

    Parameters
    ----------
    frames : iterable of Frame
        All of one series.

    Raises
    ------
    NotAVolumeError
        If a header contradicts itself, or only some of the slices say how to rescale them.
    """
    known: dict[object, Frame] = {}
    for frame in frames:
        a = frame.header.attributes
        said = ((tag in a, a.raw(tag)) for tag in _CODED)
        key = (frame.slope, frame.intercept, tags.MODALITY_LUT in a, *said)
        if key not in known:
            coding_of(frame)
            known[key] = frame
    bare = [f for f in known.values() if f.slope is None and f.intercept is None]
    others = [f for f in known.values() if f.slope not in {None, 1.0} or f.intercept not in {None, 0.0}]
    if bare and others:
        slope = 1.0 if others[0].slope is None else others[0].slope
        raise NotAVolumeError(
            f"{bare[0].label} has no rescale slope and intercept, but {others[0].label} has {slope:g} and "
            f"{others[0].intercept or 0:g}; their values cannot be compared. Export the series again.",
            reason="bad_rescale",
        )

"""Frames to voxels: stored values, rescaling, padding.

Every slice is read straight into its place of one array. Values become int16 where
all of them fit, which those of CT do; float32 where rescaling is fractional.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import Caveat, NotAVolumeError, UnreadableError
from flr_volumetry.io.dicom.codecs import LOSSY, NATIVE, decode, fragments, loses
from flr_volumetry.io.dicom.coding import INT16, Coding, coding_of
from flr_volumetry.io.dicom.header import DEFLATED, Header, is_encapsulated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from flr_volumetry.io.dicom.codecs import FrameSize
    from flr_volumetry.io.dicom.frames import Frame

MAX_WORKERS: Final = 8
_READ_IN_PLACE: Final = NATIVE - {DEFLATED}


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Voxels of a stack.

    Parameters
    ----------
    voxels : (columns, rows, slices) ndarray of int16 or float32
        Rescaled, in Fortran order.
    padding : float or None
        Value of voxels outside the scan.
    caveats : tuple of Caveat
        What was found on the way.
    """

    voxels: npt.NDArray[Any]
    padding: float | None
    caveats: tuple[Caveat, ...]


class _NeedsFloatError(Exception):
    """A value does not fit 16 bits."""


def read_pixels(frames: Sequence[Frame]) -> Pixels:
    """Read and rescale the pixels of slices in order.

    Parameters
    ----------
    frames : sequence of Frame
        All of one size.

    Returns
    -------
    Pixels
        One array, slices along its last axis.

    Raises
    ------
    UnreadableError, NotAVolumeError
        If a file is cut short or damaged, or its pixels cannot be taken.
    """
    codings = [coding_of(frame) for frame in frames]
    size = codings[0].size
    shape = (len(frames), size.rows, size.columns)
    paddings = {c.padding_value for c in codings}
    padding = next((c.padding_value for c in codings if c.padding is not None), None)
    many = len(paddings) > 1 or any(c.padding and c.padding[0] != c.padding[1] for c in codings)
    reader = _StackReader(frames, codings, padding if many else None)
    fits = not many or padding is None or INT16.min <= padding <= INT16.max
    stack = reader.whole_numbers(shape) if fits and all(c.whole for c in codings) else None
    if stack is None:
        stack = reader.into(np.empty(shape, dtype=np.float32))
    if padding is not None and stack.dtype == np.float32:
        # The voxels were rounded to single precision, and are compared with it.
        padding = float(np.float32(padding))
    return Pixels(stack.T, padding, tuple(reader.caveats()))


class _StackReader:
    """Reads frames into an array, several at a time where they must be decoded."""

    def __init__(
        self, frames: Sequence[Frame], codings: Sequence[Coding], common_padding: float | None
    ) -> None:
        self.frames = frames
        self.codings = codings
        self.common_padding = common_padding
        self.stray_bits: set[int] = set()
        self.lossy = any(frame.header.syntax in LOSSY for frame in frames)
        self.pieces: dict[int, list[bytes]] = {}
        # What is packed, by its syntax or in an archive, is unpacked from its beginning: once for all frames.
        self.unpacked: dict[int, bytes] = {}
        for header in {
            id(frame.header): frame.header for frame in frames if frame.frames_in_file > 1
        }.values():
            if is_encapsulated(header):
                self.pieces[id(header)] = fragments(header)
            elif header.syntax == DEFLATED or header.file.member:
                self.unpacked[id(header)] = header.read(0, header.pixel_offset + header.pixel_length)

    def whole_numbers(self, shape: tuple[int, int, int]) -> npt.NDArray[Any] | None:
        """Return an int16 array of (slices, rows, columns), or None if a value does not fit."""
        try:
            return self.into(np.empty(shape, dtype=np.int16))
        except _NeedsFloatError:
            return None

    def into(self, stack: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Fill an array of (slices, rows, columns), and return it."""
        self.stray_bits.clear()
        work = range(len(self.frames))
        if any(is_encapsulated(frame.header) for frame in self.frames):
            with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
                for _ in pool.map(lambda n: self._fill(stack[n], n), work):
                    pass
        else:
            for n in work:
                self._fill(stack[n], n)
        return stack

    def caveats(self) -> list[Caveat]:
        """Return what was found while reading."""
        found = []
        if self.lossy:
            found.append(
                Caveat("lossy", "the images were compressed with loss; their values are not those measured.")
            )
        if self.stray_bits:
            found.append(
                Caveat(
                    "stray_bits",
                    f"{len(self.stray_bits)} images have bits set beyond those they say they store; "
                    "they were ignored.",
                )
            )
        return found

    def _fill(self, out: npt.NDArray[Any], n: int) -> None:
        frame, coding = self.frames[n], self.codings[n]
        packed = is_encapsulated(frame.header)
        native = not packed and frame.header.syntax in _READ_IN_PLACE and not coding.swapped
        raw = self._decoded(frame, coding) if packed else None
        two_bytes = native or (raw is not None and raw.dtype == np.uint16)
        if two_bytes and coding.plain and out.dtype == np.int16:
            if raw is None:
                _read_native(frame, out.data.cast("B"), self.unpacked)
            else:
                np.copyto(out, raw.view(np.int16))
            if coding.stored < 16 and self._has_stray_bits(out, coding):
                self.stray_bits.add(n)
            _shift(out, coding)
        elif native and coding.narrow and out.dtype == np.int16:
            data = np.empty(out.shape, dtype=np.uint8)
            _read_native(frame, data.data.cast("B"), self.unpacked)
            np.add(data, np.int16(coding.intercept), out=out)
        else:
            self._rescale(out, self._stored(frame, coding, n, raw), coding)
        self._pad(out, coding)

    def _decoded(self, frame: Frame, coding: Coding) -> npt.NDArray[Any]:
        pieces = self.pieces.get(id(frame.header)) or fragments(frame.header)
        self.lossy = self.lossy or loses(pieces[frame.index], frame.header)
        return decode(pieces[frame.index], frame.header, coding.size)

    def _stored(
        self, frame: Frame, coding: Coding, n: int, raw: npt.NDArray[Any] | None
    ) -> npt.NDArray[np.int64]:
        """Return stored values as numbers, (rows, columns), from what was decoded or from the file."""
        header, size = frame.header, coding.size
        if raw is None:
            if header.syntax not in NATIVE:
                raise UnreadableError(
                    f"{header.file.label}: pixels of syntax {header.syntax} must lie in fragments, "
                    "and do not."
                )
            raw = self._unswapped(frame, size) if coding.swapped else self._stored_as(frame, coding)
        values = raw.astype(np.int64)
        above, ones = values >> (coding.high + 1), (1 << max(0, 8 * raw.itemsize - coding.high - 1)) - 1
        if above.any() and not (coding.signed and np.isin(above, (0, ones)).all()):
            self.stray_bits.add(n)
        values >>= coding.high + 1 - coding.stored
        values &= (1 << coding.stored) - 1
        if coding.signed:
            values -= (values >> (coding.stored - 1)) << coding.stored
        return values

    def _stored_as(self, frame: Frame, coding: Coding) -> npt.NDArray[Any]:
        size = coding.size
        kind = f"{'>' if coding.big_endian else '<'}u{size.bits // 8}"
        data = np.empty((size.rows, size.columns), dtype=kind)
        _read_native(frame, data.data.cast("B"), self.unpacked)
        return data

    def _unswapped(self, frame: Frame, size: FrameSize) -> npt.NDArray[np.uint8]:
        """Return bytes that were written as words of the other byte order (PS3.5, 7.3 and annex A.3)."""
        count = size.rows * size.columns
        words = np.empty((-(-count // 2), 2), dtype=np.uint8)
        _read_native(frame, words.data.cast("B"), self.unpacked)
        return words[:, ::-1].ravel()[:count].reshape(size.rows, size.columns)

    def _has_stray_bits(self, out: npt.NDArray[np.int16], coding: Coding) -> bool:
        """Clear bits above those stored, extending the sign; return whether they meant something else."""
        if coding.signed:
            half = 1 << (coding.stored - 1)
            if -half <= int(out.min()) and int(out.max()) < half:
                return False
            above = out >> coding.stored
            out <<= 16 - coding.stored
            out >>= 16 - coding.stored
            return bool(((above != 0) & (above != -1)).any())
        if int(out.view(np.uint16).max()) >> coding.stored == 0:
            return False
        out &= np.int16((1 << coding.stored) - 1)
        return True

    def _rescale(self, out: npt.NDArray[Any], values: npt.NDArray[np.int64], coding: Coding) -> None:
        if out.dtype == np.float32:
            with np.errstate(over="ignore"):
                np.copyto(out, values * coding.slope + coding.intercept, casting="same_kind")
            if not np.isfinite(out).all():
                raise NotAVolumeError(
                    f"a rescale slope of {coding.slope:g} leads beyond all numbers.", reason="bad_rescale"
                )
            return
        values *= int(coding.slope)
        values += int(coding.intercept)
        if values.min() < INT16.min or values.max() > INT16.max:
            raise _NeedsFloatError
        np.copyto(out, values, casting="unsafe")

    def _pad(self, out: npt.NDArray[Any], coding: Coding) -> None:
        """Give voxels outside the scan one value, where the files use several."""
        if self.common_padding is None or coding.padding is None:
            return
        ends = [p * coding.slope + coding.intercept for p in coding.padding]
        out[(out >= min(ends)) & (out <= max(ends))] = self.common_padding


def _shift(out: npt.NDArray[np.int16], coding: Coding) -> None:
    """Add the intercept in place, if every sum fits; unsigned values wrap into place."""
    intercept = int(coding.intercept)
    view = out if coding.signed else out.view(np.uint16)
    low, high = int(view.min()) + intercept, int(view.max()) + intercept
    if low < INT16.min or high > INT16.max:
        raise _NeedsFloatError
    if intercept:
        out += np.int16(intercept) if intercept <= INT16.max else np.int16(INT16.min)


def _read_native(frame: Frame, buffer: memoryview, unpacked: Mapping[int, bytes]) -> None:
    header: Header = frame.header
    offset = header.pixel_offset + frame.index * len(buffer)
    whole = unpacked.get(id(header))
    if whole is None and header.syntax != DEFLATED:
        got = header.file.readinto(offset, buffer)
    else:
        data = header.read(offset, len(buffer)) if whole is None else whole[offset : offset + len(buffer)]
        got = len(data)
        buffer[:got] = data
    if got < len(buffer):
        raise UnreadableError(
            f"{frame.label} in {header.file.folder} is cut short within its pixels. Copy it again.",
            reason="truncated",
        )

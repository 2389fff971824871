"""Pixels of a segmentation: one bit each, or one number each."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import NotAVolumeError, UnreadableError
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.codecs import NATIVE, RLE, FrameSize, decode, fragments
from flr_volumetry.io.dicom.header import is_encapsulated

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.io.dicom.header import Header
    from flr_volumetry.io.dicom.seg_frames import SegFrames

DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
"""Deflated Image Frame Compression (PS3.5, A.4.13): each frame deflated for itself."""


class SegPixels:
    """The pixels of an object, decoded a frame at a time.

    Parameters
    ----------
    header : Header
        Of the object.
    frames : SegFrames
        What it says of its frames.

    Raises
    ------
    UnreadableError, NotAVolumeError
        If the file is cut short, or its pixels are of a kind that is not read.
    """

    def __init__(self, header: Header, frames: SegFrames) -> None:
        self.label = header.file.label
        self._header = header
        self._count = len(frames.positions)
        bits = header.attributes.unsigned(tags.BITS_ALLOCATED) or 0
        self._size = FrameSize(frames.rows, frames.columns, bits)
        self._pixels = frames.rows * frames.columns
        self._pieces: list[bytes] | None = None
        self._data = b""
        samples = header.attributes.unsigned(tags.SAMPLES)
        if bits not in {1, 8, 16} or samples not in {1, None} or header.pixel_offset < 0:
            missing = header.pixel_offset < 0
            raise NotAVolumeError(
                f"{self.label} holds no pixels."
                if missing
                else f"{self.label}: pixels of {bits} bits and {samples} samples are not those of masks.",
                reason="no_pixels" if missing else "unsupported_pixels",
            )
        if is_encapsulated(header):
            self._pieces = fragments(header)
        else:
            self._read_native()

    def _read_native(self) -> None:
        header = self._header
        if header.syntax not in NATIVE:
            raise UnreadableError(
                f"{self.label}: pixels of syntax {header.syntax} must lie in fragments, and do not. "
                "Export it again.",
                reason="unsupported_syntax",
            )
        # Words of big endian are turned in twos, so the last one is read whole (PS3.5, annex A.3).
        words = header.attributes.big_endian and (self._size.bits == 16 or header.pixel_vr == b"OW")
        needed = -(-self._count * self._pixels * self._size.bits // 8)
        there = header.pixel_length
        if there >= needed + max(2, self._pixels * self._size.bits // 8):
            raise NotAVolumeError(
                f"{self.label} says it holds {self._count} frames, but has pixels for more "
                f"({there} bytes, {needed} needed). Export it again.",
                reason="inconsistent_frames",
            )
        if there >= needed:
            self._data = header.read(header.pixel_offset, needed + needed % 2 if words else needed)
        if words:
            whole = self._data.ljust(len(self._data) + len(self._data) % 2, b"\0")
            self._data = np.frombuffer(whole, ">u2").astype("<u2").tobytes()
        if len(self._data) < needed:
            raise UnreadableError(
                f"{self.label} is cut short: it has {min(there, len(self._data) or there)} bytes of pixels "
                f"and needs {needed}. Copy it again.",
                reason="truncated",
            )

    def frame(self, index: int) -> npt.NDArray[Any]:
        """Return one frame.

        Parameters
        ----------
        index : int
            From 0.

        Returns
        -------
        (rows, columns) ndarray of uint8 or uint16
            Stored values; 0 and 1 where they are bits.

        Raises
        ------
        UnreadableError
            If the frame is damaged.
        """
        shape = (self._size.rows, self._size.columns)
        if self._size.bits == 1 and (self._pieces is None or self._header.syntax == DEFLATED_FRAMES):
            return self._bits(index).reshape(shape)
        if self._size.bits == 1 and self._header.syntax == RLE:
            return self._run_lengths(index).reshape(shape)
        if self._pieces is not None and self._header.syntax != DEFLATED_FRAMES:
            return decode(self._pieces[index], self._header, self._size)
        count = self._pixels
        kind = np.dtype(f"<u{self._size.bits // 8}")
        if self._pieces is None:
            start = index * count * kind.itemsize
            return np.frombuffer(self._data, kind, count, start).reshape(shape)
        return np.frombuffer(self._inflated(index, count * kind.itemsize), kind, count).reshape(shape)

    def _bits(self, index: int) -> npt.NDArray[np.uint8]:
        """Unpack one frame, whose first bit may lie within a byte."""
        data, first = self._data, index * self._pixels
        if self._pieces is not None:
            data, first = self._inflated(index, -(-self._pixels // 8)), 0
        begin, shift = divmod(first, 8)
        length = -(-(shift + self._pixels) // 8)
        packed = np.frombuffer(data, np.uint8, length, begin)
        return np.unpackbits(packed, bitorder="little", count=shift + self._pixels)[shift:]

    def _run_lengths(self, index: int) -> npt.NDArray[np.uint8]:
        """Decode one frame of single bits from runs of bytes that hold eight of them each."""
        pieces, count = self._pieces or [], -(-self._pixels // 8)
        packed = decode(pieces[index], self._header, FrameSize(1, count, 8))
        return np.unpackbits(packed.ravel(), bitorder="little", count=self._pixels)

    def _inflated(self, index: int, needed: int) -> bytes:
        pieces = self._pieces or []
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(pieces[index], needed)
        except zlib.error as error:
            raise UnreadableError(f"{self.label}: frame {index + 1} cannot be unpacked: {error}.") from error
        if len(data) < needed:
            raise UnreadableError(f"{self.label}: frame {index + 1} is cut short.", reason="truncated")
        return data

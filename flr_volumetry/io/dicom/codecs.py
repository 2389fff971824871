"""Compressed frames (PS3.5, annex A.4) to bytes, with the codecs made for each syntax."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import UnreadableError
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.header import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Header

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

_SYNTAX: Final = "1.2.840.10008.1.2."
NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, ""})
RLE: Final = _SYNTAX + "5"
JPEG: Final = frozenset(_SYNTAX + "4." + number for number in ("50", "51", "57", "70"))
JPEG_LS: Final = frozenset(_SYNTAX + "4." + number for number in ("80", "81"))
JPEG_2000: Final = frozenset(_SYNTAX + "4." + number for number in ("90", "91", "201", "202", "203"))
LOSSY: Final = frozenset(_SYNTAX + "4." + number for number in ("50", "51", "81"))
"""Always with loss; JPEG 2000 says it in its own attribute."""

MAX_RLE_RATIO: Final = 64
"""Two bytes of PackBits make 128 at most."""

JPEG_LS_FRAME: Final = b"\xff\xf7"
"""Start of frame (ISO 14495-1, C.2.2): length, precision, then rows and columns."""

JPEG_2000_STYLE: Final = b"\xff\x52"
"""Coding style marker (ISO 15444-1, A.6.1): length, style, then what begins with order and layers."""

JPEG_2000_SIZE: Final = b"\xff\x4f\xff\x51"
"""Start of codestream and size marker (ISO 15444-1, A.5.1): length, capabilities, then the sizes."""

NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})
"""JPEG markers among those of a start of frame that are none: tables and a reserved one."""

WAVELET: Final = 13
"""Where the wavelet is said, from the beginning of that marker."""

HEADER_BYTES: Final = 1 << 16
"""How far into a frame its header is looked for."""

MAX_ITEMS_WALKED: Final = 1 << 16
"""So many fragments are followed to the end of a file; more are left to decoding."""

_ITEM = struct.Struct("<HHI")


@dataclass(frozen=True, slots=True)
class FrameSize:
    """What a decoded frame must be.

    Parameters
    ----------
    rows, columns : int
        Pixels.
    bits : int
        Allocated for each.
    """

    rows: int
    columns: int
    bits: int


def is_closed(header: Header) -> bool:
    """Whether the fragments of a file reach their end, seen from their lengths alone.

    Parameters
    ----------
    header : Header
        Of a file with encapsulated pixels.

    Returns
    -------
    bool
        False if the file ends before the mark that closes them.
    """
    file, pos = header.file, header.pixel_offset
    if header.syntax == DEFLATED:
        return True
    # A member of an archive is unpacked from its beginning for every read.
    whole = file.read(0, file.size) if file.member else b""
    for _ in range(MAX_ITEMS_WALKED):
        if pos + _ITEM.size > file.size:
            return False
        mark = whole[pos : pos + _ITEM.size] if whole else file.read(pos, _ITEM.size)
        group, element, length = _ITEM.unpack(mark.ljust(_ITEM.size, b"\0"))
        if group << 16 | element != tags.ITEM:
            # What is no mark at all is damage, which decoding reports.
            return True
        pos += _ITEM.size + length
    return True


def fragments(header: Header) -> list[bytes]:
    """Return the compressed frames of a file.

    Parameters
    ----------
    header : Header
        Of a file with encapsulated pixels.

    Returns
    -------
    list of bytes
        One for each frame.

    Raises
    ------
    UnreadableError
        If the fragments cannot be told apart, or the file ends within one.
    """
    data = header.read(header.pixel_offset, header.file.size - header.pixel_offset)
    starts, pieces, pos = [], [], 0
    table: tuple[int, ...] | None = None
    while pos + 8 <= len(data):
        group, element, length = _ITEM.unpack_from(data, pos)
        tag, pos = group << 16 | element, pos + 8
        if tag == tags.SEQUENCE_END:
            break
        if tag != tags.ITEM or pos + length > len(data):
            raise UnreadableError(
                f"{header.file.label} is cut short or damaged within its compressed pixels. Copy it again.",
                reason="truncated",
            )
        if table is None:
            table = struct.unpack_from(f"<{length // 4}I", data, pos)
            origin = pos + length
        else:
            starts.append(pos - 8 - origin)
            pieces.append(data[pos : pos + length])
        pos += length
    frames = header.attributes.integer(tags.NUMBER_OF_FRAMES) or 1
    return _joined(header, pieces, starts, table or (), frames)


def _joined(
    header: Header, pieces: list[bytes], starts: list[int], table: tuple[int, ...], frames: int
) -> list[bytes]:
    if len(pieces) == frames:
        return pieces
    if frames == 1 and pieces:
        return [b"".join(pieces)]
    extended = header.attributes.raw(tags.EXTENDED_OFFSETS)
    if extended:
        table = struct.unpack_from(f"<{len(extended) // 8}Q", extended)
    if len(table) == frames and set(table) <= set(starts) and len(pieces) > frames:
        firsts = [*sorted(starts.index(offset) for offset in table), len(pieces)]
        return [b"".join(pieces[a:b]) for a, b in pairwise(firsts)]
    raise UnreadableError(
        f"{header.file.label} says it holds {frames} frames, but has {len(pieces)} compressed pieces.",
        reason="truncated" if len(pieces) < frames else "inconsistent_frames",
    )


def decode(data: bytes, header: Header, size: FrameSize) -> npt.NDArray[Any]:
    """Decompress one frame.

    Parameters
    ----------
    data : bytes
        One of `fragments`.
    header : Header
        Of its file.
    size : FrameSize
        What it must be.

    Returns
    -------
    (rows, columns) ndarray of unsigned integers
        Stored values, as their bits lie.

    Raises
    ------
    UnreadableError
        If the syntax is unknown, the data damaged, or the frame of another size.
    """
    decoder = _decoder(header)
    try:
        frame = decoder(data, size)
    except BaseException as error:
        # Codecs written in Rust report a panic as an exception outside of Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UnreadableError(
            f"{header.file.label}: compressed pixels cannot be decoded: {error}."
        ) from error
    if frame.shape != (size.rows, size.columns):
        raise UnreadableError(
            f"{header.file.label}: the compressed frame is {frame.shape}, "
            f"the header says {size.rows} x {size.columns}."
        )
    if frame.dtype.kind == "u":
        return frame
    bits: npt.NDArray[Any] = frame.view(f"<u{frame.itemsize}")
    return bits


def _decoder(header: Header) -> Callable[[bytes, FrameSize], npt.NDArray[Any]]:
    if header.syntax == RLE:
        return _rle
    for syntaxes, decoder in ((JPEG, _jpeg), (JPEG_LS, _jpeg_ls), (JPEG_2000, _jpeg_2000)):
        if header.syntax in syntaxes:
            return decoder
    raise UnreadableError(
        f"{header.file.label} is compressed in a way no reader here knows ({header.syntax or 'not stated'}). "
        "Export the series uncompressed.",
        reason="unsupported_syntax",
    )


def _require(found: tuple[int, int], size: FrameSize) -> None:
    # Held before decoding: a damaged size must not make the decoder ask for gigabytes.
    if found != (size.rows, size.columns):
        raise ValueError(f"the compressed frame is {found}, the header says {size.rows} x {size.columns}")


def _rle(data: bytes, size: FrameSize) -> npt.NDArray[Any]:
    if len(data) * MAX_RLE_RATIO < size.rows * size.columns * size.bits // 8:
        raise ValueError("too little data for the frame")
    frame = import_module("rle.rle").decode_frame(data, size.rows * size.columns, size.bits, "<")
    return np.frombuffer(frame, dtype=f"<u{size.bits // 8}").reshape(size.rows, size.columns)


def _jpeg_ls(data: bytes, size: FrameSize) -> npt.NDArray[Any]:
    start = data.find(JPEG_LS_FRAME, 0, HEADER_BYTES)
    if start < 0 or start + 9 > len(data):
        raise ValueError("no JPEG-LS frame")
    _require(struct.unpack_from(">HH", data, start + 5), size)
    return np.asarray(import_module("imagecodecs").jpegls_decode(data))


def _jpeg(data: bytes, size: FrameSize) -> npt.NDArray[Any]:
    _require(_jpeg_size(data), size)
    return np.asarray(import_module("imagecodecs").jpeg8_decode(data))


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Rows and columns of a JPEG image (ISO 10918-1, B.2.2), from its first start of frame."""
    pos = 2
    while pos + 9 <= min(len(data), HEADER_BYTES) and data[pos] == 0xFF:
        marker, length = data[pos + 1], int.from_bytes(data[pos + 2 : pos + 4])
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAME:
            return int.from_bytes(data[pos + 5 : pos + 7]), int.from_bytes(data[pos + 7 : pos + 9])
        pos += 2 + length
    raise ValueError("no JPEG frame")


def _jpeg_2000(data: bytes, size: FrameSize) -> npt.NDArray[Any]:
    start = data.find(JPEG_2000_SIZE, 0, HEADER_BYTES)
    if start < 0 or start + 24 > len(data):
        raise ValueError("no JPEG 2000 codestream")
    columns, rows, left, top = struct.unpack_from(">4I", data, start + 8)
    _require((rows - top, columns - left), size)
    return np.asarray(import_module("imagecodecs").jpeg2k_decode(data))


def loses(data: bytes, header: Header) -> bool:
    """Whether a compressed frame shows by itself that it was compressed with loss.

    Parameters
    ----------
    data : bytes
        One of `fragments`.
    header : Header
        Of its file.

    Returns
    -------
    bool
        True for JPEG 2000 of the irreversible wavelet (ISO 15444-1, table A.20), whatever the header says.
    """
    if header.syntax not in JPEG_2000:
        return False
    start = data.find(JPEG_2000_STYLE, 0, HEADER_BYTES)
    return 0 <= start < len(data) - WAVELET and data[start + WAVELET] == 0

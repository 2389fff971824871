"""One DICOM file: its attributes, and where its pixels lie."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from flr_volumetry.errors import UnreadableError
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.parsing import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    DamagedDataSetError,
    Elements,
    Encoding,
    MoreNeededError,
    Piece,
    Walk,
    trace,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.io.dicom.layouts import Layouts
    from flr_volumetry.io.files import StoredFile

FIRST_READ_BYTES: Final = 16 * 1024
"""Holds the header of nearly every CT and MR image, and is one read of the disk."""
MAX_HEADER_BYTES: Final = 256 << 20
"""Attributes before the pixels; the largest real ones, contours, stay below a quarter of it."""
MAX_INFLATED_BYTES: Final = 2 << 30
KNOWN_BYTES: Final = 128
"""Longer texts and numbers, contours, are not kept: they do not come again."""

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

_PREAMBLE = 132
_MAGIC = b"DICM"
_CODECS = {
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "iso8859_11",
    **{
        f"ISO_IR {number}": f"iso8859_{part}"
        for number, part in {100: 1, 101: 2, 109: 3, 110: 4, 144: 5, 127: 6, 126: 7, 138: 8, 148: 9}.items()
    },
}


def _decimals(value: bytes) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, value.strip(b" \0").split(b"\\")))
    except ValueError:
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


def _decoded(value: bytes, charset: bytes) -> str:
    """Return a text of a character set (PS3.3, C.12.1.1.2), without its padding."""
    value = value.strip(b" \0\r\n\t")
    if value.isascii():
        return value.decode("ascii")
    declared = charset.decode("ascii", "replace").split("\\")[0].strip(" \0")
    fallback = "iso2022_jp_2" if b"\x1b" in value else "latin_1"
    codec = _CODECS.get(declared.replace("ISO 2022 IR", "ISO_IR"), fallback)
    return value.decode(codec, "replace")


_known_text = lru_cache(maxsize=1024)(_decoded)
_known_decimals = lru_cache(maxsize=1024)(_decimals)
"""Slices of one series have most of their texts and numbers in common."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of a data set or of an item, by tag.

    Parameters
    ----------
    elements : mapping of int to bytes or items
        As they lie in the file.
    big_endian : bool
        Byte order of binary numbers.
    """

    elements: Elements = field(repr=False)
    big_endian: bool = False

    def __contains__(self, tag: int) -> bool:
        return tag in self.elements

    def raw(self, tag: int) -> bytes:
        """Return the bytes of a value; empty where there is none."""
        value = self.elements.get(tag)
        return value if isinstance(value, bytes) else b""

    def text(self, tag: int) -> str:
        """Return a text, in the character set of the data set, without its padding."""
        value = self.elements.get(tag)
        if not value or not isinstance(value, bytes):
            return ""
        charset = self.raw(tags.CHARACTER_SET)
        return _known_text(value, charset) if len(value) <= KNOWN_BYTES else _decoded(value, charset)

    def texts(self, tag: int) -> list[str]:
        """Return the values of a text of several values."""
        return [part.strip() for part in self.text(tag).split("\\")] if self.raw(tag) else []

    def floats(self, tag: int) -> tuple[float, ...]:
        """Return decimal strings as numbers; empty where there are none, or one is no finite number."""
        value = self.raw(tag)
        return _known_decimals(value) if len(value) <= KNOWN_BYTES else _decimals(value)

    def double(self, tag: int) -> float | None:
        """Return a binary double."""
        value = self.raw(tag)
        if len(value) < 8:
            return None
        return float(struct.unpack_from(">d" if self.big_endian else "<d", value)[0])

    def integer(self, tag: int) -> int | None:
        """Return an integer string."""
        try:
            return int(self.raw(tag).strip(b" \0").split(b"\\")[0])
        except ValueError:
            return None

    def unsigned(self, tag: int) -> int | None:
        """Return a binary integer of two or four bytes."""
        value = self.raw(tag)
        if len(value) not in {2, 4}:
            return None
        return int.from_bytes(value, "big" if self.big_endian else "little")

    def items(self, tag: int) -> list[Attributes]:
        """Return the items of a sequence; none where it is absent."""
        value = self.elements.get(tag, b"")
        if isinstance(value, bytes):
            return []
        return [Attributes(item, self.big_endian) for item in value]


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """What is known of a DICOM file without its pixels.

    Parameters
    ----------
    file : StoredFile
        Which file.
    attributes : Attributes
        Those of `tags.WANTED`, or of others asked for, that it has.
    syntax : str
        Transfer syntax UID.
    pixel_offset : int
        Where the pixel data begins, in the data set after inflating it; -1 if there is none.
    pixel_length : int
        Its length, bytes; `parsing.UNDEFINED` where it is encapsulated in fragments.
    complete : bool
        Whether the header ends between attributes, not within one.
    pixel_vr : bytes
        Value representation of the pixel data; empty where the syntax leaves it out.
    """

    file: StoredFile
    attributes: Attributes
    syntax: str
    pixel_offset: int
    pixel_length: int
    complete: bool = True
    pixel_vr: bytes = b""

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the data set, inflated if it is deflated.

        Parameters
        ----------
        offset, length : int
            Bytes.

        Returns
        -------
        bytes
            What is there.

        Raises
        ------
        UnreadableError
            If the file cannot be read.
        """
        if self.syntax != DEFLATED:
            return self.file.read(offset, length)
        data = _inflated(self.file, offset + length)[0]
        return data[offset : offset + length]


def read_header(
    file: StoredFile,
    head: bytes | None = None,
    *,
    wanted: frozenset[int] = tags.WANTED,
    layouts: Layouts | None = None,
) -> Header | None:
    """Read the header of a DICOM file.

    Parameters
    ----------
    file : StoredFile
        Any file.
    head : bytes, optional
        Its first `FIRST_READ_BYTES`, if they were read already.
    wanted : frozenset of int, optional
        Which attributes to keep.
    layouts : Layouts, optional
        Those of headers read before, with the same `wanted`.

    Returns
    -------
    Header or None
        None if it is no DICOM file.

    Raises
    ------
    UnreadableError
        If it is one, but damaged or of an encoding that no reader knows.
    """
    data = file.read(0, FIRST_READ_BYTES) if head is None else head
    known = layouts.find(data) if layouts is not None else None
    if known is not None:
        layout, elements = known
        return Header(
            file,
            Attributes(elements, layout.encoding.big_endian),
            layout.syntax,
            layout.size,
            layout.pixel_length,
            pixel_vr=layout.pixel_vr,
        )
    start, syntax = _file_meta(data)
    if start < 0:
        return None
    if syntax == DEFLATED:
        data, whole = _inflated(file, FIRST_READ_BYTES)
        start = 0
    else:
        whole = len(data) >= file.size
    while True:
        try:
            found, encoding = _walk(data, start, syntax, wanted, whole=whole)
            break
        except MoreNeededError as more:
            data, whole = _more(file, syntax, len(data), more.offset)
        except DamagedDataSetError as error:
            raise UnreadableError(f"{file.label} is a damaged DICOM file: {error}.") from None
    if layouts is not None and found.pixel_length >= 0 and syntax != DEFLATED:
        _remember(layouts, data, (start, encoding, syntax), wanted, found)
    return Header(
        file,
        Attributes(found.elements, encoding.big_endian),
        syntax,
        found.end if found.pixel_length >= 0 else -1,
        found.pixel_length,
        found.complete,
        found.pixel_vr,
    )


def _remember(
    layouts: Layouts,
    data: bytes,
    begin: tuple[int, Encoding, str],
    wanted: frozenset[int],
    found: Walk,
) -> None:
    """Keep how a header is laid out, for the others of its series."""
    start, encoding, syntax = begin
    if not layouts.is_worth_adding or not data.startswith(_MAGIC, 128):
        return
    rest = trace(data, start, encoding, wanted)
    if rest is not None:
        layouts.add(
            data, [*_meta_pieces(data), *rest], encoding, syntax, (found.pixel_length, found.pixel_vr)
        )


def _more(file: StoredFile, syntax: str, have: int, offset: int) -> tuple[bytes, bool]:
    """Return more of a file whose header did not end in what was read, and whether that is all."""
    wanted = min(max(4 * have, offset + FIRST_READ_BYTES), MAX_HEADER_BYTES)
    if wanted <= have:
        raise UnreadableError(f"{file.label}: its header is longer than {MAX_HEADER_BYTES} bytes.")
    if syntax == DEFLATED:
        return _inflated(file, wanted)
    data = file.read(0, wanted)
    return data, len(data) >= file.size or len(data) < wanted


def _file_meta(data: bytes) -> tuple[int, str]:
    """Return where the data set begins and its transfer syntax; -1 if this is no DICOM file."""
    if data[128:132] == b"DICM":
        start = _PREAMBLE
    elif data[:2] in {b"\x02\0", b"\x08\0"} and data[3:4] == b"\0" and len(data) >= 12:
        start = 0
    elif data[:3] == b"\0\x08\0" and data[4:6] in {b"CS", b"UI", b"UL"}:
        return 0, EXPLICIT_BIG
    else:
        return -1, ""
    pos, syntax = start, ""
    for head, value, length in _meta_elements(data, start):
        if data[head + 2 : head + 4] == b"\x10\0":
            syntax = data[value : value + length].decode("ascii", "replace").strip(" \0")
        pos = value + length
    if pos >= len(data) and start == 0:
        return -1, ""
    return pos, syntax


def _meta_elements(data: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield head, value and length of each element of the file meta group."""
    pos = start
    while pos + 8 <= len(data) and data[pos : pos + 2] == b"\x02\0":
        vr, (length,) = data[pos + 4 : pos + 6], struct.unpack_from("<H", data, pos + 6)
        value = pos + 8
        if vr in {b"OB", b"UN", b"OW", b"UT", b"SQ"}:
            if pos + 12 > len(data):
                return
            (length,) = struct.unpack_from("<I", data, pos + 8)
            value = pos + 12
        elif not vr.isalpha():
            (length,) = struct.unpack_from("<I", data, pos + 4)
        yield pos, value, length
        pos = value + length


def _meta_pieces(data: bytes) -> Iterator[Piece]:
    """Yield what the reading of a file meta group goes by: its heads, and the transfer syntax."""
    yield Piece(_PREAMBLE - len(_MAGIC), len(_MAGIC), None)
    for head, value, length in _meta_elements(data, _PREAMBLE):
        said = length if data[head + 2 : head + 4] == b"\x10\0" else 0
        yield Piece(head, value - head + said, None)


def _walk(
    data: bytes, start: int, syntax: str, wanted: frozenset[int], *, whole: bool
) -> tuple[Walk, Encoding]:
    encoding = {IMPLICIT_LITTLE: IMPLICIT, EXPLICIT_BIG: BIG_ENDIAN}.get(syntax, EXPLICIT)
    # Writers without a transfer syntax, or with a false one, exist; the bytes say which it is.
    looks_explicit = data[start + 4 : start + 6].isalpha() and data[start + 4 : start + 6].isupper()
    if encoding is EXPLICIT and not looks_explicit:
        encoding = IMPLICIT
    elif encoding is IMPLICIT and looks_explicit:
        encoding = EXPLICIT
    return walk(data, start, encoding, whole=whole, wanted=wanted), encoding


def _inflated(file: StoredFile, wanted: int) -> tuple[bytes, bool]:
    """Inflate the data set of a deflated file, as far as wanted; and whether that is all of it."""
    packed = file.read(0, file.size)
    start, _ = _file_meta(packed)
    if wanted > MAX_INFLATED_BYTES:
        raise UnreadableError(f"{file.label}: its deflated data set is too large.")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(packed[start:], max(wanted, 1))
    except zlib.error as error:
        raise UnreadableError(f"{file.label}: its deflated data set is damaged: {error}.") from error
    return data, inflater.eof or len(data) < wanted


def is_encapsulated(header: Header) -> bool:
    """Whether the pixels lie in fragments, as compressed ones do."""
    return header.pixel_length == UNDEFINED

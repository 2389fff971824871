"""The DICOM data set as it lies in a file: a walk over its elements (PS3.5, section 7).

Only what a reader of volumes needs is kept, so that a disk of studies is scanned
at file-system speed. Every length read from the file is checked against it: a
damaged file ends the walk, it never makes it long or large.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from flr_volumetry.io.dicom import mask_tags, tags

UNDEFINED: Final = 0xFFFFFFFF
MAX_DEPTH: Final = 24
"""Sequences nested deeper than this are no image's; the standard needs about six."""

_SHORT: Final = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split(),
)
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_BYTES: Final = frozenset(b"OB OW".split())

Elements = dict[int, "bytes | list[Elements]"]
"""Value of each element by its tag: bytes, or the items of a sequence."""


class DamagedDataSetError(Exception):
    """The bytes are no data set in the encoding assumed."""


class MoreNeededError(Exception):
    """The walk left the bytes at hand, which are not yet the whole file."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written.

    Parameters
    ----------
    implicit : bool
        Whether value representations are left out.
    big_endian : bool
        Byte order of tags, lengths and numbers.
    """

    implicit: bool
    big_endian: bool = False
    head: struct.Struct = field(init=False, repr=False, compare=False)
    long: struct.Struct = field(init=False, repr=False, compare=False)
    item: struct.Struct = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        order = ">" if self.big_endian else "<"
        object.__setattr__(self, "head", struct.Struct(order + ("HHI" if self.implicit else "HH2sH")))
        object.__setattr__(self, "long", struct.Struct(order + "I"))
        object.__setattr__(self, "item", struct.Struct(order + "HHI"))


IMPLICIT: Final = Encoding(implicit=True)
EXPLICIT: Final = Encoding(implicit=False)
BIG_ENDIAN: Final = Encoding(implicit=False, big_endian=True)


class Walk(NamedTuple):
    """What one walk over a data set found."""

    elements: Elements
    end: int
    """Where the walk stopped: the pixels, the end of the item, or of the file."""
    pixel_length: int
    """Of the pixel data in bytes; `UNDEFINED` if encapsulated, -1 if there is none."""
    complete: bool
    """Whether it ended between elements."""
    pixel_vr: bytes = b""
    """Value representation of the pixel data; empty where the encoding leaves it out."""


class _Element(NamedTuple):
    """The head of an element."""

    tag: int
    vr: bytes
    length: int
    value: int
    """Where its value begins."""


_ENDED = _Element(-1, b"", 0, 0)


class _Reader:
    """One buffer, and whether it is the whole file."""

    __slots__ = ("data", "have", "whole")

    def __init__(self, data: bytes, *, whole: bool) -> None:
        self.data = data
        self.whole = whole
        self.have = len(data)

    def head(self, pos: int, encoding: Encoding) -> _Element:
        """Return the head of the element at `pos`, or `_ENDED` if the file ends within it."""
        if pos + 12 > self.have:
            if not self.whole:
                raise MoreNeededError(pos)
            if pos + 8 > self.have:
                return _ENDED
        if encoding.implicit:
            group, element, length = encoding.head.unpack_from(self.data, pos)
            return _Element(group << 16 | element, b"", length, pos + 8)
        group, element, vr, length = encoding.head.unpack_from(self.data, pos)
        if vr in _SHORT:
            return _Element(group << 16 | element, vr, length, pos + 8)
        if group == 0xFFFE:
            return _Element(
                group << 16 | element, b"", encoding.long.unpack_from(self.data, pos + 4)[0], pos + 8
            )
        if not (vr in _LONG or (vr.isalpha() and vr.isupper())):
            raise DamagedDataSetError(f"no value representation at byte {pos + 4}")
        if pos + 12 > self.have:
            return _ENDED
        return _Element(group << 16 | element, vr, encoding.long.unpack_from(self.data, pos + 8)[0], pos + 12)

    def walk(
        self, pos: int, limit: int, encoding: Encoding, wanted: frozenset[int] | None, depth: int
    ) -> Walk:
        """Walk from `pos`; `wanted` None keeps everything. Items end at `limit` or their delimiter."""
        elements: Elements = {}
        if depth > MAX_DEPTH:
            raise DamagedDataSetError("sequences are nested too deep")
        while (pos := self.shorts(pos, limit, encoding, wanted, elements)) < limit:
            tag, vr, length, value = self.head(pos, encoding)
            if tag >= _LATE and self.ends(tag, depth):
                if tag in _OTHER_PIXELS:
                    elements[tag] = b""
                length = -1 if tag == tags.ITEM_END else length
                return Walk(elements, value, length, complete=True, pixel_vr=vr)
            if tag < 0:
                return Walk(elements, pos, -1, complete=False)
            keep = wanted is None or tag in wanted
            if length == UNDEFINED or (keep and self.is_sequence(tag, vr, encoding)):
                items, pos = self.items(value, length, encoding, depth, keep=keep, vr=vr)
                if keep:
                    elements[tag] = items
                continue
            pos = value + length
            if keep:
                if pos > self.have:
                    if not self.whole:
                        raise MoreNeededError(pos)
                    return Walk(elements, value, -1, complete=False)
                elements[tag] = self.data[value:pos]
        if pos > self.have and not self.whole:
            raise MoreNeededError(pos)
        if pos > limit and depth:
            raise DamagedDataSetError("an element is longer than its item")
        return Walk(elements, pos, -1, complete=pos <= self.have)

    def shorts(
        self, pos: int, limit: int, encoding: Encoding, wanted: frozenset[int] | None, elements: Elements
    ) -> int:
        """Take elements of the short form, which most are; return where the first other one begins.

        Written without calls: a scan of a disk spends most of its time here.
        """
        if encoding.implicit:
            return pos
        data, unpack, have = self.data, encoding.head.unpack_from, self.have
        stop = min(limit, have - 12)
        while pos < stop:
            group, element, vr, length = unpack(data, pos)
            end = pos + 8 + length
            if vr not in _SHORT or group >= _LATE_GROUP or end > have:
                break
            tag = group << 16 | element
            if wanted is None or tag in wanted:
                elements[tag] = data[pos + 8 : end]
            pos = end
        return pos

    @staticmethod
    def ends(tag: int, depth: int) -> bool:
        """Whether an element ends the walk: the pixels, or the end of an item."""
        if tag in _DELIMITERS:
            raise DamagedDataSetError("a delimiter without its sequence")
        return tag == tags.ITEM_END or (depth == 0 and (tag == tags.PIXELS or tag in _OTHER_PIXELS))

    @staticmethod
    def is_sequence(tag: int, vr: bytes, encoding: Encoding) -> bool:
        """Whether a value of defined length consists of items."""
        return vr == b"SQ" or ((encoding.implicit or vr == b"UN") and tag in _SEQUENCES)

    def items(
        self, pos: int, length: int, encoding: Encoding, depth: int, *, keep: bool, vr: bytes
    ) -> tuple[list[Elements], int]:
        """Walk the items of a sequence, or step over the fragments of an encapsulated value."""
        inside = IMPLICIT if vr == b"UN" else encoding
        limit = (
            self.have
            if length == UNDEFINED
            else self.reach(pos + length, "a sequence is longer than the file")
        )
        found: list[Elements] = []
        while pos < limit or length == UNDEFINED:
            self.reach(pos + 8, "a sequence has no end")
            tag, size = self.item_head(pos, encoding)
            pos += 8
            if tag == tags.SEQUENCE_END:
                break
            if tag != tags.ITEM:
                raise DamagedDataSetError(f"no item at byte {pos - 8}")
            end = (
                self.have if size == UNDEFINED else self.reach(pos + size, "an item is longer than the file")
            )
            if vr in _BYTES or (not keep and size != UNDEFINED):
                pos = end
                continue
            walk = self.walk(pos, end, inside, None if keep else frozenset(), depth + 1)
            if size == UNDEFINED and (not walk.complete or walk.end >= self.have):
                self.reach(self.have + 1, "an item has no end")
            pos = walk.end
            if keep:
                found.append(walk.elements)
        return found, pos

    def item_head(self, pos: int, encoding: Encoding) -> tuple[int, int]:
        """Return the tag and the length of an item, or of what ends a sequence."""
        group, element, size = encoding.item.unpack_from(self.data, pos)
        return group << 16 | element, size

    def reach(self, end: int, otherwise: str) -> int:
        """Return `end` if the buffer reaches it; ask for more, or say what is damaged."""
        if end > self.have:
            if not self.whole:
                raise MoreNeededError(end)
            raise DamagedDataSetError(otherwise)
        return end


class Piece(NamedTuple):
    """Bytes of a header: a value kept, or what a walk went by."""

    start: int
    length: int
    tag: int | None
    """Whose value it is; None for what a walk goes by."""


class _Tracer(_Reader):
    """A reader that notes every byte it goes by."""

    __slots__ = ("pieces",)

    def __init__(self, data: bytes) -> None:
        super().__init__(data, whole=False)
        self.pieces: list[Piece] = []

    def head(self, pos: int, encoding: Encoding) -> _Element:
        found = super().head(pos, encoding)
        self.pieces.append(Piece(pos, found.value - pos, None))
        return found

    def item_head(self, pos: int, encoding: Encoding) -> tuple[int, int]:
        self.pieces.append(Piece(pos, 8, None))
        return super().item_head(pos, encoding)

    def shorts(
        self, pos: int, limit: int, encoding: Encoding, wanted: frozenset[int] | None, elements: Elements
    ) -> int:
        return pos

    def trace(self, pos: int, encoding: Encoding, wanted: frozenset[int]) -> list[Piece] | None:
        """Walk as `walk` does at the outermost level; None if a sequence is kept or there are no pixels."""
        while True:
            tag, vr, length, value = self.head(pos, encoding)
            if tag >= _LATE and self.ends(tag, 0):
                return self.pieces if tag == tags.PIXELS else None
            keep = tag in wanted
            if keep and (length == UNDEFINED or self.is_sequence(tag, vr, encoding)):
                return None
            if length == UNDEFINED:
                _, pos = self.items(value, length, encoding, 0, keep=False, vr=vr)
                continue
            pos = self.reach(value + length, "")
            if keep:
                self.pieces.append(Piece(value, length, tag))


_OTHER_PIXELS: Final = frozenset({tags.FLOAT_PIXELS, tags.DOUBLE_PIXELS})
_DELIMITERS: Final = frozenset({tags.ITEM, tags.SEQUENCE_END})
_LATE: Final = tags.FLOAT_PIXELS
_LATE_GROUP: Final = _LATE >> 16
_SEQUENCES: Final = frozenset(
    {
        *(tags.MODALITY_LUT, tags.SEGMENTS, tags.STRUCTURE_SET_ROIS, tags.SHARED_GROUPS),
        *(tags.PER_FRAME_GROUPS, tags.MR_ECHO, tags.MR_DIFFUSION, tags.CARDIAC_SYNCHRONIZATION),
        *(tags.MR_FRAME_TYPE, tags.CT_FRAME_TYPE, tags.FRAME_CONTENT, tags.PLANE_POSITION),
        *(tags.PLANE_ORIENTATION, tags.PIXEL_MEASURES, tags.PIXEL_TRANSFORMATION),
        *mask_tags.SEQUENCES,
    }
)
"""Wanted sequences, which implicit encoding does not mark as such."""


def walk(
    data: bytes, start: int, encoding: Encoding, *, whole: bool, wanted: frozenset[int] | None = tags.WANTED
) -> Walk:
    """Walk over a data set up to its pixels, keeping the wanted elements.

    Parameters
    ----------
    data : bytes
        The file, or its beginning.
    start : int
        Where the data set begins.
    encoding : Encoding
        How it is written.
    whole : bool
        Whether `data` is all there is.
    wanted : frozenset of int or None
        Tags to keep at the outermost level; None keeps all. Of a sequence kept, all is kept.

    Returns
    -------
    Walk
        What was found.

    Raises
    ------
    DamagedDataSetError
        If the bytes are no data set in this encoding.
    MoreNeededError
        If `data` is not the whole file and ends too early.
    """
    reader = _Reader(data, whole=whole)
    return reader.walk(start, len(data) if whole else 1 << 62, encoding, wanted, 0)


def trace(data: bytes, start: int, encoding: Encoding, wanted: frozenset[int]) -> list[Piece] | None:
    """Return what a walk over a data set, which has succeeded, went by and kept.

    Parameters
    ----------
    data : bytes
        The file, or its beginning.
    start : int
        Where the data set begins.
    encoding : Encoding
        How it is written.
    wanted : frozenset of int
        Tags to keep.

    Returns
    -------
    list of Piece or None
        In the order of the file, up to the head of the pixels. None where the walk was of another
        kind: without pixels, or keeping sequences.
    """
    try:
        return _Tracer(data).trace(start, encoding, wanted)
    except (DamagedDataSetError, MoreNeededError):
        return None

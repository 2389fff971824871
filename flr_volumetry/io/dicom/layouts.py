"""Headers laid out like one that was walked before: told by their tags and lengths, and not walked again.

The files of a series have their attributes at the same places, or at one of a few sets of places.
A layout holds every byte that the walk over one header went by (tags, representations, lengths, the
transfer syntax): another header with the same bytes there would be walked in the same way, so its
values are taken from where they lie. One that differs in any of them is walked.
"""

from __future__ import annotations

from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flr_volumetry.io.dicom.parsing import Elements, Encoding, Piece

MAX_ENDS: Final = 32
"""So many lengths of header are told apart; a series has a handful."""
MAX_ALIKE: Final = 6
"""So many layouts of one length are tried."""
MARK_BYTES: Final = 8
"""Of the pixels' head: their tag, and what follows it."""
TRIED: Final = 64
"""After so many headers without a known layout it is held against those that had one."""
FEWEST_KEPT: Final = 2
"""A header with fewer values is no image's."""
SELDOM: Final = 16
"""Where nearly every header is laid out differently, one in so many is remembered."""


class Layout(NamedTuple):
    """Where the values of a header lie."""

    unpack: Callable[[bytes], tuple[bytes, ...]]
    size: int
    fixed: Callable[[tuple[bytes, ...]], Any]
    """Takes the bytes that the walk went by out of what is unpacked."""
    expected: Any
    kept: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
    tags: tuple[int, ...]
    encoding: Encoding
    syntax: str
    pixel_length: int
    pixel_vr: bytes

    def elements(self, data: bytes) -> Elements | None:
        """Return the values of a header that is laid out so; None if it is not."""
        if len(data) < self.size:
            return None
        parts = self.unpack(data)
        if self.fixed(parts) != self.expected:
            return None
        return dict(zip(self.tags, self.kept(parts), strict=True))


class Layouts:
    """The layouts met in one scan, the last one used first."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, bytes, list[Layout]]] = []
        self._hits = self._misses = 0

    def find(self, data: bytes) -> tuple[Layout, Elements] | None:
        """Return the layout of a header and its values by tag, or None if it is laid out like no other.

        Parameters
        ----------
        data : bytes
            The file, or its beginning.

        Returns
        -------
        Layout and its elements, or None
            The values are exactly those that a walk would have kept.
        """
        for place, entry in enumerate(self._ends):
            start, mark, alike = entry
            if data[start : start + MARK_BYTES] != mark:
                continue
            for number, layout in enumerate(alike):
                elements = layout.elements(data)
                if elements is not None:
                    self._hits += 1
                    if place:
                        self._ends.insert(0, self._ends.pop(place))
                    if number:
                        alike.insert(0, alike.pop(number))
                    return layout, elements
        self._misses += 1
        return None

    @property
    def is_worth_adding(self) -> bool:
        """Whether headers repeat each other often enough for the next one to be remembered."""
        return self._misses <= TRIED or self._misses <= self._hits or self._misses % SELDOM == 0

    def add(
        self,
        data: bytes,
        pieces: Sequence[Piece],
        encoding: Encoding,
        syntax: str,
        pixels: tuple[int, bytes],
    ) -> None:
        """Remember how a header is laid out.

        Parameters
        ----------
        data : bytes
            The file, or its beginning.
        pieces : sequence of Piece
            What the walk went by, and what it kept, in the order of the file; the head of the
            pixels comes last.
        encoding : Encoding
            How its data set is written.
        syntax : str
            Its transfer syntax.
        pixels : tuple of int and bytes
            Length and value representation of the pixel data.
        """
        if sum(piece.tag is not None for piece in pieces) < FEWEST_KEPT:
            return
        layout, last = _layout(data, pieces, encoding, syntax, pixels), pieces[-1].start
        mark = data[last : last + MARK_BYTES]
        for start, known, alike in self._ends:
            if start == last and known == mark:
                alike.insert(0, layout)
                del alike[MAX_ALIKE:]
                return
        self._ends.insert(0, (last, mark, [layout]))
        del self._ends[MAX_ENDS:]


def _layout(
    data: bytes, pieces: Sequence[Piece], encoding: Encoding, syntax: str, pixels: tuple[int, bytes]
) -> Layout:
    spec, fixed, kept, tags, pos = ["<"], [], [], [], 0
    for number, (start, length, tag) in enumerate(pieces):
        spec.append(f"{start - pos}x{length}s")
        pos = start + length
        if tag is None:
            fixed.append(number)
        else:
            kept.append(number)
            tags.append(tag)
    form = Struct("".join(spec))
    take = itemgetter(*fixed)
    expected = take(form.unpack_from(data))
    return Layout(
        form.unpack_from, form.size, take, expected, itemgetter(*kept), tuple(tags), encoding, syntax, *pixels
    )

"""VTK's legacy files of polygons, as bytes and as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.io.meshes.parts import (
    CHUNK_BYTES,
    Floats,
    Ints,
    RawMesh,
    damaged,
    fans,
    floats,
    numbers,
    require_bytes,
    strips,
    whole,
)
from flr_volumetry.io.spaces import declared

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_LINE_BYTES: Final = 1024
_TYPES: Final = {
    "bit": "",
    "unsigned_char": "u1",
    "char": "i1",
    "unsigned_short": "u2",
    "short": "i2",
    "unsigned_int": "u4",
    "int": "i4",
    "unsigned_long": "u8",
    "long": "i8",
    "float": "f4",
    "double": "f8",
    "vtktypeint64": "i8",
    "vtktypeuint64": "u8",
    "vtkidtype": "i4",
}
_WORD: Final = re.compile(rb"\S+")
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")


@dataclass(slots=True)
class _Cursor:
    """A place in a file, and how its numbers are written."""

    data: bytes
    at: int
    label: str
    text: bool = False

    def line(self) -> list[str]:
        """Return the words of the next line that is not empty; none at the end of the file."""
        while self.at < len(self.data):
            stop = self.data.find(b"\n", self.at, self.at + MAX_LINE_BYTES)
            if stop < 0:
                stop = min(len(self.data), self.at + MAX_LINE_BYTES)
                if stop < len(self.data):
                    raise damaged(self.label, "holds something else where a line of words should be.")
            words = self.data[self.at : stop].decode("ascii", "replace").split()
            self.at = stop + 1
            if words:
                return words
        return []

    def array(self, count: int, kind: str, what: str) -> npt.NDArray[Any]:
        """Return the next numbers, in the file's type or, from text, in float64."""
        if kind.lower() not in _TYPES or not _TYPES[kind.lower()]:
            raise damaged(self.label, f"holds {what} of the type {kind[:20]!r}, which is not read.")
        if self.text:
            return self._numbers(count, what)
        dtype = np.dtype(">" + _TYPES[kind.lower()])
        require_bytes(self.data, self.at, count * dtype.itemsize, self.label, what)
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += count * dtype.itemsize
        return values

    def string(self) -> bytes:
        """Return the next string: a line of text, or bytes behind their number."""
        if self.text:
            stop = self.data.find(b"\n", self.at)
            text = self.data[self.at : stop if stop >= 0 else len(self.data)]
            self.at += len(text) + 1
            return text.strip()
        require_bytes(self.data, self.at, 1, self.label, "a text")
        # The first two bits tell how many bytes the length takes: 3 one, 2 two, 1 four, 0 eight.
        width = 8 >> (self.data[self.at] >> 6)
        require_bytes(self.data, self.at, width, self.label, "a text")
        length = int.from_bytes(self.data[self.at : self.at + width], "big") & ((1 << (8 * width - 2)) - 1)
        self.at += width
        require_bytes(self.data, self.at, length, self.label, "a text")
        self.at += length
        return self.data[self.at - length : self.at]

    def _numbers(self, count: int, what: str) -> Floats:
        require_bytes(self.data, self.at, 2 * count - 1 if count else 0, self.label, what)
        parts: list[Floats] = [np.zeros(0)]
        left = count
        while left:
            piece, taken = self._words(left)
            if not taken:
                raise damaged(self.label, f"is cut short: {left} numbers are missing in {what}.", "truncated")
            parts.append(numbers(piece, self.label, taken, what))
            left -= taken
        return np.concatenate(parts)

    def _words(self, most: int) -> tuple[bytes, int]:
        """Up to so many words from here on, as they stand, and how many; the place goes behind them."""
        start = self.at
        taken = 0
        for word in _WORD.finditer(self.data, start, min(len(self.data), start + CHUNK_BYTES)):
            cut = word.end() == start + CHUNK_BYTES < len(self.data)
            if taken == most or cut:
                break
            taken += 1
            self.at = word.end()
        return self.data[start : self.at], taken


def read_vtk(data: bytes, label: str) -> RawMesh:
    """Read a legacy VTK file.

    Parameters
    ----------
    data : bytes
        The file, of any version up to 5.1.
    label : str
        What to call it in messages.

    Returns
    -------
    RawMesh
        Polygons and strips as triangles. What is said of points and cells is passed over.

    Raises
    ------
    UnreadableError
        If it is not VTK, damaged, or holds another kind of data.
    """
    cursor = _Cursor(data, 0, label)
    version = _version(cursor)
    title = data[cursor.at : data.find(b"\n", cursor.at, cursor.at + MAX_LINE_BYTES) + 1]
    cursor.at += len(title)
    match cursor.line():
        case ["ASCII"]:
            cursor.text = True
        case ["BINARY"]:
            pass
        case _:
            raise damaged(label, "says neither ASCII nor BINARY in its third line.")
    kind = cursor.line()
    if kind != ["DATASET", "POLYDATA"]:
        raise damaged(
            label,
            f"holds {' '.join(kind)[:40]!r}, and a surface is DATASET POLYDATA. Save it as a surface.",
            "not_a_surface",
        )
    points, triangles, said = _sections(cursor, version)
    return RawMesh(points, triangles, declared([title, *said], label))


def _version(cursor: _Cursor) -> tuple[int, int]:
    match cursor.line():
        case ["#", "vtk", "DataFile", "Version", number] if re.fullmatch(r"[1-5]\.\d", number):
            return int(number[0]), int(number[2])
    raise damaged(cursor.label, "does not begin as a legacy VTK file of a version up to 5.1.")


def _sections(cursor: _Cursor, version: tuple[int, int]) -> tuple[Floats, Ints, list[bytes]]:
    """Points, triangles, and what fields say of the axes."""
    said: list[bytes] = []
    points: Floats | None = None
    parts = [np.zeros((0, 3), np.int64)]
    while words := cursor.line():
        match words:
            case ["POINTS", count, kind] if points is None:
                values = cursor.array(3 * _count(count, cursor), kind, "the points")
                points = floats(values).reshape(-1, 3)
            case [("VERTICES" | "LINES" | "POLYGONS" | "TRIANGLE_STRIPS") as name, first, second]:
                read = _offset_cells if version >= (5, 0) else _counted_cells
                corners, ends = read(cursor, _count(first, cursor), _count(second, cursor))
                if name in ("POLYGONS", "TRIANGLE_STRIPS"):
                    parts.append((fans if name == "POLYGONS" else strips)(corners, ends, cursor.label))
            case ["METADATA"]:
                _pass_metadata(cursor)
            case ["FIELD", _, count]:
                said += _fields(cursor, _count(count, cursor))
            case [("POINT_DATA" | "CELL_DATA"), _]:
                break
            case _:
                raise damaged(cursor.label, f"has a line that is not read: {' '.join(words)[:40]!r}.")
    if points is None:
        raise damaged(cursor.label, "holds no points.", "truncated")
    return points, np.concatenate(parts), said


def _count(word: str, cursor: _Cursor) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 13):
        raise damaged(cursor.label, f"announces {word[:20]!r} of something.")
    return int(word)


def _counted_cells(cursor: _Cursor, cells: int, size: int) -> tuple[Ints, Ints]:
    """Cells as written up to version 4.2: the number of corners before each."""
    values = whole(cursor.array(size, "int", "the cells"), cursor.label, "the cells")
    triples = size == 4 * cells and bool((values[::4] == 3).all())
    if triples:
        corners = values.reshape(-1, 4)[:, 1:].ravel()
        return corners, np.arange(1, cells + 1, dtype=np.int64) * 3
    keep = np.ones(size, dtype=bool)
    ends: list[int] = []
    at = 0
    while at < size:
        keep[at] = False
        length = int(values[at])
        at += length + 1
        if length < 0 or at > size:
            raise damaged(cursor.label, "holds a cell with more corners than there are.", "bad_polygon")
        ends.append(at - len(ends) - 1)
    if len(ends) != cells:
        raise damaged(cursor.label, f"announces {cells} cells and holds {len(ends)}.", "bad_polygon")
    return values[keep], np.array(ends, dtype=np.int64)


def _offset_cells(cursor: _Cursor, offsets: int, size: int) -> tuple[Ints, Ints]:
    """Cells as written from version 5.0 on: where each begins, and then all corners."""
    found: list[Ints] = []
    for name, count in (("OFFSETS", offsets), ("CONNECTIVITY", size)):
        words = cursor.line()
        if len(words) != 2 or words[0] != name:
            raise damaged(cursor.label, f"has no {name} where they should be.", "truncated")
        values = cursor.array(count, words[1], f"the {name.lower()}")
        found.append(whole(values, cursor.label, f"the {name.lower()}"))
    begins, corners = found
    if len(begins) and begins[0] != 0:
        raise damaged(cursor.label, "has cells that do not begin with the first corner.", "bad_polygon")
    return corners, begins[1:]


def _pass_metadata(cursor: _Cursor) -> None:
    """Pass over the lines up to the next empty one."""
    empty = _EMPTY_LINE.search(cursor.data, cursor.at - 1)
    cursor.at = empty.end() if empty else len(cursor.data)


def _fields(cursor: _Cursor, count: int) -> list[bytes]:
    """Pass over arrays that say something of the whole; return what one of them says of the axes."""
    said: list[bytes] = []
    for _ in range(count):
        words = cursor.line()
        while words == ["METADATA"]:
            _pass_metadata(cursor)
            words = cursor.line()
        if len(words) != 4:
            raise damaged(cursor.label, "is cut short or damaged in its field data.", "truncated")
        name, values = words[0], _count(words[1], cursor) * _count(words[2], cursor)
        if words[3] != "string":
            cursor.array(values, words[3], "the field data")
        elif values > len(cursor.data):
            raise damaged(cursor.label, "is cut short in its field data.", "truncated")
        else:
            texts = [cursor.string() for _ in range(values)]
            said += [b"SPACE=" + text for text in texts if name == "SPACE"]
    return said

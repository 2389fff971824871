"""PLY, as bytes of either order and as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.io.meshes.parts import (
    Floats,
    Ints,
    RawMesh,
    damaged,
    fans,
    floats,
    numbers,
    require_bytes,
    whole,
)
from flr_volumetry.io.spaces import declared

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from flr_volumetry.resection import TriangleSurface

MAX_HEADER_BYTES: Final = 1 << 16
MAX_PROPERTIES: Final = 256
_TYPES: Final = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
_ORDERS: Final = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_CORNERS: Final = ("vertex_indices", "vertex_index")
WRITTEN_FACE: Final = np.dtype([("count", "u1"), ("corners", "<i4", 3)])


@dataclass(frozen=True, slots=True)
class _Property:
    """One property of an element; `counted_by` is the type of a list's length, or empty."""

    name: str
    kind: str
    counted_by: str = ""


@dataclass(slots=True)
class _Element:
    """One kind of element: how many, and what each has."""

    name: str
    count: int
    properties: list[_Property]

    @property
    def lists(self) -> list[_Property]:
        return [p for p in self.properties if p.counted_by]


def read_ply(data: bytes, label: str) -> RawMesh:
    """Read a PLY file.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        What to call it in messages.

    Returns
    -------
    RawMesh
        Faces of more than three corners are divided into triangles.

    Raises
    ------
    UnreadableError
        If it is not PLY, or damaged, or has no faces.
    """
    order, elements, comments, start = _header(data, label)
    space = declared(comments, label)
    points = np.zeros((0, 3))
    triangles = np.zeros((0, 3), np.int64)
    source = _Bytes(data, start, order, label) if order else _Text.of(data[start:], label)
    for element in elements:
        columns, corners, sizes = source.rows(element)
        if element.name == "vertex":
            if not {"x", "y", "z"} <= columns.keys():
                raise damaged(label, "has vertices without x, y or z.")
            points = np.stack([floats(columns[axis]) for axis in "xyz"], axis=1)
        elif element.name == "face":
            triangles = fans(corners, np.cumsum(sizes), label)
        elif element.name == "tristrips" and element.count:
            raise damaged(label, "holds triangle strips, which are not read; save faces.", "unsupported")
    source.require_end()
    return RawMesh(points, triangles, space)


def _header(data: bytes, label: str) -> tuple[str, list[_Element], list[bytes], int]:
    """Byte order (empty for text), the elements, the comments, and where the data begin."""
    head = data[:MAX_HEADER_BYTES]
    end = head.find(b"\nend_header")
    stop = head.find(b"\n", end + 1)
    if not head.startswith(b"ply") or end < 0 or stop < 0:
        raise damaged(label, "has no whole PLY header.", "truncated")
    order: str | None = None
    elements: list[_Element] = []
    comments: list[bytes] = []
    for line in head[:end].splitlines()[1:]:
        words = line.decode("ascii", "replace").split()
        match words:
            case ["comment" | "obj_info", *_]:
                comments.append(line)
            case ["format", name, _]:
                order = _ORDERS.get(name)
            case ["element", name, count] if count.isascii() and count.isdigit() and len(count) < 16:
                elements.append(_Element(name, int(count), []))
            case ["property", "list", counted_by, kind, name] if {counted_by, kind} <= _TYPES.keys():
                _add(elements, _Property(name, _TYPES[kind], _TYPES[counted_by]), label)
            case ["property", kind, name] if kind in _TYPES:
                _add(elements, _Property(name, _TYPES[kind]), label)
            case []:
                pass
            case _:
                raise damaged(label, f"has a line in its header that is not PLY: {' '.join(words)[:60]!r}.")
    names = [e.name for e in elements]
    if order is None or len(names) != len(set(names)) or not {"vertex", "face"} <= set(names):
        raise damaged(label, "does not say its format, or lacks vertices or faces: it is no surface.")
    _require_corners(elements, label)
    return order, elements, comments, stop + 1


def _add(elements: list[_Element], added: _Property, label: str) -> None:
    if not elements or len(elements[-1].properties) >= MAX_PROPERTIES:
        raise damaged(label, "has properties of no element, or too many, in its header.")
    if added.name in {p.name for p in elements[-1].properties} or added.counted_by.startswith("f"):
        raise damaged(label, f"names the property {added.name!r} twice, or counts it in fractions.")
    elements[-1].properties.append(added)


def _require_corners(elements: list[_Element], label: str) -> None:
    face = next(e for e in elements if e.name == "face")
    corners = [p for p in face.lists if p.name in _CORNERS and p.kind[0] in "iu"]
    if len(corners) != 1:
        raise damaged(label, "has faces without vertex_indices.")


Rows = tuple[dict[str, "npt.NDArray[Any]"], Ints, Ints]
"""Scalar columns by name, the corners of all faces, and how many each face has."""


def _corner_column(element: _Element) -> int | None:
    for n, prop in enumerate(element.properties):
        if element.name == "face" and prop.counted_by and prop.name in _CORNERS:
            return n
    return None


def _none() -> tuple[Ints, Ints]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


@dataclass(slots=True)
class _Bytes:
    """Rows of bytes, from a place on."""

    data: bytes
    at: int
    order: str
    label: str

    def rows(self, element: _Element) -> Rows:
        """Read an element; where all lists have the lengths of the first row, all at once."""
        least = sum(np.dtype(p.counted_by or p.kind).itemsize for p in element.properties)
        self._require(element.count * least, f"{element.count} {element.name}")
        if element.count == 0:
            return {p.name: np.zeros(0) for p in element.properties}, *_none()
        start = self.at
        lengths = self._row(element)
        layout = self._layout(element, lengths)
        if start + element.count * layout.itemsize <= len(self.data):
            table = np.frombuffer(self.data, layout, element.count, start)
            if all((table[f"n{n}"] == length).all() for n, length in lengths.items()):
                self.at = start + element.count * layout.itemsize
                return _from_table(table, element, lengths)
        self.at = start
        return self._one_by_one(element)

    def require_end(self) -> None:
        if self.data[self.at :].strip():
            raise damaged(self.label, "holds more bytes than its header announces.")

    def _require(self, count: int, what: str) -> None:
        require_bytes(self.data, self.at, count, self.label, what)

    def _layout(self, element: _Element, lengths: dict[int, int]) -> np.dtype[Any]:
        fields: list[tuple[Any, ...]] = []
        for n, prop in enumerate(element.properties):
            if prop.counted_by:
                fields.append((f"n{n}", self.order + prop.counted_by))
                fields.append((f"v{n}", self.order + prop.kind, (lengths[n],)))
            else:
                fields.append((f"v{n}", self.order + prop.kind))
        return np.dtype(fields)

    def _row(self, element: _Element, kept: bytearray | None = None) -> dict[int, int]:
        """Pass over one row; return the lengths of its lists, and keep the corners of a face."""
        wanted = _corner_column(element)
        lengths: dict[int, int] = {}
        for n, prop in enumerate(element.properties):
            size = np.dtype(prop.kind).itemsize
            if prop.counted_by:
                width = np.dtype(prop.counted_by).itemsize
                self._require(width, f"the length of {prop.name}")
                length = np.frombuffer(self.data, self.order + prop.counted_by, 1, self.at)[0]
                lengths[n] = int(length)
                size *= lengths[n]
                self.at += width
            self._require(size, prop.name)
            if n == wanted and kept is not None:
                kept += self.data[self.at : self.at + size]
            self.at += size
        return lengths

    def _one_by_one(self, element: _Element) -> Rows:
        if element.name == "vertex":
            raise damaged(self.label, "has vertices with lists of different lengths.", "unsupported")
        wanted = _corner_column(element)
        sizes = np.zeros(element.count, np.int64)
        kept = bytearray()
        for row in range(element.count):
            lengths = self._row(element, kept)
            sizes[row] = 0 if wanted is None else lengths[wanted]
        if wanted is None:
            return {}, *_none()
        kind = self.order + element.properties[wanted].kind
        return {}, np.frombuffer(kept, kind).astype(np.int64), sizes


def _from_table(table: npt.NDArray[Any], element: _Element, lengths: dict[int, int]) -> Rows:
    columns = {p.name: table[f"v{n}"] for n, p in enumerate(element.properties) if not p.counted_by}
    wanted = _corner_column(element)
    if wanted is None:
        return columns, *_none()
    corners = table[f"v{wanted}"].astype(np.int64).ravel()
    return columns, corners, np.full(element.count, lengths[wanted], np.int64)


@dataclass(slots=True)
class _Text:
    """Rows of numbers in text, from a place on."""

    values: Floats
    at: int
    label: str

    @classmethod
    def of(cls, text: bytes, label: str) -> _Text:
        return cls(numbers(text, label, None, "its elements"), 0, label)

    def rows(self, element: _Element) -> Rows:
        """Read an element; where all lists have the lengths of the first row, all at once."""
        self._require(element.count * len(element.properties), element.name)
        if element.count == 0:
            return {p.name: np.zeros(0) for p in element.properties}, *_none()
        start = self.at
        places = self._row(element)
        width = self.at - start
        if start + element.count * width <= len(self.values):
            table = self.values[start : start + element.count * width].reshape(element.count, width)
            counted = [at - 1 for n, (at, _) in places.items() if element.properties[n].counted_by]
            if (table[:, counted] == table[0, counted]).all():
                self.at = start + element.count * width
                return self._from_table(table, element, places)
        self.at = start
        return self._one_by_one(element)

    def require_end(self) -> None:
        if self.at != len(self.values):
            raise damaged(self.label, "holds more numbers than its header announces.")

    def _require(self, count: int, what: str) -> None:
        if self.at + count > len(self.values):
            raise damaged(self.label, f"is cut short: numbers are missing for {what}.", "truncated")

    def _row(self, element: _Element) -> dict[int, tuple[int, int]]:
        """Pass over one row; return where each property begins in it, and how many numbers it has."""
        places: dict[int, tuple[int, int]] = {}
        start = self.at
        for n, prop in enumerate(element.properties):
            length = 1
            if prop.counted_by:
                self._require(1, prop.name)
                length = int(whole(self.values[self.at : self.at + 1], self.label, prop.name)[0])
                self.at += 1
            if length < 0:
                raise damaged(self.label, f"has a list of {length} {prop.name}.")
            self._require(length, prop.name)
            places[n] = (self.at - start, length)
            self.at += length
        return places

    def _from_table(self, table: Floats, element: _Element, places: dict[int, tuple[int, int]]) -> Rows:
        columns = {
            p.name: table[:, places[n][0]] for n, p in enumerate(element.properties) if not p.counted_by
        }
        wanted = _corner_column(element)
        if wanted is None:
            return columns, *_none()
        at, length = places[wanted]
        corners = whole(table[:, at : at + length].ravel(), self.label, "its faces")
        return columns, corners, np.full(element.count, length, np.int64)

    def _one_by_one(self, element: _Element) -> Rows:
        if element.name == "vertex":
            raise damaged(self.label, "has vertices with lists of different lengths.", "unsupported")
        wanted = _corner_column(element)
        sizes = np.zeros(element.count, np.int64)
        kept: list[Floats] = [np.zeros(0)]
        for row in range(element.count):
            start = self.at
            places = self._row(element)
            if wanted is not None:
                at, sizes[row] = places[wanted]
                kept.append(self.values[start + at : start + at + places[wanted][1]])
        if wanted is None:
            return {}, *_none()
        return {}, whole(np.concatenate(kept), self.label, "its faces"), sizes


def ply_bytes(surface: TriangleSurface, title: str) -> Iterator[bytes]:
    """Give the bytes of a PLY file: little-endian, coordinates in float64.

    Parameters
    ----------
    surface : TriangleSurface
        What to write.
    title : str
        For a comment; another states LPS.

    Yields
    ------
    bytes
        One after the other.
    """
    words = " ".join(title.encode("ascii", "replace").decode("ascii").split())
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {words}",
        "comment SPACE=LPS",
        f"element vertex {len(surface.vertices_mm)}",
        *(f"property double {axis}" for axis in "xyz"),
        f"element face {len(surface.triangles)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    yield ("\n".join(header) + "\n").encode("ascii")
    yield surface.vertices_mm.astype("<f8").tobytes()
    faces = np.empty(len(surface.triangles), WRITTEN_FACE)
    faces["count"] = 3
    faces["corners"] = surface.triangles
    yield faces.tobytes()

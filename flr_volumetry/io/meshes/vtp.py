"""VTK's XML files of polygons (.vtp): text, base64 and appended bytes, packed by zlib or not."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

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
    strips,
    whole,
)
from flr_volumetry.io.spaces import declared

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_BLOCKS: Final = 1 << 20
MAX_UNPACKED_BYTES: Final = 256 << 20
"""What a file may unpack to, beyond three times its own length."""
_TYPES: Final = {
    **{f"Int{bits}": f"i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": f"u{bits // 8}" for bits in (8, 16, 32, 64)},
    "Float32": "f4",
    "Float64": "f8",
    "String": "u1",
}
_APPENDED: Final = re.compile(rb'<AppendedData\s+encoding\s*=\s*"(raw|base64)"\s*>\s*_')
_ZLIB: Final = "vtkZLibDataCompressor"
_DECLARATION: Final = re.compile(rb"<!(?!--)")


@dataclass(frozen=True, slots=True)
class _Appended:
    """The bytes behind the XML, from the first one on."""

    data: bytes
    start: int
    is_text: bool


@dataclass(frozen=True, slots=True)
class _File:
    """How a file writes its arrays."""

    label: str
    order: str
    head: str
    """Type of the numbers before an array."""
    compressor: str
    appended: _Appended | None
    most: int
    """Most bytes an array may have."""

    def array(self, element: ET.Element | None, count: int | None, what: str) -> npt.NDArray[Any]:
        """Return the numbers of a DataArray: `count` of them, or, for None, as many as there are."""
        if element is None:
            raise damaged(self.label, f"lacks {what}.", "truncated")
        kind = _TYPES.get(element.get("type", ""))
        if kind is None:
            raise damaged(self.label, f"holds {what} of an unknown type.")
        written = element.get("format")
        if written != "ascii" and self.compressor not in ("", _ZLIB):
            name = self.compressor[:40]
            raise damaged(self.label, f"is packed by {name}; save it with zlib, or unpacked.", "unsupported")
        match written:
            case "ascii":
                return numbers(_text(element).encode("ascii", "replace"), self.label, count, what)
            case "binary":
                raw = self._from_text(_text(element), what)
            case "appended":
                raw = self._from_end(element.get("offset", ""), what)
            case _:
                raise damaged(self.label, f"does not say how {what} is written.")
        dtype = np.dtype(self.order + kind)
        if len(raw) % dtype.itemsize or (count is not None and len(raw) != count * dtype.itemsize):
            raise damaged(self.label, f"holds {len(raw)} bytes for {what}, not {count} numbers.", "truncated")
        return np.frombuffer(raw, dtype)

    @property
    def packed(self) -> bool:
        """Whether arrays of bytes are packed."""
        return bool(self.compressor)

    def _from_text(self, text: str, what: str) -> bytes:
        """Decode base64: the head, encoded by itself or together with the data, then the data."""
        packed = "".join(text.split())
        width = np.dtype(self.head).itemsize
        count = 1
        if self.packed:
            first = np.frombuffer(self._decoded(packed, width, what), self.head)
            count = 3 + self._blocks(first, what)
        size = width * count
        lengths = np.frombuffer(self._decoded(packed, size, what), self.head)
        total = int(lengths[3:].sum() if self.packed else lengths[0])
        apart = 4 * -(-size // 3)
        if packed[apart - 1 : apart] == "=":
            data = self._decoded(packed[apart:], total, what)
        else:
            data = self._decoded(packed, size + total, what)[size:]
        return self._unpacked(lengths, data, what)

    def _decoded(self, text: str, size: int, what: str) -> bytes:
        """Return the first bytes of a text in base64."""
        needed = 4 * -(-size // 3)
        try:
            data = base64.b64decode(text[:needed], validate=True) if size <= len(text) else b""
        except (binascii.Error, ValueError) as error:
            raise damaged(self.label, f"holds something that is not base64 in {what}.") from error
        require_bytes(data, 0, size, self.label, what)
        return data[:size]

    def _from_end(self, offset: str, what: str) -> bytes:
        if self.appended is None or not (offset.isascii() and offset.isdigit() and len(offset) < 16):
            raise damaged(self.label, f"says that {what} is appended, and it is not there.", "truncated")
        at = self.appended.start + int(offset)
        data = self.appended.data
        if self.appended.is_text:
            stop = data.find(b"<", at)
            return self._from_text(data[at : stop if stop >= 0 else None].decode("ascii", "replace"), what)
        size = np.dtype(self.head).itemsize
        require_bytes(data, at, size, self.label, what)
        count = 3 + self._blocks(np.frombuffer(data, self.head, 1, at), what) if self.packed else 1
        require_bytes(data, at, size * count, self.label, what)
        lengths = np.frombuffer(data, self.head, count, at)
        at += size * count
        total = int(lengths[3:].sum() if self.packed else lengths[0])
        require_bytes(data, at, total, self.label, what)
        return self._unpacked(lengths, data[at : at + total], what)

    def _blocks(self, head: npt.NDArray[Any], what: str) -> int:
        if int(head[0]) > MAX_BLOCKS:
            raise damaged(self.label, f"is damaged: {what} would be packed in {int(head[0])} blocks.")
        return int(head[0])

    def _unpacked(self, lengths: npt.NDArray[Any], data: bytes, what: str) -> bytes:
        """Unpack blocks of a stated length each, the last perhaps shorter."""
        if not self.packed:
            return data
        blocks, block_bytes, last_bytes = (int(n) for n in lengths[:3])
        total = blocks * block_bytes - (block_bytes - last_bytes if last_bytes and blocks else 0)
        if not 0 <= total <= self.most or last_bytes > block_bytes:
            raise damaged(self.label, f"is damaged: {what} would unpack to {total} bytes.", "too_large")
        unpacked = bytearray()
        at = 0
        for n, length in enumerate(lengths[3:].tolist()):
            wanted = last_bytes if last_bytes and n == blocks - 1 else block_bytes
            try:
                piece = zlib.decompressobj().decompress(data[at : at + length], wanted + 1)
            except zlib.error as error:
                raise damaged(self.label, f"cannot be unpacked: {error}.") from error
            if len(piece) != wanted:
                raise damaged(self.label, f"unpacks to another length than it announces in {what}.")
            unpacked += piece
            at += length
        return bytes(unpacked)


def _text(element: ET.Element) -> str:
    """Return the text of an array, without what is said of it in elements of their own."""
    return " ".join([element.text or "", *(child.tail or "" for child in element)])


def read_vtp(data: bytes, label: str) -> RawMesh:
    """Read an XML PolyData file.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        What to call it in messages.

    Returns
    -------
    RawMesh
        Polygons and strips of all pieces as triangles. What is said of points and cells is passed over.

    Raises
    ------
    UnreadableError
        If it is not such a file, damaged, or packed by another means than zlib.
    """
    root, file = _opened(data, label)
    points: list[Floats] = [np.zeros((0, 3))]
    triangles: list[Ints] = [np.zeros((0, 3), np.int64)]
    before = 0
    for piece in root.iterfind("PolyData/Piece"):
        found = _points(piece, file)
        points.append(found)
        for name, divided in (("Polys", fans), ("Strips", strips)):
            corners, ends = _cells(piece, name, file)
            part = divided(corners, ends, label)
            if part.size and (part.min() < 0 or part.max() >= len(found)):
                raise damaged(label, "names points that are not in their piece.", "bad_index")
            triangles.append(part + before)
        before += len(found)
    comments = [b"SPACE=" + _said(array, file) for array in _spaces(root)]
    return RawMesh(np.concatenate(points), np.concatenate(triangles), declared(comments, label))


def _opened(data: bytes, label: str) -> tuple[ET.Element, _File]:
    """Return the XML, which ends where appended bytes begin, and how its arrays are written."""
    found = _APPENDED.search(data)
    text = data[: found.start()] + b"</VTKFile>" if found else data
    if _DECLARATION.search(text):
        raise damaged(label, "holds XML declarations that such a file does not need.")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise damaged(label, f"is not sound XML: {error}.") from error
    if root.tag != "VTKFile" or root.get("type") != "PolyData":
        raise damaged(
            label,
            f"holds {root.get('type', 'no VTK data')!r}, and a surface is PolyData. Save it as a surface.",
            "not_a_surface",
        )
    compressor = root.get("compressor", "")
    order = {"LittleEndian": "<", "BigEndian": ">"}.get(root.get("byte_order", ""))
    head = {"UInt32": "u4", "UInt64": "u8"}.get(root.get("header_type", "UInt32"))
    if order is None or head is None:
        raise damaged(label, "does not say the order of its bytes.")
    appended = _Appended(data, found.end(), found[1] == b"base64") if found else None
    most = 3 * len(data) + MAX_UNPACKED_BYTES
    return root, _File(label, order, order + head, compressor, appended, most)


def _points(piece: ET.Element, file: _File) -> Floats:
    word = piece.get("NumberOfPoints", "")
    if not (word.isascii() and word.isdigit() and len(word) < 13):
        raise damaged(file.label, "does not say how many points a piece has.")
    array = piece.find("Points/DataArray")
    if int(word) == 0:
        return np.zeros((0, 3))
    return floats(file.array(array, 3 * int(word), "the points")).reshape(-1, 3)


def _cells(piece: ET.Element, name: str, file: _File) -> tuple[Ints, Ints]:
    """Corners of all cells of a kind, and where each cell ends."""
    word = piece.get(f"NumberOf{name}", "0")
    if not (word.isascii() and word.isdigit() and len(word) < 13):
        raise damaged(file.label, f"does not say how many {name} a piece has.")
    if int(word) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    arrays = {array.get("Name", ""): array for array in piece.iterfind(f"{name}/DataArray")}
    ends = file.array(arrays.get("offsets"), int(word), f"the ends of the {name}")
    corners = file.array(arrays.get("connectivity"), None, f"the corners of the {name}")
    return whole(corners, file.label, name), whole(ends, file.label, name)


def _spaces(root: ET.Element) -> list[ET.Element]:
    """Arrays by which 3D Slicer states the axes."""
    arrays = [*root.iterfind("PolyData/FieldData/Array"), *root.iterfind("PolyData/FieldData/DataArray")]
    return [array for array in arrays if array.get("Name") == "SPACE"]


def _said(array: ET.Element, file: _File) -> bytes:
    codes = whole(file.array(array, None, "the field SPACE"), file.label, "the field SPACE")
    if codes.size and (codes.min() < 0 or codes.max() > 127):
        raise damaged(file.label, "states axes that are not known.", "unknown_space")
    return bytes(codes.tolist()).split(b"\0")[0] or b"nothing"

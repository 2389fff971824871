"""STL, as bytes and as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.io.meshes.parts import Floats, Ints, RawMesh, chunks, damaged, floats, numbers
from flr_volumetry.io.spaces import declared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.resection import TriangleSurface

HEADER_BYTES: Final = 80
FACET: Final = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_FRAME: Final = re.compile(rb"^[ \t]*(end)?solid\b([^\r\n]*)", re.MULTILINE)
_WORDS: Final = {
    0: b"facet",
    1: b"normal",
    5: b"outer",
    6: b"loop",
    7: b"vertex",
    11: b"vertex",
    15: b"vertex",
    19: b"endloop",
    20: b"endfacet",
}
_WORDS_A_FACET: Final = 21
_COORDINATES: Final = (8, 9, 10, 12, 13, 14, 16, 17, 18)


def read_stl(data: bytes, label: str) -> RawMesh:
    """Read an STL file.

    Parameters
    ----------
    data : bytes
        The file.
    label : str
        What to call it in messages.

    Returns
    -------
    RawMesh
        Corners with the same three coordinates are one point; triangles that this leaves without area
        are left out.

    Raises
    ------
    UnreadableError
        If it is not STL, or damaged.

    Notes
    -----
    Files of bytes may begin with the word ``solid`` too, so the length decides: 84 bytes and 50 for
    each triangle announced. The normals in the file are not used; the order of the corners says which
    way a triangle faces.
    """
    announced = int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 4], "little")
    expected = HEADER_BYTES + 4 + announced * FACET.itemsize
    if len(data) >= HEADER_BYTES + 4 and len(data) == expected:
        facets = np.frombuffer(data, dtype=FACET, offset=HEADER_BYTES + 4)
        corners = floats(facets["corners"].reshape(-1, 3))
        space = declared([data[:HEADER_BYTES]], label)
    elif data.lstrip()[:5].lower() == b"solid":
        corners, names = _read_text(data, label)
        space = declared(names, label)
    else:
        raise damaged(
            label,
            f"is not a sound STL file: it has {len(data)} bytes, and the {announced} triangles it announces "
            f"would make {expected}.",
            "truncated",
        )
    points, triangles = _merged(corners)
    return RawMesh(points, triangles, space)


def _read_text(data: bytes, label: str) -> tuple[Floats, list[bytes]]:
    names: list[bytes] = []
    parts = [np.zeros((0, 3))]
    for name, body in _solids(data.lower(), label):
        names.append(name)
        parts += [_facets(chunk.split(), label) for chunk in chunks(body, b"endfacet")]
    return np.concatenate(parts), names


def _solids(data: bytes, label: str) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each solid; between them there is nothing."""
    begun: re.Match[bytes] | None = None
    after = 0
    for frame in _FRAME.finditer(data):
        if (frame[1] is None) == (begun is not None):
            raise damaged(label, "has solid and endsolid in the wrong order.", "truncated")
        if begun is not None:
            yield begun[2], data[begun.end() : frame.start()]
            begun = None
        elif data[after : frame.start()].strip():
            raise damaged(label, "holds something between endsolid and solid.")
        else:
            begun = frame
        after = frame.end()
    if begun is not None:
        raise damaged(label, "is cut short: its last solid has no endsolid.", "truncated")
    if data[after:].strip():
        raise damaged(label, "holds something behind its last endsolid.")


def _facets(words: list[bytes], label: str) -> Floats:
    """Corners of the facets written in some words, three rows each."""
    count, rest = divmod(len(words), _WORDS_A_FACET)
    framed = not rest and all(set(words[at::_WORDS_A_FACET]) <= {word} for at, word in _WORDS.items())
    if not framed:
        raise damaged(label, "holds a facet that is not one normal and one loop of three vertices.")
    corners = np.empty((count, 9))
    for column, at in enumerate(_COORDINATES):
        text = b" ".join(words[at::_WORDS_A_FACET])
        corners[:, column] = numbers(text, label, count, "the vertices")
    return corners.reshape(-1, 3)


def _merged(corners: Floats) -> tuple[Floats, Ints]:
    """Points without repetition, in the order in which they first come, and triangles of them."""
    if not len(corners):
        return corners, np.zeros((0, 3), np.int64)
    order = np.lexsort(corners.T)
    ranked = corners[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    del ranked
    group = np.cumsum(new) - 1
    # The sort is stable, so the first of each group is the one that comes first in the file.
    first = order[new]
    by_file = np.argsort(first)
    number = np.empty(len(first), np.int64)
    number[by_file] = np.arange(len(first))
    index = np.empty(len(order), np.int64)
    index[order] = number[group]
    triangles = index.reshape(-1, 3)
    a, b, c = triangles.T
    return corners[first[by_file]], triangles[(a != b) & (b != c) & (a != c)]


def stl_bytes(surface: TriangleSurface, title: str) -> Iterator[bytes]:
    """Give the bytes of an STL file.

    Parameters
    ----------
    surface : TriangleSurface
        Its coordinates are rounded to float32, some 0.00002 mm at 300 mm from the origin.
    title : str
        For the header, which also states LPS.

    Yields
    ------
    bytes
        One after the other.
    """
    # A header that began with "solid" would be taken for text by some readers.
    header = f"{title}. SPACE=LPS".encode("ascii", "replace")[:HEADER_BYTES]
    yield header.ljust(HEADER_BYTES, b" ")
    yield len(surface.triangles).to_bytes(4, "little")
    facets = np.zeros(len(surface.triangles), FACET)
    corners = surface.vertices_mm[surface.triangles]
    facets["corners"] = corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facets["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    yield facets.tobytes()

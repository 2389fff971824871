"""Wavefront OBJ."""

from __future__ import annotations

import io
from array import array
from typing import Final

import numpy as np

from flr_volumetry.io.meshes.parts import RawMesh, damaged, fans
from flr_volumetry.io.spaces import declared

_PASSED_OVER: Final = frozenset(
    ["vn", "vt", "g", "o", "s", "l", "p", "mtllib", "usemtl", "usemap", "maplib", "lod", "bevel"]
)
"""Names, materials, texture and normals, lines and points: nothing that makes a surface."""
_VERTEX_NUMBERS: Final = (3, 4, 6, 7)
"""Of a point: the place, perhaps a weight, perhaps a colour."""


def read_obj(data: bytes, label: str) -> RawMesh:
    """Read an OBJ file.

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
        If it is not OBJ, damaged, or made of free-form curves and surfaces.
    """
    points, corners, ends = array("d"), array("q"), array("q")
    comments: list[bytes] = []
    pending = b""
    for raw in io.BytesIO(data):
        line = pending + raw.strip()
        pending = b""
        if line.endswith(b"\\"):
            pending = line[:-1] + b" "
            continue
        words = line.split()
        if not words:
            continue
        if words[0].startswith(b"#"):
            if b"=" in line:
                comments.append(line)
        elif words[0] == b"v":
            points.extend(_point(words[1:], label))
        elif words[0] == b"f":
            corners.extend(_corner(word, len(points) // 3, label) for word in words[1:])
            ends.append(len(corners))
        elif words[0].decode("ascii", "replace") not in _PASSED_OVER:
            raise damaged(
                label, f"has a line that is not read: {words[0][:20].decode('ascii', 'replace')!r}."
            )
    if pending:
        raise damaged(label, "is cut short: its last line goes on.", "truncated")
    triangles = fans(np.array(corners, dtype=np.int64), np.array(ends, dtype=np.int64), label)
    places = np.array(points, dtype=np.float64).reshape(-1, 3)
    return RawMesh(places, triangles, declared(comments, label))


def _point(words: list[bytes], label: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise damaged(label, "holds a point that is not numbers.", "not_numbers") from error
    if len(values) not in _VERTEX_NUMBERS:
        raise damaged(label, f"holds a point of {len(values)} numbers; it has x, y and z.", "truncated")
    # A rational point lies at its numbers divided by its weight.
    if len(values) in (4, 7) and values[3] != 1.0:
        raise damaged(label, "holds a point with a weight other than 1.", "unsupported")
    return values[:3]


def _corner(word: bytes, n_points: int, label: str) -> int:
    try:
        number = int(word.split(b"/", 1)[0])
    except ValueError as error:
        raise damaged(label, f"holds a face with {word[:20]!r} for a corner.", "bad_index") from error
    # Counted from 1, or, negative, back from the last point so far.
    index = number - 1 if number > 0 else n_points + number
    if number == 0 or abs(number) > 2**52:
        raise damaged(label, f"holds a face whose corner is point {number}.", "bad_index")
    return index

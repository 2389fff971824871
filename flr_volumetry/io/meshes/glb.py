"""GLB: several named, coloured surfaces in one file that any 3D program opens."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC: Final = b"glTF"
VERSION: Final = 2
JSON_CHUNK: Final = b"JSON"
BINARY_CHUNK: Final = b"BIN\0"
FLOAT, UINT32, UINT8 = 5126, 5125, 5121
ARRAY_BUFFER, ELEMENT_BUFFER = 34962, 34963
LPS_MM_TO_GLTF: Final = [0.001, 0, 0, 0, 0, 0, -0.001, 0, 0, 0.001, 0, 0, 0, 0, 0, 1]
"""By columns: left to +X, head to +Y (up), front to +Z, millimetres to metres (glTF 2.0, 3.4)."""


@dataclass(frozen=True, slots=True, eq=False)
class MeshPart:
    """One surface of a scene.

    Parameters
    ----------
    name : str
        For people.
    vertices_mm, normals : (n, 3) float64 ndarray
        LPS mm; of length 1, outwards.
    triangles : (m, 3) int64 ndarray
        Counter-clockwise seen from outside.
    rgb : tuple of int
        Its colour, sRGB from 0 to 255.
    opacity : float
        0 to 1.
    both_sides : bool
        Whether its back is seen too, as that of an open surface must be.
    colours : (n, 3) uint8 ndarray or None
        Of each vertex, sRGB, instead of one for all.
    extras : dict
        Facts for programs, as glTF's ``extras``.
    """

    name: str
    vertices_mm: npt.NDArray[np.float64] = field(repr=False)
    normals: npt.NDArray[np.float64] = field(repr=False)
    triangles: npt.NDArray[np.int64] = field(repr=False)
    rgb: tuple[int, int, int]
    opacity: float = 1.0
    both_sides: bool = False
    colours: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    extras: dict[str, Any] = field(default_factory=dict, repr=False)


def glb_bytes(parts: Sequence[MeshPart], title: str) -> bytes:
    """Return a scene as a binary glTF file.

    Parameters
    ----------
    parts : sequence of MeshPart
        At least one.
    title : str
        Of the scene.

    Returns
    -------
    bytes
        Vertices are stored in LPS mm; the one root node turns and scales them to glTF's metres with +Y up, so
        that programs show the patient upright and at true size. The same parts give the same bytes.

    Notes
    -----
    The Khronos Group, glTF 2.0 (ISO/IEC 12113:2022).
    """
    buffer = _Buffer()
    meshes, materials, nodes = [], [], []
    for number, part in enumerate(parts):
        meshes.append({"name": part.name, "primitives": [_primitive(part, number, buffer)]})
        materials.append(_material(part))
        node: dict[str, Any] = {"name": part.name, "mesh": number}
        nodes.append({**node, "extras": part.extras} if part.extras else node)
    root = {
        "name": "patient",
        "matrix": LPS_MM_TO_GLTF,
        "children": list(range(len(parts))),
        "extras": {"space": "LPS", "unit": "mm", "note": "space and unit of the children's vertices"},
    }
    document = {
        "asset": {"version": "2.0", "generator": "flr_volumetry"},
        "scene": 0,
        "scenes": [{"name": title, "nodes": [len(parts)]}],
        "nodes": [*nodes, root],
        "meshes": meshes,
        "materials": materials,
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    text += b" " * (-len(text) % 4)
    chunks = _chunk(JSON_CHUNK, text) + _chunk(BINARY_CHUNK, bytes(buffer.data))
    return MAGIC + VERSION.to_bytes(4, "little") + (12 + len(chunks)).to_bytes(4, "little") + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + kind + data


class _Buffer:
    """The binary part while it is being filled."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def put(self, values: npt.NDArray[Any], component: int, kind: str, **more: Any) -> int:
        """Append an array and return the number of its accessor."""
        raw = np.ascontiguousarray(values).tobytes()
        target = ELEMENT_BUFFER if component == UINT32 else ARRAY_BUFFER
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw), "target": target}
        self.data += raw + bytes(-len(raw) % 4)
        count = values.size if kind == "SCALAR" else len(values)
        self.accessors.append(
            {"bufferView": len(self.views), "componentType": component, "count": count, "type": kind, **more}
        )
        self.views.append(view)
        return len(self.accessors) - 1


def _primitive(part: MeshPart, material: int, buffer: _Buffer) -> dict[str, Any]:
    points = part.vertices_mm.astype("<f4")
    low, high = ([float(v) for v in ends] for ends in (points.min(axis=0), points.max(axis=0)))
    attributes = {
        "POSITION": buffer.put(points, FLOAT, "VEC3", min=low, max=high),
        "NORMAL": buffer.put(part.normals.astype("<f4"), FLOAT, "VEC3"),
    }
    if part.colours is not None:
        linear = np.rint(255 * _linear(part.colours)).astype(np.uint8)
        opaque = np.full((len(linear), 1), 255, dtype=np.uint8)
        values = np.hstack([linear, opaque])
        attributes["COLOR_0"] = buffer.put(values, UINT8, "VEC4", normalized=True)
    indices = buffer.put(part.triangles.astype("<u4").ravel(), UINT32, "SCALAR")
    return {"attributes": attributes, "indices": indices, "material": material}


def _material(part: MeshPart) -> dict[str, Any]:
    plain = (255, 255, 255) if part.colours is not None else part.rgb
    shown = [round(float(v), 6) for v in _linear(np.array(plain))]
    material: dict[str, Any] = {
        "name": part.name,
        "pbrMetallicRoughness": {
            "baseColorFactor": [*shown, part.opacity],
            "metallicFactor": 0.0,
            "roughnessFactor": 0.7,
        },
        "doubleSided": part.both_sides,
    }
    return {**material, "alphaMode": "BLEND"} if part.opacity < 1 else material


def _linear(srgb: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return colours as light, from sRGB of 0 to 255 (IEC 61966-2-1): glTF mixes them so."""
    share = np.asarray(srgb, dtype=np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)

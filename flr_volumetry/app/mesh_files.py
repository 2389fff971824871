"""The pieces of a plan as mesh files: STL for one each, GLB for all together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.io.meshes import MeshPart, glb_bytes, write_surface
from flr_volumetry.report.scene import Role, surfaces_of
from flr_volumetry.report.solids import is_closed
from flr_volumetry.resection import TriangleSurface

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from flr_volumetry.liver import Liver
    from flr_volumetry.report.scene import Surface3D
    from flr_volumetry.resection import Partition

FOLDER: Final = "meshes"
INDEX: Final = "index.json"
SCENE: Final = "case.glb"
LARGE: Final = 120_000
SMALL: Final = 24_000
"""The most triangles of a large surface and of a lesion's: finer than the page shows them."""


def write_meshes(folder: Path, liver: Liver, partition: Partition) -> None:
    """Write the liver, its pieces, lesions, vessels and the cut as STL, all of them as one GLB, and a list.

    Parameters
    ----------
    folder : Path
        Where the folder ``meshes`` is made.
    liver : Liver
        With its lesions and vessels.
    partition : Partition
        Of that liver.

    Notes
    -----
    STL holds LPS millimetres and says so in its header ("SPACE=LPS"), as 3D Slicer reads it. GLB holds the
    same coordinates below one node that turns them to glTF's metres with +Y up. All but the cut are closed,
    and enclose the volume of their mask to 0.1 %.
    """
    place = folder / FOLDER
    place.mkdir()
    surfaces = list(_named_apart(surfaces_of(liver, partition, large=LARGE, small=SMALL)))
    for key, surface in surfaces:
        solid = surface.solid
        write_surface(
            place / f"{key}.stl", TriangleSurface(solid.vertices_mm, solid.triangles.astype(np.int32))
        )
    (place / SCENE).write_bytes(glb_bytes([_part(s) for _, s in surfaces], "liver and plan"))
    listed = {
        "space": "LPS",
        "unit": "mm",
        "scene": {"file": SCENE, "unit": "m", "axes": "+X left, +Y head, +Z front (glTF)"},
        "surfaces": [_entry(key, surface) for key, surface in surfaces],
    }
    (place / INDEX).write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def _named_apart(surfaces: Iterable[Surface3D]) -> Iterator[tuple[str, Surface3D]]:
    """Yield each surface with a name that no other has: a structure may have several masks."""
    seen: dict[str, int] = {}
    for surface in surfaces:
        seen[surface.key] = seen.get(surface.key, 0) + 1
        count = seen[surface.key]
        yield surface.key if count == 1 else f"{surface.key}_{count}", surface


def _part(surface: Surface3D) -> MeshPart:
    solid, shown = surface.solid, surface.colour
    return MeshPart(
        surface.name,
        solid.vertices_mm,
        solid.normals,
        solid.triangles,
        (int(shown[1:3], 16), int(shown[3:5], 16), int(shown[5:7], 16)),
        surface.opacity,
        both_sides=surface.role is Role.CUT,
        colours=surface.colours,
        extras={"role": surface.role.value},
    )


def _entry(key: str, surface: Surface3D) -> dict[str, Any]:
    closed = is_closed(surface.solid)
    return {
        "file": f"{key}.stl",
        "name": surface.name,
        "role": surface.role.value,
        "colour": surface.colour,
        "opacity": surface.opacity,
        "triangles": len(surface.solid.triangles),
        "closed": closed,
        "ml": round(surface.solid.ml, 4) if closed else None,
        "area_mm2": round(surface.solid.area_mm2, 2),
    }

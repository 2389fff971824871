"""What does not move: the scan, the liver, its lesions and vessels, as the page draws them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flr_volumetry.anatomy import HEPATECTOMIES, ROMAN, SEGMENTS, Structure, new_world_name
from flr_volumetry.images import bounding_box
from flr_volumetry.report import wording
from flr_volumetry.report.canvas import ABLATED_COLOUR, CUT_COLOUR, REMNANT_COLOUR, RESECTED_COLOURS
from flr_volumetry.report.scene import LESION_3D_COLOUR, VESSELS, Role, Surface3D, grey_on, onto, upright_grid
from flr_volumetry.report.solids import solid_of
from flr_volumetry.report.viewer import mz3_bytes
from flr_volumetry.resection.preview import preview_grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from flr_volumetry.app.review.session import Opened
    from flr_volumetry.images import Grid
    from flr_volumetry.liver import Liver, Territories

LIVER_CODE, VESSEL_CODE, LESION_CODE = 1, 2, 10
"""Codes of tissue: the liver, its vessels from 2, its lesions from 10."""
MOST_LESIONS = 245
FARTHEST_MM = 25.0
"""Distances to lesions are told up to here."""
LIVER_TRIANGLES, SMALL_TRIANGLES = 24_000, 6_000


@dataclass(frozen=True, slots=True, eq=False)
class Scenery:
    """What the page gets once.

    Parameters
    ----------
    facts : dict
        Names, places and grids, as JSON.
    arrays : mapping of str to bytes
        The scan's grey values, tissue and segments on the upright grid, columns fastest, compressed.
    surfaces : mapping of str to bytes
        MZ3 files.
    """

    facts: dict[str, Any]
    arrays: dict[str, bytes] = field(repr=False)
    surfaces: dict[str, bytes] = field(repr=False)


def scenery_of(opened: Opened, *, version: str) -> Scenery:
    """Lay out what does not move.

    Parameters
    ----------
    opened : Opened
        The case.
    version : str
        Of this program.

    Returns
    -------
    Scenery
        For the page.
    """
    liver = opened.ready.liver
    grid = upright_grid(liver.grid)
    grey = grey_on(liver, grid)
    arrays = {"tissue": _packed(_tissue(liver, grid))}
    if grey is not None:
        arrays["grey"] = _packed(grey)
    if liver.segments is not None:
        arrays["segments"] = _packed(onto(np.asarray(liver.segments), liver.grid, grid, order=0))
    distance = _distance(opened)
    if distance is not None:
        arrays["distance"] = _packed(distance)
    surfaces = list(_surfaces(liver))
    facts = {
        "version": version,
        "disclaimer": wording.DISCLAIMER,
        "case": opened.case.case.id,
        "file": str(opened.path),
        "grid": _grid(grid),
        "preview": _grid(preview_grid(opened.ready, opened.step)),
        "arrays": sorted(arrays),
        "surfaces": [
            {"key": s.key, "name": s.name, "role": s.role.value, "colour": s.colour} for s in surfaces
        ],
        "bounds_mm": _bounds(liver),
        "colours": {
            "remnant": REMNANT_COLOUR,
            "resected": list(RESECTED_COLOURS),
            "ablated": ABLATED_COLOUR,
            "cut": CUT_COLOUR,
            "lesion": LESION_3D_COLOUR,
        },
        "lesions": [_lesion(opened, n) for n in range(len(liver.lesions))],
        "segments": _segments(opened),
        "territories": [_territories(opened, t) for t in liver.territories],
        "hepatectomies": [
            {
                "key": h.key,
                "name": h.name,
                "segments": sorted(h.segments),
                "caudate_optional": h.caudate_optional,
                "words": new_world_name(h.segments),
            }
            for h in HEPATECTOMIES
        ],
        "protocols": [{"key": p.key, "title": p.title} for p in opened.protocols],
        "caveats": [c.message for c in opened.caveats],
    }
    return Scenery(facts, arrays, {s.key: mz3_bytes(s) for s in surfaces})


def _packed(array: npt.NDArray[Any]) -> bytes:
    return gzip.compress(array.astype(np.uint8).tobytes(order="F"), compresslevel=2, mtime=0)


def _grid(grid: Grid) -> dict[str, Any]:
    return {"shape": list(grid.shape), "affine": grid.affine.tolist()}


def _bounds(liver: Liver) -> list[list[float]]:
    index = np.argwhere(liver.voxels[::2, ::2, ::2]) * 2
    points = liver.grid.centres_mm(index)
    return [points.min(axis=0).tolist(), points.max(axis=0).tolist(), points.mean(axis=0).tolist()]


def _tissue(liver: Liver, grid: Grid) -> npt.NDArray[np.uint8]:
    codes = np.array(liver.voxels, dtype=np.uint8)
    for n, structure in enumerate(VESSELS):
        for vessel in liver.vessels:
            if vessel.structure is structure:
                codes[vessel.voxels] = VESSEL_CODE + n
    for lesion in liver.lesions[:MOST_LESIONS]:
        codes[lesion.box][lesion.voxels] = LESION_CODE + lesion.number
    return np.asarray(onto(codes, liver.grid, grid, order=0), dtype=np.uint8)


def _distance(opened: Opened) -> npt.NDArray[np.uint8] | None:
    """Return the distance to the nearest lesion's surface on the preview's grid, tenths of a millimetre.

    From voxel centre to the points of the lesions' smooth surfaces: for colours, not for numbers.
    """
    from scipy.spatial import cKDTree

    surfaces = opened.ready.surfaces
    if not surfaces:
        return None
    grid = preview_grid(opened.ready, opened.step)
    points = np.concatenate([patches.points_mm for patches in surfaces.values()])
    index = np.stack(np.unravel_index(np.arange(np.prod(grid.shape)), grid.shape, order="F"), axis=1)
    away, _ = cKDTree(points).query(grid.centres_mm(index), distance_upper_bound=FARTHEST_MM)
    tenths = np.minimum(np.nan_to_num(away, posinf=FARTHEST_MM), FARTHEST_MM) * 10
    return np.asarray(np.rint(tenths), dtype=np.uint8).reshape(grid.shape, order="F")


def _surfaces(liver: Liver) -> Iterator[Surface3D]:
    """Lesions and vessels first: what is drawn first shines through what is translucent."""
    for lesion in liver.lesions:
        solid = solid_of(lesion.voxels, liver.grid, start=lesion.start, most_triangles=SMALL_TRIANGLES)
        name = f"Lesion {lesion.number}"
        yield Surface3D(
            f"lesion_{lesion.number}", name, Role.LESION, solid, LESION_3D_COLOUR, 1.0, shown=True
        )
    for vessel in liver.vessels:
        if vessel.structure in VESSELS and bounding_box(vessel.voxels) is not None:
            name, colour = VESSELS[vessel.structure]
            solid = solid_of(vessel.voxels, liver.grid, most_triangles=LIVER_TRIANGLES // 2)
            yield Surface3D(vessel.structure.value, name, Role.VESSEL, solid, colour, 1.0, shown=True)
    solid = solid_of(liver.voxels, liver.grid, most_triangles=LIVER_TRIANGLES)
    yield Surface3D("liver", "Liver", Role.LIVER, solid, REMNANT_COLOUR, 1.0, shown=True)


def _lesion(opened: Opened, n: int) -> dict[str, Any]:
    liver = opened.ready.liver
    lesion = liver.lesions[n]
    inside = lesion.voxels & liver.voxels[lesion.box]
    index = np.argwhere(lesion.voxels) + lesion.start
    middle = liver.grid.centres_mm(index).mean(axis=0)
    ml = int(np.count_nonzero(inside)) * liver.grid.voxel_ml
    segments: list[str] = []
    if liver.segments is not None:
        counts = np.bincount(liver.segments[lesion.box][inside], minlength=len(SEGMENTS) + 1)
        segments = [ROMAN[int(s)] for s in np.argsort(-counts, kind="stable") if counts[s] and s]
    return {
        "number": lesion.number,
        "name": lesion.name,
        "ml": ml,
        "middle_mm": middle.tolist(),
        "segments": segments,
    }


def _segments(opened: Opened) -> list[dict[str, Any]]:
    rows, liver = opened.ready.rows, opened.ready.liver
    if liver.segments is None:
        return []
    sums = np.bincount(rows.layer("segment"), weights=rows.counts, minlength=len(SEGMENTS) + 1)
    return [
        {"number": n, "roman": ROMAN.get(n, "none"), "ml": float(sums[n]) * liver.grid.voxel_ml}
        for n in (*SEGMENTS, 0)
        if sums[n]
    ]


def _territories(opened: Opened, territories: Territories) -> dict[str, Any]:
    mapped, ml = opened.ready.mapped, opened.ready.liver.grid.voxel_ml
    name = territories.structure.value
    sums = np.bincount(mapped.layer(name), weights=mapped.counts, minlength=len(territories.branches) + 1)
    vein = {Structure.PORTAL_VEIN: "portal vein", Structure.HEPATIC_VEINS: "hepatic veins"}
    return {
        "structure": name,
        "title": vein.get(territories.structure, name),
        "branches": [
            {
                "number": b.number,
                "path": b.path,
                "name": b.name,
                "parent": b.parent,
                "order": b.order,
                "ml": float(sum(sums[n] for n in territories.behind([b.number]))) * ml,
            }
            for b in territories.branches
        ],
    }

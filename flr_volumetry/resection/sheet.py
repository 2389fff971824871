"""A surface as the triangles that cut a liver, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.images import read_only
from flr_volumetry.resection import topology
from flr_volumetry.resection.surfaces import ClosedCurve, TriangleSurface

if TYPE_CHECKING:
    from flr_volumetry.resection.lines import LiverLines
    from flr_volumetry.resection.surfaces import Surface

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Triangles that cut a liver.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 ndarray, read-only
        Corners, LPS mm.
    triangles : (m, 3) int32 ndarray, read-only
        Consistently facing.
    facing : int
        1 if what lies in front of them goes, as of an open sheet; -1 if what lies behind them, as of a
        closed one.
    """

    vertices_mm: Points = field(repr=False)
    triangles: npt.NDArray[np.int32] = field(repr=False)
    facing: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices_mm", read_only(self.vertices_mm))
        object.__setattr__(self, "triangles", read_only(self.triangles))


def sheet_of(surface: Surface, lines: LiverLines) -> Sheet:
    """Lay out the triangles along which a surface cuts a liver.

    Parameters
    ----------
    surface : Surface
        Of any kind.
    lines : LiverLines
        The liver: the sheet that spans a curve is carried on until it leaves it.

    Returns
    -------
    Sheet
        Checked as far as that goes without the liver.

    Raises
    ------
    PlanError
        If the triangles have no area, branch, face different ways, or are partly closed and partly open;
        if a patch is too bent; if a curve crosses itself, lies off the liver or deep inside it.
    """
    if isinstance(surface, ClosedCurve):
        from flr_volumetry.resection.drawn import sheet_through

        mesh = sheet_through(surface, lines)
        return Sheet(mesh.vertices_mm, mesh.triangles, 1)
    return bare(surface)


def bare(surface: Surface) -> Sheet:
    """Lay out a surface without a liver: a curve's sheet ends at the curve.

    Parameters
    ----------
    surface : Surface
        Of any kind.

    Returns
    -------
    Sheet
        Checked.

    Raises
    ------
    PlanError
        As for `sheet_of`.
    """
    if not isinstance(surface, TriangleSurface):
        mesh = surface.mesh()
        return Sheet(mesh.vertices_mm, mesh.triangles, 1)
    tidied = surface.tidied()
    vertices, triangles = tidied.vertices_mm, tidied.triangles
    wrong = topology.inconsistent(triangles)
    if len(wrong):
        x, y, z = vertices[wrong[0]].mean(axis=0)
        raise PlanError(
            f"a surface's triangles do not all face the same way: {len(wrong)} edges lie between triangles "
            f"that face different ways, or between more than two, one of them near ({x:.1f}, {y:.1f}, "
            f"{z:.1f}) mm; orient the mesh where it was drawn, or name a point on the side that goes",
            reason="inconsistent_orientation",
        )
    border = topology.border_of(triangles)
    if len(border):
        _require_all_open(vertices, triangles, border)
    return Sheet(vertices, triangles, 1 if len(border) else -1)


def _require_all_open(vertices: Points, triangles: npt.NDArray[np.int32], border: topology.Ints) -> None:
    number = topology.sheets(triangles)
    touches = np.zeros(len(vertices), dtype=bool)
    touches[border] = True
    is_open = np.bincount(number, weights=touches[triangles].any(axis=1)) > 0
    if not is_open.all():
        x, y, z = vertices[triangles[number == np.flatnonzero(~is_open)[0]][0, 0]]
        a, b, c = vertices[border[0]].mean(axis=0)
        raise PlanError(
            f"a surface is closed in one part, near ({x:.1f}, {y:.1f}, {z:.1f}) mm, and open in another, "
            f"near ({a:.1f}, {b:.1f}, {c:.1f}) mm; close the mesh, or give the parts as two resections",
            reason="open_surface",
        )

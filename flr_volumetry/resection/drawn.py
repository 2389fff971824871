"""A closed curve drawn on a liver, as a sheet that cuts through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.resection.curve import Outline, outline, sheet_within
from flr_volumetry.resection.faces import faces_of

if TYPE_CHECKING:
    from flr_volumetry.resection.lines import LiverLines
    from flr_volumetry.resection.surfaces import ClosedCurve, TriangleSurface

Points = npt.NDArray[np.float64]

DEEPEST_MM = 10.0
"""A curve may run so far inside the liver, measured outwards along the cut; the sheet is carried on."""
FARTHEST_MM = 20.0
"""A curve's points may lie so far off the liver."""
LOOKS_A_STEP = 4
NEIGHBOURS = 3
"""The sheet goes on at a point as far as at its neighbours, so many on either side."""


def sheet_through(curve: ClosedCurve, lines: LiverLines) -> TriangleSurface:
    """Lay the sheet that spans a curve, carried on until it leaves the liver.

    Parameters
    ----------
    curve : ClosedCurve
        Drawn on the liver's surface, or up to 10 mm inside it.
    lines : LiverLines
        The liver.

    Returns
    -------
    TriangleSurface
        It ends one voxel diagonal outside the liver, or at the curve where that lies further out.

    Raises
    ------
    PlanError
        If the curve crosses itself, is too bent, lies off the liver, or deeper inside it than 10 mm.
    """
    _require_near(curve.points_mm, lines)
    found = outline(curve.points_mm)
    inside = _inside_mm(found, lines)
    too_deep = found.points_mm[inside > DEEPEST_MM]
    if len(too_deep):
        depth = _off_capsule_mm(too_deep, lines)
        x, y, z = too_deep[int(np.argmax(depth))]
        raise PlanError(
            f"the curve runs inside the liver: deepest, {depth.max():.0f} mm below its surface, near "
            f"({x:.1f}, {y:.1f}, {z:.1f}) mm, where the liver goes on for more than {DEEPEST_MM:g} mm "
            "outside it; draw it on the liver's surface there, or add a point",
            reason="curve_inside_liver",
        )
    beyond = np.where(inside > 0, inside, 0) + float(np.linalg.norm(lines.grid.spacing_mm))
    around = [np.roll(beyond, n) for n in range(-NEIGHBOURS, NEIGHBOURS + 1)]
    return sheet_within(found, np.max(around, axis=0))


def _inside_mm(curve: Outline, lines: LiverLines) -> Points:
    """How far the liver goes on outside a curve at each of its points, as far as is looked at."""
    step = min(lines.grid.spacing_mm) / LOOKS_A_STEP
    gap = float(np.linalg.norm(lines.grid.spacing_mm))
    outward = curve.outward
    inside = np.zeros(len(outward))
    clear = np.zeros(len(outward))
    left = np.arange(len(outward))
    for at in np.arange(0.0, DEEPEST_MM + gap + step, step):
        places = curve.points_mm[left] + at * outward[left]
        liver = lines.holds(np.rint(lines.grid.indices_at(places)).astype(np.int64))
        inside[left[liver]] = at + step
        clear[left] = np.where(liver, 0, clear[left] + step)
        left = left[clear[left] < gap]
        if not len(left):
            break
    return inside


def _off_capsule_mm(points: Points, lines: LiverLines) -> Points:
    """How far points are from the liver's surface, on either side of it."""
    from scipy.spatial import cKDTree

    capsule = faces_of(lines.painted(), lines.grid, (0, 0, 0)).middles_mm
    return np.asarray(cKDTree(capsule).query(points)[0])


def _require_near(points: Points, lines: LiverLines) -> None:
    liver = lines.holds(np.rint(lines.grid.indices_at(points)).astype(np.int64))
    if liver.all():
        return
    off = np.where(liver, 0.0, _off_capsule_mm(points, lines))
    worst = int(np.argmax(off))
    if off[worst] > FARTHEST_MM:
        x, y, z = points[worst]
        raise PlanError(
            f"point {worst + 1} of the curve, ({x:.1f}, {y:.1f}, {z:.1f}) mm, lies {off[worst]:.0f} mm off "
            "the liver; a curve is drawn on the liver's surface: check that it was drawn on this scan, in "
            "these axes",
            reason="curve_off_liver",
        )

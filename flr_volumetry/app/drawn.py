"""Cuts drawn elsewhere: what a file of a surface or of markups means as a resection."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.errors import CaseError, InputError, PlanError
from flr_volumetry.io import (
    MarkupCurve,
    MarkupPlane,
    MarkupPoints,
    MarkupSurface,
    Space,
    read_markups,
    read_surface,
)
from flr_volumetry.resection import Plane, PlaneResection, SurfaceResection, TriangleSurface
from flr_volumetry.resection.surfaces import BezierSurface, ClosedCurve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from flr_volumetry.app.tables import MaskEntry, Point
    from flr_volumetry.images import Mask
    from flr_volumetry.io import Markup
    from flr_volumetry.resection import Resection, Surface
    from flr_volumetry.territories import Landmarks

MARKUP_ENDINGS = (".json", ".fcsv")
BEZIER_SIDE = 4
IN_PLANE_MM = 1e-6
"""A point no further from a plane than this is on neither side of it."""


@dataclass(frozen=True, slots=True)
class DrawnFile:
    """A file that a resection names.

    Parameters
    ----------
    path : str
        As the case file has it.
    space : Space or None
        The axes of a mesh, where the case file says them.
    """

    path: str
    space: Space | None = None


Drawing = TriangleSurface | tuple["Markup", ...]


def _not_read() -> Landmarks:
    raise CaseError("landmarks are known once the liver is read", reason="no_landmarks")


@dataclass(frozen=True, slots=True, eq=False)
class PlanFiles:
    """What a plan takes from files.

    Parameters
    ----------
    remnant : callable
        Gives an imported remnant: of a file, or, for None, the study's own.
    drawings : mapping from DrawnFile
        What was drawn in each.
    landmarks : callable
        Gives the liver's landmarks, once it is read.
    """

    remnant: Callable[[MaskEntry | None], Mask]
    drawings: Mapping[DrawnFile, Drawing] = field(repr=False)
    landmarks: Callable[[], Landmarks] = field(default=_not_read, repr=False)


def read_drawing(file: DrawnFile, path: Path) -> Drawing:
    """Read a file that a resection names.

    Parameters
    ----------
    file : DrawnFile
        As the case names it.
    path : Path
        Where it lies.

    Returns
    -------
    TriangleSurface or tuple of Markup
        Markups of a .json or .fcsv file, triangles of any other.

    Raises
    ------
    InputError
        If it cannot be read.
    CaseError
        If axes are said of a file that always states its own.
    """
    if not path.name.lower().endswith(MARKUP_ENDINGS):
        return read_surface(path, space=file.space)
    if file.space is not None:
        raise CaseError(f"{file.path}: markups state their axes themselves; leave out space.")
    return read_markups(path)


def description(drawing: Drawing) -> str:
    """Return what a drawing is, for the provenance."""
    if isinstance(drawing, TriangleSurface):
        return f"surface of {len(drawing.triangles)} triangles"
    return "markups: " + ", ".join(markup.name for markup in drawing)


def chosen(markups: tuple[Markup, ...], name: str | None, where: str) -> Markup:
    """Return the markup of a name, or the only one.

    Parameters
    ----------
    markups : tuple of Markup
        All of the file.
    name : str or None
        As the case file has it.
    where : str
        The file, for messages.

    Returns
    -------
    Markup
        One of them.

    Raises
    ------
    CaseError
        If none has the name, or several do, or several are there and none is named.
    """
    found = [m for m in markups if name is None or m.name == name]
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(m.name) for m in markups[:20])
    asked = f"{len(found)} markups with the name {name!r}" if name is not None else f"{len(markups)} markups"
    raise CaseError(f"{where} holds {asked}; choose one with name = ...: {names}.", reason="ambiguous_markup")


def markup_resection(markup: Markup, towards_mm: Point | None, where: str) -> Resection:
    """Return the resection that a markup means.

    Parameters
    ----------
    markup : Markup
        A plane, a closed curve, three points, or control points of a surface.
    towards_mm : tuple or None
        A point on the side that goes, LPS mm. Only a plane may do without: its normal points there.

    Returns
    -------
    Resection
        A plane, or a surface.

    Raises
    ------
    PlanError
        If the point lies on the cut, or the cut cannot be made.
    CaseError
        If the markup cuts nothing, or does not say which side goes.
    """
    match markup:
        case MarkupPlane():
            return PlaneResection((_plane(markup, towards_mm, where),))
        case MarkupCurve(closed=True):
            with _naming(where):
                curve = ClosedCurve(markup.drawn_mm())
            return _facing(curve, towards_mm, markup.name, where)
        case MarkupSurface():
            with _naming(where):
                patch = BezierSurface(markup.control_mm)
            return _facing(patch, towards_mm, markup.name, where)
        case MarkupPoints() if len(markup.points_mm) == 3:
            towards = _side(towards_mm, where)
            with _naming(where):
                return PlaneResection((Plane.through(markup.points_mm, towards_mm=towards),))
        case MarkupPoints():
            raise CaseError(
                f"{where}: {markup.name!r} has {len(markup.points_mm)} points. Three give a plane; control "
                'points of a surface are read by kind = "surface".',
                reason="cuts_nothing",
            )
    raise CaseError(
        f"{where}: {markup.name!r} is a line or an open curve, which divides nothing. Draw a plane, a closed "
        "curve round the liver, or a surface.",
        reason="cuts_nothing",
    )


def drawn_surface(
    drawing: Drawing, size: tuple[int | None, int | None], towards_mm: Point | None, where: str
) -> Resection:
    """Return the resection beyond a surface in a file.

    Parameters
    ----------
    drawing : TriangleSurface or tuple of Markup
        What the file holds.
    size : tuple of int or None
        Rows and columns of control points, where they are a mere list.
    towards_mm : tuple or None
        A point on the side that goes, LPS mm. Of a closed mesh, what it encloses goes without it.

    Returns
    -------
    Resection
        Beyond triangles, or beyond a patch.

    Raises
    ------
    PlanError
        If the surface is not one, or the point lies on it.
    CaseError
        If it does not say which side goes, or the control points are not told.
    """
    name = PurePath(where).name
    if isinstance(drawing, TriangleSurface):
        if size != (None, None):
            raise CaseError(f"{where} is a mesh; rows and columns are for control points.")
        if towards_mm is None and drawing.is_closed:
            with _naming(where):
                inside = drawing.consistent()
                return SurfaceResection(inside if inside.enclosed_ml > 0 else inside.flipped(), name)
        return _facing(drawing, towards_mm, name, where)
    markup = chosen(drawing, None, where)
    if isinstance(markup, MarkupPoints):
        rows, columns = _sides(size, len(markup.points_mm), where)
        try:
            markup = MarkupSurface(markup.name, markup.grid_mm(rows, columns))
        except InputError as error:
            raise CaseError(f"{where}: {error.message}", reason=error.reason) from error
    elif size != (None, None) or not isinstance(markup, MarkupSurface):
        raise CaseError(
            f"{where} holds no list of control points. A plane, a closed curve or a surface drawn as such is "
            'read by kind = "markup".',
            reason="not_a_surface",
        )
    return markup_resection(markup, towards_mm, where)


def _sides(size: tuple[int | None, int | None], count: int, where: str) -> tuple[int, int]:
    rows, columns = size
    if rows is not None and columns is not None:
        return rows, columns
    if size == (None, None) and count == BEZIER_SIDE**2:
        return BEZIER_SIDE, BEZIER_SIDE
    raise CaseError(
        f"{where} has {count} control points; say how they lie with rows = ... and columns = ...",
        reason="wrong_grid",
    )


def _plane(markup: MarkupPlane, towards_mm: Point | None, where: str) -> Plane:
    plane = Plane(markup.point_mm, markup.normal)
    if towards_mm is None:
        return plane
    side = float(plane.normal @ (np.array(towards_mm) - plane.point_mm))
    if abs(side) <= IN_PLANE_MM:
        raise PlanError(f"{where}: towards_mm lies in the plane itself.", reason="no_side")
    return plane if side > 0 else Plane(plane.point_mm, -plane.normal)


def _side(towards_mm: Point | None, where: str) -> Point:
    if towards_mm is None:
        raise CaseError(
            f"{where} does not say which side goes; give towards_mm, a point on that side in LPS mm.",
            reason="no_side",
        )
    return towards_mm


def _facing(surface: Surface, towards_mm: Point | None, name: str, where: str) -> Resection:
    towards = _side(towards_mm, where)
    with _naming(where):
        return SurfaceResection(surface.towards(towards), name)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Name the file in what goes wrong with a cut."""
    try:
        yield
    except PlanError as error:
        raise PlanError(f"{where}: {error.message}", reason=error.reason) from error

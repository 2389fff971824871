"""Reads files of markups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flr_volumetry.errors import InputError, UnreadableError
from flr_volumetry.io.files import stored
from flr_volumetry.io.markups.fiducial_csv import read_fcsv
from flr_volumetry.io.markups.slicer_json import BEZIER_SIDE, read_document
from flr_volumetry.io.markups.values import Markup, MarkupPoints, MarkupSurface

if TYPE_CHECKING:
    import os

MAX_FILE_BYTES: Final = 16 << 20
_ENDINGS: Final = (".mrk.json", ".lrp.json", ".lrp.fcsv", ".json", ".fcsv")


def read_markups(path: str | os.PathLike[str]) -> tuple[Markup, ...]:
    """Read what was drawn in 3D Slicer: planes, lines, curves, points, control points of surfaces.

    Parameters
    ----------
    path : path-like
        A .mrk.json or .fcsv file of 3D Slicer, or a resection of its Slicer-Liver extension (.lrp.json,
        .lrp.fcsv).

    Returns
    -------
    tuple of Markup
        All that the file holds, in its order, LPS mm. One without a name gets that of the file.

    Raises
    ------
    UnreadableError
        If there is no such file, it is larger than 16 MiB, or damaged.
    InputError
        If it holds something of a kind that cuts nothing (an angle, a box), that is not finished, or
        that contradicts itself.

    Notes
    -----
    A transform that was laid over a markup in 3D Slicer is not in its file; it must be hardened there
    before the file is saved. Points are passed over that are previews, or, in a list of points, not
    placed yet.
    """
    where = stored(path)
    label = where.label
    if where.size > MAX_FILE_BYTES:
        raise UnreadableError(
            f"{label} has {where.size} bytes; files of markups are read up to 16 MiB.", reason="too_large"
        )
    name = where.name
    ending = next((e for e in _ENDINGS if name.lower().endswith(e)), "")
    stem = name[: len(name) - len(ending)] or name
    text = where.read(0, where.size)
    if ending.endswith(".fcsv"):
        points = read_fcsv(text, label, stem)
        return (_surface(points, label),) if ending == ".lrp.fcsv" else (points,)
    return read_document(text, label, stem)


def _surface(points: MarkupPoints, label: str) -> MarkupSurface:
    try:
        return MarkupSurface(points.name, points.grid_mm(BEZIER_SIDE, BEZIER_SIDE))
    except InputError as error:
        raise InputError(f"{label}: {error.message}", reason=error.reason) from error

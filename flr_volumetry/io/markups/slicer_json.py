"""Markups as 3D Slicer keeps them in .mrk.json files.

The layout is that of Slicer's published schema, versions 1.0.0 to 1.0.3, and, where the schema says
nothing, what its storage nodes do: axes that are not stated are LPS; a point is defined unless its
positionStatus says otherwise.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import InputError, UnreadableError
from flr_volumetry.io.markups.fields import vector
from flr_volumetry.io.markups.planes import read_plane
from flr_volumetry.io.markups.values import (
    CurveKind,
    Floats,
    Markup,
    MarkupCurve,
    MarkupLine,
    MarkupPoints,
    MarkupSurface,
)
from flr_volumetry.io.spaces import Space, to_lps

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_POINTS: Final = 1_000_000
BEZIER_SIDE: Final = 4
QUADRATIC_SIDE: Final = 3
_SCHEMA: Final = re.compile(r".*markups-schema-v1\.[0-9]+\.[0-9]+\.json#*", re.IGNORECASE)
_SPACES: Final = {"LPS": Space.LPS, "RAS": Space.RAS, "1": Space.LPS, "0": Space.RAS}
_STATES: Final = ("defined", "undefined", "preview")
_UNREAD: Final = {
    "Angle": "an angle cuts nothing; draw a plane or a closed curve",
    "ROI": "a box cuts nothing here; draw a plane or a closed curve",
    "TestLine": "it is a test of Slicer's own",
}
_PLAN_VERSIONS: Final = (2, 3)
"""Of the extension's own .lrp.json files; version 1 was never released."""


def read_document(text: bytes, label: str, stem: str) -> tuple[Markup, ...]:
    """Read every markup of a JSON file.

    Parameters
    ----------
    text : bytes
        The file.
    label : str
        What to call it in messages.
    stem : str
        What to call a markup that has no name.

    Returns
    -------
    tuple of Markup
        In the order of the file.

    Raises
    ------
    InputError
        If the file is not JSON, or not markups, or one of them is of a kind that cuts nothing, is not
        finished, or contradicts itself.
    """
    document = _parsed(text, label)
    if "controlGrid" in document and "schemaVersion" in document:
        return (_resection_plan(document, label, stem),)
    schema = document.get("@schema")
    entries = document.get("markups")
    if not isinstance(schema, str) or not _SCHEMA.fullmatch(schema):
        raise UnreadableError(
            f"{label} names no schema of 3D Slicer's markups, version 1, under @schema; it says "
            f"{str(schema)[:120]!r}.",
            reason="unknown_schema",
        )
    if not isinstance(entries, list) or not entries:
        raise UnreadableError(f"{label} holds no markups.", reason="no_markups")
    names = [stem if len(entries) == 1 else f"{stem} {n}" for n in range(1, len(entries) + 1)]
    return tuple(_markup(e, label, name) for e, name in zip(entries, names, strict=True))


def _parsed(text: bytes, label: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    def never(word: str) -> float:
        raise ValueError(f"{word} is not a number")

    try:
        document = json.loads(text.decode("utf-8-sig"), object_pairs_hook=once, parse_constant=never)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{label} is not sound JSON: {error}.", reason="not_json") from error
    if not isinstance(document, dict):
        raise UnreadableError(f"{label} is JSON, but not an object with markups.", reason="no_markups")
    return document


def _markup(entry: Any, label: str, name: str) -> Markup:
    if not isinstance(entry, dict):
        raise UnreadableError(f"{label}: {name!r} is not an object.", reason="no_markups")
    given = entry.get("name")
    name = given if isinstance(given, str) and given.strip() else name
    kind = entry.get("type")
    where = f"{label}: {name!r}"
    if not isinstance(kind, str) or kind in _UNREAD or kind not in _KINDS:
        why = _UNREAD.get(str(kind), f"these can be: {', '.join(sorted(_KINDS))}")
        raise InputError(
            f"{where} is of the kind {str(kind)[:40]}, which is not read: {why}.", reason="unread_kind"
        )
    space = _space(entry, where)
    _require_mm(entry, where)
    try:
        return _KINDS[kind](entry, name, space, where)
    except InputError as error:
        if error.message.startswith(label):
            raise
        raise InputError(f"{label}: {error.message}", reason=error.reason) from error


def _space(entry: dict[str, Any], where: str) -> Space:
    stated = entry.get("coordinateSystem", "LPS")
    word = str(stated) if isinstance(stated, (str, int)) and not isinstance(stated, bool) else ""
    if word not in _SPACES:
        raise InputError(
            f"{where} counts its axes in {str(stated)[:40]!r}; LPS or RAS can be read.",
            reason="unknown_space",
        )
    return _SPACES[word]


def _require_mm(entry: dict[str, Any], where: str) -> None:
    units = entry.get("coordinateUnits", "mm")
    if units != "mm" and not (isinstance(units, list) and units[:2] == ["mm", "UCUM"]):
        raise InputError(f"{where} is measured in {str(units)[:40]}, not in mm.", reason="unknown_unit")


def _points(entry: dict[str, Any], space: Space, where: str) -> tuple[Floats, tuple[str, ...], int]:
    """Return the placed control points in LPS, their labels, and how many are to be placed yet."""
    items = entry.get("controlPoints", [])
    if not isinstance(items, list) or len(items) > MAX_POINTS:
        raise InputError(f"{where} has no list of control points.", reason="bad_points")
    places: list[list[float]] = []
    labels: list[str] = []
    missing = 0
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict) or item.get("positionStatus", "defined") not in _STATES:
            raise InputError(f"{where}: control point {number} is not one.", reason="bad_points")
        state = item.get("positionStatus", "defined")
        if state != "defined":
            # A preview goes along with the mouse; only an undefined point is one that is wanted.
            missing += state == "undefined"
            continue
        places.append(vector(item.get("position"), 3, f"{where}: the position of control point {number}"))
        text = item.get("label", "")
        labels.append(text if isinstance(text, str) else "")
    points = to_lps(np.array(places, dtype=np.float64).reshape(-1, 3), space)
    return points, tuple(labels), missing


def _require_finished(missing: int, where: str) -> None:
    if missing:
        raise InputError(
            f"{where} has {missing} control points without a place (undefined): it is not finished. Place or "
            "delete them, and save it again.",
            reason="unfinished",
        )


def _plane(entry: dict[str, Any], name: str, space: Space, where: str) -> Markup:
    points, _, missing = _points(entry, space, where)
    _require_finished(missing, where)
    return read_plane(entry, name, points, space, where)


def _line(entry: dict[str, Any], name: str, space: Space, where: str) -> Markup:
    points, _, missing = _points(entry, space, where)
    _require_finished(missing, where)
    return MarkupLine(name, points)


def _curve(entry: dict[str, Any], name: str, space: Space, where: str) -> Markup:
    points, _, missing = _points(entry, space, where)
    _require_finished(missing, where)
    kind = entry.get("curveType", CurveKind.SPLINE.value)
    if kind not in [k.value for k in CurveKind]:
        raise InputError(
            f"{where} is a curve of the kind {str(kind)[:40]!r}, whose way between its points is not in the "
            "file; make it a spline, or linear.",
            reason="unread_kind",
        )
    return MarkupCurve(name, points, entry["type"] == "ClosedCurve", CurveKind(kind))


def _fiducial(entry: dict[str, Any], name: str, space: Space, where: str) -> Markup:
    points, labels, missing = _points(entry, space, where)
    if not len(points):
        given = len(entry.get("controlPoints", []))
        raise InputError(f"{where} has {given} points, and none is placed.", reason="too_few_points")
    found = MarkupPoints(name, points, labels)
    if "rows" not in entry and "columns" not in entry:
        return found
    _require_finished(missing, where)
    rows, columns = _sides(entry.get("rows"), entry.get("columns"), where)
    return MarkupSurface(name, found.grid_mm(rows, columns))


def _bezier(entry: dict[str, Any], name: str, space: Space, where: str) -> Markup:
    points, labels, missing = _points(entry, space, where)
    _require_finished(missing, where)
    return MarkupSurface(name, MarkupPoints(name, points, labels).grid_mm(BEZIER_SIDE, BEZIER_SIDE))


_KINDS: Final[dict[str, Callable[[dict[str, Any], str, Space, str], Markup]]] = {
    "Plane": _plane,
    "Line": _line,
    "Curve": _curve,
    "ClosedCurve": _curve,
    "Fiducial": _fiducial,
    "BezierSurface": _bezier,
}


def _resection_plan(document: dict[str, Any], label: str, stem: str) -> Markup:
    """Read a resection of the Slicer-Liver extension (.lrp.json), whose axes are always RAS.

    Its patches of 3 x 3 points are of the second degree; they are raised to the third, which is exact.
    """
    version = document["schemaVersion"]
    kind = document.get("surfaceType", "Bezier")
    if version not in _PLAN_VERSIONS or isinstance(version, bool) or kind != "Bezier":
        raise InputError(
            f"{label} is a {str(kind)[:20]} resection of version {str(version)[:20]}; Bezier surfaces of "
            f"versions {_PLAN_VERSIONS[0]} and {_PLAN_VERSIONS[1]} can be read.",
            reason="unread_kind",
        )
    if document.get("state") == "Init":
        raise InputError(
            f"{label} is a resection that was begun and has no surface yet.", reason="unfinished"
        )
    rows, columns = _sides(document.get("rows"), document.get("cols"), label)
    flat = vector(document["controlGrid"], 3 * rows * columns, f"{label}: controlGrid")
    given = document.get("resection")
    name = given.get("name") if isinstance(given, dict) else None
    control = np.array(flat).reshape(rows, columns, 3)
    if rows == columns == QUADRATIC_SIDE:
        control = _cubic(_cubic(control).transpose(1, 0, 2)).transpose(1, 0, 2)
    try:
        return MarkupSurface(name if isinstance(name, str) and name else stem, to_lps(control, Space.RAS))
    except InputError as error:
        raise InputError(f"{label}: {error.message}", reason=error.reason) from error


def _cubic(control: Floats) -> Floats:
    """Return four rows of control points that make the same surface as three."""
    first, middle, last = control
    return np.stack([first, (first + 2 * middle) / 3, (2 * middle + last) / 3, last])


def _sides(rows: Any, columns: Any, where: str) -> tuple[int, int]:
    if type(rows) is not int or type(columns) is not int or not 2 <= min(rows, columns) <= 1000:
        raise InputError(f"{where} has {rows} rows and {columns} columns of points.", reason="wrong_grid")
    return rows, columns

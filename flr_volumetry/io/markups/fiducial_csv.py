"""Points as 3D Slicer kept them before its JSON files (.fcsv)."""

from __future__ import annotations

import csv
import math
import re
from typing import Final

import numpy as np

from flr_volumetry.errors import InputError, UnreadableError
from flr_volumetry.io.markups.slicer_json import MAX_POINTS
from flr_volumetry.io.markups.values import MarkupPoints
from flr_volumetry.io.spaces import Space, to_lps

LABEL: Final = 11
STATUS: Final = 14
DEFINED: Final = "2"
_VERSION: Final = re.compile(r"#\s*Markups fiducial file version\s*=\s*[0-9.]+\s*", re.IGNORECASE)
_SPACE: Final = re.compile(r"#\s*CoordinateSystem\s*=\s*(\S+)\s*", re.IGNORECASE)
_SPACES: Final = {"LPS": Space.LPS, "RAS": Space.RAS, "1": Space.LPS, "0": Space.RAS}


def read_fcsv(text: bytes, label: str, stem: str) -> MarkupPoints:
    """Read a table of points.

    Parameters
    ----------
    text : bytes
        The file.
    label : str
        What to call it in messages.
    stem : str
        What to call the list of points.

    Returns
    -------
    MarkupPoints
        The points that have a place, LPS mm.

    Raises
    ------
    InputError
        If it is not such a table, does not state its axes, or holds no point.
    """
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except ValueError as error:
        raise UnreadableError(f"{label} is not text.", reason="not_text") from error
    comments = [line for line in lines if line.startswith("#")]
    if not any(_VERSION.fullmatch(line) for line in comments):
        raise UnreadableError(
            f"{label} does not begin as a table of points (Markups fiducial file version).",
            reason="unknown_format",
        )
    stated = {found[1].upper() for line in comments if (found := _SPACE.fullmatch(line))}
    if len(stated) != 1 or not stated <= _SPACES.keys():
        raise InputError(
            f"{label} counts its axes in {', '.join(sorted(stated)) or 'an unstated way'}; LPS or RAS can be "
            "read (# CoordinateSystem = LPS).",
            reason="unknown_space",
        )
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    if len(rows) > MAX_POINTS:
        raise InputError(f"{label} holds {len(rows)} points.", reason="bad_points")
    return _points(rows, _SPACES[stated.pop()], label, stem)


def _points(rows: list[str], space: Space, label: str, stem: str) -> MarkupPoints:
    places: list[list[float]] = []
    labels: list[str] = []
    try:
        for number, row in enumerate(csv.reader(rows, strict=True), start=1):
            if row[STATUS : STATUS + 1] not in ([], [""], [DEFINED]):
                continue
            places.append(_place(row, number, label))
            labels.append("".join(row[LABEL : LABEL + 1]))
    except csv.Error as error:
        raise UnreadableError(f"{label} is not a sound table: {error}.", reason="damaged") from error
    if not places:
        raise InputError(f"{label} holds no point that is placed.", reason="too_few_points")
    try:
        return MarkupPoints(stem, to_lps(np.array(places), space), tuple(labels))
    except InputError as error:
        raise InputError(f"{label}: {error.message}", reason=error.reason) from error


def _place(row: list[str], number: int, label: str) -> list[float]:
    try:
        place = [float(word) for word in row[1:4]]
    except ValueError:
        place = []
    if len(place) != 3 or not all(map(math.isfinite, place)):
        raise InputError(f"{label}: point {number} is not at three numbers.", reason="bad_numbers")
    return place

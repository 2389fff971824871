"""Landmarks of a case: from a file, from the case file, or found in the vessels; and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from flr_volumetry.app.tables import Point, Section
from flr_volumetry.errors import CaseError, Caveat
from flr_volumetry.io import MarkupPoints, read_markups
from flr_volumetry.resection import Plane, PlaneResection
from flr_volumetry.territories import (
    Landmark,
    Landmarks,
    PlacedPlane,
    Side,
    cantlie_plane,
    couinaud_segments,
    fill_segments,
    find_landmarks,
    hepatic_vein_plane,
    landmark_plane,
    umbilical_plane,
    with_segments,
)
from flr_volumetry.territories.landmarks import landmark_named, require_near

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.app.case import Case
    from flr_volumetry.liver import Liver

VEINS = {
    "right_hepatic_vein": Landmark.RIGHT_VEIN,
    "middle_hepatic_vein": Landmark.MIDDLE_VEIN,
    "left_hepatic_vein": Landmark.LEFT_VEIN,
}
PlaneName = Literal[
    "cantlie",
    "right_hepatic_vein",
    "middle_hepatic_vein",
    "left_hepatic_vein",
    "umbilical_fissure",
    "three_landmarks",
]


class LandmarksSection(Section):
    """The [landmarks] table: points by name, a file of them, or neither: then they are sought."""

    file: str | None = Field(default=None, min_length=1)
    points_mm: dict[str, list[Point]] | None = None
    segments: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> LandmarksSection:
        if self.file is not None and self.points_mm is not None:
            raise ValueError("landmarks come from file = ... or from points_mm = {...}, not from both")
        return self


def landmarks_of(case: Case, liver: Liver) -> Landmarks:
    """Return the landmarks of a case.

    Parameters
    ----------
    case : Case
        With or without a [landmarks] table.
    liver : Liver
        Searched where the case names none.

    Returns
    -------
    Landmarks
        Points by kind.

    Raises
    ------
    FlrError
        If a file cannot be read, a name is not known, a point lies far from the liver, or nothing is found.
    """
    given = _given(case)
    if given is None:
        return find_landmarks(liver)
    require_near(given, liver)
    return given


def _given(case: Case) -> Landmarks | None:
    section = case.landmarks
    if section is None:
        return None
    if section.points_mm is not None:
        return Landmarks.named({name: np.array(p) for name, p in section.points_mm.items()})
    if section.file is not None:
        points: dict[str, np.ndarray] = {}
        for markup in read_markups(case.resolve(section.file)):
            if not isinstance(markup, MarkupPoints):
                raise CaseError(
                    f"{section.file}: {markup.name!r} is no list of points; landmarks are fiducials named "
                    "after what they mark, such as RHV-1.",
                    reason="not_landmarks",
                )
            points |= dict(zip(markup.labels, markup.points_mm, strict=True))
        return Landmarks.named(points, source=f"points of {section.file}")
    return None


def with_case_segments(liver: Liver, case: Case) -> tuple[Liver, tuple[str, ...]]:
    """Return a liver with segments from landmarks, where the case asks for them and has no map.

    Where the case says so, liver that its map leaves out is given to the nearest segment.

    Parameters
    ----------
    liver : Liver
        A segment map that was given always wins.
    case : Case
        With or without a [landmarks] table.

    Returns
    -------
    Liver
        With segments, or as it was.
    tuple of str
        Sentences for the methods section.
    """
    if case.masks.fill_segments:
        liver = fill_segments(liver)
    if case.landmarks is None or not case.landmarks.segments:
        return liver, ()
    if liver.segments is not None:
        from dataclasses import replace

        said = Caveat(
            "given_segments_used",
            "The case asks for segments from landmarks, but has a segment map; the map was used.",
        )
        return replace(liver, caveats=(*liver.caveats, said)), ()
    found = couinaud_segments(liver, landmarks_of(case, liver))
    return with_segments(liver, found), found.methods


def placed_resection(
    name: PlaneName, removes: Side, landmarks: Landmarks, through: Sequence[str] = ()
) -> PlaneResection:
    """Place a plane from anatomy, and make a resection of it.

    Parameters
    ----------
    name : str
        Which plane.
    removes : Side
        Which side goes.
    landmarks : Landmarks
        Of the liver.
    through : sequence of str
        Names of the three landmarks of a plane through three.

    Returns
    -------
    PlaneResection
        With the caveat that it must be confirmed.

    Raises
    ------
    FlrError
        If a landmark is missing or not known, or the plane cannot be told.
    """
    placed: PlacedPlane
    if name == "three_landmarks":
        points = [landmarks.need(landmark_named(one)).mean(axis=0) for one in through]
        placed = landmark_plane(points, removed=removes)
    elif name == "cantlie":
        placed = cantlie_plane(landmarks, removed=removes)
    elif name == "umbilical_fissure":
        placed = umbilical_plane(landmarks, removed=removes)
    else:
        placed = hepatic_vein_plane(landmarks, VEINS[name], removed=removes)
    return PlaneResection(
        (Plane(placed.point_mm, placed.normal),),
        name=placed.name,
        caveats=(*landmarks.caveats, *placed.caveats),
        method=placed.method,
    )

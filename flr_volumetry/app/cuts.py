"""Resections of a case file: every kind, and what it means."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from flr_volumetry.anatomy import Caudate, Structure
from flr_volumetry.app.drawn import DrawnFile, PlanFiles, chosen, drawn_surface, markup_resection
from flr_volumetry.app.landmarks import PlaneName, placed_resection
from flr_volumetry.app.tables import MaskEntry, Point, Section, ThreePoints
from flr_volumetry.errors import CaseError
from flr_volumetry.images import Grid, Mask
from flr_volumetry.io import Space
from flr_volumetry.resection import (
    Ablation,
    Combine,
    Plane,
    PlaneResection,
    RemnantResection,
    Resection,
    SegmentResection,
    SurfaceResection,
    TerritoryResection,
    WedgeResection,
)
from flr_volumetry.resection.surfaces import BezierSurface, ClosedCurve
from flr_volumetry.territories import Side

# What stands for a file while a plan is checked before anything is read.
UNREAD_MASK = Mask(Grid((1, 1, 1), np.eye(4)), np.ones((1, 1, 1), dtype=bool), "unread")
UNREAD_CUT = PlaneResection((Plane(np.zeros(3), np.array([0.0, 0.0, 1.0])),))


class PlaneEntry(Section):
    """A plane: a point and a normal, or three points and a point on the side that goes."""

    point_mm: Point | None = None
    normal: Point | None = None
    points_mm: ThreePoints | None = None
    towards_mm: Point | None = None

    def plane(self) -> Plane:
        """Return it as a value of the core."""
        given = {key for key in PlaneEntry.model_fields if getattr(self, key) is not None}
        if given == {"point_mm", "normal"} and self.point_mm is not None and self.normal is not None:
            return Plane(np.array(self.point_mm), np.array(self.normal))
        if given == {"points_mm", "towards_mm"} and self.points_mm and self.towards_mm is not None:
            return Plane.through(self.points_mm, towards_mm=self.towards_mm)
        raise CaseError(
            "a plane needs point_mm and normal (from what stays to what goes), or points_mm (three points) "
            "and towards_mm (a point on the side that goes); all in LPS mm"
        )


class PlaneResectionEntry(PlaneEntry):
    """A resection of the kind "plane"."""

    kind: Literal["plane"]

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        return PlaneResection((self.plane(),))


class PlanesResectionEntry(Section):
    """A resection of the kind "planes"."""

    kind: Literal["planes"]
    planes: list[PlaneEntry] = Field(min_length=1)
    combine: Literal["all", "any"]

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        return PlaneResection(tuple(p.plane() for p in self.planes), Combine(self.combine))


class HepatectomyEntry(Section):
    """A resection of the kind "hepatectomy"."""

    kind: Literal["hepatectomy"]
    name: str
    caudate: bool | None = None

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        choice = {None: None, True: Caudate.REMOVED, False: Caudate.KEPT}[self.caudate]
        return SegmentResection.hepatectomy(self.name, caudate=choice)


class SegmentsEntry(Section):
    """A resection of the kind "segments"."""

    kind: Literal["segments"]
    segments: list[int] = Field(min_length=1)

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        return SegmentResection(frozenset(self.segments))


class WedgeEntry(Section):
    """A resection of the kind "wedge"."""

    kind: Literal["wedge"]
    lesions: list[int] = Field(min_length=1)
    margin_mm: float

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        return WedgeResection(tuple(self.lesions), self.margin_mm)


class AblationEntry(Section):
    """A resection of the kind "ablation"."""

    kind: Literal["ablation"]
    lesions: list[int] = Field(min_length=1)
    margin_mm: float

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        return Ablation(tuple(self.lesions), self.margin_mm)


class RemnantEntry(Section):
    """A resection of the kind "remnant_mask"."""

    kind: Literal["remnant_mask"]
    file: MaskEntry | None = None

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        return RemnantResection(files.remnant(self.file) if files else UNREAD_MASK)


class TerritoryEntry(Section):
    """A resection of the kind "territory"."""

    kind: Literal["territory"]
    structure: Literal["portal_vein", "hepatic_veins"]
    branches: list[int | str] | None = Field(default=None, min_length=1)
    lesions: list[int] | None = Field(default=None, min_length=1)
    margin_mm: float | None = None

    @model_validator(mode="after")
    def _branches_or_lesions(self) -> TerritoryEntry:
        given = {key for key in ("branches", "lesions", "margin_mm") if getattr(self, key) is not None}
        if given not in ({"branches"}, {"lesions", "margin_mm"}):
            raise ValueError(
                "a territory needs branches, or lesions and margin_mm: then it is that of the branches that "
                "feed these lesions and the margin"
            )
        return self

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        return TerritoryResection(
            Structure(self.structure),
            tuple(self.branches or ()),
            tuple(self.lesions or ()),
            self.margin_mm or 0.0,
        )


class AnatomicalPlaneEntry(Section):
    """A resection of the kind "anatomical_plane": placed from landmarks, to be confirmed."""

    kind: Literal["anatomical_plane"]
    name: PlaneName
    removes: Literal["right", "left"]
    landmarks: list[str] | None = Field(default=None, min_length=3, max_length=3)

    @model_validator(mode="after")
    def _three(self) -> AnatomicalPlaneEntry:
        if (self.name == "three_landmarks") != (self.landmarks is not None):
            raise ValueError(
                'landmarks = ["GB", "IVC", "MHV"] names the three points of name = "three_landmarks", '
                "and belongs to no other plane"
            )
        return self

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        if files is None:
            return UNREAD_CUT
        return placed_resection(self.name, Side(self.removes), files.landmarks(), self.landmarks or ())


class CurveEntry(Section):
    """A resection of the kind "curve": a closed curve drawn on the liver."""

    kind: Literal["curve"]
    points_mm: list[Point] = Field(min_length=4)
    towards_mm: Point
    name: str = "a closed curve"

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        curve = ClosedCurve(np.array(self.points_mm))
        return SurfaceResection(curve.towards(self.towards_mm), self.name)


class SurfaceEntry(Section):
    """A resection of the kind "surface": of a file, or laid by control points."""

    kind: Literal["surface"]
    file: str | None = Field(default=None, min_length=1)
    space: Literal["LPS", "RAS"] | None = None
    control_mm: list[list[Point]] | None = None
    rows: int | None = None
    columns: int | None = None
    towards_mm: Point | None = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> SurfaceEntry:
        if (self.file is None) == (self.control_mm is None):
            raise ValueError("a surface needs file = ..., or control_mm = [[[x, y, z], ...], ...]")
        if self.control_mm is not None:
            if self.space or self.rows is not None or self.columns is not None:
                raise ValueError("space, rows and columns are for a file; control_mm is LPS, row by row")
            if len({len(row) for row in self.control_mm}) != 1:
                raise ValueError("every row of control_mm needs as many points as the others")
        return self

    @property
    def drawn(self) -> DrawnFile | None:
        """The file it names."""
        return DrawnFile(self.file, Space(self.space) if self.space else None) if self.file else None

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        if self.drawn is not None:
            if files is None:
                return UNREAD_CUT
            size = (self.rows, self.columns)
            return drawn_surface(files.drawings[self.drawn], size, self.towards_mm, self.drawn.path)
        patch = BezierSurface(np.array(self.control_mm))
        return SurfaceResection(patch.towards(self.towards_mm) if self.towards_mm else patch)


class MarkupEntry(Section):
    """A resection of the kind "markup": drawn in 3D Slicer."""

    kind: Literal["markup"]
    file: str = Field(min_length=1)
    name: str | None = None
    towards_mm: Point | None = None

    @property
    def drawn(self) -> DrawnFile:
        """The file it names."""
        return DrawnFile(self.file)

    def value(self, files: PlanFiles | None) -> Resection:
        """Return it as a value of the core."""
        if files is None:
            return UNREAD_CUT
        drawing = files.drawings[self.drawn]
        if not isinstance(drawing, tuple):
            raise CaseError(
                f'{self.file} is a mesh, and a markup is a .mrk.json or .fcsv file; use kind = "surface".',
                reason="not_a_markup",
            )
        return markup_resection(chosen(drawing, self.name, self.file), self.towards_mm, self.file)


ResectionEntry = Annotated[
    PlaneResectionEntry
    | PlanesResectionEntry
    | HepatectomyEntry
    | SegmentsEntry
    | WedgeEntry
    | AblationEntry
    | RemnantEntry
    | SurfaceEntry
    | CurveEntry
    | MarkupEntry
    | AnatomicalPlaneEntry
    | TerritoryEntry,
    Field(discriminator="kind"),
]

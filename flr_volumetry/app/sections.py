"""The tables of a case file, and what they mean."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from flr_volumetry.anatomy import Caudate
from flr_volumetry.errors import CaseError
from flr_volumetry.images import Mask
from flr_volumetry.resection import (
    Ablation,
    Combine,
    Plane,
    PlaneResection,
    RemnantResection,
    Resection,
    SegmentResection,
    Stage,
    Waiting,
    WedgeResection,
)
from flr_volumetry.volumetry.patient import Parenchyma, Patient, Sex

# TOML knows arrays, not tuples; their numbers stay strict.
Point = Annotated[tuple[float, float, float], Strict(strict=False)]
ThreePoints = Annotated[tuple[Point, Point, Point], Strict(strict=False)]


class Section(BaseModel):
    """A table of the case file: unknown keys are refused, with the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known:
                    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                    hint = f" Did you mean {near[0]!r}?" if near else ""
                    raise ValueError(f"unknown key {key!r}.{hint} Known here: {', '.join(known)}.")
        return data


class CaseSection(Section):
    """The [case] table."""

    id: str = Field(min_length=1)


class PatientSection(Section):
    """The [patient] table; all optional."""

    sex: Literal["F", "M"] | None = None
    age: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    parenchyma: (
        Literal["normal", "steatosis", "chemotherapy", "fibrosis", "cirrhosis", "cholestasis"] | None
    ) = None
    chemotherapy_weeks: float | None = None

    def value(self) -> Patient:
        """Return it as a value of the core."""
        return Patient(
            sex=Sex(self.sex) if self.sex else None,
            age=self.age,
            height_cm=self.height_cm,
            weight_kg=self.weight_kg,
            parenchyma=Parenchyma(self.parenchyma) if self.parenchyma else None,
            chemotherapy_weeks=self.chemotherapy_weeks,
        )


class ImageSection(Section):
    """The [image] table."""

    path: str = Field(min_length=1)
    series: str | None = None


class StudySection(Section):
    """The [study] table: a folder that holds the scan and everything drawn on it."""

    path: str = Field(min_length=1)
    series: str | None = None


class MaskEntry(Section):
    """One structure of a file: the whole of it, a segment by name, or labels by number."""

    path: str = Field(min_length=1)
    segment: str | None = None
    label: int | list[int] | None = None
    split: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"path": data} if isinstance(data, str) else data

    @property
    def labels(self) -> tuple[int, ...] | None:
        """The labels chosen, if any."""
        if self.label is None:
            return None
        return (self.label,) if isinstance(self.label, int) else tuple(self.label)


class MasksSection(Section):
    """The [masks] table."""

    liver: MaskEntry | None = None
    lesions: list[MaskEntry] = []
    portal_vein: MaskEntry | None = None
    hepatic_veins: MaskEntry | None = None
    ivc: MaskEntry | None = None
    gallbladder: MaskEntry | None = None
    segments: MaskEntry | None = None

    @model_validator(mode="after")
    def _nothing_ignored(self) -> MasksSection:
        for name in type(self).model_fields:
            entry = getattr(self, name)
            if isinstance(entry, MaskEntry) and entry.split:
                raise ValueError(f"split = true is for lesions, not for {name}")
        if self.segments is not None and (self.segments.segment or self.segments.label is not None):
            raise ValueError(
                "segments takes a whole label map (labels 1 to 8), so it cannot have a segment or a label"
            )
        return self


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

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return PlaneResection((self.plane(),))


class PlanesResectionEntry(Section):
    """A resection of the kind "planes"."""

    kind: Literal["planes"]
    planes: list[PlaneEntry] = Field(min_length=1)
    combine: Literal["all", "any"]

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return PlaneResection(tuple(p.plane() for p in self.planes), Combine(self.combine))


class HepatectomyEntry(Section):
    """A resection of the kind "hepatectomy"."""

    kind: Literal["hepatectomy"]
    name: str
    caudate: bool | None = None

    def value(self) -> Resection:
        """Return it as a value of the core."""
        choice = {None: None, True: Caudate.REMOVED, False: Caudate.KEPT}[self.caudate]
        return SegmentResection.hepatectomy(self.name, caudate=choice)


class SegmentsEntry(Section):
    """A resection of the kind "segments"."""

    kind: Literal["segments"]
    segments: list[int] = Field(min_length=1)

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return SegmentResection(frozenset(self.segments))


class WedgeEntry(Section):
    """A resection of the kind "wedge"."""

    kind: Literal["wedge"]
    lesions: list[int] = Field(min_length=1)
    margin_mm: float

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return WedgeResection(tuple(self.lesions), self.margin_mm)


class AblationEntry(Section):
    """A resection of the kind "ablation"."""

    kind: Literal["ablation"]
    lesions: list[int] = Field(min_length=1)
    margin_mm: float

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return Ablation(tuple(self.lesions), self.margin_mm)


class RemnantEntry(Section):
    """A resection of the kind "remnant_mask"."""

    kind: Literal["remnant_mask"]
    file: MaskEntry | None = None

    def value(self, remnant: Callable[[MaskEntry | None], Mask]) -> Resection:
        """Return it as a value of the core."""
        return RemnantResection(remnant(self.file))


ResectionEntry = Annotated[
    PlaneResectionEntry
    | PlanesResectionEntry
    | HepatectomyEntry
    | SegmentsEntry
    | WedgeEntry
    | AblationEntry
    | RemnantEntry,
    Field(discriminator="kind"),
]


class AfterEntry(Section):
    """What happens before a stage."""

    procedure: str = Field(min_length=1)
    weeks: float = Field(ge=0)


class StageSection(Section):
    """One [[stage]] table."""

    name: str = ""
    after: AfterEntry | None = None
    resections: list[ResectionEntry] = Field(min_length=1)

    def value(self, number: int, remnant: Callable[[MaskEntry | None], Mask]) -> Stage:
        """Return it as a value of the core."""
        after = Waiting(self.after.procedure, self.after.weeks) if self.after else None
        cuts = (r.value(remnant) if isinstance(r, RemnantEntry) else r.value() for r in self.resections)
        return Stage(self.name or f"stage {number}", tuple(cuts), after)


class AssessmentSection(Section):
    """The [assessment] table."""

    protocols: list[str] = Field(default=["consensus-20-30-40", "review-2014"], min_length=1)
    protocol_folder: str | None = None

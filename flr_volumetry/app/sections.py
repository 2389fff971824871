"""The tables of a case file, and what they mean."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from flr_volumetry.app.cuts import ResectionEntry
from flr_volumetry.app.drawn import PlanFiles
from flr_volumetry.app.tables import MaskEntry, Point, Section
from flr_volumetry.resection import Stage, Waiting
from flr_volumetry.volumetry.patient import Parenchyma, Patient, Sex
from flr_volumetry.volumetry.uncertainty import DRAWING_ERRORS, DrawingErrors, RelativeErrors


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
    phase: Literal["unenhanced", "portal_venous"] | None = None
    date: dt.date | None = None


class StudySection(Section):
    """The [study] table: a folder that holds the scan and everything drawn on it."""

    path: str = Field(min_length=1)
    series: str | None = None
    phase: Literal["unenhanced", "portal_venous"] | None = None
    date: dt.date | None = None


class MasksSection(Section):
    """The [masks] table; `date` is for masks that come without a scan."""

    date: dt.date | None = None
    liver: MaskEntry | None = None
    lesions: list[MaskEntry] = Field(default=[])
    portal_vein: MaskEntry | None = None
    hepatic_veins: MaskEntry | None = None
    ivc: MaskEntry | None = None
    gallbladder: MaskEntry | None = None
    segments: MaskEntry | None = None
    fill_segments: bool = False

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


class TerritoriesSection(Section):
    """The [territories] table: whether and how the branches of vessels are found; all optional.

    A root is one point, or several for a vessel in several parts: the end of the portal vein's trunk, the
    mouth of the hepatic veins.
    """

    find: bool = True
    portal_root_mm: list[Point] | None = Field(default=None, min_length=1)
    hepatic_root_mm: list[Point] | None = Field(default=None, min_length=1)
    weighting: Literal["wall", "centreline"] = "wall"

    @field_validator("portal_root_mm", "hepatic_root_mm", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        one = isinstance(value, list) and value and not isinstance(value[0], list)
        return [value] if one else value


class FollowupSection(Section):
    """The [followup] table: an earlier scan, whose plan is carried over if there is none here.

    In a cohort the baseline may be another of its cases, by name; growth is counted from `procedure_date`,
    the day of the embolization or first stage, where it is given.
    """

    baseline: str = Field(min_length=1)
    stages_done: int | None = Field(default=None, ge=0)
    procedure_date: dt.date | None = None


class OutputSection(Section):
    """The [output] table: what is written beside the report, and whether it says who the patient is.

    Without `dicom`, DICOM objects are written where the scan is a DICOM series that they can refer to. A
    pseudonym stands in for the patient and for the case's id, and implies identifiers = false. With
    `meshes`, the pieces are written as STL and GLB.
    """

    dicom: bool | None = None
    identifiers: bool | None = None
    pseudonym: str = ""
    meshes: bool = False

    @model_validator(mode="after")
    def _one_wish(self) -> OutputSection:
        if self.identifiers and self.pseudonym:
            raise ValueError("a pseudonym is for identifiers = false; give one of the two")
        return self

    @property
    def anonymous(self) -> bool:
        """Whether nothing that is written may say who the patient is."""
        return self.identifiers is False or bool(self.pseudonym)


class AfterEntry(Section):
    """What happens before a stage."""

    procedure: str = Field(min_length=1)
    weeks: float = Field(ge=0)


class StageSection(Section):
    """One [[stage]] table."""

    name: str = ""
    after: AfterEntry | None = None
    resections: list[ResectionEntry] = Field(min_length=1)

    def value(self, number: int, files: PlanFiles | None) -> Stage:
        """Return it as a value of the core."""
        after = Waiting(self.after.procedure, self.after.weeks) if self.after else None
        cuts = tuple(resection.value(files) for resection in self.resections)
        return Stage(self.name or f"stage {number}", cuts, after)


class UncertaintySection(Section):
    """The [uncertainty] table: how far outlines and cuts may be off; all optional.

    With remnant_relative_sd and liver_relative_sd, remnant and liver have these errors instead, as fractions.
    """

    outline_sd_mm: float = DRAWING_ERRORS.outline_sd_mm
    local_sd_mm: float = DRAWING_ERRORS.local_sd_mm
    correlation_mm: float = DRAWING_ERRORS.correlation_mm
    lesion_correlation_mm: float = DRAWING_ERRORS.lesion_correlation_mm
    cut_sd_mm: float = DRAWING_ERRORS.cut_sd_mm
    cut_sd_degrees: float = DRAWING_ERRORS.cut_sd_degrees
    slice_share: float = DRAWING_ERRORS.slice_share
    remnant_relative_sd: float | None = None
    liver_relative_sd: float | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> UncertaintySection:
        if (self.remnant_relative_sd is None) != (self.liver_relative_sd is None):
            raise ValueError("remnant_relative_sd and liver_relative_sd are given together, or neither is")
        return self

    def value(self) -> DrawingErrors:
        """Return how far outlines and cuts may be off, as a value of the core."""
        return DrawingErrors(**self.model_dump(exclude={"remnant_relative_sd", "liver_relative_sd"}))

    def relative(self) -> RelativeErrors | None:
        """Return the relative errors of remnant and liver, if they are given."""
        if self.remnant_relative_sd is None or self.liver_relative_sd is None:
            return None
        return RelativeErrors(remnant=self.remnant_relative_sd, liver=self.liver_relative_sd)


class AssessmentSection(Section):
    """The [assessment] table."""

    protocols: list[str] | None = Field(default=None, min_length=1)
    protocol_folder: str | None = None

"""The case file: what a user writes to have one patient assessed."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator

from flr_volumetry.anatomy import Caudate
from flr_volumetry.errors import CaseError, UnreadableError
from flr_volumetry.resection import (
    Ablation,
    Combine,
    Plane,
    PlaneResection,
    Resection,
    ResectionPlan,
    SegmentResection,
    Stage,
    Waiting,
    WedgeResection,
)
from flr_volumetry.volumetry.patient import Parenchyma, Patient, Sex

# TOML knows arrays, not tuples; their numbers stay strict.
Point = Annotated[tuple[float, float, float], Strict(strict=False)]
ThreePoints = Annotated[tuple[Point, Point, Point], Strict(strict=False)]


class _Section(BaseModel):
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


class CaseSection(_Section):
    """The [case] table."""

    id: str = Field(min_length=1)


class PatientSection(_Section):
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


class ImageSection(_Section):
    """The [image] table."""

    path: str = Field(min_length=1)
    series: str | None = None


class MaskEntry(_Section):
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


class MasksSection(_Section):
    """The [masks] table."""

    liver: MaskEntry | None = None
    lesions: list[MaskEntry] = []
    portal_vein: MaskEntry | None = None
    hepatic_veins: MaskEntry | None = None
    ivc: MaskEntry | None = None
    gallbladder: MaskEntry | None = None
    segments: MaskEntry | None = None


class PlaneEntry(_Section):
    """A plane: a point and a normal, or three points and a point on the side that goes."""

    point_mm: Point | None = None
    normal: Point | None = None
    points_mm: ThreePoints | None = None
    towards_mm: Point | None = None

    def plane(self) -> Plane:
        """Return it as a value of the core."""
        if self.point_mm is not None and self.normal is not None and self.points_mm is None:
            return Plane(np.array(self.point_mm), np.array(self.normal))
        if self.points_mm is not None and self.towards_mm is not None and self.point_mm is None:
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


class PlanesResectionEntry(_Section):
    """A resection of the kind "planes"."""

    kind: Literal["planes"]
    planes: list[PlaneEntry] = Field(min_length=1)
    combine: Literal["all", "any"]

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return PlaneResection(tuple(p.plane() for p in self.planes), Combine(self.combine))


class HepatectomyEntry(_Section):
    """A resection of the kind "hepatectomy"."""

    kind: Literal["hepatectomy"]
    name: str
    caudate: bool | None = None

    def value(self) -> Resection:
        """Return it as a value of the core."""
        choice = {None: None, True: Caudate.REMOVED, False: Caudate.KEPT}[self.caudate]
        return SegmentResection.hepatectomy(self.name, caudate=choice)


class SegmentsEntry(_Section):
    """A resection of the kind "segments"."""

    kind: Literal["segments"]
    segments: list[int] = Field(min_length=1)

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return SegmentResection(frozenset(self.segments))


class WedgeEntry(_Section):
    """A resection of the kind "wedge"."""

    kind: Literal["wedge"]
    lesions: list[int] = Field(min_length=1)
    margin_mm: float

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return WedgeResection(tuple(self.lesions), self.margin_mm)


class AblationEntry(_Section):
    """A resection of the kind "ablation"."""

    kind: Literal["ablation"]
    lesions: list[int] = Field(min_length=1)
    margin_mm: float

    def value(self) -> Resection:
        """Return it as a value of the core."""
        return Ablation(tuple(self.lesions), self.margin_mm)


ResectionEntry = Annotated[
    PlaneResectionEntry
    | PlanesResectionEntry
    | HepatectomyEntry
    | SegmentsEntry
    | WedgeEntry
    | AblationEntry,
    Field(discriminator="kind"),
]


class AfterEntry(_Section):
    """What happens before a stage."""

    procedure: str = Field(min_length=1)
    weeks: float = Field(ge=0)


class StageSection(_Section):
    """One [[stage]] table."""

    name: str = ""
    after: AfterEntry | None = None
    resections: list[ResectionEntry] = Field(min_length=1)

    def value(self, number: int) -> Stage:
        """Return it as a value of the core."""
        after = Waiting(self.after.procedure, self.after.weeks) if self.after else None
        return Stage(self.name or f"stage {number}", tuple(r.value() for r in self.resections), after)


class AssessmentSection(_Section):
    """The [assessment] table."""

    protocols: list[str] = Field(default=["consensus-20-30-40", "review-2014"], min_length=1)
    protocol_folder: str | None = None


class Case(_Section):
    """A whole case file.

    Made by `read_case`; field by field as the file is written.
    """

    case: CaseSection
    patient: PatientSection = PatientSection()
    image: ImageSection | None = None
    masks: MasksSection
    stage: list[StageSection] = Field(min_length=1)
    assessment: AssessmentSection = AssessmentSection()
    folder: Path = Field(default=Path(), exclude=True)
    sha256: str = Field(default="", exclude=True)

    def plan(self) -> ResectionPlan:
        """Return the plan as a value of the core.

        Returns
        -------
        ResectionPlan
            Its stages in the file's order.

        Raises
        ------
        PlanError
            If a resection cannot be meant: an unknown hepatectomy, a normal without length.
        """
        return ResectionPlan(tuple(stage.value(n) for n, stage in enumerate(self.stage, start=1)))

    def with_series(self, series: str) -> Case:
        """Return the same case with another choice of series, as ``--series`` gives it.

        Parameters
        ----------
        series : str
            Its number in the list, or its UID.

        Returns
        -------
        Case
            With that series.

        Raises
        ------
        CaseError
            If the case has no image.
        """
        if self.image is None:
            raise CaseError("--series was given, but the case has no [image]", reason="no_image")
        return self.model_copy(update={"image": ImageSection(path=self.image.path, series=series)})

    def with_root(self, root: Path) -> Case:
        """Return the same case with its relative paths starting from another folder.

        Parameters
        ----------
        root : Path
            The folder.

        Returns
        -------
        Case
            With that folder.
        """
        return self.model_copy(update={"folder": root})

    def resolve(self, path: str) -> Path:
        """Return a path of the case file, taken relative to it."""
        return self.folder / Path(path).expanduser()


def read_case(path: Path) -> Case:
    """Read and check a case file.

    Parameters
    ----------
    path : Path
        A TOML file; paths in it are relative to it.

    Returns
    -------
    Case
        Every key known, every value of the right kind.

    Raises
    ------
    UnreadableError
        If the file cannot be read.
    CaseError
        If it is not TOML, or holds an unknown key or an impossible value.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path}: the case file cannot be read: {error.strerror}") from error
    try:
        data = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CaseError(
            f"{path}: a case file is TOML, and this is not: {error}", reason="not_toml"
        ) from error
    return make_case(
        data, folder=path.resolve().parent, sha256=hashlib.sha256(raw).hexdigest(), where=str(path)
    )


def make_case(data: dict[str, Any], *, folder: Path = Path(), sha256: str = "", where: str = "case") -> Case:
    """Check the contents of a case file.

    Parameters
    ----------
    data : dict
        As TOML gives it.
    folder : Path
        What its paths are relative to.
    sha256 : str
        Of the file.
    where : str
        What to call it in messages.

    Returns
    -------
    Case
        Every key known, every value of the right kind.

    Raises
    ------
    CaseError
        If a key is unknown or a value impossible.
    """
    for private in ("folder", "sha256"):
        if private in data:
            raise CaseError(f"{where}: unknown key {private!r}", reason="unknown_key")
    if "masks" not in data:
        raise CaseError(
            f"{where}: there is no [masks] table, and so no liver. Give liver = ... or segments = ... in it.",
            reason="no_liver_mask",
        )
    try:
        case = Case.model_validate({**data, "folder": folder, "sha256": sha256})
    except ValidationError as error:
        raise _explained(error, where) from error
    if case.masks.liver is None and case.masks.segments is None:
        raise CaseError(
            f"{where}: [masks] names no liver. Give liver = ..., or segments = ... whose union is the liver.",
            reason="no_liver_mask",
        )
    return case


def _explained(error: ValidationError, where: str) -> CaseError:
    """Say the first thing that is wrong, where, in words."""
    first = error.errors()[0]
    place = _place(first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    unknown = message.startswith("unknown key")
    if first["type"] == "union_tag_invalid":
        message = (
            f"unknown kind {first['ctx']['tag']!r} of resection; known: {first['ctx']['expected_tags']}"
        ).replace("'", '"')
    elif first["type"] == "missing":
        message = "this key is required"
    elif not unknown and "input" in first and not isinstance(first["input"], (dict, list)):
        message = f"{message}, got {first['input']!r}"
    return CaseError(
        f"{where}: {place}: {message}", reason="unknown_key" if unknown else CaseError.default_reason
    )


def _place(loc: tuple[int | str, ...]) -> str:
    kinds = {"plane", "planes", "hepatectomy", "segments", "wedge", "ablation"}
    words: list[str] = []
    for n, part in enumerate(loc):
        if isinstance(part, int):
            words[-1:] = [f"{words[-1] if words else ''}[{part + 1}]"]
        elif not (part in kinds and n > 0 and isinstance(loc[n - 1], int)):
            words.append(part)
    return ".".join(words) or "the file"

"""The case file: what a user writes to have one patient assessed."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from flr_volumetry.app.attested_section import AttestedSection
from flr_volumetry.app.finding import SegmentationSection
from flr_volumetry.app.function_section import FunctionSection
from flr_volumetry.app.landmarks import LandmarksSection
from flr_volumetry.app.sections import (
    AssessmentSection,
    CaseSection,
    FollowupSection,
    ImageSection,
    MasksSection,
    OutputSection,
    PatientSection,
    StageSection,
    StudySection,
    TerritoriesSection,
    UncertaintySection,
)
from flr_volumetry.app.tables import Section
from flr_volumetry.errors import CaseError, UnreadableError
from flr_volumetry.resection import ResectionPlan

if TYPE_CHECKING:
    from flr_volumetry.app.drawn import PlanFiles
    from flr_volumetry.volumetry.patient import Patient

DEFAULT_PROTOCOLS = ("consensus-20-30-40", "review-2014")
FUNCTION_PROTOCOL = "liver-function"


class Case(Section):
    """A whole case file.

    Made by `read_case`; field by field as the file is written.
    """

    case: CaseSection
    patient: PatientSection = PatientSection()
    function: FunctionSection | None = None
    attested: AttestedSection = AttestedSection()
    image: ImageSection | None = None
    study: StudySection | None = None
    masks: MasksSection = MasksSection()
    segmentation: SegmentationSection | None = None
    territories: TerritoriesSection = TerritoriesSection()
    stage: list[StageSection] = Field(default=[])
    followup: FollowupSection | None = None
    landmarks: LandmarksSection | None = None
    assessment: AssessmentSection = AssessmentSection()
    uncertainty: UncertaintySection = UncertaintySection()
    output: OutputSection = OutputSection()
    folder: Path = Field(default=Path(), exclude=True)
    sha256: str = Field(default="", exclude=True)

    def plan(self, files: PlanFiles | None = None) -> ResectionPlan:
        """Return the plan as a value of the core.

        Parameters
        ----------
        files : PlanFiles, optional
            What the plan takes from files; without it something stands for them, which is
            enough to check the rest of the plan.

        Returns
        -------
        ResectionPlan
            Its stages in the file's order.

        Raises
        ------
        PlanError
            If a resection cannot be meant: an unknown hepatectomy, a normal without length. A follow-up
            without a [[stage]] has no plan of its own: the baseline's is carried over.
        """
        return ResectionPlan(tuple(stage.value(n, files) for n, stage in enumerate(self.stage, start=1)))

    def person(self) -> Patient:
        """Return the patient, with tests of function, as a value of the core.

        Returns
        -------
        Patient
            Checked.

        Raises
        ------
        FormulaError
            If a number cannot be in its unit.
        """
        patient = self.patient.value()
        return patient if self.function is None else replace(patient, function=self.function.value())

    def protocol_keys(self) -> tuple[str, ...]:
        """Return the protocols that the case asks for, or those for what it holds.

        Returns
        -------
        tuple of str
            Without a list in the file, the default ones, and the tests of function where there are any.
        """
        if self.assessment.protocols is not None:
            return tuple(self.assessment.protocols)
        return DEFAULT_PROTOCOLS if self.function is None else (*DEFAULT_PROTOCOLS, FUNCTION_PROTOCOL)

    @property
    def phase(self) -> str | None:
        """Phase of contrast of the scan, as the case says; None if it does not."""
        scan = self.image or self.study
        return scan.phase if scan is not None else None

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
        if self.study is not None:
            return self.model_copy(update={"study": self.study.model_copy(update={"series": series})})
        if self.image is None:
            raise CaseError("--series was given, but the case has no [image]", reason="no_image")
        return self.model_copy(update={"image": self.image.model_copy(update={"series": series})})

    def with_output(self, **wishes: Any) -> Case:
        """Return the same case with other wishes for what is written, as the command's options give them.

        Parameters
        ----------
        **wishes : object
            Keys of the [output] table; None leaves what the file says.

        Returns
        -------
        Case
            With those wishes.
        """
        said = {**self.output.model_dump(), **{k: v for k, v in wishes.items() if v is not None}}
        if wishes.get("identifiers") is not None and self.output.identifiers:
            said["identifiers"] = wishes["identifiers"]
        return self.model_copy(update={"output": OutputSection.model_validate(said)})

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
        try:
            return self.folder / Path(path).expanduser()
        except RuntimeError as error:
            raise UnreadableError(
                f"{path}: there is no such user's folder; write the path out.", reason="not_found"
            ) from error


def read_case(path: Path, *, followup_of: Path | None = None) -> Case:
    """Read and check a case file.

    Parameters
    ----------
    path : Path
        A TOML file; paths in it are relative to it.
    followup_of : Path or None
        The report.json that it follows, where the command names one.

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
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnreadableError(f"{path}: the case file cannot be read: {why}") from error
    try:
        data = tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CaseError(
            f"{path}: a case file is TOML, and this is not: {error}", reason="not_toml"
        ) from error
    if followup_of is not None:
        data = _following(data, path, followup_of)
    return make_case(
        data, folder=path.resolve().parent, sha256=hashlib.sha256(raw).hexdigest(), where=str(path)
    )


def _following(data: dict[str, Any], path: Path, baseline: Path) -> dict[str, Any]:
    """Name the baseline in a case, or see that the one it names is the same."""
    table = data.get("followup", {})
    named = table.get("baseline") if isinstance(table, dict) else None
    if isinstance(named, str) and (path.resolve().parent / named).resolve() != baseline.resolve():
        raise CaseError(
            f"{path} says that it follows {named}, the command names {baseline}.", reason="other_baseline"
        )
    if not isinstance(table, dict):
        return data
    return {**data, "followup": {**table, "baseline": str(baseline.resolve())}}


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
    if "masks" not in data and "study" not in data and "segmentation" not in data:
        raise CaseError(
            f"{where}: there is no [masks] table, and so no liver. Give liver = ... or segments = ... in it, "
            "or [study] with the path of a folder that holds scan and masks, or [segmentation] to have it "
            "found in the scan.",
            reason="no_liver_mask",
        )
    if "segmentation" in data and ("study" in data or "image" not in data):
        raise CaseError(
            f"{where}: [segmentation] needs the scan in [image]"
            + ("; a [study] brings its masks with it." if "study" in data else "."),
            reason="no_image",
        )
    if "study" in data and ("masks" in data or "image" in data):
        raise CaseError(
            f"{where}: [study] holds the scan and all masks; it stands instead of [image] and [masks].",
            reason="study_and_masks",
        )
    try:
        case = Case.model_validate({**data, "folder": folder, "sha256": sha256})
    except ValidationError as error:
        raise _explained(error, where) from error
    if not case.stage and case.followup is None:
        raise CaseError(
            f"{where}: stage: this key is required. Write a [[stage]], or, for a later scan, [followup] with "
            "the baseline whose plan is carried over."
        )
    given = case.masks.liver is not None or case.masks.segments is not None
    if case.study is None and case.segmentation is None and not given:
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
    kinds = {"plane", "planes", "hepatectomy", "segments", "wedge", "ablation", "remnant_mask"}
    kinds |= {"surface", "curve", "markup", "territory"}
    words: list[str] = []
    for n, part in enumerate(loc):
        if isinstance(part, int):
            words[-1:] = [f"{words[-1] if words else ''}[{part + 1}]"]
        elif not (part in kinds and n > 0 and isinstance(loc[n - 1], int)):
            words.append(part)
    return ".".join(words) or "the file"

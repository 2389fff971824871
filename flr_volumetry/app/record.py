"""An earlier run's folder, read back: what a later scan is held against."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from flr_volumetry.app.keepsake import PARTITION, SMALL_SCAN, STRUCTURES, VESSEL_LABELS
from flr_volumetry.errors import CaseError, Caveat, UnreadableError
from flr_volumetry.images import Image, LabelMap, Source, bounding_box, to_grid
from flr_volumetry.io import read_image, read_label_map
from flr_volumetry.liver import Lesion, Liver, Vessel
from flr_volumetry.report.document import SCHEMA_VERSION, sealed

if TYPE_CHECKING:
    from flr_volumetry.images import Grid

OLDEST = (1, 2)
"""Earlier reports say neither when the scan was made nor whether they were edited."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PatientPart(_Part):
    """The patient of a report."""

    sex: str | None
    age: float | None
    height_cm: float | None
    weight_kg: float | None
    parenchyma: str | None


class CasePart(_Part):
    """The case of a report."""

    id: str
    scan_date: dt.date | None
    patient_key: str | None
    patient: PatientPart


class VolumesPart(_Part):
    """The volumes of a report that growth needs, mL."""

    tumour_ml: float
    functional_ml: float
    remnant_ml: float
    remnant_functional_ml: float


class IndexPart(_Part):
    """One ratio of a report."""

    unit: str
    value: float
    numerator_ml: float
    denominator: str
    denominator_amount: float
    sd_numerator: float
    sd_denominator: float


class FindingPart(_Part):
    """One rule of a report."""

    rule: str
    title: str
    protocol: str
    index: str
    threshold: float
    value: float | None


class LesionPart(_Part):
    """One lesion of a report."""

    number: int
    ml: float
    longest_diameter_mm: float
    location: str
    tracking_uid: str | None = None
    cleared_in_stage: int
    remaining_ml: float


class ConsequencesPart(_Part):
    """What a cut means."""

    cut_area_cm2: float


class StagePart(_Part):
    """What one stage left."""

    number: int
    remnant_functional_ml: float


class WaitingPart(_Part):
    """What happens before a stage."""

    procedure: str
    weeks: float


class PlanPart(_Part):
    """One stage of the plan."""

    name: str
    after: WaitingPart | None
    resections: list[dict[str, Any]]


class InputPart(_Part):
    """One file that a report was made of."""

    role: str
    path: str = ""
    description: str


class ProvenancePart(_Part):
    """What a report was made of."""

    inputs: list[InputPart]


class OutputPart(_Part):
    """One file beside a report."""

    path: str
    sha256: str


class ReportPart(_Part):
    """What of a report growth needs."""

    case: CasePart
    volumes: VolumesPart
    indices: dict[str, IndexPart]
    findings: list[FindingPart]
    lesions: list[LesionPart]
    stages: list[StagePart]
    consequences: ConsequencesPart
    plan: list[PlanPart]
    provenance: ProvenancePart
    outputs: list[OutputPart]
    sha256: str

    @property
    def names_its_patient(self) -> bool:
        """Whether it holds what may say who the patient is."""
        known = self.case.scan_date or self.case.patient_key
        return bool(known or any(i.path for i in self.provenance.inputs))


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An earlier run, read back.

    Parameters
    ----------
    path : Path
        Of its report.json.
    report : ReportPart
        Its numbers.
    liver : Liver or None
        With lesions, vessels and the coarse scan; None if the partition is not beside the report.
    labels : ndarray of uint8 or None
        The partition on that liver's grid.
    caveats : tuple of Caveat
        What is missing.
    """

    path: Path
    report: ReportPart
    liver: Liver | None = field(repr=False)
    labels: npt.NDArray[np.uint8] | None = field(repr=False)
    caveats: tuple[Caveat, ...] = ()


def read_record(path: Path) -> Record:
    """Read a run's report.json, and what it kept beside it.

    Parameters
    ----------
    path : Path
        Of report.json, or of the folder that holds it.

    Returns
    -------
    Record
        With its liver, if the files are there.

    Raises
    ------
    UnreadableError
        If the file cannot be read or is not a report.
    CaseError
        If it was written by another version, or it or a file beside it was edited since.
    """
    path = path / "report.json" if path.is_dir() else path
    report = _report(path)
    digests = {output.path: output.sha256 for output in report.outputs}
    there = {name: path.parent / name for name in (PARTITION, STRUCTURES, SMALL_SCAN) if name in digests}
    missing = [name for name, file in there.items() if not file.is_file()]
    for name, file in there.items():
        if name not in missing and hashlib.sha256(file.read_bytes()).hexdigest() != digests[name]:
            raise CaseError(
                f"{file} is not the file that {path} was written with: its SHA-256 differs. It is another "
                "case's, or was edited; run `flr run` again.",
                reason="digest_mismatch",
            )
    if PARTITION in missing or STRUCTURES in missing or PARTITION not in there:
        said = (
            f"{path}: {', '.join(missing) or PARTITION} is not beside it, so that this scan could not be "
            "laid upon the other: neither lesions nor plans of the two dates were compared in space."
        )
        return Record(path, report, None, None, (Caveat("partition_missing", said),))
    scan = None if SMALL_SCAN in missing or SMALL_SCAN not in there else there[SMALL_SCAN]
    liver, labels = _liver(there[PARTITION], there[STRUCTURES], scan, report)
    return Record(path, report, liver, labels)


def read_document(path: Path) -> dict[str, Any]:
    """Read a report.json, and see that it is one and was not edited.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        As it was written.

    Raises
    ------
    UnreadableError
        If it cannot be read, or is no JSON with a schema_version.
    CaseError
        If another version wrote it, or its digest does not fit it.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = tuple(int(n) for n in str(document["schema_version"]).split("."))
    except OSError as error:
        raise UnreadableError(
            f"{path}: cannot be read: {error.strerror or error}", reason="not_found"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableError(
            f"{path} is not a report of flr_volumetry: it is no JSON with a schema_version.",
            reason="not_a_report",
        ) from error
    if version[0] != OLDEST[0] or version < OLDEST:
        raise CaseError(
            f"{path} was written with schema {document['schema_version']}, this is {SCHEMA_VERSION}: "
            + ("install the newer flr_volumetry." if version > OLDEST else "run `flr run` again."),
            reason="schema_version",
        )
    if sealed(document)["sha256"] != document.get("sha256"):
        raise CaseError(
            f"{path} was edited since it was written: its digest does not fit its contents. "
            "Run `flr run` again.",
            reason="report_edited",
        )
    return document


def _report(path: Path) -> ReportPart:
    document = read_document(path)
    try:
        return ReportPart.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UnreadableError(
            f"{path} is not a report of flr_volumetry: {place}: {first['msg']}", reason="not_a_report"
        ) from error


def _liver(
    partition: Path, structures: Path, scan: Path | None, report: ReportPart
) -> tuple[Liver, npt.NDArray[np.uint8]]:
    known = read_label_map(structures)
    labels = to_grid(read_label_map(partition), known.grid).voxels.astype(np.uint8)
    if not labels.any():
        raise UnreadableError(f"{partition} holds no liver", reason="empty_liver")
    lesions = tuple(_lesion(known, part.number) for part in report.lesions)
    vessels = [
        Vessel(structure, known.voxels == number, float((known.voxels == number).sum()) * known.grid.voxel_ml)
        for structure, number in VESSEL_LABELS.items()
        if (known.voxels == number).any()
    ]
    image = read_image(scan) if scan is not None else None
    if image is not None:
        words = next((i.description for i in report.provenance.inputs if i.role == "image"), "")
        # A scan whose modality is not known is described as an image.
        modality = words.split(",")[0].removeprefix("image")
        image = Image(image.grid, image.voxels, Source(path=str(scan), modality=modality))
    liver = Liver(
        grid=known.grid,
        voxels=labels > 0,
        scan_grid=known.grid,
        start=(0, 0, 0),
        lesions=tuple(lesion for lesion in lesions if lesion is not None),
        vessels=tuple(vessels),
        image=image,
    )
    return liver, labels


def _lesion(known: LabelMap, number: int) -> Lesion | None:
    inside = known.voxels == number
    box = bounding_box(inside)
    if box is None:
        return None
    start = (box[0].start, box[1].start, box[2].start)
    grid: Grid = known.grid
    return Lesion(
        number, known.names.get(number, ""), start, inside[box], float(inside.sum()) * grid.voxel_ml
    )

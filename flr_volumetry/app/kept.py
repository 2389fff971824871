"""What a run keeps beside its report so that it can be judged again without its images: measured.json."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.measured import Counted, Measured
from flr_volumetry.app.program import OTHERWISE, measuring_program, package_version
from flr_volumetry.app.values_json import Codec
from flr_volumetry.assessment.model import InputFile, ScanFacts
from flr_volumetry.assessment.plausibility import Phase, Tissue
from flr_volumetry.errors import CaseError, Caveat, UnreadableError
from flr_volumetry.images import Grid, Mask, Source
from flr_volumetry.io.derived import Coded, SegmentToWrite
from flr_volumetry.report import FigureKind
from flr_volumetry.report.gallery import BY_RULES
from flr_volumetry.report.viewer import Listed
from flr_volumetry.resection import (
    Ablation,
    BezierSurface,
    ClosedCurve,
    CutArea,
    Piece,
    PieceKind,
    Plane,
    PlaneResection,
    RemnantResection,
    ResectionPlan,
    SegmentResection,
    Stage,
    SurfaceResection,
    TerritoryResection,
    TriangleSurface,
    Waiting,
    WedgeResection,
)
from flr_volumetry.resection.plan import Combine
from flr_volumetry.volumetry.circulation import CutOff
from flr_volumetry.volumetry.consequences import Consequences, EffectiveRemnant
from flr_volumetry.volumetry.functional_map import MapKind, MapShare
from flr_volumetry.volumetry.measure import LesionFacts, LiverVolumes, SegmentVolume, StageVolumes
from flr_volumetry.volumetry.near_vessels import NearVessel
from flr_volumetry.volumetry.nearby import Neighbour, Neighbours
from flr_volumetry.volumetry.uncertainty import VolumeErrors
from flr_volumetry.volumetry.uncertainty.values import ErrorSource, LesionErrors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flr_volumetry.app.dicom_out import DicomOut
    from flr_volumetry.report import ReportFigure
    from flr_volumetry.report.viewer import Viewer

MEASURED: Final = "measured.json"
SCHEMA: Final = 1
"""Of this file; a file of another one is not read."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure that does not depend on rules, without its picture.

    Parameters
    ----------
    name, title, caption, alt : str
        As `ReportFigure` has them.
    kind : FigureKind
        What it shows.
    """

    name: str
    kind: FigureKind
    title: str
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class KeptSegments:
    """A DICOM segmentation, without its pixels.

    Parameters
    ----------
    file : str
        Its file, from the report's folder.
    of : tuple of (str, int)
        What each segment is.
    segments : tuple of SegmentToWrite
        In order of their numbers.
    voxels : tuple of int
        How many each has.
    slices : tuple of tuple of int
        On which slices of the scan each lies.
    """

    file: str
    of: tuple[tuple[str, int], ...]
    segments: tuple[SegmentToWrite, ...]
    voxels: tuple[int, ...]
    slices: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class KeptObjects:
    """What a structured report must know of the images and segmentations that it refers to.

    Parameters
    ----------
    grid : Grid
        Of the scan.
    modality, series_uid : str
        Of the scan.
    images : tuple of (str, str)
        SOP class and instance of each slice, or of the one image of many frames.
    frames : tuple of int
        As `SourceScan` has them.
    segmentations : tuple of KeptSegments
        In order.
    """

    grid: Grid
    modality: str
    series_uid: str
    images: tuple[tuple[str, str], ...] = field(repr=False)
    frames: tuple[int, ...] = field(repr=False)
    segmentations: tuple[KeptSegments, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """All that a report is made anew from.

    Parameters
    ----------
    measured : Measured
        Of the case.
    figures : tuple of Shown
        Those that do not depend on rules; their pictures are files.
    surfaces : tuple of Listed
        Of the view in 3D; its data are in the page.
    margins : tuple of (str, str)
        Colours of the cut there, and their words.
    objects : KeptObjects or None
        Where DICOM objects were written.
    said : tuple of Caveat
        What had to be said of those, or why there are none.
    """

    measured: Measured
    figures: tuple[Shown, ...]
    surfaces: tuple[Listed, ...]
    margins: tuple[tuple[str, str], ...]
    objects: KeptObjects | None = None
    said: tuple[Caveat, ...] = ()


CODEC: Final = Codec(
    *(Ablation, BezierSurface, Caveat, ClosedCurve, Coded, Combine, Consequences, Counted, CutArea, CutOff),
    *(EffectiveRemnant, ErrorSource, FigureKind, Grid, InputFile, Kept, KeptObjects, KeptSegments),
    *(LesionErrors, LesionFacts, Listed, LiverVolumes, MapKind, MapShare, Mask, Measured, NearVessel),
    *(Neighbour, Neighbours, Phase, Piece, PieceKind, Plane, PlaneResection, RemnantResection),
    *(ResectionPlan, ScanFacts, SegmentResection, SegmentToWrite, SegmentVolume, Shown, Source, Stage),
    *(StageVolumes, Structure, SurfaceResection, TerritoryResection, Tissue, TriangleSurface, VolumeErrors),
    *(Waiting, WedgeResection),
)
"""Every class that a measured case may hold."""


def kept_of(
    measured: Measured,
    figures: Sequence[ReportFigure],
    viewer: Viewer,
    objects: DicomOut | None,
    said: tuple[Caveat, ...],
) -> Kept:
    """Gather what a report can be made anew from.

    Parameters
    ----------
    measured : Measured
        Of the case.
    figures : sequence of ReportFigure
        All of the report.
    viewer : Viewer
        Of the page.
    objects : DicomOut or None
        As they are written.
    said : tuple of Caveat
        Of those.

    Returns
    -------
    Kept
        Without pixels.
    """
    return Kept(
        measured,
        tuple(Shown(f.name, f.kind, f.title, f.caption, f.alt) for f in figures if f.kind not in BY_RULES),
        viewer.surfaces,
        viewer.margins,
        _objects(objects) if objects is not None else None,
        said,
    )


def _objects(made: DicomOut) -> KeptObjects:
    source = made.source
    return KeptObjects(
        source.grid,
        str(source.first.Modality),
        str(source.first.SeriesInstanceUID),
        tuple((str(image.SOPClassUID), str(image.SOPInstanceUID)) for image in source.images),
        source.frames,
        tuple(
            KeptSegments(f"{name}.dcm", pieces.of, seg.segments, seg.voxels, seg.slices)
            for name, pieces, seg in made.segmentations
        ),
    )


def kept_bytes(kept: Kept) -> bytes:
    """Return the content of measured.json.

    Parameters
    ----------
    kept : Kept
        Of a case.

    Returns
    -------
    bytes
        JSON in ASCII; every number in full.
    """
    document = {
        "schema": SCHEMA,
        "flr_volumetry": package_version(),
        "program": measuring_program(),
        "kept": CODEC.encoded(kept),
    }
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def read_kept(folder: Path, document: Mapping[str, Any]) -> Kept:
    """Read what an earlier run kept.

    Parameters
    ----------
    folder : Path
        Of its report.
    document : mapping
        Its report.json, checked.

    Returns
    -------
    Kept
        As it was written.

    Raises
    ------
    CaseError
        If there is no such file, or another program measured ("measured_otherwise"); if it was edited
        ("digest_mismatch").
    UnreadableError
        If it is damaged.
    """
    path = folder / MEASURED
    digests = {one["path"]: one["sha256"] for one in document["outputs"]}
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CaseError(
            f"{path} cannot be read ({error.strerror or error}): nothing is there to be judged again; run "
            "the case.",
            reason=OTHERWISE,
        ) from error
    if hashlib.sha256(raw).hexdigest() != digests.get(MEASURED):
        raise CaseError(
            f"{path} is not the file that its report was written with: its SHA-256 differs. Run the case "
            "again.",
            reason="digest_mismatch",
        )
    try:
        content = json.loads(raw)
        made_by = (content["schema"], content["program"])
    except (ValueError, LookupError, TypeError) as error:
        raise UnreadableError(f"{path}: {error}", reason="damaged_result") from error
    if made_by != (SCHEMA, measuring_program()):
        raise CaseError(
            f"{path} was measured by another program, flr_volumetry {content.get('flr_volumetry')}; this is "
            f"{package_version()}. Run the case again.",
            reason=OTHERWISE,
        )
    kept = CODEC.decoded(content["kept"])
    if not isinstance(kept, Kept):
        raise UnreadableError(f"{path} holds no measured case.", reason="damaged_result")
    return kept

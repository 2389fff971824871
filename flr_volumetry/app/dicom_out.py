"""What a PACS keeps of a case, in the study of its scan: segmentations, reports, key images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.dicom_groups import Placed, groups_of, tracked_in
from flr_volumetry.app.dicom_segments import Pieces, couinaud_pieces, liver_pieces, plan_pieces
from flr_volumetry.errors import Caveat, FlrError
from flr_volumetry.images import Source
from flr_volumetry.io.derived import (
    Coded,
    Picture,
    deidentified,
    document_object,
    measurement_report,
    picture_objects,
    segment_object,
    source_scan,
)
from flr_volumetry.io.derived.segments import Maker, SegmentObject, SeriesWords, as_file
from flr_volumetry.report import FigureKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flr_volumetry.app.run import Outcome
    from flr_volumetry.assessment.model import Summary
    from flr_volumetry.io.derived import SourceScan
    from flr_volumetry.report import ReportFigure

FOLDER: Final = "dicom"
STRUCTURED: Final = "sr.dcm"
PRINTED: Final = "report.dcm"
KEY_IMAGES: Final = (FigureKind.PLAN, FigureKind.LESION, FigureKind.CUT)
"""Figures that are pictures of the patient; charts of numbers stay in report and structured report."""
PLAN, LIVER, COUINAUD, REPORT, DOCUMENT, PICTURES = (
    SeriesWords(1, "Liver resection plan", "PLAN"),
    SeriesWords(2, "Liver", "LIVER"),
    SeriesWords(3, "Liver segments (Couinaud)", "COUINAUD"),
    SeriesWords(4, "Liver volumetry measurements", "VOLUMETRY"),
    SeriesWords(5, "Liver volumetry report", "REPORT"),
    SeriesWords(6, "Liver volumetry key images", "KEY_IMAGES"),
)


RESULT_SERIES: Final = frozenset(
    words.description for words in (PLAN, LIVER, COUINAUD, REPORT, DOCUMENT, PICTURES)
)
"""Series Descriptions of what is made here, by which a result is known when it comes back."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomOut:
    """The objects of a case, made, and what must be said of them.

    Parameters
    ----------
    source : SourceScan
        The images.
    segmentations : tuple of (str, Pieces, SegmentObject)
        Each with the stem of its file.
    report : pydicom.Dataset
        The structured report.
    pictures : tuple of pydicom.Dataset
        Secondary captures.
    caveats : tuple of Caveat
        For the case's report.
    """

    source: SourceScan = field(repr=False)
    segmentations: tuple[tuple[str, Pieces, SegmentObject], ...] = field(repr=False)
    report: Any = field(repr=False)
    pictures: tuple[Any, ...] = field(repr=False)
    caveats: tuple[Caveat, ...] = ()


def document_title(summary: Summary) -> str:
    """Return what the encapsulated report of a case is called."""
    return f"Liver volumetry of {summary.case_id}"


def maker() -> Maker:
    """Return what the objects name as their maker."""
    return Maker(
        "flr_volumetry",
        version("flr-volumetry"),
        Coded("123104", "DCM", "Morphological Operations"),
        automatic=False,
    )


def wanted_dicom(
    outcome: Outcome, pictures: Sequence[ReportFigure]
) -> tuple[DicomOut | None, tuple[Caveat, ...]]:
    """Make a case's DICOM objects, where they are wished for and its scan has images to refer to.

    Parameters
    ----------
    outcome : Outcome
        An assessed case.
    pictures : sequence of ReportFigure
        Those of the report; pictures of the patient become secondary captures.

    Returns
    -------
    made : DicomOut or None
        None if they are not wished for, or cannot be made and were not asked for in so many words.
    caveats : tuple of Caveat
        What must be said of them, or why there are none.

    Raises
    ------
    OutputError
        If they were asked for and cannot be made.
    """
    wish, source = outcome.wishes.dicom, outcome.source
    if wish is False or (wish is None and (source is None or not source.series_uid)):
        return None, ()
    try:
        # Without its patient a grid has lost the name of its frame of reference.
        grid = replace(outcome.liver.scan_grid, frame_of_reference_uid="")
        images = source_scan(source or Source(), grid)
        if outcome.anonymity is not None:
            images = deidentified(images, outcome.anonymity.identity)
        made = dicom_out(outcome, images, pictures)
    except FlrError as error:
        if wish:
            raise
        hidden = outcome.anonymity.identifiers.hidden if outcome.anonymity is not None else str
        why = hidden(f"No DICOM objects were written: {error.message}")
        return None, (Caveat("no_dicom_objects", why),)
    return made, made.caveats


def dicom_out(outcome: Outcome, source: SourceScan, pictures: Sequence[ReportFigure]) -> DicomOut:
    """Make the segmentations, the structured report and the key images of a case.

    Parameters
    ----------
    outcome : Outcome
        An assessed case.
    source : SourceScan
        Its scan's images.
    pictures : sequence of ReportFigure
        Those of the report.

    Returns
    -------
    DicomOut
        Nothing is written.

    Raises
    ------
    OutputError
        If the images lack what the objects must take from them.
    """
    series = str(source.first.SeriesInstanceUID)
    tracked = tracked_in(outcome.summary, series)
    wanted = (
        ("seg_plan", plan_pieces(outcome, tracked), PLAN),
        ("seg_liver", liver_pieces(outcome), LIVER),
        ("seg_couinaud", couinaud_pieces(outcome), COUINAUD),
    )
    by = maker()
    made = tuple(
        (
            name,
            pieces,
            segment_object(
                source, pieces.labels, outcome.liver.start, pieces.segments, maker=by, words=words
            ),
        )
        for name, pieces, words in wanted
        if pieces is not None
    )
    objects = tuple((pieces.of, seg) for _, pieces, seg in made)
    placed = Placed.of(outcome.summary, outcome.partition.pieces, objects, series)
    report = measurement_report(source, groups_of(placed), maker=by, words=REPORT)
    key = [Picture(f"{p.title}. {p.caption}", p.png) for p in pictures if p.kind in KEY_IMAGES]
    captured = tuple(picture_objects(source, key, maker=by, words=PICTURES))
    return DicomOut(source, made, report, captured, source.caveats)


def write_dicom(made: DicomOut, folder: Path, *, pdf: bytes | None, title: str) -> dict[str, dict[str, Any]]:
    """Write the objects of a case.

    Parameters
    ----------
    made : DicomOut
        As `dicom_out` returns it.
    folder : Path
        New; inside the folder of the report, which takes its name as a whole.
    pdf : bytes or None
        The report as PDF, if there is one.
    title : str
        Of the document.

    Returns
    -------
    dict of str to dict
        What each file is, by its path from the report's folder, as report.json lists it.
    """
    folder.mkdir()
    facts: dict[str, dict[str, Any]] = {}

    def put(name: str, dataset: Any, **more: Any) -> None:
        facts[f"{folder.name}/{name}"] = {**put_object(folder / name, dataset), **more}

    for name, _, segmentation in made.segmentations:
        put(f"{name}.dcm", segmentation.dataset, segments=_listed(segmentation, made.source))
    put(STRUCTURED, made.report)
    for number, picture in enumerate(made.pictures, start=1):
        put(f"key_image_{number}.dcm", picture)
    if pdf is not None:
        document = document_object(made.source, pdf, title=title, maker=maker(), words=DOCUMENT)
        put(PRINTED, document)
    return facts


def put_object(path: Path, dataset: Any) -> dict[str, Any]:
    """Write one object, and return what report.json lists of it."""
    path.write_bytes(as_file(dataset))
    return {
        "sop_class_uid": str(dataset.SOPClassUID),
        "sop_instance_uid": str(dataset.SOPInstanceUID),
        "series_uid": str(dataset.SeriesInstanceUID),
        "study_uid": str(dataset.StudyInstanceUID),
    }


def _listed(made: SegmentObject, source: SourceScan) -> list[dict[str, Any]]:
    counted = enumerate(zip(made.segments, made.voxels, strict=True), start=1)
    ml = source.grid.voxel_ml
    return [{"number": n, "label": s.label, "voxels": v, "ml": v * ml} for n, (s, v) in counted]

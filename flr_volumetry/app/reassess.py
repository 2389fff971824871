"""A report made anew from what an earlier run measured: no image and no mask is opened."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.anonymous import anonymous_again
from flr_volumetry.app.case_text import case_toml
from flr_volumetry.app.dicom_groups import Placed, groups_of
from flr_volumetry.app.dicom_out import FOLDER as DICOM
from flr_volumetry.app.dicom_out import PRINTED, STRUCTURED, document_title, maker, put_object
from flr_volumetry.app.exports import write_figures
from flr_volumetry.app.kept import read_kept
from flr_volumetry.app.measured import protocols_of, summary_of
from flr_volumetry.app.record import read_document
from flr_volumetry.app.run import begun, require_possible
from flr_volumetry.app.write import CASE, PDF, REPORT, files_of, put_report, replacing, write_documents
from flr_volumetry.errors import CaseError, Caveat, OutputError, UnreadableError
from flr_volumetry.io.derived import renewed_document, renewed_report
from flr_volumetry.io.derived.segments import SegmentObject
from flr_volumetry.io.derived.source import SourceScan
from flr_volumetry.report import FigureKind, ReportFigure
from flr_volumetry.report.canvas import Picture
from flr_volumetry.report.gallery import charts_by_rules
from flr_volumetry.report.viewer import Viewer, data_in, scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flr_volumetry.app.case import Case
    from flr_volumetry.app.kept import Kept, KeptObjects
    from flr_volumetry.assessment.model import Summary

BEHIND: Final = (FigureKind.SEGMENTS, FigureKind.MASK)
"""Figures that stand behind the charts of the rules."""
ANEW: Final = (REPORT, "report.html", PDF, "summary.txt", CASE)


def reassess(
    folder: Path,
    case: Case,
    out_dir: Path | None = None,
    *,
    tell: Callable[[str], None] = lambda _: None,
    also: Mapping[str, bytes] | None = None,
) -> Summary:
    """Judge an earlier result by the patient facts and rules of a case, and write its report anew.

    Parameters
    ----------
    folder : Path
        Of the earlier result.
    case : Case
        The same scan, masks and plan, which is the caller's to see to; patient, tests, what is attested,
        protocols and relative errors may be others.
    out_dir : Path or None
        Where the report is written; the earlier result's own folder if None.
    tell : callable
        Called with the name of each step as it begins.
    also : mapping of str to bytes or None
        Further files to be written into the folder, by name.

    Returns
    -------
    Summary
        The same, number by number, as a run of the case would give.

    Raises
    ------
    CaseError
        If nothing was kept to be judged, or by another program ("measured_otherwise"), or a file of the
        result was edited.
    FlrError
        If the case cannot be judged, or the folder not be written.

    Notes
    -----
    Pictures of the patient, the view in 3D, partition, meshes, segmentations and key images are those of
    the earlier result. Ladder of thresholds, forecast, page, PDF, tables, summary, structured report and
    encapsulated PDF are made anew; the last two with identifiers of their own.
    """
    require_possible(case)
    protocols = protocols_of(case)
    document = read_document(folder / REPORT)
    kept = read_kept(folder, document)
    _require_whole(folder, document)
    tell("judging")
    summary = summary_of(case, kept.measured, protocols, started=begun())
    if case.output.anonymous:
        summary = anonymous_again(summary, case)
    summary = replace(summary, caveats=(*summary.caveats, *kept.said))
    structured, doubts = _structured(folder, kept, summary)
    summary = replace(summary, caveats=(*summary.caveats, *doubts))
    tell("drawing")
    charts = tuple(charts_by_rules(summary))
    pictures = _pictures(folder, kept, charts)
    where = out_dir or folder
    tell("writing")
    with replacing(where, REPORT) as fresh:
        _keep(folder, fresh, document, kept, set(also or ()))
        write_figures(fresh, charts)
        write_documents(fresh, summary, pictures, _viewer(folder, kept))
        if not case.output.anonymous:
            (fresh / CASE).write_bytes(case_toml(case, (Path.cwd() / where).resolve()))
        facts = _put_objects(folder, fresh, structured, summary)
        for name, content in (also or {}).items():
            (fresh / name).write_bytes(content)
        put_report(fresh, summary, _listing(fresh, document, facts))
    return summary


def _require_whole(folder: Path, document: dict[str, Any]) -> None:
    """Refuse a result of which a file is gone, or was edited."""
    for entry in document["outputs"]:
        path = folder / entry["path"]
        try:
            same = hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        except OSError as error:
            raise UnreadableError(
                f"{path} cannot be read: {error.strerror or error}", reason="damaged_result"
            ) from error
        if not same:
            raise CaseError(
                f"{path} was edited since the report was written: its SHA-256 differs. Run the case again.",
                reason="digest_mismatch",
            )


def _pictures(folder: Path, kept: Kept, charts: tuple[ReportFigure, ...]) -> tuple[ReportFigure, ...]:
    read = [
        ReportFigure(
            one.name,
            one.kind,
            one.title,
            one.caption,
            one.alt,
            Picture(
                (folder / "figures" / f"{one.name}.png").read_bytes(),
                (folder / "figures" / f"{one.name}.svg").read_bytes().decode("utf-8"),
            ),
        )
        for one in kept.figures
    ]
    return (
        *(figure for figure in read if figure.kind not in BEHIND),
        *charts,
        *(figure for figure in read if figure.kind in BEHIND),
    )


def _viewer(folder: Path, kept: Kept) -> Viewer | None:
    data = data_in((folder / "report.html").read_bytes().decode("utf-8"))
    return None if data is None else Viewer(data, scripts(), kept.surfaces, kept.margins)


def _keep(folder: Path, fresh: Path, document: dict[str, Any], kept: Kept, replaced: set[str]) -> None:
    """Put into the new folder what stays of the old one."""
    shown = {f"figures/{one.name}{end}" for one in kept.figures for end in (".png", ".svg")}
    anew = {*ANEW, *replaced, f"{DICOM}/{STRUCTURED}", f"{DICOM}/{PRINTED}"}
    for entry in document["outputs"]:
        name = str(entry["path"])
        drawn = name.startswith("figures/") and name not in shown
        if name in anew or drawn or name.startswith("row."):
            continue
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        _link(folder / name, fresh / name)


def _link(old: Path, new: Path) -> None:
    """Give a file a second name, or copy it where the disk cannot."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


def _structured(folder: Path, kept: Kept, summary: Summary) -> tuple[Any, tuple[Caveat, ...]]:
    """Make the structured report anew; where that fails, say that it was removed."""
    path = folder / DICOM / STRUCTURED
    if kept.objects is None or not path.exists():
        return None, ()
    import pydicom

    try:
        earlier = pydicom.dcmread(path)
        placed = _placed(folder, kept, kept.objects, summary)
        source = _source(kept.objects)
        return renewed_report(earlier, source, groups_of(placed), maker=maker()), ()
    except (OutputError, OSError, pydicom.errors.InvalidDicomError) as error:
        said = (
            f"The DICOM structured report could not be made anew ({error}); the earlier one was removed, so "
            "that no object contradicts this report. Run the case for another."
        )
        return None, (Caveat("dicom_report_removed", said),)


def _source(objects: KeptObjects) -> SourceScan:
    """Return the images as far as a structured report refers to them."""
    import pydicom

    images = []
    for sop_class, instance in objects.images:
        image = pydicom.Dataset()
        image.SOPClassUID, image.SOPInstanceUID = sop_class, instance
        image.SeriesInstanceUID, image.Modality = objects.series_uid, objects.modality
        images.append(image)
    return SourceScan(objects.grid, tuple(images), objects.frames)


def _placed(folder: Path, kept: Kept, objects: KeptObjects, summary: Summary) -> Placed:
    import pydicom

    tags = ["SOPClassUID", "SOPInstanceUID"]
    made = tuple(
        (
            one.of,
            SegmentObject(
                pydicom.dcmread(folder / DICOM / one.file, stop_before_pixels=True, specific_tags=tags),
                one.segments,
                one.voxels,
                one.slices,
            ),
        )
        for one in objects.segmentations
    )
    return Placed.of(summary, kept.measured.pieces, made, objects.series_uid)


def _put_objects(folder: Path, fresh: Path, structured: Any, summary: Summary) -> dict[str, dict[str, Any]]:
    """Write the objects that say what the report says."""
    if structured is None:
        return {}
    facts = {f"{DICOM}/{STRUCTURED}": put_object(fresh / DICOM / STRUCTURED, structured)}
    path = folder / DICOM / PRINTED
    if path.exists():
        import pydicom

        pdf = (fresh / PDF).read_bytes()
        printed = renewed_document(pydicom.dcmread(path), pdf, title=document_title(summary), maker=maker())
        facts[f"{DICOM}/{PRINTED}"] = put_object(fresh / DICOM / PRINTED, printed)
    return facts


def _listing(fresh: Path, document: dict[str, Any], facts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """List the files; of those that stay, all that was known."""
    known = {entry["path"]: entry for entry in document["outputs"]}
    listing = files_of(fresh)
    for entry in listing:
        before = known.get(entry["path"], {})
        if before.get("sha256") == entry["sha256"]:
            entry.update(before)
        if entry["path"] in facts:
            entry["dicom"] = facts[entry["path"]]
    return listing

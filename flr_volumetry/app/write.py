"""Writes an outcome: all files of a run, or none of them."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.case_text import case_toml
from flr_volumetry.app.dicom_out import FOLDER as DICOM
from flr_volumetry.app.dicom_out import document_title, wanted_dicom, write_dicom
from flr_volumetry.app.exports import write_figures, write_row
from flr_volumetry.app.keepsake import PARTITION, write_keepsake
from flr_volumetry.app.kept import MEASURED, kept_bytes, kept_of
from flr_volumetry.app.mask_figures import finding_figures
from flr_volumetry.app.mesh_files import write_meshes
from flr_volumetry.errors import OutputError
from flr_volumetry.images import LabelMap
from flr_volumetry.io import plan_markups, write_label_map, write_markups
from flr_volumetry.io.writing import flush, is_full
from flr_volumetry.report import (
    figures,
    pdf_bytes,
    render_html,
    report_json,
    scene_3d,
    summary_text,
    viewer_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flr_volumetry.app.dicom_out import DicomOut
    from flr_volumetry.app.run import Outcome
    from flr_volumetry.assessment.model import Summary
    from flr_volumetry.report import ReportFigure
    from flr_volumetry.report.viewer import Viewer

REPORT = "report.json"
CASE = "case.toml"
"""The case file, as it reads from the report's folder; none where nothing may say who the patient is."""
MARKUPS = "plan.mrk.json"
PDF = "report.pdf"
PARTIAL = ".partial-"
OLD = "-old"


def write_outcome(
    outcome: Outcome,
    out_dir: Path,
    *,
    tell: Callable[[str], None] = lambda _: None,
    also: Mapping[str, bytes] | None = None,
) -> Path:
    """Write report.json, report.html, report.pdf, summary.txt, row.csv, the figures and the partition.

    Planes, closed curves and patches of the plan are written as plan.mrk.json, which 3D Slicer opens;
    lesions, vessels and the scan with 2 mm steps as NIfTI, for a later follow-up; what was measured, in
    full, as measured.json, to be judged again by other rules (`flr_volumetry.app.reassess`). Of a scan that
    is a DICOM series, segmentations, structured report, key images and report are written as DICOM objects
    too; where the case asks for them, the pieces as meshes.

    Everything is first written to a folder beside `out_dir` (inside it, where it is a
    mounted volume), which then takes its name: a run that is interrupted leaves the
    earlier result, or nothing.

    Parameters
    ----------
    outcome : Outcome
        An assessed case.
    out_dir : Path
        Made if absent; the result of an earlier run in it is replaced.
    tell : callable
        Called with the name of each step as it begins.
    also : mapping of str to bytes or None
        Further files to be written into the folder, by name.

    Returns
    -------
    Path
        Of report.html.

    Raises
    ------
    OutputError
        If the folder holds files that are not an earlier result, or cannot be written.
    """
    with replacing(out_dir, REPORT) as folder:
        tell("drawing")
        pictures = (
            *figures(outcome.liver, outcome.partition, outcome.summary),
            *finding_figures(outcome.liver, outcome.findings),
        )
        tell("making DICOM objects")
        objects, said = wanted_dicom(outcome, pictures)
        caveats = (*outcome.summary.caveats, *said)
        outcome = replace(outcome, summary=replace(outcome.summary, caveats=caveats))
        write_figures(folder, pictures)
        viewer = viewer_of(scene_3d(outcome.liver, outcome.partition))
        tell("writing")
        write_documents(folder, outcome.summary, pictures, viewer)
        _write_voxels(folder, outcome)
        if outcome.measured is not None:
            kept = kept_of(outcome.measured, pictures, viewer, objects, said)
            (folder / MEASURED).write_bytes(kept_bytes(kept))
        if outcome.case is not None and not outcome.wishes.anonymous:
            (folder / CASE).write_bytes(case_toml(outcome.case, (Path.cwd() / out_dir).resolve()))
        if outcome.wishes.meshes:
            tell("making meshes")
            write_meshes(folder, outcome.liver, outcome.partition)
        facts = _dicom(folder, objects, outcome) if objects is not None else {}
        for name, content in (also or {}).items():
            (folder / name).write_bytes(content)
        put_report(folder, outcome.summary, _listing(folder, outcome, facts))
    return out_dir / "report.html"


def write_documents(
    folder: Path, summary: Summary, pictures: Sequence[ReportFigure], viewer: Viewer | None
) -> None:
    """Write what says what a summary says: page, PDF, row and text.

    Parameters
    ----------
    folder : Path
        It exists.
    summary : Summary
        The assessed case.
    pictures : sequence of ReportFigure
        In order.
    viewer : Viewer or None
        The interactive view.
    """
    _put(folder / "report.html", render_html(summary, pictures, viewer))
    (folder / PDF).write_bytes(pdf_bytes(summary, pictures))
    write_row(folder, summary)
    _put(folder / "summary.txt", summary_text(summary))


def put_report(folder: Path, summary: Summary, outputs: Sequence[Mapping[str, Any]]) -> None:
    """Write report.json, the last file of a result: it lists all others.

    Parameters
    ----------
    folder : Path
        Complete but for it.
    summary : Summary
        The assessed case.
    outputs : sequence of mapping
        The files in it.
    """
    document = report_json(summary, outputs=outputs)
    _put(folder / REPORT, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _write_voxels(folder: Path, outcome: Outcome) -> None:
    """Write the partition and what else a later scan is held against."""
    write_label_map(folder / PARTITION, partition_on_scan(outcome))
    write_keepsake(folder, outcome.liver)
    carried = outcome.carried.drawn if outcome.carried is not None else None
    markups = plan_markups(carried or outcome.partition.plan)
    if markups:
        write_markups(folder / MARKUPS, markups)


def _put(path: Path, text: str) -> None:
    """Write UTF-8; what a file name holds beside it is written escaped."""
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def partition_on_scan(outcome: Outcome) -> LabelMap:
    """Put the partition back onto the whole scan's grid.

    Parameters
    ----------
    outcome : Outcome
        An assessed case.

    Returns
    -------
    LabelMap
        0 outside the liver, 1 the remnant, then one label for each resection.
    """
    import numpy as np

    liver, partition = outcome.liver, outcome.partition
    whole = np.zeros(liver.scan_grid.shape, dtype=np.uint8, order="F")
    box = tuple(slice(a, a + n) for a, n in zip(liver.start, liver.grid.shape, strict=True))
    whole[box] = partition.labels
    return LabelMap(liver.scan_grid, whole, {p.label: p.title for p in partition.pieces})


def _dicom(folder: Path, objects: DicomOut, outcome: Outcome) -> dict[str, dict[str, Any]]:
    pdf = folder / PDF
    content = pdf.read_bytes() if pdf.exists() else None
    return write_dicom(objects, folder / DICOM, pdf=content, title=document_title(outcome.summary))


def _listing(folder: Path, outcome: Outcome, facts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    pieces = {str(p.label): p.title for p in outcome.partition.pieces}
    listing = files_of(folder)
    for entry in listing:
        if entry["path"] == PARTITION:
            entry["labels"] = pieces
        if entry["path"] in facts:
            entry["dicom"] = facts[entry["path"]]
    return listing


def files_of(folder: Path) -> list[dict[str, Any]]:
    """List the files of a folder with their digests, as a later run needs them to know its own.

    Parameters
    ----------
    folder : Path
        Complete but for the listing.

    Returns
    -------
    list of dict
        `path` relative to the folder, and `sha256`.
    """
    return [
        {
            "path": path.relative_to(folder).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(p for p in folder.rglob("*") if p.is_file())
    ]


def require_writable(out_dir: Path, marker: str = REPORT) -> None:
    """Refuse, before any work is done, a folder that could not be written at the end.

    Parameters
    ----------
    out_dir : Path
        As `write_outcome` will get it.
    marker : str
        A file that an earlier result of the kind holds.

    Raises
    ------
    OutputError
        If it holds somebody else's files, or cannot be written.
    """
    with _staging((Path.cwd() / out_dir).resolve(), marker):
        pass


@contextmanager
def replacing(out_dir: Path, marker: str) -> Iterator[Path]:
    """Give a new folder to write into, and let it take the place of `out_dir` at the end.

    Parameters
    ----------
    out_dir : Path
        The folder to be replaced as a whole; it need not exist.
    marker : str
        A file that an earlier result holds: a folder with files but without it is
        somebody else's, and refused.

    Yields
    ------
    Path
        An empty folder on the same disk.

    Raises
    ------
    OutputError
        If `out_dir` is not a folder, is somebody else's, or cannot be written.
    """
    out_dir = (Path.cwd() / out_dir).resolve()
    with _staging(out_dir, marker) as folder:
        try:
            yield folder
            _flush(folder)
            folder.chmod(0o777 & ~_umask())
            if folder.parent == out_dir:
                _fill(folder, out_dir, marker)
            else:
                _swap(folder, out_dir)
        except OSError as error:
            raise _unwritable(out_dir, error) from error


@contextmanager
def _staging(out_dir: Path, marker: str) -> Iterator[Path]:
    _require_ours(out_dir, marker)
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        place = out_dir if _only_inside(out_dir) else out_dir.parent
        _sweep(place, out_dir.name)
        folder = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}{PARTIAL}{os.getpid()}-", dir=place))
    except OSError as error:
        raise _unwritable(out_dir, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_ours(out_dir: Path, marker: str) -> None:
    try:
        if not out_dir.exists():
            return
        if not out_dir.is_dir():
            raise OutputError(f"{out_dir} is a file; --out needs a folder", reason="not_a_folder")
        names = sorted(p.name for p in out_dir.iterdir())
    except OSError as error:
        raise _unwritable(out_dir, error) from error
    strange = sorted(_strangers(out_dir, marker)) if names else []
    if strange:
        raise OutputError(
            f"{out_dir} holds files that no earlier run wrote, or that were edited since "
            f"({', '.join(strange[:3])}); nothing was written. Name a new or an empty folder.",
            reason="folder_in_use",
        )


def _strangers(out_dir: Path, marker: str) -> set[str]:
    """Files of a folder that an earlier result does not list as its own."""
    there = {p.relative_to(out_dir).as_posix() for p in out_dir.rglob("*") if not p.is_dir()}
    there = {name for name in there if not name.startswith(f".{out_dir.name}{PARTIAL}")}
    try:
        document = json.loads((out_dir / marker).read_text(encoding="utf-8"))
        ours = {e["path"] for e in document["outputs"] if not _edited(out_dir / e["path"], e.get("sha256"))}
        return there - {marker, *ours}
    except (OSError, ValueError, LookupError, TypeError):
        return there


def _edited(path: Path, sha256: str | None) -> bool:
    return bool(sha256) and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != sha256


def _unwritable(out_dir: Path, error: OSError) -> OutputError:
    blocking = next((p for p in out_dir.parents if p.is_file()), None)
    why = f"{blocking} is a file, not a folder" if blocking else error.strerror or str(error)
    return OutputError(
        f"{out_dir} cannot be written: {why}. Nothing there was changed.",
        reason="disk_full" if is_full(error) else "unwritable",
    )


def _only_inside(out_dir: Path) -> bool:
    """Whether a folder cannot be renamed, only filled: a mounted volume, a parent without write access."""
    kept = os.path.ismount(out_dir) or out_dir == Path.cwd()
    return out_dir.is_dir() and (kept or not os.access(out_dir.parent, os.W_OK))


def _sweep(place: Path, name: str) -> None:
    """Remove what killed runs left behind."""
    prefix = f".{name}{PARTIAL}"
    for stale in place.glob(f"{prefix}*"):
        owner = stale.name.removeprefix(prefix).split("-")[0]
        if not owner.isdigit() or _alive(int(owner)):
            continue
        if stale.name.endswith(OLD) and not (place / name).exists():
            # Killed between two renames: the earlier result is put back.
            stale.rename(place / name)
        else:
            shutil.rmtree(stale, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(folder: Path) -> None:
    """Have the disk hold every file before the folder takes its name."""
    for path in [*folder.rglob("*"), folder]:
        flush(path)


def _fill(folder: Path, out_dir: Path, marker: str) -> None:
    """Move files in one by one, the marker last: its digests tell an unfinished move from a finished one."""
    fresh = {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()}
    for name in sorted(fresh, key=lambda p: (p == Path(marker), p)):
        (out_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).replace(out_dir / name)
    for old in [p for p in out_dir.rglob("*") if p.is_file() and folder not in p.parents]:
        if old.relative_to(out_dir) not in fresh:
            old.unlink()


def _swap(folder: Path, out_dir: Path) -> None:
    if not out_dir.exists():
        folder.rename(out_dir)
        return
    if _exchange(folder, out_dir):
        return
    old = folder.with_name(folder.name + OLD)
    out_dir.rename(old)
    try:
        folder.rename(out_dir)
    except OSError:
        old.rename(out_dir)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders in one step, where the system can; afterwards `a` holds the old result."""
    if not sys.platform.startswith("linux"):
        return False
    at_cwd, exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(renameat2(at_cwd, os.fsencode(a), at_cwd, os.fsencode(b), exchange) == 0)

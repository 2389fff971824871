"""``flr segment``: from a scan to masks that people can look at and correct."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.finding import (
    NAMES,
    Request,
    SegmentationSection,
    digest_of,
    find,
    masks_of,
    request_of,
)
from flr_volumetry.app.mask_figures import finding_figures
from flr_volumetry.app.write import files_of, replacing
from flr_volumetry.errors import Caveat, OutputError, SegmentationError, UnreadableError
from flr_volumetry.images import Image, LabelMap, Mask
from flr_volumetry.io import (
    Algorithm,
    Family,
    MaskToWrite,
    colour_table,
    label_array,
    read_image,
    read_mask,
    write_dicom_seg,
    write_label_map,
    write_mask,
)
from flr_volumetry.liver import Liver, Masks, crop_liver
from flr_volumetry.report.mask_page import MaskPicture, MaskRow, masks_text, render_masks
from flr_volumetry.report.mask_pictures import MaskScene, Outline, grey_window, mask_planes, mask_sheet
from flr_volumetry.report.positions import shown_box
from flr_volumetry.segmentation.quality import check_masks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flr_volumetry.segmentation import Segmentation
    from flr_volumetry.segmentation.quality import Checked

SEGMENTATION: Final = "quality.json"
_FAMILIES: Final = {"classical": Family.SHAPES, "atlas": Family.REGISTRATION}


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """What was found in one scan, checked.

    Parameters
    ----------
    image : Image
        The scan.
    path : str
        Where it lies, as the user named it.
    series : str or None
        Which of its series.
    found : Segmentation
        The masks.
    liver : Liver or None
        They, cropped and checked against each other; None if no liver was sought or given.
    checked : Checked or None
        What is wrong with the liver's mask, and its expected error.
    """

    image: Image = field(repr=False)
    path: str
    series: str | None
    found: Segmentation
    liver: Liver | None
    checked: Checked | None

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """All that the reader must know, each once."""
        own = self.liver.caveats if self.liver is not None else self.image.caveats
        wrong = self.checked.caveats if self.checked is not None else ()
        return tuple(dict.fromkeys((*wrong, *self.found.caveats, *own)))

    @property
    def methods(self) -> tuple[str, ...]:
        """How the masks were made and checked."""
        return (*self.found.methods, *(self.checked.methods if self.checked is not None else ()))

    @property
    def masks(self) -> tuple[MaskToWrite, ...]:
        """Its masks, the liver first."""
        return tuple(MaskToWrite(s, mask, n) for s, n, mask in masks_of(self.found))

    @property
    def title(self) -> str:
        """One line on what made it."""
        made = self.found.made
        words = (made.backend, made.version, made.task, made.device)
        return "Masks found by " + " ".join(w for w in words if w)

    @property
    def rows(self) -> tuple[MaskRow, ...]:
        """One line a mask."""
        known = {(q.structure, q.number): q for q in self.found.quality}
        if self.checked is not None:
            known[Structure.LIVER, 0] = self.checked.quality
        sure = {n: lesion.confidence for n, lesion in enumerate(self.found.lesions, start=1)}
        rows = []
        for one in self.masks:
            q = known.get((one.structure, one.number))
            confidence = sure.get(one.number) if one.structure is Structure.LESION else None
            rows.append(
                MaskRow(
                    one.label, one.mask.ml, q.dice if q else None, q.boundary_mm if q else None, confidence
                )
            )
        return tuple(rows)

    @property
    def text(self) -> str:
        """For a terminal."""
        return masks_text(self.title, self.rows, self.caveats)


def read_request(path: Path, asked: Mapping[str, Any]) -> tuple[Image, Request]:
    """Read a scan, and what the command line asks of it.

    Parameters
    ----------
    path : Path
        Of the scan.
    asked : mapping
        Options of ``flr segment`` by name.

    Returns
    -------
    image : Image
        The scan.
    request : Request
        What to find in it.

    Raises
    ------
    FlrError
        If the scan or a hint cannot be read, or a name is unknown.
    """
    names = [n.strip() for n in (asked["structures"] or "").split(",") if n.strip()]
    unknown = [n for n in names if n not in NAMES]
    if unknown or (asked["structures"] is not None and not names):
        raise SegmentationError(
            f"unknown structure {', '.join(unknown) or '(none)'}; known: {', '.join(NAMES)}.",
            reason="unknown_structure",
        )
    box = asked["box"]
    section = SegmentationSection(
        backend=asked["backend"],
        structures=[n for n in NAMES if n in names] or None,  # type: ignore[misc]
        folder=str(asked["folder"]) if asked["folder"] else None,
        labels=_labels(asked["labels"]),
        device=asked["device"],
        hints=str(asked["hints"]) if asked["hints"] else None,
        seeds_mm=list(asked["seeds"]),
        outside_mm=list(asked["outside"]),
        box_mm=(box[:3], box[3:]) if box else None,
        lesion_seeds_mm=list(asked["lesion_seeds"]),
    )
    image = read_image(path, series=asked["series"])
    rough = read_mask(asked["rough"], grid=image.grid) if asked["rough"] else None
    request = request_of(section, Path, rough)
    if asked["liver"]:
        liver = read_mask(asked["liver"], grid=image.grid)
        given = frozenset({Structure.LIVER})
        request = replace(request, hints=replace(request.hints, liver=liver), given=given)
    return image, request


def _labels(path: Path | None) -> dict[str, int]:
    """Read what the labels of a model mean: a [labels] table of names and numbers."""
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))["labels"]
    except (OSError, ValueError, LookupError) as error:
        raise UnreadableError(f"{path} is no TOML file with a [labels] table: {error}") from error
    if not isinstance(table, dict) or not all(type(n) is int for n in table.values()):
        raise UnreadableError(f"{path}: [labels] gives each name a whole number, such as liver = 1.")
    return table


def segment_scan(
    image: Image,
    request: Request,
    *,
    path: str,
    series: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Segmented:
    """Find what was asked for in a scan, and check it as masks from elsewhere are checked.

    Parameters
    ----------
    image : Image
        The scan.
    request : Request
        What is asked.
    path : str
        Where the scan lies.
    series : str, optional
        Which of its series.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Segmented
        Masks and caveats.

    Raises
    ------
    SegmentationError
        If the back-end cannot be used, or finds nothing.
    LiverError
        If what was found cannot be a liver.
    """
    found = find(image, request, tell=tell)
    if not found.structures:
        raise SegmentationError(
            f"{found.made.backend} found nothing of what was asked for in {path}: is the liver in view?",
            reason="nothing_found",
        )
    tell("checking")
    liver = found.masks.get(Structure.LIVER) or request.hints.liver
    if liver is None and found.segments is not None:
        liver = Mask(image.grid, found.segments.voxels > 0, "union of the segments")
    cropped = None
    if liver is not None:
        vessels = [(s, m) for s, m in found.masks.items() if s is not Structure.LIVER]
        lesions = [lesion.mask for lesion in found.lesions]
        cropped = crop_liver(Masks(liver, lesions, found.segments, vessels), image=image)
    checked = check_masks(cropped) if cropped is not None else None
    return Segmented(image, path, series, found, cropped, checked)


def write_segmented(done: Segmented, out_dir: Path, *, tell: Callable[[str], None] = lambda _: None) -> Path:
    """Write masks, label map, DICOM SEG, and the page and JSON of their quality.

    Parameters
    ----------
    done : Segmented
        As `segment_scan` returns it.
    out_dir : Path
        Made if absent; an earlier result in it is replaced, unless a file of it was edited.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Path
        Of quality.html.

    Raises
    ------
    OutputError
        If the folder holds files that are not an earlier result, or were edited, or cannot be written.
    """
    masks = done.masks
    with replacing(out_dir, SEGMENTATION) as folder:
        tell("writing masks")
        (folder / "masks").mkdir()
        for one in masks:
            if one.structure is not Structure.SEGMENTS:
                write_mask(folder / "masks" / f"{one.key}.nii.gz", one.mask)
        if done.found.segments is not None:
            write_label_map(folder / "masks" / "segments.nii.gz", done.found.segments)
        names = {n: one.label for n, one in enumerate(masks, start=1)}
        write_label_map(folder / "labels.nii.gz", LabelMap(done.image.grid, label_array(masks), names))
        (folder / "labels.txt").write_text(colour_table(masks), encoding="utf-8")
        (folder / "masks.toml").write_text(masks_toml(masks), encoding="utf-8")
        said = _write_seg(folder / "segmentation.dcm", done, masks)
        tell("drawing")
        caveats = (*done.caveats, *said)
        page = render_masks(
            done.title,
            done.rows,
            caveats=caveats,
            methods=done.methods,
            pictures=_pictures(done),
            version=version("flr-volumetry"),
        )
        (folder / "quality.html").write_text(page, encoding="utf-8")
        document = {**_document(done, caveats), "outputs": files_of(folder)}
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / SEGMENTATION).write_bytes(text.encode("utf-8", "backslashreplace"))
    return out_dir / "quality.html"


def _write_seg(path: Path, done: Segmented, masks: tuple[MaskToWrite, ...]) -> tuple[Caveat, ...]:
    """Write the DICOM SEG where the scan is a series; say why not where it is none."""
    made = done.found.made
    algorithm = Algorithm(made.backend, made.version, _FAMILIES.get(made.backend, Family.LEARNT))
    try:
        return write_dicom_seg(path, masks, scan_path=done.path, algorithm=algorithm, series=done.series)
    except OutputError as error:
        if error.reason == OutputError.default_reason:
            raise
        return (Caveat("no_dicom_seg", f"Masks were written as NIfTI only: {error.message}"),)


def masks_toml(masks: tuple[MaskToWrite, ...]) -> str:
    """Return the [masks] table of a case file for the files of a segmentation.

    Parameters
    ----------
    masks : tuple of MaskToWrite
        Those written.

    Returns
    -------
    str
        TOML; paths are relative to the folder of the segmentation.
    """
    keys = {s: key for key, s in NAMES.items()}
    lines = ["[masks]"]
    lines += [
        f'{keys[one.structure]} = "masks/{one.key}.nii.gz"'
        for one in masks
        if one.structure not in {Structure.LESION, Structure.SEGMENTS}
    ]
    lesions = [f'"masks/{one.key}.nii.gz"' for one in masks if one.structure is Structure.LESION]
    if lesions:
        lines.append(f"lesions = [{', '.join(lesions)}]")
    if any(one.structure is Structure.SEGMENTS for one in masks):
        lines.append('segments = "masks/segments.nii.gz"')
    return "\n".join(lines) + "\n"


def _pictures(done: Segmented) -> tuple[MaskPicture, ...]:
    """Draw a sheet of slices through the whole liver, and three planes through its middle."""
    outlines = tuple(Outline(m.label, m.mask.grid, m.mask.voxels, m.rgb) for m in done.masks)
    if done.liver is not None:
        low, high = shown_box(done.liver)
        inside = done.liver.voxels
        window = grey_window(done.liver.image, inside)
    else:
        first = done.masks[0].mask
        index = np.argwhere(first.voxels)
        points = first.grid.centres_mm(index)
        low, high = points.min(axis=0) - 30, points.max(axis=0) + 30
        window = grey_window(done.image, first.voxels)
    scene = MaskScene(done.image, outlines, low, high)
    middle = (low + high) / 2
    at = ", ".join(f"{x:.0f}" for x in middle)
    places = done.checked.findings if done.checked is not None and done.liver is not None else ()
    doubtful = finding_figures(done.liver, places) if done.liver is not None else ()
    return (
        *(MaskPicture(figure.caption, figure.png) for figure in doubtful),
        MaskPicture(
            "Twelve axial slices from head to feet, with the masks.",
            mask_sheet(scene, window=window),
        ),
        MaskPicture(
            f"Three planes through the middle of the box around the liver ({at} mm, LPS).",
            mask_planes(scene, middle, title="Masks in three planes", window=window).png,
        ),
    )


def _document(done: Segmented, caveats: tuple[Caveat, ...]) -> dict[str, Any]:
    made, source = done.found.made, done.image.source
    rows = zip(done.masks, done.rows, strict=True)
    return {
        "schema_version": "1.0",
        "image": {
            "path": source.path,
            "sha256": source.sha256,
            "modality": source.modality,
            "series_uid": source.series_uid,
            "shape": list(done.image.grid.shape),
            "affine_lps": done.image.grid.affine.tolist(),
        },
        "made": {
            "backend": made.backend,
            "version": made.version,
            "task": made.task,
            "weights": made.weights,
            "device": made.device,
            "flr_volumetry": version("flr-volumetry"),
        },
        "masks": [
            {
                "structure": one.structure.value,
                "number": one.number,
                "label": one.label,
                "code": ":".join((one.code[1], one.code[0])),
                "ml": row.ml,
                "dice": row.dice,
                "boundary_mm": row.boundary_mm,
                "confidence": row.confidence,
                "sha256_of_voxels": digest_of(one.mask),
            }
            for one, row in rows
        ],
        "caveats": [{"code": c.code, "message": c.message} for c in caveats],
        "methods": list(done.methods),
        "findings": [
            {"code": f.caveat.code, "place_mm": list(f.place_mm) if f.place_mm else None}
            for f in (done.checked.findings if done.checked is not None else ())
        ],
    }

"""What ``flr segment`` writes: masks as NIfTI and DICOM SEG, and the page and JSON of their quality."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.finding import NAMES, digest_of
from flr_volumetry.app.mask_figures import finding_figures
from flr_volumetry.app.write import files_of, replacing
from flr_volumetry.errors import Caveat, OutputError
from flr_volumetry.images import LabelMap
from flr_volumetry.io import (
    Algorithm,
    Family,
    MaskToWrite,
    colour_table,
    label_array,
    write_dicom_seg,
    write_label_map,
    write_mask,
)
from flr_volumetry.report.mask_page import MaskPicture, render_masks
from flr_volumetry.report.mask_pictures import MaskScene, Outline, grey_window, mask_planes, mask_sheet
from flr_volumetry.report.positions import shown_box

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flr_volumetry.app.segmenting import Segmented

SEGMENTATION: Final = "quality.json"
_FAMILIES: Final = {"classical": Family.SHAPES, "atlas": Family.REGISTRATION}


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
        labels = LabelMap(done.image.grid, label_array(masks), names, masks[0].mask.source)
        write_label_map(folder / "labels.nii.gz", labels)
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

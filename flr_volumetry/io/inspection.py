"""What lies under some paths, as values: each image and mask, read or refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import Caveat, FlrError
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.labels import count_labels, label_array
from flr_volumetry.io.masks import BINARY, stem_of
from flr_volumetry.io.objects import objects_in, open_object
from flr_volumetry.io.scan import Found, Kind, Scan, scan

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import numpy.typing as npt

    from flr_volumetry.images import Grid
    from flr_volumetry.io.scan import Progress

MAX_DISTINCT: Final = 128
"""More different values than this are measurements; the largest label maps in use have 117."""
MIN_SAME: Final = 0.5
"""Least part of the labelled voxels whose neighbour carries the same label."""
SAMPLED_SLICES: Final = 32


class Status(Enum):
    """Whether a thing can be read as what it is."""

    OK = "ok"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """One structure in a file of masks.

    Parameters
    ----------
    name : str
        What the file calls it.
    number : int or None
        Its label or segment number.
    voxels : int or None
        How many voxels it has; None where they were not counted.
    ml : float or None
        Its volume, mL.
    code : str or None
        DICOM code of what it is, ``scheme:value``.
    """

    name: str
    number: int | None
    voxels: int | None
    ml: float | None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One image, file of masks, or other file.

    Parameters
    ----------
    path : str
        Its file, or the folder of its series.
    kind : Kind
        What it is.
    status : Status
        Whether it can be read.
    reason, message : str
        If it is refused, why: a code, and a sentence.
    modality, series_uid : str
        As DICOM says; empty for other files.
    grid : Grid or None
        Where its voxels lie; None if that is not known.
    segments : tuple of SegmentEntry
        What its masks are.
    """

    path: str
    kind: Kind
    status: Status
    reason: str = ""
    message: str = ""
    modality: str = ""
    series_uid: str = ""
    grid: Grid | None = None
    segments: tuple[SegmentEntry, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as ``flr inspect --json`` prints it; what is not known is null."""
        grid = self.grid
        return {
            "path": self.path,
            "kind": self.kind.value,
            "status": self.status.value,
            "reason": self.reason or None,
            "message": self.message or None,
            "modality": self.modality or None,
            "series_uid": self.series_uid or None,
            "shape": list(grid.shape) if grid else None,
            "spacing_mm": list(grid.spacing_mm) if grid else None,
            "voxel_mm3": grid.voxel_mm3 if grid else None,
            "affine_lps": grid.affine.tolist() if grid else None,
            "tilt_deg": grid.tilt_deg if grid else None,
            "segments": [
                {"name": s.name, "number": s.number, "voxels": s.voxels, "ml": s.ml, "code": s.code}
                for s in self.segments
            ],
        }


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that lies under some paths.

    Parameters
    ----------
    items : tuple of Entry
        Images and masks first, then what is neither.
    caveats : tuple of Caveat
        What was seen on the way.
    """

    items: tuple[Entry, ...]
    caveats: tuple[Caveat, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return it as ``flr inspect --json`` prints it."""
        return {
            "items": [item.to_json() for item in self.items],
            "caveats": [{"code": c.code, "message": c.message} for c in self.caveats],
        }


def inspect(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str], *, progress: Progress | None = None
) -> Inspection:
    """Say what lies under some paths, and whether it can be read.

    Parameters
    ----------
    paths : path-like, or iterable of path-like
        Files, folders with all they hold, zip archives.
    progress : callable, optional
        Called with the number of files read and of all.

    Returns
    -------
    Inspection
        One entry for each volume, file of masks, and other file.

    Raises
    ------
    UnreadableError
        If a path does not exist.
    """
    found = scan(paths, progress=progress)
    objects = objects_in(found)
    items: list[Entry] = []
    caveats = list(found.caveats)
    for item in found.found:
        entry, more = _entry(item, found, declares=item in objects)
        items.append(entry)
        caveats.extend(more)
    patients = {item.text(tags.PATIENT_ID) for item in found.images() if item.headers}
    if len(patients) > 1:
        caveats.append(
            Caveat("multiple_patients", f"the images are of {len(patients)} patients; they are never joined.")
        )
    return Inspection(tuple(items), tuple(dict.fromkeys(caveats)))


def _caveats(item: Found) -> tuple[Caveat, ...]:
    if item.stack is not None:
        return item.stack.caveats
    return item.voxels.caveats if item.voxels is not None else ()


def _entry(item: Found, found: Scan, *, declares: bool) -> tuple[Entry, tuple[Caveat, ...]]:
    """Return what one thing is, and what is doubtful about it."""
    grid = item.stack.grid if item.stack else item.voxels.grid if item.voxels else None
    refusal, kind = item.refusal, item.kind
    segments: tuple[SegmentEntry, ...] = ()
    caveats = _caveats(item)
    if declares:
        kind = Kind.MASKS
        segments = _declared(item)
        try:
            segments, grid, caveats = _opened(item, found)
        except FlrError as error:
            refusal = error
    elif item.may_be_masks and grid is not None:
        try:
            labels = _labels(item)
        except FlrError as error:
            refusal = refusal or error
        else:
            if labels is not None:
                refusal = None
                kind, segments = Kind.MASKS, _counted(item, labels, grid.voxel_ml)
    entry = Entry(
        path=item.path,
        kind=kind,
        status=Status.OK if refusal is None else Status.REFUSED,
        reason=refusal.reason if refusal else "",
        message=refusal.message if refusal else "",
        modality=item.text(tags.MODALITY),
        series_uid=item.text(tags.SERIES),
        grid=grid,
        segments=segments,
    )
    return entry, caveats


def _opened(item: Found, found: Scan) -> tuple[tuple[SegmentEntry, ...], Grid | None, tuple[Caveat, ...]]:
    """Read a file that declares its structures, and count their voxels."""
    opened = open_object(item, found)
    numbers = opened.readable()
    masks = opened.masks(numbers) if numbers else {}
    entries = []
    for segment in opened.segments:
        mask = masks.get(segment.number)
        code = str(segment.code) if segment.code else None
        count = mask.count if mask else None
        ml = count * mask.grid.voxel_ml if mask and count is not None else None
        entries.append(SegmentEntry(segment.name, segment.number, count, ml, code))
    grid = next((mask.grid for mask in masks.values()), None)
    caveats = dict.fromkeys(caveat for mask in masks.values() for caveat in mask.caveats)
    return tuple(entries), grid, tuple(caveats)


def _declared(item: Found) -> tuple[SegmentEntry, ...]:
    """Return the structures that a DICOM SEG or RTSTRUCT declares, without counting them."""
    if not item.headers:
        return ()
    attributes = item.headers[0].attributes
    segments = [
        SegmentEntry(part.text(tags.SEGMENT_LABEL), part.unsigned(tags.SEGMENT_NUMBER), None, None)
        for part in attributes.items(tags.SEGMENTS)
    ]
    regions = [
        SegmentEntry(part.text(tags.ROI_NAME), part.integer(tags.ROI_NUMBER), None, None)
        for part in attributes.items(tags.STRUCTURE_SET_ROIS)
    ]
    return tuple(segments + regions)


def _labels(item: Found) -> dict[int, int] | None:
    """Return the voxels of each label if an image is one of labels; raise if its file is damaged."""
    if item.stack is not None:
        first = item.stack.frames[0].header.attributes
        if first.unsigned(tags.BITS_ALLOCATED) != 8:
            return None
    try:
        voxels = label_array(item)
    except FlrError as error:
        if error.reason == "not_a_label_map":
            return None
        raise
    counts = count_labels(voxels)
    return counts if len(counts) <= MAX_DISTINCT and _is_patchy(voxels) else None


def _is_patchy(labels: npt.NDArray[Any]) -> bool:
    """Whether most labelled voxels have a neighbour of the same label, as in structures."""
    every = max(1, labels.shape[2] // SAMPLED_SLICES)
    sample = labels[:, :, ::every]
    labelled = int(np.count_nonzero(sample[1:]))
    same = int(np.count_nonzero((sample[1:] == sample[:-1]) & (sample[1:] != 0)))
    return same >= MIN_SAME * labelled


def _counted(item: Found, counts: dict[int, int], voxel_ml: float) -> tuple[SegmentEntry, ...]:
    if set(counts) <= {BINARY[0]} or set(counts) == {BINARY[1]}:
        voxels = sum(counts.values())
        return (SegmentEntry(stem_of(item), next(iter(counts), BINARY[0]), voxels, voxels * voxel_ml),)
    return tuple(SegmentEntry(str(n), n, voxels, voxels * voxel_ml) for n, voxels in counts.items())

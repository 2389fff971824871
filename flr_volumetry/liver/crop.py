"""Puts one patient's masks together on one cropped grid, and checks them against each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.images import (
    Box,
    Grid,
    Image,
    LabelMap,
    Mask,
    Source,
    bounding_box,
    require_same_frame,
    to_grid,
)
from flr_volumetry.liver import checks
from flr_volumetry.liver.values import Lesion, Liver, Vessel

if TYPE_CHECKING:
    from collections.abc import Iterable

CROP_MARGIN_MM = 15.0
"""Room around the liver: enough to see what borders on it, little enough to stay fast."""


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """What is known of one liver, each mask on whatever grid it was drawn on.

    Parameters
    ----------
    liver : Mask
        The whole liver, lesions included.
    lesions : iterable of Mask
        One each; numbered from 1 in this order. Gone through once, so that a generator
        keeps no more than one whole mask in memory.
    segments : LabelMap or None
        Couinaud segments, labels 1 to 8.
    vessels : iterable of (Structure, Mask)
        Portal vein, hepatic veins and so on. Gone through once.
    """

    liver: Mask
    lesions: Iterable[Mask] = ()
    segments: LabelMap | None = None
    vessels: Iterable[tuple[Structure, Mask]] = ()

    def __post_init__(self) -> None:
        for name in ("lesions", "vessels"):
            given = getattr(self, name)
            if isinstance(given, Iterator):
                object.__setattr__(self, name, _Once(given, name))


class _Once:
    """A generator that refuses to be gone through again: the second time it would seem to be empty."""

    def __init__(self, given: Iterator[Any], name: str) -> None:
        self.given = given
        self.name = name
        self.used = False

    def __iter__(self) -> Iterator[Any]:
        if self.used:
            raise LiverError(
                f"the {self.name} were given as a generator, which was used up; give a list to crop twice",
                reason="used_up",
            )
        self.used = True
        return self.given


def crop_liver(masks: Masks, *, image: Image | None = None, margin_mm: float = CROP_MARGIN_MM) -> Liver:
    """Crop a patient to the liver, and check that the masks fit together.

    Parameters
    ----------
    masks : Masks
        Put onto the scan's grid where they lie on another (`flr_volumetry.images.to_grid`).
    image : Image or None
        The scan; without it the liver mask's grid stands for the scan's, and a caveat says so.
    margin_mm : float
        Room around the liver's bounding box, mm.

    Returns
    -------
    Liver
        With a caveat for everything doubtful that the checks found.

    Raises
    ------
    LiverError
        If the liver is empty or of implausible size, a mask names another patient,
        a lesion is empty or lies mostly outside the liver, or the segments do not
        fit the liver.
    GridError
        If a mask does not meet the scan, or lies in another frame of reference.
    """
    if not (math.isfinite(margin_mm) and margin_mm >= 0):
        raise LiverError(f"the margin around the liver must be 0 mm or more, got {margin_mm}")
    scan = image.grid if image is not None else masks.liver.grid
    known = [(scan, image.source)] if image is not None else []
    _require_same_patient(known, masks.liver)
    whole = to_grid(masks.liver, scan)
    filled = bounding_box(whole.voxels)
    if filled is None:
        raise LiverError(
            f"the liver mask {_where(masks.liver)} is empty: it has no voxel. "
            "Check the label or segment that was chosen.",
            reason="empty_liver",
        )
    box = _grown(filled, scan, margin_mm)
    grid = scan.crop(box)
    voxels = _cut_out(whole.voxels, box)
    found = [
        *whole.caveats,
        *checks.field_of_view(whole.voxels, filled, scan),
        *checks.size(int(np.count_nonzero(voxels)) * grid.voxel_ml),
        *checks.parts(voxels, grid),
        *checks.slices(scan),
    ]
    lesions = []
    for number, mask in enumerate(masks.lesions, start=1):
        _require_same_patient(known, mask)
        lesion, caveats = _lesion(number, mask, scan, box, voxels)
        lesions.append(lesion)
        found += caveats
    found += checks.lesions_apart(lesions, grid)
    segments = None
    if masks.segments is not None:
        _require_same_patient(known, masks.segments)
        on_scan = to_grid(masks.segments, scan)
        segments, caveats = _segments(on_scan, box, grid, voxels)
        found += [*on_scan.caveats, *caveats]
    vessels = []
    for structure, mask in masks.vessels:
        _require_same_patient(known, mask)
        vessel, caveats = _vessel(structure, mask, scan, box, voxels)
        vessels.append(vessel)
        found += caveats
    part = image.crop(box) if image is not None else None
    found += checks.intensity(part, voxels)
    return Liver(
        grid=grid,
        voxels=voxels,
        scan_grid=scan,
        start=(box[0].start, box[1].start, box[2].start),
        lesions=tuple(lesions),
        segments=segments,
        vessels=tuple(vessels),
        image=part,
        caveats=(*(image.caveats if image is not None else ()), *found),
        origin=masks.liver.source.origin,
    )


def _where(mask: Mask | LabelMap) -> str:
    return f"({mask.source.path})" if mask.source.path else ""


def _cut_out(array: npt.NDArray[Any], box: Box) -> npt.NDArray[Any]:
    return np.asarray(array[box]).copy(order="F")


def _grown(filled: Box, scan: Grid, margin_mm: float) -> Box:
    reach = np.ceil(margin_mm * np.linalg.norm(np.linalg.inv(scan.affine[:3, :3]), axis=1)).astype(int)
    i, j, k = (
        slice(max(s.start - int(r), 0), min(s.stop + int(r), n))
        for s, r, n in zip(filled, reach, scan.shape, strict=True)
    )
    return i, j, k


def _require_same_patient(known: list[tuple[Grid, Source]], mask: Mask | LabelMap) -> None:
    """Compare identifiers ourselves, with every input before: scans of two patients often share a lattice."""
    name = mask.source.path or getattr(mask, "name", "") or "a mask"
    for grid, source in known:
        if source.patient_id and mask.source.patient_id and source.patient_id != mask.source.patient_id:
            raise LiverError(
                f"{name} carries another patient's identifier than {source.path}. "
                "Use masks that were drawn on this patient's scan.",
                reason="other_patient",
            )
        require_same_frame(grid, mask.grid, name)
    known.append((mask.grid, mask.source))


def _lesion(
    number: int, mask: Mask, scan: Grid, box: Box, liver: npt.NDArray[np.bool_]
) -> tuple[Lesion, list[Caveat]]:
    placed = to_grid(mask, scan)
    what = f"lesion {number} {mask.name!r}"
    filled = bounding_box(placed.voxels)
    if filled is None:
        raise LiverError(f"{what} {_where(mask)} is empty: it has no voxel.", reason="empty_lesion")
    count = int(np.count_nonzero(placed.voxels[filled]))
    part = placed.voxels[box]
    tight = bounding_box(part)
    inside = 0 if tight is None else int(np.count_nonzero(part[tight] & liver[tight]))
    ml = count * scan.voxel_ml
    caveats = [*placed.caveats, *checks.lesion_inside(what, ml, (count - inside) * scan.voxel_ml)]
    if tight is None:
        raise LiverError(f"{what} lies outside the liver", reason="lesion_outside")
    cut_off = count - int(np.count_nonzero(part[tight]))
    if cut_off:
        caveats.append(
            Caveat(
                "lesion_cut_off",
                f"{cut_off * scan.voxel_ml:.2f} of the {ml:.1f} mL of {what} lie beyond the box around the "
                "liver that is looked at; its longest diameter is that of the part inside, and too short.",
            )
        )
    lesion = Lesion(
        number,
        mask.name,
        (tight[0].start, tight[1].start, tight[2].start),
        _cut_out(part, tight),
        ml,
    )
    return lesion, [*caveats, *checks.lesion_parts(what, lesion.voxels, scan)]


def _segments(
    placed: LabelMap, box: Box, grid: Grid, liver: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], list[Caveat]]:
    part = _cut_out(placed.voxels, box)
    if int(part.max()) > max(SEGMENTS):
        unknown = [int(n) for n in np.unique(part) if n > max(SEGMENTS)]
        raise LiverError(
            f"the segment map {_where(placed)} holds labels {unknown}; Couinaud segments are 1 to 8.",
            reason="unknown_segment_label",
        )
    labels = part.astype(np.uint8, order="F")
    labels *= liver
    stray = int(np.count_nonzero(placed.voxels)) - int(np.count_nonzero(labels))
    return labels, list(checks.segments(labels, grid, liver, stray * grid.voxel_ml))


def _vessel(
    structure: Structure, mask: Mask, scan: Grid, box: Box, liver: npt.NDArray[np.bool_]
) -> tuple[Vessel, list[Caveat]]:
    placed = to_grid(mask, scan)
    part = _cut_out(placed.voxels, box)
    caveats = list(placed.caveats)
    if not (part & liver).any() and structure in {Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS}:
        caveats.append(
            Caveat("vessel_outside_liver", f"The {structure.value} mask has no voxel inside the liver.")
        )
    return Vessel(structure, part, placed.ml), caveats

"""Masks from a scan: what a case file or the command line asks of a back-end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
from pydantic import Field, Strict

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.app.tables import MaskEntry, Point, Section
from flr_volumetry.errors import Caveat, SegmentationError
from flr_volumetry.io import MarkupPoints, read_label_map, read_markups
from flr_volumetry.segmentation import (
    DEFAULT,
    NO_HINTS,
    BoxMm,
    Device,
    Hints,
    Segmentation,
    Settings,
    backend,
    segment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flr_volumetry.images import Image, Mask

NAMES: Final[dict[str, Structure]] = {
    "liver": Structure.LIVER,
    "lesions": Structure.LESION,
    "portal_vein": Structure.PORTAL_VEIN,
    "hepatic_veins": Structure.HEPATIC_VEINS,
    "ivc": Structure.IVC,
    "gallbladder": Structure.GALLBLADDER,
    "segments": Structure.SEGMENTS,
}
"""What the case file and the command line call structures."""
_LIVER_LISTS: Final = frozenset({"liver", "inside", "seed", "seeds", "foreground"})
_LESION_LISTS: Final = frozenset({"lesion", "lesions", "tumour", "tumours", "tumor", "tumors", "metastases"})
_OUTSIDE_LISTS: Final = frozenset({"outside", "not liver", "background"})
DOUBTFUL_LESION: Final = 0.5
"""Lesions of less confidence are named in a caveat (assumed)."""
StructureName = Literal["liver", "lesions", "portal_vein", "hepatic_veins", "ivc", "gallbladder", "segments"]
Corners = Annotated[tuple[Point, Point], Strict(strict=False)]


class SegmentationSection(Section):
    """The [segmentation] table: what is found in the scan, and by what."""

    backend: str = Field(default=DEFAULT, min_length=1)
    structures: list[StructureName] | None = Field(default=None, min_length=1)
    folder: str | None = Field(default=None, min_length=1)
    labels: dict[str, int] = Field(default={})
    device: Literal["cpu", "gpu", "mps"] = "cpu"
    hints: str | None = Field(default=None, min_length=1)
    seeds_mm: list[Point] = Field(default=[])
    outside_mm: list[Point] = Field(default=[])
    box_mm: Corners | None = None
    lesion_seeds_mm: list[Point] = Field(default=[])
    lesion_boxes_mm: list[Corners] = Field(default=[])
    rough: MaskEntry | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is asked of a back-end.

    Parameters
    ----------
    backend : str
        Its name.
    wanted : frozenset of Structure or None
        What to find; None for all that it offers.
    settings : Settings
        What it needs besides the scan.
    hints : Hints
        What the user says.
    given : frozenset of Structure
        What there is a mask of already, and is not sought.
    """

    backend: str = DEFAULT
    wanted: frozenset[Structure] | None = None
    settings: Settings = field(default_factory=Settings)
    hints: Hints = NO_HINTS
    given: frozenset[Structure] = frozenset()


def settings_for(
    folder: Path | None = None, labels: Mapping[str, int] | None = None, device: str = "cpu"
) -> Settings:
    """Return settings of a back-end, with what reads files.

    Parameters
    ----------
    folder : Path, optional
        Weights, a model, an atlas.
    labels : mapping of str to int, optional
        The number of each structure in a model's output.
    device : str
        What a network runs on.

    Returns
    -------
    Settings
        As back-ends take them.

    Raises
    ------
    SegmentationError
        If two structures have one label.
    """
    turned: dict[int, str] = {}
    for name, number in (labels or {}).items():
        if number in turned:
            raise SegmentationError(
                f"label {number} stands for both {turned[number]!r} and {name!r}", reason="bad_labels"
            )
        turned[number] = name
    return Settings(folder, turned, Device(device), read_label_map)


def request_of(
    section: SegmentationSection, resolve: Callable[[str], Path], rough: Mask | None = None
) -> Request:
    """Return what a [segmentation] table asks for.

    Parameters
    ----------
    section : SegmentationSection
        Of a case file.
    resolve : callable
        Takes a path of the case file to where it lies.
    rough : Mask, optional
        The rough mask that it names, read.

    Returns
    -------
    Request
        With the hints of its file of markups.

    Raises
    ------
    SegmentationError
        If a hint cannot be used.
    FlrError
        If the file of hints cannot be read.
    """
    drawn = hints_in(resolve(section.hints)) if section.hints else NO_HINTS
    hints = Hints(
        seeds_mm=(*section.seeds_mm, *drawn.seeds_mm),
        outside_mm=(*section.outside_mm, *drawn.outside_mm),
        box_mm=BoxMm(*section.box_mm) if section.box_mm else None,
        rough=rough,
        lesion_seeds_mm=(*section.lesion_seeds_mm, *drawn.lesion_seeds_mm),
        lesion_boxes_mm=tuple(BoxMm(*corners) for corners in section.lesion_boxes_mm),
    )
    folder = resolve(section.folder) if section.folder else None
    return Request(
        section.backend,
        frozenset(NAMES[n] for n in section.structures) if section.structures else None,
        settings_for(folder, section.labels, section.device),
        hints,
    )


def hints_in(path: Path) -> Hints:
    """Read hints that were drawn in 3D Slicer.

    Parameters
    ----------
    path : Path
        Lists of points: named after the liver they are seeds in it, after lesions or tumours each is a
        seed in one, and named "outside" they are not liver.

    Returns
    -------
    Hints
        The points.

    Raises
    ------
    SegmentationError
        If a list has another name, or the file holds something else.
    """
    seeds: list[tuple[float, float, float]] = []
    lesions, outside = list(seeds), list(seeds)
    for markup in read_markups(path):
        name = markup.name.lower().replace("_", " ").strip()
        target = (
            seeds
            if name in _LIVER_LISTS
            else lesions
            if name in _LESION_LISTS
            else outside
            if name in _OUTSIDE_LISTS
            else None
        )
        if target is None or not isinstance(markup, MarkupPoints):
            raise SegmentationError(
                f"{path}: {markup.name!r} is no hint that is known: hints are lists of points called liver, "
                "lesions or outside.",
                reason="bad_hint",
            )
        target += [(float(x), float(y), float(z)) for x, y, z in markup.points_mm]
    return Hints(seeds_mm=tuple(seeds), outside_mm=tuple(outside), lesion_seeds_mm=tuple(lesions))


def find(image: Image, request: Request, *, tell: Callable[[str], None] = lambda _: None) -> Segmentation:
    """Have a back-end find what was asked for in a scan.

    Parameters
    ----------
    image : Image
        The scan, whole.
    request : Request
        What is asked.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Segmentation
        With a caveat that nobody has looked at its masks.

    Raises
    ------
    SegmentationError
        If the back-end is unknown or unavailable, a hint lies outside the scan, or nothing is found.
    """
    _require_inside(image, request.hints)
    segmenter = backend(request.backend, request.settings)
    wanted = segmenter.structures if request.wanted is None else request.wanted
    twice = sorted(s.value for s in request.given & wanted) if request.wanted is not None else []
    if twice:
        raise SegmentationError(
            f"{', '.join(twice)}: there is a mask of it already, and it is to be found too. Choose one.",
            reason="given_and_wanted",
        )
    found = segment(image, wanted - request.given, segmenter=segmenter, hints=request.hints, tell=tell)
    found = _without(found, request.given)
    return replace(found, caveats=(*_unseen(found), *_doubtful(found), *found.caveats))


def _without(found: Segmentation, given: frozenset[Structure]) -> Segmentation:
    """Leave out what was found although there is a mask of it already."""
    return replace(
        found,
        masks={s: mask for s, mask in found.masks.items() if s not in given},
        lesions=() if Structure.LESION in given else found.lesions,
        segments=None if Structure.SEGMENTS in given else found.segments,
        quality=tuple(q for q in found.quality if q.structure not in given),
    )


def _unseen(found: Segmentation) -> Iterator[Caveat]:
    names = ", ".join(key.replace("_", " ") for key, s in NAMES.items() if s in found.structures)
    if names:
        yield Caveat(
            "masks_automatic",
            f"Found automatically by {found.made.backend} {found.made.version}: {names}. Nobody has looked "
            "at these masks; compare them with the scan before a number is used.",
        )


def _doubtful(found: Segmentation) -> Iterator[Caveat]:
    weak = [
        f"{n} ({lesion.confidence:.2f})"
        for n, lesion in enumerate(found.lesions, start=1)
        if lesion.confidence is not None and lesion.confidence < DOUBTFUL_LESION
    ]
    if weak:
        yield Caveat(
            "lesion_doubtful",
            f"Lesions of low confidence (0 to 1), which may be none: {', '.join(weak)}.",
        )


def _require_inside(image: Image, hints: Hints) -> None:
    """Refuse hints that do not lie in the scan: they were drawn on another one."""
    points = [*hints.seeds_mm, *hints.outside_mm, *hints.lesion_seeds_mm]
    points += [_middle(box) for box in (*hints.lesion_boxes_mm, *((hints.box_mm,) if hints.box_mm else ()))]
    if not points:
        return
    index = image.grid.indices_at(points)
    outside = ((index < -0.5) | (index > np.asarray(image.grid.shape) - 0.5)).any(axis=1)
    if outside.any():
        at = points[int(np.flatnonzero(outside)[0])]
        raise SegmentationError(
            f"the hint at ({at[0]:.1f}, {at[1]:.1f}, {at[2]:.1f}) mm (LPS) lies outside the scan: it was "
            "drawn on another scan, or its coordinates are RAS, whose first two have the other sign.",
            reason="hint_outside",
        )


def _middle(box: BoxMm) -> tuple[float, float, float]:
    a, b, c = ((low + high) / 2 for low, high in zip(box.low, box.high, strict=True))
    return (a, b, c)


def masks_of(found: Segmentation) -> Iterator[tuple[Structure, int, Mask]]:
    """Give the masks of a segmentation one by one.

    Parameters
    ----------
    found : Segmentation
        What a back-end found.

    Yields
    ------
    structure : Structure
        What the mask is of.
    number : int
        Of a lesion or a Couinaud segment; 0 for all else.
    mask : Mask
        On the scan's grid.
    """
    for structure in NAMES.values():
        if structure in found.masks:
            yield structure, 0, found.masks[structure]
    for n, lesion in enumerate(found.lesions, start=1):
        yield Structure.LESION, n, lesion.mask
    if found.segments is not None:
        for n in SEGMENTS:
            mask = found.segments.mask_of(n)
            if mask.voxels.any():
                yield Structure.SEGMENTS, n, mask


def digest_of(mask: Mask) -> str:
    """Return the SHA-256 of a mask's voxels, one bit each, columns fastest."""
    return hashlib.sha256(np.packbits(mask.voxels.ravel(order="F")).tobytes()).hexdigest()

"""``flr segment``: from a scan to masks that people can look at and correct."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.finding import NAMES, Request, SegmentationSection, find, masks_of, request_of
from flr_volumetry.errors import Caveat, SegmentationError, UnreadableError
from flr_volumetry.images import Image, Mask
from flr_volumetry.io import MaskToWrite, read_image, read_mask
from flr_volumetry.liver import Liver, Masks, crop_liver
from flr_volumetry.report.mask_page import MaskRow, masks_text
from flr_volumetry.segmentation.quality import check_masks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flr_volumetry.segmentation import Segmentation
    from flr_volumetry.segmentation.quality import Checked


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

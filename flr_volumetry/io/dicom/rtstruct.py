"""Radiotherapy structure sets: what their regions of interest are, as contours in the patient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import Caveat, FlrError, NotAVolumeError, UnreadableError
from flr_volumetry.images import Mask
from flr_volumetry.io.dicom import mask_tags, tags
from flr_volumetry.io.dicom.codes import Code, Segment, codes_in
from flr_volumetry.io.dicom.header import read_header
from flr_volumetry.io.dicom.roi_place import place_contours
from flr_volumetry.io.dicom.seg import inherited

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from flr_volumetry.images import Grid, Source
    from flr_volumetry.io.dicom.header import Attributes, Header
    from flr_volumetry.io.files import StoredFile

WANTED: Final = tags.WANTED | mask_tags.STRUCTURES
FEWEST_POINTS: Final = 3


class ContourType(Enum):
    """Geometric types of contours (PS3.3, C.8.8.6.3) that enclose an area."""

    CLOSED = "CLOSED_PLANAR"
    CLOSED_XOR = "CLOSEDPLANAR_XOR"


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A region of interest.

    Parameters
    ----------
    segment : Segment
        Its number, name and codes.
    frame_uid : str
        Frame of reference of its contours.
    contours : tuple of (n, 3) ndarray
        Closed polygons, LPS mm.
    others : tuple of str
        Types of its contours that enclose no area.
    degenerate : int
        Closed contours of one or two points, which enclose nothing.
    malformed : str
        What is wrong with one of its contours; empty if nothing is.
    """

    segment: Segment
    frame_uid: str
    contours: tuple[npt.NDArray[np.float64], ...]
    others: tuple[str, ...] = ()
    degenerate: int = 0
    malformed: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class StructureSet:
    """A structure set, opened.

    Parameters
    ----------
    header : Header
        As a scan reads it.
    regions : tuple of Region
        In the order of the file.
    series_uids : frozenset of str
        Series of images that it says it was drawn on.
    """

    header: Header
    regions: tuple[Region, ...]
    series_uids: frozenset[str]

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return self.header.file.label

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What it declares."""
        return tuple(region.segment for region in self.regions)

    @property
    def drawable(self) -> tuple[Region, ...]:
        """Regions that enclose something."""
        return tuple(region for region in self.regions if region.contours)

    def require_well_formed(self) -> None:
        """Refuse a file of which any contour is damaged.

        Raises
        ------
        UnreadableError
            Naming the first of them.
        """
        for region in self.regions:
            self.require_region(region)

    def require_region(self, region: Region) -> None:
        """Refuse a region of which a contour is damaged.

        Parameters
        ----------
        region : Region
            One of its own.

        Raises
        ------
        UnreadableError
            If one is.
        """
        if region.malformed:
            raise UnreadableError(
                f"{self.label}: a contour of {region.segment.name!r} cannot be read: {region.malformed}. "
                "Export the structure set again.",
                reason="malformed_contour",
            )

    def mask(self, number: int, grid: Grid, source: Source) -> Mask:
        """Return one region as voxels of a scan.

        Parameters
        ----------
        number : int
            Of the region.
        grid : Grid
            Of the scan it was drawn on.
        source : Source
            For the mask.

        Returns
        -------
        Mask
            Voxels whose centre lies inside its contours by the even-odd rule.

        Raises
        ------
        UnreadableError
            If a contour is damaged.
        NotAVolumeError
            If its contours do not lie on slices of the scan.
        FrameError
            If it lies in another frame of reference.
        """
        region = next(r for r in self.regions if r.segment.number == number)
        self.require_region(region)
        what = f"region {region.segment.name!r} of {self.label}"
        if not region.contours:
            raise NotAVolumeError(
                f"{what} has no closed contours"
                + (f", only {', '.join(region.others)}" if region.others else "")
                + ": it encloses no volume.",
                reason="no_closed_contours",
            )
        voxels, caveats = place_contours(region.contours, grid, region.frame_uid, what)
        return Mask(grid, voxels, region.segment.name, source, caveats + _caveats(region, what))

    def masks(self, numbers: Sequence[int], grid: Grid, source: Source) -> dict[int, Mask]:
        """Return several regions as voxels of a scan; those that cannot be drawn on it are told.

        Parameters
        ----------
        numbers : sequence of int
            Of the regions.
        grid : Grid
            Of the scan they were drawn on.
        source : Source
            For the masks.

        Returns
        -------
        dict of int to Mask
            Those that could be read; each carries a caveat that names the others.

        Raises
        ------
        FlrError
            If a contour is damaged, or no region can be read.
        """
        self.require_well_formed()
        made: dict[int, Mask] = {}
        refused: dict[str, FlrError] = {}
        for number in numbers:
            try:
                made[number] = self.mask(number, grid, source)
            except FlrError as error:
                refused[self._name(number)] = error
        if not made and refused:
            raise next(iter(refused.values()))
        if not refused:
            return made
        left_out = Caveat(
            "structures_left_out",
            f"{self.label}: {len(refused)} structures could not be read: "
            + "; ".join(f"{name} ({error.reason})" for name, error in refused.items())
            + ".",
        )
        return {n: Mask(m.grid, m.voxels, m.name, m.source, (*m.caveats, left_out)) for n, m in made.items()}

    def _name(self, number: int) -> str:
        return next(s.name for s in self.segments if s.number == number)


def _caveats(region: Region, what: str) -> tuple[Caveat, ...]:
    found = []
    if region.others:
        kinds = ", ".join(sorted(set(region.others)))
        found.append(
            Caveat(
                "open_contours",
                f"{what} also has {len(region.others)} contours of type {kinds}, which enclose no area "
                "and were left out.",
            )
        )
    if region.degenerate:
        found.append(
            Caveat(
                "degenerate_contours",
                f"{what} has {region.degenerate} contours of one or two points, which enclose nothing.",
            )
        )
    return tuple(found)


def open_structure_set(file: StoredFile) -> StructureSet:
    """Open a structure set, with all its contours.

    Parameters
    ----------
    file : StoredFile
        An RTSTRUCT object.

    Returns
    -------
    StructureSet
        What it declares.

    Raises
    ------
    UnreadableError
        If it cannot be read, or declares nothing.
    """
    header = read_header(file, wanted=WANTED)
    if header is None:
        raise UnreadableError(f"{file.label} is not a DICOM file.")
    a = header.attributes
    contours = {item.integer(mask_tags.REFERENCED_ROI): item for item in a.items(mask_tags.ROI_CONTOUR)}
    if len(contours) < len(a.items(mask_tags.ROI_CONTOUR)):
        raise UnreadableError(
            f"{file.label} has the contours of one region in two places. Export it again.",
            reason="inconsistent_segments",
        )
    codes = _observed_codes(a)
    regions = []
    for number, item in enumerate(inherited(a, tags.STRUCTURE_SET_ROIS), 1):
        said = item.integer(tags.ROI_NUMBER)
        segment = Segment(
            number if said is None else said,
            item.text(tags.ROI_NAME) or str(said if said is not None else number),
            codes.get(said, ()),
        )
        frame = item.text(mask_tags.ROI_FRAME_OF_REFERENCE) or _frame_of(a)
        regions.append(_region(segment, frame, contours.get(said)))
    numbers = [region.segment.number for region in regions]
    if not regions or len(set(numbers)) < len(numbers):
        raise UnreadableError(
            f"{file.label} declares " + ("two regions of one number." if regions else "no regions."),
            reason="inconsistent_segments" if regions else "no_masks",
        )
    return StructureSet(header, tuple(regions), _referenced_series(a))


def _observed_codes(a: Attributes) -> dict[int | None, tuple[Code, ...]]:
    found: dict[int | None, tuple[Code, ...]] = {}
    for item in a.items(mask_tags.ROI_OBSERVATIONS):
        codes = codes_in(item, mask_tags.ROI_IDENTIFICATION_CODE)
        if codes:
            found.setdefault(item.integer(mask_tags.REFERENCED_ROI), codes)
    return found


def _frame_of(a: Attributes) -> str:
    named = {item.text(tags.FRAME_OF_REFERENCE) for item in a.items(mask_tags.REFERENCED_FRAMES_OF_REFERENCE)}
    return named.pop() if len(named) == 1 else ""


def _referenced_series(a: Attributes) -> frozenset[str]:
    return frozenset(
        series.text(tags.SERIES)
        for frame in a.items(mask_tags.REFERENCED_FRAMES_OF_REFERENCE)
        for study in frame.items(mask_tags.RT_REFERENCED_STUDY)
        for series in study.items(mask_tags.RT_REFERENCED_SERIES)
        if series.text(tags.SERIES)
    )


def _region(segment: Segment, frame_uid: str, item: Attributes | None) -> Region:
    closed: list[npt.NDArray[np.float64]] = []
    others: list[str] = []
    degenerate, malformed = 0, ""
    for contour in item.items(mask_tags.CONTOUR) if item is not None else []:
        kind = contour.text(mask_tags.CONTOUR_TYPE)
        if kind and kind not in {member.value for member in ContourType}:
            others.append(kind)
            continue
        points, wrong = _points(contour)
        if points is None:
            malformed = malformed or wrong
        elif len(points) < FEWEST_POINTS:
            degenerate += 1
        else:
            closed.append(points)
    return Region(segment, frame_uid, tuple(closed), tuple(others), degenerate, malformed)


def _points(contour: Attributes) -> tuple[npt.NDArray[np.float64] | None, str]:
    """Return the points of a contour, or what is wrong with them."""
    raw = contour.raw(mask_tags.CONTOUR_DATA).strip(b" \0")
    try:
        numbers = np.array([float(part) for part in raw.split(b"\\")] if raw else [], dtype=np.float64)
    except ValueError:
        return None, f"its points are no numbers ({raw[:40]!r})"
    if not all(map(math.isfinite, (numbers.min(initial=0), numbers.max(initial=0)))):
        return None, "its points are no finite numbers"
    if len(numbers) % 3 or not len(numbers):
        return None, f"it has {len(numbers)} numbers, which are no points of three each"
    said = contour.integer(mask_tags.CONTOUR_POINTS)
    if said is not None and said != len(numbers) // 3:
        return None, f"it says it has {said} points and has {len(numbers) // 3}"
    return numbers.reshape(-1, 3), ""

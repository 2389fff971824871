"""Files that declare their structures: DICOM SEG, RTSTRUCT, and .seg.nrrd."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flr_volumetry.errors import NotAVolumeError, UnreadableError
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.classes import STRUCTURE_SET
from flr_volumetry.io.dicom.rtstruct import StructureSet, open_structure_set
from flr_volumetry.io.dicom.seg import Segmentation, open_segmentation
from flr_volumetry.io.drawn_on import drawn_on, references_of, several_scans
from flr_volumetry.io.files import digest
from flr_volumetry.io.reading import source_of
from flr_volumetry.io.scan import Found, Kind, Scan, scan
from flr_volumetry.io.segnrrd import SegNrrd, declares_segments, open_segnrrd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.images import Grid, Mask
    from flr_volumetry.io.dicom.codes import Segment


Content = Segmentation | StructureSet | SegNrrd


@dataclass(frozen=True, slots=True, eq=False)
class MaskObject:
    """One file that declares its structures, opened.

    Parameters
    ----------
    item : Found
        The file.
    content : Segmentation, StructureSet or SegNrrd
        What it declares.
    found : Scan
        What lies beside it, for contours, which need a scan.
    """

    item: Found
    content: Content
    found: Scan

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What it declares."""
        return self.content.segments

    def names(self) -> dict[int, str]:
        """Return a name for each segment that no other has.

        Returns
        -------
        dict of int to str
            By number; the number is part of the name where several have one name.
        """
        counts = Counter(segment.name for segment in self.segments)
        return {s.number: s.name if counts[s.name] == 1 else f"{s.name} [{s.number}]" for s in self.segments}

    def find(self, wanted: str) -> list[int]:
        """Return the segments that a person means: by name, by number, by code.

        Parameters
        ----------
        wanted : str
            A name, a number, a code value, or scheme and value with a colon between.

        Returns
        -------
        list of int
            Numbers of those that fit; a name is preferred to a number, and that to a code.
        """
        text = wanted.strip().lower()
        names = self.names()
        by_name = [n for n, name in names.items() if name.lower() == text]
        if by_name:
            return by_name
        declared = [s.number for s in self.segments if s.name.lower() == text]
        if declared:
            return declared
        by_number = [s.number for s in self.segments if text == str(s.number)]
        if by_number:
            return by_number
        return [
            s.number
            for s in self.segments
            if any(text in {str(code).lower(), code.value.lower()} for code in s.types)
        ]

    def masks(
        self, numbers: Sequence[int], *, grid: Grid | None = None, threshold: float | None = None
    ) -> dict[int, Mask]:
        """Return the masks of some segments.

        Parameters
        ----------
        numbers : sequence of int
            Which.
        grid : Grid, optional
            Where to put them. Contours without it go onto the scan that lies beside them.
        threshold : float, optional
            For fractional segmentations: the least fraction that is inside.

        Returns
        -------
        dict of int to Mask
            By number. Of several contoured structures, those that cannot be drawn on the
            scan are left out, and the others say so.

        Raises
        ------
        FlrError
            If they cannot be read.
        """
        with ThreadPoolExecutor(1) as background:
            # Hashing releases the interpreter and finds the file in the page cache.
            sha256 = background.submit(digest, self.item.files)
            made = self._read(numbers, grid, threshold)
            source = source_of(self.item, self.item.path, sha256.result())
        return {number: replace(mask, source=source) for number, mask in made.items()}

    def _read(self, numbers: Sequence[int], grid: Grid | None, threshold: float | None) -> dict[int, Mask]:
        source, content = source_of(self.item, self.item.path, ""), self.content
        if isinstance(content, Segmentation):
            return content.masks(numbers, source, grid=self._grid_for(content, grid), threshold=threshold)
        if isinstance(content, SegNrrd):
            return content.masks(numbers, source, grid=grid)
        target = grid if grid is not None else self._scan_grid(content)
        if len(numbers) == 1:
            return {numbers[0]: content.mask(numbers[0], target, source)}
        return content.masks(numbers, target, source)

    def readable(self) -> list[int]:
        """Return the numbers of segments that can be a mask: not points, nor empty regions."""
        if isinstance(self.content, StructureSet):
            self.content.require_well_formed()
            return [region.segment.number for region in self.content.drawable]
        return [segment.number for segment in self.segments]

    def _grid_for(self, content: Segmentation, grid: Grid | None) -> Grid | None:
        """Return the grid asked for; where frames form none by themselves, that of the scan beside them."""
        if grid is not None:
            return grid
        try:
            content.own_lattice()
        except NotAVolumeError:
            return self._beside()
        return None

    def _scan_grid(self, content: StructureSet) -> Grid:
        """Return the grid of the scan that contours were drawn on, which must lie beside them."""
        content.require_well_formed()
        grid = self._beside()
        if grid is None:
            raise UnreadableError(
                f"{self.item.path} holds contours, which become voxels only on the scan they were drawn on, "
                "and that is not beside it. Put it into the folder of its images, or name the scan.",
                reason="needs_image",
            )
        return grid

    def _beside(self) -> Grid | None:
        """Return the grid of the scan that lies beside the file; None if there is none."""
        volumes = _volumes(self.found)
        file = self.item.files[0]
        if not volumes and not file.member:
            volumes = _volumes(scan([file.folder]))
        meant = drawn_on(references_of([self.item]), volumes)
        if len(meant) > 1:
            raise several_scans(meant, self.item.path)
        return meant[0].stack.grid if meant and meant[0].stack else None


def _volumes(found: Scan) -> list[Found]:
    return [item for item in found.images() if item.stack is not None and item.is_readable]


def objects_in(found: Scan) -> list[Found]:
    """Return the files of a scan that declare their structures.

    Parameters
    ----------
    found : Scan
        What there is.

    Returns
    -------
    list of Found
        SEG, RTSTRUCT and .seg.nrrd.
    """
    return [
        item
        for item in found.found
        if item.kind is Kind.MASKS or (item.voxels is not None and declares_segments(item.voxels))
    ]


def open_object(item: Found, found: Scan) -> MaskObject:
    """Open a file that declares its structures.

    Parameters
    ----------
    item : Found
        One of `objects_in`.
    found : Scan
        What lies beside it.

    Returns
    -------
    MaskObject
        What it declares; its voxels are read with its masks.

    Raises
    ------
    FlrError
        If it is damaged, contradicts itself, or is of a kind that is not read.
    """
    if item.refusal is not None:
        raise item.refusal
    if item.voxels is not None:
        return MaskObject(item, open_segnrrd(item.voxels), found)
    if item.text(tags.SOP_CLASS) == STRUCTURE_SET:
        return MaskObject(item, open_structure_set(item.files[0]), found)
    return MaskObject(item, open_segmentation(item.headers[0]), found)

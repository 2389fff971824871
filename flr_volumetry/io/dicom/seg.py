"""DICOM segmentation objects: masks out of their frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import Caveat, GridError, InputError, NotAVolumeError
from flr_volumetry.images import Grid, Mask, require_same_frame, to_grid
from flr_volumetry.io.dicom import mask_tags, tags
from flr_volumetry.io.dicom.codes import Code, Segment, codes_in, type_codes
from flr_volumetry.io.dicom.seg_frames import ALL_SEGMENTS, SegFrames, SegKind, seg_frames
from flr_volumetry.io.dicom.seg_lattice import Lattice, lattice_of, named_frames
from flr_volumetry.io.dicom.seg_pixels import SegPixels
from flr_volumetry.io.dicom.seg_place import Placement, on_own, on_scan, placed_on, put

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from flr_volumetry.images import Source
    from flr_volumetry.io.dicom.header import Attributes, Header

BACKGROUND_CODE: Final = ("DCM", "125040")
"""CID 7150 has no background; label maps declare it as segment 0 (PS3.16, DCM 125040)."""


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """A segmentation object, opened; its pixels are read with its masks.

    Parameters
    ----------
    header : Header
        Of the file.
    segments : tuple of Segment
        In the order of the file; the background is none.
    frames : SegFrames
        Where its frames lie.
    frame_uid : str
        Its frame of reference; empty where the file does not say.
    maximum : int
        Value of certainty in fractional objects.
    background : frozenset of int
        Values of label maps that mean "none of the segments".
    caveats : tuple of Caveat
        What was found on the way.
    """

    header: Header
    segments: tuple[Segment, ...]
    frames: SegFrames
    frame_uid: str
    maximum: int
    background: frozenset[int]
    caveats: tuple[Caveat, ...] = field(default=())

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return self.header.file.label

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows and slices of its own lattice; frames for slices where they span none."""
        try:
            return self.own_lattice().grid.shape
        except NotAVolumeError:
            return self.frames.columns, self.frames.rows, len(self.frames.positions)

    def own_lattice(self) -> Lattice:
        """Return the lattice that its frames span by themselves.

        Returns
        -------
        Lattice
            With a slice for every step from the lowest frame to the highest.

        Raises
        ------
        NotAVolumeError
            If they lie on no regular lattice.
        """
        return lattice_of(self.frames, self.label, frame_uid=self.frame_uid)

    def frames_met(self, grid: Grid) -> int:
        """Return how many of its frames lie on slices of a scan.

        Parameters
        ----------
        grid : Grid
            The scan's.

        Returns
        -------
        int
            0 if frames lie askew to the scan.
        """
        placement = placed_on(self.frames, grid)
        return 0 if placement is None else len(placement.starts) - len(placement.strays)

    def masks(
        self,
        numbers: Sequence[int],
        source: Source,
        *,
        grid: Grid | None = None,
        threshold: float | None = None,
    ) -> dict[int, Mask]:
        """Return the masks of some segments.

        Parameters
        ----------
        numbers : sequence of int
            Which segments.
        source : Source
            For the masks.
        grid : Grid, optional
            Where to put them: frames onto the slices they were drawn on if they are those of
            the grid, by nearest neighbour otherwise. Without it they lie on a grid of their own.
        threshold : float, optional
            For fractional objects: the least fraction that is inside.

        Returns
        -------
        dict of int to Mask
            By the number of the segment, in the order asked for.

        Raises
        ------
        InputError
            If the object is fractional and no threshold is given.
        NotAVolumeError
            If frames repeat a place, or lie on no regular lattice.
        UnreadableError
            If the file is cut short or damaged.
        GridError
            If the object lies in another frame of reference than `grid`, or does not meet it.
        """
        if self.frames.kind is SegKind.FRACTIONAL and threshold is None:
            raise InputError(
                f"{self.label} gives each voxel a fraction, not inside or outside. "
                "Say from which fraction on a voxel is inside (threshold, 0 to 1).",
                reason="fractional",
            )
        placement, target, caveats = self._place(grid)
        self._require_single(placement)
        filler = _Filler(self, placement, numbers)
        filler.fill(SegPixels(self.header, self.frames), threshold)
        made = {}
        for number in numbers:
            own = caveats + filler.caveats(number)
            mask = Mask(placement.grid, filler.stack(number).T, self._name(number), source, own)
            made[number] = mask if target is None else to_grid(mask, target)
        return made

    def _place(self, grid: Grid | None) -> tuple[Placement, Grid | None, tuple[Caveat, ...]]:
        """Return where frames lie, the grid they must be resampled to, and what is doubtful."""
        if grid is None:
            lattice = self.own_lattice()
            return on_own(lattice), None, self.caveats + lattice.caveats
        if self.frame_uid:
            own = Grid((1, 1, 1), np.eye(4), self.frame_uid)
            require_same_frame(grid, own, f"the segmentation {self.label}")
        placed = on_scan(self.frames, grid, self.label, frame_uid=self.frame_uid)
        if isinstance(placed, Placement):
            return placed, None, self.caveats
        return on_own(placed), grid, self.caveats + placed.caveats

    def _require_single(self, placement: Placement) -> None:
        met = np.flatnonzero(placement.starts[:, 2] >= 0)
        places = np.stack([self.frames.segments[met], placement.starts[met, 2]], axis=1)
        _, kinds, counts = np.unique(places, axis=0, return_inverse=True, return_counts=True)
        twice = met[counts[kinds.ravel()] > 1]
        if len(twice):
            what = "" if self.frames.kind is SegKind.LABEL_MAP else " of one segment"
            raise NotAVolumeError(
                f"{self.label}: at the place of {named_frames(twice)} another frame{what} lies too; "
                "which of them is meant cannot be known. Export it again.",
                reason="duplicate_positions",
            )

    def _name(self, number: int) -> str:
        return next(s.name for s in self.segments if s.number == number)


class _Filler:
    """Puts frames into one stack of slices for each segment."""

    def __init__(self, seg: Segmentation, placement: Placement, numbers: Iterable[int]) -> None:
        columns, rows, slices = placement.grid.shape
        # Zeroed memory is only touched where a frame is written.
        self._stacks = {n: np.zeros((slices, rows, columns), dtype=np.bool_) for n in numbers}
        self._seg = seg
        self._placement = placement
        self._beside: dict[int, int] = dict.fromkeys(self._stacks, 0)
        self._strayed: dict[int, dict[int, int]] = {n: {} for n in self._stacks}
        self._undeclared: dict[int, int] = {}

    def stack(self, number: int) -> npt.NDArray[np.bool_]:
        """Return one segment, (slices, rows, columns)."""
        return self._stacks[number]

    def fill(self, pixels: SegPixels, threshold: float | None) -> None:
        """Read the frames that are needed."""
        frames = self._seg.frames
        wanted = np.flatnonzero(np.isin(frames.segments, [ALL_SEGMENTS, *self._stacks]))
        for index in wanted.tolist():
            values = pixels.frame(index)
            if frames.kind is SegKind.LABEL_MAP:
                self._take_labels(index, values)
            elif frames.kind is SegKind.FRACTIONAL:
                self._take(index, int(frames.segments[index]), values >= (threshold or 0) * self._seg.maximum)
            else:
                self._take(index, int(frames.segments[index]), self._binary(index, values))

    def _binary(self, index: int, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        if values.dtype == np.uint8 and values.max(initial=0) <= 1:
            return values.view(np.bool_)
        if len(np.unique(values[values != 0])) > 1:
            raise NotAVolumeError(
                f"{self._seg.label} says that it is binary, but frame {index + 1} holds several values. "
                "Export it again.",
                reason="not_binary",
            )
        inside: npt.NDArray[np.bool_] = values != 0
        return inside

    def _take_labels(self, index: int, values: npt.NDArray[Any]) -> None:
        known = {s.number for s in self._seg.segments}
        # Most of a frame is background: only the rest is counted, unless 0 is a segment here.
        counted = values.ravel() if 0 in self._stacks else values[values != 0]
        for number in np.flatnonzero(np.bincount(counted)).tolist():
            if number in self._stacks:
                self._take(index, number, values == number)
            elif number not in self._seg.background | known:
                self._undeclared[number] = self._undeclared.get(number, 0) + int((values == number).sum())

    def _take(self, index: int, number: int, inside: npt.NDArray[np.bool_]) -> None:
        start, turn = self._placement.starts[index], self._placement.turns[index]
        if start[2] < 0:
            self._strayed[number][index] = int(np.count_nonzero(inside))
            return
        self._beside[number] += put(self._stacks[number][start[2]], inside, start, turn)

    def caveats(self, number: int) -> tuple[Caveat, ...]:
        """Return what was left out of one segment; refuse one of which nothing is left."""
        label, name = self._seg.label, self._seg._name(number)
        strayed = {index: count for index, count in self._strayed[number].items() if count}
        lost = sum(strayed.values()) + self._beside[number]
        if lost and not self._stacks[number].any():
            raise GridError(
                f"segment {name!r} of {label} does not meet the scan anywhere: none of its {lost} voxels "
                "lies on one of its slices. Is it another patient's?",
                reason="no_overlap",
            )
        found = []
        if strayed:
            found.append(
                Caveat(
                    "frames_left_out",
                    f"segment {name!r} of {label}: no slice of the scan lies at the place of "
                    f"{named_frames(np.array(list(strayed)))}; "
                    f"{sum(strayed.values())} voxels were left out.",
                )
            )
        if self._beside[number]:
            found.append(
                Caveat(
                    "mask_outside_scan",
                    f"segment {name!r} of {label}: {self._beside[number]} voxels lie beside the scan and "
                    "were left out.",
                )
            )
        if self._undeclared:
            values = ", ".join(f"{n} ({count} voxels)" for n, count in sorted(self._undeclared.items())[:6])
            found.append(
                Caveat(
                    "undeclared_label",
                    f"{label} holds values that it does not declare as segments: {values}; "
                    "they were left out.",
                )
            )
        return tuple(found)


def open_segmentation(header: Header) -> Segmentation:
    """Open a segmentation object.

    Parameters
    ----------
    header : Header
        Of the file.

    Returns
    -------
    Segmentation
        What it declares.

    Raises
    ------
    NotAVolumeError
        If it is tiled, contradicts itself, or does not say where its frames lie.
    """
    a = header.attributes
    frames = seg_frames(header)
    declared = [_segment(item) for item in inherited(a, tags.SEGMENTS)]
    numbers = [s.number for s in declared]
    if len(set(numbers)) < len(numbers) or not declared:
        raise NotAVolumeError(
            f"{header.file.label} declares "
            + ("two segments of one number." if declared else "no segments.")
            + " Export it again.",
            reason="inconsistent_segments",
        )
    padding = a.unsigned(tags.PADDING)
    background = frozenset({0} if padding is None else {padding})
    caveats: tuple[Caveat, ...] = ()
    if frames.kind is SegKind.LABEL_MAP:
        none = {s.number for s in declared if _is_background(s)}
        if not any(s.number == 0 for s in declared):
            none.add(0)
        background |= none
        caveats = _hidden(declared, background - none, header)
        declared = [s for s in declared if s.number not in background]
    else:
        unknown = sorted(set(frames.segments.tolist()) - set(numbers))
        if unknown:
            raise NotAVolumeError(
                f"{header.file.label} has frames of segments that it does not declare: "
                f"{', '.join(map(str, unknown))}. Export it again.",
                reason="inconsistent_segments",
            )
    return Segmentation(
        header,
        tuple(declared),
        frames,
        a.text(tags.FRAME_OF_REFERENCE),
        a.unsigned(mask_tags.MAXIMUM_FRACTIONAL) or 255,
        background,
        caveats,
    )


def inherited(a: Attributes, sequence: int) -> list[Attributes]:
    """Return the items of a sequence, whose texts are in the character set of the whole data set.

    Parameters
    ----------
    a : Attributes
        The data set.
    sequence : int
        Tag.

    Returns
    -------
    list of Attributes
        Its items.
    """
    charset = {tag: a.elements[tag] for tag in (tags.CHARACTER_SET,) if tag in a}
    return [type(a)({**charset, **item.elements}, a.big_endian) for item in a.items(sequence)]


def _segment(item: Attributes) -> Segment:
    number = item.unsigned(tags.SEGMENT_NUMBER)
    category = codes_in(item, mask_tags.PROPERTY_CATEGORY)
    return Segment(
        -1 if number is None else number,
        item.text(tags.SEGMENT_LABEL) or str(number),
        type_codes(item),
        codes_in(item, mask_tags.ANATOMIC_REGION),
        category[0] if category else None,
    )


def _is_background(segment: Segment) -> bool:
    code: Code | None = segment.code
    if code is not None and (code.scheme, code.value) == BACKGROUND_CODE:
        return True
    return segment.number == 0 and segment.name.strip().lower() == "background"


def _hidden(declared: list[Segment], background: frozenset[int], header: Header) -> tuple[Caveat, ...]:
    """Say which segments carry the number that the object uses for "none of them"."""
    hidden = [s for s in declared if s.number in background]
    return tuple(
        Caveat(
            "segment_is_padding",
            f"{header.file.label} declares segment {s.number} ({s.name!r}), but uses that number for voxels "
            "outside all segments; it was left out.",
        )
        for s in hidden
    )

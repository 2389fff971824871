"""Slices to volumes: order, checks, and the lattice they lie on."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import Caveat, FlrError, NotAVolumeError
from flr_volumetry.images import Grid
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.frames import ONLY_AT_ONE_PLACE, SPLIT_KEYS, Frame
from flr_volumetry.io.dicom.parsing import UNDEFINED
from flr_volumetry.io.dicom.pixels import read_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

POSITION_ATOL_MM: Final = 0.1
"""How far a slice may lie from its place on the lattice.

Positions are written with one decimal by some scanners, so that each may be 0.05 mm
off, and the lattice drawn through the first and the last as much again."""
POSITION_RTOL: Final = 0.2
"""The same as a part of the slice step, so that thin slices cannot change places."""
DUPLICATE_RTOL: Final = 0.05
"""Slices nearer than this part of the usual step lie at one position."""
ORIENTATION_ATOL: Final = 1e-3
"""Largest difference of direction cosines in one volume: 0.2 mm at 200 mm from the centre."""
SPACING_RTOL: Final = 1e-4
"""Largest relative difference of pixel spacings in one volume: 0.05 mm over 512 pixels."""
MULTIPLE_ATOL: Final = 0.1
"""How far a gap may be from a whole number of steps and still be slices that are missing."""
MAX_COORDINATE_MM: Final = 1e5
"""A position farther from the origin than 100 m is no position."""
MAX_PIXEL_MM: Final = 100.0
NAMED: Final = 6
"""How many slices a message names."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Slices in order, on a regular lattice.

    Parameters
    ----------
    frames : tuple of Frame
        From the first slice to the last, along the normal of the slices.
    grid : Grid
        Where they lie.
    part : str
        What sets it apart from the other volumes of its series; empty if it is the only one.
    caveats : tuple of Caveat
        What was found on the way.
    """

    frames: tuple[Frame, ...]
    grid: Grid
    part: str = ""
    caveats: tuple[Caveat, ...] = ()


def stack(frames: Sequence[Frame]) -> Stack:
    """Put slices in order and return the lattice they lie on.

    The step from slice to slice is that from the first to the last, divided by their
    number less one; each slice is then held against its place, in three dimensions. A
    tilted gantry shows as a step that is not at right angles to the slices, and is kept.

    Parameters
    ----------
    frames : sequence of Frame
        In any order.

    Returns
    -------
    Stack
        The slices in order, and their grid.

    Raises
    ------
    NotAVolumeError
        If the slices differ in size or direction, lie at one place, or leave gaps.
    """
    _require_geometry(frames)
    axes, normal = _common_axes(frames)
    _require_one_shape(frames)
    if len(frames) < 2:
        raise NotAVolumeError(
            f"{frames[0].label} is a single slice: its third dimension cannot be known. "
            "Read the whole series.",
            reason="single_slice",
        )
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    ordered = tuple(frames[n] for n in order)
    step = _step(ordered, positions[order], heights[order])
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([axes[:, 0], axes[:, 1], step])
    affine[:3, 3] = positions[order[0]]
    first = ordered[0].header.attributes
    shape = (first.unsigned(tags.COLUMNS) or 0, first.unsigned(tags.ROWS) or 0, len(ordered))
    return Stack(ordered, Grid(shape, affine, first.text(tags.FRAME_OF_REFERENCE)))


def _names(frames: Sequence[Frame]) -> str:
    shown = ", ".join(frame.label for frame in frames[:NAMED])
    more = len(frames) - NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _require_geometry(frames: Sequence[Frame]) -> None:
    lacking = [f for f in frames if not (f.position and f.orientation and f.spacing)]
    if lacking:
        raise NotAVolumeError(
            f"{len(lacking)} of {len(frames)} images do not say where they lie (position, orientation or "
            f"pixel spacing is missing): {_names(lacking)}. "
            "Export the original series, not a copy of the screen.",
            reason="missing_geometry",
        )
    known: dict[object, bool] = {}
    flat = []
    for frame in frames:
        key = (frame.orientation, frame.spacing)
        if key not in known:
            known[key] = _is_plane(frame)
        if not (known[key] and max(map(abs, frame.position or ())) < MAX_COORDINATE_MM):
            flat.append(frame)
    if flat:
        raise NotAVolumeError(
            f"{_names(flat)}: the orientation is not two directions at right angles, "
            "or position or pixel spacing are not possible.",
            reason="missing_geometry",
        )


def _is_plane(frame: Frame) -> bool:
    o, s = frame.orientation or (0.0,) * 6, frame.spacing or (0.0, 0.0)
    row, column = o[0] * o[0] + o[1] * o[1] + o[2] * o[2], o[3] * o[3] + o[4] * o[4] + o[5] * o[5]
    crossing = o[0] * o[3] + o[1] * o[4] + o[2] * o[5]
    return (
        abs(row - 1) <= 2 * ORIENTATION_ATOL
        and abs(column - 1) <= 2 * ORIENTATION_ATOL
        and abs(crossing) <= ORIENTATION_ATOL
        and 0 < min(s) <= max(s) < MAX_PIXEL_MM
    )


def _common_axes(frames: Sequence[Frame]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the (3, 2) steps of columns and rows, mm, and the normal of the slices."""
    directions = np.array([frame.orientation for frame in frames], dtype=np.float64)
    off = np.abs(directions - directions[0]).max(axis=1) > ORIENTATION_ATOL
    if off.any():
        others = [frame for frame, different in zip(frames, off, strict=True) if different]
        raise NotAVolumeError(
            f"{len(frames)} images do not lie parallel to each other: {_names(others)} "
            f"differ from {frames[0].label}. They are scouts, or several stacks; "
            "read a series of parallel slices.",
            reason="mixed_orientation",
        )
    mean = directions.mean(axis=0)
    row, column = mean[:3] / np.linalg.norm(mean[:3]), mean[3:] / np.linalg.norm(mean[3:])
    between_rows, between_columns = frames[0].spacing or (0.0, 0.0)
    normal = np.cross(row, column)
    return np.column_stack([row * between_columns, column * between_rows]), normal / np.linalg.norm(normal)


def _require_one_shape(frames: Sequence[Frame]) -> None:
    def shape(frame: Frame) -> tuple[object, ...]:
        a = frame.header.attributes
        return a.unsigned(tags.ROWS), a.unsigned(tags.COLUMNS), a.text(tags.FRAME_OF_REFERENCE)

    first, spacing = shape(frames[0]), np.array([frame.spacing for frame in frames], dtype=np.float64)
    off = np.abs(spacing / spacing[0] - 1).max(axis=1) > SPACING_RTOL
    others = [f for f, differs in zip(frames, off, strict=True) if differs or shape(f) != first]
    if others:
        raise NotAVolumeError(
            f"{len(others)} of {len(frames)} images differ from {frames[0].label} in size, pixel spacing or "
            f"frame of reference: {_names(others)}. They are not one volume.",
            reason="mixed_geometry",
        )


def _step(
    frames: Sequence[Frame], positions: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the step from slice to slice, mm, or refuse slices that are not evenly spaced."""
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    close = gaps <= max(DUPLICATE_RTOL * usual, 1e-4)
    if close.any():
        at = int(np.argmax(close))
        raise NotAVolumeError(
            f"{int(close.sum()) + 1} of {len(frames)} images share their position with another, among them "
            f"{frames[at].label} and {frames[at + 1].label}. They are several phases or copies; "
            "read a series that holds one image at each position.",
            reason="duplicate_positions",
        )
    step = np.asarray((positions[-1] - positions[0]) / (len(frames) - 1))
    places = positions[0] + np.arange(len(frames))[:, None] * step
    off = np.linalg.norm(positions - places, axis=1)
    if off.max() <= min(POSITION_ATOL_MM, POSITION_RTOL * float(np.linalg.norm(step))):
        return step
    raise _uneven(frames, gaps)


def _uneven(frames: Sequence[Frame], gaps: npt.NDArray[np.float64]) -> NotAVolumeError:
    smallest = float(gaps.min())
    steps = np.rint(gaps / smallest)
    wide = int(np.argmax(gaps))
    where = f"between {frames[wide].label} and {frames[wide + 1].label}"
    # The frames of one file have the number of the file, which says nothing of their order.
    numbers = [frame.instance_number if frame.frames_in_file == 1 else None for frame in frames]
    if np.abs(gaps / smallest - steps).max() <= MULTIPLE_ATOL and steps.max() > 1:
        known = [n for n in numbers if n is not None]
        if len(known) == len(numbers):
            missing = bool(np.array_equal(np.abs(np.diff(known)), steps))
        else:
            missing = len(gaps) > 3 and int(np.count_nonzero(steps > 1)) * 2 < len(gaps)
        if missing:
            return NotAVolumeError(
                f"{int(steps.sum()) - len(gaps)} slices are missing: the step is {smallest:.3f} mm, "
                f"but {gaps[wide]:.3f} mm {where}. Export the series again.",
                reason="missing_slice",
            )
    return NotAVolumeError(
        f"slices are not evenly spaced: steps from {smallest:.3f} to {gaps[wide]:.3f} mm, "
        f"the widest {where}. Reconstruct the series with even spacing.",
        reason="irregular_spacing",
    )


def stacks(frames: Sequence[Frame]) -> tuple[list[Stack], FlrError | None]:
    """Return the volumes that the slices of one series form, or why they form none.

    A series is taken as one volume where it is one. Where it is not, identical copies
    are dropped; then it is split by what its images differ in (phase, echo,
    acquisition), but only if each part is a volume and the parts cover the same region.

    Parameters
    ----------
    frames : sequence of Frame
        All of one series, not empty.

    Returns
    -------
    list of Stack, FlrError or None
        The volumes; or none, and the reason.
    """
    try:
        return [stack(frames)], None
    except FlrError as error:
        refusal = error
    if refusal.reason not in {"duplicate_positions", "irregular_spacing", "mixed_orientation"}:
        return [], refusal
    unique = _without_copies(frames) if refusal.reason == "duplicate_positions" else list(frames)
    dropped = len(frames) - len(unique)
    caveats: tuple[Caveat, ...] = ()
    if dropped:
        caveats = (
            Caveat("copies_dropped", f"{dropped} images were there twice, identical; one of each was used."),
        )
        try:
            whole = stack(unique)
        except FlrError as error:
            refusal = error
        else:
            return [Stack(whole.frames, whole.grid, "", caveats)], None
    varying = [
        n
        for n, name in enumerate(SPLIT_KEYS)
        if _may_split(unique, n)
        and (refusal.reason == "duplicate_positions" or name not in ONLY_AT_ONE_PLACE)
    ]
    for size in (1, 2, 3):
        for names in combinations(varying, size):
            parts = _split(unique, names)
            if parts and (refusal.reason != "mixed_orientation" or names[0] == 0):
                return [Stack(p.frames, p.grid, p.part, caveats) for p in parts], None
    return [], refusal


def _may_split(frames: Sequence[Frame], name: int) -> bool:
    """Whether a key has several values, each of them more than once."""
    counts = Counter(frame.keys[name] for frame in frames)
    return len(counts) > 1 and min(counts.values()) > 1


def _split(frames: Sequence[Frame], names: tuple[int, ...]) -> list[Stack] | None:
    groups: dict[tuple[str, ...], list[Frame]] = {}
    for frame in frames:
        groups.setdefault(tuple(frame.keys[n] for n in names), []).append(frame)
    if len(groups) < 2 or any(len({key[n] for key in groups}) < 2 for n in range(len(names))):
        return None
    if min(map(len, groups.values())) < 2:
        return None
    parts = []
    for key, members in groups.items():
        try:
            made = stack(members)
        except FlrError:
            return None
        said = ", ".join(f"{SPLIT_KEYS[n]} {value or 'unsaid'}" for n, value in zip(names, key, strict=True))
        parts.append(Stack(made.frames, made.grid, said))
    return parts if 0 in names or _cover_the_same(parts) else None


def _cover_the_same(parts: Sequence[Stack]) -> bool:
    """Whether each two parts overlap by more than half of the smaller one."""
    normal = np.cross(*parts[0].grid.affine[:3, :2].T)
    spans = []
    for part in parts:
        ends = [float(np.dot(normal, part.frames[n].position or (0, 0, 0))) for n in (0, -1)]
        spans.append((min(ends), max(ends)))
    return all(
        min(a[1], b[1]) - max(a[0], b[0]) > 0.5 * min(a[1] - a[0], b[1] - b[0])
        for a, b in combinations(spans, 2)
    )


def _without_copies(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames less those that repeat another: place, rescaling, phase and pixels alike."""
    groups: dict[object, list[Frame]] = {}
    for frame in frames:
        place = tuple(round(x, 3) for x in frame.position or ())
        same = (
            place,
            frame.slope,
            frame.intercept,
            frame.keys[:-1],
            frame.frames_in_file > 1 and frame.index,
        )
        groups.setdefault(same, []).append(frame)
    kept: list[Frame] = []
    digests: dict[int, bytes] = {}
    for group in groups.values():
        single = all(frame.frames_in_file == 1 for frame in group)
        decoded = single and len({frame.header.syntax for frame in group}) > 1
        seen: set[object] = set()
        for frame in group:
            file = id(frame.header)
            if len(group) > 1 and file not in digests:
                digests[file] = _value_digest(frame) if decoded else _pixel_digest(frame)
            key = digests.get(file)
            if key not in seen:
                seen.add(key)
                kept.append(frame)
    return kept


def _value_digest(frame: Frame) -> bytes:
    """Return a digest of the values, for files of several syntaxes; of the bytes where they are damaged."""
    try:
        pixels = read_pixels([frame])
    except FlrError:
        return _pixel_digest(frame)
    meaning = repr((pixels.voxels.dtype, pixels.padding))
    return hashlib.sha256(meaning.encode() + pixels.voxels.tobytes()).digest()


def _pixel_digest(frame: Frame) -> bytes:
    header = frame.header
    length = header.file.size if header.pixel_length == UNDEFINED else header.pixel_length
    a = header.attributes
    meaning = repr([a.raw(tag) for tag in (tags.BITS_STORED, tags.PIXEL_REPRESENTATION, tags.PADDING)])
    return hashlib.sha256(
        header.syntax.encode() + meaning.encode() + header.read(header.pixel_offset, length)
    ).digest()

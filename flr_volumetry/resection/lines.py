"""A liver as stretches of its rows, with what lies beside each; cut into parts where a surface crosses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import read_only
from flr_volumetry.resection.rows import flat_rows

if TYPE_CHECKING:
    from flr_volumetry.images import Box, Grid
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection.rows import LiverRows

Ints = npt.NDArray[np.int64]

HALF = 32
"""Bits of a whole number that holds two, the first of them the higher half."""
BLOCK = 4
"""Voxels along each edge of the blocks by which triangles far from the liver are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Stretches of a liver's rows, in the order in which the voxels lie in memory, columns fastest.

    Parameters
    ----------
    line : (r,) int64 ndarray, read-only
        Its row, plus the height of the box times its slice.
    begin, end : (r,) int64 ndarray, read-only
        First column, and the one after the last.
    pointer : (lines + 1,) int64 ndarray, read-only
        Which stretch is the first of each line.
    """

    line: Ints = field(repr=False)
    begin: Ints = field(repr=False)
    end: Ints = field(repr=False)
    pointer: Ints = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("line", "begin", "end", "pointer"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def at(self, line: Ints, column: Ints) -> Ints:
        """Find the stretch that each voxel lies in.

        Parameters
        ----------
        line, column : (n,) int64 ndarray
            The voxels.

        Returns
        -------
        (n,) int64 ndarray
            As an index; -1 for voxels in none.
        """
        found = self.pointer[line]
        last = self.pointer[line + 1]
        (looking,) = np.nonzero(found < last)
        while len(looking):
            looking = looking[self.end[found[looking]] <= column[looking]]
            found[looking] += 1
            looking = looking[found[looking] < last[looking]]
        within = found < last
        within[within] = self.begin[found[within]] <= column[within]
        return np.where(within, found, -1)


@dataclass(frozen=True, slots=True, eq=False)
class LiverLines:
    """A liver's rows, and which of them lie side by side.

    Parameters
    ----------
    box : tuple of slice
        The liver's bounding box in the liver's grid.
    grid : Grid
        The grid of that box; all indices below are in it.
    solid : Stretches
        The liver, each stretch as long as can be.
    beside : tuple of (2, p) int64 ndarray, read-only
        Pairs of stretches that share columns: in rows next to each other, and in slices.
    below : (a, b, c) int32 ndarray, read-only
        How many of the blocks that hold liver, `BLOCK` voxels along each axis, have lower indices.
    """

    box: Box
    grid: Grid
    solid: Stretches
    beside: tuple[Ints, Ints] = field(repr=False)
    below: npt.NDArray[np.int32] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "beside", tuple(read_only(pairs) for pairs in self.beside))
        object.__setattr__(self, "below", read_only(self.below))

    def reached(self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which boxes come near the liver.

        Parameters
        ----------
        low, high : (3, n) float64 ndarray
            Ends of the boxes along each axis, as indices of the grid.

        Returns
        -------
        (n,) bool ndarray
            False only for those with no liver voxel in them or next to them.
        """
        blocks = np.asarray(self.below.shape)[:, None] - 1
        step = np.asarray(self.below.strides)[:, None] // self.below.itemsize
        # Whole blocks from 0 on: to cut the fraction off is to round down.
        first = (np.clip((low - 1) / BLOCK, 0, blocks).astype(np.int32) * step).astype(np.int32)
        after = (np.clip((high + 1) / BLOCK + 1, 0, blocks).astype(np.int32) * step).astype(np.int32)
        flat = self.below.ravel()
        held = np.zeros(low.shape[1], dtype=np.int32)
        for i, one in ((first[0], -1), (after[0], 1)):
            for j, two in ((first[1], -one), (after[1], one)):
                place = i + j
                part = flat.take(place + after[2]) - flat.take(place + first[2])
                held += two * part
        return np.asarray(held > 0)

    def holds(self, index: Ints) -> npt.NDArray[np.bool_]:
        """Which voxels are liver.

        Parameters
        ----------
        index : (n, 3) int64 ndarray
            In the box's grid, or outside it.

        Returns
        -------
        (n,) bool ndarray
            False outside the box.
        """
        found = np.zeros(len(index), dtype=bool)
        (within,) = np.nonzero(((index >= 0) & (index < self.grid.shape)).all(axis=1))
        column, row, piece = index[within].T
        found[within] = self.solid.at(row + self.grid.shape[1] * piece, column) >= 0
        return found

    def painted(self) -> npt.NDArray[np.bool_]:
        """Return the liver as a mask of its box, columns fastest."""
        before = self.solid.line * self.grid.shape[0]
        return painted(before + self.solid.begin, before + self.solid.end, self.grid)


def lines_of(liver: Liver) -> LiverLines:
    """Lay a liver out as lines.

    Parameters
    ----------
    liver : Liver
        Its labels are not looked at.

    Returns
    -------
    LiverLines
        Of all its voxels.
    """
    from flr_volumetry.images import bounding_box

    box = bounding_box(liver.voxels)
    assert box is not None
    flat = flat_rows(liver.voxels, box)
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    width = box[0].stop - box[0].start + 1
    line, begin = np.divmod(edges[::2], width)
    return _linked(box, liver.grid.crop(box), line, begin, begin + edges[1::2] - edges[::2])


def lines_of_rows(rows: LiverRows) -> LiverLines:
    """Lay a liver out as lines from its table of runs, whose labels are not looked at.

    Parameters
    ----------
    rows : LiverRows
        The liver's.

    Returns
    -------
    LiverLines
        Of all its voxels.
    """
    at = rows.rows[rows.row]
    line = at[:, 0] + rows.grid.shape[1] * at[:, 1]
    first = np.ones(len(line), dtype=bool)
    first[1:] = (line[1:] != line[:-1]) | (rows.begin[1:] != rows.end[:-1])
    last = np.roll(first, -1)
    begin, end = rows.begin[first].astype(np.int64), rows.end[last].astype(np.int64)
    return _linked(rows.box, rows.grid, line[first], begin, end)


def _linked(box: Box, grid: Grid, line: Ints, begin: Ints, end: Ints) -> LiverLines:
    width, height, depth = grid.shape
    pointer = np.searchsorted(line, np.arange(height * depth + 1))
    beside = []
    for step, inside in ((1, line % height < height - 1), (height, line < height * (depth - 1))):
        (one,) = np.nonzero(inside)
        across = (line[one] + step) * (width + 1)
        first = np.searchsorted(line * (width + 1) + end, across + begin[one], side="right")
        last = np.searchsorted(line * (width + 1) + begin, across + end[one], side="left")
        beside.append(np.stack([np.repeat(one, last - first), _ranges(first, last)]))
    solid = Stretches(line, begin, end, pointer)
    return LiverLines(box, grid, solid, (beside[0], beside[1]), _blocks_below(solid, grid))


def _blocks_below(solid: Stretches, grid: Grid) -> npt.NDArray[np.int32]:
    columns, rows, slices = (-(-n // BLOCK) for n in grid.shape)
    height = grid.shape[1]
    before = (solid.line // height // BLOCK * rows + solid.line % height // BLOCK) * (columns + 1)
    size = slices * rows * (columns + 1)
    steps = np.bincount(before + solid.begin // BLOCK, minlength=size)
    steps -= np.bincount(before + (solid.end - 1) // BLOCK + 1, minlength=size)
    held = np.cumsum(steps.reshape(slices, rows, columns + 1), axis=2)[:, :, :-1] > 0
    below = np.zeros((columns + 1, rows + 1, slices + 1), dtype=np.int32)
    below[1:, 1:, 1:] = held.T
    for axis in range(3):
        np.cumsum(below, axis=axis, out=below)
    return below


def _ranges(first: Ints, last: Ints) -> Ints:
    """All numbers from each first to below each last."""
    counts = last - first
    ends = np.cumsum(counts)
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - ends + counts, counts))


def painted(begins: Ints, ends: Ints, grid: Grid) -> npt.NDArray[np.bool_]:
    """Draw stretches as a mask.

    Parameters
    ----------
    begins, ends : (n,) int64 ndarray
        Places in the box laid out flat, columns fastest: of the first voxel, and of the one after the last.
    grid : Grid
        Of the box.

    Returns
    -------
    ndarray of bool
        Of the grid's shape, columns fastest.
    """
    steps = np.zeros(math.prod(grid.shape) + 1, dtype=np.int8)
    # One may end where the next begins: both add up.
    steps[begins] += 1
    steps[ends] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).astype(bool).reshape(grid.shape, order="F")


def divided(solid: Stretches, of: Ints, column: Ints) -> tuple[Stretches, Ints]:
    """Cut stretches.

    Parameters
    ----------
    solid : Stretches
        Those to be cut.
    of : (n,) int64 ndarray
        Which of them, rising.
    column : (n,) int64 ndarray
        Before which column, inside it and rising in each.

    Returns
    -------
    Stretches
        The parts.
    (r + 1,) int64 ndarray
        Which part is the first of each stretch.
    """
    cuts = np.bincount(of, minlength=len(solid.line))
    first = np.concatenate([[0], np.cumsum(cuts + 1)])
    line = np.repeat(solid.line, cuts + 1)
    begin, end = np.empty_like(line), np.empty_like(line)
    begin[first[:-1]], end[first[1:] - 1] = solid.begin, solid.end
    behind = of + np.arange(1, len(of) + 1)
    begin[behind], end[behind - 1] = column, column
    return Stretches(line, begin, end, first[solid.pointer]), first


def side_by_side(
    parts: Stretches, first: Ints, pairs: Ints, side: npt.NDArray[np.int8] | None = None
) -> tuple[Ints, Ints, Ints]:
    """Find which parts of stretches lie beside each other.

    Parameters
    ----------
    parts : Stretches
        What stretches were cut into.
    first : (r + 1,) int64 ndarray
        Which part is the first of each stretch.
    pairs : (2, p) int64 ndarray
        Stretches that share columns.
    side : (n,) int8 ndarray or None
        On which side of something each part lies, 1 or -1, 0 where that is not known; two parts known
        to lie on the same side are left out.

    Returns
    -------
    one, other : (q,) int64 ndarray
        Parts that share columns, in order of both.
    shared : (q,) int64 ndarray
        How many.
    """
    one, other = _all_with_all(first, pairs) if side is None else _unlike(first, pairs, side)
    shared = np.minimum(parts.end.take(one), parts.end.take(other))
    shared -= np.maximum(parts.begin.take(one), parts.begin.take(other))
    (kept,) = np.nonzero(shared > 0)
    return one.take(kept), other.take(kept), shared.take(kept)


def _unlike(first: Ints, pairs: Ints, side: npt.NDArray[np.int8]) -> tuple[Ints, Ints]:
    """Parts of the one stretch with parts of the other not known to be on the same side, in order."""
    counts = np.diff(first)
    here, there = (counts.take(some) for some in pairs)
    begin = first.take(pairs[0]), first.take(pairs[1])
    few = np.maximum(here, there) <= 2
    found = []
    # Nearly all are cut in two at most: no need to write all out before most are left out.
    for one, other, some in (
        (0, 0, few),
        (1, 0, few & (here == 2)),
        (0, 1, few & (there == 2)),
        (1, 1, (here == 2) & (there == 2)),
    ):
        (at,) = np.nonzero(some)
        found.append((begin[0].take(at) + one, begin[1].take(at) + other))
    found.append(_all_with_all(first, np.compress(~few, pairs, axis=1)))
    packed = []
    for one, other in found:
        (at,) = np.nonzero(side.take(one) * side.take(other) <= 0)
        packed.append(one.take(at) << HALF | other.take(at))
    both = np.concatenate(packed)
    both.sort()
    return both >> HALF, both & ((1 << HALF) - 1)


def _all_with_all(first: Ints, pairs: Ints) -> tuple[Ints, Ints]:
    """Every part of the one stretch with every part of the other, in order."""
    one, other = pairs
    counts = np.diff(first)
    here, there = counts.take(one), counts.take(other)
    each = np.repeat(first.take(other), here)
    wide = np.repeat(there, here)
    start = first.take(one)
    return np.repeat(_ranges(start, start + here), wide), _ranges(each, each + wide)

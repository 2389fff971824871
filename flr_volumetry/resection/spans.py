"""What one cut takes of a liver's rows, as stretches of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import read_only
from flr_volumetry.resection.cut import plane_terms
from flr_volumetry.resection.plan import Combine
from flr_volumetry.resection.rows import flat_rows

if TYPE_CHECKING:
    from flr_volumetry.images import Box
    from flr_volumetry.resection.plan import Plane, PlaneResection
    from flr_volumetry.resection.rows import LiverRows

FLAT = 1e-12
"""Share of the largest term below which a plane's slope along the rows is lost in rounding."""

Ints = npt.NDArray[np.int64]
Columns = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class RowSpan:
    """One stretch in each row of a liver, possibly empty.

    Parameters
    ----------
    low, high : (m,) int32 ndarray, read-only
        Its first column in each row, and the one after its last.
    goes : bool
        Whether that stretch goes, or all but it.
    """

    low: Columns = field(repr=False)
    high: Columns = field(repr=False)
    goes: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", read_only(self.low))
        object.__setattr__(self, "high", read_only(self.high))


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Any set of voxels, as the places where it begins and ends, by turns.

    Parameters
    ----------
    places : (2 n,) int64 ndarray, read-only
        In order, in the liver's bounding box laid out flat, columns fastest; stretches given as two
        that touch are kept as one.
    """

    places: Ints = field(repr=False)

    def __post_init__(self) -> None:
        ends, begins = self.places[1:-1:2], self.places[2::2]
        apart = np.ones(len(self.places), dtype=bool)
        # Where a stretch begins at the end of the one before, they are one.
        apart[1:-1:2] = apart[2::2] = ends != begins
        object.__setattr__(self, "places", read_only(self.places[apart]))


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Whole labels.

    Parameters
    ----------
    goes : (c,) bool ndarray, read-only
        Whether each combination of labels of the table goes.
    """

    goes: npt.NDArray[np.bool_] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "goes", read_only(self.goes))


Taking = RowSpan | Edges | Codes


def beyond_planes(cut: PlaneResection, rows: LiverRows) -> RowSpan:
    """Find what goes of each row beyond planes.

    Parameters
    ----------
    cut : PlaneResection
        One plane or several.
    rows : LiverRows
        The liver's.

    Returns
    -------
    RowSpan
        The same voxels as `flr_volumetry.resection.beyond` finds, to the last bit.

    Notes
    -----
    Beyond all of several planes lies one stretch of a row, and on this side of all of them another.
    """
    width = rows.grid.shape[0]
    every = cut.combine is Combine.ALL
    low = np.zeros(len(rows.rows), dtype=np.int32)
    high = np.full(len(rows.rows), width, dtype=np.int32)
    for plane in cut.planes:
        first, rising = _crossing(plane, rows)
        if rising is every:
            low = np.maximum(low, first)
        else:
            high = np.minimum(high, first)
    return RowSpan(low, high, goes=every)


def _crossing(plane: Plane, rows: LiverRows) -> tuple[Columns, bool]:
    """First column of each row on the far side of a plane, and whether that side lies beyond it."""
    along, across, limits = plane_terms(plane, rows.grid)
    width = len(along)
    step = float(along[1]) if width > 1 else 0.0
    rising = step >= 0
    offset = across[rows.rows[:, 0]]
    limit = limits[rows.rows[:, 1]]
    scale = max(float(np.abs(across).max()), float(np.abs(limits).max()), abs(step) * width)
    if abs(step) <= FLAT * scale:
        return _searched(along, offset, limit, rising=rising), rising
    # Within one column of the answer, so that the two comparisons below make it exact.
    column = np.floor(np.clip((limit - offset) / step, -1.0, width - 1.0)) + 1.0
    before = (offset + step * (column - 1.0) > limit) == rising
    here = (offset + step * column > limit) == rising
    column += ~here
    column -= before
    return np.clip(column, 0, width).astype(np.int32), rising


def _searched(
    along: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
    limit: npt.NDArray[np.float64],
    *,
    rising: bool,
) -> Columns:
    """Find the same by halving: along a row that a plane hardly slopes against, rounding decides."""
    width = len(along)
    first = np.where((offset + along[0] > limit) == rising, 0, width).astype(np.int32)
    last = (offset + along[-1] > limit) == rising
    (crossed,) = np.nonzero(last & (first > 0))
    offset, limit = offset[crossed], limit[crossed]
    low = np.zeros(len(crossed), dtype=np.int32)
    high = np.full(len(crossed), width - 1, dtype=np.int32)
    for _ in range(width.bit_length()):
        middle = (low + high) // 2
        far = (offset + along[middle] > limit) == rising
        high = np.where(far, middle, high)
        low = np.where(far, low, np.minimum(middle + 1, high))
    first[crossed] = high
    return first


def edges_of(box: Box, voxels: npt.NDArray[np.bool_], rows: LiverRows) -> Edges:
    """Write a set of voxels as the places where it begins and ends.

    Parameters
    ----------
    box : tuple of slice
        A box of the liver's grid, with explicit bounds.
    voxels : ndarray of bool
        Of the box's shape; what lies outside the liver's bounding box is left out.
    rows : LiverRows
        The liver's.

    Returns
    -------
    Edges
        For that table.
    """
    low = [max(b.start, r.start) for b, r in zip(box, rows.box, strict=True)]
    high = [min(b.stop, r.stop) for b, r in zip(box, rows.box, strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return Edges(np.zeros(0, dtype=np.int64))
    i, j, k = (slice(a - b.start, c - b.start) for a, b, c in zip(low, box, high, strict=True))
    flat = flat_rows(voxels, (i, j, k))
    found = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        found = np.concatenate([[0], found])
    row, column = np.divmod(found, i.stop - i.start + 1)
    slices, across = np.divmod(row, j.stop - j.start)
    at = [a - r.start for a, r in zip(low, rows.box, strict=True)]
    columns, height, _ = rows.grid.shape
    return Edges((((slices + at[2]) * height + across + at[1]) * columns) + column + at[0])

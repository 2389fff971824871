"""A liver's runs dealt out to the pieces of a plan, and counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import read_only
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.spans import Edges, RowSpan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.images import Box
    from flr_volumetry.resection.rows import LiverRows
    from flr_volumetry.resection.spans import Taking

Ints = npt.NDArray[np.int64]

DENSE_ROUNDS = 2
"""Most rows that a surface crosses have so many edges; further ones are looked for in few."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Stretches of a liver's rows, in any order.

    Parameters
    ----------
    row : (r,) int64 ndarray, read-only
        As an index into the table's rows.
    begin, end : (r,) int32 ndarray, read-only
        First column, and the one after the last.
    code : (r,) int64 ndarray, read-only
        Labels, as an index into the table's.
    """

    row: Ints = field(repr=False)
    begin: npt.NDArray[np.int32] = field(repr=False)
    end: npt.NDArray[np.int32] = field(repr=False)
    code: Ints = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("row", "begin", "end", "code"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def where(self, chosen: npt.NDArray[np.bool_]) -> Runs:
        """Return some of them."""
        return Runs(self.row[chosen], self.begin[chosen], self.end[chosen], self.code[chosen])


def count(rows: LiverRows, takings: Sequence[Taking]) -> Ints:
    """Count the voxels of each piece by their labels.

    Parameters
    ----------
    rows : LiverRows
        The liver.
    takings : sequence of Taking
        Each takes from what the ones before it left.

    Returns
    -------
    (1 + takings, codes) int64 ndarray
        The remnant first, then what each took; sums to the liver.
    """
    if len(takings) == 1 and isinstance(takings[0], RowSpan):
        return _count_span(rows, takings[0])
    if len(takings) == 1 and isinstance(takings[0], Edges):
        return _count_edges(rows, takings[0])
    return sums(share_out(rows, takings), rows)


def sums(pieces: Sequence[Runs], rows: LiverRows) -> Ints:
    """Count the voxels of each of some pieces by their labels.

    Parameters
    ----------
    pieces : sequence of Runs
        As `share_out` deals them out.
    rows : LiverRows
        The liver.

    Returns
    -------
    (pieces, codes) int64 ndarray
        In the same order.
    """
    return np.stack([_sums(p.end - p.begin, p.code, len(rows.labels)) for p in pieces])


def _count_span(rows: LiverRows, span: RowSpan) -> Ints:
    """Count without dividing a run: how much of it lies in the stretch."""
    first = np.maximum(rows.begin, span.low.take(rows.row))
    last = np.minimum(rows.end, span.high.take(rows.row))
    within = _sums(np.maximum(last - first, 0), rows.code, len(rows.labels))
    others = rows.counts - within
    return np.stack([others, within] if span.goes else [within, others])


def _count_edges(rows: LiverRows, edges: Edges) -> Ints:
    """Count without dividing a run: what lies beyond each edge of its row, by turns taken and left."""
    if not len(edges.places):
        return np.stack([rows.counts, np.zeros_like(rows.counts)])
    start = rows.row_places()
    first = np.searchsorted(edges.places, start, side="right")
    more = _in_row(edges, start, first, rows.grid.shape[0])
    length = rows.end - rows.begin
    taken = np.zeros_like(length)
    last = len(edges.places) - 1
    for nth in range(min(int(more.max()), DENSE_ROUNDS)):
        column = edges.places.take(np.minimum(first + nth, last)) - start
        column = np.where(more > nth, column, rows.grid.shape[0]).astype(np.int32)
        beyond = np.maximum(rows.end - np.maximum(rows.begin, column.take(rows.row)), 0)
        taken += beyond * (1 - 2 * (nth & 1))
    run = np.flatnonzero((more > DENSE_ROUNDS).take(rows.row))
    for nth in range(DENSE_ROUNDS, int(more.max())):
        run = run[more.take(rows.row.take(run)) > nth]
        row = rows.row.take(run)
        column = edges.places.take(first.take(row) + nth) - start.take(row)
        beyond = np.maximum(rows.end.take(run) - np.maximum(rows.begin.take(run), column), 0)
        taken[run] += beyond.astype(np.int32) * (1 - 2 * (nth & 1))
    # An odd number of edges before a row: it begins inside, and its first edge ends that.
    inside = (first & 1 == 1).take(rows.row)
    within = _sums(np.where(inside, length - taken, taken), rows.code, len(rows.labels))
    return np.stack([rows.counts - within, within])


def _in_row(edges: Edges, start: Ints, first: Ints, width: int) -> Ints:
    """How many edges there are from each row's first on, before the row ends."""
    after = np.append(first[1:], len(edges.places))
    # The next row of the liver may begin later than this one ends.
    apart = np.append(np.flatnonzero(start[1:] - start[:-1] != width), len(start) - 1)
    after[apart] = np.searchsorted(edges.places, start[apart] + width, side="left")
    return after - first


def _sums(lengths: npt.NDArray[np.signedinteger[Any]], code: Ints, codes: int) -> Ints:
    return np.bincount(code, weights=lengths, minlength=codes).astype(np.int64)


def share_out(rows: LiverRows, takings: Sequence[Taking]) -> list[Runs]:
    """Deal a liver's runs out to pieces, cutting those that a border crosses.

    Parameters
    ----------
    rows : LiverRows
        The liver.
    takings : sequence of Taking
        Each takes from what the ones before it left.

    Returns
    -------
    list of Runs
        The remnant first, then what each took.
    """
    left = Runs(rows.row, rows.begin, rows.end, rows.code)
    pieces = []
    for taking in takings:
        if isinstance(taking, RowSpan):
            left, goes = _cut_by_span(left, taking)
        elif isinstance(taking, Edges):
            left, goes = _cut_by_edges(left, taking, rows)
        else:
            goes = taking.goes[left.code]
        pieces.append(left.where(goes))
        left = left.where(~goes)
    return [left, *pieces]


def _cut_by_span(runs: Runs, span: RowSpan) -> tuple[Runs, npt.NDArray[np.bool_]]:
    for border in (span.low, span.high):
        at = border.take(runs.row)
        cut = np.flatnonzero((runs.begin < at) & (at < runs.end))
        end = runs.end.copy()
        end[cut] = at[cut]
        runs = Runs(
            np.concatenate([runs.row, runs.row[cut]]),
            np.concatenate([runs.begin, at[cut]]),
            np.concatenate([end, runs.end[cut]]),
            np.concatenate([runs.code, runs.code[cut]]),
        )
    inside = (runs.begin >= span.low.take(runs.row)) & (runs.end <= span.high.take(runs.row))
    return runs, inside == span.goes


def _cut_by_edges(runs: Runs, edges: Edges, rows: LiverRows) -> tuple[Runs, npt.NDArray[np.bool_]]:
    before = rows.row_places()[runs.row]
    first = np.searchsorted(edges.places, before + runs.begin, side="right")
    last = np.searchsorted(edges.places, before + runs.end, side="left")
    parts = last - first + 1
    run = np.repeat(np.arange(len(parts)), parts)
    nth = np.arange(len(run)) - np.repeat(np.cumsum(parts) - parts, parts)
    edge = first[run] + nth
    begin, end = runs.begin[run], runs.end[run]
    (later,) = np.nonzero(nth > 0)
    begin[later] = edges.places[edge[later] - 1] - before[run[later]]
    # Of two parts of one run the first ends where the second begins.
    end[later - 1] = begin[later]
    # An odd number of edges up to here: inside.
    return Runs(runs.row[run], begin, end, runs.code[run]), edge % 2 == 1


def paint(rows: LiverRows, pieces: Sequence[Runs], box: Box) -> npt.NDArray[np.uint8]:
    """Lay pieces out as a label map.

    Parameters
    ----------
    rows : LiverRows
        The liver.
    pieces : sequence of Runs
        As `share_out` deals them out.
    box : tuple of slice
        Which part of the table's grid, with explicit bounds.

    Returns
    -------
    ndarray of uint8
        Of the box: 0 outside the liver, 1 the remnant, and so on; columns fastest.
    """
    columns, height, depth = (side.stop - side.start for side in box)
    at = rows.rows - [box[1].start, box[2].start]
    there = ((at >= 0) & (at < [height, depth])).all(axis=1)
    before = (at[:, 0] + height * at[:, 1]) * columns
    begins, ends, labels = [], [], []
    for label, piece in enumerate(pieces, start=REMNANT):
        some = np.flatnonzero(there.take(piece.row))
        begin = (piece.begin[some].astype(np.int64) - box[0].start).clip(0, columns)
        end = (piece.end[some].astype(np.int64) - box[0].start).clip(0, columns)
        place = before.take(piece.row[some])
        begins.append(place + begin)
        ends.append(place + end)
        labels.append(np.full(len(some), label, dtype=np.uint8))
    begin, end, label_of = np.concatenate(begins), np.concatenate(ends), np.concatenate(labels)
    kept = np.flatnonzero(begin < end)
    order = kept[np.argsort(begin[kept], kind="stable")]
    # What lies between two runs, then a run, by turns; what follows the last is outside the liver.
    borders = np.zeros(2 * len(order) + 1, dtype=np.int64)
    borders[1::2], borders[2::2] = begin[order], end[order]
    values = np.zeros(len(borders), dtype=np.uint8)
    values[1::2] = label_of[order]
    flat = np.repeat(values, np.diff(borders, append=columns * height * depth))
    return flat.reshape((columns, height, depth), order="F")

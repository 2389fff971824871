"""A liver as a table of the runs of its rows: what a cut leaves is counted from it without a voxel array."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import LiverError
from flr_volumetry.images import bounding_box, read_only

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flr_volumetry.images import Box, Grid
    from flr_volumetry.liver import Liver

SEGMENT = "segment"
"""The layer of the Couinaud segments."""
LESIONS_A_BYTE = 8

Ints = npt.NDArray[np.int64]


def lesion_layer(number: int) -> str:
    """Return what the layer of a lesion is called."""
    return f"lesion {number}"


@dataclass(frozen=True, slots=True, eq=False)
class LiverRows:
    """A liver as runs: stretches of its rows, along the columns, in which every label stays the same.

    Made by `tabulate`. A row is one pair of row and slice index of the liver's bounding box that holds
    liver; runs are in the order in which the voxels lie in memory, columns fastest.

    Parameters
    ----------
    box : tuple of slice
        The liver's bounding box in the liver's grid.
    grid : Grid
        The grid of that box; all indices below are in it.
    rows : (m, 2) int64 ndarray, read-only
        Row and slice index of each row, in order.
    row : (r,) int64 ndarray, read-only
        In which row each run lies, as an index into `rows`.
    begin, end : (r,) int32 ndarray, read-only
        Its first column, and the one after its last.
    code : (r,) int64 ndarray, read-only
        Its labels, as an index into `labels`.
    layers : tuple of str
        What the labels are of: "segment", "lesion 1" and so on, and the names of the label maps given.
    labels : (c, layers) int64 ndarray, read-only
        One row for each combination of labels that occurs; a lesion's is 1 inside it and 0 outside.
    counts : (c,) int64 ndarray, read-only
        Voxels of each combination; their sum is the liver's.
    """

    box: Box
    grid: Grid
    rows: Ints = field(repr=False)
    row: Ints = field(repr=False)
    begin: npt.NDArray[np.int32] = field(repr=False)
    end: npt.NDArray[np.int32] = field(repr=False)
    code: Ints = field(repr=False)
    layers: tuple[str, ...]
    labels: Ints = field(repr=False)
    counts: Ints = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("rows", "row", "begin", "end", "code", "labels", "counts"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def layer(self, name: str) -> Ints:
        """Label of each combination in one layer.

        Parameters
        ----------
        name : str
            One of `layers`.

        Returns
        -------
        (c,) int64 ndarray
            In the order of `labels`.
        """
        return np.asarray(self.labels[:, self.layers.index(name)])

    def row_places(self) -> Ints:
        """Where the first column of each row stands in the box's array laid out flat, columns fastest."""
        columns, height, _ = self.grid.shape
        return np.asarray((self.rows[:, 0] + height * self.rows[:, 1]) * columns)


def tabulate(liver: Liver, maps: Mapping[str, npt.NDArray[Any]] | None = None) -> LiverRows:
    """Lay a liver out as runs of its rows.

    Parameters
    ----------
    liver : Liver
        With its lesions and segments as far as it has them; each becomes a layer.
    maps : mapping of str to ndarray of unsigned integers or bool, of the liver grid's shape, or None
        Further label maps, each a layer of that name.

    Returns
    -------
    LiverRows
        Of the voxels of the liver; labels outside it are not in the table.

    Raises
    ------
    LiverError
        If a map has another shape than the liver's grid, holds other than whole numbers from 0, or has
        the name of another layer.
    """
    box = bounding_box(liver.voxels)
    if box is None:
        raise LiverError("the liver mask is empty", reason="empty_liver")
    grid = liver.grid.crop(box)
    inside = flat_rows(liver.voxels, box)
    stacks = list(_stacks(liver, box, maps or {}))
    changes = inside[1:] != inside[:-1]
    for _, flat in stacks:
        changes |= flat[1:] != flat[:-1]
    begins = np.concatenate([[0], np.flatnonzero(changes) + 1])
    ends = np.concatenate([begins[1:], [inside.size]])
    kept = inside[begins]
    begins, ends = begins[kept], ends[kept]
    names, columns = _columns(stacks, begins)
    labels, code = _combinations(columns, len(begins))
    width = grid.shape[0] + 1
    filled, row = np.unique(begins // width, return_inverse=True)
    slices, rows = np.divmod(filled, grid.shape[1])
    first = begins % width
    return LiverRows(
        box=box,
        grid=grid,
        rows=np.stack([rows, slices], axis=1),
        row=row,
        begin=first.astype(np.int32),
        end=(first + ends - begins).astype(np.int32),
        code=code,
        layers=names,
        labels=labels,
        counts=np.bincount(code, weights=ends - begins, minlength=len(labels)).astype(np.int64),
    )


def flat_rows(array: npt.NDArray[Any], box: Box) -> npt.NDArray[Any]:
    """Lay a box of an array out flat, columns fastest, each row followed by one zero that ends its runs.

    Parameters
    ----------
    array : (i, j, k) ndarray
        Of any type.
    box : tuple of slice
        With explicit bounds.

    Returns
    -------
    (n,) ndarray
        A copy, one column wider than the box.
    """
    part = array[box].T
    padded = np.zeros((*part.shape[:2], part.shape[2] + 1), dtype=array.dtype)
    padded[:, :, :-1] = part
    return padded.ravel()


def _stacks(
    liver: Liver, box: Box, maps: Mapping[str, npt.NDArray[Any]]
) -> Iterator[tuple[tuple[str, ...], npt.NDArray[Any]]]:
    """Layers as flat arrays: one for a label map, one for up to eight lesions, a bit each."""
    known = {SEGMENT, *(lesion_layer(lesion.number) for lesion in liver.lesions)}
    if liver.segments is not None:
        yield (SEGMENT,), flat_rows(liver.segments, box)
    for start in range(0, len(liver.lesions), LESIONS_A_BYTE):
        some = liver.lesions[start : start + LESIONS_A_BYTE]
        bits = np.zeros(liver.grid.shape, dtype=np.uint8, order="F")
        for bit, lesion in enumerate(some):
            bits[lesion.box] |= lesion.voxels.astype(np.uint8) << bit
        yield tuple(lesion_layer(lesion.number) for lesion in some), flat_rows(bits, box)
    for name, labels in maps.items():
        if labels.shape != liver.grid.shape or labels.dtype.kind not in "ub":
            raise LiverError(
                f"label map {name!r} must be unsigned whole numbers of shape {liver.grid.shape}, "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        if name in known:
            raise LiverError(f"a label map may not be called {name!r}: the table has a layer of that name")
        yield (name,), flat_rows(labels, box)


def _columns(
    stacks: list[tuple[tuple[str, ...], npt.NDArray[Any]]], begins: Ints
) -> tuple[tuple[str, ...], list[Ints]]:
    names: list[str] = []
    columns: list[Ints] = []
    for layers, flat in stacks:
        values = flat[begins].astype(np.int64)
        if len(layers) == 1:
            columns.append(values)
        else:
            columns += [(values >> bit) & 1 for bit in range(len(layers))]
        names += layers
    return tuple(names), columns


def _combinations(columns: list[Ints], runs: int) -> tuple[Ints, Ints]:
    """Return the combinations of labels that occur, in order, and which of them each run has."""
    code = np.zeros(runs, dtype=np.int64)
    first = np.zeros(1, dtype=np.int64)
    for column in columns:
        # Numbered anew each time, so that the product cannot grow beyond 64 bits.
        pair = code * (int(column.max()) + 1) + column
        _, first, code = np.unique(pair, return_index=True, return_inverse=True)
    labels = [column[first] for column in columns]
    return np.stack(labels, axis=1) if labels else np.zeros((1, 0), dtype=np.int64), code

"""Label maps as arrays: whole numbers only, and quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import InputError
from flr_volumetry.io.dicom.pixels import read_pixels

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.io.scan import Found

MAX_LABEL: Final = np.iinfo(np.uint16).max
MAX_LABELS: Final = 512
"""A file with more different values than this holds measurements, not structures."""
CHUNK_WORDS: Final = 1 << 15
"""Fits the cache of one core."""
WORD: Final = np.dtype(np.uint64)


def label_array(item: Found) -> npt.NDArray[Any]:
    """Return the voxels of a label map, as uint8 or uint16 in Fortran order.

    Parameters
    ----------
    item : Found
        A readable image, DICOM or a file of voxels of one layer.

    Returns
    -------
    (column, row, slice) ndarray of uint8 or uint16
        Its values.

    Raises
    ------
    InputError
        If a value is not a whole number from 0 to 65535.
    """
    if item.stack is not None:
        return _as_labels(read_pixels(item.stack.frames).voxels, item.path)
    if item.voxels is None or item.voxels.layers != 1:
        raise _not_labels(item.path, "it is no volume of single values")
    header = item.voxels
    stored = header.stored()
    if not header.rescaled:
        return _as_labels(stored, item.path)
    values = np.empty(stored.shape, dtype=np.float64, order="F")
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(stored, header.slope, out=values)
        values += header.intercept
    return _as_labels(values, item.path)


def _not_labels(path: str, why: str) -> InputError:
    return InputError(
        f"{path} is not a label map or mask: {why}. Name a file whose voxels hold whole numbers, 0 outside.",
        reason="not_a_label_map",
    )


def _as_labels(values: npt.NDArray[Any], path: str) -> npt.NDArray[Any]:
    if values.dtype == np.uint8:
        return values
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= MAX_LABEL):
        raise _not_labels(path, f"its values run from {low} to {high}")
    kind = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    if values.dtype.kind in "iu":
        if values.dtype == np.int16 and kind is np.uint16:
            return values.view(np.uint16)
        return values.astype(kind, order="K", copy=False)
    labels = np.empty(values.shape, dtype=kind, order="F")
    for k in range(values.shape[2]):
        labels[..., k] = values[..., k]
        if not np.array_equal(labels[..., k], values[..., k]):
            raise _not_labels(path, "some of its values are no whole numbers")
    return labels


def count_labels(labels: npt.NDArray[Any]) -> dict[int, int]:
    """Return how many voxels carry each label other than 0.

    Parameters
    ----------
    labels : ndarray of uint8 or uint16
        A label map.

    Returns
    -------
    dict of int to int
        Voxels by label, in ascending order.
    """
    flat = labels.ravel(order="K")
    per_word = WORD.itemsize // flat.itemsize
    whole = len(flat) // per_word * per_word
    words = flat[:whole].view(WORD)
    counts = np.bincount(flat[whole:], minlength=int(np.iinfo(flat.dtype).max) + 1)
    # Most of a scan is outside: eight voxels are looked at as one number, and skipped if it is 0.
    for start in range(0, len(words), CHUNK_WORDS):
        chunk = words[start : start + CHUNK_WORDS]
        if chunk.any():
            counts += np.bincount(chunk[chunk != 0].view(flat.dtype), minlength=len(counts))
    return {int(label): int(counts[label]) for label in np.flatnonzero(counts) if label}


def require_labels(counts: dict[int, int], path: str) -> None:
    """Refuse a file with so many values that they are no labels.

    Parameters
    ----------
    counts : dict of int to int
        As `count_labels` gives them.
    path : str
        Its file.

    Raises
    ------
    InputError
        If there are more than `MAX_LABELS`.
    """
    if len(counts) > MAX_LABELS:
        raise _not_labels(path, f"it holds {len(counts)} different values")


def inside(labels: npt.NDArray[Any], chosen: list[int], counts: dict[int, int]) -> npt.NDArray[np.bool_]:
    """Return which voxels carry one of some labels; may take over the memory of `labels`.

    Parameters
    ----------
    labels : ndarray of uint8 or uint16
        A label map that is not used any more if every label in it is chosen.
    chosen : list of int
        Labels.
    counts : dict of int to int
        As `count_labels` gives them.

    Returns
    -------
    ndarray of bool
        Of the same shape and order.
    """
    flags: npt.NDArray[np.bool_]
    if set(counts) <= set(chosen):
        flags = labels.view(np.bool_) if labels.dtype == np.uint8 else np.empty_like(labels, dtype=np.bool_)
        if labels.dtype != np.uint8 or not set(counts) <= {1}:
            np.not_equal(labels, 0, out=flags)
        return flags
    if len(chosen) == 1:
        flags = labels == chosen[0]
        return flags
    table = np.zeros(int(np.iinfo(labels.dtype).max) + 1, dtype=np.bool_)
    table[[label for label in chosen if label < len(table)]] = True
    flags = table[labels]
    return flags

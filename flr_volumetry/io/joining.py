"""Several masks as one, and as one label map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import AmbiguousError, InputError
from flr_volumetry.images import LabelMap, Mask
from flr_volumetry.io.names import Meaning, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flr_volumetry.io.dicom.codes import Segment


def united(masks: Sequence[Mask]) -> Mask:
    """Return what lies in any of several masks of one grid.

    Parameters
    ----------
    masks : sequence of Mask
        On one grid, at least one.

    Returns
    -------
    Mask
        With the caveats of all.
    """
    voxels = masks[0].voxels.copy(order="K")
    for mask in masks[1:]:
        voxels |= mask.voxels
    caveats = tuple(dict.fromkeys(caveat for mask in masks for caveat in mask.caveats))
    name = " + ".join(mask.name for mask in masks)
    return Mask(masks[0].grid, voxels, name, masks[0].source, caveats)


def label_map_of(masks: Mapping[int, Mask]) -> LabelMap:
    """Return masks of one grid as one label map.

    Parameters
    ----------
    masks : mapping of int to Mask
        By label, at least one.

    Returns
    -------
    LabelMap
        Of uint8, or uint16 if a label is larger than 255.

    Raises
    ------
    InputError
        If masks overlap, or lie on several grids.
    """
    first = next(iter(masks.values()))
    kind = np.uint8 if max(masks) <= np.iinfo(np.uint8).max else np.uint16
    labels = np.zeros(first.grid.shape, kind, order="F")
    for label, mask in masks.items():
        if not mask.grid.matches(first.grid):
            raise InputError(
                f"{mask.name!r} and {first.name!r} lie on different grids; give the grid to put both on.",
                reason="several_grids",
            )
        taken = labels[mask.voxels]
        if taken.any():
            raise InputError(
                f"{mask.name!r} and {masks[int(taken.max())].name!r} share {int(np.count_nonzero(taken))} "
                "voxels, so they are no labels of one map. Correct them, or name those to use.",
                reason="overlapping_segments",
            )
        labels[mask.voxels] = label
    caveats = tuple(dict.fromkeys(caveat for mask in masks.values() for caveat in mask.caveats))
    return LabelMap(first.grid, labels, {n: mask.name for n, mask in masks.items()}, first.source, caveats)


def couinaud_numbers(segments: Iterable[Segment]) -> dict[int, list[int]]:
    """Return which segments of a file are which Couinaud segments.

    Parameters
    ----------
    segments : iterable of Segment
        As their file declares them.

    Returns
    -------
    dict of int to list of int
        Numbers in the file by Couinaud segment; two only where they are parts of it, 4a and 4b.

    Raises
    ------
    AmbiguousError
        If two segments are the same Couinaud segment.
    """
    found: dict[Meaning, int] = {}
    for segment in segments:
        try:
            meaning = meaning_of(segment)
        except AmbiguousError:
            continue
        if meaning is None or meaning.structure is not Structure.SEGMENTS or not meaning.number:
            continue
        if meaning in found:
            raise AmbiguousError(
                f"{segment.name!r} and another segment are both Couinaud segment {meaning.number}.",
                reason="ambiguous_name",
            )
        found[meaning] = segment.number
    made: dict[int, list[int]] = {}
    for meaning, number in found.items():
        if not meaning.part or Meaning(meaning.structure, meaning.number) not in found:
            made.setdefault(meaning.number, []).append(number)
    return made

"""What lies close to each lesion, whatever the plan: vessels and the borders of segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.resection import distance_to, lesion_surface
from flr_volumetry.resection.subvoxel import reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection import Patches

FAR_MM = 20.0
"""What is further from a lesion is not looked at: twice the margin above which all are as good (assumed)."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One structure beside a lesion.

    Parameters
    ----------
    structure : Structure or None
        A vessel; None for a segment.
    segment : int
        A Couinaud segment in which the lesion does not mainly lie; 0 for a vessel.
    mm : float or None
        From the lesion's surface to the vessel's, or to the border of the segment; 0 if they meet, None if
        further than 20 mm.
    """

    structure: Structure | None
    segment: int
    mm: float | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What lies close to one lesion.

    Parameters
    ----------
    lesion : int
        Its number.
    found : tuple of Neighbour
        Vessels first, then segments, in a fixed order; empty without vessels and segments.
    """

    lesion: int
    found: tuple[Neighbour, ...]


def neighbours(liver: Liver, *, surfaces: Mapping[int, Patches] | None = None) -> tuple[Neighbours, ...]:
    """Measure how far each lesion is from the vessels and from the borders of segments.

    Parameters
    ----------
    liver : Liver
        With masks of vessels and a segment map, as far as there are any.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, by number, as far as they are at hand (`lesion_surface`).

    Returns
    -------
    tuple of Neighbours
        In order of the lesions.

    Notes
    -----
    Distances run between smooth surfaces laid through the faces of the voxels, as margins do
    (`flr_volumetry.resection.distance_to`). The border of a segment is where its own voxels begin.
    """
    given = surfaces or {}
    found = []
    for lesion in liver.lesions:
        near = list(_candidates(liver, lesion))
        surface = given.get(lesion.number)
        if surface is None and any(voxels is not None for _, _, voxels in near):
            surface = lesion_surface(lesion, liver.grid)
        found.append(
            Neighbours(
                lesion.number,
                tuple(Neighbour(s, n, _apart_mm(liver, lesion, v, surface)) for s, n, v in near),
            )
        )
    return tuple(found)


def _candidates(
    liver: Liver, lesion: Lesion
) -> Iterator[tuple[Structure | None, int, npt.NDArray[np.bool_] | None]]:
    """Vessels and other segments; with their voxels where some lie in the box around the lesion."""
    box = reach(lesion, FAR_MM, liver.grid)
    for vessel in sorted(liver.vessels, key=lambda v: v.structure.value):
        if vessel.structure is not Structure.GALLBLADDER and vessel.voxels.any():
            yield vessel.structure, 0, vessel.voxels if vessel.voxels[box].any() else None
    if liver.segments is None:
        return
    inside = np.bincount(liver.segments[lesion.box][lesion.voxels], minlength=len(SEGMENTS) + 1)
    main = int(np.argmax(inside[1:])) + 1 if inside[1:].any() else 0
    there = np.bincount(liver.segments[box].ravel(), minlength=len(SEGMENTS) + 1)
    whole = np.bincount(liver.segments[liver.voxels], minlength=len(SEGMENTS) + 1)
    for n in SEGMENTS:
        if n != main and whole[n]:
            yield None, n, liver.segments == n if there[n] else None


def _apart_mm(
    liver: Liver, lesion: Lesion, voxels: npt.NDArray[np.bool_] | None, surface: Patches | None
) -> float | None:
    if voxels is None:
        return None
    gap = distance_to(lesion, voxels, liver.grid, surface=surface)
    return gap.mm if gap is not None and gap.mm <= FAR_MM else None

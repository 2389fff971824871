"""Margins from a liver's runs: only what lies around each lesion is laid out as voxels."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.resection.blades import blades_of
from flr_volumetry.resection.border import BLOCK, Other, looked_at_mm
from flr_volumetry.resection.margin import LesionMargin, margin_to, own_zones, stages_of, unbounded
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.subvoxel import reach, with_zones
from flr_volumetry.resection.tally import paint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flr_volumetry.images import Box
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection.blades import Blade
    from flr_volumetry.resection.partition import Piece
    from flr_volumetry.resection.plan import ResectionPlan
    from flr_volumetry.resection.quadrics import Patches
    from flr_volumetry.resection.rows import LiverRows
    from flr_volumetry.resection.tally import Runs


SPARE_STEPS = 6
"""More than a surface and its faces may lie apart, on both sides together, in the largest step."""


def margins_around(
    liver: Liver,
    lesions: Sequence[Lesion],
    rows: LiverRows,
    pieces: Sequence[Runs],
    made: tuple[ResectionPlan, Sequence[Piece]],
    surfaces: Mapping[int, Patches],
) -> dict[int, LesionMargin]:
    """Measure how far lesions lie from what stays.

    Parameters
    ----------
    liver : Liver
        The liver.
    lesions : sequence of Lesion
        Which of its lesions.
    rows : LiverRows
        Its table.
    pieces : sequence of Runs
        As `share_out` deals them out.
    made : tuple of ResectionPlan and sequence of Piece
        The plan, and its pieces as a partition has them.
    surfaces : mapping of int to Patches
        Surfaces of all lesions, by number.

    Returns
    -------
    dict of int to LesionMargin
        By the lesion's number, as `flr_volumetry.resection.margins` finds them.
    """
    plan, named = made
    stage_of, least = stages_of(named), own_zones(plan)
    given = with_zones(liver, plan, surfaces)
    blades = tuple(itertools.chain(*blades_of(plan, liver, given).values()))
    found = {}
    for lesion in lesions:
        near = _enough_mm(given[lesion.number], pieces[0], rows)
        for known_mm in (near, math.inf):
            other = _seen(lesion, known_mm, (liver, rows, pieces), blades)
            margin = margin_to(lesion, other, stage_of, given[lesion.number], least)
            if margin:
                break
        found[lesion.number] = margin or unbounded(lesion, other, stage_of)
    return found


def _enough_mm(surface: Patches, stays: Runs, rows: LiverRows) -> float:
    """How far around a lesion must be known for sure to tell its margin.

    The voxel that stays nearest to the middle of the lesion, and the point of the surface nearest to that,
    bound the distance.
    """
    if not len(stays.row):
        return math.inf
    affine = rows.grid.affine
    middle = surface.points_mm.mean(axis=0)
    at = rows.rows.take(stays.row, axis=0)
    away = [affine[n, 3] - middle[n] + affine[n, 1] * at[:, 0] + affine[n, 2] * at[:, 1] for n in range(3)]
    step = affine[:3, 0]
    along = sum(step[n] * away[n] for n in range(3)) / -float(step @ step)
    along = np.clip(np.rint(along), stays.begin, stays.end - 1)
    square = sum((away[n] + step[n] * along) ** 2 for n in range(3))
    first = int(np.argmin(square))
    voxel = middle + np.array([float(away[n][first]) + step[n] * along[first] for n in range(3)])
    grid = rows.grid
    return (
        float(surface.nearest_mm(voxel[None])[0][0]) + looked_at_mm(grid) + SPARE_STEPS * max(grid.spacing_mm)
    )


def _seen(
    lesion: Lesion,
    known_mm: float,
    held: tuple[Liver, LiverRows, Sequence[Runs]],
    blades: Sequence[Blade],
) -> Other:
    """Lay out what stays around a lesion."""
    liver, rows, pieces = held
    shape = liver.grid.shape
    labels, stays = np.zeros(shape, np.uint8, order="F"), np.zeros(shape, np.bool_, order="F")
    region = _in_blocks(reach(lesion, known_mm, liver.grid), shape)
    i, j, k = (
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(region, rows.box, strict=True)
    )
    if i.start < i.stop and j.start < j.stop and k.start < k.stop:
        x, y, z = (
            slice(a.start - b.start, a.stop - b.start) for a, b in zip((i, j, k), rows.box, strict=True)
        )
        labels[i, j, k] = paint(rows, pieces, (x, y, z))
        stays[i, j, k] = labels[i, j, k] == REMNANT
    return Other(stays, labels, liver.grid, blades, region, known_mm)


def _in_blocks(box: Box, shape: tuple[int, int, int]) -> Box:
    """Let a box begin and end where blocks do."""
    i, j, k = (
        slice(side.start // BLOCK * BLOCK, min(-(-side.stop // BLOCK) * BLOCK, n))
        for side, n in zip(box, shape, strict=True)
    )
    return i, j, k

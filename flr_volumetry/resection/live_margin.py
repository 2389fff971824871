"""Margins from a liver's runs: only what lies around each lesion is laid out as voxels."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.blades import blades_of
from flr_volumetry.resection.border import Other, looked_at_mm
from flr_volumetry.resection.margin import LesionMargin, margin_to, own_zones, stages_of
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.rows import lesion_layer
from flr_volumetry.resection.subvoxel import with_zones
from flr_volumetry.resection.tally import paint, sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flr_volumetry.images import Box
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection.partition import Piece
    from flr_volumetry.resection.plan import ResectionPlan
    from flr_volumetry.resection.quadrics import Patches
    from flr_volumetry.resection.rows import LiverRows
    from flr_volumetry.resection.tally import Runs


SPARE_STEPS = 9
"""More than all that a bound may be off by, in the largest step: voxels that stay have faces half a step
away, which count as close with 1.2 to spare; the patches of a lesion, one for several of its faces, stand for
faces up to 4 steps from their middles."""


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
    counts = sums(pieces, rows)
    found = {}
    for lesion in lesions:
        held = np.append([0], counts @ rows.layer(lesion_layer(lesion.number)))
        region = None if held[REMNANT] else _region(given[lesion.number], pieces[0], liver, rows)
        start, other = lesion.start, None
        if region:
            start = tuple(at - side.start for at, side in zip(lesion.start, region, strict=True))
            kinds = _painted(region, rows, pieces)
            other = Other(kinds == REMNANT, kinds, liver.grid.crop(region), blades)
        found[lesion.number] = margin_to(
            replace(lesion, start=start),
            held,
            other,
            stage_of,
            surface=given[lesion.number],
            least_mm=least.get(lesion.number, 0.0),
        )
    return found


def _region(surface: Patches, stays: Runs, liver: Liver, rows: LiverRows) -> Box | None:
    """Which part of the liver's grid must be known to tell a lesion's margin; None if nothing stays.

    The voxel that stays nearest to the middle of the lesion, and the point of the surface nearest to that,
    bound the distance; what stays, and is no further than that from the surface, lies in a ball.
    """
    if not len(stays.row):
        return None
    affine, middle = rows.grid.affine, surface.points_mm.mean(axis=0)
    at = rows.rows.take(stays.row, axis=0)
    away = [affine[n, 3] - middle[n] + affine[n, 1] * at[:, 0] + affine[n, 2] * at[:, 1] for n in range(3)]
    step = affine[:3, 0]
    length = float(np.linalg.norm(step))
    foot = sum(step[n] * away[n] for n in range(3)) / -(length**2)
    along = np.clip(np.rint(foot), stays.begin, stays.end - 1)
    square = sum((away[n] + step[n] * along) ** 2 for n in range(3))
    first = int(np.argmin(square))
    voxel = middle + np.array([float(away[n][first]) + step[n] * along[first] for n in range(3)])
    radius = float(np.linalg.norm(surface.points_mm - middle, axis=1).max())
    within = float(surface.nearest_mm(voxel[None])[0][0]) + radius + SPARE_STEPS * max(rows.grid.spacing_mm)
    (near,) = np.nonzero(square <= within**2)
    foot, at = foot.take(near), at.take(near, axis=0)
    beside = within**2 - sum((away[n].take(near) + step[n] * foot) ** 2 for n in range(3))
    half = np.sqrt(np.maximum(beside, 0)) / length
    low = [np.maximum(stays.begin.take(near), foot - half).min(), *at.min(axis=0)]
    high = [np.minimum(stays.end.take(near) - 1, foot + half).max(), *at.max(axis=0)]
    looks = np.ceil(looked_at_mm(liver.grid) * np.linalg.norm(np.linalg.inv(affine[:3, :3]), axis=1))
    i, j, k = (
        slice(max(int(a + s.start - look), 0), min(int(np.ceil(b + look)) + s.start + 1, n))
        for a, b, s, look, n in zip(low, high, rows.box, looks, liver.grid.shape, strict=True)
    )
    return i, j, k


def _painted(box: Box, rows: LiverRows, pieces: Sequence[Runs]) -> npt.NDArray[np.uint8]:
    """Lay out a box of the liver's grid; the table knows its own box."""
    within = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, rows.box, strict=True)]
    labels = np.zeros([side.stop - side.start for side in box], np.uint8, order="F")
    if all(side.start < side.stop for side in within):
        i, j, k = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(within, rows.box, strict=True))
        there = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(within, box, strict=True))
        labels[there] = paint(rows, pieces, (i, j, k))
    return labels

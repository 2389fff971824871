"""What a page needs while a cut moves: cuts worked out once, and a coarse picture of who gets what."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.resection.cut import taken_by
from flr_volumetry.resection.named import in_order
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.plan import ResectionPlan, Stage, SurfaceResection
from flr_volumetry.resection.spans import Edges, edges_of
from flr_volumetry.resection.tally import share_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flr_volumetry.images import Grid
    from flr_volumetry.resection.plan import Resection
    from flr_volumetry.resection.ready import ReadyLiver
    from flr_volumetry.resection.rows import LiverRows
    from flr_volumetry.resection.tally import Runs


def edges_taken(ready: ReadyLiver, cut: Resection) -> Edges:
    """Work out what a resection takes of a whole liver, to be used again and again.

    Parameters
    ----------
    ready : ReadyLiver
        The liver.
    cut : Resection
        Of any kind; for planes and segments it is not worth it.

    Returns
    -------
    Edges
        For `holding`.

    Raises
    ------
    PlanError
        If it names something that is not there, or a surface does not span the liver.
    """
    if isinstance(cut, SurfaceResection):
        return ready.beyond(cut)
    return edges_of(*taken_by(ready.liver, cut, cut.title, surfaces=ready.surfaces), ready.rows)


def holding(ready: ReadyLiver, known: Mapping[Resection, Edges]) -> ReadyLiver:
    """Return the same liver with some resections worked out already.

    Parameters
    ----------
    ready : ReadyLiver
        The liver; it stays as it is.
    known : mapping of Resection to Edges
        As `edges_taken` found them for this liver.

    Returns
    -------
    ReadyLiver
        Sharing all tables with the one given.
    """
    other = copy.copy(ready)
    object.__setattr__(other, "known", MappingProxyType({**ready.known, **known}))
    return other


def preview(ready: ReadyLiver, plan: ResectionPlan | Sequence[Resection], step: int) -> npt.NDArray[np.uint8]:
    """Lay out every so many-th voxel of a liver by the pieces of a plan.

    Parameters
    ----------
    ready : ReadyLiver
        The liver.
    plan : ResectionPlan or sequence of Resection
        As for `ReadyLiver.volumes`.
    step : int
        In voxels, along each axis of the liver's bounding box, from its first voxel on.

    Returns
    -------
    ndarray of uint8
        0 outside the liver, 1 the remnant, then one number for each resection: at each place what
        `flr_volumetry.resection.resect` gives that voxel.

    Raises
    ------
    PlanError
        As for `ReadyLiver.volumes`, or if the step is not a whole number from 1.
    """
    if step < 1:
        raise PlanError(f"a preview needs a step of at least one voxel, got {step}")
    whole = plan if isinstance(plan, ResectionPlan) else ResectionPlan((Stage("live", tuple(plan)),))
    rows, takings = ready.takings(list(in_order(whole)))
    chosen = (rows.rows % step == 0).all(axis=1).take(rows.row)
    some = replace(
        rows, row=rows.row[chosen], begin=rows.begin[chosen], end=rows.end[chosen], code=rows.code[chosen]
    )
    return _sampled(rows, share_out(some, takings), step)


def whole(ready: ReadyLiver, step: int) -> npt.NDArray[np.uint8]:
    """Lay out every so many-th voxel of a liver of which nothing is cut.

    Parameters
    ----------
    ready : ReadyLiver
        The liver.
    step : int
        As for `preview`.

    Returns
    -------
    ndarray of uint8
        1 in the liver, 0 outside.
    """
    return _sampled(ready.rows, share_out(ready.rows, []), step)


def preview_grid(ready: ReadyLiver, step: int) -> Grid:
    """Return the grid of a preview.

    Parameters
    ----------
    ready : ReadyLiver
        The liver.
    step : int
        As for `preview`.

    Returns
    -------
    Grid
        Its voxel centres are those of every so many-th voxel.
    """
    from flr_volumetry.images import Grid

    grid = ready.rows.grid
    affine = np.array(grid.affine)
    affine[:3, :3] *= step
    i, j, k = (-(-n // step) for n in grid.shape)
    return Grid((i, j, k), affine, grid.frame_of_reference_uid)


def _sampled(rows: LiverRows, pieces: Sequence[Runs], step: int) -> npt.NDArray[np.uint8]:
    columns, height, depth = (-(-n // step) for n in rows.grid.shape)
    chosen = (rows.rows % step == 0).all(axis=1)
    before = (rows.rows[:, 0] // step + height * (rows.rows[:, 1] // step)) * columns
    # One more place, where the last run may end.
    change = np.zeros(columns * height * depth + 1, dtype=np.int16)
    for label, piece in enumerate(pieces, start=REMNANT):
        some = np.flatnonzero(chosen.take(piece.row))
        place = before.take(piece.row[some])
        begin = place - (-piece.begin[some].astype(np.int64) // step)
        end = place - (-piece.end[some].astype(np.int64) // step)
        size = len(change)
        change += (label * np.bincount(begin, minlength=size)).astype(np.int16)
        change -= (label * np.bincount(end, minlength=size)).astype(np.int16)
    flat = np.cumsum(change[:-1], dtype=np.int16).astype(np.uint8)
    return flat.reshape((columns, height, depth), order="F")

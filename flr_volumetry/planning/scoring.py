"""Scores of many plans at once, from sums over atoms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.planning.values import ENOUGH_MM

if TYPE_CHECKING:
    from flr_volumetry.planning.arrangement import Arrangement

MARGIN_STEP_MM = 0.5

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of n plans.

    Parameters
    ----------
    flr_ml : (n,) float64 ndarray
        Functional remnant, exact to the voxel, mL.
    margin_mm : (n, lesions) float64 ndarray
        Of each lesion, voxel centre to voxel centre, at most 25 mm; 0 where part of it stays.
    congested_ml : (n,) float64 ndarray
        Remnant whose hepatic-vein branch is cut anywhere on its way, mL.
    cut_cm2 : (n,) float64 ndarray
        Area between what stays and what goes, from voxel faces.
    """

    flr_ml: Floats = field(repr=False)
    margin_mm: Floats = field(repr=False)
    congested_ml: Floats = field(repr=False)
    cut_cm2: Floats = field(repr=False)


def score(atoms: Arrangement, takes: Bools) -> Scores:
    """Score plans by the atoms that they take.

    Parameters
    ----------
    atoms : Arrangement
        Of the liver.
    takes : (n, a) ndarray of bool
        One row a plan.

    Returns
    -------
    Scores
        In the order of the rows.
    """
    stays = ~takes
    weight = stays.astype(np.float64)
    first, second = atoms.borders.T
    cut = (stays[:, first] != stays[:, second]).astype(np.float64) @ atoms.border_mm2
    return Scores(
        flr_ml=weight @ atoms.working * atoms.voxel_ml,
        margin_mm=centre_margins_mm(atoms, takes),
        congested_ml=_congested(atoms, takes, weight) * atoms.voxel_ml,
        cut_cm2=cut / 100,
    )


def centre_margins_mm(atoms: Arrangement, takes: Bools) -> Floats:
    """Return the margins that plans leave, voxel centre to voxel centre.

    Parameters
    ----------
    atoms : Arrangement
        Of the liver.
    takes : (n, a) ndarray of bool
        Which atoms each plan takes.

    Returns
    -------
    (n, lesions) float64 ndarray
        Millimetres, at most 25; 0 where part of the lesion stays.
    """
    stays = ~takes
    remains = stays.astype(np.float32) @ atoms.lesion_atoms.T.astype(np.float32) > 0
    apart = np.empty(remains.shape)
    for at, distance in enumerate(atoms.distance_mm):
        apart[:, at] = np.where(stays, distance, np.inf).min(axis=1)
    return np.where(remains, 0.0, apart)


def _congested(atoms: Arrangement, takes: Bools, weight: Floats) -> Floats:
    gone = takes.astype(np.float32) @ atoms.on_way.astype(np.float32) > 0
    return np.asarray((weight @ atoms.drained * gone).sum(axis=1))


def criteria(
    working_ml: Floats, drained_ml: Floats, margin_mm: Floats, cut_cm2: Floats, procedures: Ints
) -> Floats:
    """Return what plans are compared by, so that more is better in every column.

    Parameters
    ----------
    working_ml, drained_ml, margin_mm, cut_cm2 : (n,) float64 ndarray
        Of each plan: the working remnant and the part of it that keeps its venous outflow, in whole mL;
        the smallest margin of its lesions, counted up to 10 mm in steps of 0.5 mm; the cut in whole
        cm2. Smaller differences are within the error of any scan, and no reason to prefer a plan.
        Congestion counts by what it leaves: taking congested liver out is no gain.
    procedures : (n,) int64 ndarray
        Of each plan.

    Returns
    -------
    (n, 5) float64 ndarray
        One row a plan.
    """
    margin = np.round(np.minimum(margin_mm, ENOUGH_MM) / MARGIN_STEP_MM) * MARGIN_STEP_MM
    columns = [np.round(working_ml), np.round(drained_ml), margin, -np.round(cut_cm2), -procedures]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def pareto(rows: Floats) -> Ints:
    """Find the rows that no other row beats: at least as good in every column and better in one.

    Parameters
    ----------
    rows : (n, c) float64 ndarray
        More is better; equal rows all stay.

    Returns
    -------
    (m,) int64 ndarray
        Their numbers, in order.

    Examples
    --------
    >>> pareto(np.array([[3.0, 1.0], [2.0, 2.0], [2.0, 1.0]])).tolist()
    [0, 1]
    """
    # In descending order a row can be beaten only by one before it.
    order = np.lexsort(rows.T[::-1])[::-1]
    front: list[int] = []
    kept = np.empty((0, rows.shape[1]))
    for number in order:
        row = rows[number]
        beaten = (kept >= row).all(axis=1) & (kept > row).any(axis=1)
        if not beaten.any():
            front.append(int(number))
            kept = rows[front]
    return np.array(sorted(front), dtype=np.int64)


def front_of_each(rows: Floats, kind: Ints) -> Ints:
    """Find the rows that no other row of their kind beats.

    Parameters
    ----------
    rows : (n, c) float64 ndarray
        More is better.
    kind : (n,) int64 ndarray
        Of each.

    Returns
    -------
    (m,) int64 ndarray
        Their numbers, in order.

    Notes
    -----
    What speaks for an anatomical resection (access, bile, satellites of a tumour) is not among the columns,
    so that wedges would beat nearly all of them.
    """
    found = [
        of_kind[pareto(rows[of_kind])] for of_kind in (np.flatnonzero(kind == k) for k in np.unique(kind))
    ]
    return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

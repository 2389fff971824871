"""Which part of a remnant has lost its inflow or outflow, because the plan cuts the branch it hangs on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import SEGMENTS
from flr_volumetry.images import read_only
from flr_volumetry.resection.partition import REMNANT

if TYPE_CHECKING:
    from flr_volumetry.anatomy import Structure
    from flr_volumetry.liver import Branch, Liver, Territories
    from flr_volumetry.resection import Partition

Voxels = npt.NDArray[np.bool_]
TINY_MM = 1e-9
TRUNK = "1"
"""Path of the root of a vessel's largest tree."""


@dataclass(frozen=True, slots=True, eq=False)
class CutOff:
    """The part of a remnant that a plan cuts off from one vessel.

    Parameters
    ----------
    structure : Structure
        The vessel: the portal vein, whose loss devascularises, or the hepatic veins, whose loss congests.
    branches : tuple of str
        Paths of the branches that are cut in the remnant's territories, the first cut on each way from
        the root.
    voxels : (i, j, k) ndarray of bool, read-only
        The part, on the liver's grid, lesions left out.
    ml : float
        Its volume, mL.
    segments : tuple of (int, float)
        The same by Couinaud segment, mL, where a map is given; 0 stands for no segment.
    opened : tuple of str
        Paths of the branches that the cut only opens at the side: their centreline lies beyond it, nowhere
        by more than the vessel's radius. They are taken to be spared.
    most_ml : float or None
        The volume if none of those is spared, mL; None for the same as `ml`.
    """

    structure: Structure
    branches: tuple[str, ...]
    voxels: Voxels = field(repr=False)
    ml: float
    segments: tuple[tuple[int, float], ...]
    opened: tuple[str, ...] = ()
    most_ml: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxels", read_only(self.voxels))


def cut_off(liver: Liver, partition: Partition, structure: Structure) -> CutOff | None:
    """Find what stays but hangs on a branch that the plan cuts.

    Parameters
    ----------
    liver : Liver
        With the vessel's territories, if they are known.
    partition : Partition
        Of that liver.
    structure : Structure
        The vessel.

    Returns
    -------
    CutOff or None
        None if the vessel's territories are not known, or if the plan takes the vessel's trunk itself, so
        that nothing can be said (`trunk_is_cut` tells).

    Notes
    -----
    A branch is cut where its centreline, followed from the root, lies in tissue that goes, and all liver
    beside it there, within its radius, goes too; all that comes from it further on is cut off with it. Of
    a branch cut half-way, the voxels whose nearest point of the centreline lies before the cut keep it. A
    branch that the cut runs along, as along the middle hepatic vein in a hemihepatectomy, is opened at the
    side and taken to be spared (ASSUMED); what is cut off if it is not is told beside. Collaterals are not
    known and not counted (geometric hint; the accounting is that of Lang et al., Arch Surg 2005, ASSUMED).
    """
    territories = liver.territories_of(structure)
    if territories is None or trunk_is_cut(liver, partition, structure):
        return None
    touched, through = (_first_cuts(territories, partition, whole=whole) for whole in (False, True))
    alive = _working_remnant(liver, partition)
    lost = _hanging_on(through, territories, partition) & alive
    most_ml = None
    if touched != through:
        most = _hanging_on(touched, territories, partition) & alive
        most_ml = int(np.count_nonzero(most)) * liver.grid.voxel_ml
    return CutOff(
        structure,
        tuple(b.path for b in territories.branches if b.number in through and b.parent not in through),
        lost,
        int(np.count_nonzero(lost)) * liver.grid.voxel_ml,
        _by_segment(liver, lost),
        tuple(
            b.path
            for b in territories.branches
            if b.parent not in touched and touched.get(b.number) != through.get(b.number)
        ),
        most_ml,
    )


def trunk_is_cut(liver: Liver, partition: Partition, structure: Structure) -> bool:
    """Tell whether a plan takes a vessel's trunk, before its first fork.

    Parameters
    ----------
    liver : Liver
        With the vessel's territories, if they are known.
    partition : Partition
        Of that liver.
    structure : Structure
        The vessel.

    Returns
    -------
    bool
        False if the territories are not known.

    Notes
    -----
    The trunk is the root of the largest tree. A tree without a fork has no trunk apart from its branch.
    """
    territories = liver.territories_of(structure)
    if territories is None:
        return False
    forks = {b.parent for b in territories.branches}
    return any(
        b.path == TRUNK and b.number in forks and _cut_at(b, partition, whole=True) is not None
        for b in territories.branches
    )


def _first_cuts(territories: Territories, partition: Partition, *, whole: bool) -> dict[int, int]:
    """For each branch that is cut: from which of its points on; 0 where all of it is cut off.

    Where the whole vessel, and not only its middle, has to lie in what goes, a touch does not count.
    """
    first: dict[int, int] = {}
    for branch in sorted(territories.branches, key=lambda b: b.order):
        at = 0 if branch.parent in first else _cut_at(branch, partition, whole=whole)
        if at is not None:
            first[branch.number] = at
    return first


def _cut_at(branch: Branch, partition: Partition, *, whole: bool) -> int | None:
    grid = partition.grid
    index = np.rint(grid.indices_at(branch.points_mm)).astype(np.int64)
    inside = np.all((index >= 0) & (index < grid.shape), axis=1)
    labels = np.zeros(len(index), dtype=np.uint8)
    labels[inside] = partition.labels[tuple(index[inside].T)]
    goes = labels > REMNANT
    # Where the centreline enters what goes, each stretch of it, and the first point behind that.
    begins = np.flatnonzero(goes & ~np.append(False, goes[:-1]))
    ends = np.flatnonzero(goes & ~np.append(goes[1:], False)) + 1
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if not whole or any(_surrounded(branch, at, partition) for at in range(begin, end)):
            return int(begin)
    return None


def _surrounded(branch: Branch, at: int, partition: Partition) -> bool:
    """Whether all liver beside a point of a vessel's centreline, within its radius and half a voxel, goes."""
    grid, point, radius = partition.grid, branch.points_mm[at], float(branch.radius_mm[at])
    step = max(grid.spacing_mm)
    reach = np.hypot(radius + step / 2, step) * np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    middle = grid.indices_at(point[None])[0]
    low = np.maximum(np.ceil(middle - reach).astype(int), 0)
    high = np.minimum(np.floor(middle + reach).astype(int) + 1, grid.shape)
    i, j, k = (slice(a, max(a, b)) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    beside = np.argwhere(partition.labels[i, j, k])
    stays = partition.labels[i, j, k][tuple(beside.T)] == REMNANT
    apart = grid.centres_mm(beside + low) - point
    way = branch.points_mm[min(at + 1, len(branch.points_mm) - 1)] - branch.points_mm[max(at - 1, 0)]
    along = apart @ (way / max(float(np.linalg.norm(way)), TINY_MM))
    aside = (apart**2).sum(axis=1) - along**2
    near = (np.abs(along) <= step) & (aside <= (radius + step / 2) ** 2)
    return bool(near.any()) and not bool(stays[near].any())


def _hanging_on(first: dict[int, int], territories: Territories, partition: Partition) -> Voxels:
    """Everything that hangs on the branches behind the points where they are cut."""
    gone = np.zeros(len(territories.branches) + 1, dtype=bool)
    gone[[number for number, at in first.items() if at == 0]] = True
    lost = gone[territories.labels]
    _behind_the_cuts(first, territories, partition, lost)
    return lost


def _behind_the_cuts(
    first: dict[int, int], territories: Territories, partition: Partition, lost: Voxels
) -> None:
    """Add what hangs on a branch behind the point where it is cut half-way."""
    from scipy.spatial import cKDTree

    halved = np.zeros(len(territories.branches) + 1, dtype=bool)
    halved[[number for number, at in first.items() if at > 0]] = True
    if not halved.any():
        return
    # Searched once for all branches, in the order in which livers lie in memory.
    labels = territories.labels.ravel(order="F")
    mine = np.flatnonzero(halved[labels] & (partition.labels.ravel(order="F") == REMNANT))
    number = labels[mine]
    index = np.stack(np.unravel_index(mine, partition.grid.shape, order="F"), axis=1)
    for branch in np.unique(number).tolist():
        own = index[number == branch]
        _, nearest = cKDTree(territories.branches[branch - 1].points_mm).query(partition.grid.centres_mm(own))
        lost[tuple(own[nearest >= first[branch]].T)] = True


def _working_remnant(liver: Liver, partition: Partition) -> Voxels:
    alive = partition.labels == REMNANT
    for lesion in liver.lesions:
        alive[lesion.box] &= ~lesion.voxels
    return np.asarray(alive)


def _by_segment(liver: Liver, voxels: Voxels) -> tuple[tuple[int, float], ...]:
    if liver.segments is None:
        return ()
    counts = np.bincount(liver.segments[voxels], minlength=len(SEGMENTS) + 1)
    return tuple((n, int(counts[n]) * liver.grid.voxel_ml) for n in (*SEGMENTS, 0) if counts[n])

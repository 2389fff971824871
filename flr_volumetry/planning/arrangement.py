"""A liver as atoms: pieces that every plan of a search takes whole or leaves whole.

Voxels that share segment, territory, lesion and zones around lesions form one atom. What a plan leaves
then follows from sums over a few hundred atoms rather than millions of voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import Structure
from flr_volumetry.resection.cut import taken_by
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.subvoxel import reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.images import Box, Grid
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection import Partition, Resection

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FURTHEST_MM = 25.0
"""Distances beyond this are all as good: margins are compared up to 10 mm."""
ALL_WAYS = 2 / 3
"""True area of a surface over that of its voxel faces, mean over all directions (Cauchy's formula)."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """The atoms of a liver.

    Made by `arrange`.

    Parameters
    ----------
    voxel_ml : float
        Volume of one voxel, mL.
    voxels, working : (a,) int64 ndarray, read-only
        Voxels of each atom, and those of them that are in no lesion.
    segment, territory : (a,) int64 ndarray, read-only
        Couinaud segment and number of the nearest portal branch; 0 where there is none.
    zones : (z, a) ndarray of bool, read-only
        Which atoms each local resection takes, in the order in which `arrange` was given them.
    lesion_atoms : (n, a) ndarray of bool, read-only
        Which atoms belong to each lesion.
    distance_mm : (n, a) float64 ndarray, read-only
        From each lesion to each atom, voxel centre to voxel centre, at most 25 mm.
    borders : (p, 2) int64 ndarray, read-only
        Pairs of atoms that border on each other.
    border_mm2 : (p,) float64 ndarray, read-only
        Area between them, estimated from voxel faces.
    drained : (a, b) int64 ndarray, read-only
        Working voxels of each atom by the hepatic-vein branch nearest to them; no columns without branches.
    on_way : (a, b) ndarray of bool, read-only
        Which atoms the blood of each hepatic-vein branch passes, on the branch and on those it runs into.
    """

    voxel_ml: float
    voxels: Ints = field(repr=False)
    working: Ints = field(repr=False)
    segment: Ints = field(repr=False)
    territory: Ints = field(repr=False)
    zones: Bools = field(repr=False)
    lesion_atoms: Bools = field(repr=False)
    distance_mm: Floats = field(repr=False)
    borders: Ints = field(repr=False)
    border_mm2: Floats = field(repr=False)
    drained: Ints = field(repr=False)
    on_way: Bools = field(repr=False)

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)


def arrange(liver: Liver, local: Sequence[Resection]) -> Arrangement:
    """Divide a liver into the atoms of a search.

    Parameters
    ----------
    liver : Liver
        With segments and territories as far as they are known.
    local : sequence of Resection
        Wedges and ablations that the search may use.

    Returns
    -------
    Arrangement
        Of all liver voxels, each in exactly one atom.
    """
    inside = liver.voxels
    code = np.zeros(int(np.count_nonzero(inside)), dtype=np.int64)
    keys: list[Ints] = []
    portal = liver.territories_of(Structure.PORTAL_VEIN)
    layers: list[npt.NDArray[np.generic]] = [
        liver.segments[inside] if liver.segments is not None else np.zeros(len(code), np.uint8),
        portal.labels[inside] if portal is not None else np.zeros(len(code), np.uint8),
    ]
    layers += [_whole(_lesion_voxels(lesion, liver), liver)[inside] for lesion in liver.lesions]
    layers += [_whole(taken_by(liver, cut, cut.title), liver)[inside] for cut in local]
    for layer in layers:
        code, keys = _refined(code, keys, layer.astype(np.int64))
    n, atoms = len(keys[0]), np.full(liver.grid.shape, -1, dtype=np.int64)
    atoms[inside] = code
    is_lesion = np.array([keys[2 + i] > 0 for i in range(len(liver.lesions))]).reshape(-1, n)
    voxels = np.bincount(code, minlength=n)
    borders, area = _borders(atoms, liver.grid, n)
    drained, on_way = _veins(liver, atoms, np.asarray(is_lesion.any(axis=0)), n)
    return Arrangement(
        liver.grid.voxel_ml,
        voxels,
        np.where(is_lesion.any(axis=0), 0, voxels),
        keys[0],
        keys[1],
        np.array([key > 0 for key in keys[2 + len(liver.lesions) :]]).reshape(-1, n),
        is_lesion,
        np.array([_distances(lesion, atoms, liver.grid, n) for lesion in liver.lesions]).reshape(-1, n),
        borders,
        area,
        drained,
        on_way,
    )


def _refined(code: Ints, keys: list[Ints], layer: Ints) -> tuple[Ints, list[Ints]]:
    """Split the atoms by one more layer; keys hold each layer's value for each atom."""
    width = int(layer.max(initial=0)) + 1
    joint = code * width + layer
    present = np.flatnonzero(np.bincount(joint))
    place = np.zeros(int(present[-1]) + 1, dtype=np.int64)
    place[present] = np.arange(len(present))
    return place[joint], [*(key[present // width] for key in keys), present % width]


def _lesion_voxels(lesion: Lesion, liver: Liver) -> tuple[Box, Bools]:
    return lesion.box, lesion.voxels & liver.voxels[lesion.box]


def _whole(part: tuple[Box, Bools], liver: Liver) -> Bools:
    box, voxels = part
    whole = np.zeros(liver.grid.shape, dtype=bool)
    whole[box] = voxels
    return whole


def _borders(atoms: Ints, grid: Grid, n: int) -> tuple[Ints, Floats]:
    """Pairs of atoms that share voxel faces, and the area between them."""
    steps = grid.affine[:3, :3]
    found: dict[int, float] = {}
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        face = float(np.linalg.norm(np.cross(steps[:, others[0]], steps[:, others[1]])))
        before = np.moveaxis(atoms, axis, 0)[:-1]
        after = np.moveaxis(atoms, axis, 0)[1:]
        met = (before != after) & (before >= 0) & (after >= 0)
        low, high = np.minimum(before[met], after[met]), np.maximum(before[met], after[met])
        pair, count = np.unique(low * n + high, return_counts=True)
        for p, c in zip(pair.tolist(), count.tolist(), strict=True):
            found[p] = found.get(p, 0.0) + ALL_WAYS * face * c
    pairs = np.array(sorted(found), dtype=np.int64)
    # A liver of one atom has no borders.
    return np.stack([pairs // n, pairs % n], axis=1), np.array([found[p] for p in pairs.tolist()])


def cut_area_cm2(partition: Partition) -> float:
    """Estimate the area between what stays and what goes.

    Parameters
    ----------
    partition : Partition
        Of a liver.

    Returns
    -------
    float
        From voxel faces, corrected for a surface that faces all ways alike, cm2.
    """
    labels = np.where(partition.labels == 0, -1, (partition.labels > REMNANT).astype(np.int64))
    _, area_mm2 = _borders(labels, partition.grid, 2)
    return float(area_mm2.sum()) / 100


def _distances(lesion: Lesion, atoms: Ints, grid: Grid, n: int) -> Floats:
    """Distance of a lesion to each atom, centre to centre, as far as it is below `FURTHEST_MM`."""
    box = reach(lesion, FURTHEST_MM, grid)
    near = atoms[box]
    mine = np.zeros(near.shape, dtype=bool, order="F")
    mine[tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(lesion.box, box, strict=True))] = (
        lesion.voxels
    )
    if grid.is_orthogonal:
        import edt

        field_mm = edt.edt(~mine, anisotropy=grid.spacing_mm, black_border=False)
        inside = near >= 0
        at, apart = near[inside], field_mm[inside]
    else:
        from scipy.spatial import cKDTree

        # The distance transform of a sheared lattice is not separable along its axes.
        index = np.argwhere(near >= 0)
        at = near[tuple(index.T)]
        apart = cKDTree(grid.centres_mm(np.argwhere(mine))).query(grid.centres_mm(index))[0]
    nearest = np.full(n, FURTHEST_MM)
    np.minimum.at(nearest, at, apart)
    return nearest


def _veins(liver: Liver, atoms: Ints, is_lesion: Bools, n: int) -> tuple[Ints, Bools]:
    veins = liver.territories_of(Structure.HEPATIC_VEINS)
    if veins is None:
        return np.zeros((n, 0), dtype=np.int64), np.zeros((n, 0), dtype=bool)
    branches = len(veins.branches)
    inside = atoms >= 0
    drained = np.bincount(
        atoms[inside] * (branches + 1) + veins.labels[inside], minlength=n * (branches + 1)
    ).reshape(n, branches + 1)[:, 1:]
    drained[is_lesion] = 0
    passed = np.zeros((n, branches), dtype=bool)
    for at, branch in enumerate(veins.branches):
        index = np.rint(liver.grid.indices_at(branch.points_mm)).astype(np.int64)
        within = np.all((index >= 0) & (index < liver.grid.shape), axis=1)
        there = atoms[tuple(index[within].T)]
        passed[there[there >= 0], at] = True
    on_way = passed.copy()
    for at, branch in enumerate(veins.branches):
        parent = branch.parent
        while parent:
            on_way[:, at] |= passed[:, parent - 1]
            parent = veins.branches[parent - 1].parent
    return drained, on_way

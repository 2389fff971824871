"""Landmarks found in masks and in named vessel branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.territories.geometry import Points, distance_to_liver_mm, rim, wide_parts
from flr_volumetry.territories.landmarks import VEINS, Landmark, Landmarks
from flr_volumetry.territories.naming import VEIN_COMMON

if TYPE_CHECKING:
    from flr_volumetry.liver import Branch, Liver, Territories

CAVA_CORE_MM = 7.5
"""Voxels with so much vessel all around lie in the vena cava; hepatic veins are thinner (assumed)."""
CAVA_NEAR_MM = 25.0
"""The centre line of the vena cava counts where the liver is so near (assumed)."""
SLAB_MM = 5.0
BED_MM = 4.0
"""The gallbladder's bed is the liver surface no further from it than the nearest point and this (assumed)."""
BED_PARTS = 3
UMBILICAL_RADIUS_MM = 3.0
"""The umbilical portion of the left portal vein ends where it is nowhere so wide any more (assumed)."""
MEDIAL_SHARE = 0.1
"""A branch to the right with this share of the left liver is one of segment IV (assumed)."""
ARM_SHARE = 0.15
"""An arm of the common trunk of two hepatic veins drains this share of what the trunk does (assumed)."""
FORK_SHARE = 0.5
"""A branch with this share of the right portal vein's radius makes its main fork (assumed)."""

Bool = npt.NDArray[np.bool_]


def find_landmarks(liver: Liver) -> Landmarks:
    """Find landmarks in a liver's masks and named vessel branches.

    Parameters
    ----------
    liver : Liver
        With any of: masks of vena cava, hepatic veins and gallbladder; territories of hepatic veins and
        portal vein whose branches are named (right hepatic vein, left portal vein, ...).

    Returns
    -------
    Landmarks
        Those that were found, with a caveat that names them and says that they must be confirmed. What is
        still missing shows when they are used.

    Raises
    ------
    LiverError
        If none was found, or as for `Landmarks`.

    Notes
    -----
    The vena cava is what an erosion by a ball of 7.5 mm leaves of its mask, or of the hepatic veins' where
    that includes it, averaged over every 5 mm of height. The gallbladder fossa is the liver surface nearest
    to the gallbladder. Each hepatic vein is the course of its branch, on at every fork along the wider
    child; the middle and the left one of a common trunk begin with that trunk. The portal bifurcation is
    where the right and left portal vein begin; the right one counts where it divides into branches of at
    least half its radius; the umbilical portion of the left one is what follows its leftmost point, as far
    as a radius of 3 mm is reached, and no further than the last branch to segment IV: a tenth of the left
    liver or more, to the right of where it leaves.
    """
    found: dict[Landmark, Points | None] = {
        Landmark.CAVA: cava_points(liver),
        Landmark.GALLBLADDER: gallbladder_points(liver),
    }
    veins = liver.territories_of(Structure.HEPATIC_VEINS)
    if veins is not None:
        parted = _parted_trunk(veins, liver)
        found.update({kind: _vein(veins, kind, parted) for kind in VEINS})
    portal = liver.territories_of(Structure.PORTAL_VEIN)
    if portal is not None:
        found.update(_portal(portal, liver))
    points = {kind: found[kind] for kind in Landmark if found.get(kind) is not None}
    if not points:
        raise LiverError(
            "no landmark was found: there is neither a mask of the vena cava or the gallbladder nor a named "
            "branch of hepatic veins or portal vein. Give the landmarks as points.",
            reason="no_landmarks",
        )
    names = ", ".join(kind.value for kind in points)
    said = f"Landmarks were found automatically ({names}): confirm them on the images."
    source = "found automatically in masks and named vessel branches"
    return Landmarks(
        {k: p for k, p in points.items() if p is not None}, source, (Caveat("landmarks_found", said),)
    )


def cava_points(liver: Liver) -> Points | None:
    """Find the centre line of the vena cava beside the liver.

    Parameters
    ----------
    liver : Liver
        With a mask of the vena cava, or of hepatic veins that includes it.

    Returns
    -------
    (n, 3) float64 ndarray or None
        One point every 5 mm of height, LPS mm; None if there is no mask, or the hepatic veins are nowhere
        15 mm wide.
    """
    cava, veins = _voxels(liver, Structure.IVC), _voxels(liver, Structure.HEPATIC_VEINS)
    voxels = cava if cava is not None else veins
    if voxels is None:
        return None
    core = wide_parts(voxels, liver.grid, CAVA_CORE_MM)
    if not core.any():
        if cava is None:
            return None
        core = cava
    centres = liver.grid.centres_mm(np.argwhere(core))
    slab = np.floor((centres[:, 2] - centres[:, 2].min()) / SLAB_MM + 1e-6).astype(np.int64)
    size = np.bincount(slab)
    sums = np.stack([np.bincount(slab, centres[:, axis]) for axis in range(3)], axis=1)
    line: Points = sums[size > 0] / size[size > 0, None]
    near = distance_to_liver_mm(line, liver) <= CAVA_NEAR_MM
    return line[near] if near.any() else None


def gallbladder_points(liver: Liver) -> Points | None:
    """Find the bed of the gallbladder on the surface of the liver.

    Parameters
    ----------
    liver : Liver
        With a mask of the gallbladder.

    Returns
    -------
    (n, 3) float64 ndarray or None
        From one end of the bed to the other, LPS mm: the middles of its thirds. None without a mask.
    """
    from scipy.spatial import cKDTree

    voxels = _voxels(liver, Structure.GALLBLADDER)
    if voxels is None:
        return None
    surface = liver.grid.centres_mm(np.argwhere(rim(liver.voxels)))
    wall = liver.grid.centres_mm(np.argwhere(rim(voxels)))
    far = np.asarray(cKDTree(wall).query(surface)[0])
    bed = surface[far <= far.min() + BED_MM]
    away = bed - bed.mean(axis=0)
    along = away @ np.linalg.eigh(away.T @ away)[1][:, 2]
    edges = np.quantile(along, np.linspace(0, 1, BED_PARTS + 1)[1:-1])
    part = np.searchsorted(edges, along)
    return np.stack([bed[part == n].mean(axis=0) for n in range(BED_PARTS) if (part == n).any()])


def _voxels(liver: Liver, structure: Structure) -> Bool | None:
    found = next((v.voxels for v in liver.vessels if v.structure is structure), None)
    return found if found is not None and found.any() else None


def _named(territories: Territories, kind: Landmark) -> Branch | None:
    """Return the branch of a name nearest to the root."""
    found = [b for b in territories.branches if b.name == kind.value]
    return min(found, key=lambda b: (b.order, b.number)) if found else None


def _width(branch: Branch) -> float:
    return float(branch.radius_mm.mean())


def _children(territories: Territories, branch: Branch) -> list[Branch]:
    """Return what leaves the end of a branch, the widest first."""
    children = [b for b in territories.branches if b.parent == branch.number]
    return sorted(children, key=lambda b: (-_width(b), b.number))


def _course(territories: Territories, branch: Branch) -> tuple[Points, Points]:
    """Follow a branch from the root to its end, at every fork along the wider child: points and radii, mm."""
    course = [branch]
    while children := _children(territories, course[-1]):
        course.append(children[0])
    return np.vstack([b.points_mm for b in course]), np.concatenate([b.radius_mm for b in course])


def _vein(veins: Territories, kind: Landmark, parted: dict[Landmark, Points]) -> Points | None:
    branch = _named(veins, kind)
    return parted.get(kind) if branch is None else _course(veins, branch)[0]


def _parted_trunk(veins: Territories, liver: Liver) -> dict[Landmark, Points]:
    """Follow a common trunk on into the middle and the left hepatic vein, as far as it has two such arms."""
    trunk = next((b for b in veins.branches if b.name == VEIN_COMMON), None)
    way: list[Points] = []
    while trunk is not None:
        way.append(trunk.points_mm)
        behind = {
            b.number: np.isin(veins.labels, list(veins.behind([b.number])))
            for b in veins.branches
            if b.parent == trunk.number
        }
        whole = np.count_nonzero(np.isin(veins.labels, list(veins.behind([trunk.number]))))
        arms = [n for n, mask in behind.items() if np.count_nonzero(mask) >= ARM_SHARE * whole]
        if len(arms) > 1:
            arms.sort(key=lambda n: float(liver.grid.centres_mm(np.argwhere(behind[n]))[:, 0].mean()))
            ends = {Landmark.MIDDLE_VEIN: arms[0], Landmark.LEFT_VEIN: arms[-1]}
            return {
                kind: np.vstack([*way, _course(veins, veins.branches[n - 1])[0]]) for kind, n in ends.items()
            }
        trunk = veins.branches[arms[0] - 1] if arms else None
    return {}


def _portal(portal: Territories, liver: Liver) -> dict[Landmark, Points | None]:
    right, left = _named(portal, Landmark.RIGHT_PORTAL), _named(portal, Landmark.LEFT_PORTAL)
    starts = [b.points_mm[0] for b in (right, left) if b is not None]
    return {
        Landmark.PORTAL_BIFURCATION: np.mean(starts, axis=0)[None] if starts else None,
        Landmark.RIGHT_PORTAL: _main_fork(portal, right) if right is not None else None,
        Landmark.LEFT_PORTAL: _umbilical_portion(portal, left, liver) if left is not None else None,
    }


def _main_fork(portal: Territories, right: Branch) -> Points:
    """Return where a vein divides in two of some width; without such a fork, the end of the branch."""
    branch = right
    while True:
        children = _children(portal, branch)
        if not children:
            return right.points_mm[-1:]
        if len(children) > 1 and _width(children[1]) >= FORK_SHARE * _width(right):
            return branch.points_mm[-1:]
        branch = children[0]


def _umbilical_portion(portal: Territories, left: Branch, liver: Liver) -> Points:
    points, radii = _course(portal, left)
    wide = np.flatnonzero(radii >= UMBILICAL_RADIUS_MM)
    last = int(wide[-1]) + 1 if len(wide) else 1
    # Further on runs the branch of segment II or III, however wide it is.
    trunk = points[: min(last, _last_to_medial(portal, left, liver) or last)]
    return trunk[int(np.argmax(trunk[:, 0])) :]


def _last_to_medial(portal: Territories, left: Branch, liver: Liver) -> int:
    """Return how many points of the course lie before the last branch to segment IV; 0 without one."""
    inside = np.flatnonzero(liver.voxels.ravel(order="F"))
    number = portal.labels.ravel(order="F")[inside]
    index = np.stack(np.unravel_index(inside, liver.grid.shape, order="F"), axis=1)
    n = len(portal.branches) + 1
    voxels = np.bincount(number, minlength=n)
    to_left = np.bincount(number, liver.grid.centres_mm(index)[:, 0], minlength=n)
    least = MEDIAL_SHARE * voxels[list(portal.behind([left.number]))].sum()
    branch, before, last = left, 0, 0
    while children := _children(portal, branch):
        before += len(branch.points_mm)
        for child in children[1:]:
            behind = list(portal.behind([child.number]))
            if voxels[behind].sum() >= max(least, 1) and (
                to_left[behind].sum() / voxels[behind].sum() < branch.points_mm[-1, 0]
            ):
                last = before
        branch = children[0]
    return last

"""From a vessel mask to the territories of its branches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.liver import Territories
from flr_volumetry.territories.graph import Pieces, branch_pieces
from flr_volumetry.territories.lattice import Upright, neighbours
from flr_volumetry.territories.naming import Fed, name_branches
from flr_volumetry.territories.nearest import Weighting, nearest_seeds
from flr_volumetry.territories.numbering import number_branches
from flr_volumetry.territories.roots import find_roots, given_roots
from flr_volumetry.territories.skeleton import skeletonize
from flr_volumetry.territories.voxel_graph import BRIDGED_MM, VoxelGraph, voxel_graph

if TYPE_CHECKING:
    from flr_volumetry.liver import Branch, Liver
    from flr_volumetry.territories.lattice import Bool, Index, Points

VESSELS = (Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS)
Labels = npt.NDArray[np.uint16]
THIN = 2
"""The middle of a territory is that of every so-manieth voxel along each axis."""
MIN_TREE_MM = 10.0
"""A part of a vessel whose centrelines are together shorter than this is no tree (assumed)."""


def find_territories(
    liver: Liver,
    structure: Structure,
    *,
    root_mm: npt.ArrayLike | None = None,
    weighting: Weighting = Weighting.WALL,
) -> Territories:
    """Find the branches of a vessel, and divide the liver between them.

    Parameters
    ----------
    liver : Liver
        With a mask of the vessel.
    structure : Structure
        The portal vein or the hepatic veins.
    root_mm : (3,) or (n, 3) array_like or None
        Where its tree begins, LPS mm: the end of the portal vein's trunk, the hepatic veins' mouth. Several
        for a vessel in several parts. None to find it.
    weighting : Weighting
        What "nearest" means.

    Returns
    -------
    Territories
        Every liver voxel belongs to one branch. Branches have names where these are clear.

    Raises
    ------
    LiverError
        If the vessel has no mask, or none with voxels in the liver, or too few for a tree; or the root
        is further than 10 mm from it.

    Notes
    -----
    Centrelines keep to the middle of the vessel and are found from the root outwards
    (`flr_volumetry.territories.skeleton`); lengths, radii and distances are in mm in the patient, on
    sheared grids too. A liver voxel belongs to the branch whose nearest voxel (or centreline, as the
    weighting says) lies nearest to it: the geometric stand-in for perfusion of Selle et al. (IEEE Trans Med
    Imaging 2002;21:1344). Of several as near it is the same one however the scan is
    stored. A portal trunk that divides feeds nothing of its own.
    """
    voxels = _voxels_of(liver, structure)
    upright = Upright.of(liver.grid)
    inside = np.ascontiguousarray(upright.turn(liver.voxels))
    cava_mm = _cava_mm(liver, upright) if structure is Structure.HEPATIC_VEINS else None
    graph = voxel_graph(np.ascontiguousarray(upright.turn(voxels)), upright.steps, cava_mm)
    i, j, k = graph.index.T
    found = find_roots(graph, inside[i, j, k], graph.points[:, 2], structure, cava_mm)
    roots = found if root_mm is None else _with_given(found, graph, upright, root_mm)
    pieces = branch_pieces(graph, skeletonize(graph, roots), roots, _beside(graph, inside, upright.steps))
    vessel = _Vessel(structure, graph, _only_trees(pieces, structure), inside, upright)
    labels, branches, shares = _divided(vessel, weighting)
    names, doubts = name_branches(structure, branches, _fed(labels, branches, shares, upright))
    return Territories(
        structure,
        np.asfortranarray(upright.turn_back(labels)),
        tuple(replace(b, name=name) for b, name in zip(branches, names, strict=True)),
        (*_caveats(vessel, liver.grid.voxel_ml), *doubts),
        _methods(structure, weighting),
    )


def with_territories(liver: Liver, territories: Territories) -> Liver:
    """Return a liver that knows the territories of a vessel.

    Parameters
    ----------
    liver : Liver
        The liver they were found in.
    territories : Territories
        As `find_territories` returned them.

    Returns
    -------
    Liver
        With them, and their caveats, in place of those it had of that vessel.

    Raises
    ------
    LiverError
        If they have the shape of another liver.
    """
    others = tuple(t for t in liver.territories if t.structure is not territories.structure)
    past = {caveat for t in liver.territories if t not in others for caveat in t.caveats}
    caveats = (*(c for c in liver.caveats if c not in past), *territories.caveats)
    return replace(liver, territories=(*others, territories), caveats=caveats)


@dataclass(frozen=True, slots=True, eq=False)
class _Vessel:
    structure: Structure
    graph: VoxelGraph
    tree: Pieces
    inside: Bool
    upright: Upright

    def seeds(self, weighting: Weighting) -> npt.NDArray[np.int16 | np.int32]:
        """Return for each voxel the piece that feeds what lies nearest to it; -1 for none."""
        pieces = self.tree.pieces
        feeds = np.ones(len(pieces) + 1, dtype=np.bool_)
        feeds[-1] = False
        if self.structure is Structure.PORTAL_VEIN:
            parents = {piece.parent for piece in pieces}
            feeds[[n for n, p in enumerate(pieces) if p.parent < 0 and n in parents]] = False
        narrow = np.int16 if len(pieces) <= np.iinfo(np.int16).max else np.int32
        at = np.full(self.inside.shape, -1, dtype=narrow)
        if weighting is Weighting.WALL:
            feeding = feeds[self.tree.owner]
            i, j, k = self.graph.index[feeding].T
            at[i, j, k] = self.tree.owner[feeding]
            return at
        inverse = np.linalg.inv(self.upright.steps)
        last: Index = np.array(at.shape) - 1
        # The voxel at a fork is the parent's.
        for n in reversed(np.flatnonzero(feeds[:-1]).tolist()):
            i, j, k = np.clip(np.rint(pieces[n].points @ inverse.T).astype(np.int64), 0, last).T
            at[i, j, k] = n
        return at


def _voxels_of(liver: Liver, structure: Structure) -> Bool:
    called = structure.value.replace("_", " ")
    if structure not in VESSELS:
        raise LiverError(
            f"territories are those of the portal vein or the hepatic veins, not of the {called}",
            reason="not_a_vessel",
        )
    voxels = next((v.voxels for v in liver.vessels if v.structure is structure), None)
    if voxels is None:
        raise LiverError(
            f"the liver has no mask of the {called}: its branches cannot be found. Give it under [masks].",
            reason="no_vessel",
        )
    if not (voxels & liver.voxels).any():
        raise LiverError(
            f"the mask of the {called} has no voxel in the liver: it was drawn on another scan, or is of "
            "another vessel.",
            reason="vessel_outside_liver",
        )
    return voxels


def _cava_mm(liver: Liver, upright: Upright) -> Points | None:
    """Return the voxels of the vena cava, where it has a mask of its own, in the frame of the graph."""
    cava = next((v.voxels for v in liver.vessels if v.structure is Structure.IVC), None)
    if cava is None or not cava.any():
        return None
    points: Points = np.argwhere(upright.turn(cava)) @ upright.steps.T
    return points


def _with_given(found: Index, graph: VoxelGraph, upright: Upright, root_mm: npt.ArrayLike) -> Index:
    """Put the user's roots in place of those found on the same parts."""
    points = np.atleast_2d(np.asarray(root_mm, dtype=np.float64))
    if points.shape[1:] != (3,) or not np.isfinite(points).all():
        raise LiverError(f"a root is one point of three finite numbers, got {root_mm!r}", reason="bad_root")
    given = given_roots(graph, points - upright.origin_mm)
    others = [root for root in found.tolist() if graph.part[root] not in graph.part[given]]
    return np.array([*given.tolist(), *others], dtype=np.int64)


def _beside(graph: VoxelGraph, inside: Bool, steps: Points) -> Bool:
    """Tell which voxels lie in the liver or touch it."""
    around = neighbours(steps)
    reach = int(np.abs(around).max())
    padded = np.pad(inside, reach)
    beside = np.zeros(len(graph.index), dtype=np.bool_)
    for step in (np.zeros(3, dtype=np.int64), *around):
        i, j, k = (graph.index + step + reach).T
        beside |= padded[i, j, k]
    return beside


def _only_trees(pieces: Pieces, structure: Structure) -> Pieces:
    """Leave out separate parts that are too short to be a tree."""
    top: list[int] = []
    for n, piece in enumerate(pieces.pieces):
        top.append(top[piece.parent] if piece.parent >= 0 else n)
    length = (
        np.bincount(top, [p.length_mm for p in pieces.pieces], minlength=len(top)) if top else np.zeros(0)
    )
    keep = [n for n, t in enumerate(top) if length[t] >= MIN_TREE_MM]
    if not keep:
        raise LiverError(
            f"the mask of the {structure.value.replace('_', ' ')} has no course of {MIN_TREE_MM:.0f} mm in "
            "the liver: it is too small, or too scattered, to be a vessel tree.",
            reason="vessel_too_small",
        )
    number = np.full(len(top) + 1, -1, dtype=np.int64)
    number[keep] = np.arange(len(keep))
    kept = (pieces.pieces[n] for n in keep)
    return Pieces(
        tuple(replace(p, parent=int(number[p.parent]) if p.parent >= 0 else -1) for p in kept),
        number[pieces.owner],
    )


def _divided(vessel: _Vessel, weighting: Weighting) -> tuple[Labels, tuple[Branch, ...], tuple[Index, Index]]:
    """Divide the liver; number the branches by what they get; the number of each piece, and its voxels."""
    pieces = vessel.tree.pieces
    piece_at = vessel.seeds(weighting)
    nearest = nearest_seeds(vessel.inside, piece_at >= 0, vessel.upright.steps)
    found = piece_at[nearest.box].ravel()[nearest.at]
    fed = np.bincount(found, minlength=len(pieces))
    branches, number = number_branches(pieces, fed, vessel.upright.origin_mm)
    labels = np.zeros(vessel.inside.shape, dtype=np.uint16)
    labels[nearest.box][vessel.inside[nearest.box]] = number.astype(np.uint16)[found]
    return labels, branches, (number, fed)


def _fed(labels: Labels, branches: tuple[Branch, ...], shares: tuple[Index, Index], upright: Upright) -> Fed:
    number, fed = shares
    thin = labels[::THIN, ::THIN, ::THIN]
    held = np.flatnonzero(thin)
    index = np.unravel_index(held, thin.shape)
    own = thin.ravel()[held]
    n = len(branches) + 1
    voxels = np.zeros(n, dtype=np.int64)
    np.add.at(voxels, number, fed)
    weight = np.bincount(own, minlength=n).astype(np.float64)
    total = np.stack([np.bincount(own, index[a] * float(THIN), minlength=n) for a in range(3)], axis=1)
    voxels[0] = 0
    for branch in reversed(branches):
        for sums in (voxels, weight, total):
            sums[branch.parent] += sums[branch.number]
    with np.errstate(invalid="ignore"):
        centre = total / weight[:, None]
    return Fed(voxels, centre @ upright.steps.T + upright.origin_mm)


def _caveats(vessel: _Vessel, voxel_ml: float) -> list[Caveat]:
    called = vessel.structure.value.replace("_", " ")
    graph, owner = vessel.graph, vessel.tree.owner
    i, j, k = graph.index.T
    inside = vessel.inside[i, j, k]
    caveats = [
        Caveat(
            "territories_are_geometric",
            f"Territories of the {called} are geometric: each part of the liver is taken to belong to the "
            "branch nearest to it. Perfusion was not measured.",
        )
    ]
    if graph.bridges:
        caveats.append(
            Caveat(
                "vessel_gaps_bridged",
                f"The mask of the {called} has gaps: {graph.bridges} of up to {BRIDGED_MM:.0f} mm were "
                "bridged.",
            )
        )
    roots = [n for n, piece in enumerate(vessel.tree.pieces) if piece.parent < 0]
    if len(roots) > 1:
        sizes = np.bincount(graph.part[owner >= 0])
        ml = ", ".join(f"{n * voxel_ml:.1f}" for n in sorted(sizes[sizes > 0].tolist(), reverse=True))
        caveats.append(
            Caveat(
                "vessel_in_parts",
                f"The mask of the {called} is in {len(roots)} separate parts ({ml} mL), each taken for a "
                "tree of its own: their connection cannot be told.",
            )
        )
    lost_ml = int(np.count_nonzero(inside & (owner < 0))) * voxel_ml
    if lost_ml > 0:
        caveats.append(
            Caveat(
                "vessel_left_out",
                f"{lost_ml:.2f} mL of the {called} in the liver are scattered or lie behind no branch, and "
                "feed no territory.",
            )
        )
    return caveats


def _methods(structure: Structure, weighting: Weighting) -> tuple[str, ...]:
    called = structure.value.replace("_", " ")
    return (
        f"Branches of the {called} were found from its mask: centrelines are the cheapest ways to the root, "
        "the cost of a step being its length over the square of the distance to the wall.",
        f"{MEANING[weighting]} (Selle et al., IEEE Trans Med Imaging 2002;21:1344).",
    )


MEANING = {
    Weighting.WALL: "Every liver voxel belongs to the branch with the nearest vessel voxel",
    Weighting.CENTRELINE: "Every liver voxel belongs to the branch with the nearest centreline, whatever its "
    "radius",
}

"""Names for the large branches of portal vein and hepatic veins, from what they feed or drain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.liver import Branch
    from flr_volumetry.territories.lattice import Index, Points

PORTAL_TRUNK, PORTAL_RIGHT, PORTAL_LEFT = "main portal vein", "right portal vein", "left portal vein"
PORTAL_ANTERIOR, PORTAL_POSTERIOR = "right anterior portal vein", "right posterior portal vein"
VEIN_RIGHT, VEIN_MIDDLE, VEIN_LEFT = "right hepatic vein", "middle hepatic vein", "left hepatic vein"
VEIN_COMMON, VEIN_INFERIOR = "common trunk of middle and left hepatic vein", "inferior right hepatic vein"
CAVA = "inferior vena cava"

MAJOR = 0.1
"""A branch counts in naming if it and all behind it have this share of the tree's territory (assumed)."""
LEFT_AT_MOST = 0.6
"""A left branch with a larger share also carries part of the right liver (assumed)."""
APART_MM = 15.0
"""Territories whose middles are closer than this, along the axis that tells them, get no name (assumed)."""
PART = 0.2
"""A section's branch has this share of the right liver (assumed)."""
COMMON_MM = 30.0
"""The common trunk of two hepatic veins is no longer (assumed)."""
LOW_MM = 30.0
"""A vein that ends so far below the others is an inferior right hepatic vein (assumed)."""
BEARING_DEG = 15.0
"""Hepatic veins whose territories lie in directions closer to each other get no name (assumed)."""
CAVA_MM = 7.5
"""A vessel at least so wide in radius in its outer half is the vena cava (assumed): the right hepatic vein
is wide where it opens."""


@dataclass(frozen=True, slots=True, eq=False)
class Fed:
    """What each branch, and all that comes from it, feeds or drains.

    Parameters
    ----------
    voxels : (n + 1,) int64 ndarray
        Liver voxels by branch number.
    centre_mm : (n + 1, 3) float64 ndarray
        Their middle, LPS mm; not a number where there are none.
    """

    voxels: Index = field(repr=False)
    centre_mm: Points = field(repr=False)


def name_branches(
    structure: Structure, branches: Sequence[Branch], fed: Fed
) -> tuple[list[str], list[Caveat]]:
    """Name the large branches where their place in the tree and in the liver makes it clear.

    Parameters
    ----------
    structure : Structure
        The portal vein or the hepatic veins.
    branches : sequence of Branch
        In order of their numbers.
    fed : Fed
        What each feeds or drains.

    Returns
    -------
    names : list of str
        One for each branch, empty where it is not clear.
    caveats : list of Caveat
        That names were given automatically, or why some were not.

    Notes
    -----
    Branches with less than a tenth of the tree's territory are passed over.
    """
    tree = _Named(branches, fed)
    if structure is Structure.PORTAL_VEIN:
        _name_portal(tree)
        wanted: tuple[str, ...] = (PORTAL_RIGHT, PORTAL_LEFT)
    else:
        _name_hepatic(tree)
        wanted = (VEIN_RIGHT, VEIN_MIDDLE, VEIN_LEFT)
    return tree.names, list(tree.caveats(structure, wanted))


class _Named:
    """A tree of branches that gets names."""

    def __init__(self, branches: Sequence[Branch], fed: Fed) -> None:
        self.branches, self.fed = branches, fed
        self.names = [""] * len(branches)
        self.children: dict[int, list[int]] = {}
        for branch in branches:
            self.children.setdefault(branch.parent, []).append(branch.number)

    def name(self, number: int, name: str) -> None:
        self.names[number - 1] = name

    def start_mm(self, number: int) -> Points:
        start: Points = self.branches[number - 1].points_mm[0]
        return start

    def majors(self, numbers: Sequence[int], whole: int, share: float = MAJOR) -> list[int]:
        """Those with their share of what a branch, or the whole vessel, feeds."""
        return [n for n in numbers if self.fed.voxels[n] >= share * self.fed.voxels[whole]]

    def fork_below(self, number: int, whole: int, share: float = MAJOR) -> tuple[list[int], float]:
        """Return the major branches of the first fork with more than one, and how far down it is, mm."""
        down = 0.0
        while True:
            down += self.branches[number - 1].length_mm
            on = self.majors(self.children.get(number, []), whole, share)
            if len(on) != 1:
                return on, down
            number = on[0]

    def apart_mm(self, one: int, other: int, axis: int) -> float:
        return float(self.fed.centre_mm[one, axis] - self.fed.centre_mm[other, axis])

    def caveats(self, structure: Structure, wanted: tuple[str, ...]) -> Iterator[Caveat]:
        called = structure.value.replace("_", " ")
        given = [name for name in self.names if name]
        if given:
            yield Caveat(
                "branches_named",
                f"Branches of the {called} were named automatically by where they lie ({', '.join(given)}): "
                "confirm them on the images.",
            )
        lacking = [name for name in wanted if name not in given]
        if lacking:
            yield Caveat(
                "branches_unnamed",
                f"Which branch of the {called} is the {', the '.join(lacking)} is not clear; branches can be "
                "called by number or path.",
            )


def _name_portal(tree: _Named) -> None:
    if not tree.children.get(1):
        return
    tree.name(1, PORTAL_TRUNK)
    fork, _ = tree.fork_below(1, 1)
    if len(fork) < 2:
        return
    left = max(fork, key=lambda n: tree.fed.centre_mm[n, 0])
    right = [n for n in fork if n != left]
    if min(tree.apart_mm(left, n, 0) for n in right) < APART_MM:
        return
    if tree.fed.voxels[left] <= LEFT_AT_MOST * tree.fed.voxels[1]:
        tree.name(left, PORTAL_LEFT)
        if len(right) == 1:
            tree.name(right[0], PORTAL_RIGHT)
            right, _ = tree.fork_below(right[0], right[0], PART)
        _name_sections(tree, right)
        return
    # The right posterior branch has left first; the anterior one comes from the left.
    fork, _ = tree.fork_below(left, 1)
    if len(fork) == 2 and len(right) == 1:
        anterior, left = sorted(fork, key=lambda n: tree.fed.centre_mm[n, 0])
        if tree.apart_mm(left, anterior, 0) >= APART_MM:
            tree.name(left, PORTAL_LEFT)
            _name_sections(tree, [anterior, right[0]])


def _name_sections(tree: _Named, right: Sequence[int]) -> None:
    """Tell the anterior from the posterior branch of the right liver."""
    if len(right) != 2:
        return
    anterior, posterior = sorted(right, key=lambda n: tree.fed.centre_mm[n, 1])
    if tree.apart_mm(posterior, anterior, 1) >= APART_MM:
        tree.name(anterior, PORTAL_ANTERIOR)
        tree.name(posterior, PORTAL_POSTERIOR)


def _name_hepatic(tree: _Named) -> None:
    whole = 0
    veins = list(tree.children[0])
    mouth = tree.branches[0].points_mm[0]
    while wide := [n for n in veins if _outer_radius_mm(tree.branches[n - 1]) >= CAVA_MM]:
        if not tree.names[0] and wide[0] == 1:
            tree.name(1, CAVA)
        mouth = tree.branches[wide[0] - 1].points_mm.mean(axis=0)
        veins = [n for v in veins for n in (tree.children.get(v, []) if v in wide else [v])]
    veins = tree.majors(veins, whole)
    while len(veins) < 3:
        forks = [(*tree.fork_below(n, whole), n) for n in veins]
        split = min(((down, n, on) for on, down, n in forks if len(on) > 1), default=None)
        if split is None or (split[0] > COMMON_MM and len(veins) > 1):
            break
        if split[1] == 1:
            mouth = tree.start_mm(split[2][0])
        veins = [n for v in veins for n in (split[2] if v == split[1] else [v])]
    top = max((tree.start_mm(n)[2] for n in veins), default=0.0)
    low = [n for n in veins if tree.start_mm(n)[2] < top - LOW_MM]
    upper = sorted((n for n in veins if n not in low), key=lambda n: _bearing(tree.fed.centre_mm[n] - mouth))
    if len(low) == 1 and tree.fed.centre_mm[low[0], 0] < mouth[0]:
        tree.name(low[0], VEIN_INFERIOR)
    names = {2: (VEIN_RIGHT, VEIN_COMMON), 3: (VEIN_RIGHT, VEIN_MIDDLE, VEIN_LEFT)}.get(len(upper), ())
    bearings = [_bearing(tree.fed.centre_mm[n] - mouth) for n in upper]
    if names and min(np.diff(bearings)) >= BEARING_DEG:
        for number, name in zip(upper, names, strict=True):
            tree.name(number, name)


def _outer_radius_mm(branch: Branch) -> float:
    return float(np.median(branch.radius_mm[len(branch.radius_mm) // 2 :]))


def _bearing(away: Points) -> float:
    """Direction in the axial plane: 0 the patient's right, 90 the front, 180 the left, degrees."""
    return float((np.degrees(np.arctan2(-away[1], -away[0])) + 90.0) % 360.0 - 90.0)

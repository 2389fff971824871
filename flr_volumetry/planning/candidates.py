"""Which plans a search considers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import ADJACENT_SEGMENTS, HEPATECTOMIES, SEGMENTS, Structure
from flr_volumetry.resection import SegmentResection, TerritoryResection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.liver import Liver, Territories
    from flr_volumetry.planning.arrangement import Arrangement
    from flr_volumetry.resection import Resection

LEAST_SHARE, LARGEST_SHARE = 0.005, 0.95
"""Subtrees that feed less or more of the liver than this are no resection of their own."""
FINEST_ORDER = 5
"""Branches after this many forks are too fine to be ligated by name."""
PAIRED_ORDER = 4
"""Up to this order, two subtrees may be ligated together."""


@dataclass(frozen=True, slots=True, eq=False)
class Anatomical:
    """An anatomical resection of a search.

    Parameters
    ----------
    resection : Resection or None
        What it is in a plan; None for no anatomical resection.
    takes : (a,) ndarray of bool
        Which atoms it takes.
    """

    resection: Resection | None
    takes: npt.NDArray[np.bool_]


def anatomical(liver: Liver, atoms: Arrangement) -> list[Anatomical]:
    """List the anatomical resections of a liver: none, connected segment sets, portal subtrees.

    Parameters
    ----------
    liver : Liver
        With segments and territories as far as they are known.
    atoms : Arrangement
        Of that liver.

    Returns
    -------
    list of Anatomical
        In a fixed order, no two that take the same; a set of segments with a name of its own bears it.
    """
    found = [Anatomical(None, np.zeros(len(atoms.voxels), dtype=bool))]
    portal = liver.territories_of(Structure.PORTAL_VEIN)
    seen = {found[0].takes.tobytes()}
    every: list[tuple[Resection, npt.NDArray[np.bool_]]] = []
    every += _segment_sets(liver, atoms)
    every += _subtrees(portal, atoms)
    for resection, takes in every:
        key = takes.tobytes()
        if key not in seen and not takes.all():
            seen.add(key)
            found.append(Anatomical(resection, takes))
    return found


def _segment_sets(
    liver: Liver, atoms: Arrangement
) -> Iterator[tuple[SegmentResection, npt.NDArray[np.bool_]]]:
    if liver.segments is None:
        return
    present = [n for n in SEGMENTS if (atoms.segment == n).any()]
    names: dict[frozenset[int], str] = {}
    for entry in HEPATECTOMIES:
        names.setdefault(entry.segments, entry.name)
        if entry.caudate_optional:
            names.setdefault(entry.segments | {1}, f"{entry.name} with segment 1")
    for size in range(1, len(present) + 1):
        for chosen in combinations(present, size):
            segments = frozenset(chosen)
            if connected(segments):
                cut = SegmentResection(segments, names.get(segments, ""))
                yield cut, np.isin(atoms.segment, chosen)


def connected(segments: frozenset[int]) -> bool:
    """Tell whether a set of Couinaud segments hangs together, by the table of neighbours.

    Parameters
    ----------
    segments : frozenset of int
        From 1 to 8.

    Returns
    -------
    bool
        True for a single segment (`flr_volumetry.anatomy.ADJACENT_SEGMENTS`).

    Examples
    --------
    >>> connected(frozenset({5, 6, 7})), connected(frozenset({2, 6}))
    (True, False)
    """
    reached, waiting = set(), [min(segments)]
    while waiting:
        segment = waiting.pop()
        reached.add(segment)
        waiting += [n for n in segments if n not in reached and frozenset({n, segment}) in ADJACENT_SEGMENTS]
    return reached == segments


def _subtrees(
    portal: Territories | None, atoms: Arrangement
) -> Iterator[tuple[TerritoryResection, npt.NDArray[np.bool_]]]:
    if portal is None:
        return
    whole = atoms.voxels.sum()
    single = []
    for branch in portal.branches:
        if branch.order > FINEST_ORDER:
            continue
        takes = np.isin(atoms.territory, list(portal.behind([branch.number])))
        share = atoms.voxels[takes].sum() / whole
        if LEAST_SHARE <= share <= LARGEST_SHARE:
            single.append((branch, takes))
            yield TerritoryResection(Structure.PORTAL_VEIN, (branch.path,)), takes
    coarse = [(branch, takes) for branch, takes in single if branch.order <= PAIRED_ORDER]
    for (first, one), (second, other) in combinations(coarse, 2):
        if not (one & other).any():
            yield TerritoryResection(Structure.PORTAL_VEIN, (first.path, second.path)), one | other

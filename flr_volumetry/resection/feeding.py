"""Which branches of a vessel feed what lies within a margin of lesions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.errors import Caveat
from flr_volumetry.resection.named import in_order, territories_for
from flr_volumetry.resection.plan import ResectionPlan, TerritoryResection, WedgeResection
from flr_volumetry.resection.wedge import around_lesions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flr_volumetry.anatomy import Structure
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection.plan import Resection
    from flr_volumetry.resection.quadrics import Patches

LISTED = 8
"""A sentence names at most so many branches."""


@dataclass(frozen=True, slots=True)
class BranchShare:
    """What one branch feeds or drains of the zone around lesions.

    Parameters
    ----------
    number : int
        Of the branch.
    path : str
        Which way leads to it from the root.
    name : str
        What it is called; empty if that is not known.
    ml : float
        The part of the zone in its own territory, what comes from it not counted, mL.
    """

    number: int
    path: str
    name: str
    ml: float

    def __str__(self) -> str:
        """Return path and name."""
        return f"{self.path} ({self.name})" if self.name else self.path


@dataclass(frozen=True, slots=True)
class FeedingBranches:
    """The branches whose territories meet lesions and a margin around them.

    Parameters
    ----------
    structure : Structure
        The vessel.
    lesions : tuple of int
        Their numbers.
    margin_mm : float
        Around them.
    zone_ml : float
        Liver within the margin, lesions included, mL.
    branches : tuple of BranchShare
        All that meet the zone, the largest share first; the shares sum to the zone.
    cover : tuple of BranchShare
        The smallest set of branches that, with all that comes from them, feed the whole zone: those of
        `branches` that come from no other of them, in order of their numbers; their shares with all behind
        them.
    cover_ml : float
        Liver in the territories of the cover, mL.
    """

    structure: Structure
    lesions: tuple[int, ...]
    margin_mm: float
    zone_ml: float
    branches: tuple[BranchShare, ...]
    cover: tuple[BranchShare, ...]
    cover_ml: float

    def __str__(self) -> str:
        """Say it in a sentence."""
        vessel = self.structure.value.replace("_", " ")
        many = "s" if len(self.lesions) > 1 else ""
        cover = ", ".join(map(str, self.cover))
        shares = ", ".join(f"{b} {b.ml:.1f}" for b in self.branches[:LISTED])
        rest = sum(b.ml for b in self.branches[LISTED:])
        more = f", {len(self.branches) - LISTED} more {rest:.1f}" if len(self.branches) > LISTED else ""
        return (
            f"Lesion{many} {', '.join(map(str, self.lesions))} and {self.margin_mm:g} mm around "
            f"({self.zone_ml:.1f} mL) lie in territories of the {vessel} that the branches {cover} cover "
            f"with {self.cover_ml:.1f} mL of liver. Of the zone, by branch: {shares}{more} mL."
        )


def feeding_branches(
    liver: Liver,
    structure: Structure,
    lesions: Sequence[int],
    margin_mm: float = 0.0,
    *,
    surfaces: Mapping[int, Patches] | None = None,
) -> FeedingBranches:
    """Find the branches whose territories meet lesions and a margin around them.

    Parameters
    ----------
    liver : Liver
        With these lesions, and the territories of the vessel.
    structure : Structure
        The portal vein or the hepatic veins.
    lesions : sequence of int
        Their numbers.
    margin_mm : float
        Every liver voxel whose centre is at most this far from a lesion's surface, and the lesion, is to
        be covered.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, by number, as far as they are at hand.

    Returns
    -------
    FeedingBranches
        With the millilitres of the zone in each.

    Raises
    ------
    PlanError
        If the territories are not known, a lesion is not there, or the margin is negative.

    Notes
    -----
    A branch that meets the zone can only be cut off with all that comes from it, so every set of branches
    that covers the zone takes at least the territories behind each of them: the cover is the smallest set,
    and there is no other as small.
    """
    wanted = WedgeResection(tuple(lesions), margin_mm)
    where = TerritoryResection(structure, lesions=wanted.lesions, margin_mm=margin_mm).title
    territories = territories_for(structure, liver, where)
    box, zone = around_lesions(liver, wanted, where, surfaces or {})
    ml = liver.grid.voxel_ml
    n = len(territories.branches) + 1
    own = np.bincount(territories.labels[box][zone & liver.voxels[box]], minlength=n) * ml
    hit = {int(number) for number in np.flatnonzero(own[1:]) + 1}
    behind = {b.number: territories.behind([b.number]) for b in territories.branches if b.number in hit}
    shares = [BranchShare(b.number, b.path, b.name, float(own[b.number])) for b in territories.branches]
    # A branch behind another that meets the zone goes with it.
    tops = sorted(hit - {m for number, taken in behind.items() for m in taken if m != number})
    cover = frozenset[int]().union(*(behind[number] for number in tops))
    whole = np.bincount(territories.labels[liver.voxels], minlength=n) * ml
    return FeedingBranches(
        structure,
        wanted.lesions,
        float(margin_mm),
        float(own.sum()),
        tuple(sorted((shares[m - 1] for m in hit), key=lambda share: (-share.ml, share.number))),
        tuple(replace(shares[m - 1], ml=float(own[list(behind[m])].sum())) for m in tops),
        float(whole[list(cover)].sum()),
    )


def with_branches(
    liver: Liver, plan: ResectionPlan, surfaces: Mapping[int, Patches] | None = None
) -> tuple[ResectionPlan, tuple[Caveat, ...]]:
    """Return a plan whose territory resections name their branches.

    Parameters
    ----------
    liver : Liver
        That the plan is for.
    plan : ResectionPlan
        Some of its territory resections may name lesions instead.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, as far as they are at hand.

    Returns
    -------
    plan : ResectionPlan
        The same, with the branches found for these lesions.
    caveats : tuple of Caveat
        One for each such resection: what was found for it.

    Raises
    ------
    PlanError
        If the territories are not known or a lesion is not there.
    """
    found = dict(_found(liver, plan, surfaces))
    if not found:
        return plan, ()
    stages = tuple(
        replace(stage, resections=tuple(_named(cut, found) for cut in stage.resections))
        for stage in plan.stages
    )
    caveats = tuple(
        Caveat(
            "branches_chosen",
            f"{feeding} The branches were chosen automatically: confirm them on the images.",
        )
        for feeding in found.values()
    )
    return replace(plan, stages=stages), caveats


def branches_of(
    cut: TerritoryResection, liver: Liver, surfaces: Mapping[int, Patches] | None = None
) -> tuple[int | str, ...]:
    """Return the branches that a territory resection names, or that are found for its lesions.

    Parameters
    ----------
    cut : TerritoryResection
        Of a plan.
    liver : Liver
        That the plan is for.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, as far as they are at hand.

    Returns
    -------
    tuple of int or str
        As for `flr_volumetry.liver.Territories.behind`.

    Raises
    ------
    PlanError
        If branches are to be found, and the territories are not known or a lesion is not there.
    """
    if cut.branches:
        return cut.branches
    found = feeding_branches(liver, cut.structure, cut.lesions, cut.margin_mm, surfaces=surfaces)
    return tuple(branch.path for branch in found.cover)


def _found(
    liver: Liver, plan: ResectionPlan, surfaces: Mapping[int, Patches] | None
) -> Iterator[tuple[TerritoryResection, FeedingBranches]]:
    for _, cut, _ in in_order(plan):
        if isinstance(cut, TerritoryResection) and not cut.branches:
            yield cut, feeding_branches(liver, cut.structure, cut.lesions, cut.margin_mm, surfaces=surfaces)


def _named(cut: Resection, found: Mapping[TerritoryResection, FeedingBranches]) -> Resection:
    if isinstance(cut, TerritoryResection) and cut in found:
        return replace(cut, branches=tuple(branch.path for branch in found[cut].cover))
    return cut

"""Which caveats bear on the numbers, and which only say how vessels were followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.resection import TerritoryResection

if TYPE_CHECKING:
    from flr_volumetry.assessment.model import Summary
    from flr_volumetry.errors import Caveat

VESSEL_NOTES = frozenset(
    {
        "territories_are_geometric",
        "vessel_gaps_bridged",
        "vessel_in_parts",
        "vessel_left_out",
        "branches_named",
        "branches_unnamed",
    }
)


def doubts_and_notes(summary: Summary) -> tuple[tuple[Caveat, ...], tuple[Caveat, ...]]:
    """Divide the caveats of a case into those that bear on its volumes, and notes on its vessels.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    doubts : tuple of Caveat
        In their order; all of them, where the plan cuts along territories.
    notes : tuple of Caveat
        How the vessels were followed: they bear on what is said of inflow and outflow only.
    """
    cuts = (cut for stage in summary.plan.stages for cut in stage.resections)
    if any(isinstance(cut, TerritoryResection) for cut in cuts):
        return summary.caveats, ()
    notes = tuple(c for c in summary.caveats if c.code in VESSEL_NOTES)
    return tuple(c for c in summary.caveats if c not in notes), notes

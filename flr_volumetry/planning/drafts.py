"""Plans of a search before they are measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flr_volumetry.resection import Stage, Waiting
from flr_volumetry.resection.plan import ResectionPlan

if TYPE_CHECKING:
    from flr_volumetry.planning.candidates import Anatomical
    from flr_volumetry.planning.values import SearchSettings
    from flr_volumetry.resection import Ablation, WedgeResection


@dataclass(frozen=True, slots=True, eq=False)
class Treatment:
    """A wedge or an ablation of one lesion.

    Parameters
    ----------
    lesion : int
        Index of the lesion.
    resection : WedgeResection or Ablation
        What it is in a plan.
    """

    lesion: int
    resection: WedgeResection | Ablation


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """One plan of a search, before it is measured.

    Parameters
    ----------
    cut : Anatomical
        Its anatomical resection.
    treatments : tuple of int
        Numbers of its wedges and ablations.
    row : int
        Where its scores are.
    staged : bool
        Whether an embolization comes before the anatomical resection.
    """

    cut: Anatomical = field(repr=False)
    treatments: tuple[int, ...]
    row: int
    staged: bool = False

    @property
    def procedures(self) -> int:
        """Resections, ablations and embolizations."""
        return (self.cut.resection is not None) + len(self.treatments) + self.staged


def plan_of(draft: Draft, treatments: list[Treatment], settings: SearchSettings) -> ResectionPlan:
    """Write a draft as a plan: wedges and ablations first, so that each takes something.

    Parameters
    ----------
    draft : Draft
        What is done.
    treatments : list of Treatment
        What its numbers stand for.
    settings : SearchSettings
        The weeks to stage two.

    Returns
    -------
    ResectionPlan
        Of one stage, or of two with an embolization between them.
    """
    local = tuple(treatments[n].resection for n in draft.treatments)
    main = () if draft.cut.resection is None else (draft.cut.resection,)
    if not draft.staged:
        return ResectionPlan((Stage("operation", (*local, *main)),))
    waiting = Waiting("pve", settings.weeks)
    if not local:
        return ResectionPlan((Stage("after embolization", main, waiting),))
    return ResectionPlan((Stage("stage one", local), Stage("stage two", main, waiting)))

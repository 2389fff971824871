"""Vessel territories of a case: found where the plan names one, or the case says where a tree begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.anatomy import Structure
from flr_volumetry.resection import TerritoryResection

if TYPE_CHECKING:
    from flr_volumetry.app.case import Case
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import ResectionPlan


def with_plan_territories(liver: Liver, plan: ResectionPlan, case: Case) -> Liver:
    """Return a liver that knows the territories that its plan is made of.

    Parameters
    ----------
    liver : Liver
        With a mask of each vessel that the plan names.
    plan : ResectionPlan
        The plan.
    case : Case
        Says where the trees begin, if it does, and what nearest means.

    Returns
    -------
    Liver
        The same, where the plan names no branch and the case no root.

    Raises
    ------
    LiverError
        If a vessel has no mask, or makes no tree.
    """
    roots = {
        Structure.PORTAL_VEIN: case.territories.portal_root_mm,
        Structure.HEPATIC_VEINS: case.territories.hepatic_root_mm,
    }
    cuts = [cut for stage in plan.stages for cut in stage.resections]
    named = {cut.structure for cut in cuts if isinstance(cut, TerritoryResection)}
    for structure, root in roots.items():
        if structure in named or root is not None:
            from flr_volumetry.territories import Weighting, find_territories, with_territories

            weighting = Weighting(case.territories.weighting)
            found = find_territories(liver, structure, root_mm=root, weighting=weighting)
            liver = with_territories(liver, found)
    return liver

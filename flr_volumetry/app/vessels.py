"""Vessel territories of a case: of every vessel that has a mask, unless the case says otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.cuts import TerritoryEntry
from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.territories import Weighting, find_territories, with_territories

if TYPE_CHECKING:
    from flr_volumetry.app.case import Case
    from flr_volumetry.liver import Liver


def with_case_territories(liver: Liver, case: Case) -> Liver:
    """Return a liver that knows the territories of its vessels.

    Parameters
    ----------
    liver : Liver
        With a mask of each vessel that the plan names.
    case : Case
        Says where the trees begin, if it does, and whether they are sought at all.

    Returns
    -------
    Liver
        With territories of portal vein and hepatic veins, as far as they have masks. A vessel that the
        plan does not name and that makes no tree leaves a caveat.

    Raises
    ------
    LiverError
        If a vessel that the plan names, or whose root is given, has no mask or makes no tree.
    """
    section = case.territories
    entries = [entry for stage in case.stage for entry in stage.resections]
    named = {Structure(entry.structure) for entry in entries if isinstance(entry, TerritoryEntry)}
    there = {vessel.structure for vessel in liver.vessels}
    for structure, root in (
        (Structure.PORTAL_VEIN, section.portal_root_mm),
        (Structure.HEPATIC_VEINS, section.hepatic_root_mm),
    ):
        needed = structure in named or root is not None
        if not needed and not (section.find and structure in there):
            continue
        try:
            found = find_territories(liver, structure, root_mm=root, weighting=Weighting(section.weighting))
        except LiverError as error:
            if needed:
                raise
            words = f"{error.message} What depends on its branches is not known."
            liver = replace(liver, caveats=(*liver.caveats, Caveat("no_territories", words)))
        else:
            liver = with_territories(liver, found)
    return liver

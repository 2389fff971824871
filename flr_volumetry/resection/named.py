"""A plan gone through in order, and what it names looked up in the liver it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy as np
    import numpy.typing as npt

    from flr_volumetry.anatomy import Structure
    from flr_volumetry.liver import Liver, Territories
    from flr_volumetry.resection.plan import (
        Resection,
        ResectionPlan,
        SegmentResection,
    )

MOST_PIECES = 254


def in_order(plan: ResectionPlan) -> Iterator[tuple[int, Resection, str]]:
    """Go through the resections of a plan.

    Parameters
    ----------
    plan : ResectionPlan
        Of one or more stages.

    Yields
    ------
    int
        Number of the stage, from 1.
    Resection
        One of its resections.
    str
        Which one it is, for people.

    Raises
    ------
    PlanError
        If there are too many.
    """
    done = 0
    for number, stage in enumerate(plan.stages, start=1):
        for resection in stage.resections:
            done += 1
            if done >= MOST_PIECES:
                raise PlanError(f"a plan may hold at most {MOST_PIECES - 1} resections")
            yield number, resection, f"stage {number} ({stage.name}), {resection.title}"


def futile(where: str, taken: int, left: int) -> PlanError | None:
    """Return what is wrong with a resection that does nothing, or too much.

    Parameters
    ----------
    where : str
        Which resection of the plan it is.
    taken, left : int
        Voxels it takes, and voxels left after it.

    Returns
    -------
    PlanError or None
        To raise or to show.
    """
    if not taken:
        return PlanError(f"{where} removes nothing from what is left", reason="removes_nothing")
    if not left:
        return PlanError(f"{where} leaves no liver at all", reason="removes_everything")
    return None


def segments_for(cut: SegmentResection, liver: Liver, where: str) -> npt.NDArray[np.uint8]:
    """Return the segment map that a resection is cut from.

    Parameters
    ----------
    cut : SegmentResection
        What the plan says.
    liver : Liver
        Whose segments they are.
    where : str
        Which resection of the plan it is, for the message.

    Returns
    -------
    ndarray of uint8
        The liver's.

    Raises
    ------
    PlanError
        If there is none.
    """
    if liver.segments is None:
        raise PlanError(
            f"{where} needs a map of the Couinaud segments, and the case has none. "
            "Give one under [masks] as segments, or cut by planes.",
            reason="no_segment_map",
        )
    return liver.segments


def require_segments(cut: SegmentResection, present: Collection[int], where: str) -> None:
    """Refuse a resection of segments that the map does not hold.

    Parameters
    ----------
    cut : SegmentResection
        What the plan says.
    present : collection of int
        Segments of the map, in order.
    where : str
        Which resection of the plan it is, for the message.

    Raises
    ------
    PlanError
        If the map lacks one of them.
    """
    absent = sorted(cut.segments.difference(present))
    if absent:
        raise PlanError(
            f"{where}: the segment map has no segment {', '.join(map(str, absent))}; "
            f"it holds {', '.join(map(str, present))}.",
            reason="unknown_segment",
        )


def territories_for(structure: Structure, liver: Liver, where: str) -> Territories:
    """Return the territories that a resection is cut from.

    Parameters
    ----------
    structure : Structure
        The vessel.
    liver : Liver
        Whose branches they are.
    where : str
        Which resection of the plan it is, for the message.

    Returns
    -------
    Territories
        Of the vessel named.

    Raises
    ------
    PlanError
        If they are not known.
    """
    territories = liver.territories_of(structure)
    if territories is None:
        raise PlanError(
            f"{where} needs the territories of that vessel, and they are not known. Give its mask under "
            "[masks]; in a script, add them with flr_volumetry.territories.find_territories.",
            reason="no_territories",
        )
    return territories

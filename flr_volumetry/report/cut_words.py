"""Words for what lies beside the lesions, and for the cut surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.report.wording import lesion_title

if TYPE_CHECKING:
    from flr_volumetry.assessment.model import Summary


def neighbour_rows(summary: Summary) -> list[tuple[str, str, str]]:
    """Return what lies close to each lesion, for people.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    list of (str, str, str)
        Lesion, distances to vessels, distances to the borders of other segments; empty if neither is known.
    """
    beside = {found.lesion: found.found for found in summary.neighbours}
    rows = []
    for lesion in summary.volumes.lesions:
        found = beside.get(lesion.number, ())
        vessels = [
            f"{n.structure.value.replace('_', ' ')} {_far(n.mm)}" for n in found if n.structure is not None
        ]
        segments = [n for n in found if n.structure is None]
        near = [f"{ROMAN[n.segment]} {_far(n.mm)}" for n in segments if n.mm is not None]
        shown = near or (["all further than 20 mm"] if segments else [])
        if found:
            rows.append((lesion_title(lesion), ", ".join(vessels), ", ".join(shown)))
    return rows


def cut_words(summary: Summary) -> str:
    """Return the cut surface, for people; with its parts where there are several cuts.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    str
        For example ``105.8 cm2 (wedge of lesion 3 with 5 mm 36.6 cm2; right hepatectomy 69.2 cm2)``.
    """
    cuts = [cut.title for stage in summary.plan.stages for cut in stage.resections]
    if not summary.cut_areas:
        return "not measured"
    parts = "; ".join(
        f"{title} {area.mm2 / 100:.1f} cm2" for title, area in zip(cuts, summary.cut_areas, strict=True)
    )
    whole = f"{summary.cut_area_mm2 / 100:.1f} cm2"
    return f"{whole} ({parts})" if len(cuts) > 1 else whole


def _far(mm: float | None) -> str:
    return "further than 20 mm" if mm is None else f"{mm:.1f} mm"

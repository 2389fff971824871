"""The plans of a front, cut and measured as every plan is, and priced against each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.planning.arrangement import cut_area_cm2
from flr_volumetry.planning.scoring import criteria, pareto
from flr_volumetry.planning.values import PlanOption, Price
from flr_volumetry.resection import Ablation, WedgeResection, lesion_surface, resect
from flr_volumetry.volumetry.consequences import weigh
from flr_volumetry.volumetry.measure import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flr_volumetry.liver import Liver
    from flr_volumetry.planning.values import SearchSettings
    from flr_volumetry.resection import Patches, ResectionPlan, Stage

MARGIN_ROOM_MM = 0.2
"""A margin this much below the one wished for counts as met: surfaces are right to about 0.1 mm."""


def measured_options(
    liver: Liver,
    settings: SearchSettings,
    plans: Sequence[tuple[ResectionPlan, tuple[int, float | None]]],
    *,
    hopeless: frozenset[int],
    tell: Callable[[int, int], None],
) -> tuple[PlanOption, ...]:
    """Measure plans, and keep those that meet the conditions and that none beats.

    Parameters
    ----------
    liver : Liver
        The liver.
    settings : SearchSettings
        The conditions.
    plans : sequence of (ResectionPlan, (int, float or None))
        Each with its number of procedures, and the relative growth forecast before its last stage.
    hopeless : frozenset of int
        Numbers of lesions that need not be cleared.
    tell : callable
        Called with how many are done, and of how many.

    Returns
    -------
    tuple of PlanOption
        The largest working remnant first, each with its price.
    """
    found = []
    surfaces = {lesion.number: lesion_surface(lesion, liver.grid) for lesion in liver.lesions}
    for number, (plan, (procedures, growth)) in enumerate(plans, start=1):
        option = _measured(liver, settings, plan, (procedures, growth), surfaces)
        tell(number, len(plans))
        if _meets(option, settings, hopeless):
            found.append(option)
    return _priced(found)


def _measured(
    liver: Liver,
    settings: SearchSettings,
    plan: ResectionPlan,
    steps: tuple[int, float | None],
    surfaces: Mapping[int, Patches],
) -> PlanOption:
    procedures, growth = steps
    partition = resect(liver, plan, surfaces=surfaces)
    volumes = measure(liver, partition, surfaces=surfaces)
    found = weigh(liver, partition)
    least = max(settings.margin_mm - MARGIN_ROOM_MM, 0.0)
    flr = volumes.remnant_functional_ml
    return PlanOption(
        plan=plan,
        title=short_title(plan),
        flr_ml=flr,
        flr_fraction=flr / volumes.functional_ml,
        grown_ml=None if growth is None else flr * (1 + growth),
        margins_mm=tuple(lesion.margin_mm for lesion in volumes.lesions),
        uncleared=tuple(x.number for x in volumes.lesions if not x.cleared or x.margin_mm < least),
        congested_ml=None if found.outflow is None else found.outflow.ml,
        cut_cm2=cut_area_cm2(partition),
        procedures=procedures,
        remnant_parts=len(found.remnant_parts_ml),
        adjacent_spared=found.adjacent_spared,
        price=Price(0.0, 0.0, None, 0.0, 0),
    )


def short_title(plan: ResectionPlan) -> str:
    """Return what a plan of a search does, in few words.

    Parameters
    ----------
    plan : ResectionPlan
        Of segments, territories, wedges and ablations.

    Returns
    -------
    str
        For example "wedges of 1 and 2 (5 mm); 4 weeks after PVE: right hepatectomy (H5678)".
    """
    words = []
    for stage in plan.stages:
        parts = [*_local(stage, WedgeResection, "wedge"), *_local(stage, Ablation, "ablation")]
        parts += [c.title for c in stage.resections if not isinstance(c, WedgeResection | Ablation)]
        cuts = " + ".join(parts)
        words.append(f"{stage.after.title}: {cuts}" if stage.after else cuts)
    return "; ".join(words)


def _local(stage: Stage, kind: type[WedgeResection] | type[Ablation], word: str) -> list[str]:
    cuts = [cut for cut in stage.resections if isinstance(cut, kind)]
    if not cuts:
        return []
    lesions = [str(n) for cut in cuts for n in cut.lesions]
    names = lesions[0] if len(lesions) == 1 else f"{', '.join(lesions[:-1])} and {lesions[-1]}"
    return [f"{word}{'s' if len(lesions) > 1 else ''} of {names} ({cuts[0].margin_mm:g} mm)"]


def _meets(option: PlanOption, settings: SearchSettings, hopeless: frozenset[int]) -> bool:
    return (
        set(option.uncleared) <= hopeless
        and not (settings.one_piece and option.remnant_parts > 1)
        and not (settings.adjacent_pair and option.adjacent_spared is False)
    )


def _priced(options: list[PlanOption]) -> tuple[PlanOption, ...]:
    """Keep those that none beats, the largest working remnant first, with what each costs."""
    if not options:
        return ()
    rows = criteria(
        np.array([o.working_ml for o in options]),
        np.array([o.smallest_margin_mm for o in options]),
        np.array([o.congested_ml or 0.0 for o in options]),
        np.array([o.cut_cm2 for o in options]),
        np.array([o.procedures for o in options], dtype=np.int64),
    )
    front = pareto(rows)
    best = rows[front].max(axis=0)
    kept = [
        replace(
            options[n],
            price=Price(
                float(best[0] - rows[n, 0]),
                float(best[1] - rows[n, 1]),
                None if options[n].congested_ml is None else float(best[2] - rows[n, 2]),
                float(best[3] - rows[n, 3]),
                round(best[4] - rows[n, 4]),
            ),
        )
        for n in front
    ]
    return tuple(sorted(kept, key=lambda o: (-o.working_ml, o.title)))

"""The plans of a front, cut and measured as every plan is, and priced against each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.liver.checks import NEGLIGIBLE_ML, part_sizes_ml
from flr_volumetry.planning.arrangement import FURTHEST_MM
from flr_volumetry.planning.scoring import criteria, front_of_each
from flr_volumetry.planning.values import PlanOption, Price
from flr_volumetry.resection import Ablation, WedgeResection, lesion_surface, margins, resect
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.volumetry.circulation import cut_off
from flr_volumetry.volumetry.consequences import SPARED, has_adjacent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flr_volumetry.liver import Liver
    from flr_volumetry.planning.arrangement import Arrangement
    from flr_volumetry.planning.values import SearchSettings
    from flr_volumetry.resection import LesionMargin, Partition, ResectionPlan, Stage

BORDER_LOOK_MM = 6.0
"""How far around the nearest tissue the cuts bear on where its surface lies (assumed)."""
MARGIN_ROOM_MM = 0.2
"""A margin this much below the one wished for counts as met: surfaces are right to about 0.1 mm."""


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """What a search looks through.

    Parameters
    ----------
    liver : Liver
        The liver.
    atoms : Arrangement
        Of it.
    settings : SearchSettings
        The conditions.
    hopeless : frozenset of int
        Numbers of lesions that need not be cleared.
    """

    liver: Liver
    atoms: Arrangement
    settings: SearchSettings
    hopeless: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A plan that is to be measured, and what is known of it exactly.

    Parameters
    ----------
    plan : ResectionPlan
        The plan.
    procedures : int
        Resections, ablations and embolizations.
    growth : float or None
        Relative growth forecast before its last stage; None where nothing is embolized.
    flr_ml, cut_cm2 : float
        Functional remnant, to the voxel, and the area of the cut, from voxel faces.
    piece : (a,) int64 ndarray
        What takes each atom; 0 where it stays.
    """

    plan: ResectionPlan
    procedures: int
    growth: float | None
    flr_ml: float
    cut_cm2: float
    piece: npt.NDArray[np.int64] = field(repr=False)


def measured_options(
    searched: Searched, plans: Sequence[Chosen], *, tell: Callable[[int, int], None]
) -> tuple[PlanOption, ...]:
    """Measure plans, and keep those that meet the conditions and that none beats.

    Parameters
    ----------
    searched : Searched
        Liver and conditions.
    plans : sequence of Chosen
        The plans.
    tell : callable
        Called with how many are done, and of how many.

    Returns
    -------
    tuple of PlanOption
        The largest working remnant first, each with its price.
    """
    found = []
    margin_of = _Margins(searched)
    for number, chosen in enumerate(plans, start=1):
        option = _measured(searched, chosen, margin_of)
        tell(number, len(plans))
        if _meets(option, searched.settings, searched.hopeless):
            found.append(option)
    return _priced(found)


class _Margins:
    """Margins of lesions, measured once for all plans that cut alike around a lesion."""

    def __init__(self, searched: Searched) -> None:
        self.liver, self.atoms = searched.liver, searched.atoms
        self.surfaces = {x.number: lesion_surface(x, self.liver.grid) for x in self.liver.lesions}
        self.known: dict[tuple[int, bytes], LesionMargin] = {}

    def of(self, chosen: Chosen, partition: Partition) -> tuple[LesionMargin, ...]:
        """Return the margins of all lesions under a plan."""
        keys = [self._key(at, chosen.piece) for at in range(len(self.liver.lesions))]
        if all(key in self.known for key in keys):
            return tuple(self.known[key] for key in keys if key is not None)
        found = margins(self.liver, partition, surfaces=self.surfaces)
        self.known.update({k: margin for k, margin in zip(keys, found, strict=True) if k is not None})
        return found

    def _key(self, at: int, piece: npt.NDArray[np.int64]) -> tuple[int, bytes] | None:
        """Return what a margin depends on: what takes the tissue around; None where nothing near stays."""
        near = self.atoms.distance_mm[at] < FURTHEST_MM
        if self.atoms.distance_mm[at][piece == 0].min(initial=FURTHEST_MM) > FURTHEST_MM - BORDER_LOOK_MM:
            return None
        return at, piece[near].tobytes()


def _measured(searched: Searched, chosen: Chosen, margin_of: _Margins) -> PlanOption:
    liver = searched.liver
    partition = resect(liver, chosen.plan, surfaces=margin_of.surfaces)
    lesions = margin_of.of(chosen, partition)
    outflow = cut_off(liver, partition, Structure.HEPATIC_VEINS)
    parts_ml = part_sizes_ml(partition.labels == REMNANT, liver.grid)
    least = max(searched.settings.margin_mm - MARGIN_ROOM_MM, 0.0)
    functional_ml = float(searched.atoms.working.sum()) * searched.atoms.voxel_ml
    return PlanOption(
        plan=chosen.plan,
        title=short_title(chosen.plan),
        flr_ml=chosen.flr_ml,
        flr_fraction=chosen.flr_ml / functional_ml,
        grown_ml=None if chosen.growth is None else chosen.flr_ml * (1 + chosen.growth),
        margins_mm=tuple(lesion.margin_mm for lesion in lesions),
        uncleared=tuple(x.lesion for x in lesions if x.remaining or x.margin_mm < least),
        congested_ml=None if outflow is None else outflow.ml,
        cut_cm2=chosen.cut_cm2,
        procedures=chosen.procedures,
        remnant_parts=sum(ml > NEGLIGIBLE_ML for ml in parts_ml),
        adjacent_spared=_adjacent_spared(searched, chosen),
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
        np.array([o.working_ml * _drained(o) for o in options]),
        np.array([o.smallest_margin_mm for o in options]),
        np.array([o.cut_cm2 for o in options]),
        np.array([o.procedures for o in options], dtype=np.int64),
    )
    front = front_of_each(rows, np.array([_kind(o) for o in options]))
    best = rows[front].max(axis=0)
    least_ml = min((options[n].congested_ml or 0.0 for n in front if _drained(options[n])), default=0.0)
    kept = [
        replace(
            options[n],
            price=Price(
                float(best[0] - rows[n, 0]),
                float(best[2] - rows[n, 2]),
                _more(options[n].congested_ml, least_ml),
                float(best[3] - rows[n, 3]),
                round(best[4] - rows[n, 4]),
            ),
        )
        for n in front
    ]
    return tuple(sorted(kept, key=lambda o: (-o.working_ml, o.title)))


def _drained(option: PlanOption) -> float:
    """Share of the functional remnant that keeps its outflow; none where a vein's trunk is cut."""
    return 0.0 if option.congested_ml is None else 1 - option.congested_ml / option.flr_ml


def _more(congested_ml: float | None, least_ml: float) -> float | None:
    return None if congested_ml is None else congested_ml - least_ml


def _kind(option: PlanOption) -> int:
    """Return 0 for wedges and ablations alone, 1 with an anatomical resection, 2 in two stages."""
    if option.grown_ml is not None:
        return 2
    cuts = [cut for stage in option.plan.stages for cut in stage.resections]
    return int(any(not isinstance(cut, WedgeResection | Ablation) for cut in cuts))


def _adjacent_spared(searched: Searched, chosen: Chosen) -> bool | None:
    atoms = searched.atoms
    if searched.liver.segments is None:
        return None
    whole = np.bincount(atoms.segment, atoms.voxels, len(SEGMENTS) + 1)
    stays = np.bincount(atoms.segment, atoms.voxels * (chosen.piece == 0), len(SEGMENTS) + 1)
    return has_adjacent(tuple(n for n in SEGMENTS if whole[n] and stays[n] >= SPARED * whole[n]))

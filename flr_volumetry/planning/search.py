"""The search over plans: which resections clear the lesions, and what each leaves."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.planning.arrangement import arrange
from flr_volumetry.planning.candidates import anatomical
from flr_volumetry.planning.drafts import Draft, Treatment, plan_of
from flr_volumetry.planning.said import caveats_of, methods_of
from flr_volumetry.planning.scoring import Scores, centre_margins_mm, criteria, front_of_each, score
from flr_volumetry.planning.values import SearchResult, SearchSettings
from flr_volumetry.planning.verdict import Chosen, Searched, measured_options
from flr_volumetry.resection import (
    Ablation,
    SegmentResection,
    TerritoryResection,
    WedgeResection,
    longest_diameter_mm,
)
from flr_volumetry.volumetry.forecast import Measurement, Technique, forecast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flr_volumetry.liver import Liver
    from flr_volumetry.planning.arrangement import Arrangement
    from flr_volumetry.planning.candidates import Anatomical

SIDES = (frozenset({5, 6, 7, 8}), frozenset({2, 3, 4}))
"""Right and left liver."""
MAJOR_SHARE = 0.4
"""Portal territories of at least this share of the liver count as a whole side (assumed)."""
MOST_CHOICES = 1024
"""Ways to treat the lesions beside one anatomical resection; beyond it, all one way or all the other."""
AT_ONCE = 256
MOST_MEASURED = 16
"""So many plans of a front are cut and measured; a table of more is not read (assumed)."""
DEFAULT = SearchSettings()

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def quiet(done: int, of: int) -> None:
    """Tell nobody; the default of `search_plans`."""


def search_plans(
    liver: Liver,
    settings: SearchSettings = DEFAULT,
    *,
    allow_partial: bool = False,
    tell: Callable[[int, int], None] = quiet,
) -> SearchResult:
    """Find the plans that clear all lesions and that no other plan of their kind beats in every respect.

    Parameters
    ----------
    liver : Liver
        With lesions; segments and territories as far as they are known.
    settings : SearchSettings
        The margin wished for, and what may be done.
    allow_partial : bool
        Whether plans are given that leave lesions which nothing can clear; they are named.
    tell : callable
        Called with how many of the front's plans have been measured, and of how many.

    Returns
    -------
    SearchResult
        The Pareto front by functional remnant, its part with venous outflow, smallest margin (up to 10
        mm), cut surface and number of procedures, for each kind of plan: wedges and ablations alone, with
        an anatomical resection, and in two stages.

    Raises
    ------
    PlanError
        If there is no lesion, a lesion cannot be cleared by anything considered, or nothing considered
        clears all of them together.

    Notes
    -----
    Considered are: no anatomical resection, every connected set of segments (named hepatectomies among
    them) and the territories of portal branches, one or two at a time; each with every choice of a wedge,
    an ablation or neither for each lesion; and, for resections that take a whole side, the same in
    two stages with embolization in between, its growth forecast. All are scored; only where the choices
    for one anatomical resection are more than 1024 are those set aside that it makes needless. An
    anatomical resection beside wedges and ablations that clear every lesion without it is no plan. Volumes
    are exact to the voxel. Which plans make the front is told by centre-to-centre margins and areas of
    voxel faces; those of the front, at most 16, are then cut, their margins, parts and congestion
    measured as those of every plan are, and sorted out again.
    """
    if not liver.lesions:
        raise PlanError("there is no lesion to clear, so there is nothing to search", reason="no_lesions")
    treatments = _treatments(liver, settings)
    atoms = arrange(liver, [t.resection for t in treatments])
    cuts = anatomical(liver, atoms)
    apart = centre_margins_mm(atoms, np.stack([cut.takes for cut in cuts]))
    hopeless = _hopeless(apart, treatments, settings)
    if hopeless and not allow_partial:
        raise _unreachable(liver, hopeless, settings)
    drafts = list(_drafts(atoms, list(zip(cuts, apart, strict=True)), treatments, settings, hopeless))
    scores = _scored(atoms, drafts)
    counts = Counts(_considered(len(cuts), treatments, len(liver.lesions)), len(drafts))
    clearing = _clearing(_with_staged(drafts, atoms, settings), scores, atoms, settings, hopeless)
    if not clearing:
        raise PlanError(
            f"none of the {counts.considered} plans considered clears every lesion with "
            f"{settings.margin_mm:g} mm and leaves at least {100 * settings.least_flr:g} % of the functional "
            "liver. Ask for a smaller margin or remnant, or let more kinds of resection be considered.",
            reason="no_plan_clears",
        )
    front, beyond = _front(clearing, scores, _growth(settings))
    options = measured_options(
        Searched(liver, atoms, settings, frozenset(liver.lesions[at].number for at in hopeless)),
        [_chosen(draft, scores, treatments, atoms, settings) for draft in front],
        tell=tell,
    )
    if not options:
        raise PlanError(
            f"the plans that seemed to clear every lesion leave less than {settings.margin_mm:g} mm when "
            "they are measured, or break a condition set. Ask for a smaller margin, or for fewer conditions.",
            reason="no_plan_clears",
        )
    return SearchResult(
        settings,
        options,
        counts.considered,
        counts.scored,
        len(clearing),
        tuple(caveats_of(liver, hopeless, beyond)),
        methods_of(settings, counts.considered, counts.scored),
    )


class Counts(NamedTuple):
    """How many plans a search looked at, and how many of them it scored."""

    considered: int
    scored: int


def _treatments(liver: Liver, settings: SearchSettings) -> list[Treatment]:
    found: list[Treatment] = []
    for at, lesion in enumerate(liver.lesions):
        if settings.wedges:
            found.append(Treatment(at, WedgeResection((lesion.number,), settings.margin_mm)))
        if settings.ablations and longest_diameter_mm(lesion, liver.grid) < settings.ablation_largest_mm:
            margin = max(settings.ablation_margin_mm, settings.margin_mm)
            found.append(Treatment(at, Ablation((lesion.number,), margin)))
    return found


def _hopeless(apart: Floats, treatments: list[Treatment], settings: SearchSettings) -> frozenset[int]:
    """Lesions that no anatomical resection, wedge or ablation clears."""
    treated = {t.lesion for t in treatments}
    best, least = apart.max(axis=0), max(settings.margin_mm, 1e-9)
    return frozenset(at for at in range(len(best)) if at not in treated and best[at] < least)


def _unreachable(liver: Liver, hopeless: frozenset[int], settings: SearchSettings) -> PlanError:
    why = []
    for at in sorted(hopeless):
        lesion = liver.lesions[at]
        reasons = ["no connected set of segments or portal territory contains it with the margin"]
        if not settings.wedges:
            reasons.append("wedges are not considered")
        if not settings.ablations:
            reasons.append("ablations are not considered")
        else:
            diameter = longest_diameter_mm(lesion, liver.grid)
            reasons.append(f"at {diameter:.0f} mm it is too large to ablate")
        why.append(f"lesion {lesion.number} ({lesion.name}): {', '.join(reasons)}")
    return PlanError(
        f"no plan reaches {'; '.join(why)}. Allow wedges, give a segment map, or ask for what clears the "
        "others.",
        reason="lesion_not_reachable",
    )


def _drafts(
    atoms: Arrangement,
    cuts: list[tuple[Anatomical, Floats]],
    treatments: list[Treatment],
    settings: SearchSettings,
    hopeless: frozenset[int],
) -> Iterator[Draft]:
    """Every anatomical resection with every way to treat every lesion, or the needful ones of too many."""
    every = [
        [(), *((n,) for n, t in enumerate(treatments) if t.lesion == at)]
        for at in range(len(atoms.distance_mm))
    ]
    few = math.prod(len(ways) for ways in every) <= MOST_CHOICES
    row = 0
    for cut, apart in cuts:
        for way in _ways(every if few else _needful(every, apart, atoms, settings, hopeless)):
            chosen = tuple(n for part in way for n in part)
            ablations = sum(isinstance(treatments[n].resection, Ablation) for n in chosen)
            if ablations <= settings.most_ablations and (chosen or cut.resection is not None):
                yield Draft(cut, chosen, row)
                row += 1


def _needful(
    every: list[list[tuple[int, ...]]],
    apart: Floats,
    atoms: Arrangement,
    settings: SearchSettings,
    hopeless: frozenset[int],
) -> list[list[tuple[int, ...]]]:
    """Ways to treat the lesions that an anatomical resection leaves or passes too closely."""
    choices: list[list[tuple[int, ...]]] = []
    for at, ways in enumerate(every):
        if at in hopeless or apart[at] >= settings.margin_mm + _step_mm(atoms):
            choices.append([()])
        elif apart[at] >= max(settings.margin_mm, 1e-9):
            # The surfaces may lie closer than the centres: with and without.
            choices.append(ways)
        else:
            choices.append(ways[1:])
    return choices


def _with_staged(drafts: list[Draft], atoms: Arrangement, settings: SearchSettings) -> list[Draft]:
    """Plans in one stage, and the same in two where a whole side goes."""
    if not settings.two_stages:
        return drafts
    major = {id(draft.cut): _embolizable(draft.cut, atoms) for draft in drafts}
    return drafts + [replace(draft, staged=True) for draft in drafts if major[id(draft.cut)]]


def _considered(cuts: int, treatments: list[Treatment], lesions: int) -> int:
    """Anatomical resections times the ways to treat every lesion beside them, or to leave it to them."""
    ways = [1 + sum(t.lesion == at for t in treatments) for at in range(lesions)]
    return cuts * min(math.prod(ways), MOST_CHOICES) - 1


def _embolizable(cut: Anatomical, atoms: Arrangement) -> bool:
    """Whether one side's portal vein could be embolized before a resection: it takes a whole side."""
    match cut.resection:
        case SegmentResection():
            return any(side <= cut.resection.segments for side in SIDES)
        case TerritoryResection():
            return bool(atoms.voxels[cut.takes].sum() >= MAJOR_SHARE * atoms.voxels.sum())
        case _:
            return False


def _ways(choices: list[list[tuple[int, ...]]]) -> Iterator[tuple[tuple[int, ...], ...]]:
    if math.prod(len(c) for c in choices) <= MOST_CHOICES:
        yield from product(*choices)
    else:
        yield tuple(c[0] for c in choices)
        yield tuple(c[-1] for c in choices)


def _step_mm(atoms: Arrangement) -> float:
    return float((1000 * atoms.voxel_ml) ** (1 / 3))


def _taken(atoms: Arrangement, drafts: list[Draft]) -> Bools:
    takes = np.stack([d.cut.takes for d in drafts])
    for row, draft in enumerate(drafts):
        for n in draft.treatments:
            takes[row] |= atoms.zones[n]
    return takes


def _scored(atoms: Arrangement, drafts: list[Draft]) -> Scores:
    parts = [score(atoms, _taken(atoms, drafts[at : at + AT_ONCE])) for at in range(0, len(drafts), AT_ONCE)]
    if not parts:
        none = np.zeros(0)
        return Scores(none, np.zeros((0, len(atoms.distance_mm))), none, none)
    return Scores(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("flr_ml", "margin_mm", "congested_ml", "cut_cm2")
        )
    )


def _clearing(
    drafts: list[Draft],
    scores: Scores,
    atoms: Arrangement,
    settings: SearchSettings,
    hopeless: frozenset[int],
) -> list[Draft]:
    """Those that clear all lesions but the hopeless ones and leave enough."""
    wanted = [at for at in range(scores.margin_mm.shape[1]) if at not in hopeless]
    # A wedge's own border lies at its margin; voxel centres tell that to half a step.
    least = settings.margin_mm - _step_mm(atoms)
    clears = np.atleast_1d((scores.margin_mm[:, wanted] >= max(least, 1e-9)).all(axis=1))
    functional_ml = float(atoms.working.sum()) * atoms.voxel_ml
    growth = _growth(settings)
    found = []
    for draft in drafts:
        flr_ml = scores.flr_ml[draft.row] * (1 + growth * draft.staged)
        if clears[draft.row] and flr_ml > 0 and flr_ml >= settings.least_flr * functional_ml:
            found.append(draft)
    return _without_idle(found)


def _without_idle(drafts: list[Draft]) -> list[Draft]:
    """Leave out anatomical resections beside wedges and ablations that clear every lesion without them."""
    enough = [set(draft.treatments) for draft in drafts if draft.cut.resection is None]
    return [
        draft
        for draft in drafts
        if draft.cut.resection is None or not any(local <= set(draft.treatments) for local in enough)
    ]


def _growth(settings: SearchSettings) -> float:
    """Median relative growth from embolization to stage two."""
    return forecast(Measurement(100.0, 0.0), Technique.PVE, cirrhosis=False).growth_at(settings.weeks)[0]


def _front(drafts: list[Draft], scores: Scores, growth: float) -> tuple[list[Draft], int]:
    """Find the plans that none beats, and how many of them are too many to be measured."""
    rows = np.array([draft.row for draft in drafts])
    grown = 1 + growth * np.array([draft.staged for draft in drafts])
    procedures = np.array([draft.procedures for draft in drafts], dtype=np.int64)
    table = criteria(
        scores.flr_ml[rows] * grown,
        (scores.flr_ml - scores.congested_ml)[rows] * grown,
        scores.margin_mm[rows].min(axis=1),
        scores.cut_cm2[rows],
        procedures,
    )
    kind = np.array([draft.staged + (draft.cut.resection is not None) for draft in drafts])
    front = front_of_each(table, kind)
    # The best in each respect, then of every kind in turn those that leave most.
    first = list(dict.fromkeys(int(np.argmax(column)) for column in table[front].T))
    most = np.argsort(-table[front, 0], kind="stable")
    rank = np.zeros(len(front), dtype=np.int64)
    for each in np.unique(kind):
        of_kind = most[kind[front][most] == each]
        rank[of_kind] = np.arange(len(of_kind))
    order = [*first, *(n for n in np.argsort(rank, kind="stable").tolist() if n not in first)]
    kept = sorted(order[:MOST_MEASURED])
    return [drafts[front[n]] for n in kept], len(front) - len(kept)


def _chosen(
    draft: Draft,
    scores: Scores,
    treatments: list[Treatment],
    atoms: Arrangement,
    settings: SearchSettings,
) -> Chosen:
    piece = draft.cut.takes.astype(np.int64)
    # The last one first: what an earlier resection took is not the later one's.
    for n in reversed(draft.treatments):
        piece[atoms.zones[n]] = 2 + n
    return Chosen(
        plan_of(draft, treatments, settings),
        draft.procedures,
        _growth(settings) if draft.staged else None,
        float(scores.flr_ml[draft.row]),
        float(scores.cut_cm2[draft.row]),
        piece,
    )

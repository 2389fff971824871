"""Two-stage hepatectomy: what stage one clears, what has to grow, what stage two leaves (W1 to W9)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.assessment.systems.attested import Response
from flr_volumetry.assessment.systems.facts import LEFT, RIGHT
from flr_volumetry.resection import Ablation, WedgeResection

if TYPE_CHECKING:
    from flr_volumetry.assessment.model import Rule
    from flr_volumetry.assessment.pathway import Pathway
    from flr_volumetry.assessment.systems.facts import Facts
    from flr_volumetry.volumetry.forecast import Band
    from flr_volumetry.volumetry.measure import LesionFacts

ABLATION_MM = 30.0
"""Lesions below 3 cm become accessible to ablation (the review [12])."""
MANY_CYCLES, MANY_LESIONS, LARGE_MM = 6.0, 5, 50.0
"""More than 6 cycles (PMC4925205), more lesions (8 against 5, PMC2873649), 5 cm and more
(clinicsinsurgery 1141); where between 5 and 8 lesions the risk begins is not known: 5 taken (assumed)."""
NEVER_STAGE_TWO = (0.20, 0.30)
"""Share of patients who never reach stage two, by the review [43]; ranges, no prediction for one patient."""
COMPLETED = (0.57, 0.86)
"""Share who completed it in four series: LIGRO, PMC2873649, PMC4925205, hbsn 23008."""
FIGURES = (
    "By the review 20 to 30 % of patients never reach stage two, from progression [43]; up to 20 % of "
    "patients "
    "otherwise without an operation get a curative one (SEED).",
    "Completed: 57 % (LIGRO), 78 % (35 of 45, PMC2873649), 82 % (89 of 109, PMC4925205), 86 % (25 of 29, "
    "hbsn "
    "23008) (FOUND).",
    "Alive at three years, completed against not: 58 and 18 % (PMC2873649), 68 and 6 % (PMC4925205); major "
    "complications 26 % after stage two, 6 % after stage one; mortality at 90 days 7 and 0 % (FOUND).",
    "These are ranges of series; none is a prediction for this patient.",
)


class Side(Enum):
    """Half of the liver, by Couinaud segments."""

    RIGHT = "right"
    LEFT = "left"
    CAUDATE = "caudate"
    UNKNOWN = "unknown"


class How(Enum):
    """What clears a lesion."""

    WEDGE = "wedge"
    ABLATION = "ablation"
    HEPATECTOMY = "hepatectomy"
    NOTHING = "not_cleared"


@dataclass(frozen=True, slots=True)
class StagedLesion:
    """One lesion in the course of the plan.

    Parameters
    ----------
    number : int
        Its number.
    side : Side
        By the segment in which most of it lies; unknown without a segment map.
    how : How
        What clears it.
    stage : int
        In which stage, from 1; 0 if it is not cleared.
    grows_with_remnant : bool
        Whether it stays in the remnant while that is made to grow.
    warnings : tuple of str
        An ablation of 3 cm and more, for example.
    """

    number: int
    side: Side
    how: How
    stage: int
    grows_with_remnant: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Predictor:
    """A published predictor of not reaching stage two.

    Parameters
    ----------
    key : str
        Stable name.
    present : bool or None
        None if it is not known.
    said : str
        What was found, and its source.
    """

    key: str
    present: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class TwoStage:
    """A two-stage hepatectomy.

    Parameters
    ----------
    lesions : tuple of StagedLesion
        In order of their numbers.
    uncleared : tuple of int
        Numbers of the lesions that no stage clears.
    cleared_ml : float
        What stage one takes, lesions included, mL.
    to_grow_ml : float
        Functional remnant after clearing (D5), the volume that has to grow, mL.
    weeks : float or None
        From the procedure to stage two; None if the plan does not say.
    band : Band or None
        Forecast of the remnant at stage two.
    rules : tuple of (Rule, str, float, float)
        Of each rule judged: the rule, its protocol, the growth it asks for, and the probability of having
        reached it by stage two.
    predictors : tuple of Predictor
        Of not reaching stage two.
    figures : tuple of str
        What series report, as ranges.
    """

    lesions: tuple[StagedLesion, ...]
    uncleared: tuple[int, ...]
    cleared_ml: float
    to_grow_ml: float
    weeks: float | None
    band: Band | None
    rules: tuple[tuple[Rule, str, float, float], ...]
    predictors: tuple[Predictor, ...]
    figures: tuple[str, ...] = FIGURES


def two_stage_path(facts: Facts) -> TwoStage | None:
    """Follow a plan of two stages or more.

    Parameters
    ----------
    facts : Facts
        The case.

    Returns
    -------
    TwoStage or None
        None for a plan of one stage.

    Notes
    -----
    Every lesion in the remnant must be covered by a wedge or an ablation of stage one, or is named (W9).
    """
    if len(facts.plan.stages) < 2:
        return None
    wait = next((s.after for s in facts.plan.stages if s.after is not None), None)
    weeks = wait.weeks if wait is not None else None
    pathway = facts.assessment.pathway
    stage_one = facts.volumes.stages[0] if facts.volumes.stages else None
    return TwoStage(
        lesions=tuple(_staged(facts, lesion) for lesion in facts.lesions),
        uncleared=facts.uncleared,
        cleared_ml=stage_one.resected_ml + stage_one.ablated_ml if stage_one is not None else 0.0,
        to_grow_ml=facts.volumes.remnant_functional_ml,
        weeks=weeks,
        band=_band(pathway, weeks),
        rules=tuple(_rules(pathway, weeks)),
        predictors=_predictors(facts),
    )


def _staged(facts: Facts, lesion: LesionFacts) -> StagedLesion:
    how = _how(facts, lesion)
    stage, last = lesion.cleared_in_stage, len(facts.plan.stages)
    late = how in (How.WEDGE, How.ABLATION) and stage > 1
    warnings = []
    if how is How.NOTHING:
        warnings.append(f"not cleared: {lesion.remaining_ml:.2f} mL of it stay")
    if late:
        warnings.append(
            f"cleared in the remnant only in stage {stage}: it stays there while the remnant grows"
        )
    if how is How.ABLATION and lesion.longest_diameter_mm >= ABLATION_MM:
        warnings.append(f"ablation of {lesion.longest_diameter_mm:.1f} mm: 3 cm or more")
    if how is How.HEPATECTOMY and stage < last:
        warnings.append(f"goes with the hepatectomy of stage {stage}")
    return StagedLesion(lesion.number, _side(lesion), how, stage, how is How.NOTHING or late, tuple(warnings))


def _how(facts: Facts, lesion: LesionFacts) -> How:
    if not lesion.cleared:
        return How.NOTHING
    for cut in facts.plan.stages[lesion.cleared_in_stage - 1].resections:
        if isinstance(cut, Ablation) and lesion.number in cut.lesions:
            return How.ABLATION
        if isinstance(cut, WedgeResection) and lesion.number in cut.lesions:
            return How.WEDGE
    return How.HEPATECTOMY


def _side(lesion: LesionFacts) -> Side:
    if not lesion.segments:
        return Side.UNKNOWN
    main = lesion.segments[0]
    return Side.RIGHT if main in RIGHT else Side.LEFT if main in LEFT else Side.CAUDATE


def _band(pathway: Pathway | None, weeks: float | None) -> Band | None:
    if pathway is None or weeks is None:
        return None
    return next((b for b in pathway.bands if b.weeks == weeks), None)


def _rules(pathway: Pathway | None, weeks: float | None) -> list[tuple[Rule, str, float, float]]:
    found = []
    for forecast in pathway.rules if pathway is not None else ():
        probability = forecast.at(weeks) if weeks is not None else None
        if probability is not None:
            found.append((forecast.rule, forecast.protocol, forecast.required_growth, probability))
    return found


def _predictors(facts: Facts) -> tuple[Predictor, ...]:
    said, count, largest = facts.attested, len(facts.lesions), facts.largest_mm
    cycles, response = said.chemotherapy_cycles, said.chemotherapy_response
    return (
        Predictor(
            "many_cycles",
            None if cycles is None else cycles > MANY_CYCLES,
            "chemotherapy_cycles is not given under [attested]"
            if cycles is None
            else f"{cycles:g} cycles of chemotherapy before (more than 6: P = 0.009, PMC4925205)",
        ),
        Predictor(
            "many_lesions",
            count > MANY_LESIONS,
            f"{count} lesions (8 in those who failed, 5 in those who did not, PMC2873649)",
        ),
        Predictor(
            "large_lesion",
            None if largest is None else largest >= LARGE_MM,
            "no lesion was given"
            if largest is None
            else f"largest {largest:.1f} mm (5 cm and more, clinicsinsurgery 1141)",
        ),
        Predictor(
            "progression",
            None if response is None else response is Response.PROGRESSION,
            "chemotherapy_response is not given under [attested]"
            if response is None
            else f"{response.value} under chemotherapy (progression is the first reason for failure)",
        ),
    )

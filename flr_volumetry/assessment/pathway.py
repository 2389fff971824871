"""What embolization would have to do, and what it may do: growth asked for, and growth forecast."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.assessment.model import State
from flr_volumetry.errors import Caveat
from flr_volumetry.volumetry.forecast import (
    FORECAST_WEEKS,
    SEED_GROWTH,
    Band,
    Measurement,
    Technique,
    forecast,
)
from flr_volumetry.volumetry.patient import Parenchyma

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.indices import IndexTable
    from flr_volumetry.assessment.model import Finding, Index, Rule
    from flr_volumetry.resection import ResectionPlan
    from flr_volumetry.volumetry.forecast import Forecast, GrowthModel
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.patient import Patient

SAME_ML = 1e-6
"""Less than any voxel: a remnant with lesions in it differs by more, and they do not grow as liver does."""
PROCEDURES = {
    "pve": Technique.PVE,
    "pvl": Technique.PVE,
    "pve_s4": Technique.PVE_WITH_SEGMENT_4,
    "lvd": Technique.LVD,
    "alpps": Technique.ALPPS,
}
"""What a stage's `after` may name, and the growth it is held to give."""


class GrowthNeed(Enum):
    """Growth asked for against the review's 20 to 40 % in 2 to 4 weeks (clinical base 3.3)."""

    NONE = "none"
    """The threshold is reached."""
    WITHIN = "within_seed_range"
    """At most 20 %."""
    TYPICAL = "needs_seed_range"
    """20 to 40 %: the whole of what is typical."""
    BEYOND = "beyond_seed_range"
    """Above 40 %: segment 4, LVD or ALPPS come into discussion."""


@dataclass(frozen=True, slots=True)
class RuleForecast:
    """One rule, and how probable it is that growth reaches it.

    Parameters
    ----------
    rule : Rule
        The rule.
    protocol : str
        Key of the protocol it stands in.
    threshold_ml : float
        Functional remnant that it asks for, on the denominator of the scan, mL.
    required_growth : float
        Relative growth that reaches it (D16); 0 if it is reached.
    need : GrowthNeed
        That against the review's range.
    probabilities : tuple of (float, float)
        Weeks since the procedure, and the probability of having reached it.
    """

    rule: Rule
    protocol: str
    threshold_ml: float
    required_growth: float
    need: GrowthNeed
    probabilities: tuple[tuple[float, float], ...]

    def at(self, weeks: float) -> float | None:
        """Return the probability of having reached it by a week of the forecast, or None for another week."""
        return next((p for w, p in self.probabilities if w == weeks), None)


@dataclass(frozen=True, slots=True)
class ProtocolNeed:
    """Whether the evidence of one protocol points to embolization.

    Parameters
    ----------
    protocol : str
        Its key.
    state : State
        clear_below: some rule asks for more than the remnant has; borderline: none does clearly;
        clear_above: all are reached; not_evaluable: no rule could be evaluated.
    """

    protocol: str
    state: State


@dataclass(frozen=True, slots=True)
class GrowthOption:
    """What one technique may give.

    Parameters
    ----------
    technique : Technique
        How the remnant would be made to grow.
    model : GrowthModel
        What was assumed of it.
    bands : tuple of Band
        The remnant at the weeks of the forecast.
    rules : tuple of RuleForecast
        As those of the pathway, by this technique.
    """

    technique: Technique
    model: GrowthModel
    bands: tuple[Band, ...]
    rules: tuple[RuleForecast, ...]


@dataclass(frozen=True, slots=True)
class Pathway:
    """Growth that is asked for, and growth that may be had.

    Parameters
    ----------
    technique : Technique
        How the remnant would be made to grow.
    planned : bool
        Whether the plan names it; otherwise it shows what embolization could do.
    cirrhosis : bool
        Whether growth was taken as lowered by cirrhosis.
    model : GrowthModel
        What was assumed.
    bands : tuple of Band
        The remnant at 2, 3, 4 and 6 weeks, and at the week for which the plan sets the next stage.
    curve : tuple of Band
        The same every half week from the procedure on, to be drawn.
    rules : tuple of RuleForecast
        One for each rule that is made of the functional remnant and was evaluated.
    needs : tuple of ProtocolNeed
        One for each protocol.
    options : tuple of GrowthOption
        Every technique, this one included.
    methods : tuple of str
        Sentences for the methods section.
    caveats : tuple of Caveat
        A procedure that is not known.
    """

    technique: Technique
    planned: bool
    cirrhosis: bool
    model: GrowthModel
    bands: tuple[Band, ...]
    curve: tuple[Band, ...]
    rules: tuple[RuleForecast, ...]
    needs: tuple[ProtocolNeed, ...]
    options: tuple[GrowthOption, ...]
    methods: tuple[str, ...]
    caveats: tuple[Caveat, ...] = ()


def embolization_pathway(
    volumes: LiverVolumes,
    patient: Patient,
    findings: Sequence[Finding],
    table: IndexTable,
    plan: ResectionPlan | None = None,
) -> Pathway:
    """Forecast the remnant after embolization, and hold it against the rules.

    Parameters
    ----------
    volumes : LiverVolumes
        Counted; the functional remnant after the whole plan is what grows.
    patient : Patient
        Cirrhosis lowers growth.
    findings : sequence of Finding
        As judged.
    table : IndexTable
        The ratios they were judged on, with their errors.
    plan : ResectionPlan or None
        A stage that follows an embolization names the technique and the week.

    Returns
    -------
    Pathway
        Forecast and growth asked for.

    Notes
    -----
    Denominators are those of this scan: after embolization the other side shrinks and tumours may grow, so
    that a later scan's own volume is no fixed measure (clinical base 1.1).
    """
    technique, week = _planned(plan)
    cirrhosis = patient.parenchyma is Parenchyma.CIRRHOSIS
    flr = table.find("flr")
    sd_ml = flr.sd_numerator if flr is not None else 0.0
    baseline = Measurement(volumes.remnant_functional_ml, sd_ml)
    every = {t: forecast(baseline, t, cirrhosis=cirrhosis) for t in Technique}
    growth = every[technique or Technique.PVE]
    weeks = tuple(sorted({*FORECAST_WEEKS, *([week] if week is not None and week <= 52 else [])}))
    return Pathway(
        technique=technique or Technique.PVE,
        planned=technique is not None,
        cirrhosis=cirrhosis,
        model=growth.model,
        bands=tuple(growth.at(w) for w in weeks),
        curve=tuple(growth.at(0.5 * n) for n in range(int(2 * weeks[-1]) + 1)),
        rules=tuple(_rules(findings, table, growth, weeks)),
        needs=tuple(_needs(findings)),
        options=tuple(
            GrowthOption(t, f.model, tuple(f.at(w) for w in weeks), tuple(_rules(findings, table, f, weeks)))
            for t, f in every.items()
        ),
        caveats=tuple(_unknown(plan)),
        methods=(_sentence(growth.model, cirrhosis=cirrhosis),),
    )


def _planned(plan: ResectionPlan | None) -> tuple[Technique | None, float | None]:
    for stage in plan.stages if plan is not None else ():
        technique = PROCEDURES.get(stage.after.procedure.lower()) if stage.after else None
        if stage.after and technique is not None:
            return technique, stage.after.weeks
    return None, None


def _unknown(plan: ResectionPlan | None) -> list[Caveat]:
    """Point out a procedure of which no growth is known: the forecast then shows another."""
    names = [s.after.procedure for s in plan.stages if s.after] if plan is not None else []
    return [
        Caveat(
            "growth_of_procedure_unknown",
            f"No growth is known of the procedure {name!r} before a stage; forecast are "
            f"{', '.join(PROCEDURES)}. "
            "What is shown is portal vein embolization, as what it could do.",
        )
        for name in names
        if name.lower() not in PROCEDURES
    ]


def _rules(
    findings: Sequence[Finding], table: IndexTable, growth: Forecast, weeks: tuple[float, ...]
) -> list[RuleForecast]:
    found, flr = [], table.find("flr")
    for finding in findings:
        index = table.find(finding.rule.index)
        if finding.value is None or index is None or not _same_remnant(index, flr):
            continue
        asked_ml = finding.rule.threshold * index.denominator_amount
        needed = finding.required_growth or 0.0
        found.append(
            RuleForecast(
                finding.rule,
                finding.protocol,
                asked_ml,
                needed,
                growth_need(needed),
                tuple((w, growth.probability_at_least(asked_ml, weeks=w)) for w in weeks),
            )
        )
    return found


def _same_remnant(index: Index, flr: Index | None) -> bool:
    """Tell whether a ratio counts the functional remnant, and no lesions that stay in it."""
    return flr is not None and abs(index.numerator_ml - flr.numerator_ml) <= SAME_ML


def growth_need(required_growth: float) -> GrowthNeed:
    """Place a required growth against the review's 20 to 40 % in 2 to 4 weeks.

    Parameters
    ----------
    required_growth : float
        Relative growth (D16), a fraction.

    Returns
    -------
    GrowthNeed
        Clinical base 3.3.

    Examples
    --------
    >>> growth_need(0.294).value
    'needs_seed_range'
    """
    low, high = SEED_GROWTH
    if required_growth <= 0:
        return GrowthNeed.NONE
    if required_growth <= low:
        return GrowthNeed.WITHIN
    return GrowthNeed.TYPICAL if required_growth <= high else GrowthNeed.BEYOND


def _needs(findings: Sequence[Finding]) -> list[ProtocolNeed]:
    needs = []
    for protocol in dict.fromkeys(f.protocol for f in findings):
        mine = [f for f in findings if f.protocol == protocol and f.volumetric]
        states = {f.state for f in mine} - {State.NOT_EVALUABLE}
        order = (State.CLEAR_BELOW, State.BORDERLINE, State.CLEAR_ABOVE)
        needs.append(ProtocolNeed(protocol, next((s for s in order if s in states), State.NOT_EVALUABLE)))
    return needs


def _sentence(model: GrowthModel, *, cirrhosis: bool) -> str:
    low, high = model.band_80
    first, last = model.tau_weeks
    lowered = "; lowered by 0.6 to 0.8 for cirrhosis (assumed)" if cirrhosis else ""
    return (
        f"Growth is forecast as FLR (1 + G (1 - exp(-t / tau))), G {100 * model.median:.0f} % (80 % band "
        f"{100 * low:.0f} to {100 * high:.0f} %), tau {first:g} to {last:g} weeks{lowered}: {model.source} "
        f"({model.evidence}). It is a distribution over patients, not a promise for one."
    )

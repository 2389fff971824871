"""How sure the numbers are, and what would change them: for report.json, the page and the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flr_volumetry.assessment.model import State
from flr_volumetry.report import wording
from flr_volumetry.volumetry.uncertainty import STAGE_AMOUNTS, interval_around, stage_amount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.model import Finding, Summary
    from flr_volumetry.assessment.sensitivity import Sensitivity, Share
    from flr_volumetry.assessment.wording import Disagreement
    from flr_volumetry.volumetry.measure import LesionFacts, SegmentVolume, StageVolumes
    from flr_volumetry.volumetry.uncertainty import VolumeErrors

Json = dict[str, Any]
Interval = tuple[float, float]

FORECAST_WEEK = 4.0
"""Week of the forecast that the headline names: the end of the review's 2 to 4 weeks."""
SEVEREST = (State.CLEAR_BELOW, State.BORDERLINE, State.CLEAR_ABOVE)


def segment_interval(summary: Summary, segment: SegmentVolume) -> Interval | None:
    """Return the 95 % interval of a segment's volume, mL, or None."""
    errors = summary.assessment.errors
    return errors.segment_interval(segment.segment, segment.ml) if errors is not None else None


def lesion_interval(summary: Summary, lesion: LesionFacts) -> Interval | None:
    """Return the 95 % interval of a lesion's volume, mL, or None."""
    known = summary.assessment.errors.lesion(lesion.number) if summary.assessment.errors else None
    return known.ml_interval if known is not None else None


def margin_interval(summary: Summary, lesion: LesionFacts) -> Interval | None:
    """Return the 95 % interval of a lesion's margin, mm, or None."""
    known = summary.assessment.errors.lesion(lesion.number) if summary.assessment.errors else None
    return known.margin_interval_mm if known is not None else None


def stage_interval(summary: Summary, stage: StageVolumes, name: str) -> Interval | None:
    """Return the 95 % interval of an amount of a stage, mL, or None."""
    errors, amount = summary.assessment.errors, stage_amount(stage.number, name)
    if errors is None or amount not in errors.names:
        return None
    return errors.interval(amount, getattr(stage, name))


def congested_interval(summary: Summary) -> Interval | None:
    """Return the 95 % interval of the congested part of the remnant, mL, or None."""
    errors, outflow = summary.assessment.errors, summary.consequences.outflow
    if errors is None or errors.congested_sd_ml is None or outflow is None:
        return None
    return interval_around(outflow.ml, errors.congested_sd_ml)


@dataclass(frozen=True, slots=True)
class Change:
    """What would take a remnant across one threshold.

    Parameters
    ----------
    finding : Finding
        The rule, as judged.
    growth : str
        Relative growth that reaches it (D16); empty if it is reached.
    cut_mm : float or None
        How far the cuts would have to move, to first order: outwards of the remnant if it is missed, else
        how far inwards they could. None if it is not known.
    """

    finding: Finding
    growth: str
    cut_mm: float | None

    @property
    def cut_words(self) -> str:
        """For people; empty if it is not known."""
        if self.cut_mm is None:
            return ""
        way = "towards the specimen" if self.cut_mm > 0 else "to spare"
        return f"{abs(self.cut_mm):.1f} mm {way}"


def changes(summary: Summary) -> list[Change]:
    """Return what would change each volumetric rule, those missed first.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    list of Change
        D15 stands in the finding itself.
    """
    errors = summary.assessment.errors
    rate = errors.cut_ml_per_mm if errors is not None else None
    found = []
    for finding in summary.assessment.findings:
        if finding.volumetric and finding.margin_ml is not None:
            cut_mm = -finding.margin_ml / rate if rate else None
            found.append(Change(finding, wording.growth(finding), cut_mm))
    return sorted(found, key=lambda change: change.finding.margin_ml or 0.0)


@dataclass(frozen=True, slots=True)
class AtAGlance:
    """One protocol in one line.

    Parameters
    ----------
    title : str
        Of the protocol.
    state : State or None
        The severest that a rule of it met; None if none was evaluated.
    findings : tuple of Finding
        The rules in that state, the largest deficit first.
    others : tuple of (State, str)
        The other states met, and the rules.
    """

    title: str
    state: State | None
    findings: tuple[Finding, ...]
    others: tuple[tuple[State, str], ...]


def at_a_glance(summary: Summary) -> list[AtAGlance]:
    """Return each protocol in one line, the severest rules first.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    list of AtAGlance
        Only protocols with volumetric rules that were evaluated.
    """
    lines = []
    for protocol in summary.assessment.protocols:
        mine = [f for f in summary.assessment.findings if f.protocol == protocol.key and f.volumetric]
        by_state = {s: [f for f in mine if f.state is s] for s in SEVEREST}
        met = [s for s in SEVEREST if by_state[s]]
        if met:
            severest = sorted(by_state[met[0]], key=lambda f: f.margin_ml or 0.0)
            others = tuple((s, ", ".join(f.rule.id for f in by_state[s])) for s in met[1:])
            lines.append(AtAGlance(protocol.title, met[0], tuple(severest), others))
    return lines


def next_step(summary: Summary) -> str:
    """Return what the rules missed or hardly reached point to, in one line; empty if there are none.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    str
        Growth asked for, and how probable it is to be had: evidence, never an order.
    """
    open_rules = [c for c in changes(summary) if c.finding.state is not State.CLEAR_ABOVE]
    if not open_rules:
        return ""
    hardest = open_rules[0].finding
    if not open_rules[0].growth:
        return (
            f"{hardest.rule.id} is reached, but within the error: {wording.missing_ml(hardest)}, probability "
            f"{wording.probability(hardest.probability_above)}."
        )
    said = f"{hardest.rule.id} needs the remnant to grow by {open_rules[0].growth}"
    pathway = summary.assessment.pathway
    if pathway is None or not pathway.bands:
        return f"{said}."
    how = wording.TECHNIQUES[pathway.technique] + ("" if pathway.planned else " (not in the plan)")
    band = next((b for b in pathway.bands if b.weeks >= FORECAST_WEEK), pathway.bands[-1])
    forecast = next((r for r in pathway.rules if r.rule.id == hardest.rule.id), None)
    if forecast is not None and forecast.probabilities:
        known = dict(forecast.probabilities)
        if band.weeks in known:
            chance = wording.probability(known[band.weeks])
            return f"{said}: probability {chance} {band.weeks:g} weeks after {how}."
    low, high = band.band_80_ml
    return (
        f"{said}; forecast {band.weeks:g} weeks after {how}: {low:.0f} to {high:.0f} mL (80 % of patients), "
        f"{wording.quantity(low / summary.volumes.remnant_functional_ml - 1, 'fraction')} to "
        f"{wording.quantity(high / summary.volumes.remnant_functional_ml - 1, 'fraction')} more."
    )


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One denominator of the sensitivity panel.

    Parameters
    ----------
    share : Share
        With its own body surface formula.
    spread : tuple of float or None
        Least and greatest share over all body surface formulas; None if it needs none.
    flips : tuple of str
        Rules whose threshold lies between this share and their own.
    """

    share: Share
    spread: Interval | None
    flips: tuple[str, ...]


def share_rows(panel: Sensitivity) -> list[ShareRow]:
    """Return the sensitivity panel, one row for each denominator, the smallest share first."""
    rows = []
    for share in panel.shares:
        if not share.own_surface:
            continue
        values = [s.value for s in panel.shares if s.key == share.key]
        flips = tuple(f.rule for f in panel.flips if share.key in f.otherwise_on)
        rows.append(ShareRow(share, (min(values), max(values)) if len(values) > 1 else None, flips))
    return sorted(rows, key=lambda row: row.share.value)


def stage_intervals_json(summary: Summary, stage: StageVolumes) -> Json:
    """Return the intervals of a stage's amounts, as plain values."""
    return {f"{name}_interval": plain(stage_interval(summary, stage, name)) for name in STAGE_AMOUNTS}


def plain(interval: Interval | None) -> list[float] | None:
    """Return an interval as a list, or None."""
    return None if interval is None else [float(v) for v in interval]


def uncertainty_json(errors: VolumeErrors | None) -> Json:
    """Return what the intervals are made of, as plain values.

    Parameters
    ----------
    errors : VolumeErrors or None
        As they were estimated.

    Returns
    -------
    dict
        `sources` with what each alone makes uncertain; empty where errors are a share of the volumes.
    """
    if errors is None:
        return {"sources": [], "cut_ml_per_mm": None}
    return {
        "sources": [
            {
                "name": s.name,
                "remnant_sd_ml": float(s.remnant_sd_ml),
                "liver_sd_ml": float(s.liver_sd_ml),
                "flr_sd": float(s.flr_sd),
            }
            for s in errors.sources
        ],
        "cut_ml_per_mm": None if errors.cut_ml_per_mm is None else float(errors.cut_ml_per_mm),
    }


def sensitivity_json(panel: Sensitivity | None) -> Json:
    """Return the same remnant on every denominator, as plain values."""
    if panel is None:
        return {"shares": [], "left_out": [], "flips": []}
    return {
        "shares": [
            {
                "denominator": s.key,
                "title": s.title,
                "body_surface": s.surface,
                "own_body_surface": s.own_surface,
                "liver_ml": float(s.liver_ml),
                "value": float(s.value),
                "evidence": s.evidence,
            }
            for s in panel.shares
        ],
        "left_out": [{"formula": key, "reason": why} for key, why in panel.left_out],
        "flips": [
            {
                "rule": f.rule,
                "protocol": f.protocol,
                "threshold": float(f.threshold),
                "reached": f.reached,
                "otherwise_on": list(f.otherwise_on),
            }
            for f in panel.flips
        ],
    }


def disagreements_json(found: Sequence[Disagreement]) -> list[Json]:
    """Return disagreements, as plain values."""
    return [
        {
            "protocols": list(d.protocols),
            "above": list(d.above),
            "below": list(d.below),
            "sentence": d.sentence,
        }
        for d in found
    ]


def panel_sentence(panel: Sensitivity) -> str:
    """Return in one sentence how far the share moves with the denominator, and which rules would flip."""
    low, high = (
        f"{wording.quantity(share.value, 'fraction')} ({_named(share)})"
        for share in (panel.least, panel.most)
    )
    said = f"On other denominators the same remnant is {low} to {high}"
    rules = ", ".join(dict.fromkeys(f.rule for f in panel.flips))
    return f"{said}; it would cross {rules} on some." if rules else f"{said}; no rule would flip."


def _named(share: Share) -> str:
    return f"{share.key} {share.title}" + ("" if share.own_surface else f", {share.surface}")

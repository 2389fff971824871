"""Findings in sentences: what the evidence supports under which protocol, and whether they disagree."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.assessment.model import FRACTION, State
from flr_volumetry.assessment.units import UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.indices import IndexTable
    from flr_volumetry.assessment.model import Finding, Protocol
    from flr_volumetry.volumetry.formulas import LiverEstimate

SMALL = 0.02
"""Fractions below it (ratios to body weight) are written with three decimals."""


class Support(Enum):
    """What the evaluated rules of one protocol say together."""

    SUPPORTS = "supports"
    EQUIVOCAL = "is equivocal about"
    AGAINST = "does not support"
    NONE = "cannot be judged"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Rules that do not say the same of one remnant.

    Parameters
    ----------
    protocols : tuple of str
        Keys of the protocols between which it is; one, if it is among its own rules.
    above, below : tuple of str
        Rules that this remnant lies clearly above, and clearly below.
    sentence : str
        For people.
    """

    protocols: tuple[str, ...]
    above: tuple[str, ...]
    below: tuple[str, ...]
    sentence: str


def amount_text(value: float, unit: str) -> str:
    """Return a ratio as people read it: percent, or the amount with its unit."""
    if unit == "mL/m2":
        return f"{value:.0f} {unit}"
    if unit != FRACTION:
        return UNITS[unit].text(value)
    return f"{100 * value:.3f} %" if abs(value) < SMALL else f"{100 * value:.1f} %"


def threshold_text(threshold: float, unit: str) -> str:
    """Return a threshold as its source prints it, without rounding it."""
    return f"{100 * threshold:.6g} %" if unit == FRACTION else UNITS[unit].text(threshold, exact=True)


def support(findings: Sequence[Finding]) -> Support:
    """Return what rules of one protocol say together; equivocal unless all say the same.

    Parameters
    ----------
    findings : sequence of Finding
        Of one protocol.

    Returns
    -------
    Support
        NONE if no rule was evaluable.
    """
    views = {finding.met for finding in findings if finding.state is not State.NOT_EVALUABLE}
    if not views:
        return Support.NONE
    if views == {True}:
        return Support.SUPPORTS
    return Support.AGAINST if views == {False} else Support.EQUIVOCAL


def conclude(protocols: Sequence[Protocol], findings: Sequence[Finding]) -> tuple[str, ...]:
    """Write the conclusion: a sentence on each protocol, then whether they disagree.

    Parameters
    ----------
    protocols : sequence of Protocol
        As applied.
    findings : sequence of Finding
        Of all of them.

    Returns
    -------
    tuple of str
        Sentences; evidence, never an order.
    """
    own = {p.key: [f for f in findings if f.protocol == p.key] for p in protocols}
    sentences = [_protocol_sentence(p, own[p.key]) for p in protocols]
    sentences.extend(found.sentence for found in disagreements(protocols, findings))
    return tuple(sentences)


def _protocol_sentence(protocol: Protocol, findings: Sequence[Finding]) -> str:
    name = f"{protocol.title} ({protocol.key}, version {protocol.version})"
    judged = [f for f in findings if f.state is not State.NOT_EVALUABLE]
    if not judged:
        return f"No rule of {name} could be evaluated: {_reasons(findings)}."
    clauses = "; ".join(_clause(f) if f.volumetric else _function_clause(f) for f in judged)
    what = "Volumetric evidence" if any(f.volumetric for f in judged) else "Evidence of liver function"
    return f"{what} {support(judged).value} the planned remnant under {name}: {clauses}."


def _reasons(findings: Sequence[Finding]) -> str:
    """Say why rules were not evaluated, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for finding in findings:
        by_reason.setdefault(finding.reason.split(";")[0].rstrip("."), []).append(finding.rule.id)
    return "; ".join(f"{reason} ({', '.join(ids)})" for reason, ids in by_reason.items())


def _clause(finding: Finding) -> str:
    rule = finding.rule
    words = {
        State.CLEAR_ABOVE: "clearly above",
        State.BORDERLINE: "close to",
        State.CLEAR_BELOW: "clearly below",
    }
    value, margin_ml = finding.value or 0.0, finding.margin_ml or 0.0
    spare = f"{margin_ml:.0f} mL to spare" if margin_ml >= 0 else f"{-margin_ml:.0f} mL short"
    asked = "more than" if rule.strict else "at least"
    clause = (
        f"{rule.id} asks for {asked} {threshold_text(rule.threshold, rule.unit)} of {rule.denominator}, and "
        f"{amount_text(value, rule.unit)} is {words[finding.state]} it, {spare} ({rule.citation.text})"
    )
    return f"{clause}: {rule.effect_below}" if finding.state is State.CLEAR_BELOW else clause


ASKED = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}
"""Comparisons in words."""


def _function_clause(finding: Finding) -> str:
    rule, value = finding.rule, finding.value or 0.0
    clause = (
        f"{rule.id} asks for {ASKED[rule.op]} {threshold_text(rule.threshold, rule.unit)}, and it is "
        f"{amount_text(value, rule.unit)}, {'as asked for' if finding.met else 'not as asked for'} "
        f"({rule.citation.text})"
    )
    return clause if finding.met else f"{clause}: {effect(finding)}"


def effect(finding: Finding) -> str:
    """Return what the source says of values on the side where this one clearly lies; empty if on neither."""
    sides = {State.CLEAR_ABOVE: finding.rule.effect_above, State.CLEAR_BELOW: finding.rule.effect_below}
    return sides.get(finding.state, "")


def disagreements(protocols: Sequence[Protocol], findings: Sequence[Finding]) -> tuple[Disagreement, ...]:
    """Find where protocols, or rules of one of them, do not say the same of a remnant.

    Parameters
    ----------
    protocols : sequence of Protocol
        As applied.
    findings : sequence of Finding
        Of all of them.

    Returns
    -------
    tuple of Disagreement
        Between protocols first; empty if all agree.
    """
    own = {p.key: [f for f in findings if f.protocol == p.key] for p in protocols}
    found = []
    views = {key: view for key, mine in own.items() if (view := support(mine)) is not Support.NONE}
    if len(set(views.values())) > 1:
        said = "; ".join(f"{key} {view.value} the planned remnant" for key, view in views.items())
        above, below = (
            tuple(f.rule.id for f in findings if f.volumetric and f.state is state)
            for state in (State.CLEAR_ABOVE, State.CLEAR_BELOW)
        )
        found.append(Disagreement(tuple(views), above, below, f"The protocols disagree: {said}."))
    for protocol in protocols:
        judged = [f for f in own[protocol.key] if f.volumetric]
        above = tuple(f.rule.id for f in judged if f.state is State.CLEAR_ABOVE)
        below = tuple(f.rule.id for f in judged if f.state is State.CLEAR_BELOW)
        if above and below:
            sentence = (
                f"The rules of {protocol.key} disagree among themselves: clearly above {', '.join(above)}, "
                f"clearly below {', '.join(below)}."
            )
            found.append(Disagreement((protocol.key,), above, below, sentence))
    return tuple(found)


def spread_range(table: IndexTable, estimates: Sequence[LiverEstimate]) -> tuple[float, float]:
    """Return the least and the greatest FLR share over all denominators and formulas."""
    flr, gross = table.find("flr"), table.find("flr_of_total")
    shares = [index.value for index in (flr, gross) if index is not None]
    remnant_ml = flr.numerator_ml if flr is not None else 0.0
    shares.extend(remnant_ml / estimate.ml for estimate in estimates)
    return min(shares), max(shares)


def spread_sentence(table: IndexTable, estimates: Sequence[LiverEstimate]) -> str:
    """Write how far the share of the same remnant moves with the choice of denominator.

    Parameters
    ----------
    table : IndexTable
        Holding the measured shares.
    estimates : sequence of LiverEstimate
        In mL; empty without height and weight.

    Returns
    -------
    str
        One sentence for the methods section.
    """
    flr, gross = table.find("flr"), table.find("flr_of_total")
    if flr is None or gross is None:
        return ""
    text = (
        f"The same remnant is {amount_text(flr.value, FRACTION)} of the functional volume (D8) and "
        f"{amount_text(gross.value, FRACTION)} of the total volume (D9)"
    )
    if not estimates:
        return f"{text}; estimated volumes need height and weight."
    most = max(estimates, key=lambda estimate: estimate.ml)
    least = min(estimates, key=lambda estimate: estimate.ml)
    low, high = flr.numerator_ml / most.ml, flr.numerator_ml / least.ml
    return (
        f"{text}, and from {amount_text(low, FRACTION)} ({most.formula.key}, {most.formula.title}, "
        f"{most.ml:.0f} mL) to {amount_text(high, FRACTION)} ({least.formula.key}, {least.formula.title}, "
        f"{least.ml:.0f} mL) of the volume estimated by {len(estimates)} published formulas."
    )

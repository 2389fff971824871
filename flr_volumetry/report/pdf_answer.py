"""The first page of the printed report: the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flr_volumetry.report import certainty, cut_words, wording
from flr_volumetry.report.caveat_words import doubts_and_notes
from flr_volumetry.report.pdf_blocks import new_line, small, state, strong, styled

if TYPE_CHECKING:
    from flr_volumetry.assessment.model import Finding, Summary
    from flr_volumetry.report.pdf_blocks import Span, Text

BESIDE = ("sflr", "flr_per_body_weight")
"""Indices said beside the main one."""
NAMED_RULES = 2
"""Rules of a protocol said in full; the others are named."""


def answer(summary: Summary) -> dict[str, Any]:
    """Return what the first page says before anything else.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    dict
        The remnant in mL and as a share with intervals, whether lesions are cleared, each protocol in a
        line, the next step, and how many caveats there are.
    """
    volumes, intervals = summary.volumes, summary.assessment.volume_intervals
    main = wording.index_of(summary, wording.MAIN_INDEX)
    interval = wording.ml_interval(intervals.get("remnant_functional_ml"))
    amounts: list[dict[str, Any]] = [
        {
            "amount": wording.whole_ml(volumes.remnant_functional_ml),
            "detail": [f"95 % interval {interval}"] if interval else [],
        }
    ]
    if main is not None:
        within = wording.quantity_interval(main.interval, main.unit)
        amounts.append(
            {
                "amount": wording.quantity(main.value, main.unit),
                "detail": ["95 % interval ", strong(within), f" of {main.denominator}"],
            }
        )
    return {
        "title": "Future liver remnant (FLR) after the whole plan",
        "amounts": amounts,
        "lines": _lines(summary),
    }


def _lines(summary: Summary) -> list[Text]:
    return [
        *_lesions(summary),
        *_protocols(summary),
        *_next_step(summary),
        *_beside(summary),
        *_stays(summary),
        *_warnings(summary),
    ]


def _lesions(summary: Summary) -> list[Text]:
    said = wording.clearance(summary)
    if not said:
        return []
    if wording.all_cleared(summary):
        return [[strong(f"{said}.")]]
    return [[styled(f"▼ {said}", "below")]]


def _protocols(summary: Summary) -> list[Text]:
    lines = []
    seen = set()
    for line in certainty.at_a_glance(summary):
        seen.add(line.title)
        spans: Text = [strong(line.title)]
        for finding in line.findings[:NAMED_RULES]:
            spans += [new_line(), *_rule(finding)]
        more = ", ".join(finding.rule.id for finding in line.findings[NAMED_RULES:])
        if more and line.state is not None:
            spans += [new_line(), small(f"also {wording.STATES[line.state].words}: {more}")]
        for other, rules in line.others:
            spans += [new_line(), state(other), small(f" {rules}")]
        lines.append(spans)
    for protocol in summary.assessment.protocols:
        mine = [f for f in summary.assessment.findings if f.protocol == protocol.key]
        if protocol.title not in seen and not any(f.value is not None for f in mine):
            lines.append([strong(f"{protocol.title}: "), "no rule could be evaluated"])
    return lines


def _rule(finding: Finding) -> list[Span]:
    rule = finding.rule
    value = wording.quantity(finding.value, rule.unit) if finding.value is not None else ""
    return [
        state(finding.state),
        f" {rule.id}, {wording.threshold(finding)} of {rule.denominator}: {value}, ",
        strong(wording.missing_ml(finding)),
    ]


def _next_step(summary: Summary) -> list[Text]:
    step = certainty.next_step(summary)
    return [[strong("What next "), small("(evidence, not an order)"), new_line(), step]] if step else []


def _beside(summary: Summary) -> list[Text]:
    lines: list[Text] = []
    for index in summary.assessment.indices:
        if index.key in BESIDE:
            interval = wording.quantity_interval(index.interval, index.unit)
            value = wording.quantity(index.value, index.unit)
            lines.append([f"{index.title}: ", strong(value), f" ({interval}) of {index.denominator}"])
    return lines


def _stays(summary: Summary) -> list[Text]:
    """Return what the cut means for what stays, beyond its volume."""
    rows = [
        *wording.consequence_rows(summary.consequences),
        ("Cut surface", cut_words.cut_words(summary)),
    ]
    spans: Text = [strong("What stays "), small("(geometric hints; collaterals are not known)")]
    for what, found in rows:
        spans += [new_line(), f"{what}: {found}"]
    return [spans]


def _warnings(summary: Summary) -> list[Text]:
    lines: list[Text] = []
    states = {f.state for f in summary.assessment.findings if f.volumetric}
    if len(states) > 1:
        said = "The rules do not agree;"
        lines.append([strong(said), " each stands for its own population and denominator."])
    doubts, _ = doubts_and_notes(summary)
    if doubts:
        words = "caveat" if len(doubts) == 1 else "caveats"
        lines.append([styled(f"{len(doubts)} {words}: read before using these numbers.", "borderline")])
    return lines

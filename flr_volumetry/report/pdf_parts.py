"""What follows the first page of the printed report: the facts, and what they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.assessment.model import State
from flr_volumetry.assessment.units import UNITS
from flr_volumetry.assessment.wording import effect
from flr_volumetry.report import certainty, cut_words, wording
from flr_volumetry.report.caveat_words import doubts_and_notes
from flr_volumetry.report.page import VOLUME_ROWS
from flr_volumetry.report.pdf_blocks import (
    Column,
    bullets,
    heading,
    new_line,
    paragraph,
    side_by_side,
    small,
    small_print,
    state,
    strong,
    styled,
    table,
    with_interval,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.model import Finding, Summary
    from flr_volumetry.assessment.pathway import Pathway
    from flr_volumetry.report.pdf_blocks import Block, Text
    from flr_volumetry.volumetry.measure import LesionFacts


def volumes(summary: Summary) -> list[Block]:
    """Return the amounts, the ratios and the segments."""
    intervals = summary.assessment.volume_intervals
    amounts = table(
        (Column("Amount", 1), Column("Volume", number=True), Column("95 % interval", number=True)),
        [
            (title, wording.ml(getattr(summary.volumes, name)), wording.ml_interval(intervals.get(name)))
            for name, title in VOLUME_ROWS
        ],
        dense=True,
    )
    beside = [_segments(summary)] if summary.volumes.segments else []
    blocks = [heading("Volumes"), side_by_side([amounts], beside, share=0.47) if beside else amounts]
    if summary.assessment.indices:
        blocks.append(_indices(summary))
    return blocks


def _segments(summary: Summary) -> Block:
    total = summary.volumes.total_ml
    return table(
        (
            Column("Segment", 1),
            Column("Volume", number=True),
            Column("95 % interval", number=True),
            Column("Share", number=True),
            Column("Stays", number=True),
            Column("Goes", number=True),
        ),
        [
            (
                ROMAN.get(s.segment, "not assigned"),
                wording.ml(s.ml),
                wording.ml_interval(certainty.segment_interval(summary, s)),
                wording.share(s.ml, total),
                wording.ml(s.remnant_ml),
                wording.ml(s.ml - s.remnant_ml),
            )
            for s in summary.volumes.segments
        ],
        dense=True,
    )


def _indices(summary: Summary) -> Block:
    return table(
        (
            Column("Ratio", 3),
            Column("Value", number=True),
            Column("95 % interval", number=True),
            Column("Denominator", 2),
        ),
        [
            (
                index.title,
                wording.quantity(index.value, index.unit),
                wording.quantity_interval(index.interval, index.unit),
                index.denominator,
            )
            for index in wording.shown_indices(summary)
        ],
        dense=True,
    )


def stages(summary: Summary) -> list[Block]:
    """Return the plan, stage by stage."""
    rows = []
    for stage in summary.volumes.stages:
        resected = certainty.stage_interval(summary, stage, "resected_ml")
        left = certainty.stage_interval(summary, stage, "remnant_functional_ml")
        rows.append(
            (
                f"{stage.number}. {stage.name}",
                stage.after,
                "; ".join(stage.resections),
                with_interval(wording.ml(stage.resected_ml), wording.ml_interval(resected)),
                wording.ml(stage.ablated_ml),
                with_interval(wording.ml(stage.remnant_functional_ml), wording.ml_interval(left)),
                wording.ml(stage.remnant_ml),
            )
        )
    columns = (
        Column("Stage", 1),
        Column("Before it", 1),
        Column("Takes", 2),
        Column("Resected", number=True),
        Column("Ablated", number=True),
        Column("Left, lesions excluded", number=True),
        Column("Left, included", number=True),
    )
    return [
        heading("The plan"),
        table(
            columns, rows, caption="Volumes of the scan: growth between stages is not in them.", dense=True
        ),
    ]


def lesions(summary: Summary) -> list[Block]:
    """Return the lesions with their margins."""
    if not summary.volumes.lesions:
        return [heading("Lesions and margins"), paragraph("No lesion was given.")]
    beside = {row[0]: row[1:] for row in cut_words.neighbour_rows(summary)}
    columns = (
        Column("Lesion", 1),
        Column("Where", 1.4),
        Column("Volume", number=True),
        Column("Diameter", number=True),
        Column("Margin", number=True),
        Column("Cleared"),
        Column("Vessels", 2),
    )
    rows = []
    for lesion in summary.volumes.lesions:
        title = wording.lesion_title(lesion)
        near = beside.get(title, ("", ""))
        volume = wording.ml_interval(certainty.lesion_interval(summary, lesion))
        margin = wording.mm_interval(certainty.margin_interval(summary, lesion))
        rows.append(
            (
                title,
                lesion.location or "no segment map",
                with_interval(wording.ml(lesion.ml), volume),
                f"{lesion.longest_diameter_mm:.1f} mm",
                with_interval(wording.margin(lesion), margin),
                _cleared(lesion),
                near[0] or "no vessel mask",
            )
        )
    caption = (
        "Margin: the smallest distance from the lesion's surface to the tissue that stays. "
        "Diameter: the longest in three dimensions. Small: 95 % intervals."
    )
    return [heading("Lesions and margins"), table(columns, rows, caption=caption, dense=True)]


def _cleared(lesion: LesionFacts) -> Text:
    if lesion.cleared:
        return [f"in stage {lesion.cleared_in_stage}"]
    return [styled("▼ not cleared", "below")]


def growth(summary: Summary) -> list[Block]:
    """Return the forecast of growth, and the course of a plan of two stages."""
    pathway = summary.assessment.pathway
    if pathway is None:
        return []
    how = wording.TECHNIQUES[pathway.technique]
    planned = "as planned" if pathway.planned else "not in the plan: what it could do"
    weeks = [Column(f"{band.weeks:g} weeks", number=True) for band in pathway.bands]
    options = table(
        (Column("Technique", 1), *weeks),
        [
            (
                wording.TECHNIQUES[option.technique],
                *(
                    with_interval(wording.ml(b.median_ml), wording.ml_interval(b.band_80_ml))
                    for b in option.bands
                ),
            )
            for option in pathway.options
        ],
        caption=f"Functional remnant since {how} ({planned}): median and central 80 % of patients, not a "
        "promise for one.",
        dense=True,
    )
    return [
        heading("If the remnant is made to grow"),
        options,
        paragraph(small(_rests_on(pathway))),
        *_reaching(pathway),
        *_two_stages(summary),
    ]


def _rests_on(pathway: Pathway) -> str:
    sources = (
        f"{wording.TECHNIQUES[option.technique]}: {option.model.source} ({option.model.evidence})"
        for option in pathway.options
    )
    return f"Rests on: {'; '.join(sources)}."


def _reaching(pathway: Pathway) -> list[Block]:
    asked = [rule for rule in pathway.rules if rule.required_growth]
    if not asked:
        return []
    weeks = [Column(f"{band.weeks:g} weeks", number=True) for band in pathway.bands]
    columns = (
        Column("Rule", 1.2),
        Column("Asks for", number=True),
        Column("Growth", number=True),
        Column("Against the 2014 review", 2),
        *weeks,
    )
    rows: list[tuple[Text | str, ...]] = [
        (
            [rule.rule.id, small(f" {rule.protocol}")],
            wording.ml(rule.threshold_ml),
            wording.quantity(rule.required_growth, "fraction"),
            wording.GROWTH_NEEDS[rule.need],
            *(wording.probability(probability) for _, probability in rule.probabilities),
        )
        for rule in asked
    ]
    caption = (
        f"Rules not reached now: the growth asked for, and the probability of having reached each after "
        f"{wording.TECHNIQUES[pathway.technique]}."
    )
    return [table(columns, rows, caption=caption, dense=True)]


def _two_stages(summary: Summary) -> list[Block]:
    path = summary.two_stage
    if path is None:
        return []
    said: Text = [
        f"Stage one takes {wording.ml(path.cleared_ml)}. What has to grow is the functional remnant after "
        "clearing (D5): ",
        strong(wording.ml(path.to_grow_ml)),
    ]
    if path.band is not None and path.weeks is not None:
        said.append(
            f"; {path.weeks:g} weeks after the procedure it is forecast at {wording.ml(path.band.median_ml)} "
            f"(central 80 %: {wording.ml_interval(path.band.band_80_ml)})"
        )
    known = {True: "present", False: "absent", None: "not known"}
    predictors = "; ".join(f"{p.key.replace('_', ' ')} {known[p.present]}" for p in path.predictors)
    blocks = [paragraph(*said, ".")]
    if predictors:
        blocks.append(paragraph(strong("Predictors of not reaching stage two: "), f"{predictors}."))
    return blocks


def findings(summary: Summary) -> list[Block]:
    """Return every rule with its value, state and source."""
    blocks = [heading("Findings and their sources")]
    found = [f for f in summary.assessment.findings if f.volumetric]
    if found:
        blocks.append(_volumetric(summary, found))
    tested = [
        f for f in summary.assessment.findings if f.state is not State.NOT_EVALUABLE and not f.volumetric
    ]
    if tested:
        blocks.append(_tested(tested))
    blocks += [paragraph(strong(d.sentence)) for d in summary.assessment.disagreements]
    return blocks


def notes(summary: Summary) -> list[Block]:
    """Return what the numbers rest on, in small type: caveats, rules left out, systems, methods."""
    parts = [*_caveats(summary), *_not_evaluated(summary), *_systems(summary), *_methods(summary)]
    return [small_print(parts)]


def _volumetric(summary: Summary, found: Sequence[Finding]) -> Block:
    columns = (
        Column("Rule", 2.4),
        Column("Asks for", 1.6),
        Column("Value", number=True),
        Column("State", 1.35),
        Column("Remnant", 1.1, number=True),
        Column("Source and evidence", 2.8),
    )
    rows: list[tuple[Text | str, ...]] = []
    for protocol in summary.assessment.protocols:
        mine = [f for f in found if f.protocol == protocol.key]
        if mine:
            rows.append(([strong(f"{protocol.title} ({protocol.key}, version {protocol.version})")],))
            rows += [_finding_row(finding) for finding in mine]
    return table(columns, rows, dense=True)


def _finding_row(finding: Finding) -> tuple[Text | str, ...]:
    rule = finding.rule
    value = wording.quantity(finding.value, rule.unit) if finding.value is not None else ""
    judged: Text = [state(finding.state)]
    if finding.probability_above is not None:
        judged += [new_line(), small(f"probability {wording.probability(finding.probability_above)}")]
    distance = [wording.missing_ml(finding)]
    if wording.points(finding):
        distance.append(f"{wording.points(finding)} points")
    if wording.growth(finding):
        distance.append(f"growth {wording.growth(finding)}")
    via = f"; read in {rule.citation.via}" if rule.citation.via else ""
    return (
        [strong(rule.id), f" {rule.title}", new_line(), small(rule.population)],
        [wording.threshold(finding), new_line(), small(f"of {rule.denominator}")],
        with_interval(value, wording.quantity_interval(finding.interval, rule.unit)),
        judged,
        [distance[0], *(part for words in distance[1:] for part in (new_line(), small(words)))],
        [
            f"{rule.citation.text}{via}",
            new_line(),
            small(f"{rule.evidence.value}: {wording.EVIDENCE[rule.evidence]}"),
        ],
    )


def _tested(found: Sequence[Finding]) -> Block:
    columns = (
        Column("Test of function", 2.2),
        Column("Asks for", 1.2),
        Column("Value", number=True),
        Column("Met"),
        Column("What the source says", 2),
        Column("Source", 2),
    )
    rows = [
        (
            [strong(f.rule.id), f" {f.rule.title}"],
            wording.threshold(f).replace("_", " "),
            wording.quantity(f.value, f.rule.unit).replace("_", " ") if f.value is not None else "",
            [styled("● yes", "above") if f.met else styled("○ no", "below")],
            effect(f),
            [f.rule.citation.text, new_line(), small(f.rule.evidence.value)],
        )
        for f in found
    ]
    return table(columns, rows, dense=True)


def _not_evaluated(summary: Summary) -> list[Block]:
    """Return the rules that were not evaluated, those with one reason together."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for finding in summary.assessment.findings:
        if finding.state is State.NOT_EVALUABLE:
            reasons.setdefault((finding.protocol, finding.reason), []).append(finding.rule.id)
    lines = [[strong(", ".join(rules)), f" ({key}): {why}"] for (key, why), rules in reasons.items()]
    return [heading("Rules not evaluated"), bullets(lines)] if lines else []


def function(summary: Summary) -> list[Block]:
    """Return the tests of liver function, if any were given."""
    tests = summary.assessment.function
    if tests is None or not tests.quantities:
        return []
    columns = (Column("Test", 1.4), Column("Value", number=True), Column("How", 3))
    rows = [
        (q.title, UNITS[q.unit].text(q.value).replace("_", " "), [small(q.method)]) for q in tests.quantities
    ]
    said = "They stand beside the volume, never instead of it; a test that was not made is not passed."
    return [heading("Liver function"), table(columns, rows, caption=said, dense=True)]


def _systems(summary: Summary) -> list[Block]:
    """Return each system of the literature in one line."""
    lines = [[strong(f"{c.title}: "), c.sentence, small(f" {c.citation.text}.")] for c in summary.checklists]
    return [heading("Systems of the literature"), bullets(lines)] if lines else []


def _caveats(summary: Summary) -> list[Block]:
    """Return what bears on the numbers, then how the vessels were followed."""
    doubts, followed = doubts_and_notes(summary)
    lines = [[strong(f"{c.code}: "), c.message] for c in doubts]
    lines += [[f"{c.code}: ", small(c.message)] for c in followed]
    said = [] if doubts else [paragraph("No step found anything doubtful in the volumes.")]
    return [heading("Caveats"), *said, *([bullets(lines)] if lines else [])]


def _methods(summary: Summary) -> list[Block]:
    """Return the methods, and from what the report was made."""
    made = summary.provenance
    protocols = ", ".join(f"{p.key} {p.version}" for p in summary.assessment.protocols)
    libraries = ", ".join(f"{name} {version}" for name, version in made.libraries)
    inputs = [
        [strong(f"{i.role}: "), f"{i.path}, {i.description}", new_line(), styled(i.sha256, "hash")]
        for i in made.inputs
    ]
    about = paragraph(
        f"flr_volumetry {made.version}, started {made.started}; protocols {protocols}; {libraries}. "
        "SHA-256 of the case file and of each input:",
        new_line(),
        styled(made.case_sha256, "hash"),
    )
    return [
        heading("Methods"),
        paragraph(" ".join(summary.methods)),
        heading("Provenance"),
        about,
        *([bullets(inputs)] if inputs else []),
    ]

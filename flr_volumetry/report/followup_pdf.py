"""followup.pdf: the facts of followup.html on A4 pages, set as report.pdf is."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from flr_volumetry.report import wording
from flr_volumetry.report.followup_page import COUNTED, HEADS, course_row, growth_rows, headline
from flr_volumetry.report.pdf import CLOSING, clean_content, typeset
from flr_volumetry.report.pdf_blocks import (
    Column,
    bullets,
    heading,
    new_line,
    paragraph,
    picture,
    small,
    small_print,
    state,
    strong,
    styled,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.followup_model import FollowUp, RuleState
    from flr_volumetry.report.canvas import ReportFigure
    from flr_volumetry.report.pdf_blocks import Block, Text

COURSE_HEADS = ("Baseline", "Now", "What became of it", "Then", "Now", "Volume", "Side")


def followup_pdf_bytes(
    result: FollowUp, figures: Sequence[ReportFigure], *, version: str, made: dt.datetime
) -> bytes:
    """Return a follow-up as a PDF of A4 pages.

    Parameters
    ----------
    result : FollowUp
        What was found.
    figures : sequence of ReportFigure
        As `flr_volumetry.report.followup_page.followup_figures` draws them, the curve first.
    version : str
        Of flr_volumetry.
    made : datetime.datetime
        When, with its time zone: the date of the document.

    Returns
    -------
    bytes
        As `flr_volumetry.report.pdf.pdf_bytes` makes them: PDF/A-2a and PDF/UA-1.

    Raises
    ------
    OutputError
        If the typesetter refuses the document.
    """
    technique = wording.TECHNIQUES[result.setting.technique]
    on = f" on {result.setting.procedure.isoformat()}" if result.setting.procedure else ""
    last = result.scans[-1]
    lines: list[Text] = [[line] for line in headline(result)]
    if result.caveats:
        count = len(result.caveats)
        said = f"{count} {'caveat' if count == 1 else 'caveats'}: read before using these numbers."
        lines.append([styled(said, "borderline")])
    content: dict[str, Any] = {
        "title": f"Growth of the future liver remnant, baseline {result.baseline.name}",
        "made": list(made.astimezone(dt.UTC).timetuple()[:6]),
        "patient": f"{technique}{on}; weeks {COUNTED[result.counted_from]}",
        "dates": f"assessed {made.astimezone(dt.UTC).isoformat(timespec='seconds')}",
        "disclaimer": wording.DISCLAIMER,
        "program": f"flr_volumetry {version}",
        "closing": CLOSING,
        "answer": {
            "title": f"Future liver remnant at {last.scan.name}",
            "amounts": [
                {"amount": wording.whole_ml(last.scan.remnant.value), "detail": []},
                {"amount": f"{100 * last.relative.fraction:+.1f} %", "detail": ["relative growth"]},
            ],
            "lines": lines,
        },
        "plan": [],
        "blocks": [*_growth(result, figures), *_thresholds(result), *_lesions(result), *_notes(result)],
    }
    return typeset(clean_content(content))


def _growth(result: FollowUp, figures: Sequence[ReportFigure]) -> list[Block]:
    columns = [Column(head, number=head == "weeks") for head in HEADS]
    shown = [Column(c.title, 0 if c.number else 1.0, c.number) for c in columns]
    caption = f"All shares, DH and KGR on one fixed denominator: {result.denominator.words}."
    return [
        *(picture(figure) for figure in figures[:1]),
        heading("Growth"),
        table(shown, growth_rows(result), caption=caption, dense=True),
        *(picture(figure, width=0.8) for figure in figures[1:]),
    ]


def _thresholds(result: FollowUp) -> list[Block]:
    if not result.baseline_states:
        return []
    columns = [
        Column("Rule", 1.4),
        Column("Asks for", number=True),
        Column("Baseline", 1),
        *(Column(growth.scan.name, 1) for growth in result.scans),
    ]
    rows: list[tuple[Text | str, ...]] = []
    for number, base in enumerate(result.baseline_states):
        judged = [base, *(growth.states[number] for growth in result.scans)]
        rows.append(
            (
                [strong(base.rule.rule), small(f" {base.rule.protocol}")],
                wording.ml(base.rule.asked_ml),
                *(_state(one) for one in judged),
            )
        )
    caption = "Each rule on the denominator it had at baseline, not on the liver of the day."
    return [heading("Thresholds"), table(columns, rows, caption=caption, dense=True)]


def _state(judged: RuleState) -> Text:
    return [state(judged.state), new_line(), small(f"probability {wording.probability(judged.probability)}")]


def _lesions(result: FollowUp) -> list[Block]:
    blocks: list[Block] = []
    columns = [Column(head, 1.0) for head in COURSE_HEADS]
    for growth in result.scans:
        if growth.scan.courses:
            rows = [course_row(course) for course in growth.scan.courses]
            blocks += [heading(growth.scan.name, 2), table(columns, rows, dense=True)]
    return [heading("Lesions"), *blocks] if blocks else []


def _notes(result: FollowUp) -> list[Block]:
    doubts = dict.fromkeys([*result.caveats, *(c for growth in result.scans for c in growth.caveats)])
    lines = [[strong(f"{c.code}: "), c.message] for c in doubts]
    parts = [heading("Caveats"), bullets(lines)] if lines else []
    return [small_print([*parts, heading("Methods"), paragraph(" ".join(result.methods))])]

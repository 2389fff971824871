"""report.html: one self-contained page, the answer first.

It asks for nothing beyond itself, and a content security policy holds it to that.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.assessment.function import FUNCTION_UNITS
from flr_volumetry.assessment.model import State
from flr_volumetry.assessment.units import UNITS
from flr_volumetry.assessment.wording import effect
from flr_volumetry.report import certainty, cut_words, wording
from flr_volumetry.report.canvas import FigureKind
from flr_volumetry.report.caveat_words import doubts_and_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from flr_volumetry.assessment.model import Finding, Protocol, Summary
    from flr_volumetry.report.canvas import ReportFigure
    from flr_volumetry.report.viewer import Viewer

PAGE_TEMPLATE = "page.html.j2"


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page.

    Parameters
    ----------
    key : str
        Its anchor; its template is ``<key>.html.j2``.
    title : str
        Its heading.
    """

    key: str
    title: str


SECTIONS = (
    Section("answer", "Answer"),
    Section("viewer", "In 3D"),
    Section("caveats", "Caveats"),
    Section("pictures", "Pictures"),
    Section("volumes", "Volumes"),
    Section("stages", "Stages"),
    Section("lesions", "Lesions and margins"),
    Section("consequences", "Consequences for what stays"),
    Section("pathway", "If the remnant is made to grow"),
    Section("two_stage", "Two stages"),
    Section("function", "Liver function"),
    Section("checklists", "Systems of the literature"),
    Section("change", "What would change it"),
    Section("findings", "Findings and their sources"),
    Section("ladder", "Ladder of thresholds"),
    Section("sensitivity", "The same remnant on every denominator"),
    Section("methods", "Methods"),
    Section("provenance", "Provenance"),
)
"""The order of the page."""

STATE_ORDER = (State.CLEAR_BELOW, State.BORDERLINE, State.CLEAR_ABOVE)

VOLUME_ROWS = (
    ("remnant_functional_ml", "Future liver remnant (FLR), lesions excluded"),
    ("remnant_ml", "Remnant, lesions in it included"),
    ("resected_ml", "Resected, lesions included"),
    ("ablated_ml", "Ablated, lesions included"),
    ("total_ml", "Liver, lesions included (TLV)"),
    ("tumour_ml", "Lesions inside the liver (TV)"),
    ("functional_ml", "Liver without lesions (FTLV)"),
)

PATIENT_WORDS = (
    ("sex", "sex", ""),
    ("age", "age", " years"),
    ("height_cm", "height", " cm"),
    ("weight_kg", "weight", " kg"),
    ("parenchyma", "parenchyma", ""),
    ("chemotherapy_weeks", "chemotherapy", " weeks"),
)


def render_html(summary: Summary, figures: Sequence[ReportFigure] = (), viewer: Viewer | None = None) -> str:
    """Return the report of a case as one self-contained HTML page.

    Parameters
    ----------
    summary : Summary
        The assessed case.
    figures : sequence of ReportFigure
        As `figures` draws them; they are embedded.
    viewer : Viewer or None
        The interactive view, as `viewer_of` makes it; embedded too.

    Returns
    -------
    str
        Opens offline; every text of the case is escaped.
    """
    template = environment().get_template(PAGE_TEMPLATE)
    findings, panel = summary.assessment.findings, summary.assessment.sensitivity
    doubts, notes = doubts_and_notes(summary)
    return template.render(
        summary=summary,
        doubts=doubts,
        notes=notes,
        sections=SECTIONS,
        figures=figures,
        viewer=viewer,
        patient=patient_words(summary),
        evaluated=[f for f in findings if f.volumetric],
        tested=[f for f in findings if f.state is not State.NOT_EVALUABLE and not f.volumetric],
        effect=effect,
        units=UNITS,
        not_evaluated=[f for f in findings if f.state is State.NOT_EVALUABLE],
        panel=_panel(summary),
        rules_disagree=_rules_disagree(summary),
        next_steps=_next_steps(summary),
        volume_rows=VOLUME_ROWS,
        roman=ROMAN,
        kind=FigureKind,
        words=wording,
        sure=certainty,
        glance=certainty.at_a_glance(summary),
        next_step=certainty.next_step(summary),
        changed=certainty.changes(summary),
        shares=certainty.share_rows(panel) if panel is not None else [],
        cut=cut_words,
    )


@cache
def environment() -> Environment:
    """Return the templates of all pages, compiled once a process; texts are escaped and cleaned."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("flr_volumetry.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    return environment


def _finalize(value: Any) -> Any:
    """Clean each text on its way to the page; markup made by the templates passes."""
    return wording.clean(value) if type(value) is str else value


def patient_words(summary: Summary) -> list[str]:
    """Return what is known of the patient, for people; empty if nothing is."""
    words = []
    for name, title, unit in PATIENT_WORDS:
        value = getattr(summary.patient, name)
        if value is not None:
            shown = f"{value:g}" if isinstance(value, int | float) else value.value
            words.append(f"{title} {shown}{unit}")
    return words


def _panel(summary: Summary) -> list[tuple[Protocol, list[tuple[State, list[str]]]]]:
    """Return for each protocol the states met, deficits first, and the rules in each; none if none was."""
    panel = []
    for protocol in summary.assessment.protocols:
        if all(rule.index in FUNCTION_UNITS for rule in protocol.rules):
            continue
        mine = [f for f in summary.assessment.findings if f.protocol == protocol.key]
        states = [(state, [f.rule.id for f in mine if f.state is state]) for state in STATE_ORDER]
        panel.append((protocol, [(state, rules) for state, rules in states if rules]))
    return panel


def _rules_disagree(summary: Summary) -> bool:
    states = {f.state for f in summary.assessment.findings if f.volumetric}
    return len(states) > 1


def _next_steps(summary: Summary) -> list[tuple[State, str, list[Finding]]]:
    """Return what the sources say of such values, deficits first."""
    steps: dict[tuple[State, str], list[Finding]] = {}
    for finding in (f for f in summary.assessment.findings if f.volumetric):
        for said in _effects(finding):
            steps.setdefault((finding.state, said), []).append(finding)
    listed = [(state, said, findings) for (state, said), findings in steps.items()]
    return sorted(listed, key=lambda step: STATE_ORDER.index(step[0]))


def _effects(finding: Finding) -> list[str]:
    """Return what a source says of values on this side; of a borderline one, what it says of either."""
    below, above = finding.rule.effect_below, finding.rule.effect_above
    said = {
        State.CLEAR_BELOW: [below],
        State.BORDERLINE: [f"if below: {below}" if below else "", f"if above: {above}" if above else ""],
        State.CLEAR_ABOVE: [above],
        State.NOT_EVALUABLE: [],
    }
    return [words for words in said[finding.state] if words]

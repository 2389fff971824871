"""The summary for a terminal: the answer first, then what it rests on.

Nothing but plain words and ASCII signs is added to what the case says, and no colour
carries a meaning of its own; on a pipe the output is plain text.
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from flr_volumetry.assessment.model import State
from flr_volumetry.assessment.two_stage import COMPLETED, NEVER_STAGE_TWO
from flr_volumetry.report import certainty, cut_words, wording
from flr_volumetry.report.caveat_words import doubts_and_notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import JustifyMethod, RenderableType
    from rich.table import Table

    from flr_volumetry.assessment.function import FunctionTable
    from flr_volumetry.assessment.model import Finding, Summary
    from flr_volumetry.assessment.pathway import Pathway
    from flr_volumetry.assessment.two_stage import TwoStage

FINDING_HEADS = ("rule", "index", "asks for", "value", "state", "margin")
STYLES = {
    State.CLEAR_ABOVE: "bold blue",
    State.BORDERLINE: "bold yellow",
    State.CLEAR_BELOW: "bold red",
    State.NOT_EVALUABLE: "dim",
}


def summary_table(summary: Summary) -> RenderableType:
    """Return the summary of a case as something a rich console can print.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    RenderableType
        Made for 80 to 100 columns; a console that is no terminal prints it without colours.
    """
    from rich.console import Group

    return Group(*_parts(summary))


def summary_text(summary: Summary, *, width: int = 80) -> str:
    """Return the summary of a case as plain text.

    Parameters
    ----------
    summary : Summary
        The assessed case.
    width : int
        Columns.

    Returns
    -------
    str
        Lines of at most `width` characters, without escape sequences.
    """
    from rich.console import Console

    buffer = StringIO()
    console = Console(
        file=buffer, width=width, no_color=True, color_system=None, force_terminal=False, force_jupyter=False
    )
    console.print(summary_table(summary))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def _parts(summary: Summary) -> Iterator[RenderableType]:
    yield from _answer(summary)
    if any(f.volumetric for f in summary.assessment.findings):
        yield from (_heading("Thresholds"), *_findings(summary))
    panel = summary.assessment.sensitivity
    if panel is not None:
        yield _item(certainty.panel_sentence(panel))
    doubts, notes = doubts_and_notes(summary)
    if doubts:
        yield from (_heading("Caveats"), *(_item(c.message) for c in doubts))
    yield from (_heading("Volumes"), _indented(_volumes(summary)))
    if summary.volumes.stages:
        yield from (_heading("Stages"), _indented(_stages(summary)))
    if summary.volumes.lesions:
        yield from (_heading("Lesions"), _indented(_lesions(summary)))
        if summary.neighbours and cut_words.neighbour_rows(summary):
            yield _indented(_neighbours(summary))
    yield from (_heading("Consequences for what stays"), _indented(_consequences(summary)))
    function = summary.assessment.function
    if function is not None and function.quantities:
        yield from (_heading("Liver function"), _indented(_function(summary, function)))
    pathway = summary.assessment.pathway
    if pathway is not None:
        planned = "as planned" if pathway.planned else "not in the plan: what it could do"
        yield _heading(f"After {wording.TECHNIQUES[pathway.technique]} ({planned})")
        yield _indented(_growth(pathway))
    if summary.two_stage is not None:
        yield from (_heading("Two stages"), _indented(_two_stages(summary.two_stage)))
    if summary.checklists:
        yield _heading("Systems of the literature (evidence, never an order)")
        yield _indented(_checklists(summary))
    if summary.assessment.conclusion:
        yield from (_heading("In words"), *(_item(sentence) for sentence in summary.assessment.conclusion))
    if notes:
        yield from (_heading("How the vessels were followed"), *(_item(c.message) for c in notes))
    yield from _not_evaluable(summary)
    yield from _footer(summary)


def _answer(summary: Summary) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(f"Case {wording.clean(summary.case_id)}", style="dim")
    yield Text(wording.clean(wording.headline(summary)), style="bold")
    if summary.volumes.lesions:
        yield Text(wording.clearance(summary), style="" if wording.all_cleared(summary) else "bold red")
    for line in certainty.at_a_glance(summary):
        hardest = line.findings[0]
        how = f"{wording.STATES[hardest.state].words} {hardest.rule.id} ({wording.short_threshold(hardest)})"
        yield Text(
            wording.clean(f"{line.title}: {how}, {wording.missing_ml(hardest)}"), style=STYLES[hardest.state]
        )
    following = certainty.next_step(summary)
    if following:
        yield Text(wording.clean(f"Next: {following}"))


def _heading(title: str) -> RenderableType:
    from rich.text import Text

    return Text(f"\n{title}", style="bold underline")


def _item(sentence: str) -> RenderableType:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    bullet = Table.grid(padding=(0, 1))
    bullet.add_row(Text("-"), Text(wording.clean(sentence)))
    return Padding(bullet, (0, 0, 0, 1))


def _indented(table: RenderableType) -> RenderableType:
    from rich.padding import Padding

    return Padding(table, (0, 0, 0, 2))


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _findings(summary: Summary) -> Iterator[RenderableType]:
    """Yield one table for each protocol, their columns aligned."""
    from rich.text import Text

    met = [f for f in summary.assessment.findings if f.volumetric]
    rows = {id(f): _finding_cells(f) for f in met}
    widths = [max(len(cells[n]) for cells in [FINDING_HEADS, *rows.values()]) for n in range(6)]
    for protocol in dict.fromkeys(f.protocol for f in met):
        yield Text(wording.clean(protocol), style="italic")
        table = _table()
        table.show_header = protocol == met[0].protocol
        for head, width in zip(FINDING_HEADS, widths, strict=True):
            side: JustifyMethod = "right" if head in {"value", "margin"} else "left"
            table.add_column(head, justify=side, min_width=min(width, 20), overflow="fold")
        for finding in met:
            if finding.protocol == protocol:
                cells = [Text(cell) for cell in rows[id(finding)]]
                cells[4].stylize(STYLES[finding.state])
                table.add_row(*cells)
        yield _indented(table)


def _finding_cells(finding: Finding) -> tuple[str, ...]:
    assert finding.value is not None
    return (
        wording.clean(finding.rule.id),
        wording.clean(finding.rule.index),
        wording.short_threshold(finding),
        wording.quantity(finding.value, finding.rule.unit),
        wording.STATES[finding.state].words,
        wording.signed_ml(finding),
    )


def _volumes(summary: Summary) -> RenderableType:
    from rich.text import Text

    volumes, intervals = summary.volumes, summary.assessment.volume_intervals
    rows = {
        "remnant_functional_ml": "future liver remnant, lesions excluded",
        "remnant_ml": "remnant, lesions included",
        "resected_ml": "resected",
        "ablated_ml": "ablated",
        "total_ml": "liver, lesions included",
        "tumour_ml": "lesions",
        "functional_ml": "liver, lesions excluded (FTLV)",
    }
    table = _table("", "mL", "95 % interval", right=("mL",))
    for name, title in rows.items():
        interval = wording.ml_interval(intervals.get(name))
        if name == "ablated_ml" and not volumes.ablated_ml:
            interval = ""
        table.add_row(Text(title), wording.ml(getattr(volumes, name)), interval)
    for index in wording.shown_indices(summary):
        value = wording.quantity(index.value, index.unit)
        interval = wording.quantity_interval(index.interval, index.unit)
        table.add_row(Text(wording.clean(index.title)), value, interval)
    return table


def _stages(summary: Summary) -> RenderableType:
    from rich.text import Text

    table = _table("stage", "takes", "resected", "ablated", "left", right=("resected", "ablated", "left"))
    for stage in summary.volumes.stages:
        name = f"{stage.number} {stage.name}" + (f" ({stage.after})" if stage.after else "")
        takes = "; ".join(stage.resections)
        amounts = (stage.resected_ml, stage.ablated_ml, stage.remnant_functional_ml)
        table.add_row(
            Text(wording.clean(name)), Text(wording.clean(takes)), *(wording.ml(amount) for amount in amounts)
        )
    return table


def _lesions(summary: Summary) -> RenderableType:
    from rich.text import Text

    table = _table("lesion", "mL", "diameter", "where", "margin", "95 %", "cleared", right=("mL", "diameter"))
    for lesion in summary.volumes.lesions:
        cleared = f"in stage {lesion.cleared_in_stage}" if lesion.cleared else "NOT CLEARED"
        table.add_row(
            Text(wording.lesion_title(lesion)),
            wording.ml(lesion.ml),
            f"{lesion.longest_diameter_mm:.1f} mm",
            Text(wording.clean(lesion.location)),
            wording.margin(lesion),
            wording.mm_interval(certainty.margin_interval(summary, lesion)),
            Text(cleared, style="" if lesion.cleared else "bold red"),
        )
    return table


def _neighbours(summary: Summary) -> RenderableType:
    from rich.text import Text

    table = _table("lesion", "to vessels", "to other segments")
    for row in cut_words.neighbour_rows(summary):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _consequences(summary: Summary) -> RenderableType:
    from rich.text import Text

    table = _table("", "")
    table.show_header = False
    for title, said in wording.consequence_rows(summary.consequences):
        table.add_row(Text(title.lower()), Text(said))
    table.add_row(Text("cut surface"), Text(cut_words.cut_words(summary)))
    if summary.consequences.outflow is not None:
        for effective in summary.consequences.effective:
            title = f"remnant, congested counted {wording.retained(effective.retained_function)}"
            share = wording.share(effective.ml, summary.volumes.functional_ml)
            table.add_row(Text(title), Text(f"{wording.ml(effective.ml)}, {share} of FTLV"))
    for finding in summary.assessment.congestion:
        name = wording.clean(f"{finding.rule.id} with congestion")
        table.add_row(Text(name), Text(wording.VEIN_QUESTIONS[finding.question]))
    return table


def _function(summary: Summary, function: FunctionTable) -> RenderableType:
    from rich.text import Text

    table = _table("", "")
    table.show_header = False
    for quantity in function.quantities:
        value = wording.quantity(quantity.value, quantity.unit).replace("_", " ")
        table.add_row(Text(quantity.title), Text(value))
    if function.map_share is not None:
        by_map, by_volume = function.map_share.remnant_share, function.map_share.volume_share
        said = f"{wording.quantity(by_map, 'fraction')}, by volume {wording.quantity(by_volume, 'fraction')}"
        table.add_row(Text("share of function by the map"), Text(said))
    for finding in summary.assessment.findings:
        if finding.met is None or finding.volumetric:
            continue
        how = "as asked for" if finding.met else "NOT as asked for"
        title = f"{wording.clean(finding.rule.id)} asks for {wording.threshold(finding)}".replace("_", " ")
        table.add_row(Text(title), Text(how, style="" if finding.met else "bold red"))
    return table


def _two_stages(path: TwoStage) -> RenderableType:
    from rich.text import Text

    table = _table("", "")
    table.show_header = False
    for lesion in path.lesions:
        stage = f"in stage {lesion.stage}" if lesion.stage else ""
        words = [f"{lesion.side.value} side, {lesion.how.value.replace('_', ' ')} {stage}".strip()]
        bad = lesion.grows_with_remnant
        said = "; ".join([*words, *lesion.warnings])
        table.add_row(Text(f"lesion {lesion.number}"), Text(said, style="bold red" if bad else ""))
    table.add_row(Text("has to grow (D5)"), Text(wording.ml(path.to_grow_ml)))
    if path.band is not None:
        band = f"{wording.ml(path.band.median_ml)}, central 80 % {wording.ml_interval(path.band.band_80_ml)}"
        table.add_row(Text(f"at stage two, {path.band.weeks:g} weeks"), Text(band))
    for predictor in path.predictors:
        if predictor.present:
            table.add_row(Text("predictor of failure"), Text(predictor.said))
    done, never = ([f"{100 * share:.0f}" for share in pair] for pair in (COMPLETED, NEVER_STAGE_TWO))
    series = f"{' to '.join(done)} % complete it; {' to '.join(never)} % never do, by the review"
    table.add_row(Text("in series"), Text(series))
    return table


def _checklists(summary: Summary) -> RenderableType:
    from rich.text import Text

    table = _table("", "")
    table.show_header = False
    for checklist in summary.checklists:
        table.add_row(Text(checklist.title), Text(wording.clean(checklist.sentence)))
    return table


def _growth(pathway: Pathway) -> RenderableType:
    """Return the forecast, and for the rules not yet reached how probable they are to be."""
    from rich.text import Text

    table = _table("", *(f"{b.weeks:g} weeks" for b in pathway.bands))
    table.add_row(Text("remnant, median"), *(wording.ml(b.median_ml) for b in pathway.bands))
    table.add_row(
        Text("central 80 %"), *(f"{b.band_80_ml[0]:.0f} to {b.band_80_ml[1]:.0f} mL" for b in pathway.bands)
    )
    for need in pathway.needs:
        said = wording.NEEDS[need.state].split(":")[0]
        table.add_row(Text(wording.clean(f"growth first, by {need.protocol}")), Text(said))
    for rule in pathway.rules:
        if rule.required_growth:
            needed = wording.quantity(rule.required_growth, "fraction")
            title = f"P({rule.rule.id}), asks {needed} growth"
            table.add_row(
                Text(wording.clean(title)), *(wording.probability(p) for _, p in rule.probabilities)
            )
    return table


def _not_evaluable(summary: Summary) -> Iterator[RenderableType]:
    open_findings = [f for f in summary.assessment.findings if f.state is State.NOT_EVALUABLE]
    if not open_findings:
        return
    yield _heading(f"Rules not evaluated ({len(open_findings)})")
    by_reason: dict[str, list[Finding]] = {}
    for finding in open_findings:
        by_reason.setdefault(finding.reason, []).append(finding)
    for reason, findings in by_reason.items():
        yield _item(f"{', '.join(f.rule.id for f in findings)}: {reason}")


def _footer(summary: Summary) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text("")
    provenance = summary.provenance
    protocols = ", ".join(f"{p.key} {p.version}" for p in summary.assessment.protocols)
    yield Text(wording.clean(f"flr_volumetry {provenance.version}; protocols: {protocols}"), style="dim")
    yield Text(wording.DISCLAIMER, style="dim")

"""followup.html and its summary: growth first, what it rests on after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.assessment.followup import DH_CUT, KGR_CUT
from flr_volumetry.assessment.followup_model import CountedFrom
from flr_volumetry.assessment.lesion_growth import LesionChange
from flr_volumetry.report import canvas, wording
from flr_volumetry.report.canvas import FigureKind, ReportFigure
from flr_volumetry.report.followup_chart import CarriedView, carried_picture, growth_chart
from flr_volumetry.report.followup_document import followup_json, followup_schema
from flr_volumetry.report.page import environment
from flr_volumetry.volumetry.uncertainty import amount_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.followup_model import FollowUp, ScanGrowth
    from flr_volumetry.assessment.lesion_growth import LesionCourse

__all__ = [
    "CarriedView",
    "followup_figures",
    "followup_json",
    "followup_schema",
    "followup_text",
    "render_followup",
]

CHANGES = {
    LesionChange.SEEN_AGAIN: "seen again",
    LesionChange.NEW: "new",
    LesionChange.GONE: "not seen again",
    LesionChange.REMOVED: "removed in a stage carried out",
    LesionChange.MERGED: "merged",
    LesionChange.SPLIT: "in several parts",
}
COUNTED = {
    CountedFrom.PROCEDURE: "since the procedure",
    CountedFrom.BASELINE_SCAN: "since the baseline scan",
    CountedFrom.NOTHING: "dates not known",
}
HEADS = ("scan", "weeks", "remnant", "share", "growth", "DH", "KGR", "other side", "lesions")


def followup_figures(result: FollowUp, views: Sequence[CarriedView]) -> tuple[ReportFigure, ...]:
    """Draw the growth curve and each carried plan.

    Parameters
    ----------
    result : FollowUp
        What was found.
    views : sequence of CarriedView
        The carried plans.

    Returns
    -------
    tuple of ReportFigure
        The curve first.
    """
    words = "; ".join(
        f"{g.scan.name}: {wording.ml(g.scan.remnant.value)}, {_growth_words(g)}" for g in result.scans
    )
    curve = ReportFigure(
        "growth",
        FigureKind.FORECAST,
        f"Growth of the remnant, weeks {COUNTED[result.counted_from]}",
        "Points: measured, with 95 % interval. Grey: foretold at baseline, blue: foretold now, median and "
        "central 80 %. Dashed: what the rules named ask for, on the denominators of the baseline.",
        words,
        canvas.picture_of(growth_chart(result)),
    )
    return (curve, *(_carried(number, view) for number, view in enumerate(views, start=1)))


def _carried(number: int, view: CarriedView) -> ReportFigure:
    counted = (
        " The scan's own plan was counted; this one shows what the baseline's would be."
        if view.own_plan
        else ""
    )
    return ReportFigure(
        f"carried_{number}",
        FigureKind.PLAN,
        f"The plan of {view.baseline_name} on {view.name}",
        "Planes through corresponding points. Blue stays, orange goes, yellow is the cut. Check that the cut "
        f"passes the same vessels at both dates.{counted}",
        f"Three pictures of {view.baseline_name} and three of {view.name} with the cut.",
        carried_picture(view),
    )


def render_followup(
    result: FollowUp, figures: Sequence[ReportFigure], views: Sequence[CarriedView], *, version: str
) -> str:
    """Return a follow-up as one self-contained HTML page.

    Parameters
    ----------
    result : FollowUp
        What was found.
    figures : sequence of ReportFigure
        As `followup_figures` draws them.
    views : sequence of CarriedView
        The carried plans.
    version : str
        Of flr_volumetry.

    Returns
    -------
    str
        Opens offline; every text of the cases is escaped.
    """
    return (
        environment()
        .get_template("followup.html.j2")
        .render(
            result=result,
            figures=figures,
            views=views,
            version=version,
            heads=HEADS,
            rows=growth_rows(result),
            last=result.scans[-1],
            lines=headline(result),
            courses=[(g.scan.name, [course_row(c) for c in g.scan.courses]) for g in result.scans],
            technique=wording.TECHNIQUES[result.setting.technique],
            counted=COUNTED[result.counted_from],
            words=wording,
        )
    )


def headline(result: FollowUp) -> tuple[str, ...]:
    """Return the answer in a few sentences.

    Parameters
    ----------
    result : FollowUp
        What was found.

    Returns
    -------
    tuple of str
        Of the last scan: remnant and growth; DH and KGR; the other side and the lesions.
    """
    last = result.scans[-1]
    low, high = last.share_interval
    lines = [
        f"Remnant {wording.whole_ml(last.scan.remnant.value)} "
        f"({wording.whole_ml(result.baseline.remnant.value)} at baseline), {100 * last.share:.1f} % "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %) of {result.denominator.words}",
        f"Growth {_growth_words(last)}; degree of hypertrophy {_dh(last)}; kinetic growth rate {_kgr(last)}",
        f"Side that goes {_change(last.other_side_change)}; lesions {_change(last.tumour_change)} in volume",
    ]
    return tuple(lines)


def _growth_words(growth: ScanGrowth) -> str:
    low, high = growth.relative_interval
    return (
        f"{100 * growth.relative.fraction:+.1f} % ({100 * low.fraction:+.1f} to {100 * high.fraction:+.1f} %)"
    )


def _dh(growth: ScanGrowth) -> str:
    low, high = growth.hypertrophy_interval
    return f"{growth.hypertrophy.points:.1f} points ({low.points:.1f} to {high.points:.1f})"


def _kgr(growth: ScanGrowth) -> str:
    if growth.rate is None or growth.rate_interval is None:
        return "not known without dates"
    low, high = growth.rate_interval
    flag = ", not comparable with the published cut" if growth.caveats else ""
    return f"{growth.rate.points_per_week:.2f} points a week ({low:.2f} to {high:.2f}){flag}"


def _change(value: float | None) -> str:
    return "none at baseline" if value is None else f"{100 * value:+.1f} %"


def growth_rows(result: FollowUp) -> list[tuple[str, ...]]:
    """Return one row of words for each scan, the baseline first; its columns are `HEADS`."""
    base = result.baseline
    share = base.remnant.value / result.denominator.amount.value
    first = _remnant(base.remnant.value, amount_interval(base.remnant))
    sides = (wording.ml(base.other_side_ml), wording.ml(base.tumour_ml))
    rows: list[tuple[str, ...]] = [(base.name, "", first, f"{100 * share:.1f} %", "", "", "", *sides)]
    for growth in result.scans:
        scan = growth.scan
        low, high = growth.share_interval
        rows.append(
            (
                scan.name,
                "" if growth.weeks is None else f"{growth.weeks:.1f}",
                _remnant(scan.remnant.value, amount_interval(scan.remnant)),
                f"{100 * growth.share:.1f} % ({100 * low:.1f} to {100 * high:.1f})",
                _growth_words(growth),
                _dh(growth),
                _kgr(growth),
                f"{wording.ml(scan.other_side_ml)} ({_change(growth.other_side_change)})",
                f"{wording.ml(scan.tumour_ml)} ({_change(growth.tumour_change)})",
            )
        )
    return rows


def _remnant(value: float, interval: tuple[float, float]) -> str:
    return f"{wording.ml(value)} ({wording.ml_interval(interval)})"


def course_row(course: LesionCourse) -> tuple[str, ...]:
    """Return what became of lesions, in words: before, now, change, sizes then and now, growth, side."""
    names = [", ".join(str(x.number) for x in side) or "none" for side in (course.before, course.after)]
    sizes = [
        f"{wording.ml(ml)}, {max(x.longest_diameter_mm for x in side):.0f} mm" if side else ""
        for ml, side in ((course.before_ml, course.before), (course.after_ml, course.after))
    ]
    growth = "" if course.growth is None else _change(course.growth)
    side = "in the remnant" if course.in_remnant else "on the side that goes"
    return (*names, CHANGES[course.change], *sizes, growth, side)


def followup_text(result: FollowUp, *, width: int = 100) -> str:
    """Return a follow-up as plain text for a terminal.

    Parameters
    ----------
    result : FollowUp
        What was found.
    width : int
        Columns.

    Returns
    -------
    str
        The answer, a line a date, lesions, thresholds, caveats.
    """
    import textwrap

    lines = [f"Follow-up of {result.baseline.name}: {len(result.scans)} later", *headline(result), ""]
    for row in growth_rows(result):
        facts = [f"{head} {cell}" for head, cell in zip(HEADS[1:], row[1:], strict=True) if cell]
        lines += [row[0], *(f"  {fact}" for fact in facts)]
    lines.append(
        f"Weeks count {COUNTED[result.counted_from]}; cuts of one series: DH {DH_CUT:g}, KGR {KGR_CUT:g}."
    )
    for growth in result.scans:
        if growth.scan.courses:
            lines += ["", f"Lesions, {growth.scan.name}"]
            lines += [
                f"  {a} -> {b}: {', '.join(x for x in rest if x)}"
                for a, b, *rest in map(course_row, growth.scan.courses)
            ]
    lines += ["", "Thresholds at the last scan, on the denominators of the baseline"]
    for state in result.scans[-1].states:
        how = wording.STATES[state.state].words
        gap = result.scans[-1].scan.remnant.value - state.rule.asked_ml
        asked = f"{state.rule.protocol:20} {state.rule.asked_ml:7.1f} mL"
        lines.append(f"  {state.rule.rule:5} {asked}  {how}  {gap:+.1f} mL")
    doubts = [*result.caveats, *(c for g in result.scans for c in g.caveats)]
    lines += ["", "Caveats"] if doubts else []
    for caveat in dict.fromkeys(doubts):
        lines += textwrap.wrap(caveat.message, width - 2, initial_indent="- ", subsequent_indent="  ")
    lines += ["", wording.DISCLAIMER]
    return "\n".join(wording.clean(line).rstrip() for line in lines) + "\n"

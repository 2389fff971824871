"""Which figures a report has, and what is said of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from flr_volumetry.report import canvas, charts, positions, slices, wording
from flr_volumetry.report.canvas import FigureKind, ReportFigure
from flr_volumetry.report.cut_map import margin_maps
from flr_volumetry.report.forecast_chart import forecast_chart
from flr_volumetry.report.slices import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from flr_volumetry.assessment.model import Summary
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Partition
    from flr_volumetry.volumetry.measure import LesionFacts

MAX_CRITICAL_FIGURES = 4
MAX_LESION_FIGURES = 6
"""Pictures of more lesions than these would make a page too large to send; all stay in the tables."""
READING = (
    "Pictures lie along the patient's axes and are taken by geometry from the scan, whatever its "
    "orientation: R right, L left, A front, P back, H head, F feet; axial and coronal pictures show the "
    "patient's right on the left, sagittal ones look from the patient's left. Positions are DICOM patient "
    "coordinates. "
    "The scan is interpolated linearly, masks are shown voxel by voxel."
)


def figures(liver: Liver, partition: Partition, summary: Summary) -> tuple[ReportFigure, ...]:
    """Draw all figures of a case.

    Parameters
    ----------
    liver : Liver
        The liver, with the scan if there is one.
    partition : Partition
        What the plan makes of it, on the liver's grid.
    summary : Summary
        The assessed case.

    Returns
    -------
    tuple of ReportFigure
        The plan in three planes, where lesions stay and where the margin is smallest, each lesion
        (the largest six), the ladder of thresholds, the segments; those there is something to show for.
    """
    return tuple(_figures(scene_of(liver, partition), summary))


def scene_of(liver: Liver, partition: Partition) -> Scene:
    """Return what all pictures of a case share: the box shown, and the grey window."""
    low, high = positions.shown_box(liver)
    window, words = slices.window_of(liver)
    return Scene(liver, partition, low, high, window, words)


def _figures(scene: Scene, summary: Summary) -> Iterator[ReportFigure]:
    yield _plan(scene, summary)
    yield from islice(_critical(scene, summary), MAX_CRITICAL_FIGURES)
    yield from _lesions(scene, summary)
    cut = margin_maps(scene.liver, scene.partition)
    if cut is not None:
        yield cut
    yield from charts_by_rules(summary)
    segments = summary.volumes.segments
    if segments:
        words = (
            f"segment {s.segment}: {s.remnant_ml:.1f} of {s.ml:.1f} mL stay" for s in segments if s.segment
        )
        yield ReportFigure(
            "segments",
            FigureKind.SEGMENTS,
            "Segments kept and removed",
            "Volume of each Couinaud segment, lesions included: what stays (plain) and what goes (hatched).",
            "; ".join(words),
            canvas.picture_of(charts.segment_bars(segments)),
        )


BY_RULES = (FigureKind.LADDER, FigureKind.FORECAST)
"""Kinds of figures that show rules or what depends on them; all others show what was measured."""


def charts_by_rules(summary: Summary) -> Iterator[ReportFigure]:
    """Draw the figures that depend on rules and patient facts.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Yields
    ------
    ReportFigure
        The ladder of thresholds and the forecast, as far as there is something to show.
    """
    steps = charts.ladders(summary)
    if steps:
        yield ReportFigure(
            "thresholds",
            FigureKind.LADDER,
            "Ladder of thresholds",
            "Each index (black line, blue band: 95 % interval) over the thresholds of the rules made for it. "
            "A rule stands only under the denominator it was published with.",
            "; ".join(_ladder_words(summary)),
            canvas.picture_of(charts.ladder(steps)),
        )
    yield from _forecast(summary)


def _forecast(summary: Summary) -> Iterator[ReportFigure]:
    pathway = summary.assessment.pathway
    if pathway is None:
        return
    technique = wording.TECHNIQUES[pathway.technique]
    words = (
        f"{b.weeks:g} weeks: {b.median_ml:.0f} mL, {wording.ml_interval(b.band_80_ml)}" for b in pathway.bands
    )
    yield ReportFigure(
        "forecast",
        FigureKind.FORECAST,
        f"Forecast of the remnant after {technique}",
        "Median (line) and central 80 % (band) over patients; dashed: what the rules named ask for.",
        "; ".join(words),
        canvas.picture_of(forecast_chart(pathway)),
    )


def _plan(scene: Scene, summary: Summary) -> ReportFigure:
    centre = positions.plan_centre(scene.partition)
    picture = slices.three_planes(scene, centre, title="The plan in three planes")
    remnant = wording.ml(summary.volumes.remnant_ml)
    gone = wording.ml(summary.volumes.resected_ml + summary.volumes.ablated_ml)
    return ReportFigure(
        "plan",
        FigureKind.PLAN,
        "The plan in three planes",
        f"Planes that show most of what stays and of what goes; {scene.window_words}. {READING}",
        f"Axial, coronal and sagittal pictures of the liver: {remnant} stay, {gone} go.",
        picture,
    )


def _tightest(summary: Summary) -> LesionFacts | None:
    """Return the cleared lesion with the smallest margin, if there is a point to show."""
    shown = [x for x in summary.volumes.lesions if x.cleared and x.closest_mm is not None]
    return min(shown, key=lambda lesion: lesion.margin_mm, default=None)


def _critical(scene: Scene, summary: Summary) -> Iterator[ReportFigure]:
    """Yield where lesions stay, and where the margin of the cleared ones is smallest."""
    for lesion in scene.liver.lesions:
        point = positions.staying_point(lesion, scene.partition)
        if point is not None:
            title = f"Lesion {lesion.number} is not cleared"
            words = f"the middle of what stays of lesion {lesion.number}"
            yield _marked(scene, point, name=f"lesion_{lesion.number}_stays", title=title, words=words)
    tightest = _tightest(summary)
    if tightest is not None and tightest.closest_mm is not None:
        which = (
            "Smallest margin" if wording.all_cleared(summary) else "Smallest margin of the cleared lesions"
        )
        title = f"{which}: {wording.margin(tightest)}, at lesion {tightest.number}"
        words = f"the point of lesion {tightest.number} nearest to the tissue that stays"
        yield _marked(scene, tightest.closest_mm, name="smallest_margin", title=title, words=words)


def _marked(scene: Scene, point_mm: npt.ArrayLike, *, name: str, title: str, words: str) -> ReportFigure:
    picture = slices.three_planes(
        scene, point_mm, title=title, notes=(f"x: {words}",), mark=slices.Mark.CROSS
    )
    caption = f"Planes through {words} (cross); {scene.window_words}."
    return ReportFigure(
        name, FigureKind.LESION, title, caption, f"{title}. Three pictures through {words}.", picture
    )


def _lesions(scene: Scene, summary: Summary) -> Iterator[ReportFigure]:
    facts = {lesion.number: lesion for lesion in summary.volumes.lesions}
    largest = sorted(facts.values(), key=lambda lesion: (-lesion.ml, lesion.number))[:MAX_LESION_FIGURES]
    shown = {lesion.number for lesion in largest}
    for lesion in scene.liver.lesions:
        if lesion.number not in shown:
            continue
        known = facts[lesion.number]
        words = _lesion_words(known)
        title = f"Lesion {lesion.number}"
        centre = positions.lesion_centre(lesion, scene.liver.grid)
        picture = slices.three_planes(scene, centre, title=title, notes=words)
        yield ReportFigure(
            f"lesion_{lesion.number}",
            FigureKind.LESION,
            title,
            f"Planes through the middle of lesion {lesion.number}; {scene.window_words}.",
            f"Three pictures through lesion {lesion.number}: {', '.join(words)}.",
            picture,
        )


def _lesion_words(lesion: LesionFacts) -> tuple[str, ...]:
    words = (
        f"{wording.ml(lesion.ml)}, longest diameter {lesion.longest_diameter_mm:.1f} mm",
        wording.clean(lesion.location),
        f"margin {wording.margin(lesion)}",
        f"cleared in stage {lesion.cleared_in_stage}" if lesion.cleared else "not cleared",
    )
    return tuple(w for w in words if w)


def _ladder_words(summary: Summary) -> Iterator[str]:
    for index, findings in charts.ladders(summary):
        value = wording.quantity(index.value, index.unit)
        for finding in findings:
            state = wording.STATES[finding.state].words
            asked = wording.threshold(finding)
            yield f"{index.title} {value}, rule {finding.rule.id} asks for {asked}: {state}"

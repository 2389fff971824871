"""Growth measured over growth foretold, and the plan at both dates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import Mask
from flr_volumetry.report import canvas, positions, slices
from flr_volumetry.report.planes import View
from flr_volumetry.report.slices import Scene
from flr_volumetry.resection import (
    Partition,
    Piece,
    PieceKind,
    RemnantResection,
    ResectionPlan,
    Stage,
)
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.volumetry.uncertainty import amount_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from flr_volumetry.assessment.followup_model import FollowUp
    from flr_volumetry.liver import Liver

WIDTH_IN, HEIGHT_IN = 8.6, 3.8
SAME_LINE_ML = 1.0
LEAST_GAP = 0.05
FORETOLD_COLOUR = "#9a9a9a"
GOES = 2
ROW_GAP_IN = 0.36


@dataclass(frozen=True, slots=True, eq=False)
class CarriedView:
    """A baseline's plan on a later scan, ready to be shown.

    Parameters
    ----------
    name, baseline_name : str
        The two scans, for people.
    baseline : Liver
        With its scan, if there is one.
    baseline_labels : ndarray of uint8
        Its plan: 1 stays.
    later : Liver
        With its scan, if there is one.
    later_labels : ndarray of uint8
        The plan carried over.
    to_later : callable
        Takes (n, 3) points of the baseline to the later scan.
    facts : dict
        Of the registration, as plain values.
    planes : tuple of dict
        Of the carried planes, as plain values.
    own_plan : bool
        Whether the later scan has a plan of its own, which was counted.
    stages_done : int
        Stages taken as carried out.
    """

    name: str
    baseline_name: str
    baseline: Liver
    baseline_labels: npt.NDArray[np.uint8] = field(repr=False)
    later: Liver
    later_labels: npt.NDArray[np.uint8] = field(repr=False)
    to_later: Callable[[npt.ArrayLike], npt.NDArray[np.float64]]
    facts: dict[str, Any]
    planes: tuple[dict[str, Any], ...]
    own_plan: bool
    stages_done: int


def growth_chart(result: FollowUp) -> Drawing:
    """Draw the measured remnant over time, what was foretold, what is foretold now, and what rules ask for.

    Parameters
    ----------
    result : FollowUp
        With its weeks.

    Returns
    -------
    Drawing
        Weeks across, mL up.
    """
    drawing = canvas.new_drawing(WIDTH_IN, HEIGHT_IN)
    axes = drawing.add_axes((0.08, 0.14, 0.60, 0.72))
    outlook = result.outlook
    measured = [(0.0, result.baseline.remnant)]
    measured += [(g.weeks, g.scan.remnant) for g in result.scans if g.weeks is not None]
    heights = [v for _, m in measured for v in amount_interval(m)]
    if outlook is not None:
        last = outlook.bands[0].weeks
        heights += _band(axes, outlook.before, FORETOLD_COLOUR, 0.25, "--", "foretold at baseline")
        ahead = [b for b in outlook.after if b.weeks >= last - 0.5] or list(outlook.after[-1:])
        heights += _band(axes, ahead, canvas.REMNANT_COLOUR, 0.45, "-", "foretold now")
    for number, (week, amount) in enumerate(measured):
        low, high = amount_interval(amount)
        label = "measured, 95 % interval" if number == 0 else None
        axes.errorbar(
            [week],
            [amount.value],
            yerr=[[amount.value - low], [high - amount.value]],
            fmt="o",
            color=canvas.INK,
            capsize=4,
            label=label,
            zorder=5,
        )
    lines = _lines(result)
    heights += [ml for ml, _ in lines]
    _thresholds(axes, lines, 0.94 * min(heights), 1.05 * max(heights))
    weeks = [w for w, _ in measured] + ([b.weeks for b in outlook.after] if outlook is not None else [])
    axes.set_xlim(-0.25, max(weeks) + 0.25)
    axes.set_xlabel("weeks", fontsize=8.5, color=canvas.INK)
    axes.set_ylabel("functional remnant, mL", fontsize=8.5, color=canvas.INK)
    axes.tick_params(labelsize=8, colors=canvas.INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, frameon=False, fontsize=8)
    return drawing


def _band(axes: Axes, bands: Any, colour: str, alpha: float, line: str, label: str) -> list[float]:
    weeks = [b.weeks for b in bands]
    low, high = [b.band_80_ml[0] for b in bands], [b.band_80_ml[1] for b in bands]
    axes.fill_between(weeks, low, high, color=colour, alpha=alpha, linewidth=0)
    axes.plot(weeks, [b.median_ml for b in bands], color=colour, linewidth=1.6, linestyle=line, label=label)
    return [*low, *high]


def _lines(result: FollowUp) -> list[tuple[float, str]]:
    """Return what the rules ask for on the fixed denominators, mL, lowest first; rules of one line joined."""
    lines: list[tuple[float, list[str]]] = []
    for state in sorted(result.baseline_states, key=lambda s: (s.rule.asked_ml, s.rule.rule)):
        if not lines or state.rule.asked_ml - lines[-1][0] > SAME_LINE_ML:
            lines.append((state.rule.asked_ml, []))
        if state.rule.rule not in lines[-1][1]:
            lines[-1][1].append(state.rule.rule)
    return [(ml, ", ".join(names)) for ml, names in lines]


def _thresholds(axes: Axes, lines: list[tuple[float, str]], bottom: float, top: float) -> None:
    axes.set_ylim(bottom, top)
    words_at = bottom - LEAST_GAP * (top - bottom)
    for ml, names in lines:
        axes.axhline(ml, color="#a33b00", linewidth=1.1, linestyle=(0, (4, 2)))
        words_at = max(ml, words_at + LEAST_GAP * (top - bottom))
        axes.annotate(
            canvas.drawable(f"{ml:.0f} mL: {names}"),
            (1.01, (words_at - bottom) / (top - bottom)),
            xycoords="axes fraction",
            va="center",
            fontsize=8,
            color="#a33b00",
            parse_math=False,
        )


def carried_picture(view: CarriedView) -> canvas.Picture:
    """Draw the plan on the baseline and, under it, on the later scan, through corresponding points.

    Parameters
    ----------
    view : CarriedView
        Both scans.

    Returns
    -------
    Picture
        Three planes a row, all to one scale.
    """
    first = _scene(view.baseline, view.baseline_labels)
    second = _scene(view.later, view.later_labels)
    point = positions.plan_centre(first.partition)
    rows = [
        (f"Baseline, {view.baseline_name}", first, point),
        (f"Follow-up, {view.name}", second, view.to_later(point[None])[0]),
    ]
    size = np.maximum(first.high_mm - first.low_mm, second.high_mm - second.low_mm)
    width = slices.WIDTH_IN
    scale = (width - 4 * 0.15) / float(2 * size[0] + size[1])
    tall = float(max(size[1], size[2])) * scale
    height = 2 * (tall + ROW_GAP_IN) + 0.25
    drawing = canvas.new_drawing(width, height)
    for row, (words, scene, at) in enumerate(rows):
        bottom = height - 0.05 - (row + 1) * (tall + ROW_GAP_IN)
        left = 0.15
        drawing.text(
            left / width,
            (bottom + tall + ROW_GAP_IN - 0.04) / height,
            canvas.drawable(words),
            fontsize=9.5,
            weight="bold",
            va="top",
            parse_math=False,
        )
        for box_view, across, up in ((View.AXIAL, 0, 1), (View.CORONAL, 0, 2), (View.SAGITTAL, 1, 2)):
            box = scene.high_mm - scene.low_mm
            wide, high = float(box[across]) * scale, float(box[up]) * scale
            place = (left / width, (bottom + tall - high - 0.16) / height, wide / width, high / height)
            axes = drawing.add_axes(place)
            slices.draw_panel(axes, scene, scene.plane(box_view, at))
            left += float(size[across]) * scale + 0.15
    tints = [(canvas.REMNANT_COLOUR, slices.FILL_ALPHA), (canvas.RESECTED_COLOURS[0], slices.FILL_ALPHA)]
    return canvas.picture_of(drawing, tints=tints)


def _scene(liver: Liver, labels: npt.NDArray[np.uint8]) -> Scene:
    """Return what the pictures of one scan share: two pieces, what stays and what goes."""
    low, high = positions.shown_box(liver)
    stays = labels == REMNANT
    two = np.where(stays, REMNANT, np.where(labels > 0, GOES, 0)).astype(np.uint8)
    pieces = (
        Piece(REMNANT, "remnant", PieceKind.REMNANT, 0, int(stays.sum())),
        Piece(GOES, "goes", PieceKind.RESECTED, 1, int((two == GOES).sum())),
    )
    plan = ResectionPlan((Stage("shown", (RemnantResection(Mask(liver.grid, stays)),)),))
    return Scene(liver, Partition(liver.grid, two, pieces, plan), low, high, *_window(liver))


def _window(liver: Liver) -> tuple[tuple[float, float], str]:
    image = liver.image
    if image is None or image.source.modality == "CT":
        return (slices.CT_WINDOW if image is not None else (0.0, 1.0)), ""
    low, high = (float(v) for v in np.percentile(image.voxels, slices.PERCENTILES))
    return (low, max(high, low + 1.0)), ""

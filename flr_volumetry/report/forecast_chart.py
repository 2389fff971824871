"""The forecast of a remnant's growth over the thresholds it is asked to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.report import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from flr_volumetry.assessment.pathway import Pathway

WIDTH_IN, HEIGHT_IN = 8.6, 3.4
SAME_LINE_ML = 1.0
"""Thresholds nearer to each other than this share a line."""
LEAST_GAP = 0.05
"""Of the height of the axis, between the words of two lines."""


def forecast_chart(pathway: Pathway) -> Drawing:
    """Draw median and 80 % band over time, and what the rules ask for as lines.

    Parameters
    ----------
    pathway : Pathway
        With its curve.

    Returns
    -------
    Drawing
        Weeks across, mL up.
    """
    drawing = canvas.new_drawing(WIDTH_IN, HEIGHT_IN)
    axes = drawing.add_axes((0.08, 0.15, 0.60, 0.78))
    weeks = [b.weeks for b in pathway.curve]
    low = [b.band_80_ml[0] for b in pathway.curve]
    high = [b.band_80_ml[1] for b in pathway.curve]
    axes.fill_between(weeks, low, high, color=canvas.REMNANT_COLOUR, alpha=0.45, linewidth=0)
    axes.plot(weeks, [b.median_ml for b in pathway.curve], color=canvas.INK, linewidth=1.6)
    marks = [b for b in pathway.bands if b.weeks <= weeks[-1]]
    axes.plot(
        [b.weeks for b in marks], [b.median_ml for b in marks], color=canvas.INK, marker="o", linestyle=""
    )
    lines = _lines(pathway)
    top = 1.06 * max([*high, *(ml for ml, _ in lines)])
    bottom = 0.95 * min([*low, *(ml for ml, _ in lines)])
    axes.set_xlim(0, weeks[-1])
    axes.set_ylim(bottom, top)
    words_at = bottom - 1.0
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
    axes.set_xlabel("weeks since the procedure", fontsize=8.5, color=canvas.INK)
    axes.set_ylabel("functional remnant, mL", fontsize=8.5, color=canvas.INK)
    axes.tick_params(labelsize=8, colors=canvas.INK)
    axes.spines[["top", "right"]].set_visible(False)
    return drawing


def _lines(pathway: Pathway) -> list[tuple[float, str]]:
    """Return what the rules ask for, mL, lowest first, with the rules of one line joined."""
    lines: list[tuple[float, list[str]]] = []
    for rule in sorted(pathway.rules, key=lambda r: (r.threshold_ml, r.rule.id)):
        if not lines or rule.threshold_ml - lines[-1][0] > SAME_LINE_ML:
            lines.append((rule.threshold_ml, []))
        if rule.rule.id not in lines[-1][1]:
            lines[-1][1].append(rule.rule.id)
    return [(ml, ", ".join(names)) for ml, names in lines]

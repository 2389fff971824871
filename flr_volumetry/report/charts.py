"""Charts: thresholds against values, and segments kept and removed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.assessment.model import State
from flr_volumetry.report import canvas, wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from flr_volumetry.assessment.model import Finding, Index, Summary
    from flr_volumetry.volumetry.measure import SegmentVolume

WIDTH_IN = 8.6
ROW_IN = 0.25
HEAD_IN = 0.52
FOOT_IN = 0.34
LEFT = 0.31
ACROSS = 0.32
STATE_COLOURS = {
    State.CLEAR_ABOVE: "#0072b2",
    State.BORDERLINE: "#b07800",
    State.CLEAR_BELOW: "#d55e00",
}
WORD_COLOURS = {
    State.CLEAR_ABOVE: "#0b5a8a",
    State.BORDERLINE: "#7a5200",
    State.CLEAR_BELOW: "#a33b00",
}
"""Darker than the markers: small text needs more contrast."""
STATE_MARKERS = {State.CLEAR_ABOVE: "^", State.BORDERLINE: "D", State.CLEAR_BELOW: "v"}


def ladders(summary: Summary) -> list[tuple[Index, list[Finding]]]:
    """Return the evaluated rules of each index, lowest threshold first.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    list of (Index, list of Finding)
        In the order of the indices; a rule stands only under its own index, hence its own denominator.
    """
    result = []
    for index in summary.assessment.indices:
        met = [
            f
            for f in summary.assessment.findings
            if f.rule.index == index.key and f.rule.enabled and f.state is not State.NOT_EVALUABLE
        ]
        if met:
            result.append((index, sorted(met, key=lambda f: (f.rule.threshold, f.rule.id))))
    return result


def ladder(steps: Sequence[tuple[Index, Sequence[Finding]]]) -> Drawing:
    """Draw the ladder of thresholds: each index as a band over the thresholds of its own rules.

    Parameters
    ----------
    steps : sequence of (Index, sequence of Finding)
        See `ladders`; at least one.

    Returns
    -------
    Drawing
        One axis for each index, all fractions of a liver volume to one scale.
    """
    heights = [HEAD_IN + ROW_IN * len(findings) + FOOT_IN for _, findings in steps]
    total = sum(heights) + 0.1
    drawing = canvas.new_drawing(WIDTH_IN, total)
    shared = _shared_limit(steps)
    top = total
    for (index, findings), height in zip(steps, heights, strict=True):
        rows = ROW_IN * len(findings)
        axes = drawing.add_axes((LEFT, (top - HEAD_IN - rows) / total, ACROSS, rows / total))
        limit = shared if _is_share(index) else _limit([(index, findings)])
        _draw_ladder(axes, index, findings, limit)
        top -= height
    return drawing


def _is_share(index: Index) -> bool:
    return index.unit == "fraction" and index.value >= wording.SMALL_FRACTION


def _limit(steps: Sequence[tuple[Index, Sequence[Finding]]]) -> float:
    values = [
        v
        for index, findings in steps
        for v in (_bounded(index, index.value)[1], *(f.rule.threshold for f in findings))
    ]
    return 1.12 * max(values)


def _bounded(index: Index, limit: float) -> tuple[float, float]:
    """Return the interval; where it has no end, nought and a limit."""
    low, high = index.interval
    return (low if math.isfinite(low) else 0.0, high if math.isfinite(high) else limit)


def _shared_limit(steps: Sequence[tuple[Index, Sequence[Finding]]]) -> float:
    shares = [(index, findings) for index, findings in steps if _is_share(index)]
    return _limit(shares) if shares else 1.0


def _draw_ladder(axes: Axes, index: Index, findings: Sequence[Finding], limit: float) -> None:
    factor = 100.0 if index.unit == "fraction" else 1.0
    low, high = (factor * v for v in _bounded(index, limit))
    value = factor * index.value
    axes.axvspan(low, high, color=canvas.REMNANT_COLOUR, alpha=0.45, linewidth=0)
    axes.axvline(value, color=canvas.INK, linewidth=1.4)
    for row, finding in enumerate(findings):
        threshold = factor * finding.rule.threshold
        colour = STATE_COLOURS[finding.state]
        axes.plot([threshold, value], [row, row], color=colour, linewidth=1.2, alpha=0.8)
        axes.plot(threshold, row, marker=STATE_MARKERS[finding.state], color=colour, markersize=7)
        _row_words(axes, row, finding)
    axes.set_xlim(0, factor * limit)
    axes.set_ylim(len(findings) - 0.5, -0.5)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=8, colors=canvas.INK, length=3)
    axes.xaxis.set_major_formatter("{x:g} %" if index.unit == "fraction" else "{x:g}")
    axes.spines[["top", "right", "left"]].set_visible(False)
    amount = wording.quantity(index.value, index.unit)
    interval = wording.quantity_interval(index.interval, index.unit)
    detail = f"{amount} (95 % interval {interval}) of {index.denominator}"
    left = -(LEFT - 0.01) / ACROSS
    for text, above, size, weight in ((index.title, 20, 9, "bold"), (detail, 7, 8.5, "normal")):
        axes.annotate(
            canvas.drawable(_short(text, 105)),
            (left, 1),
            xytext=(0, above),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=size,
            weight=weight,
            color=canvas.INK,
            parse_math=False,
        )


def _row_words(axes: Axes, row: int, finding: Finding) -> None:
    rule = finding.rule
    name = canvas.drawable(f"{rule.id}  {_short(rule.citation.text, 36)}")
    state = f"{wording.threshold(finding)}: {wording.STATES[finding.state].words}"
    words = f"{state}, {wording.missing_ml(finding)}"
    for x, text, side in ((-0.02, name, "right"), (1.02, canvas.drawable(words), "left")):
        axes.annotate(
            text,
            (x, row),
            xycoords=("axes fraction", "data"),
            ha=side,
            va="center",
            fontsize=7.8,
            color=canvas.INK if side == "right" else WORD_COLOURS[finding.state],
            parse_math=False,
        )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip(" ,;") + "…"


def segment_bars(segments: Sequence[SegmentVolume]) -> Drawing:
    """Draw the Couinaud segments as bars, kept and removed.

    Parameters
    ----------
    segments : sequence of SegmentVolume
        At least one.

    Returns
    -------
    Drawing
        One bar for each segment, with both amounts in words.
    """
    height = 0.75 + 0.3 * len(segments)
    drawing = canvas.new_drawing(WIDTH_IN, height)
    axes = drawing.add_axes((0.13, 0.42 / height, 0.84, (height - 0.75) / height))
    longest = max(s.ml for s in segments)
    for row, segment in enumerate(segments):
        gone = segment.ml - segment.remnant_ml
        axes.barh(row, segment.remnant_ml, color=canvas.REMNANT_COLOUR, edgecolor=canvas.INK, linewidth=0.6)
        axes.barh(
            row,
            gone,
            left=segment.remnant_ml,
            color=canvas.RESECTED_COLOURS[0],
            edgecolor=canvas.INK,
            linewidth=0.6,
            hatch="///",
        )
        words = f"{segment.remnant_ml:.1f} mL stay, {gone:.1f} mL go"
        axes.text(segment.ml + 0.012 * longest, row, words, va="center", fontsize=8, color=canvas.INK)
    names = [f"segment {ROMAN[s.segment]}" if s.segment else "unassigned" for s in segments]
    axes.set_yticks(range(len(segments)), names, fontsize=8.5, color=canvas.INK)
    axes.set_ylim(len(segments) - 0.5, -0.5)
    axes.set_xlim(0, 1.36 * longest)
    axes.set_xlabel("mL", fontsize=8.5, color=canvas.INK)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return drawing

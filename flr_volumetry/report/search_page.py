"""The result of a search: a picture, a page, a table for the terminal, and JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from flr_volumetry.planning.values import ENOUGH_MM
from flr_volumetry.report import canvas, wording
from flr_volumetry.report.page import environment
from flr_volumetry.report.plan_document import plan_json
from flr_volumetry.resection import SegmentResection, TerritoryResection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from flr_volumetry.planning import PlanOption, SearchResult

WIDTH_IN, HEIGHT_IN = 8.6, 4.6
SHARES = (0.20, 0.30, 0.40)
"""Common practice, primary source not verified: normal, after chemotherapy, ill livers."""
SHOWN_MM = 15.0
KINDS = {
    "local": ("o", "#009e73", "wedges and ablations alone"),
    "anatomical": ("s", "#0072b2", "with segments or a portal territory"),
    "staged": ("^", "#d55e00", "after embolization (forecast)"),
}
SETTINGS = (
    "margin_mm",
    "wedges",
    "ablations",
    "two_stages",
    "ablation_margin_mm",
    "ablation_largest_mm",
    "most_ablations",
    "weeks",
    "least_flr",
    "one_piece",
    "adjacent_pair",
)


def kind_of(option: PlanOption) -> str:
    """Tell what sort of plan it is: a key of `KINDS`."""
    if option.grown_ml is not None:
        return "staged"
    cuts = [cut for stage in option.plan.stages for cut in stage.resections]
    return (
        "anatomical" if any(isinstance(c, SegmentResection | TerritoryResection) for c in cuts) else "local"
    )


def search_chart(options: Sequence[PlanOption]) -> Drawing:
    """Draw the front: working remnant against smallest margin, one numbered mark a plan.

    Parameters
    ----------
    options : sequence of PlanOption
        At least one, numbered from 1 in this order.

    Returns
    -------
    Drawing
        With the customary thresholds as lines.
    """
    from matplotlib.lines import Line2D

    drawing = canvas.new_drawing(WIDTH_IN, HEIGHT_IN)
    axes = drawing.add_axes((0.08, 0.12, 0.88, 0.72))
    functional_ml = options[0].flr_ml / options[0].flr_fraction
    placed: dict[tuple[int, int], int] = {}
    for number, option in enumerate(options, start=1):
        marker, colour, _ = KINDS[kind_of(option)]
        across = min(option.smallest_margin_mm, SHOWN_MM)
        up = 100 * option.working_ml / functional_ml
        axes.plot(across, up, marker=marker, color=colour, markersize=8, linestyle="", alpha=0.85)
        _number(axes, number, across, up, placed)
    for share in SHARES:
        axes.axhline(100 * share, color="#a33b00", linewidth=1, linestyle=(0, (4, 2)))
        axes.annotate(
            f"{100 * share:.0f} %",
            (1.004, 100 * share),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            va="center",
        )
    axes.axvline(ENOUGH_MM, color="#777777", linewidth=0.8, linestyle=":")
    axes.set_xlim(0, SHOWN_MM * 1.03)
    low = min(100 * o.working_ml / functional_ml for o in options)
    axes.set_ylim(min(15.0, low - 5), 104)
    axes.set_xlabel("smallest margin, mm (15: 15 or more)", fontsize=8.5, color=canvas.INK)
    axes.set_ylabel("remnant, % of the functional liver", fontsize=8.5, color=canvas.INK)
    axes.tick_params(labelsize=8, colors=canvas.INK)
    axes.spines[["top", "right"]].set_visible(False)
    used = {kind_of(option) for option in options}
    signs = [
        Line2D([], [], marker=m, color=c, linestyle="", markersize=8, label=words)
        for key, (m, c, words) in KINDS.items()
        if key in used
    ]
    axes.legend(handles=signs, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, frameon=False, fontsize=8)
    return drawing


def _number(axes: Axes, number: int, across: float, up: float, placed: dict[tuple[int, int], int]) -> None:
    """Write a plan's number beside its mark, beside the numbers that stand there already."""
    cell = (round(across * 2), round(up / 3))
    before = placed.get(cell, 0)
    placed[cell] = before + 1
    axes.annotate(
        str(number),
        (across, up),
        xytext=(6 + 13 * before, 4),
        textcoords="offset points",
        fontsize=7.5,
        color=canvas.INK,
    )


def search_json(result: SearchResult, *, case_id: str) -> dict[str, Any]:
    """Return the result of a search as plain values.

    Parameters
    ----------
    result : SearchResult
        As found.
    case_id : str
        As the case file says.

    Returns
    -------
    dict
        Fractions from 0 to 1, volumes in mL, lengths in mm.
    """
    return {
        "case": case_id,
        "settings": {name: getattr(result.settings, name) for name in SETTINGS},
        "considered": result.considered,
        "scored": result.scored,
        "clearing": result.clearing,
        "options": [
            {"number": number, **_option(option)} for number, option in enumerate(result.options, start=1)
        ],
        "caveats": [{"code": c.code, "message": c.message} for c in result.caveats],
        "methods": list(result.methods),
    }


def _option(option: PlanOption) -> dict[str, Any]:
    price = option.price
    return {
        "title": option.title,
        "plan": plan_json(option.plan),
        "flr_ml": option.flr_ml,
        "flr_fraction": option.flr_fraction,
        "grown_ml": option.grown_ml,
        "margins_mm": [m if math.isfinite(m) else None for m in option.margins_mm],
        "uncleared": list(option.uncleared),
        "congested_ml": option.congested_ml,
        "cut_cm2": option.cut_cm2,
        "procedures": option.procedures,
        "remnant_parts": option.remnant_parts,
        "adjacent_spared": option.adjacent_spared,
        "price": {
            "flr_ml": price.flr_ml,
            "margin_mm": price.margin_mm,
            "congested_ml": price.congested_ml,
            "cut_cm2": price.cut_cm2,
            "procedures": price.procedures,
        },
    }


def search_rows(result: SearchResult) -> list[tuple[str, ...]]:
    """Return the front as words: number, what is done, remnant, share, margin, congested, cut, procedures.

    Parameters
    ----------
    result : SearchResult
        As found.

    Returns
    -------
    list of tuple of str
        One a plan, in order.
    """
    rows: list[tuple[str, ...]] = []
    for number, option in enumerate(result.options, start=1):
        share = wording.quantity(option.flr_fraction, "fraction")
        grown = "" if option.grown_ml is None else wording.ml(option.grown_ml)
        margin = option.smallest_margin_mm
        rows.append(
            (
                str(number),
                wording.clean(option.title),
                f"{wording.ml(option.flr_ml)}, {share}",
                grown,
                f"{margin:.1f} mm" if math.isfinite(margin) else "no liver near",
                "" if option.congested_ml is None else wording.ml(option.congested_ml),
                f"{option.cut_cm2:.0f} cm2",
                str(option.procedures),
                _price(option),
            )
        )
    return rows


def _price(option: PlanOption) -> str:
    """Say what a plan costs against the best of the front in each respect."""
    price = option.price
    words = [
        f"-{price.flr_ml:.0f} mL" if price.flr_ml >= 1 else "",
        f"-{price.margin_mm:.1f} mm" if price.margin_mm >= 0.05 else "",
        f"+{price.congested_ml:.0f} mL congested" if (price.congested_ml or 0) >= 1 else "",
        f"+{price.cut_cm2:.0f} cm2" if price.cut_cm2 >= 1 else "",
        f"+{price.procedures} proc." if price.procedures else "",
    ]
    return ", ".join(w for w in words if w) or "nothing"


HEADS = ("plan", "takes", "remnant", "grown", "margin", "congested", "cut", "proc.", "costs")


def search_text(result: SearchResult, *, case_id: str, width: int = 100) -> str:
    """Return the result of a search as plain text.

    Parameters
    ----------
    result : SearchResult
        As found.
    case_id : str
        As the case file says.
    width : int
        Columns.

    Returns
    -------
    str
        A table of the front, and what it rests on.
    """
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    buffer = StringIO()
    console = Console(
        file=buffer, width=width, no_color=True, color_system=None, force_terminal=False, force_jupyter=False
    )
    console.print(Text(f"Case {wording.clean(case_id)}: {_count(result)}"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rows = search_rows(result)
    shown = [n for n, head in enumerate(HEADS) if head in {"takes", "costs"} or any(row[n] for row in rows)]
    for n in shown:
        wide = HEADS[n] in {"takes", "costs"}
        table.add_column(HEADS[n], overflow="fold", ratio=2 if wide else None, no_wrap=not wide)
    for row in rows:
        table.add_row(*(Text(row[n]) for n in shown))
    console.print(table)
    for sentence in (*(c.message for c in result.caveats), *result.methods):
        console.print(Text(f"- {wording.clean(sentence)}"))
    console.print(Text(wording.DISCLAIMER))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def _count(result: SearchResult) -> str:
    plans = "plan" if len(result.options) == 1 else "plans"
    return (
        f"{len(result.options)} {plans} that no other of their kind beats, of {result.clearing} that clear "
        f"the lesions with {result.settings.margin_mm:g} mm; {result.considered} considered, "
        f"{result.scored} scored"
    )


def render_search(result: SearchResult, *, case_id: str, version: str) -> str:
    """Return the result of a search as one self-contained HTML page.

    Parameters
    ----------
    result : SearchResult
        As found.
    case_id : str
        As the case file says.
    version : str
        Of flr_volumetry.

    Returns
    -------
    str
        Opens offline; every text of the case is escaped.
    """
    return (
        environment()
        .get_template("search.html.j2")
        .render(
            case_id=case_id,
            version=version,
            result=result,
            count=_count(result),
            heads=HEADS,
            rows=search_rows(result),
            png=canvas.png_of(search_chart(result.options)),
            words=wording,
        )
    )

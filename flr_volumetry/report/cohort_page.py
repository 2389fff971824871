"""A cohort on one page: how its remnants lie, what the protocols say of them, and what to look at first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flr_volumetry.assessment.model import State
from flr_volumetry.report import canvas, wording
from flr_volumetry.report.charts import STATE_COLOURS
from flr_volumetry.report.page import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Drawing

    from flr_volumetry.report.row import CaseRow

SHARES = (20, 30, 40)
"""Common practice, primary source not verified."""
APART = 3.5
"""A modified z-score beyond this marks an outlier (Iglewicz and Hoaglin, 1993)."""
FEWEST = 5
"""Among fewer cases of one plan none is said to stand apart."""
STATES = (State.CLEAR_ABOVE, State.BORDERLINE, State.CLEAR_BELOW, State.NOT_EVALUABLE)
NOT_EVALUABLE_COLOUR = "#bbbbbb"
WIDTH_IN, ROW_IN = 8.6, 0.34
MOST_ROWS = 60
"""A picture with more rows is not read."""
MOST_MARKS = 2000
"""Of one plan; where there are more, a picture shows those apart and the spread of the others."""
MOST_LISTED = 2000
"""Cases in a table of the page; the others stand in cohort.csv and cases.csv."""


@dataclass(frozen=True, slots=True)
class CohortEntry:
    """One case and plan that is done.

    Parameters
    ----------
    case, plan : str
        What they are called.
    report : str
        Link to its report, from the page's folder.
    row : CaseRow
        Its row.
    """

    case: str
    plan: str
    report: str
    row: CaseRow


@dataclass(frozen=True, slots=True)
class FailedEntry:
    """One case and plan that is not.

    Parameters
    ----------
    case, plan : str
        What they are called.
    reason, message : str
        Why.
    log : str
        Link to its log.
    """

    case: str
    plan: str
    reason: str
    message: str
    log: str


def render_cohort(
    done: Sequence[CohortEntry], failed: Sequence[FailedEntry], *, title: str, version: str
) -> str:
    """Return the page of a cohort.

    Parameters
    ----------
    done : sequence of CohortEntry
        Cases with a report.
    failed : sequence of FailedEntry
        Cases without.
    title : str
        What the cohort is called.
    version : str
        Of flr_volumetry.

    Returns
    -------
    str
        HTML that opens offline; every text of a case is escaped.
    """
    apart = outliers(done)
    protocols = sorted({c.name.removesuffix(".state") for e in done for c in e.row.columns if _whole(c.name)})
    pictures = None
    if done:
        pictures = {
            "shares": canvas.png_of(_shares(done, apart)),
            "states": canvas.png_of(_states(done, protocols)),
        }
    listed = _listed(len(done), apart)
    counts = Counter(code for e in done for code in str(e.row["caveat_codes"] or "").split())
    return (
        environment()
        .get_template("cohort.html.j2")
        .render(
            title=title,
            version=version,
            words=wording,
            headline=f"{len(done)} of {len(done) + len(failed)} done",
            failed=failed[:MOST_LISTED],
            reasons=Counter(one.reason for one in failed).most_common(),
            left_out=(max(0, len(failed) - MOST_LISTED), max(0, len(done) - len(listed))),
            outliers=apart,
            pictures=pictures,
            states=[wording.STATES[state].words for state in STATES],
            by_protocol=[(name, _counts(done, name)) for name in protocols],
            caveats=[(code, n, round(100 * n / len(done), 1)) for code, n in counts.most_common()],
            growth=[_growth(entry) for entry in done if _has(entry.row, "growth.relative")][:MOST_LISTED],
            cases=[_case(done[n], apart.get(n)) for n in listed],
        )
    )


def outliers(done: Sequence[CohortEntry]) -> dict[int, str]:
    """Find the cases whose remnant or liver stands apart from those with the same plan.

    Parameters
    ----------
    done : sequence of CohortEntry
        All cases.

    Returns
    -------
    dict of int to str
        Place in the sequence to what stands apart.

    Notes
    -----
    The modified z-score of Iglewicz and Hoaglin (How to detect and handle outliers, ASQC 1993):
    0.6745 (x - median) / MAD, beyond 3.5; a liver is held against all, a share against those of its plan.
    """
    found: dict[int, list[str]] = {}
    for column, what, by_plan in (("flr", "share", True), ("total_ml", "liver volume", False)):
        groups: dict[str, list[int]] = {}
        seen: set[str] = set()
        for n, entry in enumerate(done):
            if entry.row[column] is not None and (by_plan or entry.case not in seen):
                groups.setdefault(entry.plan if by_plan else "", []).append(n)
                seen.add(entry.case)
        for places in groups.values():
            values = np.array([float(str(done[n].row[column])) for n in places])
            spread = float(np.median(np.abs(values - np.median(values))))
            if len(values) < FEWEST or spread == 0:
                continue
            score = 0.6745 * (values - np.median(values)) / spread
            for at in np.flatnonzero(np.abs(score) > APART).tolist():
                found.setdefault(places[at], []).append(f"{what} {'high' if score[at] > 0 else 'low'}")
    return {n: ", ".join(words) for n, words in found.items()}


def _listed(count: int, apart: dict[int, str]) -> list[int]:
    """Return which cases the table holds, in order: those apart before all others."""
    chosen = [*sorted(apart), *(n for n in range(count) if n not in apart)][:MOST_LISTED]
    return sorted(chosen)


def _whole(name: str) -> bool:
    """Whether a column is the state of a protocol as a whole, not of one rule."""
    return name.endswith(".state") and name.count(".") == 1


def _counts(done: Sequence[CohortEntry], protocol: str) -> list[int]:
    found = Counter(entry.row[f"{protocol}.state"] for entry in done if _has(entry.row, f"{protocol}.state"))
    return [found[state.value] for state in STATES]


def _has(row: CaseRow, name: str) -> bool:
    return any(column.name == name for column in row.columns)


def _number(row: CaseRow, name: str) -> float | None:
    value = row[name]
    return float(value) if isinstance(value, int | float) else None


def _case(entry: CohortEntry, apart: str | None) -> dict[str, Any]:
    row = entry.row

    def said(name: str, scale: float, decimals: int) -> str:
        value = _number(row, name)
        return "not known" if value is None else f"{scale * value:.{decimals}f}"

    def between(name: str, scale: float, decimals: int) -> str:
        return f"{said(f'{name}_low', scale, decimals)} to {said(f'{name}_high', scale, decimals)}"

    return {
        "case": entry.case,
        "plan": entry.plan or row["plan"] or "",
        "report": entry.report,
        "ml": said("remnant_functional_ml", 1, 0),
        "ml_interval": between("remnant_functional_ml", 1, 0),
        "share": said("flr", 100, 1),
        "share_interval": between("flr", 100, 1),
        "caveats": row["caveats"],
        "apart": apart,
    }


def _growth(entry: CohortEntry) -> dict[str, Any]:
    row = entry.row

    def said(name: str, scale: float, decimals: int) -> str:
        low, value, high = (_number(row, f"growth.{name}{end}") for end in ("_low", "", "_high"))
        if value is None:
            return "not known"
        words = f"{scale * value:.{decimals}f}"
        if low is None or high is None:
            return words
        return f"{words} ({scale * low:.{decimals}f} to {scale * high:.{decimals}f})"

    weeks = _number(row, "growth.weeks")
    return {
        "case": entry.case,
        "scan": entry.plan,
        "baseline": row["growth.baseline"],
        "report": entry.report,
        "weeks": "not known" if weeks is None else f"{weeks:.1f}",
        "relative": said("relative", 100, 1),
        "points": said("hypertrophy", 1, 1),
        "rate": said("kinetic_rate", 1, 2),
    }


def _shares(done: Sequence[CohortEntry], apart: dict[int, str]) -> Drawing:
    """Draw the share of each case, by plan."""
    by_plan: dict[str, list[tuple[int, float | None]]] = {}
    for n, entry in enumerate(done):
        by_plan.setdefault(entry.plan, []).append((n, _number(entry.row, "flr")))
    plans = list(by_plan)[:MOST_ROWS]
    height = 1.0 + ROW_IN * len(plans)
    drawing = canvas.new_drawing(WIDTH_IN, height)
    axes = drawing.add_axes((0.24, 0.55 / height, 0.73, 1 - 0.75 / height))
    for at, plan in enumerate(plans):
        known = [(n, 100 * share) for n, share in by_plan[plan] if share is not None]
        if not known:
            continue
        low, middle, high = np.percentile([share for _, share in known], (25, 50, 75))
        axes.barh(at, high - low, left=low, height=0.62, color=canvas.REMNANT_COLOUR, alpha=0.45, linewidth=0)
        axes.plot([middle, middle], [at - 0.31, at + 0.31], color=canvas.INK, linewidth=1.2)
        for out, marker, colour in ((False, "o", "#0072b2"), (True, "x", "#d55e00")):
            shown = [share for n, share in known if (n in apart) is out]
            if out or len(shown) <= MOST_MARKS:
                axes.plot(
                    shown,
                    [at] * len(shown),
                    marker=marker,
                    color=colour,
                    markersize=4,
                    linestyle="",
                    alpha=0.8,
                )
    for share in SHARES:
        axes.axvline(share, color=canvas.INK, linewidth=0.7, linestyle="--")
    axes.set_yticks(range(len(plans)), [wording.clean(plan) or "plan" for plan in plans], fontsize=8)
    axes.set_ylim(len(plans) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("future liver remnant, % of the functional liver", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    return drawing


def _states(done: Sequence[CohortEntry], protocols: Sequence[str]) -> Drawing:
    """Draw how many cases are in which state of each protocol."""
    height = 1.1 + ROW_IN * max(1, len(protocols))
    drawing = canvas.new_drawing(WIDTH_IN, height)
    axes = drawing.add_axes((0.24, 0.45 / height, 0.73, 1 - 0.95 / height))
    for at, protocol in enumerate(protocols):
        left = 0
        for state, n in zip(STATES, _counts(done, protocol), strict=True):
            colour = STATE_COLOURS.get(state, NOT_EVALUABLE_COLOUR)
            label = wording.STATES[state].words if at == 0 else None
            axes.barh(
                at, n, left=left, height=0.6, color=colour, edgecolor=canvas.INK, linewidth=0.5, label=label
            )
            if n:
                axes.text(left + n / 2, at, str(n), ha="center", va="center", fontsize=7, color=canvas.INK)
            left += n
    axes.set_yticks(range(len(protocols)), protocols, fontsize=8)
    axes.set_ylim(len(protocols) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("cases", fontsize=8)
    if protocols:
        axes.legend(ncols=4, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    return drawing

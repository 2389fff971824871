"""Several plans for one liver, side by side: as a page and in the terminal."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.assessment.model import State
from flr_volumetry.report import certainty, wording
from flr_volumetry.report.page import environment
from flr_volumetry.volumetry.forecast import Technique

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.errors import Caveat

Json = dict[str, Any]
RATIOS = ("sflr", "flr_per_body_weight")
"""Said beside the main one, where they are known."""


@dataclass(frozen=True, slots=True)
class PlanReport:
    """One plan to be compared.

    Parameters
    ----------
    name : str
        Over its column.
    document : dict
        Its report.json.
    png : bytes or None
        The plan in three planes, if it is there.
    """

    name: str
    document: Json = field(repr=False)
    png: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one plan has in one row.

    Parameters
    ----------
    text : str
        The value.
    detail : str
        Its interval, or what it is a share of.
    css : str
        Class of its state; empty without one.
    """

    text: str
    detail: str = ""
    css: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of every plan.

    Parameters
    ----------
    title : str
        What it is.
    cells : tuple of Cell
        One for each plan.
    group : str
        Heading over it and the rows that follow, where it is the first of them.
    """

    title: str
    cells: tuple[Cell, ...]
    group: str = ""


def compare_rows(plans: Sequence[PlanReport]) -> list[Row]:
    """Return what tells plans apart, one row for each fact.

    Parameters
    ----------
    plans : sequence of PlanReport
        In the order of the columns.

    Returns
    -------
    list of Row
        Stages, remnant with interval, each rule that was evaluated for any, lesions, what goes and what
        stays, growth.
    """
    documents = [plan.document for plan in plans]
    return [
        *_grouped("Plan", _stages(documents)),
        *_grouped("Remnant", _remnant(documents)),
        *_grouped("Rules", _rules(documents)),
        *_grouped("Lesions", _lesions(documents)),
        *_grouped("What goes and what stays", _consequences(documents)),
        *_grouped("Growth", _growth(documents)),
    ]


def _grouped(group: str, rows: Iterator[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows):
        yield Row(row.title, row.cells, "" if number else group)


def _row(title: str, cells: Sequence[Cell]) -> Row:
    return Row(title, tuple(cells))


def _stages(documents: Sequence[Json]) -> Iterator[Row]:
    most = max(len(d["stages"]) for d in documents)
    for number in range(most):
        cells = []
        for document in documents:
            stages = document["stages"]
            stage = stages[number] if number < len(stages) else None
            taken = "; ".join(stage["resections"]) if stage else "none"
            cells.append(Cell(taken, stage["after"] if stage else ""))
        yield _row(f"Stage {number + 1}", cells)


def _remnant(documents: Sequence[Json]) -> Iterator[Row]:
    cells = []
    for document in documents:
        volumes = document["volumes"]
        interval = wording.ml_interval(volumes["remnant_functional_ml_interval"])
        cells.append(Cell(wording.whole_ml(volumes["remnant_functional_ml"]), interval))
    yield _row("Future liver remnant", cells)
    for key in (wording.MAIN_INDEX, *RATIOS):
        known = [d["indices"].get(key) for d in documents]
        title = next((index["title"] for index in known if index), "")
        if title:
            yield _row(title, [_ratio(index) for index in known])


def _ratio(index: Json | None) -> Cell:
    if index is None:
        return Cell("not known")
    interval = wording.quantity_interval(index["interval"], index["unit"])
    return Cell(wording.quantity(index["value"], index["unit"]), f"{interval} of {index['denominator']}")


def _rules(documents: Sequence[Json]) -> Iterator[Row]:
    asked: dict[tuple[str, str], Json] = {}
    for document in documents:
        for finding in document["findings"]:
            if finding["margin_ml"] is not None:
                asked.setdefault((finding["protocol"], finding["rule"]), finding)
    for (protocol, rule), first in asked.items():
        found = [
            next((f for f in d["findings"] if (f["protocol"], f["rule"]) == (protocol, rule)), None)
            for d in documents
        ]
        threshold = wording.quantity(first["threshold"], first["unit"])
        title = f"{rule} ({protocol}): {first['op']} {threshold} of {first['denominator']}"
        yield _row(title, [_state(finding) for finding in found])


def _state(finding: Json | None) -> Cell:
    if finding is None:
        return Cell("not asked for")
    how = wording.STATES[State(finding["state"])]
    if finding["margin_ml"] is None:
        return Cell(f"{how.symbol} {how.words}", finding["reason"], how.css)
    amount = wording.ml(abs(finding["margin_ml"]))
    said = f"{amount} {'missing' if finding['margin_ml'] < 0 else 'to spare'}"
    return Cell(f"{how.symbol} {how.words}", said, how.css)


def _lesions(documents: Sequence[Json]) -> Iterator[Row]:
    if not any(d["lesions"] for d in documents):
        return
    cells, margins = [], []
    for document in documents:
        lesions = document["lesions"]
        left = [x for x in lesions if not x["cleared"]]
        said = f"{len(lesions) - len(left)} of {len(lesions)}"
        named = ", ".join(f"{x['number']} ({wording.ml(x['remaining_ml'])} stay)" for x in left)
        cells.append(Cell(f"▼ {said}", f"not: {named}", "below") if left else Cell(said))
        cleared = [x for x in lesions if x["cleared"] and x["margin_mm"] is not None]
        closest = min(cleared, key=lambda x: x["margin_mm"], default=None)
        margins.append(
            Cell(f"{closest['margin_mm']:.1f} mm", f"lesion {closest['number']}") if closest else Cell("none")
        )
    yield _row("Lesions cleared", cells)
    yield _row("Smallest margin of those", margins)


def _consequences(documents: Sequence[Json]) -> Iterator[Row]:
    gone = [
        Cell(
            wording.ml(d["volumes"]["resected_ml"]),
            f"and {wording.ml(d['volumes']['ablated_ml'])} ablated" if d["volumes"]["ablated_ml"] else "",
        )
        for d in documents
    ]
    yield _row("Resected", gone)
    found = [d["consequences"] for d in documents]
    yield _row("Cut surface", [Cell(f"{c['cut_area_cm2']:.1f} cm2") for c in found])
    yield _row("Segments fully spared", [Cell(_spared(c["spared_segments"])) for c in found])
    yield _row("Without portal inflow", [Cell(_lost(c["inflow_cut"])) for c in found])
    yield _row("Without venous outflow", [Cell(_lost(c["outflow_cut"])) for c in found])


def _spared(segments: Sequence[int] | None) -> str:
    if segments is None:
        return "not known"
    return ", ".join(ROMAN[n] for n in segments) or "none"


def _lost(cut: Json | None) -> str:
    return "not known" if cut is None else wording.ml(cut["ml"])


def _growth(documents: Sequence[Json]) -> Iterator[Row]:
    cells = []
    for document in documents:
        forecasts = document["pathway"]["forecasts"]
        bands = forecasts[0]["bands"] if forecasts else []
        band = next((b for b in bands if b["weeks"] >= certainty.FORECAST_WEEK), bands[-1] if bands else None)
        if band is None:
            cells.append(Cell("no forecast"))
            continue
        how = wording.TECHNIQUES[Technique(forecasts[0]["technique"])]
        planned = "" if forecasts[0]["planned"] else ", not in the plan"
        detail = f"{wording.ml_interval(band['band_80_ml'])} (80 % of patients), {how}{planned}"
        cells.append(Cell(wording.ml(band["median_ml"]), detail))
    if any(cell.detail for cell in cells):
        yield _row(f"Remnant {certainty.FORECAST_WEEK:g} weeks after a procedure", cells)


def render_compare(plans: Sequence[PlanReport], caveats: Sequence[Caveat], *, version: str) -> str:
    """Return plans side by side as one self-contained HTML page.

    Parameters
    ----------
    plans : sequence of PlanReport
        In the order of the columns.
    caveats : sequence of Caveat
        What keeps them from being compared like with like.
    version : str
        Of flr_volumetry.

    Returns
    -------
    str
        Opens offline; every text of the cases is escaped.
    """
    return (
        environment()
        .get_template("compare.html.j2")
        .render(plans=plans, rows=compare_rows(plans), caveats=caveats, version=version, words=wording)
    )


def compare_text(plans: Sequence[PlanReport], caveats: Sequence[Caveat], *, width: int = 100) -> str:
    """Return plans side by side for a terminal.

    Parameters
    ----------
    plans : sequence of PlanReport
        In the order of the columns.
    caveats : sequence of Caveat
        What keeps them from being compared like with like.
    width : int
        Columns.

    Returns
    -------
    str
        A table, then the caveats.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="", expand=False)
    table.add_column("", ratio=3)
    for plan in plans:
        table.add_column(Text(wording.clean(plan.name)), ratio=4)
    for row in compare_rows(plans):
        if row.group:
            table.add_row(Text(row.group.upper()))
        cells = [f"{c.text}\n{c.detail}" if c.detail else c.text for c in row.cells]
        table.add_row(Text(wording.clean(row.title)), *(Text(_lines(cell)) for cell in cells))
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=width,
        no_color=True,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
    )
    console.print(table)
    for caveat in caveats:
        console.print(Text(f"Caveat: {wording.clean(caveat.message)}"))
    console.print(Text(wording.DISCLAIMER))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def _lines(text: str) -> str:
    return "\n".join(wording.clean(line) for line in text.split("\n"))

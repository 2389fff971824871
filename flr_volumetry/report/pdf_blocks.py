"""Blocks of the printed report: what a page is made of, as plain values that the typesetter reads.

A text is a list of spans: a string, or a string with its style. Nothing in a text is markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flr_volumetry.report import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flr_volumetry.assessment.model import State
    from flr_volumetry.report.canvas import ReportFigure

Block = dict[str, Any]
Span = str | dict[str, str]
Text = list[Span]
Cell = Text | str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    title : str
        Its head.
    share : float
        Of the width, against the other columns; 0 for as wide as its words.
    number : bool
        Whether it holds numbers, set to the right.
    """

    title: str
    share: float = 0.0
    number: bool = False


def styled(text: str, style: str) -> Span:
    """Return a span in a style: strong, small, hash, break, or the class of a state."""
    return {"text": text, "style": style}


def strong(text: str) -> Span:
    """Return a span set bold."""
    return styled(text, "strong")


def small(text: str) -> Span:
    """Return a span set small and grey."""
    return styled(text, "small")


def new_line() -> Span:
    """Return a line break."""
    return styled("", "break")


def state(value: State) -> Span:
    """Return a state for people: symbol, words and colour."""
    how = wording.STATES[value]
    return styled(f"{how.symbol} {how.words}", how.css)


def with_interval(value: str, interval: str) -> Text:
    """Return a value with its interval small beneath it, if there is one."""
    return [value, new_line(), small(interval)] if interval else [value]


def heading(text: str, level: int = 1) -> Block:
    """Return a heading; level 1 is a section."""
    return {"kind": "heading", "text": text, "level": level}


def paragraph(*spans: Span) -> Block:
    """Return a paragraph."""
    return {"kind": "paragraph", "spans": list(spans)}


def bullets(items: Iterable[Cell]) -> Block:
    """Return a list."""
    return {"kind": "list", "items": [_text(item) for item in items]}


def small_print(blocks: Sequence[Block]) -> Block:
    """Return blocks in two narrow columns of small type."""
    return {"kind": "small_print", "blocks": list(blocks)}


def side_by_side(left: Sequence[Block], right: Sequence[Block], *, share: float = 0.5) -> Block:
    """Return blocks beside each other; the left ones take a share of the width."""
    return {"kind": "beside", "left": list(left), "right": list(right), "share": share}


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, caption: str = "", dense: bool = False
) -> Block:
    """Return a table whose head stands again on each page.

    Parameters
    ----------
    columns : sequence of Column
        From left to right.
    rows : iterable of sequence of Cell
        One cell for each column; a row of a single cell is the title of those below it.
    caption : str
        Over it.
    dense : bool
        Whether it is set in smaller type.

    Returns
    -------
    dict
        A block.
    """
    return {
        "kind": "table",
        "caption": caption,
        "dense": dense,
        "columns": [{"title": c.title, "share": c.share, "number": c.number} for c in columns],
        "rows": [[_text(cell) for cell in row] for row in rows],
    }


def picture(figure: ReportFigure, *, width: float = 1.0) -> Block:
    """Return a figure with its caption, a share of the width wide."""
    return {
        "kind": "figure",
        "svg": figure.svg,
        "alt": figure.alt,
        "title": figure.title,
        "caption": figure.caption,
        "width": width,
    }


def _text(cell: Cell) -> Text:
    return [cell] if isinstance(cell, str) else list(cell)

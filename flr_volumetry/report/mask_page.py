"""The page that comes with masks found in a scan: how good they are thought to be, and pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flr_volumetry.report import wording
from flr_volumetry.report.page import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.errors import Caveat


@dataclass(frozen=True, slots=True)
class MaskRow:
    """One mask in the table.

    Parameters
    ----------
    name : str
        What it is of.
    ml : float
        Its volume, mL.
    dice : float or None
        Dice coefficient to be expected.
    boundary_mm : float or None
        Distance to be expected between its surface and the true one, mm.
    confidence : float or None
        That it is what it is called.
    """

    name: str
    ml: float
    dice: float | None = None
    boundary_mm: float | None = None
    confidence: float | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """What the table shows."""
        return (
            self.name,
            f"{self.ml:.1f} mL",
            "" if self.dice is None else f"{self.dice:.2f}",
            "" if self.boundary_mm is None else f"{self.boundary_mm:.1f} mm",
            "" if self.confidence is None else f"{self.confidence:.2f}",
        )


HEADS = ("mask", "volume", "expected Dice", "expected distance", "confidence")


@dataclass(frozen=True, slots=True)
class MaskPicture:
    """One picture of the page.

    Parameters
    ----------
    title : str
        Under it.
    png : bytes
        The file.
    """

    title: str
    png: bytes = field(repr=False)


def render_masks(
    title: str,
    rows: Sequence[MaskRow],
    *,
    caveats: Sequence[Caveat],
    methods: Sequence[str],
    pictures: Sequence[MaskPicture],
    version: str,
) -> str:
    """Return the page of a segmentation.

    Parameters
    ----------
    title : str
        Of the page.
    rows : sequence of MaskRow
        One a mask.
    caveats : sequence of Caveat
        What the reader must know.
    methods : sequence of str
        How it was made.
    pictures : sequence of MaskPicture
        In order.
    version : str
        Of flr_volumetry.

    Returns
    -------
    str
        One self-contained HTML page; every text is escaped.
    """
    shown = [n for n in range(len(HEADS)) if _shown(rows, n)]
    return render_table(
        title,
        [HEADS[n] for n in shown],
        [[row.cells[n] for n in shown] for row in rows],
        caveats=caveats,
        methods=methods,
        pictures=pictures,
        version=version,
    )


def render_table(  # noqa: PLR0913 - the parts of a page
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caveats: Sequence[Caveat] = (),
    methods: Sequence[str] = (),
    pictures: Sequence[MaskPicture] = (),
    version: str,
) -> str:
    """Return a page with one table on masks, and pictures of them.

    Parameters
    ----------
    title : str
        Of the page.
    heads : sequence of str
        Over the columns.
    rows : sequence of sequence of str
        The table.
    caveats : sequence of Caveat
        What the reader must know.
    methods : sequence of str
        How it was made.
    pictures : sequence of MaskPicture
        In order.
    version : str
        Of flr_volumetry.

    Returns
    -------
    str
        One self-contained HTML page; every text is escaped.
    """
    return (
        environment()
        .get_template("masks.html.j2")
        .render(
            title=title,
            heads=heads,
            rows=rows,
            caveats=caveats,
            methods=methods,
            pictures=pictures,
            version=version,
            words=wording,
        )
    )


def masks_text(title: str, rows: Sequence[MaskRow], caveats: Sequence[Caveat]) -> str:
    """Return masks, their quality and caveats as plain text.

    Parameters
    ----------
    title : str
        First line.
    rows : sequence of MaskRow
        One a mask.
    caveats : sequence of Caveat
        What the reader must know.

    Returns
    -------
    str
        For a terminal.
    """
    shown = [n for n in range(len(HEADS)) if _shown(rows, n)]
    table = [[HEADS[n] for n in shown], *([row.cells[n] for n in shown] for row in rows)]
    widths = [max(len(line[n]) for line in table) for n in range(len(shown))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in table
    ]
    said = [f"- {wording.clean(c.message)}" for c in caveats]
    return "\n".join([wording.clean(title), "", *lines, "", *said, wording.DISCLAIMER]) + "\n"


def _shown(rows: Sequence[MaskRow], column: int) -> bool:
    return column < 2 or any(row.cells[column] for row in rows)

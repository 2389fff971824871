"""The table that ``flr inspect`` prints for people."""

from __future__ import annotations

import io
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from flr_volumetry.io.inspection import Status

if TYPE_CHECKING:
    from rich.table import Table

    from flr_volumetry.io.inspection import Entry, Inspection

SHOWN_SEGMENTS: Final = 8
MIN_WIDTH: Final = 60


def inspection_table(inspection: Inspection) -> Table:
    """Return an inspection as a table that fits the terminal it is printed on.

    Parameters
    ----------
    inspection : Inspection
        What `flr_volumetry.io.inspect` returned.

    Returns
    -------
    Table
        One row for each thing found.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what", no_wrap=True)
    table.add_column("where", overflow="fold", ratio=2)
    table.add_column("voxels", no_wrap=True)
    table.add_column("mm", no_wrap=True)
    table.add_column("read", overflow="fold", ratio=3)
    for entry in inspection.items:
        ok = entry.status is Status.OK
        table.add_row(
            entry.modality or entry.kind.value,
            Text(_where(entry.path)),
            Text(" × ".join(map(str, entry.grid.shape)) if entry.grid else ""),
            Text(" × ".join(f"{s:.2f}" for s in entry.grid.spacing_mm) if entry.grid else ""),
            Text(_remark(entry), style="" if ok else "yellow"),
        )
    return table


def _where(path: str) -> str:
    parts = PurePath(path).parts
    return str(PurePath(*parts[-2:])) if parts else path


def _remark(entry: Entry) -> str:
    if entry.status is Status.REFUSED:
        return f"refused: {entry.reason}"
    remarks = []
    if entry.grid and entry.grid.tilt_deg > 0.1:
        remarks.append(f"gantry tilt {entry.grid.tilt_deg:.1f}°")
    for segment in entry.segments[:SHOWN_SEGMENTS]:
        amount = f" {segment.ml:.1f} mL" if segment.ml is not None else ""
        remarks.append(f"{segment.name}{amount}")
    more = len(entry.segments) - SHOWN_SEGMENTS
    if more > 0:
        remarks.append(f"and {more} more")
    return ", ".join(remarks) or "ok"


def render_inspection(inspection: Inspection, *, width: int = 100) -> str:
    """Return an inspection as plain text: the table, then what must be known of it.

    Parameters
    ----------
    inspection : Inspection
        What `flr_volumetry.io.inspect` returned.
    width : int, optional
        Of the lines, characters.

    Returns
    -------
    str
        Lines of at most `width` characters, but for names that are longer.
    """
    from rich.console import Console

    stream = io.StringIO()
    console = Console(
        file=stream, width=max(width, MIN_WIDTH), force_terminal=False, force_jupyter=False, highlight=False
    )
    console.print(inspection_table(inspection))
    for entry in inspection.items:
        if entry.status is Status.REFUSED:
            console.print(f"\n{_where(entry.path)}: {entry.message}", markup=False)
    for caveat in inspection.caveats:
        console.print(f"\n{caveat.code}: {caveat.message}", markup=False)
    return stream.getvalue()

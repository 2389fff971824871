"""What ``flr backends`` prints: which segmenters there are, and why one cannot be used."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.finding import NAMES, settings_for
from flr_volumetry.errors import FlrError
from flr_volumetry.segmentation import DEFAULT, Availability, backend, backend_names

if TYPE_CHECKING:
    from flr_volumetry.segmentation import Segmenter


def backends_json() -> dict[str, Any]:
    """Return all back-ends as plain values.

    Returns
    -------
    dict
        ``{"backends": [{"name", "title", "available", "missing", "remedy", "detail", "structures",
        "modalities", "licence", "default"}]}``; one that cannot even be loaded has no structures.
    """
    return {"backends": [_entry(name) for name in backend_names()]}


def _entry(name: str) -> dict[str, Any]:
    made: Segmenter | None = None
    try:
        made = backend(name, settings_for())
        there = made.availability()
    except FlrError as error:
        there = Availability(error.message, "Update or uninstall the package that registers it.")
    return {
        "name": name,
        "title": made.title if made else "",
        "available": there.is_available,
        "missing": there.missing,
        "remedy": there.remedy,
        "detail": there.detail,
        "structures": [key for key, s in NAMES.items() if made and s in made.structures],
        "modalities": sorted(m.value for m in made.modalities) if made else [],
        "licence": made.licence if made else "",
        "default": name == DEFAULT,
    }


def render_backends(*, width: int) -> str:
    """Return all back-ends as text for people.

    Parameters
    ----------
    width : int
        Columns.

    Returns
    -------
    str
        A table, then what is missing and how to get it.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    buffer = io.StringIO()
    console = Console(
        file=buffer, width=width, no_color=True, color_system=None, force_terminal=False, force_jupyter=False
    )
    entries = backends_json()["backends"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("back-end", "there", "finds", "in", "licence", "what it is"):
        table.add_column(head, overflow="fold", no_wrap=head in {"back-end", "there", "in"})
    for e in entries:
        cells = (
            e["name"] + (" (default)" if e["default"] else ""),
            "yes" if e["available"] else "no",
            ", ".join(e["structures"]),
            ", ".join(e["modalities"]),
            e["licence"],
            e["title"],
        )
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    for e in entries:
        if e["missing"]:
            console.print(Text(f"{e['name']} cannot be used: {e['missing']} {e['remedy']}"))
        elif e["detail"]:
            console.print(Text(f"{e['name']}: {e['detail']}"))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"

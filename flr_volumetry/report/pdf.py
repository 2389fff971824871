"""report.pdf: the facts of report.html on a few A4 pages, for print, archives and screen readers.

Typeset by Typst, whose compiler comes as one wheel. Texts of a case are handed over as values, never as
markup; nothing is read from or written to a disk, and nothing is asked of a network.
"""

from __future__ import annotations

import datetime as dt
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.errors import OutputError
from flr_volumetry.report import canvas, pdf_parts, wording
from flr_volumetry.report.canvas import FigureKind
from flr_volumetry.report.page import patient_words
from flr_volumetry.report.pdf_answer import answer
from flr_volumetry.report.pdf_blocks import picture, side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.model import Summary
    from flr_volumetry.report.canvas import ReportFigure
    from flr_volumetry.report.pdf_blocks import Block

TEMPLATE = "report.typ"
CLOSING = "It compares volumes with published thresholds; it does not decide on an operation."
DRAWN = "svg"
"""Key of what is a file in itself, and is not cleaned as a text."""


def pdf_bytes(summary: Summary, figures: Sequence[ReportFigure] = ()) -> bytes:
    """Return the report of a case as a PDF of a few A4 pages.

    Parameters
    ----------
    summary : Summary
        The assessed case.
    figures : sequence of ReportFigure
        As `figures` draws them; those of the plan, of its critical place, of the cut, of the thresholds and
        of the forecast are set as lines, not as pixels.

    Returns
    -------
    bytes
        PDF/A-2a (ISO 19005-2) and PDF/UA-1 (ISO 14289-1): fonts embedded, all text selectable, figures
        with a description. The same for the same case and figures.

    Raises
    ------
    OutputError
        If the typesetter refuses the document.

    Notes
    -----
    Letters come from DejaVu Sans, which matplotlib brings. Only where a text has letters that it lacks, as a
    name in Chinese has, are the fonts of the system asked for them; without any, they are shown as boxes
    and remain in the text.
    """
    return typeset(report_content(summary, figures))


def report_content(summary: Summary, figures: Sequence[ReportFigure] = ()) -> dict[str, Any]:
    """Return what the printed report says, as plain values.

    Parameters
    ----------
    summary : Summary
        The assessed case.
    figures : sequence of ReportFigure
        As for `pdf_bytes`.

    Returns
    -------
    dict
        Title, answer and blocks; every text cleaned of characters that could hide or forge what is shown.
    """
    scan = f"Scan of {summary.scan.date.isoformat()}" if summary.scan.date else ""
    version = summary.provenance.version
    content = {
        "title": f"Future liver remnant, case {summary.case_id}",
        "made": list(
            dt.datetime.fromisoformat(summary.provenance.started).astimezone(dt.UTC).timetuple()[:6]
        ),
        "patient": ", ".join(patient_words(summary)),
        "dates": ", ".join(w for w in (scan, f"assessed {summary.provenance.started}") if w),
        "disclaimer": wording.DISCLAIMER,
        "program": f"flr_volumetry {version}",
        "closing": CLOSING,
        "answer": answer(summary),
        "plan": _pictures(figures, FigureKind.PLAN)[:1],
        "blocks": _blocks(summary, figures),
    }
    return clean_content(content)


def _blocks(summary: Summary, figures: Sequence[ReportFigure]) -> list[Block]:
    return [
        *_pictures(figures, FigureKind.LADDER),
        *pdf_parts.stages(summary),
        *pdf_parts.volumes(summary),
        *pdf_parts.lesions(summary),
        *_margins(figures),
        *pdf_parts.growth(summary),
        *_pictures(figures, FigureKind.FORECAST, width=0.72),
        *pdf_parts.function(summary),
        *pdf_parts.findings(summary),
        *pdf_parts.notes(summary),
    ]


def _pictures(figures: Sequence[ReportFigure], kind: FigureKind, *, width: float = 1.0) -> list[Block]:
    return [picture(figure, width=width) for figure in figures if figure.kind is kind]


def _margins(figures: Sequence[ReportFigure]) -> list[Block]:
    """Return the place that decides beside the map of the cut."""
    place, cut = _critical(figures), _pictures(figures, FigureKind.CUT)
    if place and cut:
        return [side_by_side(place, cut, share=0.45)]
    return place + cut


def _critical(figures: Sequence[ReportFigure]) -> list[Block]:
    """Return where a lesion stays, else where the margin is smallest."""
    for ending in ("_stays", "smallest_margin"):
        for figure in figures:
            if figure.kind is FigureKind.LESION and figure.name.endswith(ending):
                return [picture(figure)]
    return []


def clean_content(content: dict[str, Any]) -> dict[str, Any]:
    """Clean every text of a document of what could hide or forge what is shown.

    Parameters
    ----------
    content : dict
        As `typeset` takes it.

    Returns
    -------
    dict
        The same, but for such characters.
    """
    cleaned: dict[str, Any] = _cleaned(content)
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return wording.clean(value)
    if isinstance(value, dict):
        return {key: part if key == DRAWN else _cleaned(part) for key, part in value.items()}
    return [_cleaned(part) for part in value] if isinstance(value, list) else value


def typeset(content: dict[str, Any]) -> bytes:
    """Set a document of blocks.

    Parameters
    ----------
    content : dict
        As `report_content` makes it.

    Returns
    -------
    bytes
        A PDF file.

    Raises
    ------
    OutputError
        If the typesetter refuses the document.
    """
    import matplotlib as mpl
    import typst

    template = files("flr_volumetry.report").joinpath("templates", TEMPLATE).read_bytes()
    handed = json.dumps(content, ensure_ascii=False)
    fonts = typst.Fonts(
        include_system_fonts=canvas.drawable(handed) != handed,
        font_paths=[Path(mpl.get_data_path()) / "fonts" / "ttf"],
    )
    try:
        made = typst.compile(
            template,
            format="pdf",
            font_paths=fonts,
            sys_inputs={"content": handed},
            pdf_standards=["a-2a", "ua-1"],
        )
    except RuntimeError as error:
        raise OutputError(
            f"report.pdf could not be typeset: {error}. This is a fault of the program; please report it.",
            reason="not_typeset",
        ) from error
    return bytes(made)

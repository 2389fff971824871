"""``flr compare``: the reports of several plans for one liver, side by side."""

from __future__ import annotations

import hashlib
import json
import math
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.record import read_document
from flr_volumetry.app.write import files_of, replacing
from flr_volumetry.errors import CaseError, Caveat
from flr_volumetry.report.compare_page import PlanReport, compare_rows, compare_text, render_compare
from flr_volumetry.report.document import sealed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COMPARE: Final = "compare.json"
PICTURE: Final = "figures/plan.png"
SAME_ML: Final = 1e-6
"""Volumes of one mask differ by no more."""


def write_compare(paths: Sequence[Path], out_dir: Path, *, width: int = 100) -> tuple[Path, str]:
    """Lay the reports of several plans side by side.

    Parameters
    ----------
    paths : sequence of Path
        Their report.json, or the folders that hold them; two or more.
    out_dir : Path
        Made if absent; an earlier comparison in it is replaced.
    width : int
        Of the text, columns.

    Returns
    -------
    Path
        Of compare.html.
    str
        The same for a terminal.

    Raises
    ------
    FlrError
        If a report cannot be read or was edited, or they are of different patients.
    """
    plans = _named([_read(path) for path in paths])
    caveats = _caveats(plans)
    program = version("flr-volumetry")
    text = compare_text(plans, caveats, width=width)
    with replacing(out_dir, COMPARE) as folder:
        page = render_compare(plans, caveats, version=program)
        (folder / "compare.html").write_bytes(page.encode("utf-8", "backslashreplace"))
        (folder / "summary.txt").write_bytes(text.encode("utf-8", "backslashreplace"))
        document = sealed({**_document(plans, caveats, program), "outputs": files_of(folder)})
        (folder / COMPARE).write_bytes((json.dumps(document, indent=2) + "\n").encode("ascii"))
    return out_dir / "compare.html", text


def _read(path: Path) -> PlanReport:
    path = path / "report.json" if path.is_dir() else path
    document = read_document(path)
    digests = {output["path"]: output["sha256"] for output in document["outputs"]}
    picture = path.parent / PICTURE
    png = picture.read_bytes() if PICTURE in digests and picture.is_file() else None
    if png is not None and hashlib.sha256(png).hexdigest() != digests[PICTURE]:
        png = None
    return PlanReport(document["case"]["id"], document, png)


def _named(plans: Sequence[PlanReport]) -> list[PlanReport]:
    """Tell those of one name apart by a number."""
    names = [plan.name for plan in plans]
    return [
        PlanReport(f"{plan.name} ({n})" if names.count(plan.name) > 1 else plan.name, plan.document, plan.png)
        for n, plan in enumerate(plans, start=1)
    ]


def _caveats(plans: Sequence[PlanReport]) -> tuple[Caveat, ...]:
    """Refuse plans of different patients; say what else keeps plans from being compared like with like."""
    keys = {key for plan in plans if (key := plan.document["case"]["patient_key"])}
    if len(keys) > 1:
        raise CaseError(
            "the reports are of different DICOM patients: plans are compared for one liver only. Name the "
            "reports of one patient.",
            reason="other_patient",
        )
    first = plans[0]
    found = []
    for plan in plans[1:]:
        for name, what in (("total_ml", "liver"), ("tumour_ml", "lesions")):
            one, other = (p.document["volumes"][name] for p in (first, plan))
            if not math.isclose(one, other, abs_tol=SAME_ML):
                said = (
                    f"The {what} of {first.name} and {plan.name} are not the same: {one:.1f} and "
                    f"{other:.1f} mL. A difference between their remnants is not of the plans alone."
                )
                found.append(Caveat("livers_differ", said))
    for plan in plans:
        count = len(plan.document["caveats"])
        if count:
            said = f"{plan.name}: {count} {'caveat' if count == 1 else 'caveats'} in its own report."
            found.append(Caveat("caveats_of_report", said))
    return tuple(found)


def _document(plans: Sequence[PlanReport], caveats: Sequence[Caveat], program: str) -> dict[str, Any]:
    return {
        "flr_volumetry": program,
        "plans": [{"name": plan.name, "sha256": plan.document["sha256"]} for plan in plans],
        "caveats": [{"code": c.code, "message": c.message} for c in caveats],
        "rows": [
            {
                "group": row.group,
                "title": row.title,
                "cells": [{"text": c.text, "detail": c.detail} for c in row.cells],
            }
            for row in compare_rows(plans)
        ],
    }

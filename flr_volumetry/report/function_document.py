"""Tests of liver function and staging systems in report.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flr_volumetry.assessment.units import UNITS

if TYPE_CHECKING:
    from flr_volumetry.assessment.function import FunctionTable
    from flr_volumetry.assessment.systems.model import Checklist

Json = dict[str, Any]


def function_json(table: FunctionTable | None) -> Json | None:
    """Return tests and scores of function as plain values.

    Parameters
    ----------
    table : FunctionTable or None
        As `flr_volumetry.assessment.function.weigh_function` made it.

    Returns
    -------
    dict or None
        Values with their units, and what the missing ones lack.
    """
    if table is None:
        return None
    return {
        "extent": table.extent.value,
        "extent_method": table.extent_method,
        "quantities": [
            {
                "key": q.key,
                "title": q.title,
                "value": float(q.value),
                "unit": q.unit,
                "text": UNITS[q.unit].text(q.value),
                "method": q.method,
            }
            for q in table.quantities
        ],
        "missing": [{"key": key, "reason": reason} for key, reason in table.missing.items()],
    }


def checklist_json(checklist: Checklist) -> Json:
    """Return one staging system as plain values.

    Parameters
    ----------
    checklist : Checklist
        As `flr_volumetry.assessment.systems.fill_in` made it.

    Returns
    -------
    dict
        Its questions, each with its answer and whether that was computed, attested, or is missing.
    """
    return {
        "key": checklist.key,
        "title": checklist.title,
        "outcome": checklist.outcome.value,
        "sentence": checklist.sentence,
        "items": [
            {
                "key": item.key,
                "question": item.question,
                "answer": item.answer.value,
                "basis": item.basis.value,
                "said": item.said,
            }
            for item in checklist.items
        ],
        "source": checklist.citation.text,
        "source_via": checklist.citation.via,
        "evidence": checklist.evidence.value,
        "notes": list(checklist.notes),
    }

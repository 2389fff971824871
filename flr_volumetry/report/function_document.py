"""Tests of liver function in report.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flr_volumetry.assessment.units import UNITS

if TYPE_CHECKING:
    from flr_volumetry.assessment.function import FunctionTable

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

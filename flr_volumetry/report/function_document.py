"""Tests of liver function, staging systems and the two-stage pathway in report.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flr_volumetry.assessment.units import UNITS

if TYPE_CHECKING:
    from flr_volumetry.assessment.function import FunctionTable
    from flr_volumetry.assessment.systems.model import Checklist
    from flr_volumetry.assessment.two_stage import TwoStage
    from flr_volumetry.volumetry.functional_map import MapShare

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
        "map": _map(table.map_share),
    }


def _map(share: MapShare | None) -> Json | None:
    if share is None:
        return None
    return {
        "kind": share.kind.value,
        "remnant_share": share.remnant_share,
        "volume_share": share.volume_share,
        "remnant_mean": share.remnant_mean,
        "liver_mean": share.liver_mean,
        "liver_sum": share.liver_sum,
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


def two_stage_json(path: TwoStage | None) -> Json | None:
    """Return the course of a two-stage plan as plain values.

    Parameters
    ----------
    path : TwoStage or None
        As `flr_volumetry.assessment.two_stage.two_stage_path` followed it.

    Returns
    -------
    dict or None
        Lesions by side and stage, what has to grow, what stage two finds, predictors and figures.
    """
    if path is None:
        return None
    band = path.band
    return {
        "lesions": [
            {
                "number": x.number,
                "side": x.side.value,
                "how": x.how.value,
                "stage": x.stage,
                "grows_with_remnant": x.grows_with_remnant,
                "warnings": list(x.warnings),
            }
            for x in path.lesions
        ],
        "uncleared": list(path.uncleared),
        "cleared_ml": float(path.cleared_ml),
        "to_grow_ml": float(path.to_grow_ml),
        "weeks": path.weeks,
        "band": None
        if band is None
        else {"weeks": band.weeks, "median_ml": band.median_ml, "band_80_ml": list(band.band_80_ml)},
        "rules": [
            {"rule": rule.id, "protocol": protocol, "required_growth": float(growth), "probability": p}
            for rule, protocol, growth, p in path.rules
        ],
        "predictors": [{"key": p.key, "present": p.present, "said": p.said} for p in path.predictors],
        "figures": list(path.figures),
    }

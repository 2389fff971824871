"""followup.json: all facts of a follow-up, as plain values in a fixed order."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.followup_model import DatedScan, FollowUp, Outlook, RuleState, ScanGrowth
    from flr_volumetry.assessment.lesion_growth import LesionCourse, LesionSeen
    from flr_volumetry.errors import Caveat
    from flr_volumetry.report.followup_chart import CarriedView
    from flr_volumetry.volumetry.forecast import Band

FOLLOWUP_VERSION = "1.0"
FOLLOWUP_SCHEMA = "followup-1.schema.json"

Json = dict[str, Any]


def followup_json(
    result: FollowUp,
    views: Sequence[CarriedView],
    *,
    version: str,
    inputs: Sequence[Json],
) -> Json:
    """Return followup.json as plain values, without `outputs` and `sha256`.

    Parameters
    ----------
    result : FollowUp
        What was found.
    views : sequence of CarriedView
        The carried plans.
    version : str
        Of flr_volumetry.
    inputs : sequence of dict
        Case and digest of each report, the baseline's first.

    Returns
    -------
    dict
        Valid against `followup_schema` once `outputs` and `sha256` are added.
    """
    setting = result.setting
    return {
        "schema_version": FOLLOWUP_VERSION,
        "caveats": [_caveat(c) for c in result.caveats],
        "denominator": {
            "kind": result.denominator.kind.value,
            "ml": result.denominator.amount.value,
            "sd_ml": result.denominator.amount.sd,
            "words": result.denominator.words,
        },
        "setting": {
            "technique": setting.technique.value,
            "procedure_date": setting.procedure.isoformat() if setting.procedure else None,
            "cirrhosis": setting.cirrhosis,
            "counted_from": result.counted_from.value,
        },
        "baseline": {**_scan(result.baseline), "rules": [_state(s) for s in result.baseline_states]},
        "scans": [_growth(g) for g in result.scans],
        "outlook": _outlook(result.outlook) if result.outlook is not None else None,
        "carried": [
            {
                "scan": view.name,
                "own_plan_counted": view.own_plan,
                "stages_done": view.stages_done,
                "registration": view.facts,
                "planes": list(view.planes),
            }
            for view in views
        ],
        "methods": list(result.methods),
        "flr_volumetry": version,
        "inputs": list(inputs),
    }


def followup_schema() -> Json:
    """Load the JSON Schema of followup.json that the package ships.

    Returns
    -------
    dict
        Draft 2020-12.
    """
    text = files("flr_volumetry.report").joinpath("schema", FOLLOWUP_SCHEMA).read_text(encoding="utf-8")
    schema: Json = json.loads(text)
    return schema


def _caveat(caveat: Caveat) -> Json:
    return {"code": caveat.code, "message": caveat.message}


def _scan(scan: DatedScan) -> Json:
    return {
        "name": scan.name,
        "date": scan.date.isoformat() if scan.date else None,
        "remnant_functional_ml": scan.remnant.value,
        "remnant_functional_sd_ml": scan.remnant.sd,
        "other_side_ml": scan.other_side_ml,
        "tumour_ml": scan.tumour_ml,
    }


def _growth(growth: ScanGrowth) -> Json:
    low, high = growth.relative_interval
    less, more = growth.hypertrophy_interval
    return {
        **_scan(growth.scan),
        "weeks": growth.weeks,
        "gain_ml": growth.gain_ml,
        "relative_growth": growth.relative.fraction,
        "relative_growth_interval": [low.fraction, high.fraction],
        "hypertrophy_points": growth.hypertrophy.points,
        "hypertrophy_points_interval": [less.points, more.points],
        "kinetic_growth_rate": growth.rate.points_per_week if growth.rate else None,
        "kinetic_growth_rate_interval": list(growth.rate_interval) if growth.rate_interval else None,
        "kinetic_growth_rate_caveats": [_caveat(c) for c in growth.caveats],
        "share": growth.share,
        "share_interval": list(growth.share_interval),
        "other_side_change": growth.other_side_change,
        "tumour_change": growth.tumour_change,
        "lesions": [_course(c) for c in growth.scan.courses],
        "rules": [_state(s) for s in growth.states],
    }


def _course(course: LesionCourse) -> Json:
    return {
        "change": course.change.value,
        "in_remnant": course.in_remnant,
        "growth": course.growth,
        "larger": course.larger,
        "before": [_lesion(x) for x in course.before],
        "after": [_lesion(x) for x in course.after],
    }


def _lesion(lesion: LesionSeen) -> Json:
    return {
        "number": lesion.number,
        "ml": lesion.ml,
        "longest_diameter_mm": lesion.longest_diameter_mm,
        "in_remnant_ml": lesion.in_remnant_ml,
        "location": lesion.location,
    }


def _state(state: RuleState) -> Json:
    rule = state.rule
    return {
        "rule": rule.rule,
        "protocol": rule.protocol,
        "index": rule.index,
        "threshold": rule.threshold,
        "denominator_amount": rule.denominator.value,
        "asked_ml": rule.asked_ml,
        "value": state.value,
        "interval": list(state.interval),
        "probability": state.probability,
        "state": state.state.value,
    }


def _outlook(outlook: Outlook) -> Json:
    median, low, high = outlook.limit
    return {
        "bands": [_band(b) for b in outlook.bands],
        "growth_limit": {"median": median, "band_80": [low, high]},
        "reached": [
            {
                "rule": rule.rule,
                "protocol": rule.protocol,
                "asked_ml": rule.asked_ml,
                "probabilities": [
                    {"weeks": band.weeks, "probability": p}
                    for band, p in zip(outlook.bands, shares, strict=True)
                ],
            }
            for rule, shares in outlook.reached
        ],
    }


def _band(band: Band) -> Json:
    return {"weeks": band.weeks, "median_ml": band.median_ml, "band_80_ml": list(band.band_80_ml)}

"""The plan and its consequences in report.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flr_volumetry.resection import (
    Ablation,
    BezierSurface,
    ClosedCurve,
    PieceKind,
    PlaneResection,
    RemnantResection,
    SegmentResection,
    SurfaceResection,
    TerritoryResection,
    TriangleSurface,
    WedgeResection,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from flr_volumetry.assessment.model import CongestionFinding
    from flr_volumetry.assessment.pathway import Pathway, RuleForecast
    from flr_volumetry.resection import CutArea, Resection, ResectionPlan, Surface
    from flr_volumetry.volumetry.circulation import CutOff
    from flr_volumetry.volumetry.consequences import Consequences
    from flr_volumetry.volumetry.forecast import Band, GrowthModel

Json = dict[str, Any]


def plan_json(plan: ResectionPlan, areas: Sequence[CutArea] = ()) -> list[Json]:
    """Return a plan's stages as plain values: every number that says where the cuts lie.

    Parameters
    ----------
    plan : ResectionPlan
        What was carried out.
    areas : sequence of CutArea
        One for each resection, in order; none if they were not measured.

    Returns
    -------
    list of dict
        One a stage; points in LPS mm.
    """
    left = iter(areas)
    return [
        {
            "name": stage.name,
            "after": {"procedure": stage.after.procedure, "weeks": stage.after.weeks}
            if stage.after
            else None,
            "resections": [
                {"title": cut.title, **_resection(cut), **_area(next(left, None))} for cut in stage.resections
            ],
        }
        for stage in plan.stages
    ]


def _area(area: CutArea | None) -> Json:
    return {} if area is None else {"cut_area_cm2": float(area.mm2 / 100)}


def _resection(cut: Resection) -> Json:
    match cut:
        case PlaneResection():
            planes = [{"point_mm": _point(p.point_mm), "normal": _point(p.normal)} for p in cut.planes]
            return {"kind": "planes", "name": cut.name, "combine": cut.combine.value, "planes": planes}
        case SurfaceResection():
            return {"kind": "surface", "name": cut.name, **_surface(cut.surface)}
        case SegmentResection():
            return {"kind": "segments", "name": cut.name, "segments": sorted(cut.segments)}
        case TerritoryResection():
            found = {"lesions": list(cut.lesions), "margin_mm": float(cut.margin_mm)} if cut.lesions else {}
            named = {"structure": cut.structure.value, "branches": list(cut.branches)}
            return {"kind": "territory", **named, **found}
        case WedgeResection() | Ablation():
            kind = "wedge" if isinstance(cut, WedgeResection) else "ablation"
            return {"kind": kind, "lesions": list(cut.lesions), "margin_mm": float(cut.margin_mm)}
        case RemnantResection():
            return {
                "kind": "remnant_mask",
                "name": cut.mask.name,
                "remnant_ml": float(cut.mask.ml),
                "ablates": cut.kind is PieceKind.ABLATED,
            }


def _surface(surface: Surface) -> Json:
    match surface:
        case BezierSurface():
            return {
                "surface": "control_points",
                "control_mm": [[_point(p) for p in row] for row in surface.control_mm],
            }
        case ClosedCurve():
            return {"surface": "closed_curve", "points_mm": [_point(p) for p in surface.points_mm]}
        case TriangleSurface():
            return {
                "surface": "triangles",
                "n_vertices": len(surface.vertices_mm),
                "n_triangles": len(surface.triangles),
            }


def _point(vector: npt.NDArray[np.float64]) -> list[float]:
    return [float(v) for v in vector]


def consequences_json(consequences: Consequences) -> Json:
    """Return what the cut means for what stays, as plain values.

    Parameters
    ----------
    consequences : Consequences
        As `flr_volumetry.volumetry.consequences.weigh` found them.

    Returns
    -------
    dict
        Null where a thing is not known.
    """
    spared = consequences.spared_segments
    return {
        "spared_segments": None if spared is None else list(spared),
        "adjacent_spared": consequences.adjacent_spared,
        "remnant_parts_ml": [float(ml) for ml in consequences.remnant_parts_ml],
        "inflow_cut": _cut_off(consequences.inflow),
        "outflow_cut": _cut_off(consequences.outflow),
        "effective_remnant": [
            {"retained_function": e.retained_function, "ml": float(e.ml)} for e in consequences.effective
        ],
    }


def _cut_off(cut: CutOff | None) -> Json | None:
    if cut is None:
        return None
    return {
        "structure": cut.structure.value,
        "branches": list(cut.branches),
        "ml": float(cut.ml),
        "segments": [{"segment": n, "ml": float(ml)} for n, ml in cut.segments],
        "opened": list(cut.opened),
        "most_ml": float(cut.ml if cut.most_ml is None else cut.most_ml),
    }


def congestion_json(finding: CongestionFinding) -> Json:
    """Return one rule with the congested part of the remnant counted at less, as plain values.

    Parameters
    ----------
    finding : CongestionFinding
        As `flr_volumetry.assessment.congestion.judge_congestion` found it.

    Returns
    -------
    dict
        The rule, its index for each weight, and what that means.
    """
    return {
        "rule": finding.rule.id,
        "protocol": finding.protocol,
        "index": finding.rule.index,
        "threshold": float(finding.rule.threshold),
        "values": [{"retained_function": w, "value": float(v)} for w, v in finding.values],
        "question": finding.question.value,
    }


def pathway_json(pathway: Pathway | None) -> Json:
    """Return growth asked for and growth forecast, as plain values.

    Parameters
    ----------
    pathway : Pathway or None
        As `flr_volumetry.assessment.pathway.embolization_pathway` found it.

    Returns
    -------
    dict
        `forecasts`, of the technique of the plan or of PVE; `options`, every technique; `needs`, by protocol.
    """
    if pathway is None:
        return {"forecasts": [], "options": [], "needs": []}
    return {
        "forecasts": [
            {
                "technique": pathway.technique.value,
                "planned": pathway.planned,
                "cirrhosis": pathway.cirrhosis,
                "model": _model(pathway.model),
                "bands": [_band(b) for b in pathway.bands],
                "rules": [_rule_forecast(r) for r in pathway.rules],
            }
        ],
        "options": [
            {
                "technique": o.technique.value,
                "model": _model(o.model),
                "bands": [_band(b) for b in o.bands],
                "rules": [_rule_forecast(r) for r in o.rules],
            }
            for o in pathway.options
        ],
        "needs": [{"protocol": n.protocol, "state": n.state.value} for n in pathway.needs],
    }


def _model(model: GrowthModel) -> Json:
    return {
        "median_growth": model.median,
        "band_80": list(model.band_80),
        "tau_weeks": list(model.tau_weeks),
        "source": model.source,
        "evidence": model.evidence,
    }


def _band(band: Band) -> Json:
    return {"weeks": band.weeks, "median_ml": band.median_ml, "band_80_ml": list(band.band_80_ml)}


def _rule_forecast(forecast: RuleForecast) -> Json:
    return {
        "rule": forecast.rule.id,
        "protocol": forecast.protocol,
        "threshold_ml": float(forecast.threshold_ml),
        "required_growth": float(forecast.required_growth),
        "need": forecast.need.value,
        "probabilities": [{"weeks": w, "probability": p} for w, p in forecast.probabilities],
    }

"""report.json: all facts of an assessed case, as plain values in a fixed order.

Fractions are from 0 to 1, volumes in mL, lengths in mm. JSON knows no infinity: where a number does
not exist it is null, and a field beside it says why.
"""

from __future__ import annotations

import hashlib
import json
import math
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.errors import OutputError
from flr_volumetry.report import certainty
from flr_volumetry.report.function_document import checklist_json, function_json, two_stage_json
from flr_volumetry.report.plan_document import congestion_json, consequences_json, pathway_json, plan_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flr_volumetry.assessment.model import Finding, Index, Provenance, Summary
    from flr_volumetry.errors import Caveat
    from flr_volumetry.volumetry.measure import LesionFacts, SegmentVolume, StageVolumes
    from flr_volumetry.volumetry.nearby import Neighbour, Neighbours
    from flr_volumetry.volumetry.patient import Patient

SCHEMA_VERSION = "1.3"
SCHEMA_FILE = "report-1.schema.json"
VOLUME_FIELDS = (
    "total_ml",
    "tumour_ml",
    "functional_ml",
    "remnant_ml",
    "remnant_functional_ml",
    "resected_ml",
    "ablated_ml",
    "resected_tumour_ml",
)

Json = dict[str, Any]


def report_json(summary: Summary, *, outputs: Sequence[Mapping[str, Any]] = ()) -> Json:
    """Return report.json as a dictionary of plain values.

    Parameters
    ----------
    summary : Summary
        The assessed case.
    outputs : sequence of mapping
        The files written beside it: their `path` relative to the output folder, `sha256`, for a label map
        `labels`, what its labels mean, and for a DICOM object `dicom`, what it is.

    Returns
    -------
    dict
        Valid against `report_schema`; its keys are always in the same order, and it holds no NaN and
        no infinity.

    Raises
    ------
    OutputError
        If an amount is not a number: a report with such an amount must not exist.
    """
    assessment = summary.assessment
    document = {
        "schema_version": SCHEMA_VERSION,
        "case": _case(summary),
        "conclusion": list(assessment.conclusion),
        "caveats": [_caveat(c) for c in summary.caveats],
        "volumes": _volumes(summary, assessment.volume_intervals),
        "indices": {i.key: _index(i) for i in assessment.indices},
        "findings": [_finding(f) for f in assessment.findings],
        "lesions": [_lesion(lesion, beside, summary) for lesion, beside in _with_neighbours(summary)],
        "segments": [_segment(s, summary) for s in summary.volumes.segments],
        "stages": [_stage(s, summary) for s in summary.volumes.stages],
        "uncertainty": certainty.uncertainty_json(assessment.errors),
        "sensitivity": certainty.sensitivity_json(assessment.sensitivity),
        "disagreements": certainty.disagreements_json(assessment.disagreements),
        "plan": plan_json(summary.plan, summary.cut_areas),
        "consequences": {
            **consequences_json(summary.consequences),
            "cut_area_cm2": _number(summary.cut_area_mm2 / 100, "the cut surface"),
        },
        "congestion": [congestion_json(c) for c in assessment.congestion],
        "pathway": {**pathway_json(assessment.pathway), "two_stage": two_stage_json(summary.two_stage)},
        "function": function_json(assessment.function),
        "checklists": [checklist_json(c) for c in summary.checklists],
        "methods": list(summary.methods),
        "provenance": _provenance(summary.provenance, summary),
        "outputs": [dict(output) for output in outputs],
    }
    return sealed(document)


def _case(summary: Summary) -> Json:
    scan = summary.scan
    return {
        "id": summary.case_id,
        "scan_date": scan.date.isoformat() if scan.date else None,
        "patient_key": scan.patient_key or None,
        "patient": _patient(summary.patient),
    }


def sealed(document: Json) -> Json:
    """Add to a document the digest of all the rest of it, so that an edited number is seen.

    Parameters
    ----------
    document : dict
        Plain values; a `sha256` in it is replaced.

    Returns
    -------
    dict
        With `sha256`: that of the rest as JSON with sorted keys, no spaces and nothing but ASCII.
    """
    rest = {key: value for key, value in document.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return {**rest, "sha256": hashlib.sha256(text.encode("ascii")).hexdigest()}


def report_schema() -> Json:
    """Load the JSON Schema of report.json that the package ships.

    Returns
    -------
    dict
        Draft 2020-12.
    """
    text = files("flr_volumetry.report").joinpath("schema", SCHEMA_FILE).read_text(encoding="utf-8")
    schema: Json = json.loads(text)
    return schema


def _number(value: float, what: str) -> float:
    if not math.isfinite(value):
        raise OutputError(
            f"{what} is {value}, not an amount: the report is not written. This is a fault of the program; "
            "please report it with the case file.",
            reason="not_a_number",
        )
    return float(value)


def _optional(value: float | None, what: str) -> float | None:
    return None if value is None else _number(value, what)


def _finite_or_none(value: float | None, what: str) -> float | None:
    """Return a number, or None for none and for infinity; NaN is refused."""
    if value is not None and math.isinf(value):
        return None
    return _optional(value, what)


def _interval(interval: tuple[float, float] | None, what: str) -> list[float] | None:
    """Return [low, high], or None if there is none or it is unbounded."""
    if interval is None or any(math.isinf(v) for v in interval):
        return None
    return [_number(v, f"the interval of {what}") for v in interval]


def _caveat(caveat: Caveat) -> Json:
    return {"code": caveat.code, "message": caveat.message}


def _patient(patient: Patient) -> Json:
    return {
        "sex": patient.sex.value if patient.sex else None,
        "age": _optional(patient.age, "age"),
        "height_cm": _optional(patient.height_cm, "height"),
        "weight_kg": _optional(patient.weight_kg, "weight"),
        "parenchyma": patient.parenchyma.value if patient.parenchyma else None,
        "chemotherapy_weeks": _optional(patient.chemotherapy_weeks, "chemotherapy_weeks"),
    }


def _volumes(summary: Summary, intervals: dict[str, tuple[float, float]]) -> Json:
    volumes, outflow = summary.volumes, summary.consequences.outflow
    result: Json = {}
    for name in VOLUME_FIELDS:
        result[name] = _number(getattr(volumes, name), name)
        result[f"{name}_interval"] = _interval(intervals.get(name), name)
    result["congested_ml"] = _optional(outflow.ml if outflow is not None else None, "congested_ml")
    result["congested_ml_interval"] = _interval(certainty.congested_interval(summary), "congested_ml")
    result["voxel_ml"] = _number(volumes.voxel_ml, "voxel_ml")
    return result


def _index(index: Index) -> Json:
    return {
        "title": index.title,
        "value": _number(index.value, index.key),
        "interval": _interval(index.interval, index.key),
        "unit": index.unit,
        "numerator_ml": _number(index.numerator_ml, index.key),
        "denominator": index.denominator,
        "denominator_amount": _number(index.denominator_amount, index.key),
        "sd_numerator": _number(index.sd_numerator, index.key),
        "sd_denominator": _number(index.sd_denominator, index.key),
        "covariance": _number(index.covariance, index.key),
        "method": index.method,
    }


def _finding(finding: Finding) -> Json:
    rule = finding.rule
    what = f"rule {rule.id}"
    growth = finding.required_growth
    return {
        "rule": rule.id,
        "title": rule.title,
        "protocol": finding.protocol,
        "index": rule.index,
        "denominator": rule.denominator,
        "unit": rule.unit,
        "value": _optional(finding.value, what),
        "interval": _interval(finding.interval, what),
        "threshold": _number(rule.threshold, what),
        "strict": rule.strict,
        "op": rule.op,
        "margin_points": _optional(finding.margin_points, what),
        "margin_ml": _optional(finding.margin_ml, what),
        "required_growth": _finite_or_none(growth, what),
        "required_growth_reason": "nothing stays that could grow" if growth == math.inf else "",
        "probability_above": _optional(finding.probability_above, what),
        "state": finding.state.value,
        "met": finding.met,
        "reason": finding.reason,
        "enabled": rule.enabled,
        "population": rule.population,
        "effect_below": rule.effect_below,
        "effect_above": rule.effect_above,
        "source": rule.citation.text,
        "source_via": rule.citation.via,
        "evidence": rule.evidence.value,
        "note": rule.note,
    }


def _with_neighbours(summary: Summary) -> list[tuple[LesionFacts, Neighbours | None]]:
    beside = {found.lesion: found for found in summary.neighbours}
    return [(lesion, beside.get(lesion.number)) for lesion in summary.volumes.lesions]


def _neighbour(neighbour: Neighbour, what: str) -> Json:
    return {
        "structure": neighbour.structure.value if neighbour.structure is not None else "segment",
        "segment": neighbour.segment,
        "mm": _optional(neighbour.mm, what),
    }


def _lesion(lesion: LesionFacts, beside: Neighbours | None, summary: Summary) -> Json:
    what = f"lesion {lesion.number}"
    closest = lesion.closest_mm
    return {
        "number": lesion.number,
        "name": lesion.name,
        "tracking_uid": summary.lesion_uids.get(lesion.number),
        "ml": _number(lesion.ml, what),
        "ml_interval": _interval(certainty.lesion_interval(summary, lesion), what),
        "longest_diameter_mm": _number(lesion.longest_diameter_mm, what),
        "segments": list(lesion.segments),
        "location": lesion.location,
        "margin_mm": _finite_or_none(lesion.margin_mm, what),
        "margin_interval_mm": _interval(certainty.margin_interval(summary, lesion), what),
        "margin_reason": "no liver stays that a margin could be measured to"
        if math.isinf(lesion.margin_mm)
        else "",
        "cleared": lesion.cleared,
        "cleared_in_stage": lesion.cleared_in_stage,
        "remaining_ml": _number(lesion.remaining_ml, what),
        "closest_mm": [_number(v, what) for v in closest] if closest is not None else None,
        "neighbours": [_neighbour(found, what) for found in beside.found] if beside is not None else [],
    }


def _segment(segment: SegmentVolume, summary: Summary) -> Json:
    what = f"segment {segment.segment}"
    return {
        "segment": segment.segment,
        "name": ROMAN.get(segment.segment, "unassigned"),
        "ml": _number(segment.ml, what),
        "ml_interval": _interval(certainty.segment_interval(summary, segment), what),
        "remnant_ml": _number(segment.remnant_ml, what),
    }


def _stage(stage: StageVolumes, summary: Summary) -> Json:
    what = f"stage {stage.number}"
    return {
        "number": stage.number,
        "name": stage.name,
        "after": stage.after,
        "resections": list(stage.resections),
        "resected_ml": _number(stage.resected_ml, what),
        "ablated_ml": _number(stage.ablated_ml, what),
        "remnant_ml": _number(stage.remnant_ml, what),
        "remnant_functional_ml": _number(stage.remnant_functional_ml, what),
        **certainty.stage_intervals_json(summary, stage),
    }


def _provenance(provenance: Provenance, summary: Summary) -> Json:
    assessment = summary.assessment
    return {
        "flr_volumetry": provenance.version,
        "libraries": dict(sorted(provenance.libraries)),
        "started": provenance.started,
        "case_sha256": provenance.case_sha256,
        "inputs": [
            {"role": i.role, "path": i.path, "sha256": i.sha256, "description": i.description}
            for i in provenance.inputs
        ],
        "protocols": [
            {"key": p.key, "title": p.title, "version": p.version, "description": p.description}
            for p in assessment.protocols
        ],
        "formulas": [{"index": i.key, "method": i.method} for i in assessment.indices],
    }

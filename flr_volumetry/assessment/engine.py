"""Volumes and patient against all rules of the chosen protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.assessment.congestion import judge_congestion
from flr_volumetry.assessment.function import weigh_function
from flr_volumetry.assessment.indices import ADULT_YEARS, LIVER_SHARES, compute_indices, with_function
from flr_volumetry.assessment.model import FRACTION, Assessment, State
from flr_volumetry.assessment.pathway import embolization_pathway
from flr_volumetry.assessment.plausibility import (
    check_conservation,
    patient_caveats,
    tissue_caveats,
    volume_caveats,
)
from flr_volumetry.assessment.rules import assumes_no_chemotherapy, evaluate_rule
from flr_volumetry.assessment.sensitivity import sensitivity
from flr_volumetry.assessment.wording import (
    amount_text,
    conclude,
    disagreements,
    spread_range,
    spread_sentence,
    threshold_text,
)
from flr_volumetry.errors import Caveat, ProtocolError
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.uncertainty import AMOUNTS, DEFAULT_ERRORS, RelativeErrors, relative_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.indices import IndexTable
    from flr_volumetry.assessment.model import Finding, PlannedCut, Protocol
    from flr_volumetry.assessment.plausibility import Tissue
    from flr_volumetry.volumetry.formulas import LiverEstimate
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.patient import Patient
    from flr_volumetry.volumetry.uncertainty import VolumeErrors


RATIO_METHOD = (
    "95 % intervals of ratios by Fieller's theorem, with the covariance of remnant and liver; the "
    "probability of reaching a threshold t is that of F - t T being 0 or more. Liver volumes estimated from "
    "body size, body weight and body surface are taken as exact: how far a person may lie from a formula is "
    "no error of the scan, and is shown by the spread between formulas instead."
)


def assess(
    volumes: LiverVolumes,
    patient: Patient,
    protocols: Sequence[Protocol],
    *,
    errors: VolumeErrors | RelativeErrors = DEFAULT_ERRORS,
    tissue: Tissue | None = None,
    cut: PlannedCut | None = None,
) -> Assessment:
    """Judge one liver under one plan by cited rules.

    Parameters
    ----------
    volumes : LiverVolumes
        Counted.
    patient : Patient
        What is not known makes its rules "not evaluable", never passed.
    protocols : sequence of Protocol
        At least one; each is applied whole.
    errors : VolumeErrors or RelativeErrors
        Of the volumes: from the geometry of this liver (`estimate_errors`), or a share of remnant and liver.
    tissue : Tissue or None
        CT numbers of the liver, if known.
    cut : PlannedCut or None
        What is cut, and what it means for what stays; with it, congestion is judged too, and the growth
        forecast follows the plan.

    Returns
    -------
    Assessment
        Ratios, findings, conclusion, caveats and methods.

    Raises
    ------
    FormulaError
        If the volumes do not add up, or lie outside a formula's domain.
    ProtocolError
        If no protocol is given, one is given twice, or a rule cannot be judged on its index.

    Notes
    -----
    A rule is judged only on its own index and denominator, and only for livers it was made for. It is
    borderline where its margin is below 1.96 standard deviations or, for shares of a liver volume,
    below two percentage points.
    """
    _check_protocols(protocols)
    check_conservation(volumes)
    known = relative_errors(volumes, errors) if isinstance(errors, RelativeErrors) else errors
    table = compute_indices(volumes, patient, errors=known)
    flr = table.find("flr")
    if flr is not None:
        table = with_function(table, weigh_function(patient, volumes, flr))
    findings = tuple(
        evaluate_rule(rule, protocol=protocol.key, table=table, patient=patient)
        for protocol in protocols
        for rule in protocol.rules
    )
    estimates = _estimates(patient)
    panel = sensitivity(volumes, patient, findings, table)
    pathway = embolization_pathway(volumes, patient, findings, table, cut.plan if cut is not None else None)
    caveats = (
        *volume_caveats(volumes),
        *patient_caveats(patient),
        *(tissue_caveats(tissue) if tissue is not None else ()),
        *known.caveats,
        *table.caveats,
        *_chemotherapy_caveats(findings, patient),
        *pathway.caveats,
        *_spread_caveats(findings, table, estimates),
    )
    mapped = patient.function.map_share if patient.function is not None else None
    return Assessment(
        indices=table.indices,
        volume_intervals={
            name: known.interval(name, getattr(volumes, name)) for name in AMOUNTS if name in known.names
        },
        findings=findings,
        protocols=tuple(protocols),
        conclusion=conclude(protocols, findings),
        caveats=tuple(dict.fromkeys(caveats)),
        methods=(
            *_methods(protocols, table, estimates),
            *known.methods,
            RATIO_METHOD,
            *pathway.methods,
            *(mapped.methods if mapped is not None else ()),
        ),
        congestion=judge_congestion(
            findings,
            cut.consequences,
            remnant_functional_ml=volumes.remnant_functional_ml,
            remnant_ml=volumes.remnant_ml,
        )
        if cut is not None
        else (),
        pathway=pathway,
        function=table.function,
        errors=known,
        sensitivity=panel,
        disagreements=disagreements(protocols, findings),
    )


def _check_protocols(protocols: Sequence[Protocol]) -> None:
    keys = [protocol.key for protocol in protocols]
    if not keys:
        raise ProtocolError("no protocol was given; name at least one", reason="no_protocol")
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ProtocolError(f"given twice: {', '.join(twice)}", reason="protocol_twice")


def _estimates(patient: Patient) -> tuple[LiverEstimate, ...]:
    child = patient.age is not None and patient.age < ADULT_YEARS
    if patient.height_cm is None or patient.weight_kg is None or child:
        return ()
    return formulas.liver_estimates(height_cm=patient.height_cm, weight_kg=patient.weight_kg)


def _chemotherapy_caveats(findings: Sequence[Finding], patient: Patient) -> list[Caveat]:
    rules = [
        f.rule.id
        for f in findings
        if f.state is not State.NOT_EVALUABLE and assumes_no_chemotherapy(f.rule.applies_if, patient)
    ]
    if not rules:
        return []
    return [
        Caveat(
            "chemotherapy_not_stated",
            "The duration of preoperative chemotherapy is not given; "
            f"these rules hold only for short courses or none: {', '.join(rules)}. State "
            "chemotherapy_weeks (0 for none).",
        )
    ]


def _spread_caveats(
    findings: Sequence[Finding], table: IndexTable, estimates: Sequence[LiverEstimate]
) -> list[Caveat]:
    """Point out thresholds that this remnant reaches on one denominator and misses on another."""
    low, high = spread_range(table, estimates)
    split = sorted(
        {
            f.rule.threshold
            for f in findings
            if f.state is not State.NOT_EVALUABLE
            and f.rule.index in LIVER_SHARES
            and low < f.rule.threshold <= high
        }
    )
    if not split:
        return []
    thresholds = ", ".join(threshold_text(t, FRACTION) for t in split)
    return [
        Caveat(
            "denominator_decides",
            f"By choice of denominator alone this remnant is {amount_text(low, FRACTION)} to "
            f"{amount_text(high, FRACTION)} of the liver: it reaches {thresholds} on one and misses it on "
            "another. Each rule is judged only on its own.",
        )
    ]


def _methods(
    protocols: Sequence[Protocol],
    table: IndexTable,
    estimates: Sequence[LiverEstimate],
) -> tuple[str, ...]:
    names = "; ".join(f"{p.title} ({p.key}, version {p.version})" for p in protocols)
    return (
        f"Thresholds: {names}. Each rule was judged on its own index and denominator, and only for livers "
        "it was made for; a margin below 1.96 standard deviations or, for shares of a liver volume, below "
        "two percentage points is called borderline.",
        *table.methods,
        spread_sentence(table, estimates),
    )

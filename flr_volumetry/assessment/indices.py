"""Every ratio of the remnant that the volumes and the patient's data allow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flr_volumetry.assessment.function import FUNCTION_UNITS
from flr_volumetry.assessment.model import FRACTION, Index
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.uncertainty import Measured, amount_interval, ratio_interval

if TYPE_CHECKING:
    from flr_volumetry.assessment.function import FunctionTable
    from flr_volumetry.errors import Caveat
    from flr_volumetry.volumetry.formulas import LiverEstimate
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.patient import Patient
    from flr_volumetry.volumetry.uncertainty import VolumeErrors

ML_PER_M2 = "mL/m2"
G_PER_KG = 1000.0

TELV_KEYS = ("sflr", "sflr_t1", "sflr_t2", "sflr_t3", "sflr_t4", "sflr_t9")

LIVER_SHARES = ("flr", "flr_of_total", *TELV_KEYS)
"""Indices that are a share of a liver volume, measured or estimated."""

RULE_INDICES: dict[str, str] = {
    **dict.fromkeys(LIVER_SHARES, FRACTION),
    "flr_per_body_weight": FRACTION,
    "flr_per_bsa": ML_PER_M2,
    **FUNCTION_UNITS,
}
"""What a rule may judge, each with its unit: ratios of which more is better, and tests of function."""

GRAM_INDICES = {
    "sflr_t5": "T5 (Yoshizumi 2003)",
    "sflr_t8": "T8 (Chan 2006)",
    "sflr_t10": "T10 (Chouker 2004)",
}
"""Formulas of liver size that yield grams: no volume may be divided by them."""

ADULT_YEARS = 18.0


@dataclass(frozen=True, slots=True)
class IndexTable:
    """What could be computed, and why the rest could not.

    Parameters
    ----------
    indices : tuple of Index
        In the order of the report.
    missing : dict of str to str
        Key of each index that could not be computed, and the reason.
    caveats : tuple of Caveat
        Of the formulas used.
    methods : tuple of str
        Their sentences.
    function : FunctionTable or None
        Tests and scores of function.
    """

    indices: tuple[Index, ...]
    missing: dict[str, str]
    caveats: tuple[Caveat, ...]
    methods: tuple[str, ...]
    function: FunctionTable | None = None

    def find(self, key: str) -> Index | None:
        """Return an index by its key, or None."""
        return next((index for index in self.indices if index.key == key), None)


def with_function(table: IndexTable, function: FunctionTable) -> IndexTable:
    """Add tests of function to what could be computed.

    Parameters
    ----------
    table : IndexTable
        Of volumes.
    function : FunctionTable
        As `flr_volumetry.assessment.function.weigh_function` made it.

    Returns
    -------
    IndexTable
        With the clearance of the remnant among its ratios, and with why tests are missing.
    """
    more = (function.icgk_flr,) if function.icgk_flr is not None else ()
    return replace(
        table,
        indices=(*table.indices, *more),
        missing={**table.missing, **function.missing},
        function=function,
    )


def compute_indices(volumes: LiverVolumes, patient: Patient, *, errors: VolumeErrors) -> IndexTable:
    """Compute every ratio that the patient's data allow.

    Parameters
    ----------
    volumes : LiverVolumes
        Counted.
    patient : Patient
        What is not known of them leaves its ratios out.
    errors : VolumeErrors
        Of the volumes.

    Returns
    -------
    IndexTable
        Ratios, and reasons for the missing ones.

    Raises
    ------
    FormulaError
        If a volume is outside a formula's domain, as a remnant larger than its liver is.
    """
    flr = _flr(volumes, errors)
    indices = [flr, _flr_of_total(volumes, errors), _phrr(volumes, flr)]
    missing: dict[str, str] = {}
    estimates, reasons = _estimates(patient)
    for key in TELV_KEYS:
        if key in reasons:
            missing[key] = reasons[key]
        else:
            indices.append(_sflr(key, estimates[key], volumes, errors))
    _add_body_ratios(indices, missing, volumes, patient, errors)
    used = tuple(dict.fromkeys(estimates[key] for key in TELV_KEYS if key in estimates))
    return IndexTable(
        tuple(indices),
        missing,
        tuple(dict.fromkeys(caveat for estimate in used for caveat in estimate.caveats)),
        tuple(f"TELV by {estimate.sentence}" for estimate in used),
    )


def _measured(name: str, volumes: LiverVolumes, errors: VolumeErrors) -> Measured:
    return Measured(getattr(volumes, name), errors.sd(name))


def _remnant(volumes: LiverVolumes, errors: VolumeErrors) -> Measured:
    return _measured("remnant_functional_ml", volumes, errors)


def _flr(volumes: LiverVolumes, errors: VolumeErrors) -> Index:
    value = formulas.flr_fraction(
        remnant_functional_ml=volumes.remnant_functional_ml, functional_ml=volumes.functional_ml
    )
    remnant = _remnant(volumes, errors)
    liver = _measured("functional_ml", volumes, errors)
    covariance = errors.covariance("remnant_functional_ml", "functional_ml")
    return Index(
        key="flr",
        title="FLR / functional liver volume (D8)",
        value=value,
        unit=FRACTION,
        numerator_ml=remnant.value,
        denominator=f"FTLV {liver.value:.1f} mL",
        denominator_amount=liver.value,
        interval=_capped(ratio_interval(remnant, liver, covariance=covariance), value),
        sd_numerator=remnant.sd,
        sd_denominator=liver.sd,
        covariance=covariance,
        method="FLR (tumour, ablation zones and wedges excluded) / (liver - tumour), D8.",
    )


def _flr_of_total(volumes: LiverVolumes, errors: VolumeErrors) -> Index:
    value = formulas.flr_of_total_fraction(remnant_ml=volumes.remnant_ml, total_ml=volumes.total_ml)
    remnant, liver = (_measured(name, volumes, errors) for name in ("remnant_ml", "total_ml"))
    covariance = errors.covariance("remnant_ml", "total_ml")
    return Index(
        key="flr_of_total",
        title="gross remnant / total liver volume, tumour included (D9)",
        value=value,
        unit=FRACTION,
        numerator_ml=remnant.value,
        denominator=f"TLV {liver.value:.1f} mL",
        denominator_amount=liver.value,
        interval=_capped(ratio_interval(remnant, liver, covariance=covariance), value),
        sd_numerator=remnant.sd,
        sd_denominator=liver.sd,
        covariance=covariance,
        method="Gross remnant / liver with tumour, D9: lower than D8 where tumour leaves with the specimen.",
    )


def _capped(interval: tuple[float, float], value: float) -> tuple[float, float]:
    """Keep the share of a measured volume at 1 or below, which it cannot exceed."""
    low, high = interval
    return (low, max(value, min(1.0, high)))


def _phrr(volumes: LiverVolumes, flr: Index) -> Index:
    value = formulas.phrr_fraction(
        resected_ml=volumes.resected_ml,
        resected_tumour_ml=volumes.resected_tumour_ml,
        total_ml=volumes.total_ml,
        tumour_ml=volumes.tumour_ml,
    )
    low, high = flr.interval
    return Index(
        key="phrr",
        title="parenchymal resection rate (D11)",
        value=value,
        unit=FRACTION,
        numerator_ml=volumes.resected_ml - volumes.resected_tumour_ml,
        denominator=flr.denominator,
        denominator_amount=flr.denominator_amount,
        interval=(max(0.0, value + flr.value - high), min(1.0, value + flr.value - low)),
        sd_numerator=flr.sd_numerator,
        sd_denominator=flr.sd_denominator,
        covariance=flr.covariance,
        method=(
            "(Resected - tumour in it) / (liver - tumour), D11 (Kubota 1997, GK-M); what the cut gives "
            "one side it takes from the other, so its interval mirrors that of D8."
        ),
    )


def _sflr(key: str, estimate: LiverEstimate, volumes: LiverVolumes, errors: VolumeErrors) -> Index:
    value = formulas.sflr_fraction(remnant_functional_ml=volumes.remnant_functional_ml, telv_ml=estimate.ml)
    remnant = _remnant(volumes, errors)
    default = "standardised FLR, default formula" if key == "sflr" else "standardised FLR"
    return Index(
        key=key,
        title=f"{default}: FLR / TELV by {estimate.formula.title} (D10, {estimate.formula.key})",
        value=value,
        unit=FRACTION,
        numerator_ml=remnant.value,
        denominator=f"TELV {estimate.ml:.1f} mL ({estimate.formula.key} {estimate.formula.title})",
        denominator_amount=estimate.ml,
        interval=ratio_interval(remnant, Measured(estimate.ml)),
        sd_numerator=remnant.sd,
        sd_denominator=0.0,
        method=f"FLR / TELV, D10; TELV by {estimate.sentence}",
    )


def _add_body_ratios(
    indices: list[Index],
    missing: dict[str, str],
    volumes: LiverVolumes,
    patient: Patient,
    errors: VolumeErrors,
) -> None:
    """Append the ratios to body weight and body surface, or say why they are missing."""
    remnant = _remnant(volumes, errors)
    if patient.weight_kg is None:
        missing["flr_per_body_weight"] = "the patient's weight_kg is not given"
    else:
        value = formulas.flr_per_body_weight_fraction(
            remnant_functional_ml=remnant.value, weight_kg=patient.weight_kg
        )
        indices.append(_per_body_weight(value, remnant, patient.weight_kg))
    if patient.weight_kg is None or patient.height_cm is None:
        missing["flr_per_bsa"] = _absent(patient)
        return
    bsa = formulas.bsa_mosteller(height_cm=patient.height_cm, weight_kg=patient.weight_kg)
    low, high = amount_interval(remnant)
    indices.append(
        Index(
            key="flr_per_bsa",
            title="FLR / body surface area (D13)",
            value=formulas.flr_per_bsa_ml_per_m2(remnant_functional_ml=remnant.value, bsa=bsa),
            unit=ML_PER_M2,
            numerator_ml=remnant.value,
            denominator=f"BSA {bsa.m2:.4f} m2 ({bsa.formula.title})",
            denominator_amount=bsa.m2,
            interval=(low / bsa.m2, high / bsa.m2),
            sd_numerator=remnant.sd,
            sd_denominator=0.0,
            method=f"FLR / BSA, D13; BSA by {bsa.formula.title}.",
        )
    )


def _per_body_weight(value: float, remnant: Measured, weight_kg: float) -> Index:
    weight_g = G_PER_KG * weight_kg
    low, high = amount_interval(remnant)
    return Index(
        key="flr_per_body_weight",
        title="FLR / body weight, RLV-BWR (D12)",
        value=value,
        unit=FRACTION,
        numerator_ml=remnant.value,
        denominator=f"body weight {weight_kg:g} kg",
        denominator_amount=weight_g,
        interval=(low / weight_g, high / weight_g),
        sd_numerator=remnant.sd,
        sd_denominator=0.0,
        method=(
            "FLR / body weight, D12, taking 1 mL of liver for 1 g; Truant et al., J Am Coll Surg 2007;204:22."
        ),
    )


def _absent(patient: Patient) -> str:
    names = [name for name in ("height_cm", "weight_kg") if getattr(patient, name) is None]
    return f"the patient's {' and '.join(names)} {'are' if len(names) > 1 else 'is'} not given"


def _estimates(patient: Patient) -> tuple[dict[str, LiverEstimate], dict[str, str]]:
    """Estimate the liver by each formula a rule may name; by key: the estimate, or why there is none."""
    if patient.age is not None and patient.age < ADULT_YEARS:
        reason = (
            "the formulas of liver volume were fitted to adults, and the patient is "
            f"{patient.age:g} years old"
        )
        return {}, dict.fromkeys(TELV_KEYS, reason)
    height_cm, weight_kg = patient.height_cm, patient.weight_kg
    estimates: dict[str, LiverEstimate] = {}
    if weight_kg is not None:
        estimates["sflr_t2"] = formulas.telv_vauthey_2002_weight(weight_kg=weight_kg)
    if weight_kg is not None and height_cm is not None:
        mosteller = formulas.bsa_mosteller(height_cm=height_cm, weight_kg=weight_kg)
        dubois = formulas.bsa_dubois(height_cm=height_cm, weight_kg=weight_kg)
        estimates["sflr"] = estimates["sflr_t1"] = formulas.telv_vauthey_2002_bsa(bsa=mosteller)
        estimates["sflr_t3"] = formulas.telv_urata_1995(bsa=dubois)
        estimates["sflr_t4"] = formulas.telv_heinemann_1999(bsa=mosteller)
        estimates["sflr_t9"] = formulas.telv_yu_2004(height_cm=height_cm, weight_kg=weight_kg)
    absent = {key: _absent(patient) for key in TELV_KEYS if key not in estimates}
    return estimates, absent

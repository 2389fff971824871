"""What tests of liver function say of the remnant: values, and why others are missing (G1 to G12)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flr_volumetry.assessment.extent import planned_extent
from flr_volumetry.assessment.units import rank
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.liver_function import NOT_TESTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.assessment.model import Index
    from flr_volumetry.volumetry.functional_map import MapShare
    from flr_volumetry.volumetry.liver_function import LiverFunction, PlannedExtent
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.patient import Patient

FUNCTION_UNITS = {
    "icgk_flr": "/min",
    "icg_k": "/min",
    "makuuchi_extent": "extent",
    "mebrofenin_flr_f": "%/min/m2",
    "mebrofenin_flr": "%/min",
    "functflr": "mL/kg",
    "child_pugh": "points",
    "child_pugh_class": "Child-Pugh class",
    "albi": "ALBI",
    "meld": "points",
    "portal_hypertension": "sign",
    "limax": "ug/kg/h",
    "limax_flr": "ug/kg/h",
    "inr": "ratio",
    "albumin": "g/dL",
    "platelets": "/nL",
    "ascites": "ascites",
}
"""Every quantity of function that a rule may judge, with its unit."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One test or score of function.

    Parameters
    ----------
    key : str
        Of `FUNCTION_UNITS`.
    title : str
        For people.
    value : float
        In its unit; of an ordinal, its grade from 1.
    unit : str
        Key of `flr_volumetry.assessment.units.UNITS`.
    method : str
        One sentence: formula, source, evidence.
    """

    key: str
    title: str
    value: float
    unit: str
    method: str


@dataclass(frozen=True, slots=True)
class FunctionTable:
    """Everything that is known of function.

    Parameters
    ----------
    quantities : tuple of Quantity
        What could be computed.
    missing : dict of str to str
        Why the rest could not.
    icgk_flr : Index or None
        K of the remnant, a ratio of volumes like the others.
    extent : PlannedExtent
        Of the plan.
    extent_method : str
        One sentence: how that is known.
    map_share : MapShare or None
        What a functional map says.
    """

    quantities: tuple[Quantity, ...]
    missing: dict[str, str]
    icgk_flr: Index | None
    extent: PlannedExtent
    extent_method: str
    map_share: MapShare | None = None

    def find(self, key: str) -> Quantity | None:
        """Return a quantity by its key, or None."""
        return next((q for q in self.quantities if q.key == key), None)


def weigh_function(patient: Patient, volumes: LiverVolumes, flr: Index) -> FunctionTable:
    """Compute every score that the tests given allow.

    Parameters
    ----------
    patient : Patient
        With tests of function, height and weight as far as known.
    volumes : LiverVolumes
        Counted.
    flr : Index
        FLR / FTLV (D8), with its errors.

    Returns
    -------
    FunctionTable
        Values, and what each missing one lacks; a test that was not made is never taken as passed.

    Raises
    ------
    FormulaError
        If a number lies outside a formula's domain.
    """
    tests = patient.function or NOT_TESTED
    missing: dict[str, str] = {}
    found = [q for key, make in _MAKERS.items() if (q := _made(key, make(tests, patient, flr), missing))]
    k = _clearance(tests)
    if k is None:
        missing["icgk_flr"] = "icg_r15_percent (or icg_k_per_min) is not given under [function]"
    extent, how = planned_extent(tests, volumes)
    icgk_flr = _icgk_flr(k, flr) if k is not None else None
    return FunctionTable(tuple(found), missing, icgk_flr, extent, how, tests.map_share)


Made = "Quantity | str"


def _made(key: str, result: Quantity | str, missing: dict[str, str]) -> Quantity | None:
    if isinstance(result, str):
        missing[key] = result
        return None
    return result


def _lacking(tests: LiverFunction, *names: str) -> str:
    absent = [name for name in names if getattr(tests, name) is None]
    if not absent:
        return ""
    return f"{' and '.join(absent)} {'are' if len(absent) > 1 else 'is'} not given under [function]"


def _clearance(tests: LiverFunction) -> float | None:
    if tests.icg_k_per_min is not None:
        return tests.icg_k_per_min
    if tests.icg_r15_percent is None:
        return None
    return formulas.icg_k_per_min(icg_r15_percent=tests.icg_r15_percent)


def _icgk_flr(k: float, flr: Index) -> Index:
    low, high = flr.interval
    return replace(
        flr,
        key="icgk_flr",
        title="indocyanine clearance of the remnant, ICGK-FLR (G4)",
        value=formulas.icgk_flr_per_min(icg_k_per_min=k, flr_fraction=flr.value) if flr.value < 1 else k,
        unit=FUNCTION_UNITS["icgk_flr"],
        denominator=f"{flr.denominator} / K {k:.4f} per min",
        denominator_amount=flr.denominator_amount / k,
        interval=(k * low, k * high),
        sd_denominator=flr.sd_denominator / k,
        covariance=flr.covariance / k,
        method="K of indocyanine green times FLR / FTLV (D8), G4; K is taken as exact.",
    )


def _icg_k(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    k = _clearance(tests)
    if k is None:
        return "icg_r15_percent (or icg_k_per_min) is not given under [function]"
    how = (
        "as measured."
        if tests.icg_k_per_min is not None
        else "-ln(R15 / 100) / 15, one exponential (DERIVED)."
    )
    return Quantity("icg_k", "indocyanine clearance, K (G2)", k, "/min", f"K of indocyanine green: {how}")


def _makuuchi(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    r15 = tests.icg_r15_percent
    lacking = _lacking(tests, "bilirubin_mg_per_dl", "icg_r15_percent", "ascites")
    if not lacking and tests.ascites_control is None:
        lacking = "ascites_controlled is not given under [function]"
    if lacking or r15 is None or tests.bilirubin_mg_per_dl is None or tests.ascites_control is None:
        return lacking
    extent = formulas.makuuchi_extent(
        bilirubin_mg_per_dl=tests.bilirubin_mg_per_dl, ascites=tests.ascites_control, icg_r15_percent=r15
    )
    return Quantity(
        "makuuchi_extent",
        "largest extent by the rule of Makuuchi (G1)",
        rank("extent", extent.name.lower()),
        "extent",
        "Rule of Makuuchi from bilirubin, ascites and ICG-R15; Imamura et al., Arch Surg 2003;138:1198 "
        "(GK-H).",
    )


def _mebrofenin(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    uptake, share = tests.mebrofenin_percent_per_min, tests.mebrofenin_remnant_share
    if uptake is None or share is None:
        return _lacking(tests, "mebrofenin_percent_per_min", "mebrofenin_remnant_share")
    value = formulas.remnant_uptake_percent_per_min(uptake_percent_per_min=uptake, remnant_count_share=share)
    return Quantity(
        "mebrofenin_flr",
        "mebrofenin uptake of the remnant (G6)",
        value,
        "%/min",
        f"Uptake of the liver times the remnant's share of the counts ({100 * share:.1f} %).",
    )


def _mebrofenin_f(tests: LiverFunction, patient: Patient, flr: Index) -> Quantity | str:
    whole = _mebrofenin(tests, patient, flr)
    if isinstance(whole, str):
        return whole
    if patient.height_cm is None or patient.weight_kg is None:
        return "the patient's height_cm and weight_kg are needed for the body surface"
    bsa = formulas.bsa_mosteller(height_cm=patient.height_cm, weight_kg=patient.weight_kg)
    return Quantity(
        "mebrofenin_flr_f",
        "mebrofenin uptake of the remnant per body surface, FRL-F (G5)",
        whole.value / bsa.m2,
        "%/min/m2",
        f"{whole.method[:-1]}, over the body surface {bsa.m2:.4f} m2 ({bsa.formula.title}); de Graaf et al. "
        "2010, PMC2809979 (FOUND).",
    )


def _functflr(tests: LiverFunction, patient: Patient, flr: Index) -> Quantity | str:
    enhancement = tests.gadoxetate_relative_enhancement
    if enhancement is None:
        return _lacking(tests, "gadoxetate_relative_enhancement")
    if patient.weight_kg is None:
        return "the patient's weight_kg is not given"
    value = formulas.functional_remnant_enhancement_ml_per_kg(
        remnant_functional_ml=flr.numerator_ml, relative_enhancement=enhancement, weight_kg=patient.weight_kg
    )
    return Quantity(
        "functflr",
        "remnant weighted by gadoxetate enhancement per body weight, functFLR (G7)",
        value,
        "mL/kg",
        "FLR times relative enhancement over body weight; Eur Radiol 2018 (FOUND). Context: no threshold of "
        "it is shipped.",
    )


def _child_pugh(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    lacking = _lacking(tests, "bilirubin_mg_per_dl", "albumin_g_per_dl", "inr", "ascites", "encephalopathy")
    if (
        lacking
        or tests.bilirubin_mg_per_dl is None
        or tests.albumin_g_per_dl is None
        or tests.inr is None
        or tests.ascites is None
        or tests.encephalopathy is None
    ):
        return lacking
    points = formulas.child_pugh_points(
        bilirubin_mg_per_dl=tests.bilirubin_mg_per_dl,
        albumin_g_per_dl=tests.albumin_g_per_dl,
        inr=tests.inr,
        ascites=tests.ascites,
        encephalopathy=tests.encephalopathy,
    )
    return Quantity("child_pugh", "Child-Pugh score (G8)", points, "points", "Child-Pugh points (FOUND).")


def _child_pugh_class(tests: LiverFunction, patient: Patient, flr: Index) -> Quantity | str:
    points = _child_pugh(tests, patient, flr)
    if isinstance(points, str):
        return points
    letter = formulas.child_pugh_class(points=int(points.value))
    return Quantity(
        "child_pugh_class",
        "Child-Pugh class (G8)",
        rank("Child-Pugh class", letter),
        "Child-Pugh class",
        f"Class of {points.value:.0f} Child-Pugh points (FOUND).",
    )


def _albi(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    if tests.bilirubin_mg_per_dl is None or tests.albumin_g_per_dl is None:
        return _lacking(tests, "bilirubin_mg_per_dl", "albumin_g_per_dl")
    umol = formulas.bilirubin_umol_per_l(bilirubin_mg_per_dl=tests.bilirubin_mg_per_dl)
    score = formulas.albi_score(bilirubin_umol_per_l=umol, albumin_g_per_l=10 * tests.albumin_g_per_dl)
    grade = formulas.albi_grade(score=score)
    return Quantity(
        "albi",
        f"albumin-bilirubin score, grade {grade} (G9)",
        score,
        "ALBI",
        "0.66 log10(bilirubin, umol/L) - 0.085 albumin, g/L; Johnson et al. 2015, Hepatoma Res 2020;6:32 "
        "(FOUND).",
    )


def _meld(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    if tests.bilirubin_mg_per_dl is None or tests.inr is None or tests.creatinine_mg_per_dl is None:
        return _lacking(tests, "bilirubin_mg_per_dl", "inr", "creatinine_mg_per_dl")
    score = formulas.meld_score(
        bilirubin_mg_per_dl=tests.bilirubin_mg_per_dl,
        inr=tests.inr,
        creatinine_mg_per_dl=tests.creatinine_mg_per_dl,
    )
    return Quantity("meld", "MELD score (G10)", score, "points", "MELD, values below 1 counted as 1 (FOUND).")


def _portal_hypertension(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    signs = formulas.portal_hypertension(
        hvpg_mmhg=tests.hvpg_mmhg,
        varices=tests.varices,
        platelets_per_nl=tests.platelets_per_nl,
        splenomegaly=tests.splenomegaly,
    )
    if signs is None:
        return (
            f"cannot be told: {_lacking(tests, 'hvpg_mmhg', 'varices', 'platelets_per_nl', 'splenomegaly')}"
        )
    return Quantity(
        "portal_hypertension",
        "signs of portal hypertension (G11)",
        rank("sign", "present" if signs else "absent"),
        "sign",
        "HVPG of 10 mmHg and above, varices, or platelets below 100 per nL with splenomegaly (GK-H).",
    )


def _limax(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    value = tests.limax_ug_per_kg_per_h
    if value is None:
        return _lacking(tests, "limax_ug_per_kg_per_h")
    return Quantity("limax", "LiMAx (G12)", value, "ug/kg/h", "LiMAx as measured.")


def _limax_flr(tests: LiverFunction, _: Patient, flr: Index) -> Quantity | str:
    value = tests.limax_ug_per_kg_per_h
    if value is None:
        return _lacking(tests, "limax_ug_per_kg_per_h")
    kept = formulas.limax_remnant_ug_per_kg_per_h(
        limax_ug_per_kg_per_h=value, flr_fraction=min(flr.value, 0.999999)
    )
    return Quantity(
        "limax_flr", "LiMAx that the remnant keeps (G12)", kept, "ug/kg/h", "LiMAx times FLR / FTLV (GK-L/M)."
    )


def _inr(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
    if tests.inr is None or tests.anticoagulants is None:
        return _lacking(tests, "inr", "anticoagulants")
    if tests.anticoagulants:
        return "an INR under anticoagulants does not tell of the liver"
    return Quantity("inr", "INR without anticoagulants", tests.inr, "ratio", "INR as measured.")


def _plain(key: str, title: str, field: str) -> Callable[[LiverFunction, Patient, Index], Quantity | str]:
    def make(tests: LiverFunction, _: Patient, __: Index) -> Quantity | str:
        value = getattr(tests, field)
        if value is None:
            return _lacking(tests, field)
        unit = FUNCTION_UNITS[key]
        amount = float(value) if isinstance(value, int | float) else rank(unit, value.name.lower())
        return Quantity(key, title, amount, unit, f"{title} as given.")

    return make


_MAKERS: dict[str, Callable[[LiverFunction, Patient, Index], Quantity | str]] = {
    "icg_k": _icg_k,
    "makuuchi_extent": _makuuchi,
    "mebrofenin_flr_f": _mebrofenin_f,
    "mebrofenin_flr": _mebrofenin,
    "functflr": _functflr,
    "child_pugh": _child_pugh,
    "child_pugh_class": _child_pugh_class,
    "albi": _albi,
    "meld": _meld,
    "portal_hypertension": _portal_hypertension,
    "limax": _limax,
    "limax_flr": _limax_flr,
    "inr": _inr,
    "albumin": _plain("albumin", "serum albumin", "albumin_g_per_dl"),
    "platelets": _plain("platelets", "platelets", "platelets_per_nl"),
    "ascites": _plain("ascites", "ascites", "ascites"),
}

"""Checks that a formula is asked inside its domain."""

from __future__ import annotations

import math

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.patient import HEIGHT_CM, WEIGHT_KG

ROUNDING = 1e-9
"""Relative excess of a part over its whole that sums of voxels leave through rounding."""


def positive(value: float, name: str) -> None:
    """Refuse what is not a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise FormulaError(f"{name} must be a finite number above 0, got {value}", reason="not_positive")


def not_negative(value: float, name: str) -> None:
    """Refuse what is not a finite number of 0 or more."""
    if not (math.isfinite(value) and value >= 0):
        raise FormulaError(f"{name} must be a finite number of 0 or more, got {value}", reason="negative")


def part_of(part: float, part_name: str, whole: float, whole_name: str) -> None:
    """Refuse a part larger than its whole."""
    if part > whole * (1 + ROUNDING):
        raise FormulaError(
            f"{part_name} = {part:g} exceeds {whole_name} = {whole:g}, of which it is a part. "
            "Are the two from the same liver and the same masks?",
            reason="part_exceeds_whole",
        )


def fraction(value: float, name: str) -> None:
    """Refuse what is not a fraction between 0 and 1."""
    if not 0 < value < 1:
        raise FormulaError(
            f"{name} must be a fraction between 0 and 1, got {value}. Is it in percent?",
            reason="not_a_fraction",
        )


def height(height_cm: float) -> None:
    """Refuse a height outside 120 to 220 cm (assumed sanity limits)."""
    low, high = HEIGHT_CM
    if not low <= height_cm <= high:
        metres = low <= 100 * height_cm <= high
        hint = " It looks like metres, as in DICOM (0010,1020); give centimetres." if metres else ""
        raise FormulaError(
            f"height_cm = {height_cm:g} is outside {low:g} to {high:g} cm.{hint}",
            reason="height_in_metres" if metres else "implausible_height",
        )


def weight(weight_kg: float) -> None:
    """Refuse a weight outside 30 to 250 kg (assumed sanity limits)."""
    low, high = WEIGHT_KG
    if not low <= weight_kg <= high:
        raise FormulaError(
            f"weight_kg = {weight_kg:g} is outside {low:g} to {high:g} kg. Is it in pounds or grams?",
            reason="implausible_weight",
        )


def tumour_inside(tumour_ml: float, total_ml: float) -> None:
    """Refuse a liver without volume, and a tumour that fills it."""
    positive(total_ml, "total_ml")
    not_negative(tumour_ml, "tumour_ml")
    part_of(tumour_ml, "tumour_ml", total_ml, "total_ml")
    positive(total_ml - tumour_ml, "total_ml - tumour_ml")


def share_of(remnant_functional_ml: float, whole_ml: float, whole_name: str) -> None:
    """Refuse a remnant or a liver without volume, and a remnant larger than its liver."""
    positive(remnant_functional_ml, "remnant_functional_ml")
    positive(whole_ml, whole_name)
    part_of(remnant_functional_ml, "remnant_functional_ml", whole_ml, whole_name)


def within(value: float, limits: tuple[float, float], name: str, hint: str = "") -> None:
    """Refuse what lies outside the limits in which a measurement of that unit can lie."""
    low, high = limits
    if not low <= value <= high:
        raise FormulaError(
            f"{name} = {value:g} is outside {low:g} to {high:g}. {hint}".rstrip(), reason="out_of_range"
        )


BILIRUBIN_MG_PER_DL = (0.05, 60.0)
INR = (0.5, 20.0)


def bilirubin(bilirubin_mg_per_dl: float) -> None:
    """Refuse a bilirubin that cannot be in mg/dL."""
    within(bilirubin_mg_per_dl, BILIRUBIN_MG_PER_DL, "bilirubin_mg_per_dl", "Is it in micromol/L?")


def platelets(platelets_per_nl: float) -> None:
    """Refuse a count that cannot be per nanolitre."""
    within(platelets_per_nl, (1.0, 2000.0), "platelets_per_nl", "Is it per microlitre? Per nL it is 10^9/L.")

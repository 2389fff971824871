"""What is known of the patient beside the scan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.errors import FormulaError

if TYPE_CHECKING:
    from flr_volumetry.volumetry.liver_function import LiverFunction

HEIGHT_CM = (120.0, 220.0)
WEIGHT_KG = (30.0, 250.0)
AGE_YEARS = (0.0, 120.0)
BMI_KG_PER_M2 = (10.0, 90.0)
"""Beyond it height and weight cannot be one person's (assumed)."""


class Sex(Enum):
    """As in DICOM (0010,0040)."""

    FEMALE = "F"
    MALE = "M"


class Parenchyma(Enum):
    """State of the liver tissue, as the user attests it."""

    NORMAL = "normal"
    STEATOSIS = "steatosis"
    CHEMOTHERAPY = "chemotherapy"
    FIBROSIS = "fibrosis"
    CIRRHOSIS = "cirrhosis"
    CHOLESTASIS = "cholestasis"


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient; what is not known is None and makes its rules "not evaluable".

    Parameters
    ----------
    sex : Sex or None
        For formulas that need it.
    age : float or None
        Years.
    height_cm, weight_kg : float or None
        For body surface area and size-to-patient ratios.
    parenchyma : Parenchyma or None
        Decides which thresholds apply.
    chemotherapy_weeks : float or None
        Duration of preoperative chemotherapy.
    function : LiverFunction or None
        Tests of liver function, if any.

    Raises
    ------
    FormulaError
        If a height lies outside 120 to 220 cm or a weight outside 30 to 250 kg
        (clinical base 1.3, assumed sanity limits), both do not fit each other, or an age lies
        outside 0 to 120.
    """

    sex: Sex | None = None
    age: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    parenchyma: Parenchyma | None = None
    chemotherapy_weeks: float | None = None
    function: LiverFunction | None = None

    def __post_init__(self) -> None:
        height, low, high = self.height_cm, *HEIGHT_CM
        metres = height is not None and low <= 100 * height <= high
        _within(
            height,
            HEIGHT_CM,
            "height_cm",
            "It looks like metres, as in DICOM (0010,1020); give centimetres."
            if metres
            else "Is it in another unit, or swapped with the weight?",
            reason="height_in_metres" if metres else "implausible_height",
        )
        _within(
            self.weight_kg,
            WEIGHT_KG,
            "weight_kg",
            "Is it in pounds or grams, or swapped with the height?",
            reason="implausible_weight",
        )
        _within(self.age, AGE_YEARS, "age", "Give it in years.", reason="implausible_age")
        if height is not None and self.weight_kg is not None:
            _within(
                self.weight_kg / (height / 100) ** 2,
                BMI_KG_PER_M2,
                f"the body mass index of {height:g} cm and {self.weight_kg:g} kg",
                "Are height and weight swapped, or in other units?",
                reason="implausible_body",
            )
        weeks = self.chemotherapy_weeks
        if weeks is not None and not (math.isfinite(weeks) and 0 <= weeks < 520):
            raise FormulaError(
                f"chemotherapy_weeks must be from 0 to 520 weeks, got {weeks}", reason="implausible_weeks"
            )


def _within(value: float | None, limits: tuple[float, float], name: str, hint: str, *, reason: str) -> None:
    low, high = limits
    if value is not None and not low <= value <= high:
        raise FormulaError(f"{name} = {value:g} is outside {low:g} to {high:g}. {hint}", reason=reason)

"""How far a site takes outlines and cuts to be off."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.uncertainty.normal import MAX_RELATIVE_SD

MOST_MM = 20.0
"""No outline or cut is taken to be further off (assumed): beyond it the first-order model says nothing."""
MOST_DEGREES = 30.0
MOST_SLICE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class DrawingErrors:
    """Standard deviations of where outlines and cuts lie; a site sets its own.

    Parameters
    ----------
    outline_sd_mm : float
        How far the whole outline of the liver lies too wide or too tight, and how far those of the lesions
        do, mm. Default 0.4: gives a liver of 1.5 L with about 1,000 cm2 of surface the order of the 3 % of
        the clinical base, 8.5 (ASSUMED).
    local_sd_mm : float
        How far it wavers from place to place, mm. Default 1.2: two radiologists' livers overlap with a Dice
        of 0.95, their tumours with 0.85 (PMC10587725), so that their outlines lie 1.3 to 1.5 mm apart on
        average, 2 (1 - Dice) V / A, and each is off by sqrt(pi) / 2 of that as standard deviation (DERIVED).
    correlation_mm : float
        Over what length it wavers together, on the liver, mm. Default 10 (ASSUMED).
    lesion_correlation_mm : float
        The same on lesions. Default 5 (ASSUMED).
    cut_sd_mm : float
        How far a cut lies from where it is meant, along its normal, mm. Default 2: with it the remnant of a
        right hepatectomy has the 5 % of the clinical base, 8.5 (ASSUMED).
    cut_sd_degrees : float
        By how much it is tilted about its middle. Default 3 (ASSUMED).
    slice_share : float
        How far thick slices move the outline, as a share of the distance between them. Default 0.05: livers
        measured 4.1 % smaller at 10 mm than at 0.625 mm (PMC3226887) are 0.5 mm tighter (DERIVED).

    Raises
    ------
    FormulaError
        If one is negative, not a number, or larger than can be meant.
    """

    outline_sd_mm: float = 0.4
    local_sd_mm: float = 1.2
    correlation_mm: float = 10.0
    lesion_correlation_mm: float = 5.0
    cut_sd_mm: float = 2.0
    cut_sd_degrees: float = 3.0
    slice_share: float = 0.05

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least, most = getattr(self, each.name), 0.0, MOST_MM
            if each.name.endswith("correlation_mm"):
                least, most = 1.0, 10 * MOST_MM
            elif each.name == "cut_sd_degrees":
                most = MOST_DEGREES
            elif each.name == "slice_share":
                most = MOST_SLICE_SHARE
            if not (math.isfinite(value) and least <= value <= most):
                raise FormulaError(
                    f"uncertainty: {each.name} must lie between {least:g} and {most:g}, got {value}",
                    reason="uncertainty_out_of_range",
                )

    @property
    def sentence(self) -> str:
        """What was taken, in one sentence for the methods section."""
        return (
            f"Intervals: the outlines of liver and lesions were taken to lie too wide or too tight by "
            f"{self.outline_sd_mm:g} mm as a whole and to waver by {self.local_sd_mm:.3g} mm over "
            f"{self.correlation_mm:g} mm on the liver and {self.lesion_correlation_mm:g} mm on lesions, cuts "
            f"and borders of segments to lie {self.cut_sd_mm:g} mm along their normal and "
            f"{self.cut_sd_degrees:g} degrees of tilt from where they are meant, thick slices to move "
            f"outlines by {100 * self.slice_share:g} % of their distance (all standard deviations; normal)."
        )


@dataclass(frozen=True, slots=True)
class RelativeErrors:
    """Relative standard deviations of remnant and liver, independent, for a site that knows its own.

    Parameters
    ----------
    remnant : float
        Of the remnant, a fraction. Default 0.05: no verified inter-observer figure is known, and
        the cut, not the liver's outline, dominates (ASSUMED).
    liver : float
        Of the whole liver, with or without tumour, a fraction. Default 0.03 (ASSUMED).

    Raises
    ------
    FormulaError
        If one lies outside 0 to 0.25.
    """

    remnant: float = 0.05
    liver: float = 0.03

    def __post_init__(self) -> None:
        for name, value in (("remnant", self.remnant), ("liver", self.liver)):
            if not 0 <= value <= MAX_RELATIVE_SD:
                raise FormulaError(
                    f"the relative standard deviation of the {name} must lie between 0 and "
                    f"{MAX_RELATIVE_SD}, got {value}. Is it in percent?",
                    reason="not_a_fraction",
                )

    @property
    def sentence(self) -> str:
        """One sentence for the methods section."""
        return (
            f"Intervals take a standard deviation of {100 * self.remnant:g} % on the remnant and "
            f"{100 * self.liver:g} % on the liver (assumed, or the site's own), normal and "
            "independent."
        )


DEFAULT_ERRORS = RelativeErrors()
DRAWING_ERRORS = DrawingErrors()

"""An estimated liver volume as a value: amount, unit, formula, and what is doubtful about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.errors import Caveat, FormulaError
from flr_volumetry.volumetry.formulas import _domain

if TYPE_CHECKING:
    from flr_volumetry.volumetry.formulas.bsa import BodySurface, BsaFormula

BSA_UNKNOWN = "the paper's BSA formula is not known; Mosteller taken"
"""What a formula says of its body surface where its paper was not read."""


class AmountUnit(Enum):
    """What a formula of liver size yields."""

    ML = "mL"
    G = "g"


@dataclass(frozen=True, slots=True)
class TelvFormula:
    """A published formula of liver size.

    Parameters
    ----------
    key : str
        Its number in the project's table, for example "T1".
    title : str
        Author and year.
    equation : str
        As published, W in kg, H in cm, BSA in m2.
    unit : AmountUnit
        What it yields.
    population : str
        Whom it was fitted to.
    source : str
        The paper.
    evidence : str
        Tag of the clinical base: FOUND if the formula was read in a publication, GK-* if not.
    bsa : BsaFormula or None
        The body surface formula it is used with; None if it needs none.
    bsa_known : str
        How that is known.
    bsa_range_m2 : tuple of float or None
        Beyond it the estimate carries a caveat.
    """

    key: str
    title: str
    equation: str
    unit: AmountUnit
    population: str
    source: str
    evidence: str
    bsa: BsaFormula | None = None
    bsa_known: str = ""
    bsa_range_m2: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LiverEstimate:
    """What a formula of liver size says of one patient.

    Parameters
    ----------
    formula : TelvFormula
        Which formula.
    amount : float
        In the formula's own unit; read it through `ml` or `g`, which refuse the other unit.
    bsa : BodySurface or None
        The body surface it was made from.
    caveats : tuple of Caveat
        Where the formula was used beside what it was fitted to.

    Raises
    ------
    FormulaError
        If the formula yields no positive amount for this patient.
    """

    formula: TelvFormula
    amount: float
    bsa: BodySurface | None = None
    caveats: tuple[Caveat, ...] = ()

    def __post_init__(self) -> None:
        _domain.positive(self.amount, f"the liver size by {self.formula.key} ({self.formula.equation})")

    @property
    def ml(self) -> float:
        """The amount in mL; a formula in grams is refused."""
        if self.formula.unit is not AmountUnit.ML:
            raise FormulaError(
                f"{self.formula.key} ({self.formula.title}) yields grams, not millilitres; "
                "state the density: estimate.to_ml(g_per_ml=...).",
                reason="grams_not_millilitres",
            )
        return self.amount

    @property
    def g(self) -> float:
        """The amount in g; a formula in millilitres is refused."""
        if self.formula.unit is not AmountUnit.G:
            raise FormulaError(
                f"{self.formula.key} ({self.formula.title}) yields millilitres, not grams.",
                reason="millilitres_not_grams",
            )
        return self.amount

    def to_ml(self, *, g_per_ml: float) -> float:
        """Return a weight as a volume, at a density the caller answers for.

        Parameters
        ----------
        g_per_ml : float
            Density; specimens drained of blood weigh about 0.9 g for each mL of living liver.

        Returns
        -------
        float
            Volume, mL.

        Raises
        ------
        FormulaError
            If the formula yields millilitres already, or the density is not positive.
        """
        _domain.positive(g_per_ml, "g_per_ml")
        return self.g / g_per_ml

    @property
    def sentence(self) -> str:
        """One sentence for the methods section."""
        formula = self.formula
        area = ""
        if self.bsa is not None:
            area = f" with BSA {self.bsa.m2:.4f} m2 ({self.bsa.formula.title}; {formula.bsa_known})"
        return (
            f"{formula.key}, {formula.title}: {formula.equation}{area} = {self.amount:.1f} "
            f"{formula.unit.value}; {formula.population}; {formula.source}; evidence {formula.evidence}."
        )


def estimate_from_bsa(formula: TelvFormula, *, amount: float, bsa: BodySurface) -> LiverEstimate:
    """Return an estimate from body surface, with the caveats its use calls for."""
    caveats = []
    if formula.bsa is not None and bsa.formula is not formula.bsa:
        caveats.append(
            Caveat(
                "telv_other_bsa_formula",
                f"{formula.key} ({formula.title}) is used with BSA by {formula.bsa.title} "
                f"({formula.bsa_known}); here it was given {bsa.formula.title}, which moves the estimate.",
            )
        )
    if formula.bsa_range_m2 is not None:
        low, high = formula.bsa_range_m2
        if not low <= bsa.m2 <= high:
            caveats.append(
                Caveat(
                    "telv_bsa_out_of_range",
                    f"The body surface of {bsa.m2:.2f} m2 lies outside {low:g} to {high:g} m2, where "
                    f"{formula.key} ({formula.title}) is taken to hold (assumed limits): its {amount:.0f} "
                    f"{formula.unit.value} and every ratio to it are unreliable.",
                )
            )
    return LiverEstimate(formula, amount, bsa, tuple(caveats))

"""The same remnant as a share of every liver volume, measured or estimated, and where a threshold flips."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flr_volumetry.assessment.indices import ADULT_YEARS, LIVER_SHARES
from flr_volumetry.assessment.model import State
from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.formulas import AmountUnit, BsaFormula

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flr_volumetry.assessment.indices import IndexTable
    from flr_volumetry.assessment.model import Finding
    from flr_volumetry.volumetry.formulas import BodySurface, LiverEstimate
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.patient import Patient

BY_SURFACE: tuple[Callable[..., LiverEstimate], ...] = (
    formulas.telv_vauthey_2002_bsa,
    formulas.telv_urata_1995,
    formulas.telv_heinemann_1999,
    formulas.telv_yoshizumi_2003,
    formulas.telv_johnson_2005,
    formulas.telv_hashimoto_2006,
    formulas.telv_korea_1000_dubois,
    formulas.telv_korea_1000_mosteller,
    formulas.telv_um_2015,
    formulas.telv_feng_2017,
    formulas.telv_deland_1968,
    formulas.telv_lee_2002,
)
SURFACES: tuple[Callable[..., BodySurface], ...] = (
    formulas.bsa_mosteller,
    formulas.bsa_dubois,
    formulas.bsa_haycock,
    formulas.bsa_gehan_george,
    formulas.bsa_fujimoto,
)
GRAMS = "yields grams: a weight is no volume"


@dataclass(frozen=True, slots=True)
class Share:
    """The remnant as a share of one liver volume.

    Parameters
    ----------
    key : str
        "FTLV", "TLV", or the number of a formula, "T1".
    title : str
        For people.
    surface : str
        Body surface formula it was made with; empty without.
    own_surface : bool
        Whether that is the one the formula was published with, or none is needed.
    liver_ml : float
        The denominator, mL.
    value : float
        The share, a fraction.
    evidence : str
        Tag of the formula in the clinical base; empty for what was measured.
    """

    key: str
    title: str
    surface: str
    own_surface: bool
    liver_ml: float
    value: float
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Flip:
    """A threshold that this remnant reaches on some denominators and misses on others.

    Parameters
    ----------
    rule, protocol : str
        Id of the rule, and key of its protocol.
    threshold : float
        A fraction.
    reached : bool
        Whether it is on the rule's own denominator, the only one it was judged on.
    otherwise_on : tuple of str
        Denominators on which it would be the other way, as `Share.key`; those that are so only with another
        body surface formula as ``T1 with Haycock 1978``.
    """

    rule: str
    protocol: str
    threshold: float
    reached: bool
    otherwise_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The same remnant on every denominator.

    Parameters
    ----------
    shares : tuple of Share
        Measured ones first, then formulas in the order of their numbers, each with its own body surface
        formula before the others.
    left_out : tuple of (str, str)
        Formulas that could not be used, by number, and why.
    flips : tuple of Flip
        Evaluated rules whose threshold is reached on one denominator and missed on another.
    """

    shares: tuple[Share, ...]
    left_out: tuple[tuple[str, str], ...]
    flips: tuple[Flip, ...]

    @property
    def least(self) -> Share:
        """The smallest share."""
        return min(self.shares, key=lambda share: share.value)

    @property
    def most(self) -> Share:
        """The largest share."""
        return max(self.shares, key=lambda share: share.value)


def sensitivity(
    volumes: LiverVolumes, patient: Patient, findings: Sequence[Finding], table: IndexTable
) -> Sensitivity:
    """Compare one remnant with every liver volume.

    Parameters
    ----------
    volumes : LiverVolumes
        Counted.
    patient : Patient
        What is not known of them leaves formulas out.
    findings : sequence of Finding
        As judged, each on its own denominator.
    table : IndexTable
        The ratios they were judged on.

    Returns
    -------
    Sensitivity
        For orientation; no rule is judged by it.

    Notes
    -----
    Formulas T1 to T17 of the clinical base, 1.2, those made of body surface with each of B1 to B5. Formulas
    in grams are left out: a weight is no volume (clinical base 8.4).
    """
    shares = [
        _measured("FTLV", "liver without lesions (D8)", volumes.remnant_functional_ml, volumes.functional_ml),
        _measured("TLV", "whole liver, gross remnant (D9)", volumes.remnant_ml, volumes.total_ml),
    ]
    left_out: dict[str, str] = {}
    for estimate in _estimates(patient, left_out):
        if estimate.formula.unit is not AmountUnit.ML:
            left_out[estimate.formula.key] = GRAMS
            continue
        own = estimate.bsa is None or estimate.bsa.formula is _surface_of(estimate)
        shares.append(
            Share(
                estimate.formula.key,
                estimate.formula.title,
                estimate.bsa.formula.title if estimate.bsa is not None else "",
                own,
                estimate.ml,
                volumes.remnant_functional_ml / estimate.ml,
                estimate.formula.evidence,
            )
        )
    flips = [flip for f in findings if (flip := _flip(f, shares, table)) is not None]
    return Sensitivity(tuple(shares), tuple(left_out.items()), tuple(flips))


def _measured(key: str, title: str, remnant_ml: float, liver_ml: float) -> Share:
    return Share(key, title, "", own_surface=True, liver_ml=liver_ml, value=remnant_ml / liver_ml)


def _surface_of(estimate: LiverEstimate) -> BsaFormula:
    """Return the body surface formula it is used with; Mosteller where its paper is not known."""
    return estimate.formula.bsa or BsaFormula.MOSTELLER


def _estimates(patient: Patient, left_out: dict[str, str]) -> list[LiverEstimate]:
    """Every formula that the patient's data allow; the others are noted with the reason."""
    weight_kg, height_cm = patient.weight_kg, patient.height_cm
    if patient.age is not None and patient.age < ADULT_YEARS:
        left_out["T1 to T17"] = "were fitted to adults"
        return []
    if weight_kg is None:
        left_out["T1 to T17"] = "need the weight"
        return []
    left_out |= {"T8": GRAMS, "T10": GRAMS, "T15": "needs the width of the chest"}
    found = [formulas.telv_vauthey_2002_weight(weight_kg=weight_kg)]
    found.append(formulas.telv_tu_2007(weight_kg=weight_kg))
    if height_cm is None:
        left_out["T1, T3 to T7, T9, T11 to T13, T16, T17"] = "need the height"
    else:
        found.append(formulas.telv_yu_2004(height_cm=height_cm, weight_kg=weight_kg))
        found += _by_surface([make(height_cm=height_cm, weight_kg=weight_kg) for make in SURFACES], left_out)
    return sorted(found, key=lambda estimate: int(re.sub(r"\D", "", estimate.formula.key)))


def _by_surface(surfaces: Sequence[BodySurface], left_out: dict[str, str]) -> list[LiverEstimate]:
    found = []
    for formula in BY_SURFACE:
        mine = []
        for surface in surfaces:
            try:
                mine.append(formula(bsa=surface))
            except FormulaError as error:
                left_out[formula.__name__.removeprefix("telv_").replace("_", " ")] = str(error)
        found += sorted(mine, key=lambda e: e.bsa is not None and e.bsa.formula is not _surface_of(e))
    return found


def _flip(finding: Finding, shares: Sequence[Share], table: IndexTable) -> Flip | None:
    rule, index = finding.rule, table.find(finding.rule.index)
    if finding.state is State.NOT_EVALUABLE or finding.value is None or index is None:
        return None
    if rule.index not in LIVER_SHARES:
        return None

    def reaches(value: float) -> bool:
        return value > rule.threshold if rule.strict else value >= rule.threshold

    mine = reaches(finding.value)
    others = [share for share in shares if reaches(share.value) != mine]
    own = {share.key for share in others if share.own_surface}
    named = tuple(
        share.key if share.own_surface else f"{share.key} with {share.surface}"
        for share in others
        if share.own_surface or share.key not in own
    )
    return Flip(rule.id, finding.protocol, rule.threshold, mine, named) if named else None

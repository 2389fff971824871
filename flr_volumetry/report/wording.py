"""How numbers and states are said to people: in the terminal and on the page alike.

Inside the package a share is a fraction; here, and only here, it becomes a percentage.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.assessment.model import Evidence, State, VeinQuestion
from flr_volumetry.assessment.pathway import GrowthNeed
from flr_volumetry.assessment.systems.model import Answer
from flr_volumetry.assessment.units import UNITS
from flr_volumetry.assessment.wording import ASKED
from flr_volumetry.volumetry.forecast import Technique

if TYPE_CHECKING:
    from flr_volumetry.assessment.model import CongestionFinding, Finding, Index, Summary
    from flr_volumetry.volumetry.circulation import CutOff
    from flr_volumetry.volumetry.consequences import Consequences
    from flr_volumetry.volumetry.measure import LesionFacts

DISCLAIMER = "Research use only, not a medical device."
MAIN_INDEX = "flr"
"""The index of the headline: functional remnant over functional liver (D8)."""
SMALLEST_ML = 0.05
"""Smaller amounts than this would round to nought."""
ROUNDING_ML = 1e-6
"""Less than any voxel: what is left when equal volumes are subtracted."""
SMALL_FRACTION = 0.02
"""Below it a percentage is shown with three decimals: the body-weight ratio is about 0.5 %."""
BIDI_CONTROLS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class StateWords:
    """How a state is shown; never by colour alone.

    Parameters
    ----------
    symbol : str
        One character.
    words : str
        For people.
    css : str
        Class on the page.
    """

    symbol: str
    words: str
    css: str


STATES = {
    State.CLEAR_ABOVE: StateWords("▲", "clearly above", "above"),
    State.BORDERLINE: StateWords("◆", "borderline", "borderline"),
    State.CLEAR_BELOW: StateWords("▼", "clearly below", "below"),
    State.NOT_EVALUABLE: StateWords("○", "not evaluable", "open"),
}

EVIDENCE = {
    Evidence.SEED: "stated in the 2014 review",
    Evidence.FOUND: "read in the source named",
    Evidence.DICT: "read in the DICOM dictionaries",
    Evidence.GK_H: "common practice, primary source not verified",
    Evidence.GK_M: "general knowledge, not verified",
    Evidence.GK_L: "general knowledge, doubtful, not verified",
    Evidence.DERIVED: "computed from other entries",
    Evidence.ASSUMED: "assumed, no clinical source",
}


VEIN_QUESTIONS = {
    VeinQuestion.NO_NEED: "reached without the congested part: no volumetric need to reconstruct",
    VeinQuestion.CONSIDER: "reached only with the congested part: consider reconstruction, "
    "acceptance or augmentation",
    VeinQuestion.AUGMENT_FIRST: "not reached even with the congested part: augmentation comes first",
}


TECHNIQUES = {
    Technique.PVE: "portal vein embolization",
    Technique.PVE_WITH_SEGMENT_4: "portal vein embolization with segment IV",
    Technique.LVD: "liver venous deprivation",
    Technique.ALPPS: "ALPPS",
}

GROWTH_NEEDS = {
    GrowthNeed.NONE: "reached without growth",
    GrowthNeed.WITHIN: "within the review's range of 20 to 40 %",
    GrowthNeed.TYPICAL: "needs the review's typical range of 20 to 40 %",
    GrowthNeed.BEYOND: "beyond the review's range; segment IV, LVD or ALPPS come into discussion",
}


ANSWERS = {
    Answer.YES: "✓ yes",
    Answer.NO: "✗ no",
    Answer.UNKNOWN: "? missing",
    Answer.NOTED: "· noted",
}


NEEDS = {
    State.CLEAR_BELOW: "indicated by volume: some rule asks for more than the remnant has",
    State.BORDERLINE: "borderline: some rule is close to its threshold, none clearly missed",
    State.CLEAR_ABOVE: "not indicated by volume: every rule is clearly reached",
    State.NOT_EVALUABLE: "no rule of volume could be evaluated",
}
"""What a protocol's worst rule says of growth before the operation; evidence, never an order."""


def clean(text: str) -> str:
    """Replace control and text-direction characters, which could hide or forge what is shown.

    Parameters
    ----------
    text : str
        Anything a file may hold.

    Returns
    -------
    str
        The same with each such character replaced by U+FFFD; line ends and tabs become spaces.

    Examples
    --------
    >>> clean("stage" + chr(10) + "one")
    'stage one'
    """
    spaced = text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return "".join(
        REPLACEMENT if unicodedata.category(c) == "Cc" or c in BIDI_CONTROLS else c for c in spaced
    )


def ml(amount: float) -> str:
    """Return an amount in mL with one decimal, for example ``612.0 mL``; a trace is never shown as nought."""
    return f"{amount:.1g} mL" if ROUNDING_ML < abs(amount) < SMALLEST_ML else f"{_tidy(amount, 1)} mL"


def whole_ml(amount: float) -> str:
    """Return an amount in mL for a headline: whole from 10 mL on, else with one decimal."""
    return f"{_tidy(amount, 0 if abs(amount) >= 10 else 1)} mL"


def ml_interval(interval: tuple[float, float] | None) -> str:
    """Return a 95 % interval in mL, or an empty string."""
    return f"{_tidy(interval[0], 1)} to {_tidy(interval[1], 1)} mL" if interval else ""


def mm_interval(interval: tuple[float, float] | None) -> str:
    """Return a 95 % interval in mm, or an empty string."""
    return f"{_tidy(interval[0], 1)} to {_tidy(interval[1], 1)} mm" if interval else ""


def quantity(value: float, unit: str) -> str:
    """Return the value of an index for people: a fraction as a percentage, else with its unit.

    Parameters
    ----------
    value : float
        In the index's unit.
    unit : str
        "fraction", or for example "mL/m2".

    Returns
    -------
    str
        One decimal; three for fractions below 0.02, as ratios to body weight are.

    Examples
    --------
    >>> quantity(0.3612, "fraction"), quantity(0.00471, "fraction"), quantity(301.26, "mL/m2")
    ('36.1 %', '0.471 %', '301.3 mL/m2')
    """
    if unit != "fraction":
        return UNITS[unit].text(value) if unit in UNITS else f"{_tidy(value, 1)} {unit}"
    return f"{_tidy(100 * value, _percent_decimals(value))} %"


def quantity_interval(interval: tuple[float, float] | None, unit: str) -> str:
    """Return an interval of an index for people, for example ``32.4 to 39.9 %``; empty if there is none."""
    if interval is None:
        return ""
    low, high = interval
    if not (math.isfinite(low) and math.isfinite(high)):
        return "unbounded"
    if unit in UNITS and unit != "fraction":
        return f"{low:.{UNITS[unit].decimals}f} to {UNITS[unit].text(high)}"
    if unit != "fraction":
        return f"{_tidy(low, 1)} to {_tidy(high, 1)} {unit}"
    decimals = _percent_decimals(high)
    return f"{_tidy(100 * low, decimals)} to {_tidy(100 * high, decimals)} %"


def threshold(finding: Finding | CongestionFinding) -> str:
    """Return what a rule asks for, for example ``at least 30 %``."""
    return f"{ASKED[finding.rule.op]} {_threshold_amount(finding)}"


def short_threshold(finding: Finding) -> str:
    """Return what a rule asks for in few signs, for example ``>= 30 %``."""
    return f"{finding.rule.op} {_threshold_amount(finding)}"


def signed_ml(finding: Finding) -> str:
    """Return the margin in mL with its sign, for example ``-34.2 mL``; never nought for a deficit."""
    margin = finding.margin_ml
    if margin is None:
        return ""
    return f"{margin:+.1f} mL" if abs(margin) >= SMALLEST_ML else f"{margin:+.2g} mL"


def missing_ml(finding: Finding) -> str:
    """Return how many mL are missing to a threshold, or to spare; empty where not evaluable.

    Parameters
    ----------
    finding : Finding
        With its signed margin in mL.

    Returns
    -------
    str
        For example ``34.2 mL missing``. A deficit below 0.05 mL is said with more digits, never as nought.
    """
    margin = finding.margin_ml
    if margin is None:
        return ""
    if margin == 0:
        return "exactly on the threshold"
    amount = f"{abs(margin):.1f}" if abs(margin) >= SMALLEST_ML else f"{abs(margin):.2g}"
    return f"{amount} mL {'missing' if margin < 0 else 'to spare'}"


def points(finding: Finding) -> str:
    """Return the margin in percentage points with its sign, or an empty string."""
    margin = finding.margin_points
    if margin is None:
        return ""
    decimals = 3 if finding.rule.threshold < SMALL_FRACTION else 1
    text = f"{margin:+.{decimals}f}"
    return f"{margin:+.1g}" if margin and float(text) == 0 else text


def probability(value: float | None) -> str:
    """Return a probability for people, never as a certainty; empty if there is none."""
    if value is None:
        return ""
    if value < 0.001:
        return "below 0.1 %"
    if value > 0.999:
        return "above 99.9 %"
    return f"{100 * value:.1f} %"


def growth(finding: Finding) -> str:
    """Return the relative growth that would reach the threshold; empty if none is needed or known."""
    needed = finding.required_growth
    if needed is None or needed == 0:
        return ""
    return f"{100 * needed:.1f} %" if math.isfinite(needed) else "no growth reaches it"


def share(part: float, whole: float) -> str:
    """Return a part of a whole as a percentage; empty if there is no whole."""
    return quantity(part / whole, "fraction") if whole > 0 else ""


def margin(lesion: LesionFacts) -> str:
    """Return a lesion's margin for people, in mm or in words where it is not a distance."""
    if not lesion.cleared:
        return f"none: {ml(lesion.remaining_ml)} of it stays"
    if not math.isfinite(lesion.margin_mm):
        return "no liver stays"
    return f"{lesion.margin_mm:.1f} mm"


def lesion_title(lesion: LesionFacts) -> str:
    """Return a lesion's number and name, for example ``2 (tumour2)``."""
    return f"{lesion.number} ({clean(lesion.name)})" if lesion.name else str(lesion.number)


def clearance(summary: Summary) -> str:
    """Return in one sentence whether the plan clears the lesions, and the smallest margin.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    str
        For example ``All 3 lesions cleared; smallest margin 5.0 mm, at lesion 3``; empty without lesions.
    """
    lesions = summary.volumes.lesions
    if not lesions:
        return ""
    left = [lesion for lesion in lesions if not lesion.cleared]
    if left:
        named = ", ".join(f"{lesion.number} ({ml(lesion.remaining_ml)} stay)" for lesion in left)
        return f"{len(left)} of {len(lesions)} {_lesions(len(lesions))} NOT CLEARED: {named}"
    closest = min(lesions, key=lambda lesion: lesion.margin_mm)
    all_of = "The lesion is cleared" if len(lesions) == 1 else f"All {len(lesions)} lesions are cleared"
    return f"{all_of}; smallest margin {margin(closest)}, at lesion {closest.number}"


def all_cleared(summary: Summary) -> bool:
    """Return whether nothing of any lesion stays."""
    return all(lesion.cleared for lesion in summary.volumes.lesions)


def index_of(summary: Summary, key: str) -> Index | None:
    """Return an index of a summary by its key, or None if it could not be computed."""
    return next((i for i in summary.assessment.indices if i.key == key), None)


def shown_indices(summary: Summary) -> list[Index]:
    """Return the indices without those that repeat another under a second key (sflr and sflr_t1)."""
    shown: dict[tuple[float, str, float], Index] = {}
    for index in summary.assessment.indices:
        shown.setdefault((index.value, index.unit, index.denominator_amount), index)
    return list(shown.values())


def headline(summary: Summary) -> str:
    """Return the answer in one sentence: remnant in mL, and its share with interval and denominator.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    str
        For example ``Future liver remnant 612 mL, 36.1 % (95 % interval 32.4 to 39.9 %) of FTLV 1696.3 mL``.
    """
    start = f"Future liver remnant {whole_ml(summary.volumes.remnant_functional_ml)}"
    index = index_of(summary, MAIN_INDEX)
    if index is None:
        return start
    interval = quantity_interval(index.interval, index.unit)
    value = quantity(index.value, index.unit)
    return f"{start}, {value} (95 % interval {interval}) of {index.denominator}"


def retained(function: float) -> str:
    """Return what congested liver is counted at, in words."""
    return {1.0: "fully", 0.0: "not at all"}.get(function, f"at {function:g}")


def consequence_rows(consequences: Consequences) -> list[tuple[str, str]]:
    """Return what the cut means for what stays, for people.

    Parameters
    ----------
    consequences : Consequences
        As they were found.

    Returns
    -------
    list of (str, str)
        What, and the finding; what is not known is said to be so.
    """
    parts = consequences.remnant_parts_ml
    pieces = "in one piece" if len(parts) == 1 else f"in {len(parts)} parts: " + ", ".join(map(ml, parts))
    return [
        ("Segments fully spared", _spared(consequences)),
        ("Remnant", pieces if parts else "none"),
        ("Without portal inflow", _lost(consequences.inflow)),
        ("Without venous outflow (congested)", _lost(consequences.outflow)),
    ]


def _spared(consequences: Consequences) -> str:
    spared = consequences.spared_segments
    if spared is None:
        return "not known: no segment map"
    names = ", ".join(ROMAN[n] for n in spared) or "none"
    beside = (
        "two of them border on each other" if consequences.adjacent_spared else "no two border on each other"
    )
    return f"{names}; {beside}" if len(spared) > 1 else names


def _lost(cut: CutOff | None) -> str:
    if cut is None:
        return "not known: needs the vessel's branches, and a cut that leaves its trunk"
    if cut.ml == 0 and not cut.most_ml:
        return "nothing"
    shares = ", ".join(f"{ROMAN.get(n, 'no segment')} {ml(amount)}" for n, amount in cut.segments)
    most = f"; {ml(cut.most_ml)} if what is opened at the side is not spared" if cut.most_ml else ""
    return f"{ml(cut.ml)}" + (f" ({shares})" if shares else "") + most


def _lesions(count: int) -> str:
    return "lesion" if count == 1 else "lesions"


def _threshold_amount(finding: Finding | CongestionFinding) -> str:
    rule = finding.rule
    if rule.unit == "fraction":
        return f"{100 * rule.threshold:.4g} %"
    return UNITS[rule.unit].text(rule.threshold, exact=True)


def _percent_decimals(fraction: float) -> int:
    return 3 if abs(fraction) < SMALL_FRACTION else 1


def _tidy(value: float, decimals: int) -> str:
    """Format a number without a negative nought."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text

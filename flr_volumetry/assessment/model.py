"""Rules, findings and assessments as values."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.errors import ProtocolError

if TYPE_CHECKING:
    from flr_volumetry.assessment.function import FunctionTable
    from flr_volumetry.assessment.pathway import Pathway
    from flr_volumetry.assessment.sensitivity import Sensitivity
    from flr_volumetry.assessment.systems.model import Checklist
    from flr_volumetry.assessment.two_stage import TwoStage
    from flr_volumetry.assessment.wording import Disagreement
    from flr_volumetry.errors import Caveat
    from flr_volumetry.resection import CutArea, ResectionPlan
    from flr_volumetry.volumetry.consequences import Consequences
    from flr_volumetry.volumetry.liver_function import Disease, PlannedExtent
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.nearby import Neighbours
    from flr_volumetry.volumetry.patient import Parenchyma, Patient
    from flr_volumetry.volumetry.uncertainty import VolumeErrors

FRACTION = "fraction"
"""The unit of a ratio of volumes."""
SIGNED_UNITS = ("ALBI",)
"""Units in which an amount may be negative."""


class Evidence(Enum):
    """How well a number is founded; the tags of the clinical base."""

    SEED = "SEED"
    FOUND = "FOUND"
    DICT = "DICT"
    GK_H = "GK-H"
    GK_M = "GK-M"
    GK_L = "GK-L"
    DERIVED = "DERIVED"
    ASSUMED = "ASSUMED"


class State(Enum):
    """Where a value lies against a threshold; never a verdict on the patient."""

    CLEAR_ABOVE = "clear_above"
    BORDERLINE = "borderline"
    CLEAR_BELOW = "clear_below"
    NOT_EVALUABLE = "not_evaluable"


class Better(Enum):
    """Which side of a threshold a rule asks for."""

    HIGHER = "higher"
    LOWER = "lower"


OPERATORS = {
    ">=": (Better.HIGHER, False),
    ">": (Better.HIGHER, True),
    "<=": (Better.LOWER, False),
    "<": (Better.LOWER, True),
}
"""How protocol files write which side is asked for, and whether the threshold itself is on it."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a rule comes from.

    Parameters
    ----------
    text : str
        Author, year, journal, volume and page, as far as known.
    via : str
        Where it was read, if not in the paper itself.
    """

    text: str
    via: str = ""


@dataclass(frozen=True, slots=True)
class Applicability:
    """For whom a rule was made; an empty condition is met by everyone.

    Parameters
    ----------
    parenchyma : tuple of Parenchyma
        Any of these; empty for all.
    chemotherapy_weeks_min, chemotherapy_weeks_max : float or None
        Strictly more than, and at most, so many weeks.
    extents : tuple of PlannedExtent
        Of the planned hepatectomy, any of these; empty for all.
    diseases : tuple of Disease
        Any of these; empty for all.
    bile_duct_resection : bool
        True if it was made for resections of the bile duct too.
    """

    parenchyma: tuple[Parenchyma, ...] = ()
    chemotherapy_weeks_min: float | None = None
    chemotherapy_weeks_max: float | None = None
    extents: tuple[PlannedExtent, ...] = ()
    diseases: tuple[Disease, ...] = ()
    bile_duct_resection: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One published threshold.

    Parameters
    ----------
    id : str
        Stable name, for example "V11".
    title : str
        For people.
    index : str
        What it judges: a key of `RULE_INDICES`, for example "sflr_t1" or "meld".
    denominator : str
        What a ratio is a share of, for people; a rule is never evaluated on another. Of a test of
        function, what it is of: "the whole liver".
    threshold : float
        Fraction from 0 to 1 (for body-weight ratios too: 0.5 % is 0.005), or an amount in `unit`; of an
        ordinal its grade, from 1.
    strict : bool
        True if the value must lie beyond the threshold, False if reaching it is enough.
    population : str
        Whom the source studied.
    applies_if : Applicability
        For whom it is meant.
    effect_below, effect_above : str
        What the source says of values on that side.
    citation : Citation
        Its source; required.
    evidence : Evidence
        Its tag.
    enabled : bool
        Whether it is evaluated; False keeps it listed with its reason.
    note : str
        Cautions, and why it is disabled if it is.
    unit : str
        Of the threshold, as `Index.unit`: "fraction", or for example "mL/m2".
    better : Better
        Which side it asks for.

    Raises
    ------
    ProtocolError
        If the source is missing, or the threshold is not a fraction between 0 and 1, or, in another
        unit, not above 0.
    """

    id: str
    title: str
    index: str
    denominator: str
    threshold: float
    strict: bool
    population: str
    applies_if: Applicability
    effect_below: str
    effect_above: str
    citation: Citation
    evidence: Evidence
    enabled: bool = True
    note: str = ""
    unit: str = FRACTION
    better: Better = Better.HIGHER

    @property
    def op(self) -> str:
        """The comparison it asks for, as protocol files write it."""
        return next(op for op, sense in OPERATORS.items() if sense == (self.better, self.strict))

    def __post_init__(self) -> None:
        if not self.citation.text.strip():
            raise ProtocolError(f"rule {self.id!r} has no source", reason="rule_without_source")
        if self.unit == FRACTION and not 0 < self.threshold < 1:
            raise ProtocolError(
                f"rule {self.id!r}: the threshold must be a fraction between 0 and 1, got {self.threshold}"
            )
        signed = self.unit in SIGNED_UNITS
        if not math.isfinite(self.threshold) or not (signed or self.threshold > 0):
            raise ProtocolError(
                f"rule {self.id!r}: the threshold must be above 0 {self.unit}, got {self.threshold}"
            )


@dataclass(frozen=True, slots=True)
class Protocol:
    """A named, versioned set of rules.

    Parameters
    ----------
    key : str
        The name a case file uses.
    title : str
        For people.
    version : str
        Changes whenever a rule changes.
    description : str
        What it stands for.
    rules : tuple of Rule
        At least one.
    """

    key: str
    title: str
    version: str
    description: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """One ratio, with its denominator and interval.

    Parameters
    ----------
    key : str
        For example "flr".
    title : str
        For people: "FLR / functional liver volume (D8)".
    value : float
        A fraction, or, for `unit` other than "fraction", an amount in that unit.
    unit : str
        "fraction", or for example "mL/m2".
    numerator_ml : float
        The remnant it is made of.
    denominator : str
        For people, with its amount: "FTLV 1696.3 mL".
    denominator_amount : float
        In mL, g, or m2, as `denominator` says.
    interval : tuple of float
        95 % interval, in the unit of the value.
    sd_numerator, sd_denominator : float
        Standard deviations the interval was made from, in the units of the amounts.
    method : str
        One sentence: formula, source.
    covariance : float
        Of the errors of numerator and denominator, in the product of their units: what both share.
    """

    key: str
    title: str
    value: float
    unit: str
    numerator_ml: float
    denominator: str
    denominator_amount: float
    interval: tuple[float, float]
    sd_numerator: float
    sd_denominator: float
    method: str
    covariance: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule met by one liver.

    Parameters
    ----------
    rule : Rule
        The rule.
    protocol : str
        Key of the protocol it stands in.
    value : float or None
        Of the rule's index; None where not evaluable.
    interval : tuple of float or None
        Its 95 % interval.
    margin_points : float or None
        Value minus threshold, percentage points (fractions times 100).
    margin_ml : float or None
        Remnant minus what the threshold asks for, mL; negative if it is missing (D15); None for a test
        of function.
    required_growth : float or None
        D16: relative growth of the remnant that would reach the threshold, as a fraction; 0 if it is reached.
    probability_above : float or None
        That the true value lies above the threshold.
    state : State
        Where it lies.
    reason : str
        Why it is not evaluable, or does not apply; empty otherwise.
    """

    rule: Rule
    protocol: str
    value: float | None
    interval: tuple[float, float] | None
    margin_points: float | None
    margin_ml: float | None
    required_growth: float | None
    probability_above: float | None
    state: State
    reason: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value lies clearly on the side asked for; None if borderline or not evaluable."""
        above = {State.CLEAR_ABOVE: True, State.CLEAR_BELOW: False}.get(self.state)
        return above if above is None or self.rule.better is Better.HIGHER else not above

    @property
    def volumetric(self) -> bool:
        """Whether it judges a ratio of volumes, which has a margin in mL; False for a test of function."""
        return self.margin_ml is not None


class VeinQuestion(Enum):
    """What congestion means under one rule; the surgeon's question, never an order."""

    NO_NEED = "no_volumetric_need"
    """The remnant reaches the threshold without its congested part."""
    CONSIDER = "consider_reconstruction"
    """It does so only with it: consider reconstruction, accept, or augment."""
    AUGMENT_FIRST = "augment_first"
    """It does not, even with it."""


@dataclass(frozen=True, slots=True)
class CongestionFinding:
    """One rule with the congested part of the remnant counted at less.

    Parameters
    ----------
    rule : Rule
        The rule.
    protocol : str
        Key of the protocol it stands in.
    values : tuple of (float, float)
        What the congested part is counted at, and the rule's index then.
    question : VeinQuestion
        What that means.
    """

    rule: Rule
    protocol: str
    values: tuple[tuple[float, float], ...]
    question: VeinQuestion


@dataclass(frozen=True, slots=True)
class PlannedCut:
    """What is cut, and what that means beside volumes.

    Parameters
    ----------
    plan : ResectionPlan
        What was carried out; a stage after an embolization sets the forecast's technique.
    consequences : Consequences
        With them, congestion is judged too.
    """

    plan: ResectionPlan
    consequences: Consequences


@dataclass(frozen=True, slots=True)
class Assessment:
    """Volumes and patient against cited criteria.

    Parameters
    ----------
    indices : tuple of Index
        Every ratio that could be computed.
    volume_intervals : mapping of str to tuple of float
        95 % interval of each amount of `LiverVolumes`, mL, by its field name.
    findings : tuple of Finding
        One for each rule of each protocol, in order.
    protocols : tuple of Protocol
        As applied.
    conclusion : tuple of str
        Sentences: what the evidence supports under which protocol; whether protocols disagree.
    caveats : tuple of Caveat
        What the assessment found.
    methods : tuple of str
        Sentences for the methods section.
    congestion : tuple of CongestionFinding
        The rules judged again with congested liver counted at less; empty if none is known.
    pathway : Pathway or None
        Growth that is asked for, and growth that embolization may give.
    function : FunctionTable or None
        Tests and scores of function.
    errors : VolumeErrors or None
        How sure the volumes and margins are, and what each source of error contributes.
    sensitivity : Sensitivity or None
        The same remnant as a share of every liver volume, measured or estimated.
    disagreements : tuple of Disagreement
        Where protocols, or rules of one of them, do not say the same.
    """

    indices: tuple[Index, ...]
    volume_intervals: dict[str, tuple[float, float]]
    findings: tuple[Finding, ...]
    protocols: tuple[Protocol, ...]
    conclusion: tuple[str, ...]
    caveats: tuple[Caveat, ...]
    methods: tuple[str, ...]
    congestion: tuple[CongestionFinding, ...] = ()
    pathway: Pathway | None = None
    function: FunctionTable | None = None
    errors: VolumeErrors | None = None
    sensitivity: Sensitivity | None = None
    disagreements: tuple[Disagreement, ...] = ()


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input of a case.

    Parameters
    ----------
    role : str
        "image", "liver", "lesion 1", "segments" and so on.
    path : str
        As the case file names it.
    sha256 : str
        See `flr_volumetry.images.Source`.
    description : str
        For people: "CT, 119 slices, 0.743 x 0.743 x 1.600 mm".
    """

    role: str
    path: str
    sha256: str
    description: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """From what, and by which versions, an outcome was made.

    Parameters
    ----------
    version : str
        Of flr_volumetry.
    libraries : tuple of (str, str)
        Names and versions of the libraries that took part.
    started : str
        ISO 8601, UTC.
    inputs : tuple of InputFile
        Every file that was read.
    case_sha256 : str
        Of the case file.
    """

    version: str
    libraries: tuple[tuple[str, str], ...]
    started: str
    inputs: tuple[InputFile, ...]
    case_sha256: str


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """What ties a scan to its patient and its day.

    Parameters
    ----------
    date : datetime.date or None
        Of the acquisition.
    patient_key : str
        The same for all scans of one DICOM patient, and no way back to the name; empty without DICOM.
    """

    date: dt.date | None = None
    patient_key: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """An assessed case without its arrays: all that report.json holds.

    Parameters
    ----------
    case_id : str
        As the case file says.
    patient : Patient
        As the case file says.
    volumes : LiverVolumes
        Counted.
    assessment : Assessment
        Judged.
    caveats : tuple of Caveat
        All caveats of all steps, in the order of the steps, without repeats.
    methods : tuple of str
        All sentences of the methods section, in the order of the steps.
    provenance : Provenance
        From what it was made.
    plan : ResectionPlan
        What was cut, in numbers.
    consequences : Consequences
        What the cut means for what stays, beyond its volume.
    neighbours : tuple of Neighbours
        How far each lesion is from vessels and from the borders of segments, in order of the lesions.
    cut_areas : tuple of CutArea
        One for each resection of the plan, in order.
    checklists : tuple of Checklist
        Staging systems of the literature, filled in.
    two_stage : TwoStage or None
        The course of a plan of two stages; None for one.
    scan : ScanFacts
        When it was acquired, and of whom.
    lesion_uids : mapping of int to str
        By which each lesion, by its number, is known at other dates; empty without DICOM.
    """

    case_id: str
    patient: Patient
    volumes: LiverVolumes
    assessment: Assessment
    caveats: tuple[Caveat, ...]
    methods: tuple[str, ...]
    provenance: Provenance
    plan: ResectionPlan
    consequences: Consequences
    neighbours: tuple[Neighbours, ...] = ()
    cut_areas: tuple[CutArea, ...] = ()
    checklists: tuple[Checklist, ...] = ()
    two_stage: TwoStage | None = None
    scan: ScanFacts = ScanFacts()
    lesion_uids: dict[int, str] = field(default_factory=dict)

    @property
    def cut_area_mm2(self) -> float:
        """All cut surface towards what stays, mm2."""
        return sum(area.mm2 for area in self.cut_areas)

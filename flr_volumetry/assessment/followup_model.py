"""A follow-up as values: dated scans, growth on one fixed denominator, thresholds, outlook."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flr_volumetry.assessment.lesion_growth import LesionCourse
    from flr_volumetry.assessment.model import State
    from flr_volumetry.errors import Caveat
    from flr_volumetry.volumetry.forecast import Band, Technique
    from flr_volumetry.volumetry.growth import DegreeOfHypertrophy, KineticGrowthRate, RelativeGrowth
    from flr_volumetry.volumetry.uncertainty import Measured


class FixedOn(Enum):
    """What every date's remnant is a share of."""

    TELV = "telv"
    """The liver estimated from body size at baseline."""
    BASELINE_FTLV = "baseline_ftlv"
    """The functional liver measured at baseline, where body size is not known."""


class CountedFrom(Enum):
    """What the weeks are counted from."""

    PROCEDURE = "procedure"
    BASELINE_SCAN = "baseline_scan"
    NOTHING = "nothing"
    """A date is not known."""


@dataclass(frozen=True, slots=True)
class FixedDenominator:
    """The one denominator of all dates.

    Parameters
    ----------
    kind : FixedOn
        Which.
    amount : Measured
        mL.
    words : str
        For people, with its amount.
    """

    kind: FixedOn
    amount: Measured
    words: str


@dataclass(frozen=True, slots=True)
class AskedRule:
    """A rule of the baseline's protocols, on the baseline's denominator.

    Parameters
    ----------
    rule, protocol, title : str
        Its names.
    index : str
        The ratio it judges.
    denominator : Measured
        That ratio's at baseline: kept for all dates.
    threshold : float
        In the unit of the ratio.
    """

    rule: str
    protocol: str
    title: str
    index: str
    denominator: Measured
    threshold: float

    @property
    def asked_ml(self) -> float:
        """The functional remnant it asks for, mL."""
        return self.threshold * self.denominator.value


@dataclass(frozen=True, slots=True)
class DatedScan:
    """One scan, as far as growth needs it.

    Parameters
    ----------
    name : str
        For people.
    date : datetime.date or None
        Of the acquisition; None if it is not known.
    remnant : Measured
        The functional remnant, mL.
    other_side_ml : float
        Functional liver that the stages still to come take, mL.
    tumour_ml : float
        All lesions, mL.
    courses : tuple of LesionCourse
        What became of the baseline's lesions; empty at baseline, or if the scans were not registered.
    """

    name: str
    date: dt.date | None
    remnant: Measured
    other_side_ml: float
    tumour_ml: float
    courses: tuple[LesionCourse, ...] = ()


@dataclass(frozen=True, slots=True)
class GrowthSetting:
    """What was done to make the remnant grow.

    Parameters
    ----------
    technique : Technique
        How.
    procedure : datetime.date or None
        When; without it weeks count from the baseline scan.
    cirrhosis : bool
        Lowers the growth foretold.
    """

    technique: Technique
    procedure: dt.date | None
    cirrhosis: bool


@dataclass(frozen=True, slots=True)
class RuleState:
    """One rule at one date.

    Parameters
    ----------
    rule : AskedRule
        The rule.
    value : float
        Remnant over the rule's fixed denominator.
    interval : tuple of float
        95 %.
    probability : float
        That the threshold is reached.
    state : State
        Borderline where the interval holds the threshold.
    """

    rule: AskedRule
    value: float
    interval: tuple[float, float]
    probability: float
    state: State


@dataclass(frozen=True, slots=True)
class ScanGrowth:
    """One later scan against the baseline.

    Parameters
    ----------
    scan : DatedScan
        The scan.
    weeks : float or None
        See `FollowUp.counted_from`; None without dates.
    gain_ml : float
        H5, mL.
    relative : RelativeGrowth
        H1.
    relative_interval : tuple of RelativeGrowth
        95 %.
    hypertrophy : DegreeOfHypertrophy
        H2, on the fixed denominator.
    hypertrophy_interval : tuple of DegreeOfHypertrophy
        95 %.
    rate : KineticGrowthRate or None
        H3, with what keeps it from the published cut; None without dates.
    rate_interval : tuple of float or None
        95 %, points a week.
    share, share_interval : float and tuple of float
        Remnant over the fixed denominator.
    other_side_change, tumour_change : float or None
        Relative; None if there was none at baseline.
    states : tuple of RuleState
        Every rule at this date.
    caveats : tuple of Caveat
        Of the rate and the forecast.
    """

    scan: DatedScan
    weeks: float | None
    gain_ml: float
    relative: RelativeGrowth
    relative_interval: tuple[RelativeGrowth, RelativeGrowth]
    hypertrophy: DegreeOfHypertrophy
    hypertrophy_interval: tuple[DegreeOfHypertrophy, DegreeOfHypertrophy]
    rate: KineticGrowthRate | None
    rate_interval: tuple[float, float] | None
    share: float
    share_interval: tuple[float, float]
    other_side_change: float | None
    tumour_change: float | None
    states: tuple[RuleState, ...]
    caveats: tuple[Caveat, ...] = ()


@dataclass(frozen=True, slots=True)
class Outlook:
    """The forecast before and after the scans.

    Parameters
    ----------
    before, after : tuple of Band
        Every half week, as foretold at baseline and as updated by what was measured.
    bands : tuple of Band
        The updated one at the weeks shown in tables.
    reached : tuple of (AskedRule, tuple of float)
        Each rule, and the probability of having reached it at the weeks of `bands`.
    limit : tuple of float
        Updated growth far out: median and central 80 %, fractions.
    """

    before: tuple[Band, ...]
    after: tuple[Band, ...]
    bands: tuple[Band, ...]
    reached: tuple[tuple[AskedRule, tuple[float, ...]], ...]
    limit: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Later scans against a baseline.

    Parameters
    ----------
    baseline : DatedScan
        Before the procedure.
    denominator : FixedDenominator
        Of every share and of DH and KGR.
    setting : GrowthSetting
        What was done.
    counted_from : CountedFrom
        What the weeks are counted from.
    baseline_states : tuple of RuleState
        Every rule at baseline.
    scans : tuple of ScanGrowth
        In order of their dates.
    outlook : Outlook or None
        None without dates, or after the last week that the forecast reaches.
    caveats : tuple of Caveat
        Of the whole.
    methods : tuple of str
        Sentences for the methods section.
    """

    baseline: DatedScan
    denominator: FixedDenominator
    setting: GrowthSetting
    counted_from: CountedFrom
    baseline_states: tuple[RuleState, ...]
    scans: tuple[ScanGrowth, ...]
    outlook: Outlook | None
    caveats: tuple[Caveat, ...]
    methods: tuple[str, ...]

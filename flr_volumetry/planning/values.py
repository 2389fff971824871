"""What a search is asked, and what it finds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flr_volumetry.errors import PlanError

if TYPE_CHECKING:
    from flr_volumetry.errors import Caveat
    from flr_volumetry.resection import ResectionPlan

ENOUGH_MM = 10.0
"""Margins above 1 cm count as equally good: the review's threshold (clinical base 5.6)."""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """What a search is asked.

    Parameters
    ----------
    margin_mm : float
        Smallest margin wished for around every lesion; wedges take so much around theirs.
    wedges, ablations, two_stages : bool
        Whether wedges, ablations, and two stages with embolization between them are considered.
    ablation_margin_mm : float
        Taken around an ablated lesion; 10 mm is the published optimum (clinical base W12).
    ablation_largest_mm : float
        Lesions of a longest diameter below this may be ablated; 30 mm (W10).
    most_ablations : int
        In one plan; 10 (W11).
    weeks : float
        From embolization to stage two.
    least_flr : float
        Plans that leave a smaller fraction of the functional liver are left out; for two stages as
        forecast at stage two. 20 % is the lowest threshold in common use.
    one_piece, adjacent_pair : bool
        Whether the remnant must hang together, and whether two neighbouring segments must be spared.

    Raises
    ------
    PlanError
        If a number is impossible.
    """

    margin_mm: float = 5.0
    wedges: bool = True
    ablations: bool = True
    two_stages: bool = True
    ablation_margin_mm: float = 10.0
    ablation_largest_mm: float = 30.0
    most_ablations: int = 10
    weeks: float = 4.0
    least_flr: float = 0.2
    one_piece: bool = False
    adjacent_pair: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("margin_mm", 0.0, 50.0),
            ("ablation_margin_mm", 0.0, 50.0),
            ("ablation_largest_mm", 0.0, 100.0),
            ("most_ablations", 0, 100),
            ("weeks", 0.0, 52.0),
            ("least_flr", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise PlanError(
                    f"search: {name} must lie between {low:g} and {high:g}, got {value}",
                    reason="bad_search_settings",
                )


@dataclass(frozen=True, slots=True)
class Price:
    """What a plan costs against the best plan found in each respect; 0 is the best itself.

    Parameters
    ----------
    flr_ml : float
        Functional remnant less than the largest, at the last operation, mL.
    margin_mm : float
        Smallest margin less than the best one, margins above 10 mm counted as 10, mm.
    congested_ml : float or None
        More congested liver than the least on the front; None where outflow is not known.
    cut_cm2 : float
        More cut surface than the least, cm2.
    procedures : int
        More procedures than the fewest.
    """

    flr_ml: float
    margin_mm: float
    congested_ml: float | None
    cut_cm2: float
    procedures: int


@dataclass(frozen=True, slots=True, eq=False)
class PlanOption:
    """One plan that clears the lesions, and what it leaves.

    Parameters
    ----------
    plan : ResectionPlan
        Ready for `flr_volumetry.resection.resect`.
    title : str
        What it does, in one line.
    flr_ml : float
        Functional remnant (D5), mL, as it is on the scan.
    flr_fraction : float
        Of the functional liver (D8).
    grown_ml : float or None
        Median forecast of it at stage two; None where nothing is embolized.
    margins_mm : tuple of float
        Of each lesion, in order.
    uncleared : tuple of int
        Lesions of which a part stays, or whose margin is below the one wished for.
    congested_ml : float or None
        Remnant without venous outflow, mL; None where the hepatic veins' branches are not known.
    cut_cm2 : float
        Area between what stays and what goes.
    procedures : int
        Resections, ablations and embolizations.
    remnant_parts : int
        Separate parts of the remnant above 0.05 mL.
    adjacent_spared : bool or None
        Whether two neighbouring segments are spared; None without a segment map.
    price : Price
        Against the best of the front.
    """

    plan: ResectionPlan
    title: str
    flr_ml: float
    flr_fraction: float
    grown_ml: float | None
    margins_mm: tuple[float, ...]
    uncleared: tuple[int, ...]
    congested_ml: float | None
    cut_cm2: float
    procedures: int
    remnant_parts: int
    adjacent_spared: bool | None
    price: Price

    @property
    def smallest_margin_mm(self) -> float:
        """Of all lesions; infinite without any."""
        return min(self.margins_mm, default=math.inf)

    @property
    def working_ml(self) -> float:
        """Functional remnant at the last operation: as forecast where something is embolized, mL."""
        return self.flr_ml if self.grown_ml is None else self.grown_ml


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """The plans that no other plan beats in every respect.

    Parameters
    ----------
    settings : SearchSettings
        What was asked.
    options : tuple of PlanOption
        The Pareto front of each kind of plan, the largest working remnant first.
    considered : int
        How many plans were looked at: every anatomical resection with every way to treat the lesions.
    scored : int
        How many of them had volumes, margins, congestion and cut surface computed; plans in two stages
        share them with those in one.
    clearing : int
        How many plans, in one stage or two, clear every lesion with the margin and leave enough.
    caveats : tuple of Caveat
        What the reader must know.
    methods : tuple of str
        Sentences for the methods section.
    """

    settings: SearchSettings
    options: tuple[PlanOption, ...]
    considered: int
    scored: int
    clearing: int
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = field(default=())

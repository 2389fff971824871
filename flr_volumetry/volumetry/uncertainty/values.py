"""How sure the amounts of one liver are, as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat
from flr_volumetry.images import read_only
from flr_volumetry.volumetry.uncertainty.normal import MAX_RELATIVE_SD, NORMAL_95

if TYPE_CHECKING:
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.uncertainty.settings import RelativeErrors

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

AMOUNTS = (
    "total_ml",
    "tumour_ml",
    "functional_ml",
    "remnant_ml",
    "remnant_functional_ml",
    "resected_ml",
    "ablated_ml",
    "resected_tumour_ml",
)
"""Fields of `LiverVolumes` that carry an interval."""
STAGE_AMOUNTS = ("resected_ml", "ablated_ml", "remnant_ml", "remnant_functional_ml")
NEEDED = ("total_ml", "functional_ml", "remnant_ml", "remnant_functional_ml")
"""Amounts of which ratios are made; the normal model must hold for them."""


def stage_amount(number: int, name: str) -> str:
    """Return the name of an amount of one stage, for example ``stage 1 remnant_ml``.

    Parameters
    ----------
    number : int
        Of the stage.
    name : str
        One of `STAGE_AMOUNTS`.

    Returns
    -------
    str
        As it stands in `VolumeErrors.names`.
    """
    return f"stage {number} {name}"


@dataclass(frozen=True, slots=True)
class ErrorSource:
    """One source of error, and what it alone makes uncertain.

    Parameters
    ----------
    name : str
        For people.
    remnant_sd_ml, liver_sd_ml : float
        Standard deviation of the functional remnant and of the functional liver, mL.
    flr_sd : float
        Of their ratio, a fraction; errors that both share cancel in it.
    """

    name: str
    remnant_sd_ml: float
    liver_sd_ml: float
    flr_sd: float


@dataclass(frozen=True, slots=True)
class LesionErrors:
    """How sure one lesion's volume and margin are.

    Parameters
    ----------
    number : int
        Of the lesion.
    ml_interval : tuple of float
        95 % interval of its volume, mL.
    margin_sd_mm : float or None
        Standard deviation of its margin, mm; None where there is no margin.
    margin_interval_mm : tuple of float or None
        95 % interval of it, mm, 0 at least.
    """

    number: int
    ml_interval: Interval
    margin_sd_mm: float | None = None
    margin_interval_mm: Interval | None = None


@dataclass(frozen=True, slots=True, eq=False)
class VolumeErrors:
    """How sure the amounts of one liver under one plan are.

    Parameters
    ----------
    names : tuple of str
        Fields of `LiverVolumes`, and amounts of stages as `stage_amount` names them.
    covariance_ml2 : (n, n) float64 ndarray, read-only
        Between the errors of these amounts, mL2.
    segment_sds_ml : tuple of (int, float)
        Couinaud segment, 0 for none, and the standard deviation of its volume, mL.
    congested_sd_ml : float or None
        Of the remnant's congested part, mL; None if it is not known.
    lesions : tuple of LesionErrors
        In order of their numbers.
    cut_ml_per_mm : float or None
        What the functional remnant gains where every cut moves outwards by 1 mm, mL.
    sources : tuple of ErrorSource
        What each source contributes.
    caveats : tuple of Caveat
        Where the model hardly holds.
    methods : tuple of str
        Sentences for the methods section.
    """

    names: tuple[str, ...]
    covariance_ml2: Floats = field(repr=False)
    segment_sds_ml: tuple[tuple[int, float], ...] = ()
    congested_sd_ml: float | None = None
    lesions: tuple[LesionErrors, ...] = ()
    cut_ml_per_mm: float | None = None
    sources: tuple[ErrorSource, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariance_ml2", read_only(self.covariance_ml2))

    def covariance(self, one: str, other: str) -> float:
        """Return the covariance of two amounts, mL2.

        Parameters
        ----------
        one, other : str
            Of `names`.

        Returns
        -------
        float
            Their shared error.

        Raises
        ------
        ValueError
            If one is not of `names`.
        """
        return float(self.covariance_ml2[self.names.index(one), self.names.index(other)])

    def sd(self, name: str) -> float:
        """Return the standard deviation of an amount of `names`, mL."""
        return math.sqrt(max(0.0, self.covariance(name, name)))

    def interval(self, name: str, ml: float) -> Interval:
        """Return the 95 % interval of an amount.

        Parameters
        ----------
        name : str
            Of `names`.
        ml : float
            The amount, mL.

        Returns
        -------
        tuple of float
            mL, 0 at least.
        """
        return interval_around(ml, self.sd(name))

    def segment_interval(self, segment: int, ml: float) -> Interval | None:
        """Return the 95 % interval of a segment's volume, mL, or None if it is not known."""
        sd = dict(self.segment_sds_ml).get(segment)
        return None if sd is None else interval_around(ml, sd)

    def lesion(self, number: int) -> LesionErrors | None:
        """Return what is known of a lesion, by its number."""
        return next((lesion for lesion in self.lesions if lesion.number == number), None)

    def with_relative(self, volumes: LiverVolumes, relative: RelativeErrors) -> VolumeErrors:
        """Return the same with a site's own relative errors of remnant and liver.

        Parameters
        ----------
        volumes : LiverVolumes
            Counted.
        relative : RelativeErrors
            They replace all errors but those of lesions, margins, segments and congestion.

        Returns
        -------
        VolumeErrors
            Without sources.
        """
        own = relative_errors(volumes, relative)
        return replace(
            self,
            names=own.names,
            covariance_ml2=own.covariance_ml2,
            sources=(),
            caveats=(),
            methods=(*self.methods, *own.methods),
        )


def interval_around(amount: float, sd: float) -> Interval:
    """Return the 95 % interval of an amount that is not negative.

    Parameters
    ----------
    amount : float
        In any unit.
    sd : float
        Its standard deviation.

    Returns
    -------
    tuple of float
        Lower bound, 0 at least, and upper bound.
    """
    return (max(0.0, amount - NORMAL_95 * sd), amount + NORMAL_95 * sd)


def relative_errors(volumes: LiverVolumes, relative: RelativeErrors) -> VolumeErrors:
    """Return errors of remnant and liver that are a share of each, independent of each other.

    Parameters
    ----------
    volumes : LiverVolumes
        Counted.
    relative : RelativeErrors
        The shares.

    Returns
    -------
    VolumeErrors
        Of liver, remnant and what is resected (liver less remnant); lesions and ablation have none.

    Examples
    --------
    The worked example of the clinical base is in `tests/papers`.
    """
    rates = {
        "total_ml": (relative.liver * volumes.total_ml, 0.0),
        "functional_ml": (relative.liver * volumes.functional_ml, 0.0),
        "remnant_ml": (0.0, relative.remnant * volumes.remnant_ml),
        "remnant_functional_ml": (0.0, relative.remnant * volumes.remnant_functional_ml),
    }
    if volumes.resected_ml > 0:
        rates["resected_ml"] = (
            relative.liver * volumes.total_ml,
            -relative.remnant * volumes.remnant_ml,
        )
    for stage in volumes.stages:
        for name in ("remnant_ml", "remnant_functional_ml"):
            rates[stage_amount(stage.number, name)] = (0.0, relative.remnant * getattr(stage, name))
    matrix = np.array(list(rates.values()))
    return VolumeErrors(tuple(rates), matrix @ matrix.T, methods=(relative.sentence,))


def tempered(
    names: tuple[str, ...], covariance: Floats, volumes: LiverVolumes
) -> tuple[Floats, tuple[Caveat, ...]]:
    """Hold errors to a quarter of what they are errors of, and say so.

    Parameters
    ----------
    names : tuple of str
        Of the amounts.
    covariance : (n, n) float64 ndarray
        Theirs, mL2.
    volumes : LiverVolumes
        Counted.

    Returns
    -------
    (n, n) float64 ndarray
        The same, with rows and columns of too large an error scaled down.
    tuple of Caveat
        One for each such amount.
    """
    scale = np.ones(len(names))
    caveats = []
    for name in NEEDED:
        at, ml = names.index(name), getattr(volumes, name)
        sd = math.sqrt(max(0.0, float(covariance[at, at])))
        if sd > MAX_RELATIVE_SD * ml:
            scale[at] = MAX_RELATIVE_SD * ml / sd
            caveats.append(
                Caveat(
                    "error_beyond_model",
                    f"{name}: {ml:.1f} mL with a standard deviation of {sd:.1f} mL, more than a "
                    "quarter of it. So small an amount cannot be measured this way; its interval is only a "
                    "lower bound.",
                )
            )
    return covariance * np.outer(scale, scale), tuple(caveats)

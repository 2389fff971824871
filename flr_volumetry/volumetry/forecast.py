"""How far a remnant may grow after its other side is embolized: a distribution, never a single number.

The model is an assumption on published figures (clinical base 3.3): growth rises towards a limit,
fast at first, ``FLR(t) = FLR0 (1 + G (1 - exp(-t / tau)))``. The limit G differs between patients, the time
tau is known to a range, and the remnant itself is measured with an error. All three are carried through by
weighted nodes, so that the same input gives the same output to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import FormulaError

Nodes = npt.NDArray[np.float64]

Z_80 = 1.2815515655446004
"""Half the width of the central 80 % of a standard normal."""
GROWTH_NODES, TIME_NODES, ERROR_NODES = 48, 8, 24
SEED_GROWTH = (0.20, 0.40)
"""The review's growth in 2 to 4 weeks, relative [40, 41] (SEED)."""
FORECAST_WEEKS = (2.0, 3.0, 4.0, 6.0)
LONGEST_WEEKS = 52.0
FURTHEST_SD = 6.0


class Technique(Enum):
    """How the remnant is made to grow."""

    PVE = "pve"
    PVE_WITH_SEGMENT_4 = "pve_s4"
    LVD = "lvd"
    ALPPS = "alpps"


@dataclass(frozen=True, slots=True)
class GrowthModel:
    """Where growth ends and how fast, for one technique.

    Parameters
    ----------
    median : float
        Median of the limit G, a fraction of the remnant's volume.
    band_80 : tuple of float
        Its central 80 %.
    tau_weeks : tuple of float
        Range of the time constant, weeks; taken as uniform.
    source : str
        What it rests on.
    evidence : str
        Tag of the clinical base.

    Raises
    ------
    FormulaError
        If the band does not hold the median, or a time is not above 0.
    """

    median: float
    band_80: tuple[float, float]
    tau_weeks: tuple[float, float]
    source: str
    evidence: str

    def __post_init__(self) -> None:
        low, high = self.band_80
        first, last = self.tau_weeks
        if not low < self.median < high or not 0 < first <= last:
            raise FormulaError(
                f"a growth model needs low < median < high and 0 < tau, got {self.band_80}, {self.median} "
                f"and {self.tau_weeks}"
            )


MODELS: dict[Technique, GrowthModel] = {
    Technique.PVE: GrowthModel(
        0.38,
        (0.20, 0.56),
        (1.0, 2.0),
        "mean growth of 37.9 % in 1,791 patients (PMC3549243); spread between the review's 20 to 40 % and "
        "26 to 54 % (PMC5901738); times after PMC6414468",
        "ASSUMED on FOUND",
    ),
    Technique.PVE_WITH_SEGMENT_4: GrowthModel(
        0.54,
        (0.28, 0.80),
        (1.0, 2.0),
        "segments II and III grew by 54 % with segment IV embolized (PMC5901738); spread in the same "
        "proportion as without",
        "ASSUMED on FOUND",
    ),
    Technique.LVD: GrowthModel(
        0.63,
        (0.37, 0.89),
        (0.4, 0.8),
        "about 53 % at day 7 and 63 % at day 21 after liver venous deprivation",
        "GK-M, not verified; spread ASSUMED",
    ),
    Technique.ALPPS: GrowthModel(
        0.86,
        (0.40, 1.32),
        (0.5, 0.9),
        "median 74 % in 9 days, 21 to 192 % (Schnitzbauer 2012, GK-H)",
        "ASSUMED on GK-H",
    ),
}
"""Growth by technique; a site may pass its own model."""

CIRRHOSIS_FACTOR = (0.6, 0.8)
"""Cirrhosis lowers growth: direction FOUND (PMC3549243), size ASSUMED."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A remnant measured on one day.

    Parameters
    ----------
    ml : float
        Functional remnant, mL.
    sd_ml : float
        Standard deviation of its measurement, mL.
    weeks : float
        Since the procedure; 0 or less for the baseline.

    Raises
    ------
    FormulaError
        If the volume is not above 0, or its standard deviation is negative or larger than a quarter of it.
    """

    ml: float
    sd_ml: float
    weeks: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.ml) and self.ml > 0 and 0 <= self.sd_ml <= self.ml / 4):
            raise FormulaError(
                f"a measured remnant needs a volume above 0 and a standard deviation of at most a quarter of "
                f"it, got {self.ml} and {self.sd_ml} mL"
            )
        if not (math.isfinite(self.weeks) and self.weeks <= LONGEST_WEEKS):
            raise FormulaError(f"a remnant was measured {self.weeks} weeks after the procedure; at most 52")


@dataclass(frozen=True, slots=True)
class Band:
    """What a remnant may be at one time.

    Parameters
    ----------
    weeks : float
        Since the procedure.
    median_ml : float
        Half of the distribution lies below it, mL.
    band_80_ml : tuple of float
        Its central 80 %, mL.
    """

    weeks: float
    median_ml: float
    band_80_ml: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """The distribution of a remnant's growth, as weighted nodes.

    Made by `forecast`.

    Parameters
    ----------
    model : GrowthModel
        What was assumed.
    baseline_ml, limit, tau_weeks, weight : (n,) float64 ndarray, read-only
        Nodes: the remnant before the procedure (mL), its growth limit G (a fraction), the time
        constant (weeks), and their weight; the weights sum to 1.
    """

    model: GrowthModel
    baseline_ml: Nodes = field(repr=False)
    limit: Nodes = field(repr=False)
    tau_weeks: Nodes = field(repr=False)
    weight: Nodes = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("baseline_ml", "limit", "tau_weeks", "weight"):
            array = getattr(self, name).view()
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def at(self, weeks: float) -> Band:
        """Return median and 80 % band at a time.

        Parameters
        ----------
        weeks : float
            Since the procedure, 0 to 52.

        Returns
        -------
        Band
            Of the functional remnant, mL.
        """
        low, median, high = _quantiles(self._ml(weeks), self.weight, (0.1, 0.5, 0.9))
        return Band(weeks, median, (low, high))

    def probability_at_least(self, ml: float, *, weeks: float) -> float:
        """Return the probability that the remnant has reached an amount at a time.

        Parameters
        ----------
        ml : float
            The amount, mL.
        weeks : float
            Since the procedure, 0 to 52.

        Returns
        -------
        float
            From 0 to 1.
        """
        return min(1.0, float(self.weight[self._ml(weeks) >= ml].sum()))

    def growth_at(self, weeks: float) -> tuple[float, float, float]:
        """Return the relative growth at a time.

        Parameters
        ----------
        weeks : float
            Since the procedure, 0 to 52.

        Returns
        -------
        tuple of float
            Median, and the ends of the central 80 %, as fractions of the baseline.
        """
        low, median, high = _quantiles(self.limit * self._share(weeks), self.weight, (0.1, 0.5, 0.9))
        return median, low, high

    def updated(self, measured: Measurement) -> Forecast:
        """Return the forecast after a scan: nodes are weighted by how well they foretold it (Bayes).

        Parameters
        ----------
        measured : Measurement
            After the procedure, with a standard deviation above 0.

        Returns
        -------
        Forecast
            The same nodes with new weights.

        Raises
        ------
        FormulaError
            If the scan lies before the procedure, its error is nought, or it lies so far from all that was
            foretold that the model cannot be kept.
        """
        if measured.weeks <= 0 or measured.sd_ml == 0:
            raise FormulaError(
                f"a forecast is updated by a scan after the procedure with a known error; got "
                f"{measured.weeks:g} weeks and {measured.sd_ml:g} mL. Are the dates reversed?",
                reason="dates_reversed" if measured.weeks <= 0 else "no_error",
            )
        off = (measured.ml - self._ml(measured.weeks)) / measured.sd_ml
        if np.abs(off).min() > FURTHEST_SD:
            raise FormulaError(
                f"the remnant of {measured.ml:.0f} mL at {measured.weeks:g} weeks lies more than "
                f"{FURTHEST_SD:g} standard deviations from every growth the model holds possible: check that "
                "both scans and plans are of the same remnant.",
                reason="outside_forecast",
            )
        weight = self.weight * np.exp(-0.5 * (off**2 - (off**2).min()))
        return Forecast(self.model, self.baseline_ml, self.limit, self.tau_weeks, weight / weight.sum())

    def _share(self, weeks: float) -> Nodes:
        if not 0 <= weeks <= LONGEST_WEEKS:
            raise FormulaError(f"a forecast reaches from 0 to {LONGEST_WEEKS:g} weeks, asked for {weeks:g}")
        return np.asarray(-np.expm1(-weeks / self.tau_weeks))

    def _ml(self, weeks: float) -> Nodes:
        return self.baseline_ml * (1 + self.limit * self._share(weeks))


def forecast(
    baseline: Measurement, technique: Technique, *, cirrhosis: bool, model: GrowthModel | None = None
) -> Forecast:
    """Forecast the growth of a remnant after embolization.

    Parameters
    ----------
    baseline : Measurement
        The functional remnant before the procedure.
    technique : Technique
        How it is made to grow.
    cirrhosis : bool
        Lowers the limit of growth by 0.6 to 0.8.
    model : GrowthModel or None
        Another than `MODELS` has for the technique.

    Returns
    -------
    Forecast
        The distribution.

    Raises
    ------
    FormulaError
        If the baseline is not a volume.

    Notes
    -----
    G is normal with the model's median and 80 % band, cut at 0; tau and the cirrhosis factor are uniform;
    the baseline's error is normal. Clinical base 3.3 (ASSUMED design on FOUND data).

    Examples
    --------
    >>> growth = forecast(Measurement(350, 17.5), Technique.PVE, cirrhosis=False)
    >>> round(growth.at(4).median_ml), [round(ml) for ml in growth.at(4).band_80_ml]
    (472, [408, 541])
    """
    model = model or MODELS[technique]
    low, high = model.band_80
    limit = np.maximum(0.0, model.median + (high - low) / 2 / Z_80 * _normal_nodes(GROWTH_NODES))
    tau = _uniform_nodes(*model.tau_weeks, TIME_NODES)
    factor = _uniform_nodes(*CIRRHOSIS_FACTOR, TIME_NODES) if cirrhosis else np.ones(1)
    error = baseline.ml + baseline.sd_ml * _normal_nodes(ERROR_NODES if baseline.sd_ml else 1)
    nodes = np.meshgrid(error, limit, factor, tau, indexing="ij")
    ml, g, f, t = (axis.ravel() for axis in nodes)
    return Forecast(model, ml, g * f, t, np.full(ml.size, 1 / ml.size))


def _normal_nodes(n: int) -> Nodes:
    """Means of n equally probable slices of a standard normal, scaled to a variance of 1."""
    from scipy.special import ndtri

    if n == 1:
        return np.zeros(1)
    edges = ndtri(np.linspace(0, 1, n + 1))
    density = np.exp(-0.5 * edges**2) / math.sqrt(2 * math.pi)
    means = n * (density[:-1] - density[1:])
    return np.asarray(means / math.sqrt(float((means**2).mean())))


def _uniform_nodes(low: float, high: float, n: int) -> Nodes:
    return low + (high - low) * (np.arange(n) + 0.5) / n


def _quantiles(values: Nodes, weight: Nodes, shares: tuple[float, ...]) -> tuple[float, ...]:
    order = np.argsort(values, kind="stable")
    middle = np.cumsum(weight[order]) - 0.5 * weight[order]
    return tuple(float(v) for v in np.interp(shares, middle, values[order]))

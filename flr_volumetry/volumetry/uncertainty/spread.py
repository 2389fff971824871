"""From borders that may lie elsewhere to the covariance of volumes, source by source.

Every amount is a sum of parts, ``V_q = sum of w_qp V_p``. A border between two parts that moves by d towards
the second changes it by ``(w_q,first - w_q,second) d A``. Each source below is a set of movements with a
known standard deviation, so each gives a covariance between all amounts, and independent sources add.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from flr_volumetry.volumetry.uncertainty.borders import OUTSIDE

if TYPE_CHECKING:
    from flr_volumetry.images import Grid
    from flr_volumetry.volumetry.uncertainty.borders import Borders
    from flr_volumetry.volumetry.uncertainty.settings import DrawingErrors

Floats = npt.NDArray[np.float64]

MM3_PER_ML = 1000.0
FURTHEST = 3.5
"""Correlation lengths beyond which places are taken as independent: exp(-3.5^2 / 2) = 0.2 %."""
LARGEST_CELL_MM = 15.0
"""A liver's surface is taken as flat over so much (assumed)."""
CAP_SHARE = 0.1
"""Variance of the voxel count of an ellipsoid, as a share of (step / extent)^4: see `counting_variance`."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What the codes of a voxel array mean.

    Parameters
    ----------
    weights : (codes, q) float64 ndarray
        How much of each part counts in each amount; row 0, outside, is nought.
    region : (codes,) int64 ndarray
        Parts of one region are divided by no cut; 0 is outside, lower numbers stay longer.
    tumour : (codes,) bool ndarray
        Which parts are lesion.
    """

    weights: Floats = field(repr=False)
    region: npt.NDArray[np.int64] = field(repr=False)
    tumour: npt.NDArray[np.bool_] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Borders of one kind, and what each changes where it moves outwards of what grows.

    Parameters
    ----------
    borders : Borders
        The rows of that kind.
    gain : (n, q) float64 ndarray
        Amounts gained for each mm3 that the border sweeps.
    outward : (n,) float64 ndarray
        1 where the vector area points out of what grows, -1 where it points in.
    """

    borders: Borders
    gain: Floats = field(repr=False)
    outward: Floats = field(repr=False)

    @property
    def rates_mm2(self) -> Floats:
        """Change of each amount for one mm outwards, (n, q), mm2."""
        return np.asarray(self.gain * self.borders.areas_mm2[:, None])


def _moved(borders: Borders, which: npt.NDArray[np.bool_], grows: npt.NDArray[np.bool_], p: Parts) -> Moved:
    """Rows of one kind; `grows` tells of each whether it is its first part that grows."""
    some, outward = borders.take(which), np.where(grows[which], 1.0, -1.0)
    difference = p.weights[some.first] - p.weights[some.second]
    return Moved(some, outward[:, None] * difference, outward)


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """Borders by what may be wrong with them.

    Parameters
    ----------
    outline : Moved
        Between liver and outside; the liver grows.
    lesions : Moved
        Between lesion and parenchyma of one region; the lesion grows.
    cuts : tuple of (int, int, Moved)
        Between two regions; the one with the lower number grows.
    """

    outline: Moved
    lesions: Moved
    cuts: tuple[tuple[int, int, Moved], ...]


def kinds_of(borders: Borders, parts: Parts) -> Kinds:
    """Sort borders by what may be wrong with them.

    Parameters
    ----------
    borders : Borders
        Between all parts.
    parts : Parts
        What their codes mean.

    Returns
    -------
    Kinds
        A border that divides two regions and a lesion from parenchyma is a cut.
    """
    one, two = parts.region[borders.first], parts.region[borders.second]
    outline = borders.first == OUTSIDE
    cut = ~outline & (one != two)
    lesion = ~outline & ~cut & (parts.tumour[borders.first] != parts.tumour[borders.second])
    low, high = np.minimum(one, two), np.maximum(one, two)
    pairs = np.unique(np.stack([low, high], axis=1)[cut], axis=0)
    cuts = tuple(
        (int(a), int(b), _moved(borders, cut & (low == a) & (high == b), one < two, parts)) for a, b in pairs
    )
    return Kinds(
        _moved(borders, outline, np.zeros(len(one), dtype=bool), parts),
        _moved(borders, lesion, parts.tumour[borders.first], parts),
        cuts,
    )


def shifted(moved: Moved, *, sd_mm: float) -> Floats:
    """Covariance where all of a border moves outwards together, (q, q), mL2."""
    rate = moved.rates_mm2.sum(axis=0) / MM3_PER_ML
    return np.asarray(sd_mm**2 * np.outer(rate, rate))


def wavering(moved: Moved, *, sd_mm: float, correlation_mm: float) -> Floats:
    """Covariance where a border wavers from place to place.

    Parameters
    ----------
    moved : Moved
        The border.
    sd_mm : float
        Standard deviation of its displacement at any place, mm.
    correlation_mm : float
        L of its correlation exp(-r^2 / (2 L^2)) between places r apart.

    Returns
    -------
    (q, q) float64 ndarray
        mL2.

    Notes
    -----
    ``Cov = sd^2 double integral of exp(-r^2 / 2 L^2) dA dA'``, summed over cells of side L, which is right
    to a part in a million on a plane (15 mm at most). A large border so has area / (2 pi L^2) independent
    places; one cell of area a has ``2 pi L^2 a (1 - exp(-a / (2 pi L^2)))``, which is exact for a ball
    (DERIVED).
    """
    count = moved.gain.shape[1]
    if sd_mm == 0 or not len(moved.gain):
        return np.zeros((count, count))
    centres, areas = moved.borders.centres_mm, moved.borders.areas_mm2
    cell = np.unique(
        np.floor(centres / min(correlation_mm, LARGEST_CELL_MM)).astype(np.int64), axis=0, return_inverse=True
    )[1]
    cell = cell.reshape(-1)
    n = int(cell.max()) + 1
    gather = csr_array((np.ones(len(cell)), (cell, np.arange(len(cell)))), shape=(n, len(cell)))
    area = np.maximum(_sums(gather, areas[:, None]), 1e-9)
    middle = _sums(gather, centres * areas[:, None]) / area
    rates = _sums(gather, moved.rates_mm2) / MM3_PER_ML
    one, two = cKDTree(middle).query_pairs(FURTHEST * correlation_mm, output_type="ndarray").T
    apart = np.sum((middle[one] - middle[two]) ** 2, axis=1)
    alike = np.exp(-apart / (2 * correlation_mm**2))
    patch = area[:, 0] / (2 * np.pi * correlation_mm**2)
    own = -np.expm1(-patch) / patch
    kernel = coo_array(
        (
            np.concatenate([own, alike, alike]),
            (np.concatenate([np.arange(n), one, two]), np.concatenate([np.arange(n), two, one])),
        ),
        shape=(n, n),
    ).tocsr()
    return np.asarray(sd_mm**2 * rates.T @ _sums(kernel, rates))


def _sums(rows: csr_array, of: Floats) -> Floats:
    return np.asarray(rows @ of, dtype=np.float64)


def tilted(moved: Moved, *, sd_degrees: float) -> Floats:
    """Covariance where a cut turns about its middle, by independent angles about three axes, (q, q), mL2.

    Notes
    -----
    A small turn w moves the place x by w x (x - c), and sweeps its dot product with the vector area: exact
    for the staircase too.
    """
    middle = _middle(moved)
    swept = np.cross(moved.borders.centres_mm - middle, moved.borders.vectors_mm2)
    rates = (swept * moved.outward[:, None]).T @ moved.gain / MM3_PER_ML
    return np.asarray(np.radians(sd_degrees) ** 2 * rates.T @ rates)


def _middle(moved: Moved) -> Floats:
    areas = moved.borders.areas_mm2
    return np.asarray(areas @ moved.borders.centres_mm / max(float(areas.sum()), 1e-9))


def stepped(moved: Moved, parts: Parts, grid: Grid, pair: tuple[int, int]) -> Floats:
    """Covariance of a cut that whole voxels can only follow to half a step.

    Parameters
    ----------
    moved : Moved
        The cut.
    parts : Parts
        What the codes mean.
    grid : Grid
        Of the voxels.
    pair : tuple of int
        The regions it divides.

    Returns
    -------
    (q, q) float64 ndarray
        mL2.

    Notes
    -----
    A cut along one layer of faces lies anywhere between two voxel centres: uniform, variance step^2 / 12. One
    that crosses m layers averages over them; its variance falls as 1 / (1 + m^2), where layers are
    counted as sqrt(12) times the spread of the faces (ASSUMED form between the two limits).
    """
    layers, one = moved.borders.layers, parts.region
    low = np.minimum(one[layers.first], one[layers.second])
    high = np.maximum(one[layers.first], one[layers.second])
    here = (low == pair[0]) & (high == pair[1]) & (layers.first != OUTSIDE)
    covariance = np.zeros((moved.gain.shape[1], moved.gain.shape[1]))
    for axis in range(3):
        rows = here & (layers.axis == axis)
        count = float(layers.count[rows].sum())
        if not count:
            continue
        mean = layers.index_sum[rows].sum() / count
        spread = max(0.0, layers.index_squares[rows].sum() / count - mean**2)
        gain = layers.net[rows] @ (parts.weights[layers.first[rows]] - parts.weights[layers.second[rows]])
        swept = gain * grid.voxel_ml
        covariance += np.outer(swept, swept) / 12 / (1 + 12 * spread)
    return covariance


def counting_variance(voxels: npt.NDArray[np.bool_]) -> float:
    """Relative variance of the volume of a rounded body counted in voxels.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The body.

    Returns
    -------
    float
        Sum over the axes of ``0.1 (step / extent)^4``; 0 for an empty one.

    Notes
    -----
    The end terms of the Euler-Maclaurin formula for the sum of the areas of slices of an ellipsoid: sd =
    ``2 pi (ab / c) h^2 sqrt(2 / 720)`` for half axes a, b, c and step h along c (DERIVED; Matheron's
    transitive theory).
    """
    total = 0.0
    for axis in range(3):
        there = np.flatnonzero(voxels.any(axis=tuple(a for a in range(3) if a != axis)))
        if len(there):
            total += CAP_SHARE / float(there[-1] - there[0] + 1) ** 4
    return total


def cut_covariance(cuts: Kinds, parts: Parts, grid: Grid, errors: DrawingErrors) -> Floats:
    """Covariance of all cuts, each independent of the others: its place and its tilt, (q, q), mL2."""
    count = parts.weights.shape[1]
    total = np.zeros((count, count))
    for _, _, moved in cuts.cuts:
        total += shifted(moved, sd_mm=errors.cut_sd_mm) + tilted(moved, sd_degrees=errors.cut_sd_degrees)
    return total

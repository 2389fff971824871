"""What is measured of a liver mask: how it follows the scan's edges, what lies in it, how it is shaped."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from flr_volumetry.segmentation.quality_look import Look

REACH_MM: Final = 9.0
"""How far along the normal an edge is sought (assumed)."""
STEP_MM: Final = 1.0
EDGE_MM: Final = 2.0
"""An edge within this of the surface is where it should be (assumed)."""
STRONG: Final = 3.0
"""An edge is strong if it is this many standard deviations of liver high (assumed)."""
PULL_MM: Final = 5.0
"""Edges far off count less, by a Gaussian of this width (assumed)."""
FOREIGN: Final = 4.5
"""So many standard deviations from the liver's median is something else (assumed)."""
LIKE: Final = 2.0
"""Within so many standard deviations of the median it may be liver (assumed)."""
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Features:
    """Numbers that tell how good a mask is; NaN where they need a scan and there is none.

    Parameters
    ----------
    edge_share : float
        Share of the surface with a strong edge where it should be.
    edge_offset_mm : float
        Mean distance of the strongest edge from the surface, where there is a strong one.
    like_outside : float
        Share of the surface beyond which the scan looks like liver, with no edge between.
    foreign_rim : float
        Share of the surface under which the scan does not look like liver.
    foreign : float
        Share of the mask that does not look like liver, lesions and vessels left out.
    ragged : float
        Share of rim voxels whose slice disagrees with the slices before and behind, which agree.
    roundness : float
        Surface of a ball of that volume over the mask's surface; 1 for a ball.
    """

    edge_share: float
    edge_offset_mm: float
    like_outside: float
    foreign_rim: float
    foreign: float
    ragged: float
    roundness: float

    @property
    def values(self) -> tuple[float, ...]:
        """All of them, in this order."""
        return astuple(self)


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """The scan along the normals of a mask's surface.

    Parameters
    ----------
    offset_mm : (n,) ndarray
        Where the strongest edge lies, positive outwards.
    strong : (n,) ndarray of bool
        Whether it is strong.
    inside, outside : (n,) ndarray
        Mean of the smoothed scan from 2 to 5 mm within and beyond.
    """

    offset_mm: Vector = field(repr=False)
    strong: npt.NDArray[np.bool_] = field(repr=False)
    inside: Vector = field(repr=False)
    outside: Vector = field(repr=False)


def profiles_of(look: Look) -> Profiles | None:
    """Take the scan along the normals of a mask's surface.

    Parameters
    ----------
    look : Look
        The liver.

    Returns
    -------
    Profiles or None
        None without a scan.
    """
    from scipy.ndimage import map_coordinates

    if look.smooth is None or not len(look.points):
        return None
    at = np.arange(-REACH_MM, REACH_MM + STEP_MM / 2, STEP_MM)
    places = look.points[:, None, :] + look.normals[:, None, :] * at[None, :, None]
    index = look.grid.indices_at(places.reshape(-1, 3))
    values = map_coordinates(look.smooth, index.T, order=1, mode="nearest").reshape(len(look.points), -1)
    # From t - 1.5 to t + 1.5 mm.
    height = (values[:, 3:] - values[:, :-3]) / look.sd
    middle = (at[3:] + at[:-3]) / 2
    weighted = np.abs(height) * np.exp(-0.5 * (middle / PULL_MM) ** 2)
    best = weighted.argmax(axis=1)
    row = np.arange(len(best))
    return Profiles(
        offset_mm=middle[best],
        strong=np.abs(height[row, best]) > STRONG,
        inside=values[:, (at <= -2) & (at >= -5)].mean(axis=1),
        outside=values[:, (at >= 2) & (at <= 5)].mean(axis=1),
    )


def features_of(look: Look, profiles: Profiles | None) -> Features:
    """Measure a mask.

    Parameters
    ----------
    look : Look
        The liver.
    profiles : Profiles or None
        Along its normals.

    Returns
    -------
    Features
        Shares from 0 to 1, distances in mm.
    """
    ml = int(np.count_nonzero(look.liver)) * look.grid.voxel_mm3
    ball = 36 ** (1 / 3) * np.pi ** (1 / 3) * ml ** (2 / 3) / 100
    roundness = float(ball / max(look.area_cm2, 1e-6))
    ragged = raggedness(look.liver)
    if profiles is None or look.smooth is None:
        nan = float("nan")
        return Features(nan, nan, nan, nan, nan, ragged, roundness)
    placed = profiles.strong & (np.abs(profiles.offset_mm) <= EDGE_MM)
    like = (np.abs(profiles.outside - look.median) < LIKE * look.sd) & ~placed
    unlike = np.abs(profiles.inside - look.median) > FOREIGN * look.sd
    own = look.liver & ~look.marked
    foreign = np.abs(look.smooth[own] - look.median) > FOREIGN * look.sd
    offsets = np.abs(profiles.offset_mm[profiles.strong])
    return Features(
        edge_share=float(placed.mean()),
        edge_offset_mm=float(offsets.mean()) if offsets.size else REACH_MM,
        like_outside=float(like.mean()),
        foreign_rim=float(unlike.mean()),
        foreign=float(foreign.mean()) if foreign.size else 0.0,
        ragged=ragged,
        roundness=roundness,
    )


def raggedness(mask: npt.NDArray[np.bool_]) -> float:
    """Return the share of rim voxels that disagree with both neighbouring slices, which agree.

    Parameters
    ----------
    mask : ndarray of bool
        Slices along the last axis.

    Returns
    -------
    float
        0 for a surface that goes on evenly from slice to slice.
    """
    if mask.shape[2] < 3:
        return 0.0
    before, here, behind = mask[..., :-2], mask[..., 1:-1], mask[..., 2:]
    odd = (before == behind) & (here != before)
    rim = np.zeros_like(here)
    for axis in (0, 1):
        rim |= here & ~(np.roll(here, 1, axis) & np.roll(here, -1, axis))
    return float(np.count_nonzero(odd) / max(int(np.count_nonzero(rim)), 1))


def shift_mm(look: Look, profiles: Profiles) -> Vector:
    """Return by which translation the mask's surface would meet the scan's edges best.

    Parameters
    ----------
    look : Look
        The liver.
    profiles : Profiles
        Along its normals.

    Returns
    -------
    (3,) ndarray
        LPS mm; least squares of ``offset = normal . shift`` over strong edges.
    """
    use = profiles.strong
    if int(use.sum()) < 50:
        return np.zeros(3)
    shift, *_ = np.linalg.lstsq(look.normals[use], profiles.offset_mm[use], rcond=None)
    return np.asarray(shift)


def flattest(look: Look) -> tuple[float, Vector, Vector]:
    """Return the largest part of the surface that lies in one plane.

    Parameters
    ----------
    look : Look
        The liver.

    Returns
    -------
    share : float
        Of the surface, within 1.5 mm of the plane and facing as it does.
    point, normal : (3,) ndarray
        Middle of that part, LPS mm, and the way it faces.
    """
    from scipy.spatial import KDTree

    points, normals = look.points, look.normals
    if len(points) < 50:
        return 0.0, np.zeros(3), np.zeros(3)
    tree = KDTree(points)
    best, where, facing = 0, points[0], normals[0]
    for n in range(0, len(points), max(1, len(points) // 250)):
        near = tree.query_ball_point(points[n], 12.0)
        normal = normals[near].mean(axis=0)
        normal /= max(float(np.linalg.norm(normal)), 1e-9)
        middle = points[near].mean(axis=0)
        there = (np.abs((points - middle) @ normal) < 1.5) & (normals @ normal > 0.95)
        count = int(there.sum())
        if count > best:
            best, where, facing = count, points[there].mean(axis=0), normal
    return best / len(points), where, facing

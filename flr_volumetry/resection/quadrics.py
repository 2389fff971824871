"""Surfaces as overlapping small paraboloids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import read_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scipy.spatial import cKDTree

Points = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

LEAST_STRETCH = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """A surface as overlapping small paraboloids.

    Parameters
    ----------
    points_mm : (n, 3) float64 ndarray
        Their middles, on the surface, LPS mm.
    normals : (n, 3) float64 ndarray
        Unit vectors, out of the mask.
    across : (n, 2, 3) float64 ndarray
        Two unit vectors at right angles to the normal and to each other.
    curvatures : (n, 2, 2) float64 ndarray
        Along those, 1/mm, positive where the mask bulges.
    reach_mm : (n,) float64 ndarray
        How far from its middle each patch holds.

    Attributes
    ----------
    tree : scipy.spatial.cKDTree
        Of the middles.
    """

    points_mm: Points = field(repr=False)
    normals: Points = field(repr=False)
    across: Points = field(repr=False)
    curvatures: Points = field(repr=False)
    reach_mm: Points = field(repr=False)
    tree: cKDTree = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("points_mm", "normals", "across", "curvatures", "reach_mm"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        from scipy.spatial import cKDTree

        object.__setattr__(self, "tree", cKDTree(self.points_mm))

    def __len__(self) -> int:
        return len(self.points_mm)

    def take(self, which: npt.NDArray[Any]) -> Patches:
        """Return some of the patches.

        Parameters
        ----------
        which : ndarray of int or bool
            Which ones.

        Returns
        -------
        Patches
            Those.
        """
        return Patches(
            self.points_mm[which],
            self.normals[which],
            self.across[which],
            self.curvatures[which],
            self.reach_mm[which],
        )

    def feet_mm(self, which: Numbers, points_mm: Points) -> Points:
        """Return the points of some patches that are nearest to given points, one each.

        Parameters
        ----------
        which : (n,) ndarray of int
            The patches.
        points_mm : (n, 3) float64 ndarray
            A point for each, LPS mm.

        Returns
        -------
        (n, 3) float64 ndarray
            LPS mm; no further than `reach_mm` from the patch's middle, measured across.
        """
        normals, across, bend = self.normals[which], self.across[which], self.curvatures[which]
        from_middle = points_mm - self.points_mm[which]
        height = np.einsum("ij,ij->i", from_middle, normals)
        flat = np.einsum("iaj,ij->ia", across, from_middle)
        stretch = np.eye(2) + height[:, None, None] * bend
        half = (stretch[:, 0, 0] + stretch[:, 1, 1]) / 2
        det = stretch[:, 0, 0] * stretch[:, 1, 1] - stretch[:, 0, 1] ** 2
        least = half - np.sqrt(np.maximum(half**2 - det, 0))
        # Beyond the centre of curvature of a hollow, the nearest point is on the rim or on another patch.
        stretch[least < LEAST_STRETCH] = np.eye(2)
        flat = np.linalg.solve(stretch, flat[..., None])[..., 0]
        flat *= np.minimum(1, self.reach_mm[which] / np.maximum(np.linalg.norm(flat, axis=1), 1e-12))[:, None]
        sink = np.einsum("ia,iab,ib->i", flat, bend, flat) / 2
        return np.asarray(
            self.points_mm[which] + np.einsum("ia,iaj->ij", flat, across) - sink[:, None] * normals
        )

    def nearest_mm(self, points_mm: Points) -> tuple[Points, Points]:
        """Find the points of the surface nearest to given points.

        Parameters
        ----------
        points_mm : (n, 3) float64 ndarray
            LPS mm.

        Returns
        -------
        (n,) float64 ndarray
            Distances, mm, on either side.
        (n, 3) float64 ndarray
            The nearest points, LPS mm.

        Notes
        -----
        Only the patch with the nearest middle is asked: the least of several would be too small, because
        the patches do not agree exactly.
        """
        feet = self.feet_mm(np.asarray(self.tree.query(points_mm)[1]), points_mm)
        return np.linalg.norm(points_mm - feet, axis=1), feet


def together(parts: Sequence[Patches]) -> Patches:
    """Join surfaces.

    Parameters
    ----------
    parts : sequence of Patches
        At least one.

    Returns
    -------
    Patches
        All of their patches, in order.
    """
    return Patches(
        np.concatenate([part.points_mm for part in parts]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.across for part in parts]),
        np.concatenate([part.curvatures for part in parts]),
        np.concatenate([part.reach_mm for part in parts]),
    )


def frames(normals: Points) -> Points:
    """Return two unit vectors at right angles to each normal and to each other.

    Parameters
    ----------
    normals : (n, 3) float64 ndarray
        Unit vectors.

    Returns
    -------
    (n, 2, 3) float64 ndarray
        Two for each.
    """
    aside = np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    return frames_along(normals, aside)


def frames_along(normals: Points, aside: Points) -> Points:
    """Return two unit vectors at right angles to each normal, the first as close to a given one as can be.

    Parameters
    ----------
    normals, aside : (n, 3) float64 ndarray
        Unit vectors, not parallel.

    Returns
    -------
    (n, 2, 3) float64 ndarray
        Two for each.
    """
    first = aside - np.einsum("ij,ij->i", aside, normals)[:, None] * normals
    first /= np.linalg.norm(first, axis=1)[:, None]
    return np.stack([first, np.cross(normals, first)], axis=1)

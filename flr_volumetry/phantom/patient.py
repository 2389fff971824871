"""A synthetic patient whose anatomy is known everywhere, not only on a grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import GridError
from flr_volumetry.images import Grid, Image, Source
from flr_volumetry.phantom.masks import PhantomMasks, sample_structures
from flr_volumetry.phantom.pose import Growth, Pose
from flr_volumetry.phantom.raster import Raster
from flr_volumetry.phantom.render import render
from flr_volumetry.phantom.spec import Anatomy, PhantomSpec, anatomy_of, random_spec
from flr_volumetry.phantom.truth import true_volumes

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELD_OF_VIEW_MM = np.array([[-181.0, -146.0, -138.0], [181.0, 216.0, 116.0]])
"""What a scan of the standard phantom shows: all of the trunk across, the liver and some more along."""


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A synthetic patient.

    Parameters
    ----------
    spec : PhantomSpec
        All that decides its anatomy.
    pose : Pose
        Where it lies; see `placed`.
    """

    spec: PhantomSpec
    pose: Pose = field(repr=False)

    @property
    def anatomy(self) -> Anatomy:
        """Its shapes, before its warp and pose."""
        return anatomy_of(self.spec)

    def placed(
        self,
        rotation: npt.ArrayLike = ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        translation_mm: npt.ArrayLike = (0, 0, 0),
    ) -> Phantom:
        """Return the same patient, turned or mirrored about the origin and then shifted.

        Parameters
        ----------
        rotation : (3, 3) array_like
            Orthogonal, acting on LPS column vectors; with determinant -1 it mirrors.
        translation_mm : (3,) array_like
            LPS mm.

        Returns
        -------
        Phantom
            The same anatomy in another place.

        Raises
        ------
        GridError
            If the matrix is not orthogonal.
        """
        return Phantom(self.spec, self.pose.then(rotation, translation_mm))

    def grown(self, growth: Growth) -> Phantom:
        """Return the same patient after part of the body grew and part shrank.

        Parameters
        ----------
        growth : Growth
            In the phantom's own axes, before its pose.

        Returns
        -------
        Phantom
            In the same place; volumes on either side of the plane changed by exactly the factors given.

        Raises
        ------
        GridError
            If it has grown already.
        """
        if self.spec.warp.growth is not None:
            raise GridError("this phantom has grown already; grow the one it was made of")
        warp = replace(self.spec.warp, growth=growth)
        return Phantom(replace(self.spec, warp=warp), Pose(self.pose.to_patient, warp))

    def default_grid(
        self, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 2.0), *, frame_of_reference_uid: str = ""
    ) -> Grid:
        """Return an axial grid around the liver with all of the trunk in view, as a scanner would place it.

        Parameters
        ----------
        spacing_mm : tuple of float
            Between columns, rows and slices.
        frame_of_reference_uid : str
            To name in the grid.

        Returns
        -------
        Grid
            Right-angled in patient axes, columns to the left, rows to the back, slices to the head;
            if the phantom is turned, around the turned field of view.

        Raises
        ------
        GridError
            If a spacing is not a positive number.
        """
        step = np.asarray(spacing_mm, dtype=np.float64)
        if step.shape != (3,) or not np.isfinite(step).all() or step.min() <= 0:
            raise GridError(f"a spacing is three positive numbers of mm, got {spacing_mm}")
        low, high = self.field_of_view_mm
        i, j, k = (int(n) for n in np.floor((high - low) / step + 1e-9) + 1)
        affine = np.diag([*step, 1.0])
        affine[:3, 3] = (low + high) / 2 - step * (np.array([i, j, k]) - 1) / 2
        return Grid((i, j, k), affine, frame_of_reference_uid)

    @property
    def field_of_view_mm(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner, in patient axes, of what a scan of it shows, (2, 3), mm."""
        fov = FIELD_OF_VIEW_MM * np.asarray(self.spec.warp.scale)
        if self.spec.warp.growth is not None:
            fov = np.stack(replace(self.spec.warp, waves=(), scale=(1.0, 1.0, 1.0)).reach(fov[0], fov[1]))
        choose = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
        corners = np.where(choose == 0, fov[0], fov[1])
        moved = corners @ self.pose.to_patient[:3, :3].T + self.pose.to_patient[:3, 3]
        return np.stack([moved.min(axis=0), moved.max(axis=0)])

    def structures(self, grid: Grid) -> PhantomMasks:
        """Sample all structures on a grid: a voxel belongs to what its centre lies in.

        Parameters
        ----------
        grid : Grid
            Any spacing, direction, handedness or shear.

        Returns
        -------
        PhantomMasks
            On that grid.

        Raises
        ------
        GridError
            If no voxel of the grid lies in the liver.
        """
        return sample_structures(self.anatomy, grid, Raster.of(grid, self.pose))

    def image(self, grid: Grid, *, noise_sd: float = 12.0) -> Image:
        """Render a CT in the portal venous phase.

        Parameters
        ----------
        grid : Grid
            Any spacing, direction, handedness or shear.
        noise_sd : float
            Standard deviation of the noise in tissue, HU; 0 for none.

        Returns
        -------
        Image
            int16 Hounsfield units. Voxels that a border crosses hold a mixture of both sides.

        Raises
        ------
        GridError
            If the noise is negative or not a number.

        Notes
        -----
        Noise belongs to the walking order of the slices (see `Raster`), not to the order in memory:
        a flipped or transposed array over the same voxel centres gets the same value at each of
        them. Another spacing gets other noise. On one machine a seed gives the same bytes always;
        between machines a value may differ by 1 HU where a sine rounds differently.
        """
        if not np.isfinite(noise_sd) or noise_sd < 0:
            raise GridError(f"noise_sd must be 0 HU or more, got {noise_sd}")
        voxels = np.empty(grid.shape, dtype=np.int16, order="F")
        render(self.anatomy, Raster.of(grid, self.pose), voxels, seed=self.spec.seed, noise_sd=noise_sd)
        return Image(grid, voxels, Source(modality="CT"))

    def true_ml(self) -> Mapping[str, float]:
        """Return the volumes of the shapes themselves, mL; see `flr_volumetry.phantom.truth`."""
        return _true_ml(self.spec)


@lru_cache(maxsize=16)
def _true_ml(spec: PhantomSpec) -> Mapping[str, float]:
    return MappingProxyType(true_volumes(anatomy_of(spec), spec.warp))


def sample_patient() -> Phantom:
    """Return the patient of `sample_data`: bilobar disease, a natural two-stage plan.

    Returns
    -------
    Phantom
        Origin of its axes at the hilum of the liver.
    """
    return phantom_of(PhantomSpec())


def random_patient(seed: int) -> Phantom:
    """Return one of many different patients.

    Parameters
    ----------
    seed : int
        From 0; the same seed always gives the same patient.

    Returns
    -------
    Phantom
        Its liver's size and shape and its lesions drawn at random.
    """
    return phantom_of(random_spec(seed))


def phantom_of(spec: PhantomSpec) -> Phantom:
    """Return the patient a specification stands for.

    Parameters
    ----------
    spec : PhantomSpec
        All that decides its anatomy.

    Returns
    -------
    Phantom
        In its own place.
    """
    return Phantom(spec, Pose(warp=spec.warp))

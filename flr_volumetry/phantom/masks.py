"""Which voxels of a grid belong to which structure of a phantom: by voxel centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import ROMAN, SEGMENTS
from flr_volumetry.errors import GridError
from flr_volumetry.images import Grid, LabelMap, Mask
from flr_volumetry.phantom.raster import PlacedParts, Raster, Slab

if TYPE_CHECKING:
    from flr_volumetry.phantom.shapes import Part
    from flr_volumetry.phantom.spec import Anatomy


@dataclass(frozen=True, slots=True, eq=False)
class PhantomMasks:
    """The structures of a phantom on a grid.

    Parameters
    ----------
    liver : Mask
        Lesions and the veins inside it included; without gallbladder and vena cava.
    lesions : tuple of Mask
        Wholly inside the liver, in the order of their numbers.
    portal_vein, hepatic_veins, ivc, gallbladder : Mask
        The portal vein begins outside the liver. The hepatic veins end where the vena cava begins.
    segments : LabelMap
        Couinaud segment of each liver voxel, 0 elsewhere.
    """

    liver: Mask
    lesions: tuple[Mask, ...]
    portal_vein: Mask
    hepatic_veins: Mask
    ivc: Mask
    gallbladder: Mask
    segments: LabelMap


def sample_structures(anatomy: Anatomy, grid: Grid, raster: Raster) -> PhantomMasks:
    """Sample all structures by voxel centres.

    Parameters
    ----------
    anatomy : Anatomy
        Their shapes.
    grid : Grid
        Where to.
    raster : Raster
        The same grid, as the phantom sees it.

    Returns
    -------
    PhantomMasks
        On that grid.

    Raises
    ------
    GridError
        If no voxel of the grid lies in the liver.
    """
    liver, segments = _liver_and_segments(anatomy, grid, raster)
    if not liver.any():
        raise GridError("the grid does not meet the phantom's liver; start from Phantom.default_grid()")
    lesions = tuple(
        Mask(grid, _inside((lesion,), grid, raster) & liver, f"tumour{n}")
        for n, lesion in enumerate(anatomy.lesions, start=1)
    )
    ivc = _inside(anatomy.cava.parts, grid, raster)
    hepatic = _inside(anatomy.trees.hepatic.parts, grid, raster)
    np.logical_and(hepatic, ~ivc, out=hepatic)
    return PhantomMasks(
        Mask(grid, liver, "liver"),
        lesions,
        Mask(grid, _inside(anatomy.trees.portal.parts, grid, raster), "portal_vein"),
        Mask(grid, hepatic, "hepatic_veins"),
        Mask(grid, ivc, "ivc"),
        Mask(grid, _inside(anatomy.gallbladder.parts, grid, raster), "gallbladder"),
        LabelMap(grid, segments, {n: f"segment {ROMAN[n]}" for n in SEGMENTS}),
    )


def _inside(parts: tuple[Part, ...], grid: Grid, raster: Raster) -> npt.NDArray[np.bool_]:
    """Sample the union of some parts."""
    inside = np.zeros(grid.shape, dtype=np.bool_, order="F")
    placed = PlacedParts.on(raster, parts)
    columns, rows, slices = placed.hull
    view = raster.walked(inside)

    def work(k: int) -> None:
        found = Slab.at(raster, k, (rows, columns)).nearest(placed)
        if found is not None:
            rect, distance = found
            _window(view, k, (rows, columns), rect)[...] = (distance <= 0).T

    raster.each_slice(work, range(slices.start, slices.stop))
    return inside


def _liver_and_segments(
    anatomy: Anatomy, grid: Grid, raster: Raster
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8]]:
    inside = np.zeros(grid.shape, dtype=np.bool_, order="F")
    segments = np.zeros(grid.shape, dtype=np.uint8, order="F")
    placed = PlacedParts.on(raster, (anatomy.liver,))
    columns, rows, slices = placed.hull
    masks, labels = raster.walked(inside), raster.walked(segments)

    def work(k: int) -> None:
        slab = Slab.at(raster, k, (rows, columns))
        found = slab.nearest(placed)
        if found is not None:
            rect, distance = found
            liver = distance <= 0
            _window(masks, k, slab.rect, rect)[...] = liver.T
            _window(labels, k, slab.rect, rect)[...] = (
                anatomy.liver.segments(*(p[rect] for p in slab.points)) * liver
            ).T

    raster.each_slice(work, range(slices.start, slices.stop))
    return inside, segments


def _window(
    view: npt.NDArray[Any], k: int, outer: tuple[slice, slice], inner: tuple[slice, slice]
) -> npt.NDArray[Any]:
    """View columns and rows of a rectangle within a rectangle of slice k."""
    (rows, columns), (r, c) = outer, inner
    return np.asarray(
        view[columns.start + c.start : columns.start + c.stop, rows.start + r.start : rows.start + r.stop, k]
    )

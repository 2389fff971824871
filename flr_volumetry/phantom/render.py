"""Hounsfield units of a phantom on a grid: layers painted slice by slice, then texture and noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.phantom import abdomen
from flr_volumetry.phantom.abdomen import AIR, Layer
from flr_volumetry.phantom.raster import PlacedParts, Raster, Slab
from flr_volumetry.phantom.variation import Draw, grains

if TYPE_CHECKING:
    from flr_volumetry.phantom.shapes import Values
    from flr_volumetry.phantom.spec import Anatomy

LOWEST_HU = -1024
TEXTURE_HU = 3.5
"""Standard deviation of the slow variation of tissue."""
AIR_NOISE = 0.45
"""Noise of air as a share of that of tissue."""
N_WAVES = 12
FOV_AIR_HU = -995.0


@dataclass(frozen=True, slots=True, eq=False)
class PlacedLayer:
    """A layer and where it can reach on a grid.

    Parameters
    ----------
    layer : Layer
        What to paint.
    placed : PlacedParts
        Where.
    """

    layer: Layer
    placed: PlacedParts = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """Slow variation of tissue: a sum of plane waves in the body, before its warp.

    Parameters
    ----------
    per_mm : (n, 3) ndarray
        Wave vectors, radians for each mm.
    phases : (n,) ndarray
        Radians.
    """

    per_mm: npt.NDArray[np.float64] = field(repr=False)
    phases: npt.NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, seed: int) -> Texture:
        """Draw the waves, 14 to 60 mm long."""
        draw = Draw(seed, 3)
        waves = [draw.direction() * (2 * np.pi / draw.between(14.0, 60.0)) for _ in range(N_WAVES)]
        return cls(np.array(waves), np.array([draw.between(0.0, 2 * np.pi) for _ in range(N_WAVES)]))

    def on_slice(self, raster: Raster, k: int) -> npt.NDArray[np.float32]:
        """Return slice k, (rows, columns), standard deviation `TEXTURE_HU`.

        Along rows and columns a plane wave is a sum of two products, so no sine is taken for a voxel.
        """
        A, (columns, rows, _) = raster.affine, raster.shape
        along = self.per_mm @ A[:3, :3]
        start = self.phases + self.per_mm @ A[:3, 3] + along[:, 2] * k
        row = np.arange(rows)[:, None] * along[:, 1] + start
        column = np.arange(columns)[:, None] * along[:, 0]
        height = TEXTURE_HU * np.sqrt(2 / len(self.phases))
        left = (height * np.hstack([np.sin(row), np.cos(row)])).astype(np.float32)
        right = np.hstack([np.cos(column), np.sin(column)]).astype(np.float32)
        total = np.zeros((rows, columns), dtype=np.float32)
        product = np.empty_like(total)
        for n in range(left.shape[1]):
            total += np.multiply(left[:, n, None], right[None, :, n], out=product)
        return total


def layers_of(anatomy: Anatomy) -> tuple[Layer, ...]:
    """Return all layers of a phantom, in painting order.

    Parameters
    ----------
    anatomy : Anatomy
        Its shapes.

    Returns
    -------
    tuple of Layer
        The abdomen, then the liver and what lies in it.
    """
    return (
        *abdomen.layers(),
        Layer(anatomy.cava.parts, abdomen.CAVA_HU),
        Layer((anatomy.liver,), abdomen.LIVER_HU),
        Layer(anatomy.trees.hepatic.parts, abdomen.HEPATIC_HU),
        Layer(anatomy.trees.portal.parts, abdomen.PORTAL_HU),
        *(Layer((lesion,), abdomen.LESION_RIM_HU, abdomen.LESION_HU, 2.0) for lesion in anatomy.lesions),
    )


def render(
    anatomy: Anatomy, raster: Raster, out: npt.NDArray[np.int16], *, seed: int, noise_sd: float
) -> None:
    """Fill an array with the scan of a phantom.

    Parameters
    ----------
    anatomy : Anatomy
        Its shapes.
    raster : Raster
        The array's grid, as the phantom sees it.
    out : ndarray of int16
        Written slice by slice; nothing else of its size is made.
    seed : int
        Of texture and noise.
    noise_sd : float
        Standard deviation of the noise in tissue, HU.
    """
    width = raster.width_mm
    placed = tuple(
        PlacedLayer(layer, PlacedParts.on(raster, layer.parts, beyond_mm=width))
        for layer in layers_of(anatomy)
    )
    texture, view = Texture.of(seed), raster.walked(out)
    whole = (slice(0, raster.shape[1]), slice(0, raster.shape[0]))

    def work(k: int) -> None:
        slab = Slab.at(raster, k, whole)
        hu = np.full((raster.shape[1], raster.shape[0]), AIR, dtype=np.float32)
        for layer in placed:
            _paint(layer, slab, hu, width)
        tissue = np.clip((hu + 950.0) * (1 / 700.0), 0.0, 1.0)
        hu += texture.on_slice(raster, k) * tissue
        if noise_sd > 0:
            hu += grains(seed, k, hu.shape) * ((AIR_NOISE + (1 - AIR_NOISE) * tissue) * noise_sd)
        np.rint(hu, out=hu)
        np.maximum(hu, LOWEST_HU, out=hu)
        view[:, :, k] = hu.T

    raster.each_slice(work, range(raster.shape[2]))


def _paint(placed: PlacedLayer, slab: Slab, hu: Values, width_mm: float) -> None:
    """Blend a layer in: a voxel takes the share of it that a flat surface would cut off."""
    found = slab.nearest(placed.placed)
    if found is None:
        return
    rect, distance = found
    here, layer = hu[rect], placed.layer
    share = np.clip(0.5 - distance * (1 / width_mm), 0.0, 1.0)
    if layer.core_hu is None:
        here += share * (layer.hu - here)
        return
    deep = np.clip(0.5 - (distance + layer.shell_mm) * (1 / width_mm), 0.0, 1.0)
    here += share * (layer.hu + deep * (layer.core_hu - layer.hu) - here)

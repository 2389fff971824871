"""How much of the liver's function a remnant holds, by a map of function on its own grid (G5 to G7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.images.grid import require_same_frame
from flr_volumetry.resection.partition import REMNANT, require_partition_of

if TYPE_CHECKING:
    from flr_volumetry.images import Grid, Image
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Partition

Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

NEGATIVE_SHARE = 0.05
"""Negative values of more than this share of the positive ones are no noise of reconstruction (assumed)."""


class MapKind(Enum):
    """What a functional map shows."""

    MEBROFENIN = "mebrofenin_spect"
    """Counts, proportional to uptake."""
    GADOXETATE = "gadoxetate_mri"
    """Relative enhancement, a fraction."""


@dataclass(frozen=True, slots=True)
class MapShare:
    """What a functional map says of a partition.

    Parameters
    ----------
    kind : MapKind
        What it shows.
    remnant_share : float
        Of the map over the liver without lesions, the part in the functional remnant: a fraction.
    volume_share : float
        The same by volume, so that a difference shows.
    remnant_mean, liver_mean : float
        Mean of the map over the functional remnant, and over the liver without lesions.
    liver_sum : float
        Sum of the map's voxels over the liver without lesions, in its own counts.
    caveats : tuple of Caveat
        What is doubtful about it.
    methods : tuple of str
        Sentences for the methods section.
    """

    kind: MapKind
    remnant_share: float
    volume_share: float
    remnant_mean: float
    liver_mean: float
    liver_sum: float
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = ()


def weigh_map(
    liver: Liver, partition: Partition, image: Image, *, kind: MapKind, background: float = 0.0
) -> MapShare:
    """Weigh the remnant by a map of function.

    Parameters
    ----------
    liver : Liver
        With its lesions, which hold no function here.
    partition : Partition
        Of that liver.
    image : Image
        The map, on its own grid in the same patient coordinates.
    kind : MapKind
        What it shows.
    background : float
        Subtracted from each voxel of the map before anything else.

    Returns
    -------
    MapShare
        Shares and means.

    Raises
    ------
    FrameError
        If map and liver name different frames of reference.
    LiverError
        If the map is a CT, does not cover the liver, holds what is no number or much that is negative
        there, or is empty there.

    Notes
    -----
    The map is taken as constant within each of its voxels, so that its sum is kept: a voxel that a cut
    divides is dealt out by volume. The finer of both grids does the counting.
    """
    require_partition_of(liver, partition)
    require_same_frame(liver.grid, image.grid, "the functional map")
    if image.source.modality == "CT":
        raise LiverError("the functional map is a CT, which shows no function", reason="map_is_ct")
    works = liver.voxels.copy()
    for lesion in liver.lesions:
        works[lesion.box] &= ~lesion.voxels
    stays = works & (partition.labels == REMNANT)
    _require_cover(works, liver.grid, image.grid)
    values, remnant, per_voxel = _dealt_out(works, stays, liver.grid, image)
    values, caveats = _cleaned(values - background)
    total = float(values.sum())
    if total <= 0:
        raise LiverError(
            "the functional map holds nothing above its background in the liver: is it the right map, and "
            "the "
            "background right?",
            reason="map_empty",
        )
    caveats += _faint(image, background, float(values.mean()))
    return MapShare(
        kind=kind,
        remnant_share=float(values[remnant].sum()) / total,
        volume_share=float(np.count_nonzero(stays)) / float(np.count_nonzero(works)),
        remnant_mean=float(values[remnant].mean()) if remnant.any() else 0.0,
        liver_mean=float(values.mean()),
        liver_sum=total * per_voxel,
        caveats=tuple(caveats),
        methods=(_sentence(image, kind, background),),
    )


def _require_cover(works: npt.NDArray[np.bool_], grid: Grid, map_grid: Grid) -> None:
    _, inside = _places(np.argwhere(works), grid, map_grid)
    if not inside.all():
        outside = float(np.count_nonzero(~inside)) * grid.voxel_ml
        raise LiverError(
            f"{outside:.1f} mL of the liver lie outside the functional map: a share of it would be wrong. "
            "Give a "
            "map that covers the liver, in the same patient coordinates.",
            reason="map_does_not_cover",
        )


def _dealt_out(
    works: npt.NDArray[np.bool_], stays: npt.NDArray[np.bool_], grid: Grid, image: Image
) -> tuple[Values, npt.NDArray[np.bool_], float]:
    """Return the map's value at each counting voxel, whether it stays, and its part of a map voxel."""
    if image.grid.voxel_ml >= grid.voxel_ml:
        index = np.argwhere(works)
        there, _ = _places(index, grid, image.grid)
        values = image.voxels[tuple(there.T)].astype(np.float64)
        return values, stays[tuple(index.T)], grid.voxel_ml / image.grid.voxel_ml
    index = np.argwhere(np.ones(image.grid.shape, dtype=bool))
    there, inside = _places(index, image.grid, grid)
    index, there = index[inside], there[inside]
    mine = works[tuple(there.T)]
    index, there = index[mine], there[mine]
    return image.voxels[tuple(index.T)].astype(np.float64), stays[tuple(there.T)], 1.0


def _places(index: Places, grid: Grid, other: Grid) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return in which voxel of another grid each centre lies, and whether it lies in one at all."""
    step = np.linalg.solve(other.affine, grid.affine)
    at = np.floor(index @ step[:3, :3].T + step[:3, 3] + 0.5).astype(np.intp)
    inside = np.all((at >= 0) & (at < np.array(other.shape)), axis=1)
    return at, inside


def _cleaned(values: Values) -> tuple[Values, list[Caveat]]:
    """Refuse what is no number, count slight negative values as nought."""
    if not np.isfinite(values).all():
        raise LiverError(
            f"the functional map holds {int(np.count_nonzero(~np.isfinite(values)))} values in the liver "
            "that are "
            "no numbers",
            reason="map_not_a_number",
        )
    negative, positive = float(-values[values < 0].sum()), float(values[values > 0].sum())
    if negative > NEGATIVE_SHARE * positive:
        raise LiverError(
            f"the functional map is negative in {int(np.count_nonzero(values < 0))} places of the liver, by "
            f"{100 * negative / positive if positive else 100:.0f} % of what is positive: function is not "
            "negative. "
            "Check the background and the scaling.",
            reason="map_negative",
        )
    if not negative:
        return values, []
    said = Caveat(
        "map_negative_values",
        f"Slightly negative values of the functional map in the liver ({100 * negative / positive:.2f} % "
        "of the "
        "positive ones) were counted as nought.",
    )
    return np.maximum(values, 0.0), [said]


def _faint(image: Image, background: float, mean: float) -> list[Caveat]:
    everywhere = float(np.mean(image.voxels, dtype=np.float64)) - background
    if mean > everywhere:
        return []
    return [
        Caveat(
            "map_does_not_show_liver",
            "The functional map is no higher in the liver than on average: check that it shows the liver's "
            "function and lies in the same patient coordinates.",
        )
    ]


def _sentence(image: Image, kind: MapKind, background: float) -> str:
    spacing = " x ".join(f"{s:.2f}" for s in image.grid.spacing_mm)
    less = f", less a background of {background:g}" if background else ""
    return (
        f"The functional map ({kind.value.replace('_', ' ')}, voxels of {spacing} mm{less}) was dealt out "
        "to the "
        "pieces of the liver by volume, constant within each of its voxels, so that its sum is kept; "
        "lesions hold "
        "none of it."
    )

"""How far two masks of one structure differ: overlap, distance of surfaces, volume, lesions found.

Surfaces are triangles halfway between voxels inside and outside, laid into the patient before they are
measured, so that flipped, oblique and sheared grids are all measured in the same millimetres. Steps between
slices stay steps: slices of 2.5 mm make a distance of 4 mm between two balls some 0.3 mm short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import GridError, SegmentationError
from flr_volumetry.images import bounding_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.images import Grid, Mask

TOLERANCES_MM: Final = (1.0, 3.0)
FOUND_SHARE: Final = 0.1
"""A lesion is found if at least this share of it is covered, and a finding false if less of it is lesion
(assumed)."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A mask's surface, as places with areas.

    Parameters
    ----------
    points_mm : (n, 3) ndarray
        Middles of its triangles, LPS mm.
    area_mm2 : (n,) ndarray
        Of each triangle.
    corners_mm : (m, 3) ndarray
        Corners of the triangles, LPS mm.
    """

    points_mm: Floats = field(repr=False)
    area_mm2: Floats = field(repr=False)
    corners_mm: Floats = field(repr=False)

    def distance_to(self, other: Surface) -> Floats:
        """Return how far each of its places lies from the nearest place or corner of another surface, mm."""
        from scipy.spatial import KDTree

        tree = KDTree(np.concatenate([other.points_mm, other.corners_mm]))
        return np.asarray(tree.query(self.points_mm)[0])


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a mask differs from a reference.

    Parameters
    ----------
    name : str
        Of the structure.
    ml, reference_ml : float
        Volumes, mL.
    dice : float
        Overlap, 0 to 1.
    surface_dice_1mm, surface_dice_3mm : float
        Share of both surfaces within 1 and 3 mm of the other (Nikolov et al., J Med Internet Res
        2021;23:e26151).
    mean_mm : float
        Mean distance of the surfaces, both ways together.
    hausdorff_95_mm : float
        The larger of the two directions' 95 % distances.
    """

    name: str
    ml: float
    reference_ml: float
    dice: float
    surface_dice_1mm: float
    surface_dice_3mm: float
    mean_mm: float
    hausdorff_95_mm: float

    @property
    def volume_error(self) -> float:
        """Volume against the reference's, a fraction; positive if larger."""
        return self.ml / self.reference_ml - 1


@dataclass(frozen=True, slots=True)
class LesionScore:
    """How many lesions were found.

    Parameters
    ----------
    reference : int
        Lesions of the reference.
    found : int
        How many of them were found.
    false : int
        Findings that are no lesion of the reference.
    dices : tuple of float
        Of each lesion of the reference against what was found where it lies, 0 for those missed.
    """

    reference: int
    found: int
    false: int
    dices: tuple[float, ...]

    @property
    def sensitivity(self) -> float:
        """Share of the lesions found; NaN if there are none."""
        return self.found / self.reference if self.reference else float("nan")


def compare(name: str, predicted: Mask, reference: Mask) -> Comparison:
    """Compare two masks.

    Parameters
    ----------
    name : str
        Of the structure.
    predicted, reference : Mask
        On one grid (see `flr_volumetry.images.to_grid`).

    Returns
    -------
    Comparison
        All measures.

    Raises
    ------
    GridError
        If they lie on two grids.
    SegmentationError
        If one of them is empty: distances do not exist.
    """
    if not predicted.grid.matches(reference.grid):
        raise GridError(f"{name}: the masks lie on two grids")
    for mask, whose in ((predicted, "predicted"), (reference, "reference")):
        if not mask.voxels.any():
            raise SegmentationError(f"{name}: the {whose} mask is empty", reason="empty_mask")
    both = int(np.count_nonzero(predicted.voxels & reference.voxels))
    there = surface_samples(predicted.voxels, predicted.grid)
    here = surface_samples(reference.voxels, reference.grid)
    out, back = there.distance_to(here), here.distance_to(there)
    area, reference_area = there.area_mm2, here.area_mm2
    total = float(area.sum() + reference_area.sum())
    within = [
        float(area[out <= tau].sum() + reference_area[back <= tau].sum()) / total for tau in TOLERANCES_MM
    ]
    return Comparison(
        name,
        predicted.ml,
        reference.ml,
        2 * both / (predicted.count + reference.count),
        within[0],
        within[1],
        float((out * area).sum() + (back * reference_area).sum()) / total,
        max(_percentile(out, area, 0.95), _percentile(back, reference_area, 0.95)),
    )


def _percentile(values: Floats, weights: Floats, share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(values) - 1)])


def surface_samples(voxels: npt.NDArray[np.bool_], grid: Grid) -> Surface:
    """Return places on a mask's surface, and the area that each stands for.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The mask; the edge of the array counts as outside.
    grid : Grid
        Where it lies.

    Returns
    -------
    Surface
        Middles of the triangles halfway between voxel centres inside and outside (marching cubes, Lewiner et
        al., J Graph Tools 2003;8:1), and their corners.
    """
    from skimage.measure import marching_cubes

    box = bounding_box(voxels)
    if box is None:
        return Surface(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 3)))
    start = np.array([s.start - 1 for s in box], dtype=np.float64)
    padded = np.pad(voxels[box], 1).astype(np.float32)
    corners, triangles, _, _ = marching_cubes(padded, 0.5)  # type: ignore[no-untyped-call]
    places = grid.centres_mm(corners.astype(np.float64) + start)
    a, b, c = (places[triangles[:, n]] for n in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    return Surface((a + b + c) / 3, area, places)


def score_lesions(predicted: Sequence[Mask], reference: Sequence[Mask]) -> LesionScore:
    """Say which lesions were found.

    Parameters
    ----------
    predicted, reference : sequence of Mask
        On one grid; what touches is one lesion, however many masks it was drawn as.

    Returns
    -------
    LesionScore
        A lesion is found if a tenth of it is covered; a finding is false if less than a tenth of it is
        lesion.

    Raises
    ------
    SegmentationError
        If there is no mask at all.
    """
    if not predicted and not reference:
        raise SegmentationError("there are no lesions to compare", reason="empty_mask")
    shape = (*predicted, *reference)[0].voxels.shape
    guess, truth = _united(predicted, shape), _united(reference, shape)
    found_in, n_guess = _parts(guess)
    true_in, n_truth = _parts(truth)
    covered = np.bincount(true_in[guess], minlength=n_truth + 1)[1:]
    sizes = np.bincount(true_in[truth], minlength=n_truth + 1)[1:]
    right = np.bincount(found_in[truth], minlength=n_guess + 1)[1:]
    found_sizes = np.bincount(found_in[guess], minlength=n_guess + 1)[1:]
    dices = []
    for n in range(1, n_truth + 1):
        touching = np.unique(found_in[(true_in == n) & guess])
        amount = int(found_sizes[touching - 1].sum()) if touching.size else 0
        dices.append(2 * int(covered[n - 1]) / (int(sizes[n - 1]) + amount))
    return LesionScore(
        reference=n_truth,
        found=int(np.count_nonzero(covered >= FOUND_SHARE * sizes)),
        false=int(np.count_nonzero(right < FOUND_SHARE * found_sizes)),
        dices=tuple(dices),
    )


def _united(masks: Sequence[Mask], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    whole = np.zeros(shape, dtype=bool, order="F")
    for mask in masks:
        whole |= mask.voxels
    return whole


def _parts(voxels: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.uint32], int]:
    import cc3d

    if not voxels.any():
        return np.zeros(voxels.shape, dtype=np.uint32), 0
    labels, count = cc3d.connected_components(
        voxels.astype(np.uint8, order="F"), connectivity=26, return_N=True
    )
    return labels.astype(np.uint32, copy=False), int(count)

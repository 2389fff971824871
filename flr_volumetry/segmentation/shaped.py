"""A liver found by the scan's own grey values and edges, and by the shape of other livers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import cc3d
import numpy as np

from flr_volumetry.errors import Caveat
from flr_volumetry.images import Mask, Source
from flr_volumetry.segmentation.classical import find_again, find_anatomy
from flr_volumetry.segmentation.classical.verdict import doubts_of, quality_of
from flr_volumetry.segmentation.classical.working import Bools, Values, onto
from flr_volumetry.segmentation.prior import prior_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flr_volumetry.images import Grid, Image
    from flr_volumetry.segmentation.classical import Anatomy
    from flr_volumetry.segmentation.fusion import AtlasLiver
    from flr_volumetry.segmentation.hints import Hints
    from flr_volumetry.segmentation.prior import ShapePrior
    from flr_volumetry.segmentation.protocol import Quality

GAIN, QUIET = 1.0, 1.5
"""Cost for each unit of log-odds beyond the quiet zone, in which edges alone decide (chosen on 3D-IRCADb-01
patient 17 and phantoms)."""
INVITE, BAR = 0.6, 1.5
"""Most that a place is favoured and barred: tissue unlike the liver costs 1.5, fat and gas 4, so that the
prior alone makes no liver; tissue exactly like it gains 1."""
LIKELY, UNLIKELY = 0.85, 0.1
SAID_ML: Final = 10.0
DOUBTFUL_ML, DOUBTFUL_SHARE = 30.0, 0.03
"""Disagreement between shape and scan that is said: this much, and this share of the liver (assumed)."""
NAMED: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class ShapedLiver:
    """A liver, and what is to be known of it.

    Parameters
    ----------
    mask : Mask
        On the scan's grid.
    prior : ShapePrior
        Of the livers that were laid upon it.
    quality : Quality
        What is expected of the mask.
    caveats : tuple of Caveat
        What the prior changed, and where it and the scan disagree.
    methods : tuple of str
        Sentences for the methods section.
    """

    mask: Mask = field(repr=False)
    prior: ShapePrior
    quality: Quality
    caveats: tuple[Caveat, ...]
    methods: tuple[str, ...]


def shaped_liver(
    image: Image,
    livers: Sequence[AtlasLiver],
    hints: Hints,
    tell: Callable[[str], None] = lambda _: None,
) -> ShapedLiver:
    """Find the liver of a scan with the help of other livers.

    Parameters
    ----------
    image : Image
        The scan, whole.
    livers : sequence of AtlasLiver
        At least three.
    hints : Hints
        What the user says of this liver.
    tell : callable
        Called with the name of each step.

    Returns
    -------
    ShapedLiver
        The prior moves costs, never voxels: what does not look like liver does not become liver.

    Raises
    ------
    SegmentationError
        If no liver is in view, or too few livers can be laid upon it.
    """
    first = find_anatomy(image, hints, tell)
    tell(f"laying {len(livers)} livers upon it")
    grid = first.scene.work.grid
    prior = prior_of(first.found.inside, first.scene.work.seen, grid, livers)
    chance = onto(prior.chance, prior.grid, grid)
    tell("liver again, with their shape")
    last = find_again(first, favour_of(chance, prior.trust), likely_of(chance, prior.trust), hints, tell)
    caveats = (*_of_prior(prior), *_changed(first, last), *_against(last, chance, prior.trust))
    quality = quality_of(last)
    fit = f"; {len(prior.voters)} other livers fit it by a Dice of {prior.median_dice:.2f}"
    return ShapedLiver(
        Mask(image.grid, last.liver, "liver", Source(modality=image.source.modality)),
        prior,
        replace(quality, basis=quality.basis + fit),
        (*doubts_of(last, image, hints), *caveats),
        (_methods(prior),),
    )


def favour_of(chance: Values, trust: float) -> Values:
    """Return how much a place is favoured by the shape of other livers.

    Parameters
    ----------
    chance : ndarray of float32
        That it is liver, by shape, between 0 and 1.
    trust : float
        0 to 1.

    Returns
    -------
    ndarray of float32
        Taken from the cost of a place: 0 within log-odds of 1.5, then 1 a unit, from -1.5 to 0.6.
    """
    odds = np.log(chance / (1 - chance))
    beyond = np.sign(odds) * np.maximum(np.abs(odds) - QUIET, 0)
    return np.asarray(np.clip(GAIN * trust * beyond, -BAR, INVITE), dtype=np.float32)


def likely_of(chance: Values, trust: float) -> Bools:
    """Return where a thin part is kept: where liver is likely, if the prior is trusted at all."""
    return np.asarray((chance > LIKELY) & (trust > 0))


def _of_prior(prior: ShapePrior) -> list[Caveat]:
    found = []
    if prior.left_out:
        said = f"Livers of the atlas unlike this one were left out of the prior: {', '.join(prior.left_out)}."
        found.append(Caveat("atlas_outliers", said))
    if prior.trust < 1:
        said = (
            f"The livers of the atlas fit this one by a median Dice of {prior.median_dice:.2f}, stretched by "
            f"{prior.stretch:.2f}, so their shape counts by {100 * prior.trust:.0f} %: it may be "
            "unlike all of them (after resection, after growth), or the first guess was far off."
        )
        found.append(Caveat("atlas_disagrees", said))
    return found


def _changed(first: Anatomy, last: Anatomy) -> list[Caveat]:
    grid = last.image.grid
    parts = []
    for verb, where in (
        ("taken away", first.liver & ~last.liver),
        ("added", last.liver & ~first.liver),
    ):
        ml = float(np.count_nonzero(where)) * grid.voxel_ml
        if ml >= SAID_ML:
            parts.append(f"{ml:.0f} mL {verb} ({_largest(where, grid)})")
    if not parts:
        return []
    said = f"The shape of other livers changed the liver that grey values alone gave: {'; '.join(parts)}."
    return [Caveat("prior_changed_liver", said)]


def _against(last: Anatomy, chance: Values, trust: float) -> list[Caveat]:
    if trust <= 0:
        return []
    work, inside = last.scene.work, last.found.inside
    missing = (chance > 1 - UNLIKELY) & work.seen & ~inside
    strange = (chance < UNLIKELY) & inside
    parts = []
    for words, where in (
        ("they expect liver where the scan shows none", missing),
        ("the scan shows liver where they have none", strange),
    ):
        ml = float(np.count_nonzero(where)) * work.voxel_ml
        if ml >= max(DOUBTFUL_ML, DOUBTFUL_SHARE * np.count_nonzero(inside) * work.voxel_ml):
            parts.append(f"{words}: {ml:.0f} mL ({_largest(where, work.grid)})")
    if not parts:
        return []
    said = f"The shape of other livers and this scan disagree: {'; '.join(parts)}. The scan was followed."
    return [Caveat("prior_disagrees", said)]


def _largest(where: Bools, grid: Grid) -> str:
    labels = cc3d.largest_k(np.ascontiguousarray(where), k=1, connectivity=6) > 0
    index = np.argwhere(labels)
    x, y, z = grid.centres_mm([index.mean(axis=0)])[0]
    return f"largest piece {len(index) * grid.voxel_ml:.0f} mL around ({x:.0f}, {y:.0f}, {z:.0f}) mm"


def _methods(prior: ShapePrior) -> str:
    first = ", ".join(f"{v.name} {100 * v.weight:.0f} %" for v in prior.voters[:NAMED])
    return (
        f"A first liver by grey values and edges was matched by {len(prior.voters)} livers of the atlas "
        "(robust affine map, then demons on distance maps; a gap of 20 mm pulls no more); their weighted "
        "mean gave a chance of liver at each place, which was added to the costs of the cut, at most "
        f"{BAR:g} against and {INVITE:g} for liver where grey values give -1 to 1.5, and fat and gas 4, and "
        f"the liver was found again. Weights: {first}; median Dice {prior.median_dice:.2f}."
    )

"""What is to be said of a liver that was found: what is doubtful of it, and how good it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat
from flr_volumetry.segmentation.classical import checks, hinted
from flr_volumetry.segmentation.hints import NO_HINTS
from flr_volumetry.segmentation.protocol import Modality, Quality
from flr_volumetry.segmentation.quality_look import signed_distance, surface_cm2
from flr_volumetry.segmentation.readers import against_reader, expected_dice

if TYPE_CHECKING:
    from flr_volumetry.images import Image
    from flr_volumetry.segmentation.classical.backend import Anatomy
    from flr_volumetry.segmentation.hints import Hints

BEST_MM, BLIND_MM = 0.95, 1.7
"""Mean distance from the true surface where liver and muscle differ by 25 HU and more, and what is added
where they do not differ: least squares on 30 synthetic patients in four phases (rms 0.31 mm); each comes out
within 0.15 mm of a fit to the other three (`tests/evaluate/test_quality.py`)."""


def doubts_of(anatomy: Anatomy, image: Image, hints: Hints = NO_HINTS) -> tuple[Caveat, ...]:
    """Say what is doubtful of a liver that was found.

    Parameters
    ----------
    anatomy : Anatomy
        With the liver.
    image : Image
        The scan as it was given.
    hints : Hints
        What the user says.

    Returns
    -------
    tuple of Caveat
        Of its look, of hints that it does not follow, and of MR.
    """
    inside = anatomy.found.inside
    found = (*checks.doubts(inside, anatomy.scene, anatomy.model),)
    found += hinted.unheeded(anatomy.scene, hints, inside)
    return (*found, _mr_caveat()) if image.source.modality == Modality.MR.value else found


def quality_of(anatomy: Anatomy) -> Quality:
    """Return what is expected of a liver that was found.

    Parameters
    ----------
    anatomy : Anatomy
        With the liver.

    Returns
    -------
    Quality
        By how much liver and muscle differ.
    """
    contrast = abs(anatomy.model.mean - anatomy.model.muscle)
    grid = anatomy.scene.work.grid
    inside = anatomy.found.inside
    boundary = against_reader(BEST_MM + BLIND_MM * max(0.0, 1 - contrast / checks.FAINT_HU))
    area = surface_cm2(signed_distance(inside, grid), grid)
    ml = float(np.count_nonzero(inside)) * grid.voxel_ml
    return Quality(
        Structure.LIVER,
        dice=expected_dice(boundary, ml=ml, area_cm2=area),
        boundary_mm=boundary,
        basis=f"liver and muscle differ by {contrast:.0f} HU; by a fit on synthetic patients in four phases",
    )


def _mr_caveat() -> Caveat:
    return Caveat(
        "mr_scale_assumed",
        "The MR scan was brought to the scale of CT by its own background and liver; the classical back-end "
        "was measured on real CT and on synthetic MR, never on real MR. Look at every mask before using it.",
    )

"""Whether there is a liver to be found, and whether what was found can be one."""

from __future__ import annotations

import numpy as np

from flr_volumetry.errors import Caveat, SegmentationError
from flr_volumetry.images import Image
from flr_volumetry.segmentation.classical.model import Model, Scene
from flr_volumetry.segmentation.classical.working import Bools

TRUNK_MM = 200.0
"""A body narrower than this from side to side is a head, a neck or a limb (assumed)."""
LEAST_ML, SMALL_ML, LARGE_ML, MOST_ML = 250.0, 700.0, 3000.0, 6000.0
"""A part of a liver; smaller and larger than most; more than any (assumed)."""
RIGHT_SHARE = 0.5
"""Less of a liver than this lies to the right of the middle only in situs inversus (assumed)."""
FAINT_HU = 25.0
LIKELY_HU = (20.0, 160.0)
"""Unenhanced 20 to 80, portal venous 70 to 150 HU (clinical base 8.3)."""


def require_hounsfield(image: Image, scene: Scene) -> None:
    """Refuse a scan that calls itself CT and has no Hounsfield units.

    Parameters
    ----------
    image : Image
        The scan.
    scene : Scene
        The same as the search sees it.

    Raises
    ------
    SegmentationError
        If nothing in it is as dark as air or fat, or nothing is a trunk.
    """
    values = scene.work.values[scene.work.seen]
    if float(np.percentile(values, 2)) > -40.0:
        raise SegmentationError(
            f"the scan is not in Hounsfield units: its darkest 2 % lie above {np.percentile(values, 2):.0f}, "
            "and a CT of the abdomen has fat at -100 and air at -1000. If it is MR, its file must say so.",
            reason="not_hounsfield",
        )
    require_trunk(scene)


def require_trunk(scene: Scene) -> None:
    """Refuse a scan in which no trunk is in view.

    Parameters
    ----------
    scene : Scene
        The scan.

    Raises
    ------
    SegmentationError
        If the body is too narrow.
    """
    across = scene.tissue.body.any(axis=1).sum(axis=0) * scene.step
    wide = float(np.percentile(across[across > 0], 75)) if (across > 0).any() else 0.0
    if wide < TRUNK_MM:
        raise SegmentationError(
            f"no trunk is in view: the body is {wide:.0f} mm wide, and a trunk is more than "
            f"{TRUNK_MM:.0f} mm.",
            reason="no_trunk",
        )


def require_liver(inside: Bools, scene: Scene, model: Model) -> None:
    """Refuse what cannot be a liver.

    Parameters
    ----------
    inside : (i, j, k) bool ndarray
        What was found, on the working grid.
    scene, model : Scene, Model
        Where.

    Raises
    ------
    SegmentationError
        If it is too small or too large, or lies in the middle, on the left or above the diaphragm.
    """
    ml = float(np.count_nonzero(inside)) * scene.work.voxel_ml
    if not LEAST_ML <= ml <= MOST_ML:
        raise SegmentationError(
            f"what looks most like a liver has {ml:.0f} mL, and a liver has {LEAST_ML:.0f} to "
            f"{MOST_ML:.0f} mL: "
            "no liver is in view, or too little of one.",
            reason="no_liver",
        )
    right = float((np.broadcast_to(scene.right_mm, inside.shape)[inside] > 0).mean())
    high = float((scene.high_mm[inside] > 5.0).mean())
    if right < RIGHT_SHARE or high > 0.25:
        raise SegmentationError(
            f"what looks most like a liver ({ml:.0f} mL) lies {right:.0%} on the patient's right and "
            f"{high:.0%} above "
            "the diaphragm: it is no liver, or the organs are reversed, or left and right are.",
            reason="not_a_liver",
        )


def doubts(inside: Bools, scene: Scene, model: Model) -> tuple[Caveat, ...]:
    """Say what is doubtful of a liver.

    Parameters
    ----------
    inside : (i, j, k) bool ndarray
        The liver on the working grid.
    scene, model : Scene, Model
        Where.

    Returns
    -------
    tuple of Caveat
        That it is cut by the edge of the scan, unlikely in size or grey value, or faint.
    """
    found = []
    ml = float(np.count_nonzero(inside)) * scene.work.voxel_ml
    cut_cm2 = _cut_cm2(inside, scene)
    if cut_cm2 > 0:
        found.append(
            Caveat(
                "liver_partly_in_view",
                f"The liver found by the classical back-end ({ml:.0f} mL) reaches the edge of the scan over "
                f"{cut_cm2:.0f} cm2: part of it is not in view, and every volume of it is too small.",
            )
        )
    elif not SMALL_ML <= ml <= LARGE_ML:
        found.append(
            Caveat("liver_size_unlikely", f"The liver found has {ml:.0f} mL, which is rare: look at it.")
        )
    if not LIKELY_HU[0] <= model.mean <= LIKELY_HU[1]:
        found.append(
            Caveat(
                "liver_density_unlikely",
                f"The liver found has {model.mean:.0f} HU, which is rare: look at it.",
            )
        )
    if abs(model.mean - model.muscle) < FAINT_HU:
        found.append(
            Caveat(
                "liver_contrast_faint",
                f"Liver ({model.mean:.0f} HU) and muscle ({model.muscle:.0f} HU) look alike on this scan: "
                "where they "
                "touch, the border was put where the wall of the trunk is expected. Look at it there.",
            )
        )
    return tuple(found)


def _cut_cm2(inside: Bools, scene: Scene) -> float:
    """Area in cm2 of the liver against what the scan does not show."""
    seen = np.pad(scene.work.seen, 1)
    liver = np.pad(inside, 1)
    area = 0
    for axis in range(3):
        for shift in (-1, 1):
            area += int(np.count_nonzero(liver & ~np.roll(seen, shift, axis)))
    cm2 = area * scene.step**2 / 100.0
    return cm2 if cm2 > 4.0 else 0.0

"""A back-end of a third party, registered the way a package registers one."""

from __future__ import annotations

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Image, Mask, Source
from flr_volumetry.segmentation import Availability, FoundLesion, Made, Modality, Segmentation
from tests.grids import ball, grid_around

CENTRE = (17.0, -40.0, 120.0)


class Threshold:
    """Finds whatever is bright: a liver of 100 HU and lesions of 200 HU."""

    name = "threshold"
    title = "everything above 50 HU"
    structures = frozenset({Structure.LIVER, Structure.LESION})
    modalities = frozenset({Modality.CT})
    licence = "Apache-2.0"

    def __init__(self, settings):
        self.settings = settings

    def availability(self):
        return Availability()

    def segment(self, image, wanted, *, hints=None, tell=lambda _: None):
        tell("thresholding")
        if hints is not None and hints.seeds_mm == ((0.0, 0.0, 0.0),):
            raise ZeroDivisionError("a bug of somebody else's")
        masks, lesions = {}, ()
        if (image.voxels > 50).any():
            masks = {Structure.LIVER: Mask(image.grid, image.voxels > 50, "liver")}
        if (image.voxels > 150).any():
            lesions = (FoundLesion(Mask(image.grid, image.voxels > 150, "lesion"), 0.9),)
        return Segmentation(image.grid, Made("threshold", "1.0"), masks, lesions, methods=("Thresholded.",))


def shifted(settings):
    """A back-end that gives masks where the scan is not."""

    class Shifted(Threshold):
        def segment(self, image, wanted, *, hints=None, tell=lambda _: None):
            grid = grid_around("axial", (0, 0, 0), 20)
            return Segmentation(
                grid, Made("shifted", "1.0"), {Structure.LIVER: Mask(grid, ball(grid, (0, 0, 0), 20))}
            )

    return Shifted(settings)


def absent(settings):
    """A back-end whose weights are not there."""

    class Absent(Threshold):
        name = "absent"

        def availability(self):
            return Availability("The weights are not here.", "Copy them to ~/weights.")

    return Absent(settings)


def half(settings):
    """Not a back-end: it lacks most of what one has."""

    class Half:
        name = "half"

    return Half()


def scan(name="axial", *, lesion=False, modality="CT", radius=55.0):
    """A ball of 100 HU in air of -200 HU, with a lesion of 200 HU if wanted."""
    grid = grid_around(name, CENTRE, radius + 10, scale=2.0)
    voxels = np.where(ball(grid, CENTRE, radius), 100, -200).astype(np.int16)
    if lesion:
        voxels[ball(grid, CENTRE, 12)] = 200
    return Image(grid, voxels, Source(modality=modality))

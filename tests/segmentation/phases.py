"""Scans of synthetic patients in other phases than the portal venous one: the anatomy stays."""

from __future__ import annotations

import dataclasses

import numpy as np

from flr_volumetry.phantom import random_patient

PHASES = {
    "portal": None,
    "late": ((0, 55, 110, 160, 300), (0, 52, 74, 110, 300)),
    "arterial": ((0, 55, 110, 160, 230, 300), (0, 60, 75, 170, 240, 300)),
    "unenhanced": ((0, 20, 55, 110, 160, 230, 300), (0, 12, 50, 60, 45, 45, 300)),
}
"""HU of portal venous soft tissue, and what they become; the liver has 110, muscle 55."""


def patient_in(phase, seed, spacing=(1.5, 1.5, 3.0), noise=12.0):
    """Scan, liver and lesions."""
    patient = random_patient(seed)
    grid = patient.default_grid(spacing)
    masks = patient.structures(grid)
    table = PHASES[phase]
    image = patient.image(grid, noise_sd=noise if table is None else 0.0)
    if table is not None:
        values = np.asarray(image.voxels, dtype=np.float32)
        soft = (values >= 0) & (values <= 300)
        values = np.where(soft, np.interp(values, *table), values)
        values += np.random.default_rng(seed).normal(0, noise, values.shape)
        image = dataclasses.replace(image, voxels=np.asfortranarray(np.rint(values).astype(np.int16)))
    return image, masks.liver, list(masks.lesions)

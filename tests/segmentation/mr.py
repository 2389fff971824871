"""An MR-like scan of a synthetic patient: other contrasts, a bias field, Rician noise."""

from __future__ import annotations

import numpy as np

from flr_volumetry.images import Image, Source

HOUNSFIELD = (-1000.0, -500.0, -110.0, -60.0, 10.0, 55.0, 110.0, 160.0, 230.0, 300.0, 1200.0)
SIGNAL = (0.0, 0.03, 0.16, 0.2, 0.25, 0.5, 1.0, 1.45, 1.6, 0.3, 0.15)
"""Share of the liver's signal, fat suppressed, T1 weighted, portal venous: bone is dark, vessels bright."""


def mr_of(phantom, grid, *, seed, bias=0.25, noise=0.05, liver_signal=600.0):
    """Render a scan; `bias` is the largest share by which the field is off, `noise` a share of the liver."""
    hu = phantom.image(grid, noise_sd=0.0).voxels
    clean = np.interp(hu, HOUNSFIELD, SIGNAL).astype(np.float32)
    random = np.random.Generator(np.random.Philox(seed))
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in grid.shape]
    x, y, z = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    a, b, c, d, e = random.uniform(-1, 1, 5)
    field = a * x + b * y + c * z + d * x * y + e * (x**2 + y**2 - 1)
    field = 1 + bias * field / np.abs(field).max()
    real, imaginary = (random.normal(0, noise, grid.shape).astype(np.float32) for _ in range(2))
    voxels = liver_signal * np.hypot(clean * field + real, imaginary)
    return Image(grid, voxels.astype(np.float32), Source(modality="MR"))

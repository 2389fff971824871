"""Masks without weights: seconds and memory of the classical back-end on 512 x 512 x 400 voxels."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Grid, Image
from flr_volumetry.phantom import sample_patient
from flr_volumetry.segmentation import backend, segment

SHAPE = (512, 512, 400)
SPACING_MM = (0.75, 0.75, 0.65)
LIVER_S, INNER_S, MOST_MB = 30.0, 20.0, 2000.0
"""At most, on 2 cores: the liver; lesions and vessels besides; memory above the scan."""
INNER = frozenset({Structure.LIVER, Structure.LESION, Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS})


def scan() -> Image:
    """Render the sample patient at full size."""
    phantom = sample_patient()
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = phantom.field_of_view_mm.mean(axis=0) - np.array(SPACING_MM) * (np.array(SHAPE) - 1) / 2
    return phantom.image(Grid(SHAPE, affine))


def peak_mb() -> float:
    """Highest memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Time the liver alone, then everything, and print what the targets are."""
    image = scan()
    segmenter = backend("classical")
    before = peak_mb()
    rows = []
    for wanted in (frozenset({Structure.LIVER}), INNER):
        began, spent = time.perf_counter(), time.process_time()
        segment(image, wanted, segmenter=segmenter)
        rows.append((time.perf_counter() - began, time.process_time() - spent))
    (liver, liver_cpu), (everything, everything_cpu) = rows
    print(f"\nclassical back-end, {SHAPE[0]} x {SHAPE[1]} x {SHAPE[2]} voxels of {SPACING_MM} mm")
    print(f"{'liver':34}{liver:9.1f} s ({liver_cpu:.1f} s of processor), at most {LIVER_S:.0f} s")
    inner, inner_cpu = everything - liver, everything_cpu - liver_cpu
    print(f"{'lesions and vessels besides':34}{inner:9.1f} s ({inner_cpu:.1f} s), at most {INNER_S:.0f} s")
    print(f"{'memory above the scan':34}{peak_mb() - before:9.0f} MB, at most {MOST_MB:.0f} MB")


if __name__ == "__main__":
    sys.exit(main())

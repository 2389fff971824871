"""The liver that the benchmarks of the resection engine hold ready: 512 x 512 x 400, 1.65 L, ten lesions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Grid, LabelMap, Mask
from flr_volumetry.io import write_label_map, write_mask
from flr_volumetry.liver import Liver, Masks, crop_liver
from flr_volumetry.phantom import LesionSpec, PhantomSpec, phantom_of

SHAPE = (512, 512, 400)
SPACING = (0.75, 0.75, 1.0)
MORE_LESIONS = (
    LesionSpec((-17.0, -60.0, 30.0), 11.0),
    LesionSpec((-52.0, 6.0, 38.0), 27.0),
    LesionSpec((-90.0, -59.0, -28.0), 8.0),
    LesionSpec((-52.0, -58.0, -1.0), 16.0),
    LesionSpec((-49.0, -66.0, 32.0), 19.0),
    LesionSpec((-41.0, -35.0, 65.0), 13.0),
    LesionSpec((-78.0, 41.0, 32.0), 16.0),
)
VEINS = (Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS)
CASE = """[case]
id = "large"

[patient]
height_cm = 175
weight_kg = 75
parenchyma = "normal"

[masks]
liver = "liver.nii.gz"
lesions = [{lesions}]
segments = "segments.nii.gz"
portal_vein = "portal_vein.nii.gz"
hepatic_veins = "hepatic_veins.nii.gz"

[[stage]]
name = "right liver"
resections = [{{ kind = "plane", point_mm = [-40.0, -20.0, 10.0], normal = [-1.0, 0.1, 0.0] }}]
"""


def large_liver(folder: Path) -> Liver:
    """Return the liver; its masks are drawn once, and kept in the folder."""
    grid, drawn = _drawn(folder)
    labels = drawn["lesions"]
    return crop_liver(
        Masks(
            Mask(grid, drawn["liver"], "liver"),
            (Mask(grid, labels == n, f"lesion {n}") for n in range(1, int(labels.max()) + 1)),
            LabelMap(grid, drawn["segments"]),
            [(vein, Mask(grid, drawn[vein.value], vein.value)) for vein in VEINS],
        )
    )


def large_case(folder: Path) -> Path:
    """Return a case file of the same liver, its masks as NIfTI beside it, written once."""
    path = folder / "large_case.toml"
    if not path.exists():
        grid, drawn = _drawn(folder)
        for name in ("liver", *(vein.value for vein in VEINS)):
            write_mask(folder / f"{name}.nii.gz", Mask(grid, drawn[name], name))
        for name in ("segments", "lesions"):
            write_label_map(folder / f"{name}.nii.gz", LabelMap(grid, drawn[name]))
        lesions = [
            f'{{ path = "lesions.nii.gz", label = {n} }}' for n in range(1, int(drawn["lesions"].max()) + 1)
        ]
        path.write_text(CASE.format(lesions=", ".join(lesions)))
    return path


def _drawn(folder: Path) -> tuple[Grid, dict[str, np.ndarray]]:
    path = folder / "large_liver.npz"
    phantom = phantom_of(PhantomSpec(lesions=(*PhantomSpec().lesions, *MORE_LESIONS)))
    low, high = phantom.field_of_view_mm
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (low + high) / 2 - np.array(SPACING) * (np.array(SHAPE) - 1) / 2
    grid = Grid(SHAPE, affine)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print("drawing the large liver ...", flush=True)
        found = phantom.structures(grid)
        lesions = np.zeros(SHAPE, dtype=np.uint8, order="F")
        for number, lesion in enumerate(found.lesions, start=1):
            lesions[lesion.voxels] = number
        np.savez_compressed(
            path,
            liver=found.liver.voxels,
            segments=found.segments.voxels,
            lesions=lesions,
            **{vein.value: getattr(found, vein.value).voxels for vein in VEINS},
        )
    with np.load(path) as kept:
        return grid, {name: np.asfortranarray(kept[name]) for name in kept.files}

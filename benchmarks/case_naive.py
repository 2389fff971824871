"""The script most researchers write: whole-grid arrays, scipy, and SimpleITK's own series scan."""

import json
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from benchmarks import plan


def read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def main(folder: Path, out: Path) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder / "ct")))
    image = reader.Execute()
    ct = sitk.GetArrayFromImage(image)
    spacing = image.GetSpacing()[::-1]
    origin = np.array(image.GetOrigin())
    liver = read(folder / "liver.nii.gz") > 0
    segments = read(folder / "segments.nii.gz")
    portal, hepatic = (read(folder / f"{n}.nii.gz") > 0 for n in ("portal_vein", "hepatic_veins"))
    lesions = [read(folder / f"lesion{n}.nii.gz") > 0 for n in plan.LESIONS]
    _, n_parts = ndimage.label(liver)
    distance = [ndimage.distance_transform_edt(~lesion, sampling=spacing) for lesion in lesions]
    z, y, x = (np.arange(n) * s for n, s in zip(ct.shape, spacing, strict=True))
    normal = np.array(plan.NORMAL) / np.linalg.norm(plan.NORMAL)
    side = (
        (x + origin[0] - plan.POINT_MM[0])[None, None, :] * normal[0]
        + (y + origin[1] - plan.POINT_MM[1])[None, :, None] * normal[1]
        + (z + origin[2] - plan.POINT_MM[2])[:, None, None] * normal[2]
    )
    removed = {
        "plane": side > 0,
        "segments": np.isin(segments, plan.RIGHT),
        "wedge": distance[plan.WEDGE_LESION - 1] <= plan.WEDGE_MM,
    }
    found = {}
    for name, gone in removed.items():
        remnant = liver & ~gone
        found[name] = {
            "remnant": int(remnant.sum()),
            "segments": {str(n): int((remnant & (segments == n)).sum()) for n in range(1, 9)},
            "margins": [round(float(d[remnant].min()), 3) for d in distance],
        }
    assert n_parts >= 1
    assert portal.any()
    assert hepatic.any()
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""A careful script: presorted files, everything cropped to the liver, SimpleITK's Maurer distance, cc3d."""

import json
import sys
from pathlib import Path

import cc3d
import numpy as np
import SimpleITK as sitk

from benchmarks import plan

ROOM = 12


def read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def bounds(mask: np.ndarray) -> tuple[slice, ...]:
    found = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        found.append(slice(max(hit[0] - ROOM, 0), hit[-1] + 1 + ROOM))
    return tuple(found)


def main(folder: Path, out: Path) -> None:
    reader = sitk.ImageSeriesReader()
    # The writer of this phantom numbers its files from the feet to the head.
    reader.SetFileNames([str(p) for p in sorted((folder / "ct").iterdir())])
    image = reader.Execute()
    spacing = image.GetSpacing()[::-1]
    origin = np.array(image.GetOrigin())
    whole = read(folder / "liver.nii.gz") > 0
    box = bounds(whole)
    ct = sitk.GetArrayViewFromImage(image)[box].copy()
    liver = whole[box].copy()
    segments = read(folder / "segments.nii.gz")[box].copy()
    portal, hepatic = (read(folder / f"{n}.nii.gz")[box] > 0 for n in ("portal_vein", "hepatic_veins"))
    distance = []
    for n in plan.LESIONS:
        lesion = sitk.GetImageFromArray(read(folder / f"lesion{n}.nii.gz")[box])
        lesion.SetSpacing(image.GetSpacing())
        far = sitk.SignedMaurerDistanceMap(
            lesion, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )
        distance.append(sitk.GetArrayFromImage(far))
    _, n_parts = cc3d.connected_components(liver, return_N=True)
    z, y, x = ((np.arange(b.start, b.stop)) * s for b, s in zip(box, spacing, strict=True))
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
        counts = np.bincount(segments[remnant], minlength=9)
        found[name] = {
            "remnant": int(np.count_nonzero(remnant)),
            "segments": {str(n): int(counts[n]) for n in range(1, 9)},
            "margins": [round(max(float(d[remnant].min()), 0.0), 3) for d in distance],
        }
    assert n_parts >= 1
    assert ct.size
    assert portal.any()
    assert hepatic.any()
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Makes the sample patient: every file of this folder but this one.

Run ``python sample_data/make.py`` from the root of a checkout. The same versions of
the package, numpy, pydicom, pyjpegls and isal give the same bytes; other versions
may pack the same values differently. Remove ``ct/`` first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from flr_volumetry.anatomy import SEGMENTS
from flr_volumetry.images import Grid, LabelMap, Mask
from flr_volumetry.io import write_label_map, write_mask
from flr_volumetry.phantom import (
    Compression,
    Phantom,
    PhantomMasks,
    SeriesInfo,
    sample_patient,
    write_dicom_series,
)

HERE = Path(__file__).resolve().parent
SPACING_MM = (1.415, 1.415, 3.0)
NOT_HASHED = {"README.md", "make.py"}

CASE = """\
# A woman of 62 with metastases of a colon cancer in both halves of the liver, after 16 weeks of
# chemotherapy: tumours 1 and 2 lie in the right liver, tumour 3 in segments III and II. Two stages: tumour 3
# is cut out and the right portal vein embolized; four weeks later the right liver is removed.
# Everything here is synthetic; see README.md.

[case]
id = "sample"

[patient]
sex = "F"
age = 62
height_cm = 170
weight_kg = 70
parenchyma = "chemotherapy"
chemotherapy_weeks = 16

[image]
path = "ct/"

[masks]
liver = "masks/liver.nii.gz"
lesions = ["masks/tumour1.nii.gz", "masks/tumour2.nii.gz", "masks/tumour3.nii.gz"]
portal_vein = "masks/portal_vein.nii.gz"
hepatic_veins = "masks/hepatic_veins.nii.gz"
ivc = "masks/ivc.nii.gz"
gallbladder = "masks/gallbladder.nii.gz"
segments = "masks/couinaud.nii.gz"

[[stage]]
name = "stage one"
resections = [{ kind = "wedge", lesions = [3], margin_mm = 5 }]

[[stage]]
name = "stage two"
after = { procedure = "pve", weeks = 4 }
resections = [{ kind = "hepatectomy", name = "right_hepatectomy", caudate = false }]

[assessment]
protocols = ["consensus-20-30-40", "review-2014"]
"""

README = """\
# The sample patient

A synthetic patient: no scan of a person went into it. The anatomy is a set of smooth shapes in
`flr_volumetry/phantom`, drawn after textbook proportions; its volumes are known by integration and stand in
`expected.json` beside the volumes that counting voxels of these masks gives.

| file | what it is |
|---|---|
| `ct/` | CT, portal venous phase: {slices} slices of 3 mm, {columns} x {rows} pixels of 1.415 mm, JPEG-LS |
| `masks/*.nii.gz` | liver (tumours included), three tumours, veins, gallbladder, Couinaud segments |
| `case.toml` | patient and two-stage plan for `flr run` |
| `expected.json` | volumes in mL: of the shapes themselves, and counted |

How it was made: `python sample_data/make.py` (seed {seed}; remove `ct/` first).

Licence: CC0 1.0, no rights reserved. The person, the names and the dates are invented.

## SHA-256

```
{sums}
```
"""


def counted(masks: PhantomMasks) -> dict[str, Mask | LabelMap]:
    """Return the structures by the names of their files."""
    lesions = {mask.name: mask for mask in masks.lesions}
    rest = (masks.liver, masks.portal_vein, masks.hepatic_veins, masks.ivc, masks.gallbladder)
    return {**{mask.name: mask for mask in rest}, **lesions, "couinaud": masks.segments}


def expected(phantom: Phantom, grid: Grid, masks: PhantomMasks) -> str:
    """Return expected.json: volumes of the shapes, and of the voxels of the masks."""
    found = {name: mask for name, mask in counted(masks).items() if isinstance(mask, Mask)}
    for n in SEGMENTS:
        found[f"segment{n}"] = masks.segments.mask_of(n)
    content = {
        "shape": list(grid.shape),
        "affine_lps": grid.affine.tolist(),
        "voxel_ml": round(grid.voxel_ml, 9),
        "true_ml": {name: round(ml, 2) for name, ml in sorted(phantom.true_ml().items())},
        "voxels": {name: mask.count for name, mask in sorted(found.items())},
        "counted_ml": {name: round(mask.ml, 4) for name, mask in sorted(found.items())},
    }
    return json.dumps(content, indent=2) + "\n"


def checksums(folder: Path) -> str:
    """Return one line for each file: its SHA-256 and its path, sorted by path."""
    files = sorted(
        p
        for p in folder.rglob("*")
        if p.is_file() and p.name not in NOT_HASHED and "__pycache__" not in p.parts
    )
    return "\n".join(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}" for p in files
    )


def make(folder: Path) -> None:
    """Write the sample patient into a folder that holds no ct/ yet."""
    phantom, info = sample_patient(), SeriesInfo()
    grid = phantom.default_grid(SPACING_MM, frame_of_reference_uid=info.uid("frame of reference"))
    write_dicom_series(phantom.image(grid), folder / "ct", info=info, compression=Compression.JPEG_LS)
    masks = phantom.structures(grid)
    (folder / "masks").mkdir(exist_ok=True)
    for name, mask in counted(masks).items():
        write = write_label_map if isinstance(mask, LabelMap) else write_mask
        write(folder / "masks" / f"{name}.nii.gz", mask)
    (folder / "case.toml").write_text(CASE, encoding="utf-8")
    (folder / "expected.json").write_text(expected(phantom, grid, masks), encoding="utf-8")
    columns, rows, slices = grid.shape
    text = README.format(
        columns=columns, rows=rows, slices=slices, seed=phantom.spec.seed, sums=checksums(folder)
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="where to write; this folder if not given")
    chosen = parser.parse_args().out
    if (chosen / "ct").exists():
        sys.exit(f"{chosen / 'ct'} exists; remove it first")
    chosen.mkdir(parents=True, exist_ok=True)
    make(chosen)

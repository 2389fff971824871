"""The whole case with the package: series and masks, three resections, margins, volumes, JSON."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flr_volumetry as flr
from benchmarks import plan
from flr_volumetry.anatomy import Structure
from flr_volumetry.volumetry.measure import LiverVolumes


def facts(found: LiverVolumes) -> dict[str, object]:
    return {
        "remnant": round(found.remnant_ml / found.voxel_ml),
        "segments": {
            str(s.segment): round(s.remnant_ml / found.voxel_ml) for s in found.segments if s.segment
        },
        "margins": [round(lesion.margin_mm, 3) for lesion in found.lesions],
    }


def main(folder: Path, out: Path) -> None:
    veins = (Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS)
    names = ["liver", *(f"lesion{n}" for n in plan.LESIONS), *(vein.value for vein in veins)]
    with ThreadPoolExecutor(2) as pool:
        scan = pool.submit(flr.read_image, folder / "ct")
        couinaud = pool.submit(flr.read_label_map, folder / "segments.nii.gz")
        masks = pool.map(flr.read_mask, [folder / f"{name}.nii.gz" for name in names])
        whole, *lesions = (next(masks) for _ in range(1 + len(plan.LESIONS)))
        parts = flr.Masks(whole, lesions, couinaud.result(), zip(veins, masks, strict=True))
        liver = flr.crop_liver(parts, image=scan.result())
    del scan
    cuts = {
        "plane": flr.PlaneResection((flr.Plane(plan.POINT_MM, plan.NORMAL),)),
        "segments": flr.SegmentResection(frozenset(plan.RIGHT)),
        "wedge": flr.WedgeResection((plan.WEDGE_LESION,), plan.WEDGE_MM),
    }
    found = {}
    for name, cut in cuts.items():
        partition = flr.resect(liver, flr.ResectionPlan((flr.Stage(name, (cut,)),)))
        found[name] = facts(flr.measure(liver, partition))
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The whole case with the package: series and masks, three resections, margins, volumes, JSON."""

import json
import sys
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
    image = flr.read_image(folder / "ct")
    liver = flr.crop_liver(
        flr.Masks(
            flr.read_mask(folder / "liver.nii.gz"),
            (flr.read_mask(folder / f"lesion{n}.nii.gz") for n in plan.LESIONS),
            flr.read_label_map(folder / "segments.nii.gz"),
            (
                (structure, flr.read_mask(folder / f"{structure.value}.nii.gz"))
                for structure in (Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS)
            ),
        ),
        image=image,
    )
    del image
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

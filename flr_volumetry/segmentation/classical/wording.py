"""Sentences for the methods section."""

from __future__ import annotations

from flr_volumetry.segmentation.classical import closeup, lesions, liver, maxflow, refine, working

METHODS = (
    "The liver was found without trained weights on an upright copy of the scan with steps of "
    f"{working.STEP_MM} mm: "
    "body, lungs, bone, the inner face of the ribs and the diaphragm first; its grey value from the "
    "largest piece of "
    "even tissue on the patient's right; then a first guess and "
    f"{len(liver.OPENINGS_MM)} smooth cuts by continuous max-flow (Yuan, Bae, Tai 2010; at most "
    f"{maxflow.ITERATIONS} iterations each), whose costs are grey value against the local mean, place and "
    "edges; thin layers darker than both their sides part organs; "
    "what liver, lung and wall enclose (lesions, vessels) was taken in, the vena cava, tracked as a disc "
    "from slice to "
    "slice, kept out.",
    f"Its border was brought to the scan's voxels within {refine.BAND_MM:.0f} mm, half way between the "
    "grey values on "
    "both sides.",
    f"Lesions are pieces that differ by at least {lesions.LEAST_HU:.0f} HU from the liver around them at "
    "scales of "
    f"{', '.join(f'{s:g}' for s in lesions.SCALES_MM)} mm, round, deep and at least {lesions.LEAST_ML} "
    "mL; veins are "
    f"bright tubes on a grid of {closeup.STEP_MM} mm, told apart by the shorter way to the hilum or to "
    "the vena cava.",
)

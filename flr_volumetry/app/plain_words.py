"""Words that name no one, and that the sentences of a report need."""

from __future__ import annotations

import re
from typing import Final

from flr_volumetry.anatomy import HEPATECTOMIES

PLAIN_WORDS: Final = frozenset(
    re.findall(
        "[a-z]+",
        """
    a abdomen abdominal after again all also an and anonymous any archive are as at axial baseline be
    because been before below beside between beyond both branch branches but by can cannot carried case
    cases central chest closed contrast coronal couinaud could count ct curve cut data dcm desktop dicom
    did documents does downloads each else export extended few files first fissure followup for found
    from ge had has have hepatic her his home how image images in inferior input inputs into iso its
    just known label labels landmarks lateral least left lesion lesions less line liver main many mask
    masks media medial mesh middle mm mnt more most mr mri much must my named near neither never new
    nifti nii no none nor not nothing now nrrd of off old on once one only opt or original other our out
    output outputs over patch per phase plan plane plans portal post primary private public remnant
    research resection results right root sagittal same sample scan scans second seg segment
    segmentation segments series several should siemens since slice slices some stage standard still stl
    studies study such surface synthetic temp test tests than that the their them then there these they
    this thorax those three through thus tmp to together tumor tumors tumour tumours two under unknown
    until upon use used user users var vein veins venous very vessel vessels volume volumes was wedge
    were what when where whether which while who why with without work would yes you your
    """,
    )
) | frozenset(
    word
    for h in HEPATECTOMIES
    for name in (h.key, h.name, *h.synonyms)
    for word in re.findall("[a-z]+", name)
)
"""Everyday English, what folders of scans are called, structures, and the words of named hepatectomies. First
and family names that are words too (May, Long, Young) are not among them."""

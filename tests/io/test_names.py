"""Names that people give, and codes, become structures; what could be two things is never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr_volumetry.anatomy import ROMAN, SEGMENTS, Structure
from flr_volumetry.errors import AmbiguousError
from flr_volumetry.io.dicom.codes import Code, Segment
from flr_volumetry.io.names import Meaning, by_code, by_name, meaning_of

PLAIN = {
    Structure.LIVER: [
        "Liver",
        "liver",
        "LIVER",
        "whole liver",
        "liver mask",
        "liver_seg",
        "Leber",
        "Foie",
        "Liver.seg",
    ],
    Structure.REMNANT: [
        *("Liver Remnant", "Liver_Remnant", "LiverRemnant", "liver-remnant", "remnant", "FLR", "flr volume"),
        *("Future liver remnant", "future_liver_remnant", "Planned remnant", "remnant liver", "Restleber"),
    ],
    Structure.PORTAL_VEIN: [
        *("Portal", "portal vein", "portalvein", "portal_veins", "PV", "Vena portae", "Pfortader"),
        *("portal_vein_and_splenic_vein", "Veine porte"),
    ],
    Structure.HEPATIC_VEINS: ["Hepatic", "hepatic veins", "hepaticvein", "Lebervenen", "veines hépatiques"],
    Structure.IVC: ["IVC", "venacava", "inferior_vena_cava", "Vena cava inferior"],
    Structure.GALLBLADDER: ["gallbladder", "gall_bladder", "Gallenblase"],
    Structure.SEGMENTS: ["couinaud", "Couinaud segments", "liver segments", "segments"],
    Structure.LESION: ["tumor", "livertumors", "liver_lesions", "Metastases", "HCC", "CRLM", "Läsion"],
}


@pytest.mark.parametrize(("structure", "name"), [(s, name) for s, names in PLAIN.items() for name in names])
def test_a_name_without_number_is_its_structure(structure, name):
    assert by_name(name) == Meaning(structure)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(("Tumor_1", 1), ("Tumor_12", 12), ("tumour 3", 3), ("livertumor1", 1), ("Lesion-02", 2)),
        *(
            ("liver_lesion_4", 4),
            ("met 5", 5),
            ("Metastasis_1", 1),
            ("hepatic_tumor_2", 2),
            ("Lebermetastase 7", 7),
        ),
    ],
)
def test_a_lesion_keeps_its_number(name, number):
    assert by_name(name) == Meaning(Structure.LESION, number)


@pytest.mark.parametrize("n", SEGMENTS)
def test_a_couinaud_segment_is_told_by_prefix_or_roman_numeral(n):
    for name in (
        f"liver_segment_{n}",
        f"Couinaud {n}",
        f"segment {ROMAN[n]}",
        f"Seg {ROMAN[n]}",
        f"Liver Segment {ROMAN[n]}",
    ):
        assert by_name(name) == Meaning(Structure.SEGMENTS, n)
    for name in (f"Segment_{n}", f"segment {n}", f"S{n}"):
        with pytest.raises(AmbiguousError, match="running number"):
            by_name(name)


def test_parts_are_told():
    assert by_name("segment 4a") == Meaning(Structure.SEGMENTS, 4, "a")
    assert by_name("Segment IVb") == Meaning(Structure.SEGMENTS, 4, "b")
    assert by_name("right hepatic vein") == by_name("RHV") == Meaning(Structure.HEPATIC_VEINS, 0, "right")
    assert by_name("inferior right hepatic vein") == Meaning(Structure.HEPATIC_VEINS, 0, "inferior right")
    assert (
        by_name("left portal vein")
        == by_name("portal_vein_left")
        == Meaning(Structure.PORTAL_VEIN, 0, "left")
    )


@pytest.mark.parametrize(
    "name",
    [
        "venoussystem",
        "liver_vessels",
        "vessel",
        "veins",
        "Liver parenchyma",
        "left lobe",
        "Left liver",
        "GTV-1",
        "GTV",
    ],
)
def test_what_could_be_two_things_is_refused(name):
    with pytest.raises(AmbiguousError) as caught:
        by_name(name)

    assert caught.value.reason == "ambiguous_name"
    assert name in caught.value.message


@pytest.mark.parametrize(
    "name",
    [
        *(
            "spleen",
            "kidney_tumor",
            "bone",
            "artery",
            "hepatic artery",
            "lung",
            "liver cyst",
            "pancreas",
            "",
            "__",
        ),
        *(
            "Spinal cord",
            "bonetumor",
            "delivery",
            "livers of geese",
            "not liver",
            "tumor core",
            "5",
            "liver1",
            "aorta",
        ),
    ],
)
def test_other_names_are_no_structure_of_a_liver(name):
    assert by_name(name) is None


@given(st.text(max_size=30))
def test_any_name_is_a_structure_none_or_ambiguous(name):
    try:
        meaning = by_name(name)
    except AmbiguousError:
        return
    assert meaning is None or meaning.structure in Structure


LIVER = Code("SCT", "10200004", "Liver")
TUMOR = Code("SCT", "86049000", "Neoplasm, primary")
TISSUE = Code("SCT", "85756007", "Tissue")


def test_old_and_new_codes_mean_the_same():
    pairs = {
        "T-62000": Meaning(Structure.LIVER),
        "T-48810": Meaning(Structure.PORTAL_VEIN),
        "T-48720": Meaning(Structure.HEPATIC_VEINS),
        "T-48725": Meaning(Structure.HEPATIC_VEINS, 0, "right"),
        "T-48710": Meaning(Structure.IVC),
        "T-63000": Meaning(Structure.GALLBLADDER),
        "M-80006": Meaning(Structure.LESION),
        "T-D056B": Meaning(Structure.SEGMENTS, 5),
    }
    for value, meaning in pairs.items():
        assert by_code([Code("SRT", value)]) == meaning
    couinaud = "71133005 277956007 277957003 277958008 277959000 277960005 277961009 277962002"
    for n, value in enumerate(couinaud.split(), 1):
        assert by_code([Code("SCT", value)]) == Meaning(Structure.SEGMENTS, n)
    assert by_code([Code("DCM", "10200004")]) is None
    assert by_code([TISSUE]) is None


def test_the_codes_are_those_of_the_dictionary():
    """Every SNOMED-RT code stands for the same SNOMED CT concept in pydicom's copy of annex O."""
    from pydicom.sr import _snomed_dict

    from flr_volumetry.io import names

    for old, new in names._FROM_SRT.items():
        assert _snomed_dict.mapping["SRT"].get(old, new) == new
        assert new in names._SNOMED


@pytest.mark.parametrize(
    ("segment", "meaning"),
    [
        (Segment(1, "my mask", (LIVER,)), Meaning(Structure.LIVER)),
        (Segment(1, "Liver Remnant", (LIVER,)), Meaning(Structure.REMNANT)),
        (Segment(1, "Segment_5", (LIVER,)), Meaning(Structure.LIVER)),
        (Segment(1, "liver_segment_5", (LIVER,)), Meaning(Structure.SEGMENTS, 5)),
        (Segment(1, "Tumor_2", (LIVER,)), Meaning(Structure.LESION, 2)),
        (Segment(1, "Tumor_2", (TUMOR,)), Meaning(Structure.LESION, 2)),
        (Segment(1, "big one 3", (TUMOR,)), Meaning(Structure.LESION, 3)),
        (Segment(1, "GTV-1", (TUMOR,)), Meaning(Structure.LESION)),
        (Segment(1, "Portal", (TISSUE,)), Meaning(Structure.PORTAL_VEIN)),
        (Segment(1, "thing", (Code("SCT", "8993003"),)), Meaning(Structure.HEPATIC_VEINS)),
        (Segment(1, "RHV", (Code("SCT", "8993003"),)), Meaning(Structure.HEPATIC_VEINS, 0, "right")),
        (Segment(1, "Hepatic", (Code("SCT", "272998002"),)), Meaning(Structure.HEPATIC_VEINS, 0, "right")),
        (Segment(1, "Segment 5", (Code("SCT", "277959000"),)), Meaning(Structure.SEGMENTS, 5)),
        (Segment(1, "Tumor_1", (TUMOR,), (Code("SRT", "T-62000"),)), Meaning(Structure.LESION, 1)),
        (Segment(1, "Tumor_1", (TUMOR,), (Code("SCT", "64033007", "Kidney"),)), None),
        (Segment(1, "Tumor_1", (TISSUE,), (Code("SCT", "64033007", "Kidney"),)), None),
        (Segment(1, "whatever", (TISSUE,)), None),
    ],
)
def test_the_code_decides_and_the_name_makes_it_precise(segment, meaning):
    assert meaning_of(segment) == meaning


@pytest.mark.parametrize(
    "segment",
    [
        Segment(1, "Liver", (TUMOR,)),
        Segment(1, "Portal", (Code("SCT", "8993003"),)),
        Segment(1, "Gallbladder", (LIVER,)),
        Segment(1, "liver_segment_4", (Code("SCT", "277959000"),)),
        Segment(1, "vessels", (TISSUE,)),
    ],
)
def test_a_name_and_a_code_that_contradict_each_other_are_refused(segment):
    with pytest.raises(AmbiguousError):
        meaning_of(segment)

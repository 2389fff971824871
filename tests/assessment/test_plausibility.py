"""What looks odd is pointed out, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from flr_volumetry.assessment import Phase, Tissue, assess
from flr_volumetry.volumetry.patient import Parenchyma
from tests.assessment.cases import NORMAL, codes, liver, protocol, rule

PLAUSIBLE = {1: 40.0, 2: 130.0, 3: 140.0, 4: 270.0, 5: 250.0, 6: 170.0, 7: 270.0, 8: 380.0}


def caveats_of(volumes, patient=NORMAL, tissue=None):
    return codes(assess(volumes, patient, [protocol(rule(threshold=0.9))], tissue=tissue))


@pytest.mark.parametrize(
    ("tumour", "expected"),
    [
        (825.0, []),
        (826.0, ["large_tumour_share"]),
        (1155.0, ["large_tumour_share"]),
        (1156.0, ["large_tumour_share", "oncosurge_involvement"]),
    ],
)
def test_large_tumours_are_pointed_out(tumour, expected):
    """Above 50 % of the liver, and above OncoSurge's 70 %."""
    assert caveats_of(liver(tumour=tumour)) == expected


def test_tumour_left_and_growth_not_counted_are_pointed_out():
    """Tumour that stays, and a stage after embolization."""
    assert caveats_of(liver(tumour_left=5.0)) == ["tumour_in_remnant"]
    assert caveats_of(liver(after="pve, 4 weeks")) == ["growth_not_counted"]


SHARES = [
    ({}, []),
    ({8: 510.0, 4: 140.0}, ["segment_share_unusual"]),
    ({4: 330.0, 5: 190.0}, []),
    ({4: 420.0, 5: 100.0}, ["segment_share_unusual"]),
    ({2: 220.0, 4: 420.0, 5: 10.0}, ["segment_share_unusual"] * 3),
    ({4: 580.0, 5: 0.0, 6: 110.0}, ["segment_share_unusual"] * 2 + ["segment_share_implausible"]),
]


@pytest.mark.parametrize(("change", "expected"), SHARES)
def test_unusual_segments_are_pointed_out(change, expected):
    """Shares beyond two standard deviations, and beyond the published range by five points."""
    segments = {**PLAUSIBLE, **change}

    assert sum(segments.values()) == pytest.approx(1650.0)
    assert caveats_of(liver(segments=segments)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"age": 17.9}, ["child"]),
        ({"age": 18}, []),
        ({"weight_kg": 86.6}, []),
        ({"weight_kg": 86.8}, ["obesity_inflates_telv"]),
        ({"parenchyma": Parenchyma.CIRRHOSIS}, ["telv_in_cirrhosis"]),
        ({"height_cm": 122, "weight_kg": 40}, ["telv_bsa_out_of_range"]),
    ],
)
def test_patients_beside_the_studied_ones_are_pointed_out(changes, expected):
    """Children, obesity, cirrhosis, and bodies beyond the formula's range."""
    assert caveats_of(liver(), dataclasses.replace(NORMAL, **changes)) == expected


@pytest.mark.parametrize(
    ("tissue", "expected"),
    [
        (Tissue(55, Phase.UNENHANCED), []),
        (Tissue(40, Phase.UNENHANCED), []),
        (Tissue(39.9, Phase.UNENHANCED), ["possible_steatosis"]),
        (Tissue(45, Phase.UNENHANCED, spleen_hu=55), ["possible_steatosis"]),
        (Tissue(45, Phase.UNENHANCED, spleen_hu=54), []),
        (Tissue(15, Phase.UNENHANCED), ["implausible_liver_hu", "possible_steatosis"]),
        (Tissue(110, Phase.PORTAL_VENOUS, spleen_hu=130), []),
        (Tissue(60, Phase.PORTAL_VENOUS), ["implausible_liver_hu"]),
        (Tissue(151, Phase.PORTAL_VENOUS), ["implausible_liver_hu"]),
        (Tissue(30, Phase.UNKNOWN), []),
    ],
)
def test_ct_numbers_hint_at_steatosis_only_without_contrast(tissue, expected):
    """Dark livers on unenhanced scans; implausible ones in each known phase."""
    assert caveats_of(liver(), tissue=tissue) == expected

"""CT numbers hint at steatosis only where the case says that the scan is unenhanced."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from flr_volumetry.app.case import make_case
from flr_volumetry.app.functional_map import tissue_of, with_spleen
from flr_volumetry.assessment.plausibility import Phase, patient_caveats, tissue_caveats
from flr_volumetry.images import Image, Source
from flr_volumetry.volumetry.liver_function import LiverFunction
from flr_volumetry.volumetry.patient import Parenchyma, Patient
from tests.livers import ball_liver

CASE = {
    "case": {"id": "x"},
    "image": {"path": "ct"},
    "masks": {"liver": "l.nii"},
    "stage": [{"resections": [{"kind": "segments", "segments": [2]}]}],
}


def scanned(hu, *, phase=None, modality="CT", spleen_hu=None):
    """Return what is read from a liver of so many HU with a bright lesion in it."""
    liver = ball_liver("axial", scale=3.0, lesions=[((0, 0, 0), 15.0)])
    values = np.full(liver.grid.shape, hu, dtype=np.float32)
    for lesion in liver.lesions:
        values[lesion.box][lesion.voxels] = 500
    liver = dataclasses.replace(liver, image=Image(liver.grid, values, Source(modality=modality)))
    image = {"path": "ct"} if phase is None else {"path": "ct", "phase": phase}
    patient = Patient(function=LiverFunction(spleen_hu=spleen_hu))
    return with_spleen(tissue_of(make_case({**CASE, "image": image}), liver), patient)


def test_without_a_phase_or_on_mr_nothing_is_read_from_the_numbers():
    assert scanned(35) is None
    assert scanned(35, phase="unenhanced", modality="MR") is None


@pytest.mark.parametrize(
    ("hu", "spleen", "hinted"), [(39, None, True), (41, None, False), (45, 55, True), (45, 54, False)]
)
def test_an_unenhanced_liver_below_40_hu_or_10_below_the_spleen_is_a_hint(hu, spleen, hinted):
    tissue = scanned(hu, phase="unenhanced", spleen_hu=spleen)
    assert (tissue.phase, tissue.median_hu, tissue.spleen_hu) == (Phase.UNENHANCED, hu, spleen)
    said = [c.message for c in tissue_caveats(tissue) if c.code == "possible_steatosis"]
    assert bool(said) is hinted
    if said:
        assert "stays as given" in said[0]
    if said and spleen is not None:
        assert "macrosteatosis" in said[0]


def test_a_contrast_phase_gives_no_hint():
    tissue = scanned(45, phase="portal_venous", spleen_hu=120)
    assert [c.code for c in tissue_caveats(tissue)] == ["implausible_liver_hu"]


@pytest.mark.parametrize(
    ("pdff", "parenchyma", "hinted"),
    [
        (6.3, Parenchyma.CHEMOTHERAPY, False),
        (6.4, Parenchyma.CHEMOTHERAPY, True),
        (30.0, Parenchyma.STEATOSIS, False),
    ],
)
def test_a_fat_fraction_is_a_hint_that_changes_nothing(pdff, parenchyma, hinted):
    patient = Patient(parenchyma=parenchyma, function=LiverFunction(pdff_percent=pdff))
    assert ("possible_steatosis" in {c.code for c in patient_caveats(patient)}) is hinted
    assert patient.parenchyma is parenchyma


@pytest.mark.parametrize(
    ("platelets", "weeks", "hinted"), [(90.0, 8, True), (110.0, 8, False), (90.0, 0, False)]
)
def test_the_three_signs_of_steatohepatitis_after_chemotherapy_are_a_hint(platelets, weeks, hinted):
    tests = LiverFunction(pdff_percent=10.0, splenomegaly=True, platelets_per_nl=platelets)
    patient = Patient(parenchyma=Parenchyma.CHEMOTHERAPY, chemotherapy_weeks=weeks, function=tests)
    assert ("possible_cash" in {c.code for c in patient_caveats(patient)}) is hinted

"""The bundled patient is what its README, its expected numbers and the phantom say."""

from __future__ import annotations

import hashlib
import json
import runpy
import tomllib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from flr_volumetry.anatomy import SEGMENTS
from flr_volumetry.io import read_image, read_masks

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
MADE_BY_HAND = {"README.md", "make.py"}


@pytest.fixture(scope="module")
def expected():
    """The numbers that go with the sample."""
    return json.loads((SAMPLE / "expected.json").read_text(encoding="utf-8"))


def test_every_file_has_the_checksum_the_readme_names():
    """And no file is missing or unnamed."""
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    named = dict(reversed(line.split("  ")) for line in readme.split("```")[1].split("\n") if "  " in line)
    files = [p for p in SAMPLE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    found = {
        p.relative_to(SAMPLE).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if p.name not in MADE_BY_HAND
    }

    assert found == named


def test_the_sample_is_small():
    """The series at most 5 MB, all at most 6 MB."""
    size = {p: p.stat().st_size for p in SAMPLE.rglob("*") if p.is_file()}

    assert sum(size.values()) < 6e6
    assert sum(n for p, n in size.items() if p.parent.name == "ct") < 5e6


def test_the_true_volumes_are_the_phantoms(expected, truth):
    """expected.json holds what integration gives, to its two decimals."""
    assert expected["true_ml"] == {name: pytest.approx(ml, abs=0.0051) for name, ml in truth.items()}


def test_the_masks_hold_the_voxels_expected(expected):
    """Counted with nibabel alone."""
    import nibabel

    found = {}
    for path in (SAMPLE / "masks").glob("*.nii.gz"):
        image = nibabel.load(path)
        voxels = np.asarray(image.dataobj)
        assert abs(np.linalg.det(image.affine)) / 1000 == pytest.approx(expected["voxel_ml"], rel=1e-6)
        if path.name.startswith("couinaud"):
            found |= {f"segment{n}": int((voxels == n).sum()) for n in SEGMENTS}
        else:
            assert set(np.unique(voxels)) == {0, 1}
            found[path.name.removesuffix(".nii.gz")] = int(voxels.sum())

    assert found == expected["voxels"]


def test_counted_volumes_are_voxels_times_their_volume_and_near_the_truth(expected):
    """Within 2 % for every structure, within 0.1 % for the liver."""
    for name, count in expected["voxels"].items():
        assert expected["counted_ml"][name] == pytest.approx(count * expected["voxel_ml"], abs=1e-3)
        assert expected["counted_ml"][name] == pytest.approx(expected["true_ml"][name], rel=0.02)
    assert expected["counted_ml"]["liver"] == pytest.approx(expected["true_ml"]["liver"], rel=0.001)


def test_scan_and_masks_lie_on_one_grid(expected):
    """Read by the package, the series and a mask have the expected affine, and the liver the liver's HU."""
    image = read_image(SAMPLE / "ct")
    liver = read_masks(SAMPLE / "masks" / "liver.nii.gz")["liver"]

    assert list(image.grid.shape) == expected["shape"]
    assert image.grid.affine == pytest.approx(np.array(expected["affine_lps"]), abs=1e-3)
    assert liver.grid.affine == pytest.approx(image.grid.affine, abs=1e-3)
    assert 100 < np.median(image.voxels[liver.voxels]) < 120


def test_the_case_file_names_files_that_exist_and_a_plan_in_two_stages():
    """Stage one clears tumour 3; stage two, after embolization, is a right hepatectomy."""
    case = tomllib.loads((SAMPLE / "case.toml").read_text(encoding="utf-8"))
    masks = case["masks"]
    paths = [case["image"]["path"], *masks.pop("lesions"), *masks.values()]

    assert all((SAMPLE / path).exists() for path in paths)
    assert case["stage"][0]["resections"] == [{"kind": "wedge", "lesions": [3], "margin_mm": 5}]
    assert case["stage"][1]["after"] == {"procedure": "pve", "weeks": 4}
    assert case["stage"][1]["resections"][0]["caudate"] is False


def test_the_headers_name_no_person():
    """Every slice is marked as synthetic, and none carries a private element."""
    for path in sorted((SAMPLE / "ct").iterdir())[::20]:
        data = pydicom.dcmread(path)

        assert str(data.PatientName) == "Phantom^Sample"
        assert data.PatientIdentityRemoved == "YES"
        assert not [element for element in data if element.tag.is_private]


@pytest.mark.slow
def test_the_recipe_makes_the_same_scan_and_masks_again(tmp_path):
    """Values are compared, not bytes: packing may differ between library versions."""
    recipe = runpy.run_path(str(SAMPLE / "make.py"))
    recipe["make"](tmp_path)
    here, there = read_image(SAMPLE / "ct"), read_image(tmp_path / "ct")

    assert np.abs(here.voxels.astype(int) - there.voxels).max() <= 1
    assert json.loads((tmp_path / "expected.json").read_text()) == json.loads(
        (SAMPLE / "expected.json").read_text()
    )

"""The awkward files, ours beside SimpleITK and dcm2niix: ``make evaluate`` prints the table."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from flr_volumetry.errors import FlrError
from flr_volumetry.io import inspect, read_image

CORNER_ATOL_MM = 0.02
KINDS = {"series", "enhanced"}
RIGHT, REFUSED, WRONG = "right", "refused", "WRONG"


def corners(affine, shape):
    """Centres of the eight corner voxels, whatever way the axes run, as a sorted array."""
    i, j, k = (n - 1 for n in shape)
    index = np.array([[a, b, c, 1] for a in (0, i) for b in (0, j) for c in (0, k)])
    points = (index @ np.asarray(affine).T)[:, :3]
    return points[np.lexsort(np.round(points, 1).T)]


def truth_of(case):
    """Affine and shape that the case has, or None where it must be refused or split."""
    grid = (case["expected"] or {}).get("grid")
    if not grid or not case["expected_outcome"].startswith("volume"):
        return None
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(grid["index_to_lps_columns"], (3, 3))
    affine[:3, 3] = grid["origin_lps"]
    return affine, tuple(grid["columns_rows_slices"])


def judge(found, case):
    """Right, refused or wrong: a volume of another grid, or any where there is none."""
    if not found:
        return REFUSED
    truth = truth_of(case)
    if truth is None:
        return RIGHT if case["expected_outcome"] == "split" and len(found) > 1 else WRONG
    expected = corners(*truth)
    near = [
        sorted(shape) == sorted(truth[1]) and np.abs(corners(affine, shape) - expected).max() < CORNER_ATOL_MM
        for affine, shape in found
    ]
    return RIGHT if all(near) else WRONG


def ours(folder):
    """Volumes that are offered without a refusal."""
    items = [i for i in inspect(folder).to_json()["items"] if i["kind"] == "image" and i["status"] == "ok"]
    return [(np.array(i["affine_lps"]), tuple(i["shape"])) for i in items]


def simple_itk(folder):
    """Every series that its reader finds, in the folder or one level below."""
    found = []
    for place in sorted({p.parent for p in folder.rglob("*") if p.is_file()}):
        for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(place)):
            names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(place), uid)
            try:
                image = sitk.ReadImage(names)
            except RuntimeError:
                continue
            if image.GetDimension() == 4:
                image = image[..., 0]
            affine = np.eye(4)
            affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
            affine[:3, 3] = image.GetOrigin()
            found.append((affine, image.GetSize()))
    return found


def dcm2niix(folder, out):
    """Every NIfTI file that it writes."""
    program = shutil.which("dcm2niix", path=str(Path(sys.executable).parent)) or shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed: pip install dcm2niix")
    subprocess.run(
        [program, "-z", "n", "-d", "4", "-o", str(out), str(folder)], capture_output=True, check=False
    )
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    return [
        (flip @ image.affine, image.shape[:3])
        for image in map(nib.load, sorted(out.glob("*.nii")))
        if len(image.shape) > 2
    ]


@pytest.mark.evaluate
def test_ours_is_never_wrong_and_the_table_shows_the_others(real_data, tmp_path, capsys, monkeypatch):
    """On every case with one right answer."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    cases = json.loads((real_data / "torture" / "manifest.json").read_text())["cases"]
    rows = []
    for case in cases:
        grid = truth_of(case)
        if case["kind"] not in KINDS or case["expected_outcome"] == "no_crash":
            continue
        if case["expected_outcome"].startswith("volume") and grid is None:
            continue
        folder = real_data / "torture" / case["id"]
        out = tmp_path / case["id"]
        out.mkdir()
        verdicts = [judge(found, case) for found in (ours(folder), simple_itk(folder), dcm2niix(folder, out))]
        try:
            reason = f"{read_image(folder).grid.shape}"
        except FlrError as error:
            reason = error.reason
        rows.append((case["id"], case["expected_outcome"], *verdicts, reason))
    with capsys.disabled():
        print(f"\n{'case':34}{'expected':18}{'ours':9}{'SimpleITK':11}{'dcm2niix':10}read_image")
        for name, expected, mine, itk, niix, reason in rows:
            print(f"{name:34}{expected:18}{mine:9}{itk:11}{niix:10}{reason}")
        for column, reader in ((2, "ours"), (3, "SimpleITK"), (4, "dcm2niix")):
            print(f"{reader}: {sum(row[column] == WRONG for row in rows)} of {len(rows)} wrong in silence")
    assert [row[0] for row in rows if row[2] == WRONG] == []
    refused = [row[0] for row in rows if row[1] == "volume" and row[2] == REFUSED]
    assert refused == []

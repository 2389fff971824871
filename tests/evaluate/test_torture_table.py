"""The awkward files, ours beside SimpleITK and dcm2niix: ``make evaluate`` prints the table.

Volumes are judged by their grid, masks by the voxels of each structure and the size of one.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from flr_volumetry.io import inspect

CORNER_ATOL_MM = 0.02
VOXEL_RTOL = 1e-4
CASES = 43
SERIES = {"series", "enhanced", "dicomdir", "junk"}
FILES = {"nifti", "nrrd"}
RIGHT, REFUSED, WRONG, NO_READER = "right", "refused", "WRONG", "-"


def corners(affine, shape):
    """Centres of the eight corner voxels, whatever way the axes run, as a sorted array."""
    i, j, k = (n - 1 for n in shape)
    index = np.array([[a, b, c, 1] for a in (0, i) for b in (0, j) for c in (0, k)])
    points = (index @ np.asarray(affine).T)[:, :3]
    return points[np.lexsort(np.round(points, 1).T)]


def truth_of(case):
    """Affine (None where it is not said) and shape of the volume, or None where there is none."""
    expected = case["expected"] or {}
    grid = expected.get("grid") or next(iter((expected.get("grids") or {}).values()), None)
    if not grid or not case["expected_outcome"].startswith("volume"):
        return None
    if "index_to_lps_columns" not in grid:
        return None, tuple(grid["columns_rows_slices"])
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(grid["index_to_lps_columns"], (3, 3))
    affine[:3, 3] = grid["origin_lps"]
    return affine, tuple(grid["columns_rows_slices"])


def judge(found, case):
    """Right, refused or wrong: a volume of another grid, or any where there is none."""
    if case["expected_outcome"] == "no_crash":
        return RIGHT
    if not found:
        return RIGHT if case["expected_outcome"] == "refuse" else REFUSED
    truth = truth_of(case)
    if truth is None:
        parts = (case["expected"] or {}).get("split_into", 0)
        # Of the medium of three patients only some series are volumes; none of these readers joins them.
        split = len(found) == parts if parts else case["kind"] == "dicomdir"
        return RIGHT if case["expected_outcome"] == "split" and split else WRONG
    if truth[0] is None:
        return RIGHT if all(sorted(shape) == sorted(truth[1]) for _, shape in found) else WRONG
    expected = corners(*truth)
    near = [
        sorted(shape) == sorted(truth[1]) and np.abs(corners(affine, shape) - expected).max() < CORNER_ATOL_MM
        for affine, shape in found
    ]
    return RIGHT if all(near) else WRONG


def masks_of(case):
    """What the files of masks hold, by file: voxels of each structure, sorted, and of how many mm3."""
    expected = case["expected"]
    if "segments" in expected:
        return {
            file: (sorted(said["voxels"].values()), said["voxel_mm3"])
            for file, said in expected["segments"].items()
        }
    if "contours" in expected:
        (file, _), (_, drawn), *_ = expected["contours"].items()
        if isinstance(drawn, str):
            return {file: ([], 0.0)}
        return {file: (sorted(mask["voxels"] for mask in drawn.values()), 0.0)}
    return {
        file: (
            sorted((said.get("segments", {}).get("counts") or said["labels"]).values()),
            said.get("segments", {}).get("voxel_mm3") or said.get("det_mm3", 0.0),
        )
        for file, said in expected["files"].items()
        if case["expected_outcome"].endswith("mask") and (said.get("segments") or said.get("labels"))
    }


def judge_masks(found, truth, case):
    """Right, refused or wrong: other numbers of voxels, or of another size."""
    if found is None:
        return RIGHT if case["expected_outcome"] == "refuse" else REFUSED
    if case["expected_outcome"] == "refuse":
        return WRONG
    counts, voxel_mm3 = found
    same_size = not truth[1] or abs(voxel_mm3 / truth[1] - 1) < VOXEL_RTOL
    return RIGHT if sorted(counts) == truth[0] and same_size else WRONG


def worst(verdicts):
    """One verdict for a case of several files."""
    return next((v for v in (WRONG, REFUSED, RIGHT) if v in verdicts), NO_READER)


def our_masks(path, beside):
    """Voxels of each structure and the size of a voxel, or None where the file is refused."""
    listed = inspect(beside).to_json()["items"]
    items = [i for i in listed if i["kind"] == "masks" and i["path"] == str(path)]
    if not items or items[0]["status"] != "ok":
        return None
    return [s["voxels"] for s in items[0]["segments"]], items[0]["voxel_mm3"]


def itk_masks(path):
    """Voxels of each value of a file, read as the plain image that SimpleITK takes it for."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    array = sitk.GetArrayFromImage(image)
    counts = np.unique(array[array != 0], return_counts=True)[1].tolist()
    return counts, float(np.prod(image.GetSpacing()[:3]))


def niix_masks(path, out):
    """The same of what dcm2niix makes of a file by itself."""
    alone = out / path.stem
    alone.mkdir()
    shutil.copy(path, alone)
    made = out / f"{path.stem} made"
    made.mkdir()
    dcm2niix(alone, made)
    written = sorted(made.glob("*.nii"))
    return itk_masks(written[0]) if written else None


def verdicts_of(case, folder, out):
    """Ours, SimpleITK's and dcm2niix's."""
    if case["kind"] in SERIES:
        return [judge(found, case) for found in (ours(folder), simple_itk(folder), dcm2niix(folder, out))]
    truth = masks_of(case)
    paths = {file: next(folder.rglob(file)) for file in truth}
    mine = [judge_masks(our_masks(paths[f], folder), truth[f], case) for f in truth]
    itk = [judge_masks(itk_masks(paths[f]), truth[f], case) for f in truth]
    niix = []
    if case["kind"] == "seg":
        niix = [judge_masks(niix_masks(paths[f], out), truth[f], case) for f in truth]
    if case["kind"] in FILES and not truth:
        mine, itk = [judge(ours(folder), case)], [judge(itk_files(folder), case)]
    if case["kind"] == "rtstruct":
        itk = []
        if truth_of(case):
            # Contours have no reader there; the images they were drawn on have.
            mine.append(judge(ours(folder), case))
            itk, niix = [judge(simple_itk(folder), case)], [judge(dcm2niix(folder, out), case)]
    return [worst(mine), worst(itk), worst(niix)]


def itk_files(folder):
    """Every file that SimpleITK reads as one volume; one of more dimensions is told by its size."""
    found = []
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError:
            continue
        if image.GetDimension() == 3:
            found.append((np.eye(4), image.GetSize()))
    return found


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
def test_ours_is_never_wrong_and_the_table_shows_the_others(real_data, tmp_path, capsys):
    """On every case: what is expected, and what each reader makes of it."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    cases = json.loads((real_data / "torture" / "manifest.json").read_text())["cases"]
    rows = []
    for case in cases:
        out = tmp_path / case["id"]
        out.mkdir()
        folder = real_data / "torture" / case["id"]
        wanted = case["expected_outcome"] + (f": {case['reason']}" if case["reason"] else "")
        rows.append((case["id"], wanted, *verdicts_of(case, folder, out)))
    with capsys.disabled():
        print(f"\n{'case':34}{'expected':38}{'ours':9}{'SimpleITK':11}dcm2niix")
        for name, wanted, mine, itk, niix in rows:
            print(f"{name:34}{wanted:38}{mine:9}{itk:11}{niix}")
        for column, reader in ((2, "ours"), (3, "SimpleITK"), (4, "dcm2niix")):
            read = [row[column] for row in rows if row[column] != NO_READER]
            print(
                f"{reader}: {read.count(WRONG)} of {len(read)} wrong in silence, "
                f"{read.count(REFUSED)} good ones refused"
            )
    assert len(rows) == CASES
    either = {case["id"] for case in cases if case["expected_outcome"] == "volume_or_refuse"}
    assert [row[0] for row in rows if row[2] != RIGHT and row[0] not in either] == []

"""Other programs read the same voxels and numbers from our DICOM objects: dcmqi, and OHIF's adapter.

dcmqi comes from PyPI (`pip install dcmqi`), the adapter from npm:
`npm install --prefix DIR @cornerstonejs/adapters@5.14.0 @babel/runtime@7` with ``FLR_NODE_MODULES=DIR``. Node
20 or newer. Without them the tests are skipped. With ``FLR_DICOM_CASE=CASE.toml`` and
``FLR_DICOM_ROOT=FOLDER`` a case of your own is taken instead of the sample.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.app.case import read_case
from flr_volumetry.app.cli import main
from flr_volumetry.app.sample import sample_case
from flr_volumetry.io import read_image, read_label_map

pytestmark = pytest.mark.evaluate
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def case():
    found = read_case(Path(os.environ.get("FLR_DICOM_CASE", sample_case())))
    root = os.environ.get("FLR_DICOM_ROOT")
    return found.with_root(Path(root)) if root else found


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers") / "out"
    words = ["run", os.environ.get("FLR_DICOM_CASE", str(sample_case())), "--out", str(folder)]
    root = os.environ.get("FLR_DICOM_ROOT")
    done = CliRunner().invoke(main, [*words, "--dicom", *(["--root", root] if root else [])])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def report(out):
    return json.loads((out / "report.json").read_text())


def listed(report, name):
    return next(e["dicom"]["segments"] for e in report["outputs"] if e["path"] == f"dicom/{name}.dcm")


def segmentations(out):
    return sorted(p.stem for p in (out / "dicom").glob("seg_*.dcm"))


def tool(name):
    """A program of dcmqi, beside this Python or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (pip install dcmqi)")
    return found


def test_dcmqi_reads_the_same_voxels_where_they_are(case, out, report, tmp_path):
    """Each segment as NIfTI: as many voxels, and those of the plan at the places of the partition."""
    program = tool("segimage2itkimage")
    partition = read_label_map(out / "partition.nii.gz")
    for name in segmentations(out):
        folder = tmp_path / name
        folder.mkdir()
        words = ["--inputDICOM", out / "dicom" / f"{name}.dcm", "--outputDirectory", folder, "-t", "nii"]
        subprocess.run([program, *map(str, words)], check=True, capture_output=True)
        for segment in listed(report, name):
            image = nibabel.load(folder / f"{segment['number']}.nii.gz")
            inside = np.asarray(image.dataobj) > 0
            assert int(inside.sum()) == segment["voxels"], (name, segment["label"])
            lps = np.argwhere(inside) @ image.affine[:3, :3].T + image.affine[:3, 3]
            places = np.rint(partition.grid.indices_at(lps * [-1, -1, 1])).astype(int)
            assert len(np.unique(places, axis=0)) == segment["voxels"]
            labels = partition.voxels[tuple(places.T)]
            assert (labels > 0).all()
            if segment["label"] == "Future liver remnant":
                assert (labels == 1).all()
        print(f"dcmqi {name}: {[(s['label'], s['voxels']) for s in listed(report, name)]}")


def test_dcmqi_reads_the_same_numbers(out, report, tmp_path):
    program = tool("tid1500reader")
    written = tmp_path / "sr.json"
    words = ["--inputDICOM", str(out / "dicom" / "sr.dcm"), "--outputMetadata", str(written)]
    subprocess.run([program, *words], check=True, capture_output=True)
    groups = {g["TrackingIdentifier"]: g for g in json.loads(written.read_text())["Measurements"]}

    def value(group, meaning):
        items = groups[group]["measurementItems"]
        return float(next(i["value"] for i in items if i["quantity"]["CodeMeaning"] == meaning))

    assert value("Liver", "Volume") == pytest.approx(report["volumes"]["total_ml"], rel=1e-9)
    remnant = value("Future liver remnant", "Volume")
    assert remnant == pytest.approx(report["volumes"]["remnant_functional_ml"], rel=1e-9)
    flr = value("Future liver remnant", "FLR / FTLV (D8)")
    assert flr == pytest.approx(100 * report["indices"]["flr"]["value"], rel=1e-9)
    for lesion in report["lesions"]:
        name = f"Lesion {lesion['number']}"
        assert value(name, "Volume") == pytest.approx(lesion["ml"], rel=1e-9)
        assert groups[name]["TrackingUniqueIdentifier"] == lesion["tracking_uid"]
    print(f"tid1500reader: {len(groups)} groups, remnant {remnant:.3f} cm3, FLR {flr:.3f} %")


def test_the_adapter_of_ohif_counts_the_same_voxels(case, out, report, tmp_path):
    """Laid on the images by their UIDs, each slice holds what the partition holds there."""
    modules, node = os.environ.get("FLR_NODE_MODULES"), shutil.which("node")
    if not modules or node is None:
        pytest.skip("needs Node and FLR_NODE_MODULES, a folder with @cornerstonejs/adapters from npm")
    script = Path(modules) / "cornerstone_seg.mjs"
    shutil.copy(HERE / "cornerstone_seg.mjs", script)
    scan = read_image(case.resolve(case.image.path))
    for name in segmentations(out):
        copy = tmp_path / f"{name}.dcm"
        shutil.copy(out / "dicom" / f"{name}.dcm", copy)
        words = [node, script, copy, case.resolve(case.image.path)]
        done = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True)
        found = json.loads(done.stdout[done.stdout.rindex('{"segments"') :])
        assert found["segments"] == [[s["label"], s["voxels"]] for s in listed(report, name)]
        i, j, k = scan.grid.shape
        labels = np.fromfile(f"{copy}.labels", np.uint8).reshape(k, j, i).transpose(2, 1, 0)
        if scan.grid.affine[2, 2] < 0:
            labels = labels[..., ::-1]
        if name == "seg_liver":
            assert (labels.astype(bool) == (read_label_map(out / "partition.nii.gz").voxels > 0)).all()
        print(f"cornerstone {name}: {found['segments']}")

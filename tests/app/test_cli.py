"""The command line, on the bundled sample and on bad input."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import flr_volumetry as flr
from flr_volumetry.app.cli import main
from flr_volumetry.app.sample import sample_case
from flr_volumetry.images import Grid, Mask
from flr_volumetry.io import write_mask
from tests.app.test_batch import draw_patient

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_data"


def flr_command(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run of the demo, as its own process."""
    out = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        [sys.executable, "-m", "flr_volumetry", "demo", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out, done


@pytest.fixture
def variant(tmp_path):
    """Write the sample's case file with some text replaced; paths still start from the sample's folder."""

    def write(*replacements):
        text = (SAMPLE / "case.toml").read_text()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "case.toml"
        path.write_text(text)
        return path

    return write


SMALL = """
[case]
id = "small"

[masks]
liver = "liver.nii.gz"
segments = "segments.nii.gz"

[[stage]]
name = "one"
resections = [{ kind = "hepatectomy", name = "right_hepatectomy", caudate = false }]
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A case with masks so coarse that it is run in a moment, for what does not depend on the patient."""
    folder = tmp_path_factory.mktemp("small") / "patient"
    draw_patient(folder, 0)
    (folder / "case.toml").write_text(SMALL)
    return folder / "case.toml"


def refused(tmp_path, case, reason):
    """Run a case that must be refused: status 1, one message with its reason, and nothing written."""
    out = tmp_path / "out"
    result = flr_command("run", case, "--root", SAMPLE, "--out", out)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert f"[{reason}]" in result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()
    assert [p.name for p in tmp_path.iterdir() if ".partial-" in p.name] == []
    return result.stderr


def test_the_demo_prints_the_answer_and_writes_every_file(demo):
    """Data on standard output, the rest on standard error, the listed files and no others."""
    out, done = demo
    report = json.loads((out / "report.json").read_text())
    there = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}

    assert done.stdout.splitlines()[1].startswith("Future liver remnant ")
    assert "report:" in done.stderr
    assert "\x1b" not in done.stdout
    assert there == {"report.json", *(o["path"] for o in report["outputs"])}
    assert {"report.html", "report.pdf", "summary.txt", "partition.nii.gz", "row.csv"} <= there
    assert {"figures/plan.png", "figures/plan.svg"} <= there


def test_the_demos_volumes_are_the_expected_ones(demo):
    """Voxel-counted volumes to the voxel, and the analytic truth to 0.5 %."""
    report = json.loads((demo[0] / "report.json").read_text())
    expected = json.loads((SAMPLE / "expected.json").read_text())

    assert report["volumes"]["total_ml"] == pytest.approx(expected["counted_ml"]["liver"], abs=1e-3)
    assert report["volumes"]["total_ml"] == pytest.approx(expected["true_ml"]["liver"], rel=0.005)
    for lesion in report["lesions"]:
        truth = expected["counted_ml"][f"tumour{lesion['number']}"]
        assert lesion["ml"] == pytest.approx(truth, abs=1e-3)
    for row in report["segments"]:
        assert row["ml"] == pytest.approx(expected["counted_ml"][f"segment{row['segment']}"], abs=1e-3)
    assert all(lesion["cleared"] for lesion in report["lesions"])


def test_the_partition_file_holds_the_same_voxels(demo):
    """Read back, its labels sum to the report's volumes, and lie where the liver mask lies."""
    out, _ = demo
    report = json.loads((out / "report.json").read_text())
    labels = flr.read_label_map(out / "partition.nii.gz")
    liver = flr.to_grid(flr.read_mask(SAMPLE / "masks" / "liver.nii.gz"), labels.grid)
    names = next(o["labels"] for o in report["outputs"] if o["path"] == "partition.nii.gz")

    assert np.array_equal(labels.voxels > 0, liver.voxels)
    assert labels.mask_of(1).ml == pytest.approx(report["volumes"]["remnant_ml"], rel=1e-5)
    assert sorted(names) == ["1", "2", "3"]
    assert set(np.unique(labels.voxels)) == {0, 1, 2, 3}


def test_the_same_case_twice_gives_the_same_report(demo, tmp_path):
    """But for the time of day, every file is the same byte for byte; DICOM objects have new identifiers."""
    result = flr_command("run", sample_case(), "--out", tmp_path / "again")
    assert result.exit_code == 0
    first, second = (json.loads((d / "report.json").read_text()) for d in (demo[0], tmp_path / "again"))
    for report in (first, second):
        # The report's digest of itself holds the time of day too.
        del report["provenance"]["started"], report["sha256"]
        report["outputs"] = [
            {**entry, "sha256": "", "dicom": entry["dicom"].get("segments")} if "dicom" in entry else entry
            for entry in report["outputs"]
            if entry["path"] not in ("report.html", "report.pdf", "row.csv", "row.parquet")
        ]

    assert first == second


def test_inspect_prints_a_table_and_json():
    """The sample's series and its nine masks, with their volumes."""
    table = flr_command("inspect", SAMPLE)
    found = json.loads(flr_command("inspect", SAMPLE, "--json").stdout)
    images = [i for i in found["items"] if i["kind"] == "image"]
    masks = [i for i in found["items"] if i["kind"] == "masks"]

    assert table.exit_code == 0
    assert "tumour1" in table.stdout
    assert [i["shape"] for i in images] == [[256, 256, 85]]
    assert len(masks) == 9
    assert set(images[0]) >= {
        "path",
        "status",
        "modality",
        "series_uid",
        "spacing_mm",
        "voxel_mm3",
        "affine_lps",
    }


def test_misuse_is_status_2():
    """A missing option, and an unknown command."""
    assert flr_command("run", sample_case()).exit_code == 2
    assert flr_command("walk").exit_code == 2


def test_a_series_must_be_chosen_where_there_are_several(variant, tmp_path):
    """The command lists them and asks; with the number it runs."""
    both = tmp_path / "both"
    shutil.copytree(SAMPLE / "ct", both / "a")
    _second_series(SAMPLE / "ct", both / "b")
    case = variant(('path = "ct/"', f'path = "{both}"'))

    message = refused(tmp_path, case, "several_series")
    chosen = flr_command(
        "run", case, "--root", SAMPLE, "--out", tmp_path / "out", "--series", "1", "--no-dicom"
    )

    assert "--series" in message
    assert chosen.exit_code == 0, chosen.stderr


def _second_series(source, target):
    import pydicom

    target.mkdir(parents=True)
    for path in source.iterdir():
        file = pydicom.dcmread(path)
        file.SeriesInstanceUID += ".2"
        file.SOPInstanceUID += ".2"
        file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID
        file.SeriesDescription = "second"
        file.save_as(target / path.name)


def test_an_empty_folder_is_refused(variant, tmp_path):
    """There is no image in it."""
    (tmp_path / "nothing").mkdir()
    message = refused(tmp_path, variant(('path = "ct/"', f'path = "{tmp_path / "nothing"}"')), "no_images")
    assert "nothing" in message


def test_a_missing_file_is_refused(variant, tmp_path):
    """The message names the file."""
    message = refused(tmp_path, variant(("masks/tumour1.nii.gz", "masks/tumour9.nii.gz")), "not_found")
    assert "tumour9.nii.gz" in message


def test_an_unreadable_mask_is_refused(variant, tmp_path):
    """A gzip file cut in half."""
    whole = (SAMPLE / "masks" / "liver.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    case = variant(('"masks/liver.nii.gz"', f'"{tmp_path / "cut.nii.gz"}"'))
    result = flr_command("run", case, "--root", SAMPLE, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "cut.nii.gz" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_case_without_a_liver_is_refused(variant, tmp_path):
    """Neither a liver nor segments: nothing to measure."""
    case = variant(('liver = "masks/liver.nii.gz"\n', ""), ('segments = "masks/couinaud.nii.gz"\n', ""))
    refused(tmp_path, case, "no_liver_mask")


def mask_file(tmp_path, voxels, grid, name):
    path = tmp_path / f"{name}.nii.gz"
    write_mask(path, Mask(grid, voxels, name))
    return path


@pytest.fixture(scope="module")
def scan_grid():
    """The sample scan's grid."""
    return flr.read_image(SAMPLE / "ct").grid


def test_an_empty_liver_mask_is_refused(variant, tmp_path, scan_grid):
    """A file of noughts."""
    path = mask_file(tmp_path, np.zeros(scan_grid.shape, dtype=bool), scan_grid, "empty")
    refused(tmp_path, variant(('"masks/liver.nii.gz"', f'"{path}"')), "empty_liver")


def test_a_mask_that_lies_elsewhere_is_refused(variant, tmp_path, scan_grid):
    """Another patient's mask, half a metre away."""
    liver = flr.read_mask(SAMPLE / "masks" / "liver.nii.gz")
    affine = liver.grid.affine.copy()
    affine[:3, 3] += 800
    path = mask_file(tmp_path, liver.voxels, Grid(liver.grid.shape, affine), "other")
    refused(tmp_path, variant(('"masks/liver.nii.gz"', f'"{path}"')), "no_overlap")


def test_another_patients_dicom_mask_is_refused(variant, tmp_path):
    """A mask series on the same lattice whose PatientID is not the scan's."""
    import pydicom

    folder = tmp_path / "mask"
    folder.mkdir()
    liver = flr.to_grid(flr.read_mask(SAMPLE / "masks" / "liver.nii.gz"), flr.read_image(SAMPLE / "ct").grid)
    files = sorted(map(pydicom.dcmread, (SAMPLE / "ct").iterdir()), key=lambda f: f.ImagePositionPatient[2])
    for k, file in enumerate(files):
        file.decompress()
        file.PixelData = (liver.voxels[:, :, k].T * np.int16(255)).astype("<i2").tobytes()
        file.RescaleIntercept, file.RescaleSlope = 0, 1
        file.PatientID = "SOMEBODY ELSE"
        file.SeriesInstanceUID = "1.2.3.4"
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{k}"
        file.save_as(folder / f"{k}.dcm")
    message = refused(tmp_path, variant(('"masks/liver.nii.gz"', f'"{folder}"')), "other_patient")
    assert "SOMEBODY" not in message


def test_a_lesion_outside_the_liver_is_refused(variant, tmp_path, scan_grid):
    """A block in the corner of the scan."""
    voxels = np.zeros(scan_grid.shape, dtype=bool)
    voxels[5:9, 5:9, 5:9] = True
    path = mask_file(tmp_path, voxels, scan_grid, "away")
    refused(tmp_path, variant(('"masks/tumour1.nii.gz"', f'"{path}"')), "lesion_outside")


def test_an_empty_lesion_file_never_shifts_the_numbers_of_the_others(variant, tmp_path, scan_grid):
    """To be split or not, a file of noughts is refused: lesion 3 of the plan stays the third file."""
    path = mask_file(tmp_path, np.zeros(scan_grid.shape, dtype=bool), scan_grid, "none")
    entry = f'{{ path = "{path}", split = true }}'
    refused(tmp_path, variant(('"masks/tumour2.nii.gz"', entry)), "empty_lesion")


def test_lesions_of_one_file_are_split_on_request(variant, tmp_path, scan_grid):
    """Tumours 1 and 2 in one file are lesions 1 and 2 again, and the third stays the third."""
    both = [
        flr.to_grid(flr.read_mask(SAMPLE / "masks" / f"tumour{n}.nii.gz"), scan_grid).voxels for n in (1, 2)
    ]
    path = mask_file(tmp_path, both[0] | both[1], scan_grid, "both")
    entry = f'{{ path = "{path}", split = true }}'
    case = variant(('"masks/tumour1.nii.gz", "masks/tumour2.nii.gz"', entry))

    result = flr_command("run", case, "--root", SAMPLE, "--out", tmp_path / "out", "--no-dicom")

    assert result.exit_code == 0, result.stderr
    lesions = json.loads((tmp_path / "out" / "report.json").read_text())["lesions"]
    counts = [np.count_nonzero(b) * scan_grid.voxel_ml for b in both]
    assert sorted(lesion["ml"] for lesion in lesions[:2]) == pytest.approx(sorted(counts))
    assert lesions[2]["name"] == "tumour3"


def test_a_terminal_of_another_encoding_does_not_stop_a_run(tmp_path, small):
    """A Polish name on a Western terminal, and a folder whose name is no UTF-8."""
    folder = tmp_path / os.fsdecode(b"M\xffller")
    folder.mkdir()
    text = SMALL.replace('id = "small"', 'id = "\u0141ukasz"')
    (folder / "case.toml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flr_volumetry",
            "run",
            folder / "case.toml",
            "--root",
            small.parent,
            "--out",
            folder / "o",
        ],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert b"\\u0141ukasz" in done.stdout
    assert (
        json.loads((folder / "o" / "report.json").read_text(encoding="utf-8"))["case"]["id"] == "\u0141ukasz"
    )


STAGE_ONE = '{ kind = "wedge", lesions = [3], margin_mm = 5 }'


@pytest.mark.parametrize(
    ("resection", "reason"),
    [
        ('{ kind = "plane", point_mm = [900, 0, 0], normal = [1, 0, 0] }', "removes_nothing"),
        ('{ kind = "plane", point_mm = [-900, 0, 0], normal = [1, 0, 0] }', "removes_everything"),
        ('{ kind = "segments", segments = [12] }', "unknown_segment"),
        ('{ kind = "wedge", lesions = [7], margin_mm = 5 }', "unknown_lesion"),
        ('{ kind = "wedge", lesion = [3], margin_mm = 5 }', "unknown_key"),
        ('{ kind = "hepatectomy", name = "right_lobectomy" }', "ambiguous_hepatectomy"),
        ('{ kind = "hepatectomy", name = "left_hepatectomy" }', "caudate_unstated"),
    ],
)
def test_plans_that_cannot_be_carried_out_are_refused(variant, tmp_path, resection, reason):
    """Each with its reason."""
    refused(tmp_path, variant((STAGE_ONE, resection)), reason)


def test_an_unknown_protocol_is_refused(variant, tmp_path):
    """With the nearest known one."""
    message = refused(tmp_path, variant(("consensus-20-30-40", "consensus-20-30")), "unknown_protocol")
    assert "consensus-20-30-40" in message


def test_an_output_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    """A file stands in the way; it stays as it is."""
    (tmp_path / "out").write_text("precious")
    result = flr_command("demo", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "[not_a_folder]" in result.stderr
    assert (tmp_path / "out").read_text() == "precious"


@pytest.mark.parametrize("moment", ["image", "cutting", "drawing", "writing"])
def test_an_interrupted_run_leaves_no_half_written_output(tmp_path, moment, small):
    """Ctrl-C at each step: the earlier result stays, or none appears."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text('{"outputs": [], "old": true}')
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from flr_volumetry.app import run, write\n"
        "from flr_volumetry.app.case import read_case\n"
        # A shell that runs tests in the background has its children ignore Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def tell(step):\n"
        f"    if {moment!r} in step:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "outcome = run.run_case(read_case(Path(sys.argv[1])), tell=tell)\n"
        "write.write_outcome(outcome, Path(sys.argv[2]), tell=tell)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(small), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr

    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert json.loads((out / "report.json").read_text())["old"]


def test_a_killed_run_can_be_run_again(tmp_path, small):
    """SIGKILL whenever it comes: no output folder, or a whole one; the next run succeeds."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "flr_volumetry", "run", str(small), "--out", str(out)]
    for seconds in (0.5, 1.5, 2.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.exists() or (out / "report.html").exists()

    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_messages_carry_no_patient_data(demo):
    """Neither the summary nor the messages name the patient of the series."""
    import pydicom

    name = str(pydicom.dcmread(SAMPLE / "ct" / "IM0001.dcm").PatientName)
    _, done = demo
    assert name
    assert not re.search(re.escape(name), done.stdout + done.stderr)


def test_the_readme_shows_what_the_demo_prints(demo):
    """Every line of its example, in the same order."""
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"`make demo` prints:\n\n```text\n(.*?)```", readme, flags=re.DOTALL)[1]
    printed = iter(demo[1].stdout.splitlines())

    for line in block.splitlines():
        if line != "...":
            assert any(line == other for other in printed), line

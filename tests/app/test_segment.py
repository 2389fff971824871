"""``flr segment`` and ``flr backends`` through the command line, with a back-end of a third party."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

from flr_volumetry.app.case import make_case
from flr_volumetry.app.cli import main
from flr_volumetry.app.load import load_case
from flr_volumetry.app.origin import with_origin
from flr_volumetry.errors import CaseError, FlrError
from flr_volumetry.images import Image, Mask, Origin, Source
from flr_volumetry.io import read_image, read_label_map, read_mask, read_structures, write_image, write_mask
from tests.grids import STEPS, ball, grid_around
from tests.segmentation.backends import CENTRE, scan

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests.segmentation.backends"
PLAN = [{"resections": [{"kind": "plane", "point_mm": list(CENTRE), "normal": [-1, 0, 0]}]}]


@pytest.fixture
def threshold(registered):
    registered(threshold=f"{HERE}:Threshold", absent=f"{HERE}:absent", broken=f"{HERE}:half")


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def nifti(tmp_path, name="axial", **options):
    path = tmp_path / "scan.nii.gz"
    write_image(path, scan(name, **options))
    return path


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A DICOM series of a bright ball with a brighter one in it; made from the sample's own headers."""
    folder = tmp_path_factory.mktemp("series") / "ct"
    folder.mkdir()
    image = read_image(ROOT / "sample_data" / "ct")
    middle = image.grid.centres_mm([(np.array(image.grid.shape) - 1) / 2])[0]
    voxels = np.where(ball(image.grid, middle, 55), 100, -200)
    voxels[ball(image.grid, middle + [10, -5, 8], 12)] = 200
    paths = sorted((ROOT / "sample_data" / "ct").glob("*.dcm"))
    files = sorted((pydicom.dcmread(p) for p in paths), key=lambda d: float(d.ImagePositionPatient[2]))
    for k, file in enumerate(files):
        stored = (voxels[..., k].T - float(file.RescaleIntercept)) / float(file.RescaleSlope)
        file.PixelData = np.rint(stored).astype(np.int16 if file.PixelRepresentation else np.uint16).tobytes()
        file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        file["PixelData"].VR = "OW"
        file.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)
    return folder, middle


@pytest.fixture(scope="module")
def segmented(series, tmp_path_factory):
    """What ``flr segment`` made of the series."""
    folder, _ = series
    place = tmp_path_factory.mktemp("segmented")
    info = place / "somebody-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[flr_volumetry.segmenters]\nthreshold = {HERE}:Threshold\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(place))
        done = flr("segment", folder, "--out", place / "masks", "--backend", "threshold")
    assert done.exit_code == 0, done.stderr
    return place / "masks"


@pytest.fixture
def copied(segmented, tmp_path):
    """A copy of it that may be changed."""
    return shutil.copytree(segmented, tmp_path / "masks")


def test_backends_are_listed_with_what_is_missing(threshold):
    text = flr("backends")
    assert text.exit_code == 0, text.output
    assert "absent cannot be used: The weights are not here. Copy them to ~/weights." in text.stdout
    listed = {e["name"]: e for e in json.loads(flr("backends", "--json").stdout)["backends"]}
    assert listed["threshold"]["available"]
    assert listed["threshold"]["structures"] == ["liver", "lesions"]
    assert listed["threshold"]["modalities"] == ["CT"]
    assert not listed["absent"]["available"]
    assert "lacks title" in listed["broken"]["missing"]


def test_masks_of_a_series_are_written_and_read_back_exactly(series, segmented):
    (folder, middle), out = series, segmented
    image = read_image(folder)
    expected = ball(image.grid, middle, 55)
    lesion = ball(image.grid, middle + [10, -5, 8], 12)

    assert (read_mask(out / "masks" / "liver.nii.gz").voxels == expected).all()
    labels = read_label_map(out / "labels.nii.gz")
    assert (labels.voxels == np.where(lesion, 2, expected)).all()
    assert '"Liver"' in (out / "labels.txt").read_text()
    drawn = read_structures(out / "segmentation.dcm", grid=image.grid)
    assert drawn.liver.grid.matches(image.grid)
    assert (drawn.liver.voxels == expected).all()
    assert [(m.voxels == lesion).all() for m in drawn.lesions] == [True]


def test_the_dicom_seg_is_in_the_study_with_codes_colours_and_references(series, segmented):
    import highdicom as hd

    (folder, _), out = series, segmented
    made = hd.seg.segread(out / "segmentation.dcm")
    source = [pydicom.dcmread(p, stop_before_pixels=True) for p in folder.iterdir()]
    assert made.StudyInstanceUID == source[0].StudyInstanceUID
    assert made.FrameOfReferenceUID == source[0].FrameOfReferenceUID
    assert made.PatientID == source[0].PatientID
    assert {str(uid[2]) for uid in made.get_source_image_uids()} <= {s.SOPInstanceUID for s in source}
    liver, lesion = (made.get_segment_description(n) for n in (1, 2))
    assert liver.segmented_property_type.value == "10200004"
    assert liver.segmented_property_category.value == "91723000"
    assert lesion.segmented_property_type.value == "52988006"
    assert lesion.segmented_property_category.value == "49755003"
    assert lesion.tracking_uid
    assert liver.RecommendedDisplayCIELabValue != lesion.RecommendedDisplayCIELabValue
    assert liver.algorithm_type.value == "AUTOMATIC"


@pytest.mark.parametrize("name", STEPS)
def test_a_nifti_scan_of_any_orientation_gives_nifti_masks_only_and_says_so(threshold, name, tmp_path):
    path = nifti(tmp_path, name, lesion=True)
    out = tmp_path / "masks"
    done = flr("segment", path, "--out", out, "--backend", "threshold")
    assert done.exit_code == 0, done.stderr
    assert not (out / "segmentation.dcm").exists()
    quality = json.loads((out / "quality.json").read_text())
    assert "no_dicom_seg" in {c["code"] for c in quality["caveats"]}
    assert "masks_automatic" in {c["code"] for c in quality["caveats"]}
    written = read_mask(out / "masks" / "liver.nii.gz")
    assert written.grid.matches(read_image(path).grid)
    assert (written.voxels == (read_image(path).voxels > 50)).all()
    assert quality["masks"][0]["ml"] == pytest.approx(written.ml)
    assert quality["masks"][1]["confidence"] == 0.9
    page = (out / "quality.html").read_text()
    assert page.count("data:image/png;base64,") >= 2


def test_masks_of_a_tilted_series_lie_frame_by_frame_and_it_is_said(threshold, series, tmp_path):
    folder, _ = series
    tilted = tmp_path / "tilted"
    tilted.mkdir()
    for k, path in enumerate(sorted(folder.iterdir())):
        file = pydicom.dcmread(path)
        x, y, z = file.ImagePositionPatient
        file.ImagePositionPatient = [x, float(y) + 0.5 * k, z]
        file.save_as(tilted / path.name)
    out = tmp_path / "masks"
    done = flr("segment", tilted, "--out", out, "--backend", "threshold")
    assert done.exit_code == 0, done.stderr
    said = {c["code"]: c["message"] for c in json.loads((out / "quality.json").read_text())["caveats"]}
    assert "draw them aslant" in said["dicom_tilted"]
    image = read_image(tilted)
    assert not image.grid.is_orthogonal
    drawn = read_structures(out / "segmentation.dcm", grid=image.grid)
    assert (drawn.liver.voxels == read_mask(out / "masks" / "liver.nii.gz").voxels).all()


def test_the_editing_loop_segment_edit_run(threshold, series, copied, tmp_path):
    (folder, middle), out = series, copied
    liver = read_mask(out / "masks" / "liver.nii.gz")
    edited = liver.voxels.copy()
    cap = np.zeros_like(edited)
    cap[..., : edited.shape[2] // 3] = True
    edited[cap] = False
    write_mask(out / "masks" / "liver.nii.gz", Mask(liver.grid, edited))
    lost = float(liver.ml - Mask(liver.grid, edited).ml)
    assert lost > 20

    table = (out / "masks.toml").read_text()
    case = tmp_path / "masks" / "case.toml"
    point = ", ".join(str(float(x)) for x in middle)
    case.write_text(
        f'[case]\nid = "edited"\n[image]\npath = {json.dumps(str(folder))}\n{table}'
        f'[[stage]]\nresections = [{{ kind = "plane", point_mm = [{point}], normal = [-1, 0, 0] }}]\n'
    )
    done = flr("run", case, "--out", tmp_path / "report")
    assert done.exit_code == 0, done.stderr
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["volumes"]["total_ml"] == pytest.approx(liver.ml - lost, abs=0.01)

    case.unlink()
    again = flr("segment", folder, "--out", out, "--backend", "threshold")
    assert again.exit_code == 1
    assert "folder_in_use" in again.stderr
    assert (read_mask(out / "masks" / "liver.nii.gz").voxels == edited).all()


def test_the_edited_dicom_seg_is_read_back(series, copied):
    (folder, _), out = series, copied
    path = out / "segmentation.dcm"
    file = pydicom.dcmread(path)
    numbers = [
        f.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for f in file.PerFrameFunctionalGroupsSequence
    ]
    bits = np.unpackbits(np.frombuffer(file.PixelData, np.uint8), bitorder="little")
    size = file.Rows * file.Columns
    first = numbers.index(1)
    removed = int(bits[first * size : (first + 1) * size].sum())
    bits[first * size : (first + 1) * size] = 0
    file.PixelData = np.packbits(bits, bitorder="little").tobytes()
    file.save_as(path)
    image = read_image(folder)
    before = read_mask(out / "masks" / "liver.nii.gz")
    assert removed > 0
    assert read_structures(path, grid=image.grid).liver.count == before.count - removed


def test_a_mask_says_what_made_it_in_every_file_and_keeps_it_when_edited(segmented, copied):
    """In the header; where an editor wrote that anew, in quality.json beside it; never of other files."""
    nifti_file, object_file = (segmented / name for name in ("masks/liver.nii.gz", "segmentation.dcm"))
    written = read_mask(nifti_file)
    made = written.source.origin
    assert (made.backend, made.boundary_mm) == ("threshold", None)
    assert read_label_map(segmented / "labels.nii.gz").source.origin == made
    assert read_mask(object_file, segment="Liver").source.origin.backend == "threshold"

    path = copied / "masks" / "liver.nii.gz"
    document = json.loads((copied / "quality.json").read_text())
    expected = Origin(made.made_by, document["masks"][0]["boundary_mm"])
    assert expected.boundary_mm > 1
    write_mask(path, Mask(written.grid, written.voxels))
    assert read_mask(path).source.origin is None
    assert with_origin(read_mask(path), path).source.origin == expected
    assert with_origin(written, path) is written
    stranger = copied / "masks" / "mine.nii.gz"
    write_mask(stranger, Mask(written.grid, written.voxels))
    assert with_origin(read_mask(stranger), stranger).source.origin is None
    for broken in ("{", "[]", '{"outputs": [], "masks": []}', '{"outputs": [1]}'):
        (copied / "quality.json").write_text(broken)
        assert with_origin(read_mask(path), path).source.origin is None


def case_of(path, **segmentation):
    return make_case(
        {
            "case": {"id": "found"},
            "image": {"path": str(path)},
            "segmentation": {"backend": "threshold", **segmentation},
            "stage": PLAN,
        }
    )


def test_a_case_goes_from_scan_to_report_without_a_mask(threshold, series, tmp_path):
    folder, middle = series
    case = tmp_path / "case.toml"
    point = ", ".join(str(float(x)) for x in middle)
    case.write_text(
        f'[case]\nid = "found"\n[image]\npath = {json.dumps(str(folder))}\n'
        f'[segmentation]\nbackend = "threshold"\n'
        f'[[stage]]\nresections = [{{ kind = "plane", point_mm = [{point}], normal = [-1, 0, 0] }}]\n'
    )
    done = flr("run", case, "--out", tmp_path / "report")
    assert done.exit_code == 0, done.stderr
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["volumes"]["total_ml"] == pytest.approx(4 / 3 * np.pi * 5.5**3, rel=0.01)
    assert len(report["lesions"]) == 1
    assert "Thresholded." in report["methods"]
    assert "masks_automatic" in {c["code"] for c in report["caveats"]}
    inputs = {i["role"]: i for i in report["provenance"]["inputs"]}
    assert inputs["liver"]["path"] == "found by threshold 1.0"
    assert len(inputs["liver"]["sha256"]) == 64
    assert "lesion 1" in inputs


def test_masks_that_are_given_are_not_sought(threshold, tmp_path):
    path = nifti(tmp_path, lesion=True)
    image = read_image(path)
    liver = ball(image.grid, CENTRE, 50)
    write_mask(tmp_path / "liver.nii.gz", Mask(image.grid, liver))
    case = make_case(
        {
            "case": {"id": "both"},
            "image": {"path": str(path)},
            "masks": {"liver": str(tmp_path / "liver.nii.gz")},
            "segmentation": {"backend": "threshold", "structures": ["lesions"]},
            "stage": PLAN,
        }
    )
    loaded = load_case(case)
    assert loaded.liver.ml == pytest.approx(Mask(image.grid, liver).ml)
    assert len(loaded.liver.lesions) == 1
    assert [i.role for i in loaded.inputs] == ["image", "liver", "lesion 1"]


def test_what_is_given_and_sought_is_refused(threshold, tmp_path):
    path = nifti(tmp_path)
    write_mask(tmp_path / "liver.nii.gz", Mask(scan().grid, scan().voxels > 50))
    case = make_case(
        {
            "case": {"id": "twice"},
            "image": {"path": str(path)},
            "masks": {"liver": str(tmp_path / "liver.nii.gz")},
            "segmentation": {"backend": "threshold", "structures": ["liver"]},
            "stage": PLAN,
        }
    )
    with pytest.raises(FlrError, match="Choose one") as caught:
        load_case(case)
    assert caught.value.reason == "given_and_wanted"


@pytest.mark.parametrize(
    "tables",
    [
        {"segmentation": {}},
        {"segmentation": {}, "study": {"path": "x"}},
        {"segmentation": {}, "image": {"path": "x"}, "study": {"path": "x"}},
    ],
)
def test_a_segmentation_without_a_scan_of_its_own_is_refused(tables):
    with pytest.raises(CaseError) as caught:
        make_case({"case": {"id": "x"}, "stage": PLAN, **tables})
    assert caught.value.reason in {"no_image", "study_and_masks"}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--backend", "no-such"], "unknown_backend"),
        (["--backend", "absent"], "backend_unavailable"),
        (["--structures", "spleen"], "unknown_structure"),
        (["--structures", ","], "unknown_structure"),
        (["--structures", "segments"], "structure_not_offered"),
        (["--seed", "900,0,0"], "hint_outside"),
        (["--box", "0,0,0,1,0,1"], "bad_hint"),
        (["--lesion-seed", "17,-40,500"], "hint_outside"),
        (["--rough", "{tmp}/none.nii.gz"], "not_found"),
        (["--labels", "{tmp}/none.toml"], "unreadable"),
        (["--hints", "{tmp}/none.mrk.json"], "not_found"),
    ],
)
def test_refusals_write_nothing(threshold, tmp_path, words, reason):
    path = nifti(tmp_path)
    out = tmp_path / "masks"
    words = [w.replace("{tmp}", str(tmp_path)) for w in words]
    done = flr("segment", path, "--out", out, "--backend", "threshold", *words)
    assert done.exit_code == 1, done.output
    assert f"[{reason}]" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("words", [["--seed", "1,2"], ["--box", "1,2,3"], ["--seed", "a,b,c"]])
def test_a_hint_that_is_no_point_is_misuse(threshold, tmp_path, words):
    done = flr("segment", nifti(tmp_path), "--out", tmp_path / "masks", "--backend", "threshold", *words)
    assert done.exit_code == 2


def test_a_scan_without_a_liver_is_refused(threshold, tmp_path):
    grid = grid_around("axial", CENTRE, 60, scale=2.0)
    write_image(
        tmp_path / "air.nii.gz", Image(grid, np.full(grid.shape, -900, np.int16), Source(modality="CT"))
    )
    done = flr("segment", tmp_path / "air.nii.gz", "--out", tmp_path / "masks", "--backend", "threshold")
    assert done.exit_code == 1
    assert "[nothing_found]" in done.stderr
    small = nifti(tmp_path, radius=20.0)
    done = flr("segment", small, "--out", tmp_path / "masks", "--backend", "threshold")
    assert done.exit_code == 1
    assert "[implausible_size]" in done.stderr


def fiducials(path, **lists):
    """Write lists of points as 3D Slicer does."""
    markups = [
        {
            "type": "Fiducial",
            "coordinateSystem": "LPS",
            "coordinateUnits": "mm",
            "controlPoints": [
                {"id": str(n), "label": f"{name}-{n}", "position": list(p)} for n, p in enumerate(points)
            ],
        }
        for name, points in lists.items()
    ]
    for markup, name in zip(markups, lists, strict=True):
        markup["name"] = name
    path.write_text(
        json.dumps(
            {
                "@schema": "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
                "Resources/Schema/markups-schema-v1.0.3.json#",
                "markups": markups,
            }
        )
    )


def test_hints_drawn_in_slicer_reach_the_back_end(threshold, tmp_path):
    from flr_volumetry.app.finding import hints_in

    path = tmp_path / "hints.mrk.json"
    fiducials(path, liver=[CENTRE], lesions=[(1, 2, 3), (4, 5, 6)], outside=[(7, 8, 9)])
    hints = hints_in(path)
    assert hints.seeds_mm == (CENTRE,)
    assert hints.lesion_seeds_mm == ((1, 2, 3), (4, 5, 6))
    assert hints.outside_mm == ((7, 8, 9),)
    fiducials(path, spleen=[CENTRE])
    with pytest.raises(FlrError, match="'spleen' is no hint"):
        hints_in(path)

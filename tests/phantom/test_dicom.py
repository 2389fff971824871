"""Written series: valid, exact, repeatable, and read back by others at the same places."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from flr_volumetry.errors import GridError, OutputError
from flr_volumetry.images import Grid, Image, Mask
from flr_volumetry.phantom import Compression, SeriesInfo, write_dicom_series, write_mask_series
from flr_volumetry.phantom.shapes import rotation


def grid_of(steps, *, shape=(40, 30, 7), frame="1.2.3.4"):
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = np.array([-60.0, -20.0, 10.0]) - affine[:3, :3] @ (np.array(shape) - 1) / 2
    return Grid(shape, affine, frame)


TILT = np.radians(12.0)
GRIDS = {
    "axial": grid_of(np.diag([2.0, 2.5, 4.0])),
    "flipped": grid_of(np.diag([-2.0, 2.5, -4.0])),
    "sagittal": grid_of(np.array([[0, 0, 4.0], [2.0, 0, 0], [0, -2.5, 0]])),
    "oblique": grid_of(rotation((20.0, -15.0, 35.0)) * [2.0, 2.5, 4.0]),
    "gantry tilt": grid_of(np.array([[2.0, 0, 0], [0, 2.5 * np.cos(TILT), 0], [0, 2.5 * np.sin(TILT), 4.0]])),
}


def read_back(files):
    """Read a series with pydicom alone; the affine after DICOM PS3.3, equation C.7.6.2.1-1."""
    slices = sorted((pydicom.dcmread(path) for path in files), key=lambda data: data.InstanceNumber)
    first, last = slices[0], slices[-1]
    across, down = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    row_mm, column_mm = map(float, first.PixelSpacing)
    places = np.array([data.ImagePositionPatient for data in slices], dtype=float)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = across * column_mm, down * row_mm
    affine[:3, 2] = (places[-1] - places[0]) / (len(slices) - 1)
    affine[:3, 3] = places[0]
    voxels = np.stack(
        [data.pixel_array.T * float(last.RescaleSlope) + float(last.RescaleIntercept) for data in slices],
        axis=-1,
    )
    return slices, affine, voxels


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("compression", Compression)
def test_a_written_scan_is_read_back_to_the_bit_and_to_the_micrometre(name, compression, phantom, tmp_path):
    """On every grid and with every compression, by pydicom alone."""
    image = phantom.image(GRIDS[name])
    files = write_dicom_series(image, tmp_path / "ct", compression=compression)
    slices, affine, voxels = read_back(files)

    assert np.array_equal(voxels, image.voxels)
    assert affine == pytest.approx(image.grid.affine, abs=1e-6)
    assert {data.file_meta.TransferSyntaxUID for data in slices} == {compression.value}
    assert {data.FrameOfReferenceUID for data in slices} == {"1.2.3.4"}
    assert len({data.SOPInstanceUID for data in slices}) == len(files)
    assert len({data.SeriesInstanceUID for data in slices}) == 1


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("writer", ["scan", "mask"])
def test_written_files_are_valid_dicom(name, writer, phantom, tmp_path):
    """David Clunie's dciodvfy finds no error, and at most one warning."""
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    if writer == "scan":
        files = write_dicom_series(
            phantom.image(GRIDS[name]), tmp_path / "ct", compression=Compression.JPEG_LS
        )
    else:
        files = write_mask_series(phantom.structures(GRIDS[name]).liver, tmp_path / "mask")
    report = subprocess.run([tool, str(files[2])], capture_output=True, text=True, check=False)
    lines = (report.stdout + report.stderr).splitlines()

    assert not [line for line in lines if line.startswith("Error")]
    assert len([line for line in lines if line.startswith("Warning")]) <= 1


def test_slice_thickness_and_tilt_say_what_the_geometry_says(phantom, tmp_path):
    """On a tilted gantry the distance between slices is the step times the cosine of the tilt."""
    files = write_dicom_series(phantom.image(GRIDS["gantry tilt"]), tmp_path / "ct")
    data = pydicom.dcmread(files[0])

    assert abs(float(data.GantryDetectorTilt)) == pytest.approx(12.0)
    assert float(data.SpacingBetweenSlices) == pytest.approx(4.0 * np.cos(TILT))
    assert float(data.SliceThickness) == pytest.approx(4.0 * np.cos(TILT))
    assert list(map(float, data.PixelSpacing)) == pytest.approx([2.5, 2.0])


def test_upright_series_have_no_tilt(phantom, tmp_path):
    """An oblique but right-angled grid has tilt 0."""
    data = pydicom.dcmread(write_dicom_series(phantom.image(GRIDS["oblique"]), tmp_path / "ct")[0])

    assert float(data.GantryDetectorTilt) == 0.0


def test_a_mask_series_holds_255_inside(phantom, tmp_path):
    """And nothing but 0 elsewhere; a scan's frame of reference is kept."""
    mask = phantom.structures(GRIDS["axial"]).liver
    slices, affine, voxels = read_back(write_mask_series(mask, tmp_path / "liver"))

    assert np.array_equal(voxels == 255, mask.voxels)
    assert set(np.unique(voxels)) == {0, 255}
    assert affine == pytest.approx(mask.grid.affine, abs=1e-6)
    assert slices[0].FrameOfReferenceUID == "1.2.3.4"
    assert slices[0].SeriesDescription == "liver"


def test_writing_again_gives_the_same_bytes(phantom, tmp_path):
    """Identifiers follow from the words of the header, not from chance or the clock."""
    image = phantom.image(GRIDS["axial"])
    for compression in Compression:
        one = write_dicom_series(image, tmp_path / f"{compression.name}1", compression=compression)
        two = write_dicom_series(image, tmp_path / f"{compression.name}2", compression=compression)

        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_scan_and_masks_are_different_series_of_one_study(phantom, tmp_path):
    """With the same words they share study and patient; another root shares neither."""
    image, mask = phantom.image(GRIDS["axial"]), phantom.structures(GRIDS["axial"]).liver
    scan = pydicom.dcmread(write_dicom_series(image, tmp_path / "a")[0])
    drawn = pydicom.dcmread(write_mask_series(mask, tmp_path / "b")[0])
    other = pydicom.dcmread(
        write_dicom_series(image, tmp_path / "c", info=SeriesInfo(uid_root="someone else"))[0]
    )

    assert scan.StudyInstanceUID == drawn.StudyInstanceUID != other.StudyInstanceUID
    assert len({scan.SeriesInstanceUID, drawn.SeriesInstanceUID, other.SeriesInstanceUID}) == 3
    assert scan.PatientID == drawn.PatientID
    assert scan.PatientAge == "062Y"
    assert float(scan.PatientSize) == pytest.approx(1.70)


def test_a_grid_without_a_frame_of_reference_gets_one(phantom, tmp_path):
    """The same for scan and mask of one examination."""
    grid = grid_of(np.diag([2.0, 2.0, 4.0]), frame="")
    scan = pydicom.dcmread(write_dicom_series(phantom.image(grid), tmp_path / "a")[0])
    mask = pydicom.dcmread(write_mask_series(phantom.structures(grid).liver, tmp_path / "b")[0])

    assert scan.FrameOfReferenceUID == mask.FrameOfReferenceUID
    assert scan.FrameOfReferenceUID.startswith("2.25.")


@pytest.mark.parametrize("value", [-1025, 3072])
def test_values_that_do_not_fit_are_refused(value, tmp_path):
    """Rather than wrapped around."""
    grid = GRIDS["axial"]
    voxels = np.zeros(grid.shape, dtype=np.int16, order="F")
    voxels[3, 4, 5] = value
    with pytest.raises(GridError, match=str(value)):
        write_dicom_series(Image(grid, voxels), tmp_path / "ct")

    assert not (tmp_path / "ct").exists()


def test_the_lowest_and_highest_values_survive(tmp_path):
    """-1024 and 3071."""
    grid = GRIDS["axial"]
    voxels = np.zeros(grid.shape, dtype=np.int16, order="F")
    voxels[3, 4, 5], voxels[0, 0, 0] = 3071, -1024
    _, _, back = read_back(
        write_dicom_series(Image(grid, voxels), tmp_path / "ct", compression=Compression.JPEG_LS)
    )

    assert np.array_equal(back, voxels)


def test_slanted_columns_are_refused(tmp_path):
    """DICOM cannot say them."""
    grid = grid_of(np.array([[2.0, 0.5, 0], [0, 2.0, 0], [0, 0, 4.0]]))
    with pytest.raises(GridError, match="right angles") as found:
        write_mask_series(Mask(grid, np.ones(grid.shape, dtype=bool)), tmp_path / "mask")

    assert found.value.reason == "columns_not_orthogonal"


def test_a_folder_with_files_in_it_is_left_alone(phantom, tmp_path):
    """Two series in one folder would be ambiguous."""
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty") as found:
        write_dicom_series(phantom.image(GRIDS["axial"]), tmp_path / "ct")

    assert found.value.reason == "folder_not_empty"
    assert [path.name for path in tmp_path.rglob("*")] == ["ct", "note.txt"]


def test_a_failed_write_leaves_nothing_behind(phantom, tmp_path, monkeypatch):
    """The folder appears whole, or not at all."""
    from pydicom.dataset import Dataset

    save, written = Dataset.save_as, []

    def fail_on_third(self, *args, **kwargs):
        written.append(1)
        if len(written) == 3:
            raise OSError("disk full")
        return save(self, *args, **kwargs)

    monkeypatch.setattr(Dataset, "save_as", fail_on_third)
    with pytest.raises(OutputError, match="disk full"):
        write_dicom_series(phantom.image(GRIDS["axial"]), tmp_path / "ct")

    assert list(tmp_path.iterdir()) == []

"""nnU-Net and TotalSegmentator: refusals everywhere; from scan to mask where the packages are installed."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.cli import main
from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import Grid, Image, Mask, Source
from flr_volumetry.io import read_image, read_mask, write_image
from flr_volumetry.segmentation import Settings, backend, segment
from flr_volumetry.segmentation.networks import back_on, masks_from, straightened, targets_of, told_tilted
from flr_volumetry.segmentation.nnunet import canonical
from flr_volumetry.segmentation.trunks import told_apart
from tests.grids import STEPS, ball, centres, grid_around
from tests.segmentation.backends import CENTRE, scan

LIVER = frozenset({Structure.LIVER})
needs_nnunet = pytest.mark.skipif(
    find_spec("nnunetv2") is None,
    reason="nnunetv2 is not installed: pip install 'flr-volumetry[nnunet]'",
)
needs_total = pytest.mark.skipif(
    find_spec("totalsegmentator") is None,
    reason="TotalSegmentator is not installed: pip install 'flr-volumetry[totalsegmentator]'",
)


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def reason_of(call):
    with pytest.raises(SegmentationError) as caught:
        call()
    return caught.value.reason, caught.value.message


@pytest.fixture
def model(tmp_path):
    """A network that calls liver what is above 0 HU, and lesion what is above 150 HU."""
    from tests.segmentation.tiny_nnunet import write_model

    return write_model(tmp_path / "model", labels={"liver": 1, "lesion": 2})


LABELS = {1: "liver", 2: "lesion"}
GRIDS = {
    "axial": np.diag([1.6, 1.6, 3.0]),
    "flipped": np.diag([-1.6, -1.6, 3.0]),
    "sagittal": np.array([[0, 0, 3.0], [1.6, 0, 0], [0, -1.6, 0]]),
    "coronal": np.array([[1.6, 0, 0], [0, 0, -3.0], [0, -1.6, 0]]),
    "turned": np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]) @ np.diag([1.6, -1.6, -3.0]),
    "gantry tilt": np.array([[1.6, 0, 0], [0, 1.6, 1.1], [0, 0, 3.0]]),
}


def scan_on(name, place=CENTRE, radius=12):
    """A ball of 100 HU with a brighter one in it, on a grid."""
    steps = GRIDS[name]
    half = np.ceil(np.linalg.norm(np.linalg.inv(steps), axis=1) * 62).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = np.asarray(CENTRE) - steps @ half
    grid = Grid(tuple(int(n) for n in 2 * half + 1), affine)
    voxels = np.where(ball(grid, CENTRE, 55), 100, -200).astype(np.int16)
    voxels[ball(grid, place, radius)] = 250
    return Image(grid, voxels, Source(modality="CT"))


@needs_nnunet
@pytest.mark.parametrize("name", GRIDS)
def test_a_model_of_its_own_file_format_gives_masks_in_their_place(model, name):
    """A lesion on the left, behind and low is found there, on six grids, one of them tilted."""
    place = np.asarray(CENTRE) + [25, 12, -18]
    image = scan_on(name, place)
    found = segment(image, LIVER | {Structure.LESION}, segmenter=backend("nnunet", Settings(model, LABELS)))

    assert found.grid.matches(image.grid)
    truth = image.voxels > 50
    guess = found.masks[Structure.LIVER].voxels
    assert 2 * (truth & guess).sum() / (truth.sum() + guess.sum()) > 0.95
    lesion = found.lesions[0].mask
    assert image.grid.centres_mm(np.argwhere(lesion.voxels)).mean(axis=0) == pytest.approx(place, abs=2)
    assert found.made.task == "Tiny"
    assert found.made.weights.startswith("SHA-256 ")
    assert "nnunetv2" in found.methods[0]
    assert ("tilt_resampled" in {c.code for c in found.caveats}) == (name == "gantry tilt")


@needs_nnunet
def test_random_weights_go_through_the_command_line(tmp_path):
    from tests.segmentation.tiny_nnunet import write_model

    folder = write_model(tmp_path / "model", labels={"liver": 1}, bright=False)
    write_image(tmp_path / "scan.nii.gz", scan())
    (tmp_path / "labels.toml").write_text("[labels]\nliver = 1\n")
    words = ("--backend", "nnunet", "--folder", folder, "--labels", tmp_path / "labels.toml")
    done = flr("segment", tmp_path / "scan.nii.gz", "--out", tmp_path / "out", *words)
    assert done.exit_code in {0, 1}, done.output
    if done.exit_code == 0:
        written = read_mask(tmp_path / "out" / "masks" / "liver.nii.gz")
        assert written.grid.matches(read_image(tmp_path / "scan.nii.gz").grid)
    else:
        assert any(f"[{r}]" in done.stderr for r in ("implausible_size", "nothing_found"))


@needs_nnunet
def test_a_model_through_the_command_line_records_what_made_the_masks(model, tmp_path):
    write_image(tmp_path / "scan.nii.gz", scan(lesion=True))
    (tmp_path / "labels.toml").write_text("[labels]\nliver = 1\nlesion = 2\n")
    words = ("--backend", "nnunet", "--folder", model, "--labels", tmp_path / "labels.toml")
    done = flr("segment", tmp_path / "scan.nii.gz", "--out", tmp_path / "out", *words)
    assert done.exit_code == 0, done.stderr
    made = json.loads((tmp_path / "out" / "quality.json").read_text())["made"]
    assert made["backend"] == "nnunet"
    assert made["task"] == "Tiny"
    assert len(made["weights"]) == 24


@needs_nnunet
@pytest.mark.parametrize(
    ("labels", "image", "reason"),
    [
        ({1: "liver", 5: "lesion"}, scan(), "bad_labels"),
        ({1: "spleen"}, scan(), "bad_labels"),
        (LABELS, scan(modality="MR"), "modality_not_offered"),
    ],
)
def test_what_a_model_cannot_do_is_refused(model, labels, image, reason):
    settings = Settings(model, labels)
    assert reason_of(lambda: segment(image, LIVER, segmenter=backend("nnunet", settings)))[0] == reason


@needs_nnunet
def test_a_folder_that_is_no_model_is_unavailable(tmp_path):
    made = backend("nnunet", Settings(tmp_path, LABELS))
    assert "plans.json" in made.availability().missing
    assert reason_of(lambda: segment(scan(), LIVER, segmenter=made))[0] == "backend_unavailable"
    assert "No trained model" in backend("nnunet", Settings()).availability().missing


@pytest.mark.skipif(find_spec("nnunetv2") is not None, reason="nnunetv2 is installed")
def test_without_the_package_nnunet_is_refused_with_the_remedy(tmp_path):
    reason, message = reason_of(
        lambda: segment(scan(), LIVER, segmenter=backend("nnunet", Settings(tmp_path, LABELS)))
    )
    assert reason == "backend_unavailable"
    assert "pip install 'flr-volumetry[nnunet]'" in message


@pytest.mark.skipif(find_spec("totalsegmentator") is not None, reason="TotalSegmentator is installed")
def test_without_the_package_totalsegmentator_is_refused_with_the_remedy():
    reason, message = reason_of(lambda: segment(scan(), LIVER, segmenter=backend("totalsegmentator")))
    assert reason == "backend_unavailable"
    assert "pip install 'flr-volumetry[totalsegmentator]'" in message


@needs_total
def test_without_weights_nothing_is_downloaded(tmp_path):
    """No weights at all, and then those of another task only."""
    settings = Settings(tmp_path)
    made = backend("totalsegmentator", settings)
    assert "no weights" in made.availability().missing
    assert reason_of(lambda: segment(scan(), LIVER, segmenter=made))[0] == "backend_unavailable"
    (tmp_path / "Dataset008_HepaticVessel").mkdir()
    reason, message = reason_of(lambda: segment(scan(), LIVER, segmenter=made))
    assert reason == "weights_missing"
    assert "totalseg_download_weights" in message


@needs_total
@pytest.mark.parametrize("name", GRIDS)
def test_a_task_with_tiny_weights_gives_segments_in_their_place(tmp_path, name):
    """The package's own path: rough liver of the 6 mm model, crop, the segments' model, back to the scan."""
    from tests.segmentation.tiny_nnunet import write_model

    names = {f"label_{n}": n for n in range(1, 118)} | {"label_5": 5}
    place = "{}__nnUNetPlans__3d_fullres"
    write_model(
        tmp_path
        / "Dataset298_TotalSegmentator_total_6mm_1559subj"
        / place.format("nnUNetTrainer_4000epochs_NoMirroring"),
        labels=names,
        spacing=(6.0, 6.0, 6.0),
        best=5,
    )
    write_model(
        tmp_path / "Dataset570_LiverSegments" / place.format("nnUNetTrainerNoMirroring"),
        labels={f"liver_segment_{n}": n for n in range(1, 9)},
        spacing=(1.5, 1.5, 1.5),
    )
    place = np.asarray(CENTRE) + [25, 12, -18]
    image = scan_on(name, place)
    found = segment(
        image,
        frozenset({Structure.SEGMENTS}),
        segmenter=backend("totalsegmentator", Settings(tmp_path)),
    )
    truth = image.voxels > 50
    guess = found.segments.voxels > 0
    assert 2 * (truth & guess).sum() / (truth.sum() + guess.sum()) > 0.9
    assert found.made.task == "liver_segments"
    middle = image.grid.centres_mm(np.argwhere(found.segments.voxels == 2)).mean(axis=0)
    assert middle == pytest.approx(place, abs=2.5)


@needs_total
def test_a_scan_of_unknown_kind_is_refused(tmp_path):
    (tmp_path / "Dataset291_x").mkdir()
    made = backend("totalsegmentator", Settings(tmp_path))
    assert reason_of(lambda: segment(scan(modality=""), LIVER, segmenter=made))[0] == "modality_unknown"


@pytest.mark.parametrize("name", STEPS)
def test_a_tilted_scan_is_straightened_and_its_labels_come_back(name):
    """Every value stands where it stood, axes are square, and a ball drawn there is the ball here."""
    grid = grid_around(name, CENTRE, 30.0)
    slopes = np.array([1.0, -2.0, 0.5])
    image = Image(grid, (centres(grid) @ slopes).astype(np.float32), Source(modality="CT"))

    straight = straightened(image)

    assert (straight is image) == grid.is_orthogonal
    assert straight.grid.is_orthogonal
    near = np.linalg.norm(centres(straight.grid) - np.asarray(CENTRE), axis=-1) < 25
    assert np.abs(straight.voxels - centres(straight.grid) @ slopes)[near].max() < 1e-2
    drawn = ball(straight.grid, CENTRE, 20.0).astype(np.int32) * 3
    labels = back_on(drawn, straight.grid, grid)
    truth = ball(grid, CENTRE, 20.0)
    assert set(np.unique(labels)) == {0, 3}
    assert 2 * ((labels == 3) & truth).sum() / ((labels == 3).sum() + truth.sum()) > 0.95
    assert [c.code for c in told_tilted(image, "x")] == [] if grid.is_orthogonal else ["tilt_resampled"]


@pytest.mark.parametrize("name", STEPS)
def test_arrays_are_laid_out_head_wards(name):
    """Slices go to the head, rows to the back, columns to the left."""
    image = scan(name)
    axes, flips = canonical(image)
    steps = image.grid.affine[:3, :3] / np.asarray(image.grid.spacing_mm)
    for axis, way in zip(axes, (2, 1, 0), strict=True):
        assert abs(steps[way, axis]) > 0.6
        assert (steps[way, axis] < 0) == flips[axis]


def test_labels_become_masks_that_hold_what_lies_in_them():
    grid = grid_around("axial", (0, 0, 0), 10)
    voxels = np.zeros(grid.shape, dtype=np.int32)
    voxels[2:20, 2:20, 2:6] = 1
    voxels[4:8, 4:8, 3:5] = 2
    voxels[12:16, 12:16, 3:5] = 2
    voxels[2:6, 10:18, 2:6] = 4
    targets = targets_of({1: "liver", 2: "lesion", 4: "segment_7"})
    masks, lesions, segments = masks_from(voxels, grid, targets)

    assert (masks[Structure.LIVER].voxels == (voxels > 0)).all()
    assert len(lesions) == 2
    assert set(np.unique(segments.voxels)) == {0, 7}
    assert masks_from(np.zeros(grid.shape, np.int32), grid, targets) == ({}, (), None)


def test_vessels_are_told_apart_by_what_they_hang_on():
    grid = grid_around("axial", (0, 0, 0), 40)

    def tube(x, low, high):
        voxels = np.zeros(grid.shape, dtype=bool)
        voxels[x : x + 4, 20:24, low:high] = True
        return voxels

    portal, cava = tube(10, 0, 4), tube(40, 0, 4)
    vessels = tube(10, 4, 12) | tube(40, 4, 14) | tube(70, 4, 9)
    found = {
        Structure.PORTAL_VEIN: Mask(grid, portal),
        Structure.IVC: Mask(grid, cava),
        Structure.HEPATIC_VEINS: Mask(grid, vessels),
    }
    masks, caveat = told_apart(found, "TotalSegmentator")
    assert (masks[Structure.PORTAL_VEIN].voxels == (portal | tube(10, 4, 12))).all()
    assert (masks[Structure.HEPATIC_VEINS].voxels == tube(40, 4, 14)).all()
    assert caveat.code == "vessels_told_apart"


def test_backends_are_listed_on_the_command_line():
    listed = {e["name"]: e for e in json.loads(flr("backends", "--json").stdout)["backends"]}
    assert {"nnunet", "totalsegmentator"} <= set(listed)
    assert not listed["nnunet"]["available"]
    assert listed["nnunet"]["remedy"]
    assert "segments" in listed["totalsegmentator"]["structures"]

"""Where a liver may lie by the shape of others: robust against leak, loss and cut, and never sure."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import Grid, LabelMap
from flr_volumetry.io import read_label_map
from flr_volumetry.phantom import random_patient
from flr_volumetry.segmentation.atlas_folder import read_atlas
from flr_volumetry.segmentation.classical.working import onto
from flr_volumetry.segmentation.fusion import AtlasLiver
from flr_volumetry.segmentation.prior import prior_of
from flr_volumetry.segmentation.protocol import Settings
from flr_volumetry.segmentation.shaped import favour_of, likely_of
from tests.grids import ball, centres

STEP = (4.0, 4.0, 4.0)


def structures(seed):
    made = random_patient(seed)
    return made.structures(made.default_grid(STEP))


@pytest.fixture(scope="module")
def truth():
    return structures(0)


@pytest.fixture(scope="module")
def atlas():
    return [AtlasLiver.of(f"p{n}", structures(n).segments) for n in range(1, 5)]


def chance_of(inside, truth, atlas, seen=None):
    grid = truth.liver.grid
    seen = np.ones(grid.shape, dtype=bool) if seen is None else seen
    prior = prior_of(inside, seen, grid, atlas)
    return prior, onto(prior.chance, prior.grid, grid)


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@pytest.fixture(scope="module")
def spoilt(truth, atlas):
    """A first guess with a leak below segments II and III, and without the tip of the left lobe."""
    grid, liver = truth.liver.grid, truth.liver.voxels
    left = np.isin(truth.segments.voxels, [2, 3])
    at = centres(grid)
    lost = left & (at[..., 0] > np.percentile(at[left][:, 0], 75))
    leak = ball(grid, at[np.isin(truth.segments.voxels, [3, 4])].mean(axis=0) + [0, 0, -60], 35.0) & ~liver
    guess = (liver & ~lost) | leak
    return guess, leak, lost, *chance_of(guess, truth, atlas)


@pytest.mark.evaluate
def test_the_shape_follows_neither_leak_nor_loss(truth, spoilt):
    """It is nearer to the truth than the guess that it was laid upon, and knows both spoilt parts."""
    guess, leak, lost, prior, chance = spoilt
    liver = truth.liver.voxels
    assert dice(chance > 0.5, liver) > dice(guess, liver)
    assert prior.trust > 0
    assert np.median(chance[leak]) < 0.2
    assert np.median(chance[lost]) > 0.5
    favour = favour_of(chance, 1.0)
    assert favour[leak].min() < -0.3
    assert (favour[liver] < 0).mean() < 0.02


def test_weights_say_who_counts_how_much(spoilt):
    """They sum to one, the best first, and four livers are never sure."""
    prior = spoilt[3]
    assert sum(v.weight for v in prior.voters) == pytest.approx(1)
    assert [v.dice for v in prior.voters] == sorted((v.dice for v in prior.voters), reverse=True)
    # Four equal livers and one undecided: 0.5 / 5 and 4.5 / 5.
    assert prior.chance.min() >= 0.1 - 1e-3
    assert prior.chance.max() <= 0.9 + 1e-3
    assert prior.digest.startswith("SHA-256 ")


@pytest.mark.evaluate
def test_what_the_scan_cuts_off_is_no_surface(truth, atlas):
    """Of a liver without its upper third the shape still says where that third would be."""
    grid, liver = truth.liver.grid, truth.liver.voxels
    on = np.flatnonzero(liver.any(axis=(0, 1)))
    seen = np.zeros(grid.shape, dtype=bool)
    seen[:, :, : int(on[0] + 0.67 * (on[-1] - on[0]))] = True
    _, chance = chance_of(liver & seen, truth, atlas, seen)
    assert dice((chance > 0.5) & seen, liver & seen) > 0.85
    assert dice((chance > 0.5) & ~seen, liver & ~seen) > 0.6


@pytest.mark.evaluate
def test_half_a_liver_gets_no_trust(truth, atlas):
    """A left lateral section alone, as after a hepatectomy: whole livers fit only shrunk."""
    left = truth.liver.voxels & np.isin(truth.segments.voxels, [2, 3])
    prior, chance = chance_of(left, truth, atlas)
    assert prior.stretch > 1.9
    assert prior.trust == 0
    assert not favour_of(chance, prior.trust).any()


@pytest.mark.evaluate
def test_an_outlier_is_left_out_and_too_few_are_refused(truth, atlas):
    grid, liver = truth.liver.grid, truth.liver.voxels
    shell = np.asarray(centres(grid)[..., 2] % 24 < 8) & liver
    strange = AtlasLiver.of("strange", LabelMap(grid, shell.astype(np.uint8)))
    prior, _ = chance_of(liver, truth, [*atlas[:3], strange])
    assert [text.split()[0] for text in prior.left_out] == ["strange"]
    with pytest.raises(SegmentationError, match="2 livers") as caught:
        chance_of(liver, truth, [*atlas[:2], strange])
    assert caught.value.reason == "atlas_too_small"


def test_the_weight_of_a_shape_is_capped():
    """Within log-odds of 1.5 nothing; never so much that fat or bile became liver; none without trust."""
    chance = np.array([0.001, 0.06, 0.2, 0.5, 0.8, 0.9, 0.999], dtype=np.float32)
    favour = favour_of(chance, 1.0)
    assert favour[0] == pytest.approx(-1.5)
    assert favour[1] == pytest.approx(1.5 - np.log(0.94 / 0.06), abs=1e-3)
    assert (favour[2:5] == 0).all()
    assert favour[-1] == pytest.approx(0.6)
    assert not favour_of(chance, 0.0).any()
    assert likely_of(chance, 1.0).tolist() == [False] * 5 + [True] * 2
    assert not likely_of(chance, 0.0).any()


def test_what_lies_in_a_folder(truth, tmp_path):
    """Segments, a mask of a liver, one of several organs; the same, mirrored, cut, small: left out."""
    from flr_volumetry.io import write_label_map

    def put(name, labels, grid=None):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_label_map(tmp_path / name, LabelMap(grid or truth.liver.grid, labels.astype(np.uint8)))

    liver = truth.liver.voxels
    put("a/label.nii.gz", truth.segments.voxels)
    put("a/liver.nii.gz", liver)
    put("b/small.nii.gz", truth.portal_vein.voxels)
    affine = truth.liver.grid.affine.copy()
    affine[0] *= -1
    put("c/mirrored.nii.gz", liver, Grid(liver.shape, affine))
    other = structures(5)
    put("d/organs.nii.gz", other.liver.voxels * 6 + other.ivc.voxels * 9, other.liver.grid)
    middle = int(np.argwhere(liver)[:, 2].mean())
    put("e/cut.nii.gz", liver[:, :, :middle], Grid((*liver.shape[:2], middle), truth.liver.grid.affine))

    named = read_atlas(Settings(tmp_path, {6: "liver"}, read_segments=read_label_map))
    found = read_atlas(Settings(tmp_path, read_segments=read_label_map))

    for one in (named, found):
        assert [v.name for v in one.segmented] == ["a/label.nii.gz"]
        assert [v.name for v in one.livers] == ["a/label.nii.gz", "d/organs.nii.gz"]
    organs = named.livers[1]
    assert np.count_nonzero(organs.labels) * organs.grid.voxel_ml == pytest.approx(other.liver.ml, rel=0.02)
    why = " ".join(found.no_liver)
    for word in ("no whole liver", "mirrored", "cut by the edge", "the same liver as a/label.nii.gz"):
        assert word in why
    with pytest.raises(SegmentationError, match="needs 3"):
        found.required(segments=False, folder="here")

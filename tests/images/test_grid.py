"""Where voxels lie."""

import numpy as np
import pytest

from flr_volumetry.errors import FrameError, GridError
from flr_volumetry.images import Grid, Image, LabelMap, Mask, require_same_frame
from tests.grids import STEPS, grid_around


def test_a_sheared_voxel_is_the_determinant_not_the_product_of_spacings():
    """0.6 mm of shear lengthens the slice step, and leaves the volume 0.8 x 0.8 x 2.5 mm3."""
    grid = grid_around("gantry tilt", (0, 0, 0), 20)

    assert grid.voxel_mm3 == pytest.approx(1.6)
    assert np.prod(grid.spacing_mm) == pytest.approx(0.8 * 0.8 * np.hypot(0.6, 2.5))
    assert grid.slice_distance_mm == pytest.approx(2.5)
    assert grid.tilt_deg == pytest.approx(np.degrees(np.arctan(0.6 / 2.5)))
    assert not grid.is_orthogonal


@pytest.mark.parametrize("name", ["axial", "flipped", "sagittal"])
def test_right_angled_grids_have_no_tilt(name):
    """Flips and permutations are not shear."""
    grid = grid_around(name, (3, 4, 5), 20)

    assert grid.is_orthogonal
    assert grid.tilt_deg == pytest.approx(0, abs=1e-5)
    assert grid.voxel_mm3 == pytest.approx(np.prod(grid.spacing_mm))


@pytest.mark.parametrize("name", STEPS)
def test_indices_and_points_are_inverse(name):
    """Voxel centre to point and back is the same index."""
    grid = grid_around(name, (10, -20, 30), 15)
    index = np.array([[0, 0, 0], [1, 2, 3], [4, 0, 1]])

    assert grid.indices_at(grid.centres_mm(index)) == pytest.approx(index, abs=1e-9)


@pytest.mark.parametrize("name", STEPS)
def test_a_crop_keeps_every_voxel_where_it_was(name):
    """Index (1, 1, 1) of a crop that starts at (2, 3, 4) is index (3, 4, 5) of the whole."""
    grid = grid_around(name, (0, 0, 0), 15)
    part = grid.crop((slice(2, 9), slice(3, 9), slice(4, 9)))

    assert part.shape == (7, 6, 5)
    assert part.centres_mm([[1, 1, 1]]) == pytest.approx(grid.centres_mm([[3, 4, 5]]))


def test_grids_match_only_where_no_corner_moves():
    """A step off by a ten-thousandth of a mm adds up over 512 voxels, and is seen."""
    affine = np.diag([0.7, 0.7, 2.0, 1.0])
    other = affine.copy()
    other[0, 0] += 1e-4

    assert Grid((4, 4, 4), affine).matches(Grid((4, 4, 4), other))
    assert not Grid((512, 512, 4), affine).matches(Grid((512, 512, 4), other))
    assert not Grid((4, 4, 4), affine).matches(Grid((4, 4, 5), affine))


def test_single_slices_of_other_thickness_do_not_match():
    """The step is compared even where there is no second voxel along it."""
    thin, thick = (Grid((4, 4, 1), np.diag([1.0, 1.0, step, 1.0])) for step in (5, 8))
    assert not thin.matches(thick)


def test_frames_of_reference_are_compared():
    """Two named frames that differ do not match; an unnamed one contradicts nothing."""
    affine = np.eye(4)
    a, b, unnamed = (
        Grid((2, 2, 2), affine, "1.2.3"),
        Grid((2, 2, 2), affine, "1.2.4"),
        Grid((2, 2, 2), affine),
    )

    assert not a.matches(b)
    assert a.matches(unnamed)
    with pytest.raises(FrameError, match=r"mask 'x' lies in frame of reference 1\.2\.4, the scan in 1\.2\.3"):
        require_same_frame(a, b, "mask 'x'")


@pytest.mark.parametrize(
    ("shape", "affine", "said"),
    [
        ((2, 2, 0), np.eye(4), "three positive integers"),
        ((2, 2), np.eye(4), "three positive integers"),
        ((2, 2, 2), np.eye(3), "finite \\(4, 4\\) matrix"),
        ((2, 2, 2), np.diag([1, 1, np.nan, 1]), "finite \\(4, 4\\) matrix"),
        ((2, 2, 2), np.diag([1, 1, 0, 1]), "no volume"),
        ((2, 2, 2), np.eye(4).T + np.eye(4, k=-3), "last row"),
    ],
)
def test_impossible_grids_are_refused(shape, affine, said):
    """A grid that cannot be is never made."""
    with pytest.raises(GridError, match=said):
        Grid(shape, affine)


def test_arrays_are_read_only_and_fit_their_grid():
    """Values cannot be written through, and a wrong shape or type is refused."""
    grid = Grid((2, 3, 4), np.eye(4))
    mask = Mask(grid, np.ones(grid.shape, dtype=bool))
    with pytest.raises(ValueError, match="read-only"):
        mask.voxels[0, 0, 0] = False
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2
    with pytest.raises(GridError, match=r"\(2, 3, 5\), its grid \(2, 3, 4\)"):
        Image(grid, np.zeros((2, 3, 5), dtype=np.int16))
    with pytest.raises(GridError, match="must be bool"):
        Mask(grid, np.zeros(grid.shape, dtype=np.uint8))
    with pytest.raises(GridError, match="unsigned"):
        LabelMap(grid, np.zeros(grid.shape, dtype=np.int16))


def test_labels_become_masks():
    """Several labels unite, one stands alone, with the names the file gave."""
    grid = Grid((3, 1, 1), np.diag([10.0, 10.0, 10.0, 1.0]))
    labels = LabelMap(grid, np.array([1, 2, 5], dtype=np.uint8).reshape(3, 1, 1), {1: "II", 2: "III"})

    assert labels.mask_of(1, 5).voxels.ravel().tolist() == [True, False, True]
    assert labels.mask_of(1, 2).name == "II + III"
    assert labels.mask_of(2).ml == pytest.approx(1.0)

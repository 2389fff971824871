"""The patient sampled on grids: right volumes on any of them, nested structures, no surprises when moved."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import GridError, LiverError
from flr_volumetry.images import Grid
from flr_volumetry.phantom import LesionSpec, PhantomSpec, Warp, phantom_of, random_patient, random_spec
from flr_volumetry.phantom.shapes import rotation
from flr_volumetry.phantom.truth import integrate_ml
from tests.grids import STEPS, grid_around
from tests.phantom.conftest import LIVER_CENTRE_MM

TOLERANCE = {
    "liver": 0.002,
    "portal_vein": 0.02,
    "hepatic_veins": 0.02,
    "ivc": 0.03,
    "gallbladder": 0.02,
    "tumour1": 0.02,
    "tumour2": 0.03,
    "tumour3": 0.04,
    **{f"segment{n}": 0.012 for n in range(1, 9)},
}
"""Share by which counting on voxels of 13 to 16 mm3 may miss the truth."""


def volumes(masks):
    single = (
        masks.liver,
        *masks.lesions,
        masks.portal_vein,
        masks.hepatic_veins,
        masks.ivc,
        masks.gallbladder,
    )
    found = {mask.name: mask.ml for mask in single}
    return found | {f"segment{n}": masks.segments.mask_of(n).ml for n in range(1, 9)}


@pytest.mark.parametrize("name", STEPS)
def test_counted_volumes_meet_the_truth_on_every_grid(name, sampled, truth):
    """Counting voxels on any of the five grids gives the integrated volume of every structure."""
    found = volumes(sampled[name])

    assert set(found) == set(truth) - {"tumours"}
    for structure, ml in found.items():
        assert ml == pytest.approx(truth[structure], rel=TOLERANCE[structure]), structure


@pytest.mark.parametrize("name", STEPS)
def test_segments_partition_the_liver_to_the_voxel(name, sampled):
    """Every liver voxel has one segment, no other voxel has any, and all eight occur."""
    masks = sampled[name]

    assert np.array_equal(masks.segments.voxels > 0, masks.liver.voxels)
    assert sorted(np.unique(masks.segments.voxels)) == list(range(9))
    assert masks.segments.names[4] == "segment IV"


@pytest.mark.parametrize("name", STEPS)
def test_structures_lie_as_anatomy_says(name, sampled):
    """Lesions inside the liver and apart from each other; gallbladder and vena cava outside; veins apart."""
    masks = sampled[name]
    liver = masks.liver.voxels
    total = sum(mask.voxels.astype(np.uint8) for mask in masks.lesions)

    assert total.max() == 1
    assert not (total.astype(bool) & ~liver).any()
    assert not (liver & (masks.gallbladder.voxels | masks.ivc.voxels)).any()
    assert not (masks.hepatic_veins.voxels & (masks.portal_vein.voxels | masks.ivc.voxels)).any()
    assert not ((masks.portal_vein.voxels | masks.hepatic_veins.voxels) & total.astype(bool)).any()


def test_the_liver_has_the_shares_of_published_livers(truth):
    """Clinical base 6.2: 1500 to 1700 mL, segment VIII the largest, and the shares of the units."""
    share = {n: truth[f"segment{n}"] / truth["liver"] for n in range(1, 9)}

    assert 1500 < truth["liver"] < 1700
    assert max(share, key=lambda n: share[n]) == 8
    assert 0.02 < share[1] < 0.04
    assert 0.60 < sum(share[n] for n in (5, 6, 7, 8)) < 0.68
    assert 0.14 < share[2] + share[3] < 0.18
    assert 0.14 < share[4] < 0.19
    assert max(share[2], share[3]) < 0.10


def test_lesions_are_bilobar_and_of_the_sizes_named(axial, truth):
    """Tumours 1 and 2 lie in segments V to VIII, tumour 3 in segments II and III."""
    segments = [set(np.unique(axial.segments.voxels[mask.voxels])) for mask in axial.lesions]
    diameters = [(truth[f"tumour{n}"] * 6000 / np.pi) ** (1 / 3) for n in (1, 2, 3)]

    assert segments[0] | segments[1] <= {5, 6, 7, 8}
    assert segments[2] <= {2, 3}
    assert diameters == pytest.approx([42, 28, 24], rel=0.01)


def test_the_liver_is_one_piece_with_no_holes_but_its_own(axial):
    """One component; it touches no face of the grid."""
    from scipy import ndimage

    liver = axial.liver.voxels
    edges = [liver.take(end, axis=n).any() for n in range(3) for end in (0, -1)]

    assert ndimage.label(liver)[1] == 1
    assert not any(edges)


def test_left_is_left_and_up_is_up(axial):
    """Segments II and III lie left of the right liver (+x), segment VIII above V, VI behind V (+y)."""

    def centre(*segments):
        return axial.liver.grid.centres_mm(np.argwhere(axial.segments.mask_of(*segments).voxels)).mean(axis=0)

    assert centre(2, 3)[0] > centre(4)[0] > centre(5, 6, 7, 8)[0]
    assert centre(8)[2] > centre(5)[2] + 30
    assert centre(7)[2] > centre(6)[2] + 30
    assert centre(6)[1] > centre(5)[1] + 20
    assert centre(2)[2] > centre(3)[2]


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_a_moved_patient_on_a_moved_grid_gives_the_same_voxels(phantom, mirror):
    """Turned, mirrored and shifted together, patient and grid give the same arrays, scan included."""
    R = rotation((17.0, -41.0, 63.0)) @ np.diag([mirror, 1.0, 1.0])
    shift = np.array([120.0, -45.0, 300.0])
    grid = grid_around("gantry tilt", LIVER_CENTRE_MM, 60.0, scale=2.0)
    step = np.eye(4)
    step[:3, :3], step[:3, 3] = R, shift
    moved = phantom.placed(R, shift)
    there = Grid(grid.shape, step @ grid.affine)

    before, after = phantom.structures(grid), moved.structures(there)

    assert np.array_equal(before.segments.voxels, after.segments.voxels)
    assert np.array_equal(before.lesions[0].voxels, after.lesions[0].voxels)
    difference = phantom.image(grid).voxels.astype(int) - moved.image(there).voxels
    assert np.abs(difference).max() <= 1


def test_placing_twice_is_placing_once_by_the_product(phantom):
    """A turn about z by 90 degrees, then a shift, then a turn back."""
    turn = rotation((0.0, 0.0, 90.0))
    twice = phantom.placed(turn, (10.0, 0.0, 0.0)).placed(turn.T, (0.0, 0.0, 5.0))

    assert twice.pose.to_patient == pytest.approx(
        np.array([[1, 0, 0, 0], [0, 1, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1]])
    )


def test_the_default_grid_shows_the_whole_liver_at_any_spacing_and_place(phantom):
    """No liver voxel touches a face, turned or not; spacing and frame are as asked."""
    for patient in (phantom, phantom.placed(rotation((0.0, 0.0, 90.0)), (50.0, 0.0, 0.0))):
        grid = patient.default_grid((4.0, 5.0, 6.0), frame_of_reference_uid="1.2.3")
        liver = patient.structures(grid).liver.voxels

        assert grid.spacing_mm == pytest.approx((4.0, 5.0, 6.0))
        assert grid.frame_of_reference_uid == "1.2.3"
        assert not any(liver.take(end, axis=n).any() for n in range(3) for end in (0, -1))


def test_a_grid_partly_beside_the_patient_shows_its_part(phantom, axial):
    """Cropping the grid crops the masks, voxel for voxel."""
    box = (slice(40, 97), slice(0, 60), slice(5, 33))
    part = phantom.structures(axial.liver.grid.crop(box))

    assert np.array_equal(part.segments.voxels, axial.segments.voxels[box])
    assert np.array_equal(part.hepatic_veins.voxels, axial.hepatic_veins.voxels[box])


def test_arrays_lie_in_memory_as_in_files_and_cannot_be_written(axial):
    """Columns run fastest; masks are read-only."""
    for array in (axial.liver.voxels, axial.segments.voxels, axial.ivc.voxels):
        assert array.flags.f_contiguous
        assert not array.flags.writeable


def test_a_grid_that_misses_the_liver_is_refused(phantom):
    """It says where to start instead."""
    affine = np.eye(4)
    affine[0, 3] = 900.0
    with pytest.raises(GridError, match="default_grid"):
        phantom.structures(Grid((3, 3, 3), affine))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, -1.0, 2.0), (1.0, 1.0, float("nan"))])
def test_a_spacing_that_is_none_is_refused(phantom, spacing):
    """Three positive numbers, or a message."""
    with pytest.raises(GridError, match="spacing"):
        phantom.default_grid(spacing)


def test_a_placement_that_stretches_is_refused(phantom):
    """Volumes would no longer be the patient's."""
    with pytest.raises(GridError, match="orthogonal") as found:
        phantom.placed(np.diag([1.0, 1.0, 1.01]))

    assert found.value.reason == "not_rigid"


def test_a_placement_of_nonsense_is_refused(phantom):
    """A shift of nan has no place."""
    with pytest.raises(GridError, match="finite"):
        phantom.placed(np.eye(3), (0.0, float("nan"), 0.0))


def test_a_lesion_that_sticks_out_of_the_liver_is_refused():
    """The message names its number, and what is missing."""
    with pytest.raises(LiverError, match=r"lesion 1 .* needs 1.5 mm") as found:
        PhantomSpec(lesions=(LesionSpec((-120.0, -10.0, 10.0), 40.0),))

    assert found.value.reason == "lesion_outside_liver"


def test_a_larger_body_has_a_liver_larger_by_its_scales(truth):
    """Scaled by 1.1, 1.0 and 0.95, without bending."""
    spec = PhantomSpec(warp=Warp((1.1, 1.0, 0.95)), lesions=())
    patient = phantom_of(spec)
    found = patient.structures(patient.default_grid((2.0, 2.0, 2.0))).liver.ml

    assert found == pytest.approx(truth["liver"] * 1.1 * 0.95, rel=0.002)


def test_random_patients_are_different_plausible_and_reproducible():
    """Their livers differ by a quarter or more, keep the textbook order, and hold their lesions."""
    livers, right = [], []
    for seed in range(6):
        patient = random_patient(seed)
        masks = patient.structures(patient.default_grid((5.0, 5.0, 5.0)))
        count = np.bincount(masks.segments.voxels.ravel(), minlength=9)[1:] / masks.liver.count
        livers.append(masks.liver.ml)
        right.append(count[4:].sum())

        assert 1 <= len(masks.lesions) <= 6
        assert count.argmax() + 1 == 8
        assert 0.015 < count[0] < 0.04
        assert not any(masks.liver.voxels.take(end, axis=n).any() for n in range(3) for end in (0, -1))

    assert 900 < min(livers) < max(livers) < 2600
    assert max(livers) > 1.25 * min(livers)
    assert 0.51 < min(right) < max(right) < 0.79
    assert max(right) - min(right) > 0.03
    assert random_spec(3) == random_spec(3) != random_spec(4)


@pytest.mark.parametrize("visceral_mm", [-2.0, 6.0])
@pytest.mark.parametrize("left_curve", [0.0012, 0.0044])
def test_the_box_of_a_liver_holds_livers_of_every_shape_drawn(visceral_mm, left_curve):
    """On all six faces of the box, points lie outside the liver."""
    liver = PhantomSpec(lesions=(), visceral_mm=visceral_mm, left_curve=left_curve).liver
    low, high = liver.bounds
    axes = [np.linspace(a, b, 70) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    faces = [points.take(end, axis=n).reshape(-1, 3) for n in range(3) for end in (0, -1)]

    assert float(liver.distance(*points.reshape(-1, 3).T).min()) < -20
    for face in faces:
        assert float(liver.distance(*face.T).min()) > 0


def test_a_bent_body_keeps_its_truth():
    """Counted on a fine grid, a drawn patient's liver and lesions meet the integral."""
    patient = random_patient(5)
    anatomy, warp = patient.anatomy, patient.spec.warp
    masks = patient.structures(patient.default_grid((2.0, 2.0, 2.0)))
    liver = integrate_ml((anatomy.liver,), step_mm=1.2, warp=warp)
    lesions = sum(integrate_ml((lesion,), step_mm=0.4, warp=warp) for lesion in anatomy.lesions)

    assert warp.waves
    assert masks.liver.ml == pytest.approx(liver, rel=0.002)
    assert sum(mask.ml for mask in masks.lesions) == pytest.approx(lesions, rel=0.03)

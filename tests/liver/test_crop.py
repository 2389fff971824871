"""Masks put together, and what is doubtful about them."""

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import FrameError, GridError, LiverError
from flr_volumetry.images import Grid, Image, LabelMap, Mask, Source
from flr_volumetry.liver import Masks, crop_liver
from tests.grids import STEPS, ball, grid_around
from tests.livers import CENTRE, RADIUS_MM, ball_liver, ball_ml, grid_of, octants


def block(grid, low, high):
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return voxels


def codes(liver):
    return [c.code for c in liver.caveats]


@pytest.mark.parametrize("name", STEPS)
def test_the_crop_keeps_the_liver_where_it_lies(name):
    """Volume and centroid of the crop are the ball's, on any grid."""
    liver = ball_liver(name, lesions=[((10, 5, -12), 9.0)])
    points = liver.grid.centres_mm(np.argwhere(liver.voxels))
    lesion = liver.lesions[0]
    inside = np.argwhere(lesion.voxels) + np.asarray(lesion.start)

    assert liver.ml == pytest.approx(ball_ml(RADIUS_MM), rel=0.002)
    assert points.mean(axis=0) == pytest.approx(CENTRE, abs=0.1)
    assert liver.grid.centres_mm(inside).mean(axis=0) == pytest.approx(CENTRE + [10, 5, -12], abs=0.3)
    assert lesion.mask_ml == pytest.approx(ball_ml(9.0), rel=0.03)
    assert codes(liver) == ["no_image"]
    start = liver.scan_grid.centres_mm([liver.start])
    assert start == pytest.approx(liver.grid.centres_mm([[0, 0, 0]]))


@pytest.mark.parametrize(
    ("name", "axis", "at_end", "face"),
    [
        ("axial", 2, True, "head"),
        ("axial", 2, False, "feet"),
        ("axial", 0, True, "left"),
        ("flipped", 0, True, "right"),
        ("flipped", 1, False, "posterior"),
        ("sagittal", 2, True, "left"),
        ("sagittal", 1, False, "feet"),
        ("gantry tilt", 2, True, "head"),
    ],
)
def test_a_liver_cut_by_the_field_of_view_names_the_face_and_the_area(name, axis, at_end, face):
    """The ball cut 30 mm from its centre shows a disc at the face."""
    grid = grid_around(name, CENTRE, RADIUS_MM + 4)
    steps = grid.affine[:3, :3]
    normal = np.linalg.inv(steps)[axis]
    step_mm = 1 / np.linalg.norm(normal)
    index = round(float(grid.indices_at([CENTRE])[0][axis]) + (30 / step_mm if at_end else -30 / step_mm))
    cut = [slice(0, n) for n in grid.shape]
    cut[axis] = slice(0, index + 1) if at_end else slice(index, grid.shape[axis])
    scan = grid.crop(tuple(cut))
    distance = abs(index - float(grid.indices_at([CENTRE])[0][axis])) * step_mm
    area = np.pi * (RADIUS_MM**2 - distance**2) / 100

    liver = crop_liver(Masks(Mask(scan, ball(scan, CENTRE, RADIUS_MM))))

    found = [c.message for c in liver.caveats if c.code == "liver_truncated"]
    assert len(found) == 1
    assert f"the {face} edge" in found[0]
    assert float(found[0].split(" over ")[1].split(" cm2")[0]) == pytest.approx(area, rel=0.02)


def test_an_empty_liver_is_refused():
    """There is nothing to measure."""
    grid = grid_of()
    with pytest.raises(LiverError, match=r"\(liver\.nii\.gz\) is empty") as caught:
        crop_liver(Masks(Mask(grid, np.zeros(grid.shape, dtype=bool), "x", Source("liver.nii.gz"))))
    assert caught.value.reason == "empty_liver"


@pytest.mark.parametrize("edge", [18, 90])
def test_an_implausible_size_is_refused(edge):
    """46.7 and 5832 mL are no adult's liver."""
    grid = grid_of((100, 100, 100))
    with pytest.raises(LiverError, match="outside the plausible 400 to 5000 mL"):
        crop_liver(Masks(Mask(grid, block(grid, (2, 2, 2), (edge + 2,) * 3))))


def test_an_unusual_size_is_said():
    """2744 mL is possible, and worth a look."""
    grid = grid_of((80, 80, 80))
    assert "unusual_size" in codes(crop_liver(Masks(Mask(grid, block(grid, (2, 2, 2), (72, 72, 72))))))


def test_separate_parts_are_counted_and_said():
    """A second part of 64 voxels of 8 mm3 is 0.51 mL; parts that touch at a corner are one."""
    grid = grid_of()
    voxels = block(grid, (5, 5, 5), (50, 50, 50))
    voxels[50:54, 50:54, 50:54] = True
    assert "liver_in_parts" not in codes(crop_liver(Masks(Mask(grid, voxels))))
    voxels[50, 50, 50] = False
    voxels[50:52, 50:52, 50:52] = False
    voxels[54:58, 54:58, 54:58] = True
    voxels[50:54, 50:54, 50:54] = False

    liver = crop_liver(Masks(Mask(grid, voxels)))

    message = next(c.message for c in liver.caveats if c.code == "liver_in_parts")
    assert "2 separate parts: the largest has 729.0 mL, the others 0.51 mL" in message
    assert liver.ml == pytest.approx(729.0 + 0.512)


def test_a_lesion_outside_is_refused_and_one_that_sticks_out_is_said():
    """More than half outside is another organ; less is said in mL."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    apart = Mask(grid, block(grid, (52, 52, 52), (58, 58, 58)), "tumour")
    part = Mask(grid, block(grid, (40, 40, 46), (45, 45, 52)), "tumour")
    with pytest.raises(
        LiverError, match=r"lesion 1 'tumour' lies outside the liver: 1\.7 of its 1\.7 mL"
    ) as caught:
        crop_liver(Masks(liver, [apart]))

    assert caught.value.reason == "lesion_outside"

    found = crop_liver(Masks(liver, [part])).caveats

    assert "0.40 of the 1.2 mL of lesion 1" in next(
        c.message for c in found if c.code == "lesion_partly_outside"
    )


def test_an_empty_lesion_is_refused():
    """A lesion file with nothing in it is a mistake, not a patient without lesions."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    with pytest.raises(LiverError, match=r"lesion 1 'none' .*is empty"):
        crop_liver(Masks(liver, [Mask(grid, np.zeros(grid.shape, dtype=bool), "none")]))


def test_a_lesion_mask_in_parts_is_said():
    """Two balls in one file count as one lesion, with a word on how to split them."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    two = Mask(grid, block(grid, (10, 10, 10), (14, 14, 14)) | block(grid, (20, 20, 20), (22, 22, 22)), "two")
    message = next(c.message for c in crop_liver(Masks(liver, [two])).caveats if c.code == "lesion_in_parts")
    assert "2 separate parts (0.51, 0.06 mL)" in message
    assert "split = true" in message


def test_lesions_that_share_voxels_are_said():
    """Two blocks of 5 and 4 voxels' edge that share 2 x 4 x 4: 0.26 mL."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    one = Mask(grid, block(grid, (10, 10, 10), (15, 15, 15)), "one")
    two = Mask(grid, block(grid, (13, 11, 9), (17, 15, 14)), "two")
    apart = Mask(grid, block(grid, (15, 15, 15), (17, 17, 17)), "three")

    messages = [
        c.message for c in crop_liver(Masks(liver, [one, two, apart])).caveats if c.code == "lesions_overlap"
    ]

    assert len(messages) == 1
    assert "Lesions 1 'one' and 2 'two' share 0.26 mL" in messages[0]


def test_segments_that_leave_liver_bare_or_stick_out_are_said_in_ml():
    """A map one layer short on one side and one layer beyond on the other."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    labels = np.where(block(grid, (6, 5, 5), (51, 50, 50)), np.uint8(3), np.uint8(0))

    messages = {c.code: c.message for c in crop_liver(Masks(liver, segments=LabelMap(grid, labels))).caveats}

    layer = 45 * 45 * 8 / 1000
    assert f"{layer:.1f} of the liver's 729.0 mL carry no segment" in messages["liver_without_segment"]
    assert f"{layer:.1f} mL of the segment map lie outside" in messages["segments_outside_liver"]
    assert "no segment I, II, IV, V, VI, VII, VIII" in messages["segments_absent"]


def test_segments_of_another_scan_are_refused():
    """Less than half of the liver covered is no segmentation of it."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    labels = np.where(block(grid, (5, 5, 5), (15, 50, 50)), np.uint8(3), np.uint8(0))
    with pytest.raises(LiverError, match=r"covers only 162\.0 of the liver's 729\.0 mL"):
        crop_liver(Masks(liver, segments=LabelMap(grid, labels)))


def test_a_label_that_is_no_segment_is_refused():
    """Nine is not a Couinaud segment."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    with pytest.raises(LiverError, match=r"labels \[9\]"):
        crop_liver(Masks(liver, segments=LabelMap(grid, np.full(grid.shape, 9, dtype=np.uint8))))


def test_mirrored_segments_are_said():
    """II and III on the patient's right: the file misstates left and right, or the organs are reversed."""
    right = ball_liver("axial", segments=True)
    grid = grid_around("axial", CENTRE, RADIUS_MM + 4)
    whole = ball(grid, CENTRE, RADIUS_MM)
    labels = np.where(octants(grid) > 4, np.uint8(3), np.uint8(7)) * whole

    mirrored = crop_liver(Masks(Mask(grid, whole), segments=LabelMap(grid, labels.astype(np.uint8))))

    assert "segments_mirrored" not in codes(right)
    assert "segments_mirrored" in codes(mirrored)


def test_another_patients_mask_is_refused():
    """Identifiers are compared by us, whatever the grids say."""
    grid = grid_of()
    voxels = block(grid, (5, 5, 5), (50, 50, 50))
    image = Image(grid, np.full(grid.shape, 100, dtype=np.int16), Source("ct", modality="CT", patient_id="A"))
    with pytest.raises(LiverError, match=r"m\.dcm carries another patient's identifier than ct"):
        crop_liver(Masks(Mask(grid, voxels, "liver", Source("m.dcm", patient_id="B"))), image=image)
    lesion = Mask(grid, block(grid, (9, 9, 9), (12, 12, 12)), "t", Source("t.dcm", patient_id="B"))
    with pytest.raises(LiverError, match=r"t\.dcm carries another"):
        crop_liver(Masks(Mask(grid, voxels), [lesion]), image=image)


def test_a_mask_in_another_frame_or_place_is_refused():
    """Neither another frame of reference nor a mask that meets the scan nowhere is accepted."""
    grid = grid_of(frame="1.2.3")
    voxels = block(grid, (5, 5, 5), (50, 50, 50))
    image = Image(grid, np.full(grid.shape, 100, dtype=np.int16))
    with pytest.raises(FrameError):
        crop_liver(Masks(Mask(grid_of(frame="1.2.9"), voxels)), image=image)
    away = np.diag([2.0, 2.0, 2.0, 1.0])
    away[:3, 3] = 900
    with pytest.raises(GridError, match="does not meet the scan"):
        crop_liver(Masks(Mask(Grid(grid.shape, away), voxels)), image=image)


@pytest.mark.parametrize(
    ("hu", "padding", "modality", "expected"),
    [
        (105, None, "CT", []),
        (-90, None, "CT", ["unusual_hu"]),
        (400, None, "MR", []),
        (105, 105, "CT", ["liver_in_padding"]),
    ],
)
def test_the_scan_inside_the_mask_is_looked_at(hu, padding, modality, expected):
    """A liver of fat's HU, or in the unscanned corner, is pointed out."""
    grid = grid_of()
    image = Image(
        grid, np.full(grid.shape, hu, dtype=np.int16), Source("ct", modality=modality), padding=padding
    )
    liver = crop_liver(Masks(Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)))), image=image)
    assert codes(liver) == expected
    assert liver.image.grid.matches(liver.grid)


def test_padding_and_missing_numbers_take_no_part_in_the_statistics():
    """Most of the liver is padding of -3024 and some of it no number; what was measured is a liver's."""
    grid = grid_of()
    values = np.full(grid.shape, 105, dtype=np.float32)
    values[:, :, 12:] = -3024
    values[:, :, 6] = np.nan
    image = Image(grid, values, Source("ct", modality="CT"), padding=-3024)
    liver = crop_liver(Masks(Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)))), image=image)
    assert codes(liver) == ["liver_in_padding"]


@pytest.mark.parametrize(("distance", "said"), [(2.5, False), (4.0, True), (7.0, True)])
def test_thick_slices_are_said(distance, said):
    """Over 3 mm for margins, over 5 mm for volumes too."""
    grid = Grid((60, 60, 40), np.diag([2.0, 2.0, distance, 1.0]))
    liver = crop_liver(Masks(Mask(grid, block(grid, (5, 5, 5), (50, 50, 35)))))
    assert ("thick_slices" in codes(liver)) is said


def test_vessels_are_kept_with_the_volume_of_their_whole_mask():
    """What lies beyond the crop is still in the mask's mL."""
    grid = grid_of((60, 60, 90))
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)))
    vein = Mask(grid, block(grid, (20, 20, 20), (25, 25, 85)), "pv")
    away = Mask(grid, block(grid, (0, 0, 80), (3, 3, 85)), "hv")

    found = crop_liver(Masks(liver, vessels=[(Structure.PORTAL_VEIN, vein), (Structure.HEPATIC_VEINS, away)]))

    assert found.vessels[0].mask_ml == pytest.approx(25 * 65 * 8 / 1000)
    assert np.count_nonzero(found.vessels[0].voxels) < 25 * 65
    assert "vessel_outside_liver" in codes(found)


def test_lesions_of_a_few_voxels_are_told_apart():
    """Two voxels with one between them are two parts, however small the box."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    dots = np.zeros(grid.shape, dtype=bool)
    dots[20, 20, 20] = dots[22, 20, 20] = True

    message = next(
        c.message
        for c in crop_liver(Masks(liver, [Mask(grid, dots, "d")])).caveats
        if c.code == "lesion_in_parts"
    )

    assert "2 separate parts (0.01, 0.01 mL)" in message


def test_a_used_up_generator_of_lesions_is_refused():
    """Cropping twice would otherwise give a liver without lesions, in silence."""
    grid = grid_of()
    liver = Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)), "liver")
    masks = Masks(liver, (Mask(grid, block(grid, (9, 9, 9), (14, 14, 14)), "t") for _ in range(1)))

    assert len(crop_liver(masks).lesions) == 1
    with pytest.raises(LiverError, match="used up"):
        crop_liver(masks)


def test_inputs_are_compared_with_each_other_where_the_scan_says_nothing():
    """A scan without identifiers does not hide that liver and lesion are of two patients, or two frames."""
    grid = grid_of()
    image = Image(grid, np.full(grid.shape, 100, dtype=np.int16), Source("ct", modality="CT"))
    voxels, spot = block(grid, (5, 5, 5), (50, 50, 50)), block(grid, (9, 9, 9), (14, 14, 14))
    named = [Source("a", patient_id="A"), Source("b", patient_id="B")]
    with pytest.raises(LiverError, match="b carries another patient's identifier than a"):
        crop_liver(Masks(Mask(grid, voxels, "l", named[0]), [Mask(grid, spot, "t", named[1])]), image=image)
    frames = grid_of(frame="1.2.3"), grid_of(frame="9.9.9")
    with pytest.raises(FrameError):
        crop_liver(Masks(Mask(frames[0], voxels), [Mask(frames[1], spot)]), image=image)


def test_thick_slices_are_seen_along_any_axis():
    """A file may store its slices first."""
    grid = Grid((20, 60, 60), np.diag([8.0, 2.0, 2.0, 1.0]))
    assert "thick_slices" in codes(crop_liver(Masks(Mask(grid, block(grid, (3, 5, 5), (15, 55, 55))))))


@pytest.mark.parametrize("margin", [-10, float("nan"), float("inf")])
def test_an_impossible_crop_margin_is_refused(margin):
    """A negative one would cut the liver away."""
    grid = grid_of()
    with pytest.raises(LiverError, match="0 mm or more"):
        crop_liver(Masks(Mask(grid, block(grid, (5, 5, 5), (50, 50, 50)))), margin_mm=margin)

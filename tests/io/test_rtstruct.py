"""Structure sets become the voxels whose centres their contours enclose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FlrError, FrameError
from flr_volumetry.images import Grid
from flr_volumetry.io import inspect, read_mask, read_masks
from flr_volumetry.io.dicom.contours import fill
from tests.io.dicom_files import SeriesSpec, write_slices
from tests.io.geometry import AFFINES
from tests.io.mask_files import RoiSpec, write_rtstruct

SHAPE = (13, 11, 6)


def crossings_inside(points, polygon):
    """Even-odd rule, one ray for each point: the textbook loop, to be independent of the scanline."""
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 >= points[:, 1]) != (y1 >= points[:, 1])
        at = np.round(x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0), 6)
        inside ^= crosses & (points[:, 0] <= at)
    return inside


def brute_force(polygons, shape):
    """Voxels [column, row] inside an odd number of polygons given in indices."""
    points = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 2)
    inside = np.zeros(len(points), bool)
    for polygon in polygons:
        inside ^= crossings_inside(points.astype(float), np.asarray(polygon, dtype=float))
    return inside.reshape(shape)


def filled(polygons, shape):
    whole = np.zeros(shape, bool)
    patch = fill([np.asarray(p, dtype=float) for p in polygons], shape)
    if patch is not None:
        rows, columns = patch.inside.shape
        whole[patch.column : patch.column + columns, patch.row : patch.row + rows] = patch.inside.T
    return whole


def in_patient(affine, polygon, k):
    points = np.column_stack([polygon, np.full(len(polygon), float(k)), np.ones(len(polygon))])
    return (points @ affine.T)[:, :3]


def star(centre, radii):
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.asarray(centre) + np.asarray(radii)[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])


def reason(read, *arguments, **options):
    with pytest.raises(FlrError) as caught:
        read(*arguments, **options)
    return caught.value


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.floats(-3, 16), st.floats(-3, 14)), min_size=3, max_size=9),
        min_size=1,
        max_size=3,
    )
)
def test_the_scanline_agrees_with_counting_crossings_for_every_voxel(polygons):
    rounded = [np.round(np.array(p), 6) for p in polygons]

    np.testing.assert_array_equal(filled(rounded, SHAPE[:2]), brute_force(rounded, SHAPE[:2]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 13), st.integers(-1, 11)), min_size=3, max_size=8))
def test_centres_on_edges_and_vertices_are_decided_the_same_way(polygon):
    np.testing.assert_array_equal(filled([polygon], SHAPE[:2]), brute_force([polygon], SHAPE[:2]))


def test_matplotlib_agrees_where_no_centre_lies_on_an_edge():
    path = pytest.importorskip("matplotlib.path")
    rng = np.random.default_rng(0)
    for _ in range(50):
        polygon = star((6.1, 5.2), rng.uniform(1, 5, 12))
        points = np.stack(np.meshgrid(np.arange(13), np.arange(11), indexing="ij"), axis=-1).reshape(-1, 2)
        inside = path.Path(np.vstack([polygon, polygon[:1]]), closed=True).contains_points(points)
        np.testing.assert_array_equal(filled([polygon], SHAPE[:2]).ravel(), inside)


def test_tiles_of_a_plane_share_no_voxel_and_leave_none():
    """Polygons that share edges through voxel centres give each voxel to one of them."""
    counts = np.zeros((12, 10), int)
    for left in range(-1, 12, 4):
        for top in range(-1, 10, 3):
            square = [(left, top), (left + 4, top), (left + 4, top + 3), (left, top + 3)]
            for triangle in (square[:3], [square[0], *square[2:]]):
                counts += filled([triangle], (12, 10))

    assert (counts == 1).all()


def test_a_square_of_whole_voxels_has_its_area():
    square = [(2.5, 1.5), (7.5, 1.5), (7.5, 6.5), (2.5, 6.5)]
    expected = np.zeros((13, 11), bool)
    expected[3:8, 2:7] = True

    np.testing.assert_array_equal(filled([square], (13, 11)), expected)


def test_a_nested_contour_and_a_keyhole_cut_the_same_hole():
    outer = [(0.5, 0.5), (9.5, 0.5), (9.5, 9.5), (0.5, 9.5)]
    inner = [(3.5, 3.5), (6.5, 3.5), (6.5, 6.5), (3.5, 6.5)]
    channel = [(0.5, 4.2), (3.5, 4.2)]
    keyhole = [
        *(outer[0], outer[1], outer[2], outer[3], channel[0], channel[1]),
        *(inner[3], inner[2], inner[1], inner[0], channel[1], channel[0]),
    ]
    nested = filled([outer, inner], (11, 11))

    assert np.count_nonzero(nested) == 81 - 9
    np.testing.assert_array_equal(filled([keyhole], (11, 11)), nested)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_contours_lie_on_the_scan_they_were_drawn_on(tmp_path, affine, syntax):
    """On every kind of grid: axial, flipped, sagittal, oblique, tilted; holes and islands."""
    rng = np.random.default_rng(3)
    expected = np.zeros(SHAPE, bool)
    contours = []
    for k in range(1, 5):
        polygons = [star((6, 5), rng.uniform(3, 4.5, 14)), star((6, 5), rng.uniform(0.6, 1.8, 9))]
        expected[:, :, k] = brute_force(np.round(polygons[0], 6)[None], SHAPE[:2])
        expected[:, :, k] ^= brute_force(np.round(polygons[1], 6)[None], SHAPE[:2])
        contours += [in_patient(affine, polygon, k) for polygon in polygons]
    contours = [contours[n] for n in rng.permutation(len(contours))]
    path = write_rtstruct(tmp_path / "r.dcm", [RoiSpec("Liver", contours)], syntax=syntax)

    read = read_mask(path, grid=Grid(SHAPE, affine, "1.2.3.9"))

    np.testing.assert_array_equal(read.voxels, expected)
    assert read.name == "Liver"
    assert read.caveats == ()
    assert read.voxels.flags.f_contiguous


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_mask_drawn_around_its_voxels_comes_back(tmp_path, affine):
    mask = np.random.default_rng(1).random(SHAPE) < 0.3
    contours = []
    for i, j, k in np.argwhere(mask):
        square = [(i - 0.5, j - 0.5), (i + 0.5, j - 0.5), (i + 0.5, j + 0.5), (i - 0.5, j + 0.5)]
        contours.append(in_patient(affine, square, k))
    path = write_rtstruct(tmp_path / "r.dcm", [RoiSpec("Liver", contours)])

    np.testing.assert_array_equal(read_mask(path, grid=Grid(SHAPE, affine)).voxels, mask)


def test_contours_drawn_across_another_axis_are_read(tmp_path):
    """Sagittal contours on every column of an axial scan."""
    affine = AFFINES["axial"]
    contours, expected = [], np.zeros(SHAPE, bool)
    polygon = np.array([(1.4, 0.7), (8.2, 1.1), (6.6, 4.3), (2.3, 3.9)])
    for i in range(3, 8):
        points = np.column_stack([np.full(4, i), polygon, np.ones(4)])
        contours.append((points @ affine.T)[:, :3])
        expected[i] = brute_force([polygon], SHAPE[1:])
    path = write_rtstruct(tmp_path / "r.dcm", [RoiSpec("Liver", contours)])

    np.testing.assert_array_equal(read_mask(path, grid=Grid(SHAPE, affine)).voxels, expected)


def scan_and_contours(tmp_path, regions=None, *, frame="1.2.3.9", **options):
    affine = AFFINES["axial"]
    spec = SeriesSpec(frame=frame)
    write_slices(tmp_path / "study" / "ct", np.zeros(SHAPE, np.int16, order="F"), affine, spec)
    square = [(1.5, 1.5), (5.5, 1.5), (5.5, 4.5), (1.5, 4.5)]
    contours = [in_patient(affine, square, k) for k in (1, 2, 3)]
    regions = regions or [RoiSpec("Liver", contours, code=("SCT", "10200004", "Liver"))]
    return write_rtstruct(tmp_path / "study" / "ct" / "r.dcm", regions, **options)


def test_the_scan_beside_the_contours_is_found(tmp_path):
    path = scan_and_contours(tmp_path)

    for where in (path, tmp_path / "study"):
        (mask,) = read_masks(where).values()
        assert mask.count == 4 * 3 * 3
        assert mask.grid.matches(Grid(SHAPE, AFFINES["axial"], "1.2.3.9"))
    items = {item["kind"]: item for item in inspect(tmp_path / "study").to_json()["items"]}
    assert items["masks"]["segments"] == [
        {
            "name": "Liver",
            "number": 1,
            "voxels": 36,
            "ml": pytest.approx(36 * 1.4 / 1000),
            "code": "SCT:10200004",
        }
    ]


def test_the_scan_that_the_contours_name_is_taken_among_several(tmp_path):
    other = AFFINES["axial"].copy()
    other[:3, :2] *= 0.5
    spec = SeriesSpec(series="1.2.3.1.2", number=2)
    write_slices(tmp_path / "study" / "other", np.zeros(SHAPE, np.int16, order="F"), other, spec)
    path = scan_and_contours(tmp_path)

    assert read_masks(tmp_path / "study")["Liver"].count == 36
    write_rtstruct(
        path,
        [RoiSpec("Liver", [in_patient(AFFINES["axial"], star((6, 5), [3] * 6), 1)])],
        series="1.2.3.77",
    )
    assert reason(read_masks, tmp_path / "study").reason == "several_series"


def test_contours_without_a_scan_are_refused_with_what_to_do(tmp_path):
    path = write_rtstruct(
        tmp_path / "r.dcm", [RoiSpec("Liver", [star((6, 5, 0)[:2], [3] * 5) @ np.eye(2, 3)])]
    )

    error = reason(read_masks, path)
    assert error.reason == "needs_image"
    assert "folder" in error.message


def test_another_frame_of_reference_is_refused(tmp_path):
    scan_and_contours(tmp_path, frame="1.2.3.10")

    with pytest.raises(FrameError) as caught:
        read_masks(tmp_path / "study")
    assert caught.value.reason == "wrong_frame_of_reference"


GOOD = in_patient(AFFINES["axial"], star((6, 5), [3] * 8), 2)


def square_at(k, low=1.5, high=5.5):
    return in_patient(AFFINES["axial"], [(low, low), (high, low), (high, high), (low, high)], k)


def tipped():
    points = GOOD.copy()
    points[:, 2] += np.linspace(-3, 3, len(points))
    return points


@pytest.mark.parametrize(
    ("contour", "expected"),
    [
        (square_at(2.5), "contour_between_slices"),
        (square_at(2.3), "contour_between_slices"),
        (square_at(7), "contour_outside_image"),
        (square_at(-1), "contour_outside_image"),
        (square_at(2, high=16.5), "contour_outside_image"),
        (square_at(2, low=-3), "contour_outside_image"),
        (tipped(), "contour_across_slices"),
    ],
)
def test_contours_off_the_slices_are_refused(tmp_path, contour, expected):
    path = write_rtstruct(tmp_path / "r.dcm", [RoiSpec("Liver", [GOOD, contour])])
    error = reason(read_mask, path, grid=Grid(SHAPE, AFFINES["axial"]))

    assert error.reason == expected
    assert "'Liver'" in error.message


@pytest.mark.parametrize("shift", [0.2, -0.2])
def test_contours_near_a_slice_are_that_slice(tmp_path, shift):
    path = write_rtstruct(
        tmp_path / "r.dcm", [RoiSpec("Liver", [square_at(2 + shift), square_at(0 + shift)])]
    )
    read = read_mask(path, grid=Grid(SHAPE, AFFINES["axial"]))

    assert read.voxels.sum(axis=(0, 1)).tolist() == [16, 0, 16, 0, 0, 0]
    assert [c.code for c in read.caveats] == ["slices_without_contour"]
    assert "slices 1," in read.caveats[0].message


@pytest.mark.parametrize(
    "data",
    [["1"], ["1", "2"], [], ["1", "2", "3", "4"], ["1", "2", "1e999"]],
    ids=["one", "two", "empty", "four", "infinite"],
)
def test_a_malformed_contour_is_refused_before_anything_else(tmp_path, data):
    regions = [RoiSpec("Liver", [GOOD]), RoiSpec("Tumor", [data], counts=False)]
    if data == []:
        regions[1].contours = [[]]
    path = write_rtstruct(tmp_path / "r.dcm", regions)

    assert reason(read_masks, path).reason == "malformed_contour"
    assert reason(read_masks, path, grid=Grid(SHAPE, AFFINES["axial"])).reason == "malformed_contour"
    assert read_mask(path, segment="Liver", grid=Grid(SHAPE, AFFINES["axial"])).count > 0
    (item,) = inspect(path).to_json()["items"]
    assert item["reason"] == "malformed_contour"


def test_a_false_number_of_points_is_malformed(tmp_path):
    def edit(ds):
        ds.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 7

    path = write_rtstruct(tmp_path / "r.dcm", [RoiSpec("Liver", [GOOD])], edit=edit)

    assert reason(read_masks, path).reason == "malformed_contour"


def test_points_and_open_lines_enclose_nothing(tmp_path):
    grid = Grid(SHAPE, AFFINES["axial"])
    regions = [RoiSpec("isocentre", [GOOD[:1]], kind="POINT"), RoiSpec("Liver", [GOOD])]
    path = write_rtstruct(tmp_path / "r.dcm", regions)

    assert list(read_masks(path, grid=grid)) == ["Liver"]
    assert reason(read_mask, path, segment="isocentre", grid=grid).reason == "no_closed_contours"

    def edit(ds):
        ds.ROIContourSequence[1].ContourSequence.append(ds.ROIContourSequence[0].ContourSequence[0])

    path = write_rtstruct(tmp_path / "r.dcm", regions, edit=edit)
    assert [c.code for c in read_masks(path, grid=grid)["Liver"].caveats] == ["open_contours"]


def test_contours_of_two_points_are_left_out_and_said(tmp_path):
    path = write_rtstruct(tmp_path / "r.dcm", [RoiSpec("Liver", [GOOD, GOOD[:2]])])
    read = read_mask(path, grid=Grid(SHAPE, AFFINES["axial"]))

    assert [c.code for c in read.caveats] == ["degenerate_contours"]
    assert read.count > 0


def test_a_contour_written_twice_counts_once(tmp_path):
    """The exclusive or of a contour with its copy would be nothing."""
    grid = Grid(SHAPE, AFFINES["axial"])
    once = read_mask(write_rtstruct(tmp_path / "a.dcm", [RoiSpec("Liver", [GOOD])]), grid=grid)
    twice = read_mask(write_rtstruct(tmp_path / "b.dcm", [RoiSpec("Liver", [GOOD, GOOD])]), grid=grid)

    assert once.count > 0
    np.testing.assert_array_equal(once.voxels, twice.voxels)
    assert [c.code for c in twice.caveats] == ["copies_dropped"]


def test_contours_that_cross_are_said(tmp_path):
    crossing = [square_at(2), square_at(2, 3.5, 8.5)]
    nested = [square_at(2, 0.5, 8.5), square_at(2, 2.5, 4.5)]
    grid = Grid(SHAPE, AFFINES["axial"])
    read = read_mask(write_rtstruct(tmp_path / "a.dcm", [RoiSpec("Liver", crossing)]), grid=grid)

    assert [c.code for c in read.caveats] == ["crossing_contours"]
    assert "4 voxels" in read.caveats[0].message
    assert read_mask(write_rtstruct(tmp_path / "b.dcm", [RoiSpec("Liver", nested)]), grid=grid).caveats == ()


def test_one_structure_that_cannot_be_drawn_does_not_keep_back_the_others(tmp_path):
    regions = [RoiSpec("Couch", [square_at(2, high=30.0)]), RoiSpec("Liver", [GOOD])]
    path = write_rtstruct(tmp_path / "r.dcm", regions)
    read = read_masks(path, grid=Grid(SHAPE, AFFINES["axial"]))

    assert list(read) == ["Liver"]
    assert [c.code for c in read["Liver"].caveats] == ["structures_left_out"]
    assert "Couch (contour_outside_image)" in read["Liver"].caveats[0].message


def test_region_names_are_read_in_the_character_set_of_the_file(tmp_path):
    path = write_rtstruct(tmp_path / "r.dcm", [RoiSpec("Leber 肝臓", [GOOD])], charset="ISO_IR 192")

    assert list(read_masks(path, grid=Grid(SHAPE, AFFINES["axial"]))) == ["Leber 肝臓"]


def test_regions_that_contradict_each_other_are_refused(tmp_path):
    def one_number(ds):
        ds.StructureSetROISequence[1].ROINumber = 1

    def two_places(ds):
        ds.ROIContourSequence[1].ReferencedROINumber = 1

    def none(ds):
        ds.StructureSetROISequence = []

    regions = [RoiSpec("Liver", [GOOD]), RoiSpec("Tumor", [GOOD])]
    for edit, expected in (
        (one_number, "inconsistent_segments"),
        (two_places, "inconsistent_segments"),
        (none, "no_masks"),
    ):
        path = write_rtstruct(tmp_path / "r.dcm", regions, edit=edit)
        assert reason(read_masks, path, grid=Grid(SHAPE, AFFINES["axial"])).reason == expected

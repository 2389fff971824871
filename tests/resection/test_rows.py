"""The table of a liver's runs, and what cuts take of it, against the voxels themselves."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import LiverError
from flr_volumetry.images import Grid, LabelMap, Mask
from flr_volumetry.liver import Liver, Masks, crop_liver
from flr_volumetry.resection import Combine, Plane, PlaneResection, tabulate
from flr_volumetry.resection.cut import ON_PLANE_MM, beyond, plane_terms, taken_by
from flr_volumetry.resection.spans import Codes, Edges, beyond_planes, edges_of
from flr_volumetry.resection.tally import count, paint, share_out
from tests.grids import STEPS
from tests.livers import CENTRE, ball_liver

LESIONS = [((18.0, 12.0, -15.0), 10.0), ((22.0, 14.0, -9.0), 7.0), ((-50.0, 8.0, 3.0), 9.0)]
"""The second overlaps the first, the third reaches out of the liver."""
SCALE = 2.0


@functools.cache
def liver_on(name):
    return ball_liver(name, lesions=LESIONS, segments=True, scale=SCALE)


@functools.cache
def rows_on(name):
    return tabulate(liver_on(name))


def taken(rows, span):
    """Voxels a stretch in each row takes, by walking every run column by column."""
    out = np.zeros(rows.grid.shape, dtype=bool)
    for row, begin, end in zip(rows.row, rows.begin, rows.end, strict=True):
        j, k = rows.rows[row]
        column = np.arange(begin, end)
        inside = (column >= span.low[row]) & (column < span.high[row])
        out[column[inside == span.goes], j, k] = True
    return out


@pytest.mark.parametrize("name", STEPS)
def test_the_table_holds_every_voxel_once_with_its_labels(name):
    """Written back voxel by voxel, the runs are the liver, its segments and its lesions."""
    liver, rows = liver_on(name), rows_on(name)
    number = np.zeros(rows.grid.shape, dtype=int)
    labels = np.full((*rows.grid.shape, len(rows.layers)), -1)
    for row, begin, end, code in zip(rows.row, rows.begin, rows.end, rows.code, strict=True):
        j, k = rows.rows[row]
        number[begin:end, j, k] += 1
        labels[begin:end, j, k] = rows.labels[code]

    inside = liver.voxels[rows.box]
    assert np.array_equal(number, inside)
    assert rows.layers == ("segment", "lesion 1", "lesion 2", "lesion 3")
    assert np.array_equal(labels[inside][:, 0], liver.segments[rows.box][inside])
    for lesion in liver.lesions:
        whole = np.zeros(liver.grid.shape, dtype=int)
        whole[lesion.box] = lesion.voxels
        assert np.array_equal(labels[inside][:, lesion.number], whole[rows.box][inside])
    assert rows.counts.sum() == inside.sum()
    assert np.array_equal(rows.counts, np.bincount(rows.code, weights=rows.end - rows.begin))
    assert np.allclose(rows.grid.affine, liver.grid.crop(rows.box).affine)


def test_runs_lie_in_order_and_are_as_long_as_they_can_be():
    """In the order of memory; two that touch differ in a label."""
    rows = rows_on("oblique")
    begin = rows.row_places()[rows.row] + rows.begin
    end = rows.row_places()[rows.row] + rows.end

    assert (rows.end > rows.begin).all()
    assert (begin[1:] >= end[:-1]).all()
    touching = (begin[1:] == end[:-1]) & (rows.row[1:] == rows.row[:-1])
    assert (rows.code[1:][touching] != rows.code[:-1][touching]).all()
    assert np.array_equal(rows.labels, np.unique(rows.labels, axis=0))
    assert not rows.begin.flags.writeable


def test_more_lesions_than_fit_into_a_byte():
    """Nine lesions beside each other, some overlapping: each is its own layer."""
    balls = [((-40.0 + 9.0 * n, 0.0, 0.0), 6.0) for n in range(9)]
    liver = ball_liver("gantry tilt", lesions=balls, scale=SCALE)
    rows = tabulate(liver)

    assert rows.layers == tuple(f"lesion {n}" for n in range(1, 10))
    for lesion in liver.lesions:
        assert rows.counts @ rows.layer(f"lesion {lesion.number}") == np.count_nonzero(lesion.voxels)


def test_label_maps_are_layers_and_a_bare_liver_has_none():
    """A map of a thousand labels and a mask; without anything there is one combination."""
    liver = ball_liver("axial", scale=SCALE)
    checks = (np.indices(liver.grid.shape).sum(axis=0) * 37 % 1000).astype(np.uint16)
    half = np.indices(liver.grid.shape)[0] > 20
    rows = tabulate(liver, {"checks": checks, "half": half})

    assert rows.layers == ("checks", "half")
    want = np.bincount(checks[liver.voxels], minlength=1000)
    assert np.array_equal(np.bincount(rows.layer("checks"), weights=rows.counts, minlength=1000), want)
    assert rows.counts @ rows.layer("half") == np.count_nonzero(half & liver.voxels)
    bare = tabulate(liver)
    assert (bare.layers, bare.labels.shape, bare.counts.tolist()) == ((), (1, 0), [liver.voxels.sum()])


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ({"x": np.zeros((3, 3, 3), dtype=np.uint8)}, "'x' must be unsigned whole numbers"),
        ({"x": "float"}, "got float64"),
        ({"segment": "uint8"}, "may not be called 'segment'"),
        ({"lesion 1": "bool"}, "may not be called 'lesion 1'"),
    ],
)
def test_label_maps_that_do_not_fit_are_refused(maps, said):
    """Another shape, no whole numbers, or a name that is taken."""
    liver = liver_on("axial")
    given = {
        name: np.zeros(liver.grid.shape, dtype=what) if isinstance(what, str) else what
        for name, what in maps.items()
    }
    with pytest.raises(LiverError, match=said):
        tabulate(liver, given)


def some_plane(liver, rng, kind):
    """Plane of one kind: anywhere, through voxel centres, along the grid or hardly not, or far off."""
    steps = liver.grid.affine[:3, :3]
    index = rng.integers(0, liver.grid.shape)
    centre = liver.grid.centres_mm([index])[0]
    if kind == "anywhere":
        return Plane(CENTRE + rng.uniform(-60, 60, 3), rng.normal(size=3))
    if kind == "centres":
        # Three voxel centres span it, so that many more lie on it, or just where rounding decides.
        a, b = rng.integers(-3, 4, (2, 3))
        normal = np.cross(steps @ a, steps @ b)
        normal = normal / np.linalg.norm(normal) if np.linalg.norm(normal) > 1e-6 else np.eye(3)[0]
        return Plane(centre - rng.choice([0.0, ON_PLANE_MM]) * normal, normal)
    if kind == "along":
        axis = int(rng.integers(3))
        normal = np.cross(steps[:, axis - 1], steps[:, axis - 2])
        return Plane(centre + 1e-6 * rng.integers(-1, 2) * normal, normal * rng.choice([-1, 1]))
    if kind == "hardly":
        normal = np.cross(steps[:, 0], steps[:, 1])
        return Plane(centre, normal + 10.0 ** rng.integers(-18, -4) * rng.normal(size=3))
    return Plane(CENTRE + 1e4 * rng.normal(size=3), rng.normal(size=3))


@pytest.mark.parametrize("name", STEPS)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["anywhere", "centres", "along", "hardly", "far"]),
    n=st.integers(1, 3),
    combine=st.sampled_from(list(Combine)),
)
@settings(max_examples=60, deadline=None)
def test_planes_take_the_same_voxels_as_beyond(name, seed, kind, n, combine):
    """Any planes, ties included: the counts by label are those of the voxels."""
    liver, rows = liver_on(name), rows_on(name)
    rng = np.random.default_rng(seed)
    cut = PlaneResection(tuple(some_plane(liver, rng, kind) for _ in range(n)), combine)

    box, voxels = taken_by(liver, cut, "")
    goes = voxels & liver.voxels[box]
    counts = count(rows, [beyond_planes(cut, rows)])

    assert counts[1].sum() == np.count_nonzero(goes)
    want = np.bincount(liver.segments[box][goes], minlength=9)
    assert np.array_equal(np.bincount(rows.layer("segment"), weights=counts[1], minlength=9), want)
    assert np.array_equal(counts.sum(axis=0), rows.counts)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("combine", Combine)
def test_the_stretches_are_the_voxels_beyond(name, combine):
    """Not only as many voxels, but the same."""
    liver, rows = liver_on(name), rows_on(name)
    rng = np.random.default_rng(5)
    for kind in ("anywhere", "centres", "along", "hardly"):
        cut = PlaneResection(tuple(some_plane(liver, rng, kind) for _ in range(2)), combine)
        box, voxels = taken_by(liver, cut, "")
        assert np.array_equal(taken(rows, beyond_planes(cut, rows)), voxels & liver.voxels[box])


def box_liver(origin, spacing=0.7, shape=(80, 10, 6)):
    """Box of liver, a few voxels within its grid."""
    affine = np.diag([spacing, 0.7, 1.0, 1.0])
    affine[:3, 3] = origin
    grid = Grid(shape, affine)
    block = np.zeros(grid.shape, dtype=bool)
    block[3:-3, 1:-1, 1:-1] = True
    return Liver(grid, block, grid, (0, 0, 0))


def same_as_beyond(liver, rows, plane):
    counts = count(rows, [beyond_planes(PlaneResection((plane,)), rows)])[1].sum()
    return counts == np.count_nonzero(beyond(plane, liver.grid.crop(rows.box)))


def test_a_plane_that_rounding_alone_tilts():
    """A slope along the rows below the rounding of its terms: the voxels are still those of beyond."""
    liver = box_liver((-180.3, -150.1, 1000.7))
    rows = tabulate(liver)
    rng = np.random.default_rng(1)
    for _ in range(600):
        tilt = 10.0 ** rng.uniform(-16.5, -11) * rng.choice([-1, 1])
        on = liver.grid.centres_mm([[rng.integers(80), rng.integers(10), rng.integers(6)]])[0]
        point = on - [0, 0, ON_PLANE_MM + rng.integers(-3, 4) * np.spacing(1000.0)]
        assert same_as_beyond(liver, rows, Plane(point, (tilt, 0.0, rng.choice([-1.0, 1.0]))))


def test_a_plane_that_cuts_every_row_at_its_last_voxel():
    """The bounds of the halving: between the last two columns and between the first two."""
    liver = box_liver((0.0, 0.0, 0.0))
    rows = tabulate(liver)
    for column in (3, 4, 75, 76):
        # 1e-14 mm a column: more than the rounding of its terms, less than what counts as a slope.
        limit = 1e-14 * 0.7 * (column - 3)
        for sign in (-1.0, 1.0):
            plane = Plane((0.7 * 3, 0.0, 1.0 - ON_PLANE_MM - sign * limit), (sign * 1e-14, 0.0, 1.0))
            assert same_as_beyond(liver, rows, plane)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_centre_exactly_at_the_limit_stays(sign):
    """The comparison is strict, as that of beyond, where the numbers are equal to the last bit."""
    ties = 0
    for spacing in (0.5, 0.7, 2.0):
        liver = box_liver((0.0, 0.0, 0.0), spacing)
        rows = tabulate(liver)
        for column in range(2, 79):
            plane = Plane((spacing * column - sign * ON_PLANE_MM, 0.0, 0.0), (sign, 0.0, 0.0))
            assert same_as_beyond(liver, rows, plane)
            along, across, limit = plane_terms(plane, rows.grid)
            ties += int((along + across[0] == limit[0]).any())
    assert ties > 50


def test_rows_of_one_column():
    """A liver one voxel wide has rows without a slope."""
    grid = Grid((1, 30, 30), np.diag([5.0, 5.0, 5.0, 1.0]))
    liver = Liver(grid, np.ones(grid.shape, dtype=bool), grid, (0, 0, 0))
    rows = tabulate(liver)
    for normal in ((1.0, 0.2, 0.1), (-1.0, 0.2, 0.1)):
        cut = PlaneResection((Plane((0, 70.0, 70.0), normal),))
        voxels = beyond(cut.planes[0], grid)
        assert count(rows, [beyond_planes(cut, rows)])[1].sum() == np.count_nonzero(voxels) > 0


@pytest.mark.parametrize("name", STEPS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_any_voxels_and_any_order_of_cuts(name, seed):
    """Random masks in random boxes, planes and labels, one after the other, against the voxels."""
    liver, rows = liver_on(name), rows_on(name)
    rng = np.random.default_rng(seed)
    plane = PlaneResection(
        (some_plane(liver, rng, "anywhere"), some_plane(liver, rng, "centres")), Combine.ANY
    )
    low = rng.integers(0, np.array(liver.grid.shape) - 1)
    high = rng.integers(low + 1, np.array(liver.grid.shape) + 1)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    some = rng.random(tuple(high - low)) < rng.choice([0.05, 0.5, 0.95, 1.1])
    segments = rng.choice(9, 3)
    codes = Codes(np.isin(rows.layer("segment"), segments))
    cuts = {
        "plane": (beyond_planes(plane, rows), *taken_by(liver, plane, "")),
        "mask": (edges_of(box, some, rows), box, some),
        "labels": (codes, tuple(slice(0, n) for n in liver.grid.shape), np.isin(liver.segments, segments)),
    }
    order = rng.permutation(list(cuts))
    labels = liver.voxels.astype(np.uint8)
    for number, key in enumerate(order, start=2):
        _, where, goes = cuts[key]
        part = labels[where]
        part[goes & (part == 1)] = number
    takings = [cuts[key][0] for key in order]

    pieces = share_out(rows, takings)
    whole = tuple(slice(0, n) for n in rows.grid.shape)
    assert np.array_equal(paint(rows, pieces, whole), labels[rows.box])
    low = rng.integers(0, rows.grid.shape)
    some = tuple(
        slice(int(a), int(b)) for a, b in zip(low, rng.integers(low, rows.grid.shape) + 1, strict=True)
    )
    assert np.array_equal(paint(rows, pieces, some), labels[rows.box][some])
    mask = cuts["mask"][0]
    slowly = [
        np.bincount(p.code, weights=p.end - p.begin, minlength=len(rows.labels))
        for p in share_out(rows, [mask])
    ]
    assert np.array_equal(count(rows, [mask]), slowly)
    counts = count(rows, takings)
    for number in range(1, 5):
        want = np.bincount(liver.segments[labels == number], minlength=9)
        assert np.array_equal(
            np.bincount(rows.layer("segment"), weights=counts[number - 1], minlength=9), want
        )


def test_voxels_outside_the_bounding_box_are_left_out():
    """A box beside the liver takes nothing; one that covers the grid takes all."""
    liver, rows = liver_on("axial"), rows_on("axial")
    beside = (slice(0, rows.box[0].start), slice(0, 9), slice(0, 9))
    whole = tuple(slice(0, n) for n in liver.grid.shape)

    assert len(edges_of(beside, np.ones((rows.box[0].start, 9, 9), dtype=bool), rows).places) == 0
    every = count(rows, [edges_of(whole, np.ones(liver.grid.shape, dtype=bool), rows)])
    assert every.sum(axis=1).tolist() == [0, rows.counts.sum()]


def test_stretches_that_touch_are_one():
    """Given as two, kept as one; no run is cut where nothing changes."""
    edges = Edges(np.array([3, 5, 5, 9, 12, 14, 14, 15, 15, 20]))
    assert edges.places.tolist() == [3, 9, 12, 20]
    assert Edges(np.zeros(0, dtype=np.int64)).places.tolist() == []
    assert Edges(np.array([3, 5])).places.tolist() == [3, 5]


def test_the_table_does_not_depend_on_the_order_in_memory():
    """A liver with its slices fastest in memory has the same table."""
    liver = liver_on("oblique")
    other = crop_liver(
        Masks(
            Mask(liver.grid, np.ascontiguousarray(liver.voxels)),
            [],
            LabelMap(liver.grid, np.ascontiguousarray(liver.segments)),
        )
    )
    one, two = tabulate(other), rows_on("oblique")

    assert np.array_equal(one.rows, two.rows)
    assert one.counts.sum() == two.counts.sum()

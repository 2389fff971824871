"""Figures show the patient where the patient is, on any grid."""

from __future__ import annotations

import math
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Picture
from scipy import ndimage

from flr_volumetry.images import Image, Source
from flr_volumetry.report import FigureKind, canvas, charts, gallery, planes, slices
from flr_volumetry.report.gallery import figures, scene_of
from flr_volumetry.report.planes import View
from flr_volumetry.resection import Piece, PieceKind
from tests.report.cases import (
    CUT_X_MM,
    LESIONS,
    MARKER_MM,
    MARKER_RADIUS_MM,
    STEPS,
    make_case,
    make_liver,
    make_partition,
    make_summary,
    with_lesion,
)

REMNANT_MM = np.array([40.0, -20.0, 730.0])
SPECIMEN_MM = np.array([-70.0, -25.0, 690.0])
FAT_MM = np.array([60.0, 40.0, 680.0])


def pixels_of(png):
    """Decoded picture, as an array of rows, columns and RGB."""
    return np.asarray(Picture.open(BytesIO(png)).convert("RGB")).astype(int)


def panels_of(scene, png):
    """Cut a figure into its three pictures, as the layout says."""
    pixels = pixels_of(png)
    boxes, height = slices.layout(scene)
    result = {}
    for view, (left, bottom, width, tall) in boxes.items():
        top = height - bottom - tall
        edges = (round(canvas.DPI * v) for v in (top, top + tall, left, left + width))
        a, b, c, d = edges
        result[view] = pixels[a:b, c:d]
    return result


def place_in(panel, scene, view, point):
    """Where a point of the patient must lie in a picture: the fraction of the box, without planes.py."""
    x, y, z = (np.asarray(point) - scene.low_mm) / (scene.high_mm - scene.low_mm)
    across, down = {View.AXIAL: (x, y), View.CORONAL: (x, 1 - z), View.SAGITTAL: (y, 1 - z)}[view]
    return down * panel.shape[0], across * panel.shape[1]


def colour_at(panel, place, radius=4):
    """Mean colour about a place."""
    row, column = (round(v) for v in place)
    part = panel[row - radius : row + radius + 1, column - radius : column + radius + 1]
    return part.reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize("name", STEPS)
def test_a_bright_ball_appears_where_it_lies(name):
    """Left of, behind and above the middle: in each picture at its place, round and of its size."""
    liver = replace(make_liver(name), lesions=())
    scene = scene_of(liver, make_partition(make_liver(name)))
    png = slices.three_planes(scene, MARKER_MM, title="").png

    panels = panels_of(scene, png)
    for view, panel in panels.items():
        inner = np.pad(np.ones(np.array(panel.shape[:2]) - 6, dtype=bool), 3)  # not the page beside it
        labels, _ = ndimage.label(inner & (panel.min(axis=-1) > 245))
        largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
        rows, columns = np.nonzero(labels == largest)
        mm = (scene.high_mm - scene.low_mm)[0] / panels[View.AXIAL].shape[1]
        expected = place_in(panel, scene, view, MARKER_MM)
        assert np.hypot(rows.mean() - expected[0], columns.mean() - expected[1]) * mm < 1.6
        for extent in (np.ptp(rows) + 1, np.ptp(columns) + 1):
            assert extent * mm == pytest.approx(2 * MARKER_RADIUS_MM, abs=4.5)


@pytest.mark.parametrize("name", STEPS)
def test_what_stays_and_what_goes_have_the_colours_of_the_key(name):
    """At known points of the patient liver of 110 HU shows through the tint of its piece."""
    liver = replace(make_liver(name), lesions=())
    scene = scene_of(liver, make_partition(make_liver(name)))
    grey, alpha = 255 * 270 / 400, slices.FILL_ALPHA
    for point, tint in ((REMNANT_MM, (0x56, 0xB4, 0xE9)), (SPECIMEN_MM, (0xD5, 0x5E, 0x00))):
        png = slices.three_planes(scene, point, title="").png
        for view, panel in panels_of(scene, png).items():
            expected = grey * (1 - alpha) + alpha * np.array(tint)
            assert colour_at(panel, place_in(panel, scene, view, point)) == pytest.approx(expected, abs=8)


def test_grey_values_follow_the_window():
    """Fat of -20 HU at level 40, width 400 is (140 / 400) of white; MR is windowed by the liver itself."""
    liver = replace(make_liver("axial"), lesions=())
    partition = make_partition(make_liver("axial"))
    scene = scene_of(liver, partition)
    assert scene.window == (-160.0, 240.0)
    assert "level 40 HU, width 400 HU" in scene.window_words
    panel = panels_of(scene, slices.three_planes(scene, FAT_MM, title="").png)[View.AXIAL]
    assert colour_at(panel, place_in(panel, scene, View.AXIAL, FAT_MM)) == pytest.approx(
        255 * 140 / 400, abs=6
    )

    for modality, said in (("MR", "MR, window set by"), ("", "modality not stated, window set by")):
        image = Image(liver.grid, liver.image.voxels, Source(modality=modality))
        window, words = slices.window_of(replace(liver, image=image))
        assert words.startswith(said)
        assert window[0] < 110 < window[1]
        assert 100 < window[1] - window[0] < 400


def test_without_a_scan_only_masks_are_drawn_and_it_is_said():
    """The ground is plain, and caption and picture say that no scan was given."""
    liver, partition, summary = make_case("axial")
    scene = scene_of(replace(liver, image=None, lesions=()), partition)
    panel = panels_of(scene, slices.three_planes(scene, FAT_MM, title="").png)[View.AXIAL]

    assert colour_at(panel, place_in(panel, scene, View.AXIAL, FAT_MM)) == pytest.approx(255 * 0.93, abs=5)
    assert "no scan was given" in gallery._plan(scene, summary).caption


def test_all_grids_show_the_same_patient():
    """What stays, goes and lies outside is the same in the pictures of all five grids, to their borders."""
    seen = {}
    reference = scene_of(make_liver("axial"), make_partition(make_liver("axial")))
    for name in STEPS:
        partition = make_partition(make_liver(name))
        for view in View:
            plane = reference.plane(view, REMNANT_MM)
            seen[name, view] = planes.nearest(plane, partition.grid, partition.labels)
    for (_, view), labels in seen.items():
        assert (labels == seen["axial", view]).mean() > 0.97


def test_the_cut_is_drawn_on_the_cut():
    """Yellow pixels lie on the plane or around the wedge, and along the whole of both."""
    liver, partition, _ = make_case("axial")
    scene = scene_of(replace(liver, lesions=()), partition)
    centre, radius = LESIONS[1]
    panel = panels_of(scene, slices.three_planes(scene, centre, title="").png)[View.AXIAL]
    red, green, blue = np.moveaxis(panel, -1, 0)
    rows, columns = np.nonzero((red > 200) & (green > 190) & (blue < 120))

    points = scene.low_mm + (scene.high_mm - scene.low_mm) * _fractions(panel, rows, columns)
    x, y, _ = points.T
    from_plane = np.abs(x - (CUT_X_MM + 0.25 * y))
    from_wedge = np.abs(np.hypot(x - centre[0], y - centre[1]) - (radius + 5))
    assert np.minimum(from_plane, from_wedge).max() < 5
    assert np.ptp(y[from_plane < 5]) > 80
    assert np.ptp(y[from_wedge < 5]) == pytest.approx(2 * (radius + 5), abs=5)
    assert (from_wedge < 5).sum() > 100


def _fractions(panel, rows, columns):
    across, down = (columns + 0.5) / panel.shape[1], (rows + 0.5) / panel.shape[0]
    return np.column_stack([across, down, np.zeros(len(rows))])


def test_pieces_look_different_without_colour():
    """Remnant, stages and ablations differ in their outlines, and the key gives their volumes."""
    pieces = [
        Piece(1, "remnant", PieceKind.REMNANT, 0, 600_000),
        Piece(2, "wedge of lesion 2 with 5 mm", PieceKind.RESECTED, 1, 12_340),
        Piece(3, "right hepatectomy (H5678)", PieceKind.RESECTED, 2, 900_000),
        Piece(4, "ablation of lesion 3 with 5 mm", PieceKind.ABLATED, 2, 10_000),
    ]
    looks = [slices.look_of(piece, 0.001) for piece in pieces]

    assert len({look.line for look in looks}) == 4
    assert len({look.colour for look in looks}) == 4
    assert looks[0].words == "stays: remnant, 600.0 mL"
    assert looks[1].words == "stage 1: wedge of lesion 2 with 5 mm, 12.3 mL"
    assert looks[3].words == "stage 2: ablation of lesion 3 with 5 mm, 10.0 mL"


@pytest.fixture(scope="module")
def drawn():
    """All figures of the case."""
    return figures(*make_case("gantry tilt"))


def test_each_case_has_its_figures(drawn):
    """The plan, the smallest margin, each lesion, the ladder and the segments, each explained."""
    assert [f.name for f in drawn] == [
        "plan",
        "smallest_margin",
        "lesion_1",
        "lesion_2",
        "lesion_3",
        "margin_map",
        "thresholds",
        "segments",
    ]
    for figure in drawn:
        assert figure.png.startswith(b"\x89PNG\r\n\x1a\n")
        assert pixels_of(figure.png).std() > 5
        assert len(figure.caption) > 20
        assert len(figure.alt) > 20
    assert "5.4 mm, at lesion 2" in drawn[1].title
    assert "longest diameter 34.0 mm, segment VIII, margin 67.0 mm, cleared in stage 2" in drawn[2].alt


def test_figures_are_small_enough_for_a_page_of_three_megabytes(drawn):
    """The most pictures a report can have, each as large as the largest here, stay below 3 MB in base64."""
    most = 1 + gallery.MAX_CRITICAL_FIGURES + gallery.MAX_LESION_FIGURES
    pictures = most * max(len(f.png) for f in drawn)
    charts_ = 4 * sum(len(f.png) for f in drawn if f.kind in {FigureKind.LADDER, FigureKind.SEGMENTS})

    assert 4 / 3 * (pictures + charts_) < 2_900_000


def test_figures_do_not_depend_on_the_run(drawn):
    """Drawing again gives the same bytes."""
    liver, partition, summary = make_case("gantry tilt")

    assert gallery._plan(scene_of(liver, partition), summary).png == drawn[0].png
    assert canvas.png_of(charts.ladder(charts.ladders(summary))) == drawn[6].png


def test_only_the_largest_lesions_get_their_own_picture(monkeypatch):
    """Of nine lesions the six largest are drawn, in the order of their numbers."""
    monkeypatch.setattr(slices, "three_planes", lambda *_, **__: b"png")
    liver, partition, summary = make_case("axial")
    one, fact = liver.lesions[0], summary.volumes.lesions[0]
    many = replace(liver, lesions=tuple(replace(one, number=n) for n in range(1, 10)))
    facts = tuple(replace(fact, number=n, ml=float(n * 7 % 10)) for n in range(1, 10))
    crowded = replace(summary, volumes=replace(summary.volumes, lesions=facts))

    names = [f.name for f in figures(many, partition, crowded) if f.name.startswith("lesion_")]

    assert names == [f"lesion_{n}" for n in (1, 2, 4, 5, 7, 8)]


def test_a_lesion_that_stays_is_shown_and_named(monkeypatch):
    """The picture before the margins says that the lesion is not cleared, and marks what stays."""
    marked = []
    monkeypatch.setattr(slices, "three_planes", lambda *a, **k: marked.append((a[1], k)) or b"png")
    liver, partition, summary = make_case("axial")
    labels = partition.labels.copy()
    labels[liver.lesions[0].box][liver.lesions[0].voxels] = 1
    stays = replace(partition, labels=labels)
    facts = with_lesion(summary, 1, margin_mm=0.0, closest_mm=None, remaining_ml=3.0, cleared_in_stage=0)

    drawn = figures(liver, stays, facts)

    assert [f.title for f in drawn[1:3]] == [
        "Lesion 1 is not cleared",
        "Smallest margin of the cleared lesions: 5.4 mm, at lesion 2",
    ]
    point, how = marked[1]
    assert how["mark"] is slices.Mark.CROSS
    assert np.linalg.norm(np.asarray(point) - (-88, 12, 735)) < 4


def test_a_case_without_lesions_segments_and_rules_has_one_figure(monkeypatch):
    """Nothing is drawn for which there is nothing to show."""
    monkeypatch.setattr(slices, "three_planes", lambda *_, **__: b"png")
    liver, partition, summary = make_case("axial")
    bare = replace(
        summary,
        volumes=replace(summary.volumes, lesions=(), segments=()),
        assessment=replace(summary.assessment, findings=()),
    )

    assert [f.name for f in figures(replace(liver, lesions=()), partition, bare)] == ["plan"]


def test_the_ladder_puts_a_rule_only_under_its_own_index():
    """Rules that were not evaluated are left out; thresholds rise within an index."""
    _, _, summary = make_case("axial")
    steps = charts.ladders(summary)

    assert {index.key: [f.rule.id for f in met] for index, met in steps} == {
        "flr": ["V6", "V7"],
        "flr_of_total": ["V1"],
        "sflr": ["V11", "V17b"],
        "flr_per_body_weight": ["S1"],
    }


def test_the_ladder_is_drawn_to_scale():
    """On one axis the threshold, the value and its interval stand at their percentages."""
    _, _, summary = make_case("axial")
    steps = charts.ladders(summary)
    drawing = charts.ladder(steps)

    shares = [axes.get_xlim() for axes in drawing.axes[:3]]
    assert len(set(shares)) == 1
    for axes, (index, met) in zip(drawing.axes, steps, strict=True):
        value = axes.lines[0].get_xdata()[0]
        assert value == pytest.approx(100 * index.value)
        low, high = axes.patches[0].get_x(), axes.patches[0].get_x() + axes.patches[0].get_width()
        assert (low, high) == pytest.approx(tuple(100 * v for v in index.interval))
        markers = [line for line in axes.lines if len(line.get_xdata()) == 1]
        assert [m.get_xdata()[0] for m in markers] == pytest.approx([100 * f.rule.threshold for f in met])
        assert axes.get_xlim()[1] > max(100 * index.interval[1], *(100 * f.rule.threshold for f in met))


def test_an_unbounded_interval_does_not_break_the_ladder():
    """A denominator that is barely known gives an interval without end; the ladder is still drawn."""
    _, _, summary = make_case("axial")
    index, met = charts.ladders(summary)[0]

    png = canvas.png_of(charts.ladder([(replace(index, interval=(0.1, math.inf)), met)]))

    assert pixels_of(png).std() > 5


def test_segment_bars_have_the_lengths_of_the_volumes():
    """What stays and what goes, stacked."""
    _, _, summary = make_case("axial")
    bars = charts.segment_bars(summary.volumes.segments).axes[0].patches

    for n, segment in enumerate(summary.volumes.segments):
        kept, gone = bars[2 * n], bars[2 * n + 1]
        assert kept.get_width() == pytest.approx(segment.remnant_ml)
        assert gone.get_x() == pytest.approx(segment.remnant_ml)
        assert gone.get_width() == pytest.approx(segment.ml - segment.remnant_ml)


def test_texts_that_a_font_cannot_show_or_that_look_like_formulas_are_drawn():
    """Names in other scripts become question marks; a dollar sign starts no formula."""
    _, _, summary = make_case("axial")
    index, met = charts.ladders(summary)[0]
    odd = replace(index, title="肝 $x^$ \x1b[31m")
    hostile = replace(met[0], rule=replace(met[0].rule, id="$\\frac"))

    assert canvas.drawable("肝 ü") == "? ü"
    assert pixels_of(canvas.png_of(charts.ladder([(odd, [hostile])]))).std() > 5


def test_a_partition_may_leave_no_remnant():
    """Pictures of a plan that takes everything are drawn, without a cut."""
    liver, partition, _ = make_case("axial")
    all_gone = replace(partition, labels=np.where(liver.voxels, 3, 0).astype(np.uint8))
    scene = scene_of(liver, all_gone)
    summary = make_summary(liver, partition)

    assert pixels_of(gallery._plan(scene, summary).png).std() > 5

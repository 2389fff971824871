"""Cut surface and what lies beside lesions, in report.json, on the page and in the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.report import render_html, report_json, summary_text
from flr_volumetry.report.cut_words import cut_words, neighbour_rows
from flr_volumetry.resection.area import CutArea
from flr_volumetry.volumetry.nearby import Neighbour, Neighbours
from tests.report.cases import make_case

BESIDE = (
    Neighbour(Structure.PORTAL_VEIN, 0, 4.26),
    Neighbour(Structure.HEPATIC_VEINS, 0, None),
    Neighbour(None, 4, 0.0),
    Neighbour(None, 7, None),
)


@pytest.fixture(scope="module")
def summary():
    made = make_case("axial")[2]
    cuts = sum(len(stage.resections) for stage in made.plan.stages)
    areas = tuple(CutArea(n + 2, 1234.0 * (n + 1)) for n in range(cuts))
    return replace(made, neighbours=(Neighbours(1, BESIDE),), cut_areas=areas)


def test_rows_say_distances_and_what_is_far(summary):
    ((title, vessels, segments),) = neighbour_rows(summary)
    assert title.startswith("1")
    assert vessels == "portal vein 4.3 mm, hepatic veins further than 20 mm"
    assert segments == "IV 0.0 mm"
    none_near = replace(summary, neighbours=(Neighbours(1, BESIDE[3:]),))
    assert neighbour_rows(none_near)[0][1:] == ("", "all further than 20 mm")
    assert neighbour_rows(replace(summary, neighbours=())) == []


def test_the_cut_surface_is_said_with_its_parts(summary):
    cuts = [cut.title for stage in summary.plan.stages for cut in stage.resections]
    assert len(cuts) > 1
    whole = sum(12.34 * (n + 1) for n in range(len(cuts)))
    assert cut_words(summary).startswith(f"{whole:.1f} cm2 ({cuts[0]} 12.3 cm")
    assert cut_words(replace(summary, cut_areas=())) == "not measured"


def test_all_three_reports_say_it(summary):
    document = report_json(summary)
    assert document["lesions"][0]["neighbours"] == [
        {"structure": "portal_vein", "segment": 0, "mm": 4.26},
        {"structure": "hepatic_veins", "segment": 0, "mm": None},
        {"structure": "segment", "segment": 4, "mm": 0.0},
        {"structure": "segment", "segment": 7, "mm": None},
    ]
    assert document["lesions"][1]["neighbours"] == []
    areas = [cut["cut_area_cm2"] for stage in document["plan"] for cut in stage["resections"]]
    assert areas[:2] == pytest.approx([12.34, 24.68])
    assert document["consequences"]["cut_area_cm2"] == pytest.approx(sum(areas))
    page, text = render_html(summary), " ".join(summary_text(summary, width=140).split())
    for said in ("portal vein 4.3 mm, hepatic veins further than 20 mm", "IV 0.0 mm", f"{sum(areas):.1f} cm"):
        assert said in page
        assert said in text

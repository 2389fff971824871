"""``flr search`` and planes from anatomy, through the command line on the sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flr_volumetry.app.case import make_case, read_case
from flr_volumetry.app.cli import main
from flr_volumetry.app.landmarks import with_case_segments
from flr_volumetry.app.load import load_case
from flr_volumetry.app.run import run_case
from flr_volumetry.app.vessels import with_case_territories
from flr_volumetry.errors import CaseError

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_data"


def masks(*names):
    return {name: str(SAMPLE / "masks" / f"{name}.nii.gz") for name in names}


def test_the_search_prints_draws_and_writes_plans(tmp_path):
    out = tmp_path / "search"
    words = ["search", str(SAMPLE / "case.toml"), "--out", str(out), "--one-stage", "--least-flr", "40"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.stderr
    document = json.loads((out / "search.json").read_text())
    options = document["options"]
    assert f"{len(options)} plans that no other of their kind beats" in done.stdout
    assert all(o["flr_fraction"] >= 0.4 for o in options)
    assert sorted(p.name for p in (out / "plans").iterdir()) == [
        f"plan_{o['number']:02d}.toml" for o in options
    ]
    page = (out / "search.html").read_text()
    assert '<img src="data:image/png;base64,' in page
    for option in options:
        assert option["title"] in page


def test_a_refused_search_writes_nothing(tmp_path):
    out = tmp_path / "search"
    done = CliRunner().invoke(
        main, ["search", str(SAMPLE / "case.toml"), "--out", str(out), "--margin", "-3"]
    )
    assert done.exit_code == 1
    assert "bad_search_settings" in done.stderr
    assert not out.exists()


def anatomical(name, removes, **tables):
    return make_case(
        {
            "case": {"id": "anatomy"},
            "masks": masks("liver", "portal_vein", "hepatic_veins", "ivc", "gallbladder"),
            "stage": [
                {"resections": [{"kind": "anatomical_plane", "name": name, "removes": removes}]},
            ],
            **tables,
        }
    )


@pytest.mark.parametrize(("name", "removes"), [("cantlie", "right"), ("middle_hepatic_vein", "left")])
def test_a_plane_from_anatomy_parts_the_sample_as_its_segments_do(name, removes):
    """Right liver of the sample: 1108.6 of 1651.1 mL; to 6 points, and with the caveat to confirm it."""
    outcome = run_case(anatomical(name, removes))
    right = 100 * 1108.57 / 1651.1
    expected = right if removes == "right" else 100 - right
    volumes = outcome.summary.volumes
    assert 100 * volumes.resected_ml / volumes.total_ml == pytest.approx(expected, abs=6)
    assert any("confirm it on the images" in c.message for c in outcome.summary.caveats)
    assert outcome.partition.pieces[1].title.startswith("resection beyond")


def test_segments_come_from_landmarks_where_there_is_no_map():
    case = anatomical("cantlie", "right", landmarks={"segments": True})
    liver, sentences = with_case_segments(with_case_territories(load_case(case).liver, case), case)
    assert set(range(1, 9)) <= set(liver.segments[liver.voxels].tolist())
    assert sentences


def test_a_given_segment_map_wins():
    case = read_case(SAMPLE / "case.toml")
    asked = case.model_copy(
        update={"landmarks": anatomical("cantlie", "right", landmarks={"segments": True}).landmarks}
    )
    loaded = load_case(case).liver
    liver, sentences = with_case_segments(loaded, asked)
    assert liver.segments is loaded.segments or (liver.segments == loaded.segments).all()
    assert sentences == ()
    assert liver.caveats[-1].code == "given_segments_used"


def test_landmarks_may_be_given_as_points_or_as_a_file(tmp_path):
    """The same points, said twice, cut the same voxels."""
    points = {"gallbladder": [[-41.0, -60.0, 0.0]], "IVC": [[-10.0, 35.0, 0.0], [-10.0, 33.0, 80.0]]}
    table = tmp_path / "marks.mrk.json"
    controls = [
        {"id": str(n), "label": f"{name}-{n}", "position": p}
        for name, rows in points.items()
        for n, p in enumerate(rows, start=1)
    ]
    table.write_text(
        json.dumps(
            {
                "@schema": "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
                "Resources/Schema/markups-schema-v1.0.3.json#",
                "markups": [
                    {
                        "type": "Fiducial",
                        "coordinateSystem": "LPS",
                        "coordinateUnits": "mm",
                        "controlPoints": controls,
                    }
                ],
            }
        )
    )
    cut = []
    for landmarks in ({"points_mm": points}, {"file": str(table)}):
        outcome = run_case(anatomical("cantlie", "right", landmarks=landmarks))
        cut.append(outcome.partition.labels)
    assert (cut[0] == cut[1]).all()


@pytest.mark.parametrize(
    "table", [{"file": "a.mrk.json", "points_mm": {"IVC": [[0.0, 0.0, 0.0]]}}, {"points": {}}]
)
def test_contradictory_landmarks_are_refused(table):
    with pytest.raises(CaseError):
        anatomical("cantlie", "right", landmarks=table)


def test_vessels_are_followed_unless_the_case_says_not_to():
    case = anatomical("cantlie", "right", territories={"find": False})
    liver = load_case(case).liver
    assert with_case_territories(liver, case) is liver
    found = with_case_territories(liver, anatomical("cantlie", "right"))
    assert len(found.territories) == 2

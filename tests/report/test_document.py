"""report.json holds the facts of the summary, and its schema holds it to that."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from flr_volumetry.assessment.model import State
from flr_volumetry.errors import OutputError
from flr_volumetry.report import SCHEMA_VERSION, report_json, report_schema
from flr_volumetry.report.document import sealed
from tests.report.cases import make_case, with_lesion

OUTPUTS = [
    {"path": "report.html", "sha256": "1f" * 32},
    {"path": "partition.nii.gz", "sha256": "2e" * 32, "labels": {"1": "remnant"}},
]


@pytest.fixture(scope="module")
def summary():
    return make_case("axial")[2]


@pytest.fixture(scope="module")
def validator():
    schema = report_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def reasons(validator, document):
    """Messages of all faults, as a reader of the file in JSON would find them."""
    return [error.message for error in validator.iter_errors(json.loads(json.dumps(document)))]


def test_a_real_report_is_valid(summary, validator):
    """No fault, with and without lists filled."""
    assert reasons(validator, report_json(summary, outputs=OUTPUTS)) == []
    bare = replace(
        summary,
        volumes=replace(summary.volumes, lesions=(), segments=(), stages=()),
        assessment=replace(summary.assessment, indices=(), findings=(), volume_intervals={}, conclusion=()),
        caveats=(),
    )
    assert reasons(validator, report_json(bare)) == []


def test_volumes_are_those_of_the_summary(summary):
    """Each amount, and its interval where there is one."""
    volumes = report_json(summary)["volumes"]

    for name in ("total_ml", "tumour_ml", "functional_ml", "remnant_ml", "remnant_functional_ml"):
        assert volumes[name] == getattr(summary.volumes, name)
        assert volumes[f"{name}_interval"] == list(summary.assessment.volume_intervals[name])
    assert volumes["resected_ml"] == summary.volumes.resected_ml
    assert volumes["ablated_ml"] == 0
    assert volumes["resected_tumour_ml_interval"] is None
    assert volumes["congested_ml"] is None
    assert volumes["total_ml"] == pytest.approx(
        volumes["remnant_ml"] + volumes["resected_ml"] + volumes["ablated_ml"]
    )


def test_indices_and_findings_are_those_of_the_summary(summary):
    """Fractions stay fractions; each finding carries threshold, margin, state, source and evidence."""
    document = report_json(summary)
    assessment = summary.assessment

    assert list(document["indices"]) == [i.key for i in assessment.indices]
    for index in assessment.indices:
        written = document["indices"][index.key]
        assert written["value"] == index.value < 1
        assert written["interval"] == list(index.interval)
        assert written["denominator"] == index.denominator
        assert (written["sd_numerator"], written["sd_denominator"]) == (
            index.sd_numerator,
            index.sd_denominator,
        )
    assert len(document["findings"]) == len(assessment.findings)
    for finding, written in zip(assessment.findings, document["findings"], strict=True):
        assert written["rule"] == finding.rule.id
        assert written["protocol"] == finding.protocol
        assert written["index"] == finding.rule.index
        assert written["threshold"] == finding.rule.threshold
        assert written["strict"] is finding.rule.strict
        for name in ("value", "margin_points", "margin_ml", "required_growth", "probability_above"):
            assert written[name] == getattr(finding, name)
        assert written["state"] == finding.state.value
        assert written["source"] == finding.rule.citation.text
        assert written["evidence"] == finding.rule.evidence.value
        assert written["reason"] == finding.reason


def test_lesions_segments_and_stages_are_those_of_the_summary(summary):
    """In order, with their own numbers."""
    document = report_json(summary)

    for lesion, written in zip(summary.volumes.lesions, document["lesions"], strict=True):
        assert written["number"] == lesion.number
        assert written["margin_mm"] == lesion.margin_mm
        assert written["margin_reason"] == ""
        assert written["cleared"] is True
        assert written["closest_mm"] == list(lesion.closest_mm)
        assert written["longest_diameter_mm"] == lesion.longest_diameter_mm
        assert written["ml"] == lesion.ml
        assert written["segments"] == [8]
    for segment, written in zip(summary.volumes.segments, document["segments"], strict=True):
        assert (written["segment"], written["ml"], written["remnant_ml"]) == (
            segment.segment,
            segment.ml,
            segment.remnant_ml,
        )
    assert [s["name"] for s in document["segments"]] == ["I", "II", "III", "IV", "V", "VI", "VII", "VIII"]
    assert [s["remnant_functional_ml"] for s in document["stages"]] == [
        s.remnant_functional_ml for s in summary.volumes.stages
    ]
    assert document["stages"][1]["after"] == "pve, 4 weeks"


def test_case_caveats_methods_and_provenance_are_those_of_the_summary(summary):
    """What was read, by which version, and what the reader must know."""
    document = report_json(summary, outputs=OUTPUTS)

    assert document["schema_version"] == SCHEMA_VERSION
    assert sealed(document) == document
    assert sealed({**document, "methods": []})["sha256"] != document["sha256"]
    assert document["case"] == {
        "id": "sample",
        "scan_date": None,
        "patient_key": None,
        "patient": {
            "sex": "F",
            "age": 62,
            "height_cm": 170,
            "weight_kg": 70,
            "parenchyma": "chemotherapy",
            "chemotherapy_weeks": 16,
        },
    }
    assert [c["code"] for c in document["caveats"]] == ["thick_slices", "liver_touches_edge"]
    assert document["methods"] == list(summary.methods)
    assert document["conclusion"] == list(summary.assessment.conclusion)
    assert document["provenance"]["inputs"][0]["sha256"] == "ab" * 32
    assert document["provenance"]["case_sha256"] == "ef" * 32
    assert [p["version"] for p in document["provenance"]["protocols"]] == ["1.0", "1.0"]
    assert document["outputs"] == OUTPUTS


def test_an_infinite_margin_is_null_with_its_reason(summary, validator):
    """JSON has no infinity: the report says why there is no margin."""
    document = report_json(with_lesion(summary, 3, margin_mm=math.inf, closest_mm=None))

    assert document["lesions"][2]["margin_mm"] is None
    assert document["lesions"][2]["closest_mm"] is None
    assert "no liver stays" in document["lesions"][2]["margin_reason"]
    assert reasons(validator, document) == []


def test_growth_that_cannot_reach_and_intervals_without_end_are_null(summary, validator):
    """With nothing left no growth reaches a threshold; an unbounded interval is none."""
    finding = replace(summary.assessment.findings[0], required_growth=math.inf, interval=(0.1, math.inf))
    document = report_json(replace(summary, assessment=replace(summary.assessment, findings=(finding,))))

    assert document["findings"][0]["required_growth"] is None
    assert document["findings"][0]["required_growth_reason"] != ""
    assert document["findings"][0]["interval"] is None
    assert reasons(validator, document) == []
    assert report_json(summary)["findings"][0]["required_growth_reason"] == ""


@pytest.mark.parametrize("amount", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["total_ml", "remnant_functional_ml", "voxel_ml"])
def test_a_report_with_an_amount_that_is_no_number_is_not_written(summary, name, amount):
    """It would be wrong in silence."""
    broken = replace(summary, volumes=replace(summary.volumes, **{name: amount}))

    with pytest.raises(OutputError, match=name) as caught:
        report_json(broken)
    assert caught.value.reason == "not_a_number"


def test_nan_is_refused_where_infinity_is_allowed(summary):
    """A margin may be infinite, never NaN; an interval neither has one."""
    with pytest.raises(OutputError, match="lesion 2"):
        report_json(with_lesion(summary, 2, margin_mm=math.nan))
    intervals = {"total_ml": (1.0, math.nan)}
    with pytest.raises(OutputError, match="interval of total_ml"):
        report_json(replace(summary, assessment=replace(summary.assessment, volume_intervals=intervals)))


def test_the_same_case_gives_the_same_bytes(summary):
    """The order of keys does not depend on the order in which libraries were listed."""
    turned = replace(
        summary,
        provenance=replace(summary.provenance, libraries=tuple(reversed(summary.provenance.libraries))),
    )

    first = json.dumps(report_json(summary), allow_nan=False)
    assert json.dumps(report_json(turned), allow_nan=False) == first
    assert list(report_json(summary))[:6] == [
        "schema_version",
        "case",
        "conclusion",
        "caveats",
        "volumes",
        "indices",
    ]


def _set(path, value):
    def change(document):
        *parents, last = path
        for step in parents:
            document = document[step]
        document[last] = value

    return change


def _drop(path):
    def change(document):
        *parents, last = path
        for step in parents:
            document = document[step]
        del document[last]

    return change


MUTATIONS = {
    "no volumes": _drop(["volumes"]),
    "no caveats": _drop(["caveats"]),
    "no interval": _drop(["volumes", "remnant_ml_interval"]),
    "unknown key": _set(["verdict"], "go"),
    "unknown key in a finding": _set(["findings", 0, "verdict"], "go"),
    "unknown key in a lesion": _set(["lesions", 0, "diameter_cm"], 3.4),
    "unknown key in volumes": _set(["volumes", "total_cm3"], 1.0),
    "percent as threshold": _set(["findings", 0, "threshold"], 30),
    "unknown state": _set(["findings", 0, "state"], "pass"),
    "unknown evidence": _set(["findings", 0, "evidence"], "SURE"),
    "no source": _set(["findings", 0, "source"], ""),
    "evaluated without value": _set(["findings", 0, "value"], None),
    "not evaluable without reason": _set(["findings", 6, "reason"], ""),
    "not evaluable with value": _set(["findings", 6, "value"], 0.3),
    "disabled but evaluated": _set(["findings", 0, "enabled"], False),
    "probability above one": _set(["findings", 0, "probability_above"], 97.0),
    "negative volume": _set(["volumes", "tumour_ml"], -1),
    "volume as text": _set(["volumes", "total_ml"], "1500"),
    "interval of one": _set(["volumes", "total_ml_interval"], [1.0]),
    "margin null without reason": _set(["lesions", 0, "margin_mm"], None),
    "cleared in no stage": _set(["lesions", 0, "cleared_in_stage"], 0),
    "not cleared but in a stage": _set(["lesions", 0, "cleared"], False),
    "point of two numbers": _set(["lesions", 0, "closest_mm"], [1.0, 2.0]),
    "segment 9": _set(["segments", 0, "segment"], 9),
    "sex as word": _set(["case", "patient", "sex"], "female"),
    "short digest": _set(["provenance", "inputs", 0, "sha256"], "abc"),
    "output without digest": _drop(["outputs", 0, "sha256"]),
    "other version": _set(["schema_version"], "2.0"),
    "caveat without message": _set(["caveats", 0, "message"], ""),
    "index without denominator": _drop(["indices", "flr", "denominator"]),
    "stage 0": _set(["stages", 0, "number"], 0),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_schema_refuses(name, summary, validator):
    """Each document that is wrong in one place is invalid."""
    document = copy.deepcopy(report_json(summary, outputs=OUTPUTS))
    assert document["findings"][6]["state"] == State.NOT_EVALUABLE.value
    MUTATIONS[name](document)

    assert reasons(validator, document) != []


def test_the_schema_is_strict_and_names_units():
    """No object takes unknown keys unless it is a table; every number says its unit."""
    words = ("mL", "mm", "fraction", "stage", "unit", "0 to 1", "from 1", "1 to 8", "years", "cm", "kg")
    words += ("weeks", "points", "segment")
    loose = []

    def walk(node, path):
        if isinstance(node, dict):
            if "properties" in node and "type" in node:
                assert node.get("additionalProperties") is False, path
                assert set(node["required"]) <= set(node["properties"])
            elif node.get("type") == "object" and node.get("additionalProperties") is None:
                loose.append(path)
            kinds = node.get("type", ())
            if {"number", "integer"} & set(
                [kinds] if isinstance(kinds, str) else kinds
            ) and "description" in node:
                assert any(w in node["description"] for w in words), (path, node["description"])
            for key, value in node.items():
                walk(value, f"{path}/{key}")
        elif isinstance(node, list):
            for n, value in enumerate(node):
                walk(value, f"{path}/{n}")

    walk(report_schema(), "")
    assert loose == []

"""Case files: what is understood, and what is refused."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from flr_volumetry.app.case import make_case, read_case
from flr_volumetry.errors import CaseError, FormulaError, PlanError, UnreadableError
from flr_volumetry.resection import Ablation, Combine, PlaneResection, SegmentResection, WedgeResection
from flr_volumetry.volumetry.patient import Parenchyma, Sex

HEAD = '[case]\nid = "x"\n[masks]\nliver = "liver.nii.gz"\n'
STAGE = '[[stage]]\nresections = [{ kind = "segments", segments = [5, 6] }]\n'


def case_of(text):
    return make_case(tomllib.loads(text), where="case.toml")


def stage_of(resection, head=HEAD):
    return case_of(f"{head}[[stage]]\nresections = [{resection}]\n").plan().stages[0].resections[0]


def test_the_whole_format_is_understood(tmp_path):
    """Every table of the documented format, read from a file; paths are relative to it."""
    path = tmp_path / "case.toml"
    path.write_text("""
[case]
id = "sample"
[patient]
sex = "F"
age = 62
height_cm = 170
weight_kg = 70.5
parenchyma = "chemotherapy"
chemotherapy_weeks = 16
[image]
path = "ct/"
series = "2"
[masks]
liver = { path = "seg.nrrd", segment = "Liver" }
lesions = ["t1.nii.gz", { path = "t.nii.gz", label = [2, 3], split = true }]
portal_vein = { path = "v.nii.gz", label = 1 }
segments = "couinaud.nii.gz"
[[stage]]
name = "stage one"
resections = [
  { kind = "wedge", lesions = [2], margin_mm = 5 },
  { kind = "ablation", lesions = [1], margin_mm = 5.5 },
]
[[stage]]
name = "stage two"
after = { procedure = "pve", weeks = 4 }
resections = [{ kind = "hepatectomy", name = "right_hepatectomy", caudate = false }]
[assessment]
protocols = ["consensus-20-30-40"]
""")
    case = read_case(path)
    patient, plan = case.patient.value(), case.plan()

    assert (patient.sex, patient.parenchyma, patient.height_cm) == (Sex.FEMALE, Parenchyma.CHEMOTHERAPY, 170)
    assert case.resolve("ct/") == tmp_path / "ct"
    assert case.masks.liver.segment == "Liver"
    assert [m.labels for m in case.masks.lesions] == [None, (2, 3)]
    assert plan.stages[0].resections == (WedgeResection((2,), 5), Ablation((1,), 5.5))
    assert plan.stages[1].after.weeks == 4
    assert plan.stages[1].resections[0] == SegmentResection(frozenset({5, 6, 7, 8}), "right hepatectomy")
    assert len(case.sha256) == 64


def test_planes_are_points_with_normals_or_three_points_with_a_side():
    """Both ways to write one plane give the same plane; several combine as said."""
    one = stage_of('{ kind = "plane", point_mm = [0, 0, 5], normal = [0, 0, 2.0] }')
    three = stage_of('{ kind = "plane", points_mm = [[0,0,5],[9,0,5],[0,9,5]], towards_mm = [0, 0, 8] }')
    both = stage_of(
        '{ kind = "planes", combine = "any", planes = ['
        "{ point_mm = [0,0,5], normal = [0,0,1] }, { point_mm = [1,0,0], normal = [1,0,0] }] }"
    )

    assert np.array_equal(one.planes[0].normal, three.planes[0].normal)
    assert isinstance(both, PlaneResection)
    assert both.combine is Combine.ANY
    assert len(both.planes) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "lesion = []\n" + STAGE, r"masks: unknown key 'lesion'\. Did you mean 'lesions'\?"),
        (
            HEAD + STAGE + "[pateint]\nage = 3\n",
            r"the file: unknown key 'pateint'\. Did you mean 'patient'\?",
        ),
        (
            HEAD + STAGE + "[patient]\nheigth_cm = 170\n",
            r"patient: unknown key 'heigth_cm'\. Did you mean 'height_cm'\?",
        ),
        (
            HEAD + '[[stage]]\nresections = [{ kind = "wedge", lesions = [1], margin = 5 }]\n',
            r"stage\[1\]\.resections\[1\]: unknown key 'margin'\. Did you mean 'margin_mm'\?",
        ),
        (HEAD + STAGE + "[zzz]\n", r"unknown key 'zzz'\. Known here: case, patient"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(text, said):
    """A misspelt key is never ignored."""
    with pytest.raises(CaseError, match=said) as caught:
        case_of(text)
    assert caught.value.reason == "unknown_key"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD, r"case\.toml: stage: this key is required"),
        (HEAD + "[[stage]]\nresections = []\n", r"stage\[1\]\.resections: .*at least 1"),
        ('[case]\nid = "x"\n' + STAGE, r"there is no \[masks\] table, and so no liver"),
        ('[case]\nid = "x"\n[masks]\nlesions = []\n' + STAGE, r"\[masks\] names no liver"),
        ("[masks]\nliver='x'\n" + STAGE, r"case: this key is required"),
        (HEAD + STAGE + '[patient]\nheight_cm = "170"\n', r"patient\.height_cm: .*valid number, got '170'"),
        (HEAD + STAGE + '[patient]\nsex = "female"\n', r"patient\.sex: .*'F' or 'M', got 'female'"),
        (HEAD + STAGE + '[patient]\nparenchyma = "fatty"\n', r"patient\.parenchyma: .*steatosis"),
        (
            HEAD + '[[stage]]\nresections = [{ kind = "lobectomy" }]\n',
            r'unknown kind "lobectomy" of resection; known: .*wedge',
        ),
        (HEAD + "[[stage]]\nresections = [{ lesions = [1] }]\n", r"stage\[1\]\.resections\[1\]"),
        (
            HEAD + '[[stage]]\nresections = [{ kind = "wedge", lesions = ["a"], margin_mm = 5 }]\n',
            r"valid integer, got 'a'",
        ),
        (HEAD + STAGE + "[assessment]\nprotocols = []\n", r"assessment\.protocols"),
        (HEAD + 'folder = "x"\n' + STAGE, r"unknown key 'folder'"),
        (HEAD + 'ivc = { path = "x", split = true }\n' + STAGE, r"split = true is for lesions, not for ivc"),
        (HEAD + 'segments = { path = "x", label = 3 }\n' + STAGE, r"segments takes a whole label map"),
    ],
)
def test_impossible_values_are_refused_with_their_place(text, said):
    """The message names the key, what it needs, and what was found."""
    with pytest.raises(CaseError, match=said):
        case_of(text)


@pytest.mark.parametrize(
    ("resection", "error", "said"),
    [
        ('{ kind = "hepatectomy", name = "right_hepatectomy" }', PlanError, "caudate = true to remove it"),
        ('{ kind = "hepatectomy", name = "right lobectomy" }', PlanError, "ambiguous"),
        (
            '{ kind = "hepatectomy", name = "right_hepatecomy", caudate = true }',
            PlanError,
            "Did you mean 'right_hepatectomy'",
        ),
        (
            '{ kind = "hepatectomy", name = "left_lateral", caudate = true }',
            PlanError,
            "does not include segment 1",
        ),
        ('{ kind = "segments", segments = [9] }', PlanError, "from 1 to 8"),
        ('{ kind = "plane", point_mm = [0,0,0], normal = [0,0,0] }', PlanError, "no length"),
        (
            '{ kind = "plane", point_mm = [0,0,0], normal = [1,0,0], towards_mm = [-9,0,0] }',
            CaseError,
            "a plane needs point_mm and normal",
        ),
        ('{ kind = "plane", point_mm = [0,0,0] }', CaseError, "a plane needs point_mm and normal"),
        ('{ kind = "plane", point_mm = [0,0], normal = [0,0,1] }', CaseError, r"resections\[1\]\.point_mm"),
    ],
)
def test_resections_that_cannot_be_meant_are_refused(resection, error, said):
    """What is ambiguous is asked, not guessed."""
    with pytest.raises(error, match=said):
        stage_of(resection)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("height_cm = 1.7", "height_cm = 1.7 is outside 120 to 220. It looks like metres"),
        ("weight_kg = 70000", "weight_kg = 70000 is outside 30 to 250"),
        ("chemotherapy_weeks = -1", "chemotherapy_weeks must be from 0"),
        ("age = 200", "age = 200 is outside"),
        ("height_cm = 120\nweight_kg = 170", "the body mass index of 120 cm and 170 kg"),
    ],
)
def test_patients_that_cannot_be_are_refused(line, said):
    """Units mixed up are the likeliest reason, and are named."""
    with pytest.raises(FormulaError, match=said):
        case_of(HEAD + STAGE + f"[patient]\n{line}\n").patient.value()


def test_unreadable_and_foreign_files_are_refused(tmp_path):
    """A missing file, a folder, and a file that is not TOML."""
    with pytest.raises(UnreadableError, match=r"none\.toml: the case file cannot be read: No such file"):
        read_case(tmp_path / "none.toml")
    with pytest.raises(UnreadableError, match="directory"):
        read_case(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00not toml")
    with pytest.raises(CaseError, match="a case file is TOML, and this is not"):
        read_case(tmp_path / "x.toml")


def test_a_mark_of_the_byte_order_before_the_text_is_passed_over(tmp_path):
    """Windows editors put one in front of UTF-8."""
    path = tmp_path / "case.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + STAGE).encode())

    assert read_case(path).case.id == "x"


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
def test_numbers_that_are_none_are_refused(number):
    after = STAGE + f'after = {{ procedure = "pve", weeks = {number} }}\n'
    with pytest.raises(CaseError):
        case_of(HEAD + after)
    with pytest.raises(CaseError):
        case_of(f"{HEAD}{STAGE}[patient]\nweight_kg = {number}\n")


@pytest.mark.parametrize("name", ["~nosuchuser/liver.nii.gz", "a" * 5000, "a\0b"])
def test_a_path_that_cannot_exist_is_refused_as_one_that_does_not(name):
    from flr_volumetry.io import inspect, read_image, read_mask

    case = case_of(HEAD + STAGE)
    for read in (read_image, read_mask, inspect):
        with pytest.raises(UnreadableError) as caught:
            read(case.resolve(name))
        assert caught.value.reason == "not_found"


def test_a_case_file_of_an_impossible_name_is_refused():
    with pytest.raises(UnreadableError):
        read_case(Path("a\0b"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"outline_sd_mm": -1.0}, "outline_sd_mm"),
        ({"remnant_relative_sd": 0.05}, "together"),
        ({"remnant_relative_sd": 5.0, "liver_relative_sd": 3.0}, "percent"),
        ({"outline_mm": 1.0}, "unknown key"),
    ],
)
def test_uncertainty_without_sense_is_refused(table, said):
    """By the file, or as soon as it is asked for: before anything is read."""
    data = {"case": {"id": "x"}, "masks": {"liver": "l.nii"}, "uncertainty": table}
    data["stage"] = [{"resections": [{"kind": "segments", "segments": [5]}]}]
    with pytest.raises((CaseError, FormulaError), match=said):
        _errors_of(data)


def _errors_of(data):
    case = make_case(data)
    return case.uncertainty.value(), case.uncertainty.relative()

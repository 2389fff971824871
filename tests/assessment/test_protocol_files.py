"""Protocol files of a site: read beside the bundled ones, and refused with a reason where wrong."""

from __future__ import annotations

import pytest

from flr_volumetry.assessment import Evidence
from flr_volumetry.errors import ProtocolError
from flr_volumetry.io.protocols import available_protocols, parse_protocol, read_protocols
from flr_volumetry.volumetry.patient import Parenchyma

HEAD = 'key = "site"\ntitle = "Site"\nversion = "2.0"\ndescription = "Ours."\n'
RULE = {
    "id": '"R1"',
    "title": '"Ours"',
    "index": '"flr"',
    "denominator": '"functional liver volume (D8)"',
    "op": '">="',
    "threshold_percent": "27.5",
    "population": '"our patients"',
    "applies_if": '{ parenchyma = ["normal", "steatosis"], chemotherapy_weeks_at_most = 6 }',
    "effect_below": '"discuss"',
    "effect_above": '"go on"',
    "citation": '{ text = "Ours, 2024", via = "our registry" }',
    "evidence": '"FOUND"',
}


def text(head=HEAD, **changes):
    """Return a protocol of one rule, with keys changed, added, or (None) left out."""
    rule = {name: value for name, value in {**RULE, **changes}.items() if value is not None}
    return head + "[[rule]]\n" + "".join(f"{name} = {value}\n" for name, value in rule.items())


def test_a_site_adds_its_own_protocol(tmp_path):
    """A file in the site's folder is found beside the bundled ones, with every value as written."""
    (tmp_path / "site.toml").write_text(text(note='"Mind."', verified_by='"A. Surgeon"'), encoding="utf-8")
    (protocol,) = read_protocols(["site"], folder=tmp_path)
    (rule,) = protocol.rules

    assert (protocol.key, protocol.title, protocol.version) == ("site", "Site", "2.0")
    assert rule.threshold == pytest.approx(0.275)
    assert rule.applies_if.parenchyma == (Parenchyma.NORMAL, Parenchyma.STEATOSIS)
    assert (rule.applies_if.chemotherapy_weeks_min, rule.applies_if.chemotherapy_weeks_max) == (None, 6.0)
    assert (rule.citation.text, rule.citation.via) == ("Ours, 2024", "our registry")
    assert rule.evidence is Evidence.FOUND
    assert rule.note == "Mind. Verified by A. Surgeon."
    assert rule.strict is False
    assert rule.enabled is True
    assert "site" in [p.key for p in available_protocols(folder=tmp_path)]
    assert "site" not in [p.key for p in available_protocols()]


def test_greater_than_is_strict():
    """The comparison ">" means that reaching the threshold is not enough."""
    assert parse_protocol(text(op='">"'), where="x").rules[0].strict is True


def test_body_surface_thresholds_are_in_ml_per_m2():
    """A threshold on FLR / BSA keeps its unit."""
    changed = text(index='"flr_per_bsa"', threshold_percent=None, threshold_ml_per_m2="300")
    (rule,) = parse_protocol(changed, where="x").rules

    assert (rule.threshold, rule.unit) == (300.0, "mL/m2")


UNVERIFIED = "Common practice, primary source not verified."
WRONG = {
    "no source": ({"citation": None}, r"rule 1 \(R1\) has no source", "rule_without_source"),
    "empty source": ({"citation": '{ text = " " }'}, "text must be a text, not empty", "rule_without_source"),
    "source without text": ({"citation": '{ via = "x" }'}, "missing text", "missing_key"),
    "source as a bare text": ({"citation": '"Ours"'}, "citation must be a table", "bad_protocol"),
    "misspelt key": ({"treshold_percent": "3"}, "Did you mean 'threshold_percent'", "unknown_key"),
    "misspelt condition": (
        {"applies_if": '{ parenchima = ["normal"] }'},
        "Did you mean 'parenchyma'",
        "unknown_key",
    ),
    "misspelt parenchyma": (
        {"applies_if": '{ parenchyma = ["cirhosis"] }'},
        "Did you mean 'cirrhosis'",
        "unknown_parenchyma",
    ),
    "no parenchyma listed": ({"applies_if": "{ parenchyma = [] }"}, "at least one", "bad_protocol"),
    "parenchyma as a text": ({"applies_if": '{ parenchyma = "normal" }'}, "must be a list", "bad_protocol"),
    "weeks that exclude each other": (
        {"applies_if": "{ chemotherapy_weeks_above = 12, chemotherapy_weeks_at_most = 12 }"},
        "more than 12 and at most 12",
        "bad_protocol",
    ),
    "conditions as a text": ({"applies_if": '"normal"'}, "applies_if must be a table", "bad_protocol"),
    "misspelt index": ({"index": '"sflr_t11"'}, "Did you mean 'sflr_t1'", "unknown_index"),
    "index that has an upper limit": ({"index": '"phrr"'}, "unknown index 'phrr'", "unknown_index"),
    "misspelt evidence": ({"evidence": '"FOUNT"'}, "Did you mean 'FOUND'", "unknown_evidence"),
    "unknown comparison": ({"op": '"<="'}, "op must be one of >=, >", "bad_protocol"),
    "formula in grams": ({"index": '"sflr_t8"'}, "yields grams", "grams_not_millilitres"),
    "upper limit of a ratio": ({"op": '"<"'}, "op must be one of >=, >", "bad_protocol"),
    "grade that is not one": (
        {"index": '"child_pugh_class"', "threshold_percent": None, "threshold_class": '"a"'},
        "must be one of A, B, C",
        "unknown_grade",
    ),
    "misspelt extent": (
        {"applies_if": '{ extent = ["sectionectomie"] }'},
        "Did you mean 'sectionectomy'",
        "unknown_extent",
    ),
    "misspelt disease": ({"applies_if": '{ disease = ["hc"] }'}, "Did you mean 'hcc'", "unknown_disease"),
    "no disease listed": ({"applies_if": "{ disease = [] }"}, "disease must be a list", "bad_protocol"),
    "duct as a text": ({"applies_if": '{ bile_duct_resection = "yes" }'}, "true or false", "bad_protocol"),
    "two thresholds": ({"threshold_ml_per_m2": "300"}, "give one of", "bad_protocol"),
    "no threshold": ({"threshold_percent": None}, "got neither", "bad_protocol"),
    "threshold in another unit": (
        {"threshold_percent": None, "threshold_ml_per_m2": "300"},
        "does not fit flr",
        "wrong_unit",
    ),
    "percent for mL/m2": ({"index": '"flr_per_bsa"'}, "does not fit flr_per_bsa", "wrong_unit"),
    "threshold as a text": ({"threshold_percent": '"20"'}, "must be a number, got '20'", "bad_protocol"),
    "threshold as true": ({"threshold_percent": "true"}, "must be a number, got True", "bad_protocol"),
    "threshold of nought": ({"threshold_percent": "0"}, "between 0 and 1, got 0", "bad_protocol"),
    "threshold of all": ({"threshold_percent": "100"}, "between 0 and 1, got 1", "bad_protocol"),
    "threshold that is none": ({"threshold_percent": "nan"}, "got nan", "bad_protocol"),
    "missing denominator": ({"denominator": None}, "missing denominator", "missing_key"),
    "empty title": ({"title": '""'}, "title must be a text", "bad_protocol"),
    "title as a number": ({"title": "7"}, "title must be a text", "bad_protocol"),
    "enabled as a text": ({"enabled": '"no"'}, "enabled must be true or false", "bad_protocol"),
    "disabled without a word": ({"enabled": "false"}, "without a note", "disabled_without_reason"),
    "general knowledge enabled": (
        {"evidence": '"GK-H"', "note": '"Everyone says so."'},
        "rests on general knowledge",
        "unverified_rule_enabled",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_rule_is_refused_by_name(case):
    """Each fault of a rule has its message, naming file and rule, and its reason."""
    changes, message, reason = WRONG[case]

    with pytest.raises(ProtocolError, match=message) as refused:
        parse_protocol(text(**changes), where="site.toml")
    assert refused.value.reason == reason
    assert "R1" in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": '"GK-H"', "note": f'"{UNVERIFIED}"'},
        {"evidence": '"GK-M"', "verified_by": '"A. Surgeon"'},
        {"evidence": '"GK-L"', "enabled": "false", "note": '"Not verified."'},
    ],
)
def test_general_knowledge_may_be_marked_verified_or_disabled(changes):
    """The three ways to ship a rule that rests on general knowledge."""
    assert parse_protocol(text(**changes), where="x").rules[0].id == "R1"


FAULTY = {
    "not TOML": ("key = ", "not valid TOML", "not_toml"),
    "unknown key": (text(HEAD + 'author = "x"\n'), "unknown key 'author'", "unknown_key"),
    "misspelt key": (text(HEAD + 'titel = "x"\n'), "Did you mean 'title'", "unknown_key"),
    "no rules": (HEAD, "missing rule", "missing_key"),
    "an empty list of rules": (HEAD + "rule = []\n", "at least one", "no_rules"),
    "rules that are no tables": (HEAD + "rule = [1]\n", "a rule is a table", "bad_protocol"),
    "no version": (text(HEAD.replace('version = "2.0"\n', "")), "missing version", "missing_key"),
    "a key with blanks": (text(HEAD.replace('"site"', '"My Site"')), "small letters", "bad_protocol"),
    "one id twice": (text() + text(head=""), "id given twice: R1", "rule_twice"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_wrong_file_is_refused_by_name(case):
    """Each fault of a file has its message, naming the file, and its reason."""
    content, message, reason = FAULTY[case]

    with pytest.raises(ProtocolError, match=message) as refused:
        parse_protocol(content, where="site.toml")
    assert refused.value.reason == reason
    assert "site.toml" in str(refused.value)


def test_an_unknown_protocol_names_the_nearest_known_one():
    """A misspelt key is answered with the right one."""
    with pytest.raises(ProtocolError, match="Did you mean 'consensus-20-30-40'") as refused:
        read_protocols(["consensus-20-30-14"])
    assert refused.value.reason == "unknown_protocol"


def test_keys_come_as_a_list_each_once():
    """A bare text is not taken for a list of letters, and nothing is applied twice."""
    with pytest.raises(ProtocolError, match="as a list"):
        read_protocols("review-2014")
    with pytest.raises(ProtocolError, match="named twice"):
        read_protocols(["review-2014", "review-2014"])


def test_a_site_cannot_replace_a_bundled_protocol(tmp_path):
    """A key of ours in the site's folder is refused, not silently preferred."""
    (tmp_path / "review-2014.toml").write_text(text(), encoding="utf-8")

    with pytest.raises(ProtocolError, match="would replace a bundled protocol"):
        read_protocols(["mda-sflr"], folder=tmp_path)


def test_a_file_is_named_after_its_key(tmp_path):
    """Otherwise two files could hold one key."""
    (tmp_path / "other.toml").write_text(text(), encoding="utf-8")

    with pytest.raises(ProtocolError, match=r"name the file site\.toml"):
        read_protocols(["other"], folder=tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    """A folder that is not there is not an empty one."""
    with pytest.raises(ProtocolError, match="no such folder"):
        read_protocols(["review-2014"], folder=tmp_path / "absent")


def test_a_file_that_is_no_text_is_named(tmp_path):
    """Bytes that are not UTF-8 are refused."""
    (tmp_path / "site.toml").write_bytes(b"\xff\xfe\x00key")

    with pytest.raises(ProtocolError, match=r"site\.toml cannot be read"):
        read_protocols(["site"], folder=tmp_path)

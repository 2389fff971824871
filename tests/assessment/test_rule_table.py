"""Every published threshold as bundled, against a table written down independently."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from flr_volumetry.assessment import Evidence
from flr_volumetry.assessment.indices import RULE_INDICES
from flr_volumetry.io.protocols import available_protocols, read_protocols

N, S, C = "normal", "steatosis", "chemotherapy"
F, Z, K = "fibrosis", "cirrhosis", "cholestasis"

# rule: protocol, index, threshold as printed, must exceed, parenchyma, weeks above, weeks at most, evidence,
# a word of the source
TABLE = {
    "V1": ("review-2014", "flr_of_total", 20, False, {N}, None, None, "SEED", "Indications"),
    "V2": ("review-2014", "flr_of_total", 30, False, {Z}, None, None, "SEED", "Indications"),
    "V3": ("review-2014", "flr", 20, True, set(), None, None, "SEED", "OncoSurge"),
    "V4": ("review-2014", "flr_of_total", 20, False, set(), None, None, "SEED", "[42]"),
    "V5a": ("review-2014", "flr_of_total", 25, False, set(), None, None, "SEED", "procedures [11]"),
    "V5b": ("review-2014", "flr_of_total", 40, False, set(), None, None, "SEED", "procedures [11]"),
    "V6": ("review-2014", "flr_of_total", 25, True, {N}, None, None, "SEED", "Azoulay"),
    "V7": ("review-2014", "flr_of_total", 40, True, {C}, None, None, "SEED", "Azoulay"),
    "V8": ("urata-sflr", "sflr_t3", 25, True, {N}, None, None, "FOUND", "Surgery 2000;127:512"),
    "V9": ("measured-ct", "flr", 25, False, {N}, None, None, "FOUND", "Shoup"),
    "V10": ("measured-ct", "flr", 26.6, False, {N}, None, None, "FOUND", "Schindl"),
    "V11": ("mda-sflr", "sflr_t1", 20, False, {N}, None, 12, "FOUND", "Ann Surg 2009;250:540"),
    "V12a": ("measured-ct", "flr", 26.5, False, {N}, None, None, "FOUND", "World J Surg 2007;31:1643"),
    "V12b": ("measured-ct", "flr", 31.05, False, {C, K}, None, None, "FOUND", "World J Surg 2007;31:1643"),
    "V13": ("mda-sflr", "sflr_t1", 30, False, {N, S, C}, 12, None, "FOUND", "Ann Surg Oncol 2013;20:2493"),
    "V14": ("measured-ct", "flr", 40, False, {F, Z}, None, None, "FOUND", "PMC1421241"),
    "V15a": ("measured-ct", "flr", 40, False, {F, Z}, None, None, "FOUND", "Kubota"),
    "V15b": ("measured-ct", "flr", 50, False, {F, Z}, None, None, "FOUND", "Kubota"),
    "V16a": ("reviews-25-30-40", "flr_of_total", 25, False, {N}, None, None, "FOUND", "de Graaf"),
    "V16b": ("reviews-25-30-40", "flr_of_total", 30, False, {N}, None, None, "FOUND", "de Graaf"),
    "V16c": ("reviews-25-30-40", "flr_of_total", 40, False, {S, C, F, Z, K}, None, None, "FOUND", "de Graaf"),
    "V17a": ("consensus-20-30-40", "flr", 20, False, {N, C}, None, 12, "GK-H", "Clavien"),
    "V17b": ("consensus-20-30-40", "flr", 30, False, {S}, None, None, "GK-H", "Clavien"),
    "V17c": ("consensus-20-30-40", "flr", 30, False, {N, C}, 12, None, "GK-H", "Clavien"),
    "V17d": ("consensus-20-30-40", "flr", 40, False, {F, Z, K}, None, None, "GK-H", "Clavien"),
    "V18": ("mda-sflr", "sflr_t1", 30, False, set(), None, None, "FOUND", "LIGRO"),
    "V19": ("measured-ct", "flr", 30, False, set(), None, None, "FOUND", "OncoTargets"),
    "S1": (
        "body-size",
        "flr_per_body_weight",
        0.5,
        True,
        {N, S, C, F, K},
        None,
        None,
        "FOUND",
        "2007;204:22",
    ),
    "S2a": ("body-size", "flr_per_body_weight", 0.6, False, {C, F, K}, None, None, "GK-L", "Proposals"),
    "S2b": ("body-size", "flr_per_body_weight", 0.8, False, {C, F, K}, None, None, "GK-L", "Proposals"),
    "S4": ("body-size", "flr_per_bsa", 300, False, {K}, None, None, "FOUND", "PMC7893452"),
    "S5": ("body-size", "flr_per_bsa", 250, False, {F, Z}, None, None, "FOUND", "Shirabe"),
    "S6": ("body-size", "sflr_t9", 30, True, set(), None, None, "FOUND", "Kim"),
}

FUNCTION_TABLE = {
    # rule: index, comparison, threshold as printed, evidence, made for, a word of the source
    "G1a": ("makuuchi_extent", ">=", 6, "GK-H", "right_or_trisectionectomy", "Imamura"),
    "G1b": ("makuuchi_extent", ">=", 5, "GK-H", "left_hepatectomy sectionectomy", "Imamura"),
    "G1c": ("makuuchi_extent", ">=", 4, "GK-H", "segmentectomy", "Imamura"),
    "G1d": ("makuuchi_extent", ">=", 3, "GK-H", "limited", "Imamura"),
    "G1e": ("makuuchi_extent", ">=", 2, "GK-H", "enucleation", "Imamura"),
    "G3a": ("icg_k", ">=", 0.12, "FOUND", "right_or_trisectionectomy left_hepatectomy hcc", "PMC4479695"),
    "G3b": ("icg_k", ">=", 0.10, "FOUND", "sectionectomy hcc", "PMC4479695"),
    "G3c": ("icg_k", ">=", 0.08, "FOUND", "segmentectomy hcc", "PMC4479695"),
    "G3d": ("icg_k", ">=", 0.06, "FOUND", "limited enucleation hcc", "PMC4479695"),
    "G3e": ("platelets", ">", 73, "FOUND", "hcc", "PMC4479695"),
    "G4a": ("icgk_flr", ">=", 0.05, "GK-H", "", "2006;243:364"),
    "G4b": ("icgk_flr", ">=", 0.04, "FOUND", "normal", "s11605-015-2846-8"),
    "G4c": (
        "icgk_flr",
        ">=",
        0.05,
        "FOUND",
        "steatosis chemotherapy fibrosis cirrhosis cholestasis",
        "s11605-015-2846-8",
    ),
    "G4d": ("icgk_flr", ">=", 0.075, "FOUND", "bile duct", "PMC7893452"),
    "G4e": ("albumin", ">=", 3.5, "FOUND", "bile duct", "PMC7893452"),
    "G5": ("mebrofenin_flr_f", ">=", 2.69, "FOUND", "", "PMC2809979"),
    "G6a": ("mebrofenin_flr", ">=", 8.5, "FOUND", "perihilar", "S1365-182X(22)01680-X"),
    "G6b": ("mebrofenin_flr_f", ">=", 4.5, "FOUND", "perihilar", "S1365-182X(22)01680-X"),
    "G6c": ("mebrofenin_flr_f", ">=", 2.3, "GK-M", "", "Chapelle"),
    "G8a": (
        "child_pugh_class",
        "<=",
        1,
        "GK-H",
        "cirrhosis right_or_trisectionectomy left_hepatectomy",
        "Child-Pugh",
    ),
    "G8b": ("child_pugh_class", "<=", 2, "GK-H", "cirrhosis", "Child-Pugh"),
    "G9a": ("albi", "<=", -2.60, "FOUND", "", "Johnson"),
    "G9b": ("albi", "<=", -2.77, "FOUND", "", "2020;6:32"),
    "G9c": ("albi", "<=", -2.30, "FOUND", "", "2020;6:32"),
    "G10a": ("meld", "<", 9, "FOUND", "cirrhosis", "978-3-319-27365-5"),
    "G10b": ("meld", "<=", 10, "GK-M", "cirrhosis", "Cucchetti"),
    "G11": (
        "portal_hypertension",
        "<=",
        1,
        "GK-H",
        "fibrosis cirrhosis right_or_trisectionectomy left_hepatectomy",
        "teaching",
    ),
    "G12a": ("limax", ">=", 315, "GK-L", "", "LiMAx"),
    "G12b": ("limax_flr", ">=", 100, "GK-L", "", "LiMAx"),
    "G14a": ("portal_hypertension", "<=", 1, "FOUND", "", "PMC6094448"),
    "G14b": ("inr", "<=", 1.5, "FOUND", "", "PMC6094448"),
    "G14c": ("ascites", "<=", 1, "FOUND", "", "PMC6094448"),
}

RULES = {rule.id: (protocol.key, rule) for protocol in available_protocols() for rule in protocol.rules}


def test_each_rule_is_bundled_once_and_no_other():
    """The bundled rules are those of the table; every row from V1 to V19 stands in exactly one protocol."""
    ids = [rule.id for protocol in available_protocols() for rule in protocol.rules]
    homes = {}
    for protocol in available_protocols():
        for rule in protocol.rules:
            homes.setdefault(rule.id.rstrip("abcd"), set()).add(protocol.key)

    assert sorted(ids) == sorted([*TABLE, *FUNCTION_TABLE])
    assert {f"V{n}" for n in range(1, 20)} <= set(homes)
    assert all(len(home) == 1 for home in homes.values())


@pytest.mark.parametrize("name", TABLE)
def test_rule_says_what_its_source_says(name):
    """Threshold, index, comparison, population and evidence are those of the table."""
    key, index, printed, strict, parenchyma, above, at_most, evidence, word = TABLE[name]
    protocol, rule = RULES[name]
    expected = printed if index == "flr_per_bsa" else printed / 100

    assert protocol == key
    assert (rule.index, rule.strict) == (index, strict)
    assert rule.threshold == pytest.approx(expected, rel=1e-12)
    assert rule.unit == ("mL/m2" if index == "flr_per_bsa" else "fraction")
    assert {p.value for p in rule.applies_if.parenchyma} == parenchyma
    assert rule.applies_if.chemotherapy_weeks_min == above
    assert rule.applies_if.chemotherapy_weeks_max == at_most
    assert rule.evidence is Evidence(evidence)
    assert word in f"{rule.citation.text} {rule.citation.via}"


@pytest.mark.parametrize("name", FUNCTION_TABLE)
def test_rule_of_function_says_what_its_source_says(name):
    """Index, comparison, threshold, evidence, and for whom and which operation it was made."""
    index, op, printed, evidence, made_for, word = FUNCTION_TABLE[name]
    protocol, rule = RULES[name]
    condition = rule.applies_if
    conditions = [p.value for p in (*condition.parenchyma, *condition.extents, *condition.diseases)]
    if condition.bile_duct_resection:
        conditions.append("bile duct")

    assert protocol == "liver-function"
    assert (rule.index, rule.op, rule.evidence.value) == (index, op, evidence)
    assert rule.threshold == pytest.approx(printed, rel=1e-12)
    assert rule.unit == RULE_INDICES[index]
    assert " ".join(conditions) == made_for
    assert word in f"{rule.citation.text} {rule.citation.via}"
    for text in (rule.title, rule.population, rule.effect_below, rule.effect_above, rule.denominator):
        assert text.strip()


@pytest.mark.parametrize("name", TABLE)
def test_rule_names_everything_a_reader_needs(name):
    """Title, population, both effects, denominator and source are there; the title prints the threshold."""
    _, rule = RULES[name]
    numbers = re.findall(r"\d+(?:\.\d+)?", rule.title)

    for text in (rule.population, rule.effect_below, rule.effect_above, rule.denominator, rule.citation.text):
        assert text.strip()
    assert f"{rule.threshold if rule.unit == 'mL/m2' else round(100 * rule.threshold, 6):g}" in {
        *numbers,
        *({"25", "40"} if name in {"V5a", "V5b"} else set()),
        *({"25", "30"} if name in {"V16a", "V16b"} else set()),
        *({"0.6", "0.8"} if name in {"S2a", "S2b"} else set()),
    }


@pytest.mark.parametrize("name", TABLE)
def test_denominator_in_words_is_that_of_the_index(name):
    """A reader and the program mean the same denominator."""
    _, rule = RULES[name]
    mark = {
        "flr": "D8",
        "flr_of_total": "D9",
        "sflr_t1": "T1",
        "sflr_t3": "T3",
        "sflr_t9": "T9",
        "flr_per_body_weight": "D12",
        "flr_per_bsa": "D13",
    }[rule.index]

    assert mark in rule.denominator
    assert rule.index in RULE_INDICES


def test_general_knowledge_is_disabled_except_the_triad():
    """GK-* rules are listed and not evaluated; the 20/30/40 triad is marked as unverified common practice."""
    for name, (_, rule) in RULES.items():
        if name.startswith("V17"):
            assert rule.enabled
            assert "Common practice, primary source not verified" in rule.note
        else:
            assert rule.enabled == (rule.evidence in {Evidence.SEED, Evidence.FOUND})
            assert rule.enabled or rule.note


def test_no_protocol_calls_anything_resectable():
    """The word is nowhere in the protocols, but in the name of a group called unresectable by its source."""
    for protocol in available_protocols():
        text = f"{protocol.title} {protocol.description}"
        for rule in protocol.rules:
            text += f" {rule.title} {rule.effect_below} {rule.effect_above} {rule.note} {rule.denominator}"
        assert "resectable" not in text.replace("unresectable", "")


def test_every_protocol_has_a_version_and_stands_in_the_readme():
    """Versions are there, and the schema's page lists every protocol and every index."""
    readme = (files("flr_volumetry.assessment") / "protocols" / "README.md").read_text(encoding="utf-8")
    for protocol in available_protocols():
        assert re.fullmatch(r"\d+\.\d+", protocol.version)
        assert protocol.title
        assert protocol.description
        assert f"`{protocol.key}`" in readme
    for index in RULE_INDICES:
        assert f"`{index}`" in readme


def test_order_of_reading_is_the_order_asked_for():
    """Protocols come back in the order of their keys in the case."""
    keys = ["review-2014", "consensus-20-30-40"]

    assert [p.key for p in read_protocols(keys)] == keys
    assert [p.key for p in available_protocols()] == sorted(p.key for p in available_protocols())

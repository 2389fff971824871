"""``flr protocols`` lists every rule with its source, and says why one is not evaluated."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.io.protocols import available_protocols

OWN = """
key = "my-site"
title = "My site"
version = "1.0"
description = "Made up."

[[rule]]
id = "M1"
title = "half"
index = "flr"
denominator = "functional liver volume (D8)"
op = ">="
threshold_percent = 50
population = "all"
effect_below = "less"
effect_above = "more"
citation = { text = "Made up 2000" }
evidence = "ASSUMED"
"""


def flr(*words):
    return CliRunner().invoke(main, ["protocols", *map(str, words)])


def test_every_rule_is_listed_with_its_source():
    out = flr().stdout
    for protocol in available_protocols():
        assert f"{protocol.key} {protocol.version}" in out
    for rule in (r for p in available_protocols() for r in p.rules):
        assert rule.id in out
    assert max(map(len, out.splitlines())) <= 100


def test_a_rule_that_is_not_evaluated_says_why():
    off = [r for p in available_protocols() for r in p.rules if not r.enabled]
    assert off
    out = " ".join(flr().stdout.split())
    for rule in off:
        assert f"{rule.id} is not evaluated: {' '.join(rule.note.split())}" in out


def test_one_protocol_may_be_asked_for():
    out = flr("consensus-20-30-40").stdout
    assert ">= 20 %" in out
    assert "steatosis" in out
    assert "review-2014" not in out


def test_json_holds_every_field_of_every_rule():
    document = json.loads(flr("--json").stdout)
    rules = {(p["key"], r["id"]): r for p in document["protocols"] for r in p["rules"]}
    for protocol in available_protocols():
        for rule in protocol.rules:
            shown = rules[protocol.key, rule.id]
            assert shown["threshold"] == rule.threshold
            assert shown["source"] == rule.citation.text
            assert shown["enabled"] is rule.enabled
            assert shown["parenchyma"] == [p.value for p in rule.applies_if.parenchyma]


def test_a_site_has_its_own(tmp_path):
    (tmp_path / "my-site.toml").write_text(OWN)
    assert "M1" in flr("my-site", "--folder", tmp_path).stdout
    assert "my-site 1.0" in flr("--folder", tmp_path).stdout


@pytest.mark.parametrize(
    ("changed", "words", "code"),
    [
        ('citation = { text = "Made up 2000" }', "", "M1"),
        ('evidence = "ASSUMED"', 'evidence = "SURE"', "SURE"),
    ],
)
def test_a_protocol_without_its_source_is_refused(tmp_path, changed, words, code):
    (tmp_path / "my-site.toml").write_text(OWN.replace(changed, words))
    result = flr("my-site", "--folder", tmp_path)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert code in result.stderr


def test_an_unknown_protocol_is_refused_with_the_nearest():
    result = flr("consensus-20-30-4")
    assert result.exit_code == 1
    assert "consensus-20-30-40" in result.stderr

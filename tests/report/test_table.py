"""The terminal says the same in 80 columns, in plain text."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from flr_volumetry.assessment.model import State
from flr_volumetry.errors import Caveat
from flr_volumetry.report import summary_table, summary_text
from tests.report.cases import make_case, with_lesion


@pytest.fixture(scope="module")
def summary():
    return make_case("axial")[2]


def lines_of(summary, width=80):
    return summary_text(summary, width=width).splitlines()


def test_the_answer_comes_first(summary):
    """Remnant, share, interval and denominator, then whether the lesions are cleared."""
    text = " ".join(" ".join(lines_of(summary)[1:6]).split())
    index = summary.assessment.indices[0]
    low, high = (f"{100 * v:.1f}" for v in index.interval)

    assert text.startswith(
        f"Future liver remnant {summary.volumes.remnant_functional_ml:.0f} mL, {100 * index.value:.1f} % "
        f"(95 % interval {low} to {high} %) of {index.denominator} "
        "All 3 lesions are cleared; smallest margin 5.4 mm, at lesion 2"
    )


def test_each_evaluated_rule_has_its_line(summary):
    """Index, threshold, value, state in words, and the margin in mL with its sign."""
    rows = {line.split()[0]: " ".join(line.split()) for line in lines_of(summary) if line.startswith("  ")}

    for f in summary.assessment.findings:
        if f.state is State.NOT_EVALUABLE:
            continue
        words = {"clear_above": "clearly above", "borderline": "borderline", "clear_below": "clearly below"}
        sign = ">" if f.rule.strict else ">="
        decimals = 3 if f.value < 0.02 else 1
        assert rows[f.rule.id] == (
            f"{f.rule.id} {f.rule.index} {sign} {100 * f.rule.threshold:g} % {100 * f.value:.{decimals}f} % "
            f"{words[f.state.value]} {f.margin_ml:+.1f} mL"
        )
    assert "V2" not in rows


def test_everything_else_is_there(summary):
    """Volumes, stages, lesions, caveats, reasons, protocols, and what it is not."""
    text = " ".join(summary_text(summary, width=100).split())

    for amount in (summary.volumes.total_ml, summary.volumes.resected_ml, summary.volumes.tumour_ml):
        assert f"{amount:.1f} mL" in text
    for stage in summary.volumes.stages:
        assert f"{stage.number} {stage.name}" in text
        assert f"{stage.remnant_functional_ml:.1f} mL" in text
    for lesion in summary.volumes.lesions:
        assert f"{lesion.number} ({lesion.name})" in text
        assert f"{lesion.margin_mm:.1f} mm" in text
    for caveat in summary.caveats:
        assert caveat.message in text
    assert all(sentence in text for sentence in summary.assessment.conclusion)
    assert "V2: made for cirrhosis; the patient's liver is given as chemotherapy" in text
    assert "protocols: consensus-20-30-40 1.0, review-2014 1.0" in text
    assert text.endswith("Research use only, not a medical device.")
    assert "resectable" not in text.lower()


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_lines_fit_and_are_plain(summary, width):
    """No line is longer than asked for, and none holds an escape sequence."""
    text = summary_text(summary, width=width)

    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    assert text.isascii()


def test_on_a_terminal_states_are_coloured_and_still_in_words(summary):
    """Colour is added to the words, not put in their place."""
    buffer = StringIO()
    Console(file=buffer, force_terminal=True, color_system="standard", width=100).print(
        summary_table(summary)
    )

    assert "\x1b[1;31mclearly below\x1b[0m" in buffer.getvalue()


def test_a_lesion_that_stays_is_in_the_answer(summary):
    """It stands above all thresholds."""
    left = with_lesion(summary, 2, margin_mm=0.0, remaining_ml=1.26, cleared_in_stage=0, closest_mm=None)
    text = summary_text(left)

    assert "1 of 3 lesions NOT CLEARED: 2 (1.3 mL stay)" in text
    assert text.index("NOT CLEARED") < text.index("Thresholds")


def test_names_are_shown_as_they_are(summary):
    """Markup of the terminal library means nothing; escape sequences are taken out."""
    odd = replace(
        summary,
        case_id="[bold red]x[/] \x1b[2J",
        caveats=(Caveat("odd", "[link=a]b[/link]"),),
        volumes=replace(
            summary.volumes,
            stages=tuple(replace(s, name="[/]\n") for s in summary.volumes.stages),
        ),
    )
    text = summary_text(odd)

    assert "Case [bold red]x[/] \ufffd[2J" in text
    assert "[link=a]b[/link]" in text
    assert "1 [/]" in text
    assert "\x1b" not in text


def test_a_case_without_rules_and_lesions_still_prints(summary):
    """Headings without content are left out."""
    bare = replace(
        summary,
        volumes=replace(summary.volumes, lesions=(), stages=()),
        assessment=replace(summary.assessment, findings=(), indices=(), conclusion=()),
        caveats=(),
    )
    text = summary_text(bare)

    assert f"Future liver remnant {summary.volumes.remnant_functional_ml:.0f} mL\n" in text
    for heading in ("Thresholds", "Lesions", "Stages", "Caveats", "In words", "not evaluated"):
        assert heading not in text

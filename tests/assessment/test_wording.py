"""What the conclusion says, and what the methods show."""

from __future__ import annotations

import pytest

from flr_volumetry.assessment import Applicability, assess
from flr_volumetry.io.protocols import read_protocols
from flr_volumetry.volumetry.patient import Parenchyma, Patient
from tests.assessment.cases import ALL, NORMAL, codes, liver, protocol, rule


def test_conclusion_names_protocol_version_rule_and_source():
    """One sentence a protocol, in words of evidence."""
    (sentence,) = assess(liver(remnant=900.0), NORMAL, read_protocols(["consensus-20-30-40"])).conclusion

    assert sentence.startswith("Volumetric evidence supports the planned remnant under Common practice")
    assert "consensus-20-30-40, version 1.0" in sentence
    assert "V17a asks for at least 20 % of functional liver volume (D8)" in sentence
    assert "Clavien" in sentence


def test_conclusion_reads_as_it_should():
    """The whole sentence: what is asked and of what, where the value lies, what is missing, who says so."""
    one = rule(threshold=0.3105, strict=True, id="V0", effect_below="think of growth")
    (sentence,) = assess(liver(), NORMAL, [protocol(one)]).conclusion

    assert sentence == (
        "Volumetric evidence does not support the planned remnant under Protocol p (p, version 1.0): "
        "V0 asks for more than 31.05 % of its own, and 22.0 % is clearly below it, 136 mL short "
        "(Source 2000): think of growth."
    )


def test_small_ratios_and_other_units_are_written_in_full():
    """0.471 % of body weight with three decimals, mL/m2 with their unit, and what there is to spare."""
    rules = (rule("flr_per_body_weight", 0.004, id="A"), rule("flr_per_bsa", 300.0, unit="mL/m2", id="B"))
    (sentence, _) = assess(liver(), NORMAL, [protocol(*rules)]).conclusion

    assert "A asks for at least 0.4 % of its own, and 0.471 % is clearly above it, 50 mL to spare" in sentence
    assert (
        "B asks for at least 300 mL/m2 of its own, and 182 mL/m2 is clearly below it, 215 mL short"
        in sentence
    )


SUPPORT = [(900.0, "supports"), (330.0, "is equivocal about"), (150.0, "does not support")]


@pytest.mark.parametrize(("remnant", "words"), SUPPORT)
def test_conclusion_follows_the_states(remnant, words):
    """Clearly above supports, borderline is equivocal, clearly below does not support."""
    (sentence,) = assess(liver(remnant=remnant), NORMAL, read_protocols(["consensus-20-30-40"])).conclusion

    assert sentence.startswith(f"Volumetric evidence {words} the planned remnant")


def test_disagreement_is_a_sentence_of_its_own():
    """Two protocols of opposite views are set against each other; two of one view are not."""
    low, high = protocol(rule(threshold=0.1), key="low"), protocol(rule(threshold=0.5), key="high")
    apart = assess(liver(), NORMAL, [low, high]).conclusion
    alike = assess(liver(), NORMAL, [low, protocol(rule(threshold=0.11), key="other")]).conclusion

    assert apart[-1] == (
        "The protocols disagree: low supports the planned remnant; high does not support the planned remnant."
    )
    assert not any("disagree" in sentence for sentence in alike)


def test_rules_of_one_protocol_that_disagree_make_it_equivocal():
    """One rule clearly above and one clearly below: equivocal, and said so."""
    mixed = protocol(rule(threshold=0.1, id="A"), rule(threshold=0.5, id="B"))
    conclusion = assess(liver(), NORMAL, [mixed]).conclusion

    assert "is equivocal about" in conclusion[0]
    assert "120" not in conclusion[0]
    assert conclusion[-1] == "The rules of p disagree among themselves: clearly above A, clearly below B."


def test_a_protocol_without_an_evaluable_rule_takes_no_side():
    """It is neither for nor against, and does not disagree with one that is."""
    nobody = protocol(rule(applies_if=Applicability(parenchyma=(Parenchyma.CIRRHOSIS,))), key="nobody")
    conclusion = assess(liver(), NORMAL, [nobody, protocol(rule(threshold=0.1))]).conclusion

    assert (
        conclusion[0]
        == "No rule of Protocol nobody (nobody, version 1.0) could be evaluated: made for: cirrhosis (R)."
    )
    assert len(conclusion) == 2


def test_no_sentence_calls_a_liver_resectable():
    """Neither conclusion nor caveats nor methods use the word, but in the title of a cited chapter."""
    assessment = assess(liver(), NORMAL, ALL)
    text = " ".join((*assessment.conclusion, *assessment.methods, *(c.message for c in assessment.caveats)))

    assert "resectable" not in text.lower().replace("treatment of unresectable liver metastases", "")


def test_methods_show_the_spread_over_denominators():
    """D8, D9 and the range over formulas, with the names of the ends."""
    text = " ".join(assess(liver(), NORMAL, ALL).methods)

    assert "22.0 % of the functional volume (D8) and 20.0 % of the total volume (D9)" in text
    assert "from 20.6 % (T4, Heinemann 1999, 1605 mL) to 28.0 % (T11-DuBois" in text
    assert "need height and weight" in " ".join(assess(liver(), Patient(), ALL).methods)


def test_a_threshold_inside_the_spread_is_pointed_out():
    """25 % is reached by Urata's formula and missed by the measured volume; 45 % by none, 10 % by all."""
    inside = assess(liver(), NORMAL, [protocol(rule(threshold=0.25))])
    above = assess(liver(), NORMAL, [protocol(rule(threshold=0.45))])
    below = assess(liver(), NORMAL, [protocol(rule(threshold=0.10))])

    assert "25 %" in next(c.message for c in inside.caveats if c.code == "denominator_decides")
    assert "denominator_decides" not in codes(above)
    assert "denominator_decides" not in codes(below)

"""Body surface and liver size formulas against numbers worked out beforehand from the published equations."""

from __future__ import annotations

import re

import pytest

from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.patient import Sex

PEOPLE = {"170/70": (170, 70), "160/55": (160, 55), "180/100": (180, 100)}

BSA = [
    # person, Mosteller, DuBois, Haycock, Gehan-George
    ("170/70", 1.8181, 1.8097, 1.8257, 1.8313),
    ("160/55", 1.5635, 1.5632, 1.5655, 1.5767),
    ("180/100", 2.2361, 2.1950, 2.2624, 2.2540),
]


@pytest.mark.parametrize(("person", "mosteller", "dubois", "haycock", "gehan"), BSA)
def test_body_surface_of_three_people(person, mosteller, dubois, haycock, gehan):
    """Four formulas of body surface give the four published decimals."""
    height_cm, weight_kg = PEOPLE[person]
    body = {"height_cm": height_cm, "weight_kg": weight_kg}

    assert formulas.bsa_mosteller(**body).m2 == pytest.approx(mosteller, abs=5e-5)
    assert formulas.bsa_dubois(**body).m2 == pytest.approx(dubois, abs=5e-5)
    assert formulas.bsa_haycock(**body).m2 == pytest.approx(haycock, abs=5e-5)
    assert formulas.bsa_gehan_george(**body).m2 == pytest.approx(gehan, abs=5e-5)


def test_fujimoto_by_logarithms():
    """Fujimoto's exponents, recomputed through logarithms to base ten: 1.764 m2 at 170 cm and 70 kg."""
    assert formulas.bsa_fujimoto(height_cm=170, weight_kg=70).m2 == pytest.approx(1.76429, abs=5e-5)


@pytest.mark.parametrize("formula", formulas.BsaFormula)
def test_dispatch_names_the_formula_it_used(formula):
    """A body surface chosen by value remembers that value, and has a title and a DICOM code."""
    area = formulas.body_surface(formula=formula, height_cm=170, weight_kg=70)

    assert area.formula is formula
    assert 1.7 < area.m2 < 1.9
    assert formula.title
    assert formula.value in {"122244", "122241", "122243", "122242", "122268"}


def mosteller(person):
    height_cm, weight_kg = PEOPLE[person]
    return formulas.bsa_mosteller(height_cm=height_cm, weight_kg=weight_kg)


def dubois(person):
    height_cm, weight_kg = PEOPLE[person]
    return formulas.bsa_dubois(height_cm=height_cm, weight_kg=weight_kg)


@pytest.mark.parametrize(("person", "ml"), [("170/70", 1509.66), ("160/55", 1186.9), ("180/100", 2039.3)])
def test_vauthey_2002_by_body_surface(person, ml):
    """T1: -794.41 + 1267.28 BSA (Vauthey, Liver Transpl 2002;8:233), Mosteller."""
    estimate = formulas.telv_vauthey_2002_bsa(bsa=mosteller(person))

    assert estimate.ml == pytest.approx(ml, abs=0.05)
    assert estimate.caveats == ()
    assert "Mosteller 1987" in estimate.sentence


@pytest.mark.parametrize(("weight_kg", "ml"), [(70, 1487.5), (55, 1209.9), (100, 2042.8)])
def test_vauthey_2002_by_weight(weight_kg, ml):
    """T2: 191.80 + 18.51 W."""
    assert formulas.telv_vauthey_2002_weight(weight_kg=weight_kg).ml == pytest.approx(ml, abs=0.06)


BY_SURFACE = [
    ("telv_urata_1995", dubois, 1280.4, "T3"),
    ("telv_heinemann_1999", mosteller, 1604.8, "T4"),
    ("telv_johnson_2005", mosteller, 1458.3, "T6"),
    ("telv_hashimoto_2006", dubois, 1334.9, "T7"),
    ("telv_korea_1000_dubois", dubois, 1178.9, "T11-DuBois"),
    ("telv_korea_1000_mosteller", mosteller, 1185.3, "T11-Mosteller"),
    ("telv_um_2015", mosteller, 1306.9, "T12"),
    ("telv_feng_2017", mosteller, 1254.3, "T13"),
    ("telv_deland_1968", mosteller, 1020 * 1.81812 - 220, "T16"),
    ("telv_lee_2002", mosteller, 691 * 1.81812 + 95, "T17"),
]


@pytest.mark.parametrize(("name", "area", "ml", "key"), BY_SURFACE)
def test_liver_size_by_body_surface(name, area, ml, key):
    """Every formula on body surface, at 170 cm and 70 kg, with its own BSA formula and so no caveat."""
    estimate = getattr(formulas, name)(bsa=area("170/70"))

    assert estimate.ml == pytest.approx(ml, abs=0.06)
    assert estimate.formula.key == key
    assert estimate.caveats == ()


def test_yoshizumi_gives_grams():
    """T5: 772 BSA, in grams."""
    assert formulas.telv_yoshizumi_2003(bsa=mosteller("170/70")).g == pytest.approx(1403.6, abs=0.05)


def test_yu_2004():
    """T9: 21.585 W^0.732 H^0.225."""
    assert formulas.telv_yu_2004(height_cm=170, weight_kg=70).ml == pytest.approx(1536.8, abs=0.05)


def test_chan_2006_counts_fifty_one_grams_for_men():
    """T8: 1130.0 g for a man of 70 kg, 51 g less for a woman."""
    assert formulas.telv_chan_2006(weight_kg=70, sex=Sex.MALE).g == pytest.approx(1130.0, abs=0.05)
    assert formulas.telv_chan_2006(weight_kg=70, sex=Sex.FEMALE).g == pytest.approx(1079.0, abs=0.05)


@pytest.mark.parametrize(
    ("age", "sex", "g"),
    [(40, Sex.MALE, 2069.8), (40, Sex.FEMALE, 1903.8), (60, Sex.MALE, 1734.2), (60, Sex.FEMALE, 1734.2)],
)
def test_chouker_2004(age, sex, g):
    """T10: two equations, the sex counted only up to 50 years."""
    estimate = formulas.telv_chouker_2004(weight_kg=70, age_years=age, sex=sex)

    assert estimate.g == pytest.approx(g, abs=0.05)


def test_chouker_2004_changes_equation_at_the_fifty_first_birthday():
    """T10: at 50.9 completed years are 50; at 51 the older equation holds, 335 g lower."""
    before = formulas.telv_chouker_2004(weight_kg=70, age_years=50.9, sex=Sex.MALE)
    after = formulas.telv_chouker_2004(weight_kg=70, age_years=51, sex=Sex.MALE)

    assert before.g == pytest.approx(452 + 1143.8 + 603.165, abs=0.05)
    assert after.g == pytest.approx(1390 + 1115.8 - 655.86, abs=0.05)


def test_tu_2007():
    """T14: 121.75 + 16.49 W."""
    assert formulas.telv_tu_2007(weight_kg=70).ml == pytest.approx(1276.05, abs=0.005)


def test_kokudo_2015_tells_two_cohorts_apart():
    """T15 at 28 cm and 40 years: 1702.5 mL for the Swiss cohort, 463.7 mL less for the Japanese."""
    body = {"age_years": 40, "chest_width_cm": 28}
    swiss = formulas.telv_kokudo_2015(**body, cohort=formulas.ThoraxCohort.SWISS)
    japanese = formulas.telv_kokudo_2015(**body, cohort=formulas.ThoraxCohort.JAPANESE)

    assert swiss.ml == pytest.approx(1702.5, abs=0.05)
    assert japanese.ml == pytest.approx(1238.8, abs=0.05)


def test_choice_of_formula_moves_the_same_remnant_from_22_to_30_percent():
    """350 mL at 170 cm and 70 kg is 21.8 % to 29.7 % of the liver, by choice of formula alone."""
    estimates = formulas.liver_estimates(height_cm=170, weight_kg=70)
    volumes = [estimate.ml for estimate in estimates]

    assert len(volumes) == 11
    assert all(estimate.caveats == () for estimate in estimates)
    assert 350 / max(volumes) == pytest.approx(0.218, abs=5e-4)
    assert 350 / min(volumes) == pytest.approx(0.297, abs=5e-4)


def evaluated(equation, **known):
    """Return what an equation gives as printed for people: blanks multiply, ^ is a power."""
    terms = re.sub(r"\^", "**", equation.replace(" x ", "*"))
    terms = re.sub(r"(?<=\d) (?=[A-Z])", "*", terms)
    return eval(terms, {"__builtins__": {}}, known)


def test_equations_as_printed_are_the_equations_computed():
    """The methods section prints each formula; evaluated, the print gives the amount beside it."""
    estimates = formulas.liver_estimates(height_cm=163, weight_kg=61)
    area = formulas.bsa_mosteller(height_cm=163, weight_kg=61)
    other = [
        formulas.telv_yoshizumi_2003(bsa=area),
        formulas.telv_deland_1968(bsa=area),
        formulas.telv_lee_2002(bsa=area),
        formulas.telv_hashimoto_2006(bsa=formulas.bsa_dubois(height_cm=163, weight_kg=61)),
    ]
    for estimate in (*estimates, *other):
        known = {"W": 61, "H": 163, "BSA": estimate.bsa.m2 if estimate.bsa else None}
        printed = evaluated(estimate.formula.equation, **known)

        assert printed == pytest.approx(estimate.amount, rel=1e-12)
        assert f"= {estimate.amount:.1f} {estimate.formula.unit.value};" in estimate.sentence
        assert estimate.formula.source in estimate.sentence


def test_25_percent_by_urata_is_21_2_percent_by_vauthey():
    """The same cut-off number means different remnants with different formulas."""
    urata = formulas.telv_urata_1995(bsa=dubois("170/70")).ml
    vauthey = formulas.telv_vauthey_2002_bsa(bsa=mosteller("170/70")).ml

    assert 0.25 * urata / vauthey == pytest.approx(0.212, abs=5e-4)

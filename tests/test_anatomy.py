"""Names of resections, and the segments they remove."""

import pytest

from flr_volumetry.anatomy import HEPATECTOMIES, Caudate, hepatectomy, new_world_name, removed_segments
from flr_volumetry.errors import PlanError

# Copied by hand from the Brisbane 2000 table, not from the code.
BRISBANE = {
    "right_hepatectomy": ({5, 6, 7, 8}, True),
    "left_hepatectomy": ({2, 3, 4}, True),
    "ext_right": ({4, 5, 6, 7, 8}, True),
    "ext_left": ({2, 3, 4, 5, 8}, True),
    "left_lateral": ({2, 3}, False),
    "left_medial": ({4}, False),
    "right_anterior": ({5, 8}, False),
    "right_posterior": ({6, 7}, False),
    "central": ({4, 5, 8}, True),
    "caudate": ({1}, False),
    **{f"seg_{n}": ({n}, False) for n in range(1, 9)},
}


@pytest.mark.parametrize("key", BRISBANE)
def test_each_hepatectomy_removes_its_segments(key):
    """With segment 1 where that is asked for, and only where it is a choice."""
    segments, optional = BRISBANE[key]

    if 1 in segments:
        with pytest.raises(PlanError, match="the plan says caudate = false"):
            removed_segments(key, caudate=Caudate.KEPT)
    else:
        assert removed_segments(key, caudate=Caudate.KEPT) == segments
    if optional:
        assert removed_segments(key, caudate=Caudate.REMOVED) == segments | {1}
        with pytest.raises(PlanError, match="with or without segment 1"):
            removed_segments(key, caudate=None)
    else:
        assert removed_segments(key, caudate=None) == segments


def test_the_table_is_complete_and_no_name_stands_twice():
    """Every key of the table, each name and synonym once."""
    names = [n for h in HEPATECTOMIES for n in {h.key.replace("_", " "), h.name, *h.synonyms}]

    assert {h.key for h in HEPATECTOMIES} == set(BRISBANE)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Right Hemihepatectomy", "right_hepatectomy"),
        ("extended right hepatectomy", "ext_right"),
        ("right-trisectionectomy", "ext_right"),
        ("mesohepatectomy", "central"),
        ("segmentectomy 7", "seg_7"),
    ],
)
def test_synonyms_and_spelling_find_the_entry(name, key):
    """Case, hyphens and underscores do not matter."""
    assert hepatectomy(name).key == key


@pytest.mark.parametrize("name", ["right lobectomy", "Left_Lobectomy", "resection of the right lobe"])
def test_a_lobectomy_is_refused_as_ambiguous(name):
    """It means segments 5-8 to some and 4-8 to others."""
    with pytest.raises(PlanError, match="ambiguous") as caught:
        hepatectomy(name)
    assert caught.value.reason == "ambiguous_hepatectomy"


def test_new_world_names():
    """H and the numbers, ascending."""
    assert new_world_name(frozenset({1, 4, 8, 5})) == "H1458"

"""Names of large branches, from constructed trees: where they are clear, where not, and variants."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.liver import Branch
from flr_volumetry.territories.naming import Fed, name_branches


def named(structure, rows):
    """Name a tree. A row: path, share of the liver behind it, its middle, where it starts, radius, length."""
    paths = [row[0] for row in rows]
    branches = []
    for n, (path, _, _, start, radius, length) in enumerate(rows, start=1):
        parent = paths.index(path[:-2]) + 1 if "." in path else 0
        points = np.asarray(start, float) + np.linspace(0, 1, 5)[:, None] * (0, 0, -length)
        radii = np.broadcast_to(np.asarray(radius, float), 5)
        branches.append(Branch(n, path, parent, path.count(".") + 1, "", points, radii))
    whole = sum(share for path, share, *_ in rows if "." not in path)
    voxels = np.array([whole, *(row[1] for row in rows)], dtype=np.int64)
    middles = np.array([(0.0, 0.0, 0.0), *(row[2] for row in rows)])
    names, caveats = name_branches(structure, branches, Fed(voxels, middles))
    return {path: name for path, name in zip(paths, names, strict=True) if name}, [c.code for c in caveats]


def portal(*rows):
    return named(Structure.PORTAL_VEIN, [(*row, (0, 0, 0), 5.0, 20.0) for row in rows])


TRUNK = ("1", 1000, (0, 0, 0))
RIGHT, LEFT = ("1.1", 650, (-50, 0, 0)), ("1.2", 350, (50, 0, 0))
ANTERIOR, POSTERIOR = ("1.1.1", 350, (-45, -30, 0)), ("1.1.2", 300, (-55, 30, 0))


def test_the_usual_portal_vein():
    names, codes = portal(TRUNK, RIGHT, ANTERIOR, POSTERIOR, LEFT)
    assert names == {
        "1": "main portal vein",
        "1.1": "right portal vein",
        "1.1.1": "right anterior portal vein",
        "1.1.2": "right posterior portal vein",
        "1.2": "left portal vein",
    }
    assert codes == ["branches_named"]


def test_a_trifurcation_has_no_right_portal_vein():
    names, codes = portal(
        TRUNK, ("1.1", 350, (-45, -30, 0)), ("1.2", 350, (50, 0, 0)), ("1.3", 300, (-55, 30, 0))
    )
    assert names == {
        "1": "main portal vein",
        "1.1": "right anterior portal vein",
        "1.2": "left portal vein",
        "1.3": "right posterior portal vein",
    }
    assert codes == ["branches_named", "branches_unnamed"]


def test_a_right_posterior_branch_that_leaves_first():
    """What is left of it carries the anterior section as well: it is not the left portal vein."""
    names, _ = portal(
        TRUNK,
        ("1.1", 700, (20, 0, 0)),
        ("1.1.1", 380, (60, 0, 0)),
        ("1.1.2", 320, (-30, -30, 0)),
        ("1.2", 300, (-60, 30, 0)),
    )
    assert names == {
        "1": "main portal vein",
        "1.1.1": "left portal vein",
        "1.1.2": "right anterior portal vein",
        "1.2": "right posterior portal vein",
    }


def test_small_branches_before_the_fork_are_passed_over():
    """A caudate branch with less than a tenth; the fork is further on."""
    names, _ = portal(
        TRUNK,
        ("1.1", 950, (0, 0, 0)),
        ("1.1.1", 600, (-50, 0, 0)),
        ("1.1.2", 350, (50, 0, 0)),
        ("1.2", 50, (90, 30, 0)),
    )
    assert names["1.1.1"] == "right portal vein"
    assert names["1.1.2"] == "left portal vein"
    assert "1.2" not in names


@pytest.mark.parametrize(("apart", "clear"), [(14.0, False), (16.0, True)])
def test_sides_too_close_to_each_other_get_no_name(apart, clear):
    names, codes = portal(TRUNK, ("1.1", 600, (-apart / 2, 0, 0)), ("1.2", 400, (apart / 2, 0, 0)))
    assert ("1.1" in names) == clear
    assert ("branches_unnamed" in codes) != clear
    sections, _ = portal(
        TRUNK, RIGHT, ("1.1.1", 350, (-50, -apart / 2, 0)), ("1.1.2", 300, (-50, apart / 2, 0)), LEFT
    )
    assert ("1.1.1" in sections) == clear


def test_names_are_the_patients_sides():
    """Mirrored, the large branch is the left one."""
    names, _ = portal(TRUNK, ("1.1", 590, (50, 0, 0)), ("1.2", 410, (-50, 0, 0)))
    assert (names["1.1"], names["1.2"]) == ("left portal vein", "right portal vein")


def test_a_trunk_without_a_fork_is_nothing_known():
    names, codes = portal(("1", 1000, (0, 0, 0)))
    assert (names, codes) == ({}, ["branches_unnamed"])
    names, codes = portal(TRUNK, ("1.1", 950, (-5, 0, 0)), ("1.2", 50, (50, 0, 0)))
    assert names == {"1": "main portal vein"}
    assert codes == ["branches_named", "branches_unnamed"]


def veins(*rows):
    return named(Structure.HEPATIC_VEINS, rows)


R, M, L = (-70, 20, -40), (-20, -60, -40), (60, -30, -20)


def test_three_veins_from_the_vena_cava():
    names, codes = veins(
        ("1", 1000, (0, 0, 0), (0, 0, 0), 10.0, 20.0),
        ("1.1", 400, R, (0, 0, 0), 4.0, 60.0),
        ("1.2", 300, M, (0, 0, 0), 4.0, 60.0),
        ("1.3", 250, L, (0, 0, 0), 4.0, 60.0),
        ("1.4", 50, (0, 0, -60), (0, 0, 0), 10.0, 80.0),
    )
    assert names == {
        "1": "inferior vena cava",
        "1.1": "right hepatic vein",
        "1.2": "middle hepatic vein",
        "1.3": "left hepatic vein",
    }
    assert codes == ["branches_named"]


def test_a_vein_that_is_wide_where_it_opens_is_not_the_vena_cava():
    names, _ = veins(
        ("1", 1000, (0, 0, 0), (0, 0, 0), 11.0, 20.0),
        ("1.1", 400, R, (0, 0, 0), (13.0, 12.0, 7.0, 5.0, 4.5), 40.0),
        ("1.1.1", 300, R, (-20, 0, -20), 4.0, 40.0),
        ("1.1.2", 100, R, (-20, 0, -20), 3.0, 40.0),
        ("1.2", 300, M, (0, 0, 0), 4.0, 60.0),
        ("1.3", 250, L, (0, 0, 0), 4.0, 60.0),
    )
    assert names["1.1"] == "right hepatic vein"
    assert names["1.2"] == "middle hepatic vein"


@pytest.mark.parametrize(("trunk_mm", "divided"), [(25.0, True), (35.0, False)])
def test_a_common_trunk_of_middle_and_left_vein(trunk_mm, divided):
    names, _ = veins(
        ("1", 500, R, (0, 0, 0), 4.0, 60.0),
        ("2", 500, (20, -50, -30), (10, 0, 0), 5.0, trunk_mm),
        ("2.1", 270, M, (10, -10, 0), 4.0, 60.0),
        ("2.2", 230, L, (10, -10, 0), 4.0, 60.0),
    )
    if divided:
        assert names == {"1": "right hepatic vein", "2.1": "middle hepatic vein", "2.2": "left hepatic vein"}
    else:
        assert names == {"1": "right hepatic vein", "2": "common trunk of middle and left hepatic vein"}


@pytest.mark.parametrize(("low_mm", "inferior"), [(25.0, False), (40.0, True)])
def test_an_inferior_right_vein_opens_far_below_the_others(low_mm, inferior):
    names, _ = veins(
        ("1", 350, R, (0, 0, 0), 4.0, 60.0),
        ("2", 250, M, (0, 0, 0), 4.0, 60.0),
        ("3", 220, L, (0, 0, 0), 4.0, 60.0),
        ("4", 180, (-60, 40, -70), (0, 0, -low_mm), 3.0, 40.0),
    )
    assert (names.get("4") == "inferior right hepatic vein") == inferior
    assert (names.get("1") == "right hepatic vein") == inferior


def test_veins_in_the_same_direction_get_no_name():
    """Directions in the axial plane 10 degrees apart are not told from each other, 20 are."""
    for degrees, clear in ((10.0, False), (20.0, True)):
        turned = np.radians(degrees)
        near = 60 * np.array([-np.cos(turned), -np.sin(turned), 0])
        names, codes = veins(
            ("1", 400, (-60, 0, 0), (0, 0, 0), 4.0, 60.0),
            ("2", 300, near, (0, 0, 0), 4.0, 60.0),
            ("3", 300, (60, -30, 0), (0, 0, 0), 4.0, 60.0),
        )
        assert ("1" in names) == clear
        assert ("branches_unnamed" in codes) != clear

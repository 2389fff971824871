"""Back-ends: those registered, and what is refused of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import Grid, Mask
from flr_volumetry.segmentation import (
    Availability,
    BoxMm,
    Hints,
    Made,
    Quality,
    Segmentation,
    backend,
    backend_names,
    segment,
)
from tests.grids import STEPS
from tests.segmentation.backends import CENTRE, scan

HERE = "tests.segmentation.backends"
LIVER = frozenset({Structure.LIVER})


def test_a_third_partys_back_end_is_listed_made_and_used(registered):
    """An entry point is all it takes."""
    registered(threshold=f"{HERE}:Threshold")

    assert "threshold" in backend_names()
    found = segment(scan(), LIVER, segmenter=backend("threshold"))

    assert found.masks[Structure.LIVER].ml == pytest.approx(4 / 3 * math.pi * 5.5**3, rel=0.02)
    assert found.made == Made("threshold", "1.0")


@pytest.mark.parametrize("name", STEPS)
def test_masks_lie_on_the_scans_grid_in_any_orientation(registered, name):
    """The grid that comes back is the scan's."""
    registered(threshold=f"{HERE}:Threshold")
    image = scan(name, lesion=True)

    found = segment(image, LIVER | {Structure.LESION}, segmenter=backend("threshold"))

    assert found.grid.matches(image.grid)
    assert found.structures == {Structure.LIVER, Structure.LESION}
    centre = found.grid.centres_mm(np.argwhere(found.lesions[0].mask.voxels)).mean(axis=0)
    assert centre == pytest.approx(CENTRE, abs=1.0)


def test_what_is_asked_for_and_not_found_is_said(registered):
    """Never in silence."""
    registered(threshold=f"{HERE}:Threshold")

    found = segment(scan(), LIVER | {Structure.LESION}, segmenter=backend("threshold"))

    assert [c.code for c in found.caveats] == ["structure_not_found"]
    assert "lesion" in found.caveats[0].message


def refusal(call):
    """Reason and message of the refusal of a call."""
    with pytest.raises(SegmentationError) as caught:
        call()
    return caught.value.reason, caught.value.message


def test_an_unknown_name_is_refused_with_the_nearest(registered):
    """A typing error is not a back-end."""
    registered(threshold=f"{HERE}:Threshold")

    reason, message = refusal(lambda: backend("treshold"))

    assert reason == "unknown_backend"
    assert "Did you mean 'threshold'" in message


def test_a_back_end_that_is_not_there_is_refused_with_the_remedy(registered):
    """What is missing, and how to get it."""
    registered(absent=f"{HERE}:absent")

    reason, message = refusal(lambda: segment(scan(), LIVER, segmenter=backend("absent")))

    assert reason == "backend_unavailable"
    assert message.endswith("The weights are not here. Copy them to ~/weights.")


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (f"{HERE}:half", "lacks title, structures, modalities, licence, availability, segment"),
        (f"{HERE}:nothing", "cannot be loaded"),
        ("no_such_module:make", "cannot be loaded"),
    ],
)
def test_a_broken_registration_is_refused(registered, point, words):
    """The package that is at fault is named."""
    registered(broken=point)

    reason, message = refusal(lambda: backend("broken"))

    assert reason == "bad_backend"
    assert words in message


def test_two_packages_with_one_name_are_refused(registered):
    """Which of them would be used is not left to chance."""
    registered("one", twice=f"{HERE}:Threshold")
    registered("two", twice=f"{HERE}:absent")

    reason, message = refusal(lambda: backend("twice"))

    assert reason == "bad_backend"
    assert "two packages" in message


def test_masks_on_another_grid_than_the_scans_are_refused(registered):
    """They would be wrong in silence."""
    registered(shifted=f"{HERE}:shifted")

    reason, _ = refusal(lambda: segment(scan(), LIVER, segmenter=backend("shifted")))

    assert reason == "bad_backend"


def test_a_structure_or_modality_that_is_not_offered_is_refused(registered):
    """A CT back-end is not tried on MR; a liver is not asked of one that knows none."""
    registered(threshold=f"{HERE}:Threshold")
    made = backend("threshold")

    assert refusal(lambda: segment(scan(), frozenset({Structure.IVC}), segmenter=made))[0] == (
        "structure_not_offered"
    )
    assert refusal(lambda: segment(scan(), frozenset(), segmenter=made))[0] == "structure_not_offered"
    assert refusal(lambda: segment(scan(modality="MR"), LIVER, segmenter=made))[0] == "modality_not_offered"
    doubtful = segment(scan(modality=""), LIVER, segmenter=made)
    assert [c.code for c in doubtful.caveats] == ["modality_unknown"]


def test_a_bug_of_a_third_party_is_a_refusal_that_names_it(registered):
    """Not a traceback."""
    registered(threshold=f"{HERE}:Threshold")
    hints = Hints(seeds_mm=((0.0, 0.0, 0.0),))

    reason, message = refusal(lambda: segment(scan(), LIVER, segmenter=backend("threshold"), hints=hints))

    assert reason == "backend_failed"
    assert "ZeroDivisionError: a bug of somebody else's" in message


GRID = Grid((2, 2, 2), np.eye(4))
EMPTY = Mask(GRID, np.zeros((2, 2, 2), dtype=bool))
FULL = Mask(GRID, np.ones((2, 2, 2), dtype=bool))
MADE = Made("x", "1")


@pytest.mark.parametrize(
    "make",
    [
        lambda: BoxMm((0, 0, 0), (1, 1, 0)),
        lambda: BoxMm((0, 0, math.nan), (1, 1, 1)),
        lambda: Hints(seeds_mm=((0.0, 1.0, math.inf),)),
        lambda: Hints(lesion_seeds_mm=((0.0, 1.0),)),
        lambda: Hints(rough=EMPTY),
        lambda: Availability("missing"),
        lambda: Availability(remedy="remedy"),
        lambda: Quality(Structure.LIVER, dice=1.1),
        lambda: Quality(Structure.LIVER, boundary_mm=-1.0),
        lambda: Quality(Structure.LIVER, boundary_mm=math.nan),
        lambda: Segmentation(GRID, MADE, {Structure.LIVER: EMPTY}),
        lambda: Segmentation(GRID, MADE, {Structure.LESION: FULL}),
        lambda: Segmentation(Grid((2, 2, 3), np.eye(4)), MADE, {Structure.LIVER: FULL}),
    ],
)
def test_values_that_mean_nothing_are_refused(make):
    """Each with a reason code."""
    assert refusal(make)[0] in {"bad_hint", "bad_backend"}


def test_hints_say_which_were_given():
    """So that a back-end can say which it could not use."""
    assert Hints().given == ()
    assert Hints(outside_mm=((1.0, 2.0, 3.0),), rough=FULL).given == ("outside_mm", "rough")

"""What becomes of lesions between two scans, and which of it is said first."""

from __future__ import annotations

import pytest

from flr_volumetry.assessment.lesion_growth import LesionChange, LesionSeen, lesion_alerts, lesion_courses


def seen(number, ml=10.0, mm=25.0, stays=0.0, *, removed=False):
    return LesionSeen(number, ml, mm, stays, "segment II", removed)


def changes(before, after, links):
    return [
        (c.change, [x.number for x in c.before], [x.number for x in c.after])
        for c in lesion_courses(before, after, links)
    ]


def test_every_lesion_is_in_one_course():
    """Seen again, merged, in several parts, gone, removed and new, in one patient."""
    before = [seen(1), seen(2), seen(3), seen(4), seen(5), seen(6, removed=True)]
    after = [seen(1), seen(2), seen(3), seen(4), seen(5)]
    links = [(1, 2), (2, 1), (3, 1), (4, 3), (4, 4)]

    assert changes(before, after, links) == [
        (LesionChange.SEEN_AGAIN, [1], [2]),
        (LesionChange.MERGED, [2, 3], [1]),
        (LesionChange.SPLIT, [4], [3, 4]),
        (LesionChange.GONE, [5], []),
        (LesionChange.REMOVED, [6], []),
        (LesionChange.NEW, [], [5]),
    ]


def test_growth_is_that_of_all_its_parts():
    (course,) = lesion_courses([seen(1, 10.0), seen(2, 5.0)], [seen(1, 30.0)], [(1, 1), (2, 1)])
    assert course.growth == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("before_mm", "after_mm", "larger"),
    [(25, 30, True), (25, 29.9, False), (40, 45, False), (40, 48, True), (10, 14, False)],
)
def test_larger_needs_a_fifth_and_5_mm(before_mm, after_mm, larger):
    """RECIST 1.1: 20 % and 5 mm, both."""
    (course,) = lesion_courses([seen(1, mm=before_mm)], [seen(1, mm=after_mm)], [(1, 1)])
    assert course.larger is larger


def test_a_new_lesion_in_the_remnant_comes_first():
    """Then growth in the remnant, new ones elsewhere, and those not seen again."""
    before = [seen(1, stays=10.0), seen(2)]
    after = [seen(1, 22.0, 35.0, stays=22.0), seen(2), seen(3, stays=4.0)]
    alerts = lesion_alerts(lesion_courses(before, after, [(1, 1)]), "week 4")

    assert {a.code for a in alerts} == {
        "new_lesion_in_remnant", "lesion_in_remnant_grew", "new_lesion", "lesion_not_seen",
    }  # fmt: skip
    assert alerts.index(next(a for a in alerts if a.code == "new_lesion_in_remnant")) < 2
    assert [a.code for a in alerts].index("new_lesion") >= 2


def test_a_quiet_course_says_nothing():
    """Seen again and no larger, or removed as planned."""
    courses = lesion_courses([seen(1), seen(2, removed=True)], [seen(1, 11.0)], [(1, 1)])
    assert lesion_alerts(courses, "week 4") == ()

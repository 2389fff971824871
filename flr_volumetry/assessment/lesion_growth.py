"""What became of each lesion between two scans."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.errors import Caveat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LARGER_SHARE, LARGER_MM = 0.20, 5.0
"""A lesion has grown beyond doubt if its longest diameter is so much longer, relatively and in mm: the cuts
of progression in RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228; GK-H), here for each lesion alone
and in three dimensions (assumed)."""


class LesionChange(Enum):
    """What became of a lesion."""

    SEEN_AGAIN = "seen_again"
    NEW = "new"
    GONE = "gone"
    """Seen at baseline and not again, though nothing was planned to have removed it."""
    REMOVED = "removed"
    """Cleared by a stage that has been carried out."""
    MERGED = "merged"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class LesionSeen:
    """A lesion at one date.

    Parameters
    ----------
    number : int
        In the report of that date.
    ml : float
        Its volume inside the liver, mL.
    longest_diameter_mm : float
        In three dimensions, mm.
    in_remnant_ml : float
        The part of it that the plan leaves behind, mL.
    location : str
        For people.
    removed : bool
        Whether a stage that has been carried out cleared it.
    """

    number: int
    ml: float
    longest_diameter_mm: float
    in_remnant_ml: float
    location: str = ""
    removed: bool = False


@dataclass(frozen=True, slots=True)
class LesionCourse:
    """One lesion, or lesions that merged or fell apart, at both dates.

    Parameters
    ----------
    change : LesionChange
        What became of it.
    before, after : tuple of LesionSeen
        At baseline and later; either may be empty.
    """

    change: LesionChange
    before: tuple[LesionSeen, ...]
    after: tuple[LesionSeen, ...]

    @property
    def before_ml(self) -> float:
        """At baseline, mL."""
        return sum(lesion.ml for lesion in self.before)

    @property
    def after_ml(self) -> float:
        """Later, mL."""
        return sum(lesion.ml for lesion in self.after)

    @property
    def growth(self) -> float | None:
        """Change of volume as a share of that at baseline; None for what was not seen twice."""
        if not self.before or not self.after or self.before_ml <= 0:
            return None
        return self.after_ml / self.before_ml - 1

    @property
    def in_remnant(self) -> bool:
        """Whether any of it lies in what the plan leaves."""
        return any(lesion.in_remnant_ml > 0 for lesion in (self.after or self.before))

    @property
    def larger(self) -> bool:
        """Whether its longest diameter grew by the cuts of progression."""
        if not self.before or not self.after:
            return False
        before = max(lesion.longest_diameter_mm for lesion in self.before)
        after = max(lesion.longest_diameter_mm for lesion in self.after)
        return after - before >= LARGER_MM and after >= (1 + LARGER_SHARE) * before


def lesion_courses(
    before: Sequence[LesionSeen], after: Sequence[LesionSeen], links: Iterable[tuple[int, int]]
) -> tuple[LesionCourse, ...]:
    """Sort the lesions of two dates into courses.

    Parameters
    ----------
    before, after : sequence of LesionSeen
        At baseline and later.
    links : iterable of (int, int)
        Number at baseline and number later, of lesions that lie in the same place.

    Returns
    -------
    tuple of LesionCourse
        Each lesion of either date in exactly one; in order of the baseline's numbers, new ones last.

    Examples
    --------
    >>> one, other = LesionSeen(1, 10.0, 30.0, 0.0), LesionSeen(1, 15.0, 34.0, 0.0)
    >>> [c.change.value for c in lesion_courses([one], [other, LesionSeen(2, 1.0, 12.0, 1.0)], [(1, 1)])]
    ['seen_again', 'new']
    """
    groups = {("before", n.number): {("before", n.number)} for n in before}
    groups |= {("after", n.number): {("after", n.number)} for n in after}
    for a, b in links:
        joined = groups["before", a] | groups["after", b]
        groups.update(dict.fromkeys(joined, joined))
    courses, done = [], set()
    for key, group in groups.items():
        if key in done:
            continue
        done |= group
        mine = tuple(x for x in before if ("before", x.number) in group)
        theirs = tuple(x for x in after if ("after", x.number) in group)
        courses.append(LesionCourse(_change(mine, theirs), mine, theirs))
    return tuple(courses)


def _change(before: tuple[LesionSeen, ...], after: tuple[LesionSeen, ...]) -> LesionChange:
    if not before:
        return LesionChange.NEW
    if not after:
        return LesionChange.REMOVED if all(x.removed for x in before) else LesionChange.GONE
    if len(before) > len(after):
        return LesionChange.MERGED
    return LesionChange.SPLIT if len(after) > len(before) else LesionChange.SEEN_AGAIN


def lesion_alerts(courses: Sequence[LesionCourse], when: str) -> tuple[Caveat, ...]:
    """Say which lesions must be looked at before anything else.

    Parameters
    ----------
    courses : sequence of LesionCourse
        Of one later scan.
    when : str
        That scan, for people.

    Returns
    -------
    tuple of Caveat
        New lesions, those in the remnant first; lesions of the remnant that grew; lesions not seen again.
    """
    said = []
    for course in sorted(courses, key=lambda c: not c.in_remnant):
        names = ", ".join(str(x.number) for x in course.after)
        where = "; ".join(dict.fromkeys(x.location for x in course.after if x.location))
        where = f" ({where})" if where else ""
        if course.change is LesionChange.NEW and course.in_remnant:
            text = f"{when}: lesion {names}{where}, {course.after_ml:.1f} mL, is new and lies in the remnant."
            said.append(Caveat("new_lesion_in_remnant", text))
        elif course.change is LesionChange.NEW:
            text = f"{when}: lesion {names}{where}, {course.after_ml:.1f} mL, is new, on the side that goes."
            said.append(Caveat("new_lesion", text))
        elif course.larger and course.in_remnant:
            text = (
                f"{when}: lesion {names}{where}, in the remnant, grew from {course.before_ml:.1f} to "
                f"{course.after_ml:.1f} mL."
            )
            said.append(Caveat("lesion_in_remnant_grew", text))
        elif course.change is LesionChange.GONE:
            numbers = ", ".join(str(x.number) for x in course.before)
            text = (
                f"{when}: lesion {numbers} of the baseline was not seen again. Look for it; a lesion that "
                "vanished under chemotherapy is seldom gone."
            )
            said.append(Caveat("lesion_not_seen", text))
    return tuple(said)

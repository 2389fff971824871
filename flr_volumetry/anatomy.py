"""Couinaud segments, structures, and named hepatectomies as sets of segments.

The set of segments is the truth; names are labels on it (Nagino et al., Ann
Surg 2021;274:1, note that Brisbane 2000 gives several names to one resection).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import Enum

from flr_volumetry.errors import PlanError

SEGMENTS = (1, 2, 3, 4, 5, 6, 7, 8)
ROMAN = {1: "I", 2: "II", 3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII", 8: "VIII"}
CAUDATE = 1
ADJACENT_SEGMENTS = frozenset(
    frozenset(pair)
    for pair in (
        *((1, 2), (1, 4), (1, 7), (1, 8), (2, 3), (2, 4), (3, 4)),
        *((4, 5), (4, 8), (5, 6), (5, 8), (6, 7), (7, 8)),
    )
)
"""Pairs of segments that border on each other (clinical base 5.5, assumed)."""


class Structure(Enum):
    """What a mask can stand for."""

    LIVER = "liver"
    LESION = "lesion"
    PORTAL_VEIN = "portal_vein"
    HEPATIC_VEINS = "hepatic_veins"
    IVC = "inferior_vena_cava"
    GALLBLADDER = "gallbladder"
    SEGMENTS = "segments"
    REMNANT = "remnant"


class Caudate(Enum):
    """Whether segment 1 goes with a resection that the literature prints as "with or without" it."""

    REMOVED = "removed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Hepatectomy:
    """A named resection.

    Parameters
    ----------
    key : str
        The name a case file uses.
    name : str
        Brisbane 2000 name.
    synonyms : tuple of str
        Other names of the same set of segments.
    segments : frozenset of int
        Couinaud segments removed, segment 1 not counted where it is optional.
    caudate_optional : bool
        Whether segment 1 may go or stay, so that the plan must say.
    """

    key: str
    name: str
    synonyms: tuple[str, ...]
    segments: frozenset[int]
    caudate_optional: bool = False


def _hepatectomy(key: str, name: str, segments: tuple[int, ...], *synonyms: str) -> Hepatectomy:
    optional = key in {"right_hepatectomy", "left_hepatectomy", "ext_right", "ext_left", "central"}
    return Hepatectomy(key, name, synonyms, frozenset(segments), optional)


HEPATECTOMIES: tuple[Hepatectomy, ...] = (
    _hepatectomy("right_hepatectomy", "right hepatectomy", (5, 6, 7, 8), "right hemihepatectomy"),
    _hepatectomy("left_hepatectomy", "left hepatectomy", (2, 3, 4), "left hemihepatectomy"),
    _hepatectomy(
        "ext_right",
        "right trisectionectomy",
        (4, 5, 6, 7, 8),
        "extended right hepatectomy",
        "extended right hemihepatectomy",
    ),
    _hepatectomy(
        "ext_left",
        "left trisectionectomy",
        (2, 3, 4, 5, 8),
        "extended left hepatectomy",
        "extended left hemihepatectomy",
    ),
    _hepatectomy("left_lateral", "left lateral sectionectomy", (2, 3), "bisegmentectomy 2-3"),
    _hepatectomy("left_medial", "left medial sectionectomy", (4,), "segment 4 resection"),
    _hepatectomy("right_anterior", "right anterior sectionectomy", (5, 8)),
    _hepatectomy("right_posterior", "right posterior sectionectomy", (6, 7)),
    _hepatectomy("central", "central hepatectomy", (4, 5, 8), "mesohepatectomy"),
    _hepatectomy("caudate", "caudate resection", (1,), "segment 1 resection"),
    *(_hepatectomy(f"seg_{n}", f"segmentectomy {n}", (n,)) for n in SEGMENTS),
)
"""Table 6.1 of the clinical base: Brisbane 2000 names and the segments they remove."""


def _normal(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def new_world_name(segments: frozenset[int]) -> str:
    """Return the "New World" name of a set of segments: H and their numbers (Nagino 2021).

    Parameters
    ----------
    segments : frozenset of int
        Couinaud segments removed whole.

    Returns
    -------
    str
        For example ``H5678``.

    Examples
    --------
    >>> new_world_name(frozenset({8, 5, 7, 6}))
    'H5678'
    """
    return "H" + "".join(str(n) for n in sorted(segments))


def hepatectomy(name: str) -> Hepatectomy:
    """Look up a named hepatectomy.

    Parameters
    ----------
    name : str
        A key, a Brisbane 2000 name or a synonym; case, spaces, hyphens and
        underscores do not matter.

    Returns
    -------
    Hepatectomy
        The entry of the table.

    Raises
    ------
    PlanError
        If the name is unknown, or is a "lobectomy", which means different
        segments to different authors.

    Examples
    --------
    >>> sorted(hepatectomy("Extended right hemihepatectomy").segments)
    [4, 5, 6, 7, 8]
    """
    wanted = _normal(name)
    if "lobectomy" in wanted or "lobe" in wanted.split():
        raise PlanError(
            f"{name!r} is ambiguous: a right lobectomy is segments 5 to 8 to some and 4 to 8 to others. "
            "Name the hepatectomy (right_hepatectomy, ext_right, ...) or list the segments.",
            reason="ambiguous_hepatectomy",
        )
    table = {_normal(n): h for h in HEPATECTOMIES for n in (h.key, h.name, *h.synonyms)}
    if wanted in table:
        return table[wanted]
    near = difflib.get_close_matches(wanted, table, n=1)
    hint = f" Did you mean {table[near[0]].key!r}?" if near else ""
    known = ", ".join(h.key for h in HEPATECTOMIES)
    raise PlanError(f"unknown hepatectomy {name!r}.{hint} Known: {known}.", reason="unknown_hepatectomy")


def removed_segments(name: str, *, caudate: Caudate | None) -> frozenset[int]:
    """Return the Couinaud segments a named hepatectomy removes.

    Parameters
    ----------
    name : str
        As for `hepatectomy`.
    caudate : Caudate or None
        Whether segment 1 goes too; None if the plan does not say.

    Returns
    -------
    frozenset of int
        Segments removed whole.

    Raises
    ------
    PlanError
        If the name is unknown, or the plan does not say what happens to segment 1
        where that is a choice, or says it where there is none.

    Examples
    --------
    >>> sorted(removed_segments("right_hepatectomy", caudate=Caudate.REMOVED))
    [1, 5, 6, 7, 8]
    """
    entry = hepatectomy(name)
    if not entry.caudate_optional:
        if caudate is Caudate.REMOVED and CAUDATE not in entry.segments:
            raise PlanError(
                f"{entry.name} does not include segment 1; add a separate caudate resection to the plan.",
                reason="caudate_not_optional",
            )
        if caudate is Caudate.KEPT and CAUDATE in entry.segments:
            raise PlanError(
                f"{entry.name} removes segment 1, and the plan says caudate = false.",
                reason="caudate_not_optional",
            )
        return entry.segments
    if caudate is None:
        raise PlanError(
            f"{entry.name} is done with or without segment 1 (the caudate), and the plan does not say which. "
            "Write caudate = true to remove it, caudate = false to keep it.",
            reason="caudate_unstated",
        )
    return entry.segments | {CAUDATE} if caudate is Caudate.REMOVED else entry.segments

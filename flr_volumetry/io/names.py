"""What a mask stands for: by its DICOM code first, then by the names that people give.

A code says what kind of tissue it is; where a name says more (a remnant is liver
too, a segment is a part of it) the name decides within what the code allows. What
could be two things is listed, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flr_volumetry.anatomy import ROMAN, Structure
from flr_volumetry.errors import AmbiguousError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flr_volumetry.io.dicom.codes import Code, Segment


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a mask stands for.

    Parameters
    ----------
    structure : Structure
        Which structure.
    number : int
        Of a lesion, from 1, or of a Couinaud segment; 0 if the name has none.
    part : str
        If it is only a part of the structure, which: "right", "4a"; empty if it is all of it.
    """

    structure: Structure
    number: int = 0
    part: str = ""


_SNOMED: Final = {
    "10200004": Meaning(Structure.LIVER),
    "71133005": Meaning(Structure.SEGMENTS, 1),
    "277956007": Meaning(Structure.SEGMENTS, 2),
    "277957003": Meaning(Structure.SEGMENTS, 3),
    "277958008": Meaning(Structure.SEGMENTS, 4),
    "277959000": Meaning(Structure.SEGMENTS, 5),
    "277960005": Meaning(Structure.SEGMENTS, 6),
    "277961009": Meaning(Structure.SEGMENTS, 7),
    "277962002": Meaning(Structure.SEGMENTS, 8),
    "108369006": Meaning(Structure.LESION),
    "14799000": Meaning(Structure.LESION),
    "86049000": Meaning(Structure.LESION),
    "52988006": Meaning(Structure.LESION),
    "4147007": Meaning(Structure.LESION),
    "8993003": Meaning(Structure.HEPATIC_VEINS),
    "272998002": Meaning(Structure.HEPATIC_VEINS, part="right"),
    "273099000": Meaning(Structure.HEPATIC_VEINS, part="middle"),
    "273202007": Meaning(Structure.HEPATIC_VEINS, part="left"),
    "397425002": Meaning(Structure.HEPATIC_VEINS, part="inferior right"),
    "32764006": Meaning(Structure.PORTAL_VEIN),
    "73931004": Meaning(Structure.PORTAL_VEIN, part="right"),
    "70253006": Meaning(Structure.PORTAL_VEIN, part="left"),
    "64131007": Meaning(Structure.IVC),
    "28231008": Meaning(Structure.GALLBLADDER),
}
"""SNOMED CT codes of CID 7150, 7151, 7159, 7170 and 7194 (PS3.16)."""
_FROM_SRT: Final = {
    "T-62000": "10200004",
    "T-62023": "71133005",
    "T-D054F": "277956007",
    "T-D0567": "277957003",
    "T-D056A": "277958008",
    "T-D056B": "277959000",
    "T-D056C": "277960005",
    "T-D056D": "277961009",
    "T-D056E": "277962002",
    "M-8FFFF": "108369006",
    "M-80006": "14799000",
    "M-80003": "86049000",
    "M-01100": "52988006",
    "M-03000": "4147007",
    "T-48720": "8993003",
    "T-48725": "272998002",
    "T-48726": "273099000",
    "T-48727": "273202007",
    "G-036D": "397425002",
    "T-48810": "32764006",
    "T-48813": "73931004",
    "T-48814": "70253006",
    "T-48710": "64131007",
    "T-63000": "28231008",
}
"""The same concepts in the older SNOMED-RT coding (PS3.16, annex O)."""
LIVER_CODE: Final = "10200004"
OWN_SCHEME: Final = "99FLR"
PLANNED_CODES: Final = frozenset({"RESECTED", "ABLATED"})
"""Modifiers of what a plan takes, in segmentations that were written here."""
_SCHEMES: Final = frozenset({"SCT", "SRT", "SNM3", "99SDM"})

_LESION: Final = (
    r"(?:tumou?rs?|lesions?|metastas[ei]s|mets?|crlms?|hccs?|iccas?|cholangiocarcinomas?|masse?s?|nodules?|"
    r"neoplasms?|tumeurs?|tumore?n?|lasion(?:en)?|metastasen?)"
)
_NUMBER: Final = r"(?P<n>[0-9]{1,3})?"
_SEGMENT_NUMBER: Final = r"(?P<n>[1-8]|viii|vii|vi|iv|v|iii|ii|i)(?P<part>[ab])?"
_LIVER: Final = r"(?:liver|hepatic|couinaud|couinauds|leber|lebers|foie|hepatique)"
_FILLER: Final = r"(?:mask|label|segmentation|seg|roi|contour|manual|auto)"

_TABLE: Final[tuple[tuple[str, Structure], ...]] = (
    (r"(?:whole|total|full|entire)?(?:liver|leber|foie)(?:whole|total|full|entire|all)?", Structure.LIVER),
    (
        r"(?:(?:planned|future)?liver(?:remnant|rest|remaining)|(?:planned|future)?(?:liver)?remnant|flr|"
        r"(?:future)?remnant(?:liver)|(?:future|remaining|residual)liver(?:remnant)?|"
        r"leberrest|restleber|foierestant|futurfoierestant)(?:volume)?",
        Structure.REMNANT,
    ),
    (
        rf"(?:{_LIVER}[s]?)?{_LESION}(?:liver|hepatic)?(?:no|nr|number)?{_NUMBER}(?:liver)?",
        Structure.LESION,
    ),
    (
        r"portal|(?P<part>right|left|main)?portalveins?|portalvein(?P<after>right|left|main)|"
        r"portalvenous(?:system|tree)?|portaltree|"
        r"(?:vein|vena)portal?e?|pfortader|veineporte|portalveinandsplenicvein|pv",
        Structure.PORTAL_VEIN,
    ),
    (
        r"hepatic|(?P<part>right|middle|left|inferiorright)?hepaticveins?|hepaticvenous(?:system|tree)?|"
        r"(?P<short>rhv|mhv|lhv|irhv)|lebervenen?|veines?(?:sus)?hepatiques?|venaehepaticae|hv|liverveins?",
        Structure.HEPATIC_VEINS,
    ),
    (
        r"ivc|inferiorvenacava|venacava(?:inferior)?|vci|vcava|veinecave(?:inferieure)?|"
        r"untere?hohlvene|postcava",
        Structure.IVC,
    ),
    (r"gallbladder|gallenblase|vesicule(?:biliaire)?", Structure.GALLBLADDER),
    (rf"(?:{_LIVER}(?:segment|seg|s)|couinaud){_SEGMENT_NUMBER}", Structure.SEGMENTS),
    (r"(?:segment|seg|sg|s)(?P<n>4)(?P<part>[ab])", Structure.SEGMENTS),
    (rf"(?:{_LIVER}|couinaud)?(?:segments|couinaud|segmente)|(?:{_LIVER})(?:segments?)", Structure.SEGMENTS),
    (r"(?:segment|seg|sg)(?P<roman>viii|vii|vi|iv|v|iii|ii|i)(?P<part>[ab])?", Structure.SEGMENTS),
)
_SHORT_PARTS: Final = {"rhv": "right", "mhv": "middle", "lhv": "left", "irhv": "inferior right"}

_AMBIGUOUS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        r"(?:liver|hepatic)?(?:vessels?|vascular|vasculature|vesseltree)|vessels?(?:liver)?",
        ("portal vein", "hepatic veins", "both"),
    ),
    (
        r"(?:liver)?veins?|venoussystem|(?:liver)?venous(?:tree)?|venen?",
        ("hepatic veins", "portal vein", "inferior vena cava"),
    ),
    (r"liverparenchyma|parenchyma|leberparenchym", ("liver with its lesions", "liver without them")),
    (
        r"(?:segment|seg|sg|s)(?P<n>[1-8])(?P<part>[ab])?",
        ("Couinaud segment", "a segment by its running number"),
    ),
    (
        r"(?:(?:left|right)(?:liver|liverlobe|lobe)|liver(?:left|right)(?:lobe)?)",
        ("remnant", "part of the liver"),
    ),
    (r"gtv(?P<n>[0-9]+)?|ctv|ptv", ("lesion", "a target volume of another organ")),
    (r"(?:hepatic|liver)art(?:ery|eries)andportalveins?", ("portal vein", "hepatic artery")),
)


def _spellings(name: str) -> list[str]:
    """Return a name of small letters and digits only, and without words that say it is a mask."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    words = re.findall(r"[a-z]+|[0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).lower())
    bare = [word for word in words if not re.fullmatch(_FILLER, word)]
    return list(dict.fromkeys(["".join(words), "".join(bare)]))


def by_name(name: str) -> Meaning | None:
    """Return what a name stands for.

    Parameters
    ----------
    name : str
        As a file gives it.

    Returns
    -------
    Meaning or None
        None if it is none of the structures of a liver.

    Raises
    ------
    AmbiguousError
        If it could be several.

    Examples
    --------
    >>> by_name("Liver_Remnant").structure.name
    'REMNANT'
    >>> by_name("livertumor1").number
    1
    """
    for spelling in _spellings(name):
        for pattern, structure in _TABLE:
            match = re.fullmatch(pattern, spelling)
            if match:
                return _meaning(structure, match)
        for pattern, readings in _AMBIGUOUS:
            if re.fullmatch(pattern, spelling):
                raise AmbiguousError(
                    f"{name!r} can mean {' or '.join(readings)}. Say in the case file which mask is what.",
                    reason="ambiguous_name",
                )
    return None


def _meaning(structure: Structure, match: re.Match[str]) -> Meaning:
    groups = {key: value for key, value in match.groupdict().items() if value}
    number = groups.get("n") or groups.get("roman") or "0"
    romans = {roman.lower(): value for value, roman in ROMAN.items()}
    value = romans[number] if number in romans else int(number)
    part = groups.get("part") or groups.get("after") or _SHORT_PARTS.get(groups.get("short", ""), "")
    return Meaning(structure, value, part.replace("inferiorright", "inferior right"))


def by_code(codes: Iterable[Code]) -> Meaning | None:
    """Return what codes stand for.

    Parameters
    ----------
    codes : iterable of Code
        What a segment is, and modifiers of that.

    Returns
    -------
    Meaning or None
        Of the first code that is known.
    """
    for code in codes:
        if code.scheme.upper() in _SCHEMES:
            meaning = _SNOMED.get(_FROM_SRT.get(code.value, code.value))
            if meaning is not None:
                return meaning
    return None


def meaning_of(segment: Segment) -> Meaning | None:
    """Return what a segment stands for: by its code, made precise by its name.

    Parameters
    ----------
    segment : Segment
        As its file declares it.

    Returns
    -------
    Meaning or None
        None if it is none of the structures of a liver.

    Raises
    ------
    AmbiguousError
        If code and name contradict each other, or the name could mean several structures
        and there is no code.
    """
    coded = None if _is_planned(segment) else by_code(segment.types)
    try:
        named = by_name(segment.name)
    except AmbiguousError:
        if coded is None:
            raise
        return coded
    if coded is None:
        return None if _is_elsewhere(segment) or _is_planned(segment) else named
    if coded.structure is Structure.LESION:
        return _lesion(segment, coded, named)
    if named is None or named == coded:
        return coded
    if _refines(named, coded):
        return named
    if named.structure is coded.structure and not named.number and not named.part:
        return coded
    raise AmbiguousError(
        f"{segment.name!r} is {named.structure.value} by its name, but {coded.structure.value} by its code "
        f"({segment.code}). Say in the case file which mask is what.",
        reason="ambiguous_name",
    )


def _is_planned(segment: Segment) -> bool:
    """Whether it is what a plan takes: coded as liver, but taken for the whole liver it would mislead."""
    return any(c.scheme == OWN_SCHEME and c.value in PLANNED_CODES for c in segment.types)


def _refines(named: Meaning, coded: Meaning) -> bool:
    """Whether a name says more than a code that it agrees with."""
    if coded.structure is Structure.LIVER:
        # There is no standard code for a remnant; and what lies in the liver may be coded as the organ.
        return named.structure not in {Structure.GALLBLADDER, Structure.IVC}
    same = named.structure is coded.structure
    return same and coded.number in {0, named.number} and (not coded.part or coded.part == named.part)


def _lesion(segment: Segment, coded: Meaning, named: Meaning | None) -> Meaning | None:
    if _is_elsewhere(segment):
        return None
    if named is not None and named.structure is not Structure.LESION:
        raise AmbiguousError(
            f"{segment.name!r} is {named.structure.value} by its name, but a lesion by its code "
            f"({segment.code}). Say in the case file which mask is what.",
            reason="ambiguous_name",
        )
    trailing = re.search(r"([0-9]{1,3})$", segment.name.strip())
    return named or Meaning(coded.structure, int(trailing[1]) if trailing else 0)


def _is_elsewhere(segment: Segment) -> bool:
    """Whether the codes say that it lies in another organ than the liver."""
    regions = [_FROM_SRT.get(code.value, code.value) for code in segment.regions]
    known = [region for region in regions if region]
    return bool(known) and LIVER_CODE not in known and not _liver_words(segment)


def _liver_words(segment: Segment) -> bool:
    words = " ".join(code.meaning.lower() for code in segment.regions)
    return any(word in words for word in ("liver", "hepat", "portal", "abdomen"))

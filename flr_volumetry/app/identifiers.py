"""What may say who a patient is: names, numbers, dates, places, paths; and texts without them."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.plain_words import PLAIN_WORDS
from flr_volumetry.errors import AmbiguousError, FlrError
from flr_volumetry.io.derived.source import quietly
from flr_volumetry.io.names import by_name
from flr_volumetry.io.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flr_volumetry.app.case import Case
    from flr_volumetry.io.derived import Identity

GONE: Final = "[removed]"
SHORTEST: Final = 3
"""Shorter words are not looked for in sentences, nor numbers of fewer digits than `FEWEST_DIGITS`: both would
be found where they mean something else. Where a whole field holds them it is emptied all the same."""
FEWEST_DIGITS: Final = 5
MOST_FILES: Final = 20_000
PATH_KEYS: Final = frozenset(
    {"path", "file", "folder", "baseline", "protocol_folder", "hints", "series", "segment", "id"}
)
"""Keys of a case file that hold a path or a name that people chose."""
TEXTS: Final = frozenset({"PN", "LO", "SH", "ST", "LT", "UT", "UC", "AE", "UR", "DA", "DT", "UI", "OB", "UN"})
"""Value representations that may say who, where and when (PS3.5, 6.2)."""
_UID: Final = re.compile(r"(?<![\w.])[0-2](?:\.(?:0|[1-9][0-9]*)){4,}(?![\w])")
_DATE: Final = re.compile(r"(?<![\w-])(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?![\w])")
_PATH: Final = re.compile(
    r"(?<![\w./:])(?:[A-Za-z]:)?(?:[/\\][\w.@+-]+){2,}|(?<![\w./])(?:~|\.\.?)(?:[/\\][\w.@+-]+)+"
)
_FILE: Final = re.compile(
    r"[^\s'\"(),;:]+\.(?:dcm|nii(?:\.gz)?|nrrd|nhdr|mha|mhd|stl|ply|obj|vtk|vtp|json|toml|zip|ima)\b",
    re.IGNORECASE,
)
_JOINED: Final = re.compile(rf"{re.escape(GONE)}(?:[/\\._-]?{re.escape(GONE)})+")
_OWN_FILES: Final = frozenset({"report.json", "plan.mrk.json", "masks.toml", "quality.json", "search.json"})
_PARTIAL_UID: Final = re.compile(r"UID \.\.\.[0-9.]+")


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Words that may say who a patient is.

    Parameters
    ----------
    words : frozenset of str
        As they stand in case file, paths and headers.
    """

    words: frozenset[str] = field(repr=False)

    def hidden(self, text: str) -> str:
        """Return a sentence without them, without paths, dates and identifiers of DICOM.

        Parameters
        ----------
        text : str
            For people.

        Returns
        -------
        str
            With `GONE` in their places.
        """
        for pattern in self._patterns():
            text = pattern.sub(GONE, text)
        text = _FILE.sub(lambda found: found[0] if found[0] in _OWN_FILES else GONE, text)
        for pattern in (_PARTIAL_UID, _UID, _DATE, _PATH):
            text = pattern.sub(GONE, text)
        return _JOINED.sub(GONE, text)

    def _patterns(self) -> Iterator[re.Pattern[str]]:
        listed = sorted(self.words, key=lambda w: (-len(w), w))
        for start in range(0, len(listed), 1000):
            words = "|".join(re.escape(word) for word in listed[start : start + 1000])
            yield re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Anonymity:
    """Who a patient is said to be, and the words that may say who it is.

    Parameters
    ----------
    identity : Identity
        In DICOM objects.
    identifiers : Identifiers
        Everywhere.
    """

    identity: Identity
    identifiers: Identifiers


def telling(words: Iterable[str]) -> frozenset[str]:
    """Return those of some words that may say who somebody is, and can be told from others in a sentence.

    Parameters
    ----------
    words : iterable of str
        Names, numbers, stems of files.

    Returns
    -------
    frozenset of str
        Without anatomy, everyday words, and what is too short.
    """
    return frozenset(word for word in map(str.strip, words) if _tells(word))


def _tells(word: str) -> bool:
    parts = re.findall(r"[^\W\d_]+|[0-9]+", word.lower())
    if len(word) < SHORTEST or not parts:
        return False
    if word.isdigit():
        return len(word) >= FEWEST_DIGITS
    try:
        known = by_name(word) is not None
    except AmbiguousError:
        known = True
    return not known and not all(p in PLAIN_WORDS or (p.isdigit() and len(p) < SHORTEST) for p in parts)


def identifiers_of(case: Case, *, of_scan: bool = True) -> Identifiers:
    """Collect what may say who the patient of a case is.

    Parameters
    ----------
    case : Case
        As it was read.
    of_scan : bool
        Whether the scan is looked into too; without it nothing is opened.

    Returns
    -------
    Identifiers
        Of case file, paths, names of files, and headers of the scan. What cannot be read adds nothing.
    """
    words: set[str] = set()
    named = list(_strings(case.model_dump()))
    for key, text in named:
        words |= {text, *_of_path(text)} if key in PATH_KEYS else ({text} if key == "name" else set())
    numbers = {case.case.id} if len(case.case.id) >= SHORTEST else set()
    words |= {*_of_path(str(case.folder)), *_of_path(str(case.folder.resolve()))}
    table = case.image or case.study
    for folder in [case.resolve(table.path)] if table is not None and of_scan else []:
        words |= _of_files(folder)
    return Identifiers(telling(words) | numbers)


def identifiers_in(case_file: Path) -> Identifiers:
    """Collect what a case file may say that is no case: its path, and what is quoted in it."""
    words = {*_of_path(str(case_file)), *_of_path(str(case_file.resolve()))}
    try:
        text = case_file.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        text = ""
    for quoted in re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'", text):
        words |= _of_path("".join(quoted))
    return Identifiers(telling(words))


@contextmanager
def hiding(case_file: Path | None, case: Case | None, *, wished: bool) -> Iterator[None]:
    """Free the message of a refusal of what may say who the patient is.

    Parameters
    ----------
    case_file : Path or None
        As the user named it.
    case : Case or None
        As far as it could be read.
    wished : bool
        Whether nothing may say who the patient is.

    Yields
    ------
    None
        While something may be refused.
    """
    try:
        yield
    except FlrError as error:
        if not wished:
            raise
        known = identifiers_in(case_file).words if case_file is not None else frozenset()
        if case is not None:
            known |= identifiers_of(case).words
        raise type(error)(Identifiers(known).hidden(error.message), reason=error.reason) from None


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner, key)
    elif isinstance(value, str):
        yield key, value


def _of_path(text: str) -> set[str]:
    """Return a path, its parts, and their stems."""
    parts = [p for p in PurePath(text.replace("\\", "/")).parts if p not in {"/", ".", ".."}]
    stems = [part.split(".")[0] for part in parts]
    words = [w for part in stems for w in re.split(r"[_\s,^]+", part)]
    return {text, *parts, *stems, *words}


def _of_files(folder: Path) -> set[str]:
    """Return names of the files of a scan, and the texts of the first header of each series."""
    try:
        found = scan([str(folder)])
    except (FlrError, OSError):
        return set()
    words: set[str] = set()
    count = 0
    for item in found.found:
        for file in item.files:
            count += 1
            if count < MOST_FILES:
                words |= _of_path(file.member or file.path.name)
        if item.headers:
            words |= _of_header(item.headers[0])
    return words


def _of_header(header: Any) -> set[str]:
    import io

    import pydicom

    words: set[str] = set()
    content = io.BytesIO(header.file.read(0, header.file.size))
    with quietly(), suppress(Exception):
        # What can be read of a damaged header counts, too.
        image = pydicom.dcmread(content, stop_before_pixels=True, force=True)
        image.decode()
        for element in image.iterall():
            if element.VR in TEXTS and element.VM:
                values = element.value if element.VM > 1 else [element.value]
                for value in values:
                    words |= _of_value(value, element.VR)
    return words


def _of_value(value: Any, kind: str) -> set[str]:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if kind in {"OB", "UN"}:
        # A private element: what of it is text.
        return set(re.findall(r"[\w.^ -]{4,64}", text)) if len(text) <= 1024 else set()
    if kind in {"DA", "DT"}:
        return {text[:8], f"{text[:4]}-{text[4:6]}-{text[6:8]}"}
    if kind == "PN":
        return {text, *re.split(r"[\^=\s]+", text)}
    return {text}

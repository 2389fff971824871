"""What is asked of an archive, and what it answers: studies, series, objects."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Protocol

from flr_volumetry.app.network.instances import is_uid
from flr_volumetry.errors import InputError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Query:
    """Which studies are meant; all that is given has to match.

    Parameters
    ----------
    patient_id, accession, study_uid : str
        As the archive writes them; * and ? stand for any characters in the first two.
    dates : str
        A day or a range of days as DICOM writes them: 20240503, 20240501-20240531, 20240501-.
    modality : str
        That a series of the study has; only such series are meant.
    description : str
        That stands in the study's description, in capitals or not.
    series : str
        That stands in the series' description; only such series are meant.

    Raises
    ------
    InputError
        If nothing is given that keeps the answer small, or a UID is none.
    """

    patient_id: str = ""
    accession: str = ""
    study_uid: str = ""
    dates: str = ""
    modality: str = ""
    description: str = ""
    series: str = ""

    def __post_init__(self) -> None:
        narrowing = (self.patient_id, self.accession, self.study_uid, self.dates)
        if not any(text.strip("*? ") for text in narrowing):
            raise InputError(
                "Say which studies: by patient, accession number, study UID or date; the rest narrows those.",
                reason="too_wide",
            )
        if self.study_uid and not is_uid(self.study_uid):
            raise InputError(f"{self.study_uid!r} is no UID: digits and dots.", reason="bad_query")
        if any("\\" in getattr(self, field.name) for field in fields(self)):
            raise InputError("A backslash cannot be asked for.", reason="bad_query")

    def keys(self) -> dict[str, str]:
        """Return what is asked of the archive, by DICOM keyword.

        Descriptions are not: archives differ in how they match them, so they are compared here.
        """
        asked = {
            "PatientID": self.patient_id,
            "AccessionNumber": self.accession,
            "StudyInstanceUID": self.study_uid,
            "StudyDate": self.dates,
            "ModalitiesInStudy": self.modality,
        }
        return {keyword: text for keyword, text in asked.items() if text}

    def means(self, study: Study) -> bool:
        """Say whether a study is meant, whatever the archive made of the query."""
        return (
            self.description.casefold() in study.description.casefold()
            and (not self.modality or not study.modalities or self.modality in study.modalities)
            and (not self.study_uid or study.uid == self.study_uid)
            and _within(study.date, self.dates)
        )

    def means_series(self, series: Series) -> bool:
        """Say whether a series of such a study is."""
        return (not self.modality or self.modality == series.modality) and (
            self.series.casefold() in series.description.casefold()
        )


def _within(day: str, dates: str) -> bool:
    low, dash, high = dates.partition("-")
    return not (day and dates) or (low or "0") <= day <= ((high or "9") if dash else low)


@dataclass(frozen=True, slots=True)
class Study:
    """A study that an archive has.

    Parameters
    ----------
    uid : str
        Study Instance UID.
    patient_id, patient_name, accession, date, description : str
        As the archive says; empty if it does not.
    modalities : tuple of str
        Of its series.
    instances : int or None
        How many objects it has.
    """

    uid: str
    patient_id: str = ""
    patient_name: str = ""
    accession: str = ""
    date: str = ""
    description: str = ""
    modalities: tuple[str, ...] = ()
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A series that an archive has.

    Parameters
    ----------
    study_uid, uid : str
        Study and Series Instance UID.
    modality, description, number : str
        As the archive says; empty if it does not.
    instances : int or None
        How many objects it has.
    """

    study_uid: str
    uid: str
    modality: str = ""
    description: str = ""
    number: str = ""
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that an archive has.

    Parameters
    ----------
    uid : str
        SOP Instance UID.
    sop_class_uid : str
        What it is; empty if the archive does not say.
    """

    uid: str
    sop_class_uid: str = ""


class Archive(Protocol):
    """An archive that is being asked, by whichever protocol."""

    def studies(self, query: Query) -> list[Study]:
        """Return the studies that are meant."""

    def series(self, study_uid: str) -> list[Series]:
        """Return the series of a study."""

    def objects(self, series: Series) -> list[Stored] | None:
        """Return the objects of a series; None where the archive does not say."""


def only_safe(uids: Iterable[str], where: str) -> None:
    """Refuse identifiers that are none: files are named by them.

    Parameters
    ----------
    uids : iterable of str
        From a peer.
    where : str
        What to call the peer.

    Raises
    ------
    NetworkError
        If one is not made of digits and dots.
    """
    if not all(is_uid(uid) for uid in uids):
        raise NetworkError(f"{where} answers with an identifier that is none.", reason="bad_identifier")


def date_range(text: str) -> str:
    """Read a day or a range of days.

    Parameters
    ----------
    text : str
        2024-05-03, 20240503, 2024-05-01..2024-05-31, 20240501-20240531, 2024-05-01.. or ..2024-05-31.

    Returns
    -------
    str
        As DICOM writes it.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> date_range("2024-05-01..2024-05-31"), date_range("..20240503")
    ('20240501-20240531', '-20240503')
    """
    parts = text.split("..") if ".." in text else re.fullmatch(r"(\d{8})-(\d{8})", text) or [text]
    days = list(parts.groups()) if isinstance(parts, re.Match) else list(parts)
    if len(days) > 2 or not any(days):
        raise ValueError(text)
    compact = [f"{date.fromisoformat(day.strip()):%Y%m%d}" if day.strip() else "" for day in days]
    if len(compact) == 2 and all(compact) and compact[0] > compact[1]:
        raise ValueError(text)
    return "-".join(compact)

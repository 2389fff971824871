"""Asking by C-ECHO and C-FIND (PS3.4, annexes A and C)."""

from __future__ import annotations

from collections.abc import MutableSequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.network.association import NOT_OFFERED, associated
from flr_volumetry.app.network.matches import Query, Series, Stored, Study, only_safe
from flr_volumetry.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pynetdicom.association import Association

    from flr_volumetry.app.network.addresses import DicomPeer

VERIFICATION: Final = "1.2.840.10008.1.1"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
MAX_MATCHES: Final = 100_000
"""Of one query; more are refused, since no one means them."""
_PENDING: Final = (0xFF00, 0xFF01)


def c_echo(peer: DicomPeer) -> None:
    """Ask whether a peer is there and takes us.

    Parameters
    ----------
    peer : DicomPeer
        Whom to ask.

    Raises
    ------
    NetworkError
        If not.
    """
    from pynetdicom.presentation import build_context

    with associated(peer, [build_context(VERIFICATION)]) as association:
        answer = association.send_c_echo()
    if "Status" not in answer:
        raise NetworkError(f"{peer.address} does not answer a C-ECHO.", reason="connection_lost")
    if answer.Status != 0:
        raise NetworkError(
            f"{peer.address} answers a C-ECHO with status 0x{answer.Status:04X}.", reason="peer_failed"
        )


@dataclass(frozen=True, slots=True)
class FindArchive:
    """An archive asked by C-FIND, over one association.

    Parameters
    ----------
    peer : DicomPeer
        Who is asked.
    association : Association
        Of `asking`.
    """

    peer: DicomPeer
    association: Association

    def studies(self, query: Query) -> list[Study]:
        """Return the studies that are meant."""
        asked = dict.fromkeys(_STUDY_KEYS, "") | query.keys()
        found = [
            Study(
                _text(match, "StudyInstanceUID"),
                _text(match, "PatientID"),
                _text(match, "PatientName"),
                _text(match, "AccessionNumber"),
                _text(match, "StudyDate"),
                _text(match, "StudyDescription"),
                tuple(sorted(filter(None, _text(match, "ModalitiesInStudy").split("\\")))),
                _count(match, "NumberOfStudyRelatedInstances"),
            )
            for match in find(self.peer, self.association, "STUDY", asked)
        ]
        only_safe((study.uid for study in found), self.peer.address)
        return [study for study in found if query.means(study)]

    def series(self, study_uid: str) -> list[Series]:
        """Return the series of a study."""
        asked = dict.fromkeys(_SERIES_KEYS, "") | {"StudyInstanceUID": study_uid}
        found = [
            Series(
                study_uid,
                _text(match, "SeriesInstanceUID"),
                _text(match, "Modality"),
                _text(match, "SeriesDescription"),
                _text(match, "SeriesNumber"),
                _count(match, "NumberOfSeriesRelatedInstances"),
            )
            for match in find(self.peer, self.association, "SERIES", asked)
        ]
        only_safe((series.uid for series in found), self.peer.address)
        return found

    def objects(self, series: Series) -> list[Stored] | None:
        """Return the objects of a series; None where the archive does not say."""
        asked = {"StudyInstanceUID": series.study_uid, "SeriesInstanceUID": series.uid}
        asked |= {"SOPInstanceUID": "", "SOPClassUID": ""}
        try:
            found = [
                Stored(_text(match, "SOPInstanceUID"), _text(match, "SOPClassUID"))
                for match in find(self.peer, self.association, "IMAGE", asked)
            ]
        except NetworkError as error:
            if error.reason == "query_failed":
                return None
            raise
        only_safe((stored.uid for stored in found), self.peer.address)
        return found


_STUDY_KEYS = (
    *("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber", "StudyDate", "StudyDescription"),
    *("ModalitiesInStudy", "NumberOfStudyRelatedInstances"),
)
_SERIES_KEYS = (
    *("SeriesInstanceUID", "Modality", "SeriesDescription", "SeriesNumber"),
    "NumberOfSeriesRelatedInstances",
)


def _text(match: Any, keyword: str) -> str:
    value = match.get(keyword)
    if value is None:
        return ""
    return "\\".join(map(str, value)) if isinstance(value, MutableSequence) else str(value).strip()


def _count(match: Any, keyword: str) -> int | None:
    text = _text(match, keyword)
    return int(text) if text.isdecimal() else None


@contextmanager
def asking(peer: DicomPeer) -> Iterator[Association]:
    """Hold an association for queries.

    Parameters
    ----------
    peer : DicomPeer
        Whom to ask.

    Yields
    ------
    Association
        With the study root's C-FIND.

    Raises
    ------
    NetworkError
        If there is none; not_offered if the peer answers no queries.
    """
    from pynetdicom.presentation import build_context

    with associated(peer, [build_context(STUDY_ROOT_FIND)]) as association:
        yield association


def find(peer: DicomPeer, association: Association, level: str, keys: Mapping[str, str]) -> Iterator[Any]:
    """Ask for all that matches.

    Parameters
    ----------
    peer : DicomPeer
        Who is asked.
    association : Association
        Of `asking`.
    level : str
        "STUDY", "SERIES" or "IMAGE".
    keys : mapping of str to str
        By keyword: what has to match, empty for what is to be told.

    Yields
    ------
    pydicom.Dataset
        Of each match.

    Raises
    ------
    NetworkError
        If the peer fails or breaks off: query_failed, peer_busy, connection_lost.
    """
    from pydicom.dataset import Dataset

    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    if any(not value.isascii() for value in keys.values()):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    count = 0
    for status, match in association.send_c_find(identifier, STUDY_ROOT_FIND):
        _require(peer, status)
        if status.Status in _PENDING and match is not None:
            count += 1
            if count > MAX_MATCHES:
                raise NetworkError(
                    f"{peer.address} finds more than {MAX_MATCHES} matches; ask for less.", reason="too_many"
                )
            yield match


def _require(peer: DicomPeer, status: Any) -> None:
    if "Status" not in status:
        raise NetworkError(f"{peer.address} breaks off while it is asked.", reason="connection_lost")
    code = int(status.Status)
    if code == 0 or code in _PENDING:
        return
    if code == 0x0122:
        raise NetworkError(f"{peer.address} answers no such query (0x0122).", reason=NOT_OFFERED)
    busy = code >> 8 == 0xA7
    words = "has no resources for" if busy else "does not answer"
    raise NetworkError(
        f"{peer.address} {words} the query (0x{code:04X}).", reason="peer_busy" if busy else "query_failed"
    )

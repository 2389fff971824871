"""DICOMDIR: the files that a medium is said to hold (PS3.10, section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flr_volumetry.errors import Caveat, FlrError
from flr_volumetry.io.dicom import mask_tags, tags
from flr_volumetry.io.dicom.header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flr_volumetry.io.dicom.header import Header
    from flr_volumetry.io.files import StoredFile

DIRECTORY_CLASS: Final = "1.2.840.10008.1.3.10"
DIRECTORY_NAME: Final = "DICOMDIR"
NAMED: Final = 6


def is_directory(header: Header) -> bool:
    """Whether a file is a list of files."""
    named = header.file.name.upper() == DIRECTORY_NAME
    return named or header.attributes.text(tags.SOP_CLASS) == DIRECTORY_CLASS


def directory_caveats(directories: Sequence[Header], files: Iterable[StoredFile]) -> tuple[Caveat, ...]:
    """Say that lists of files were found, and which files they list that are not there.

    Parameters
    ----------
    directories : sequence of Header
        Of the lists.
    files : iterable of StoredFile
        All that is there.

    Returns
    -------
    tuple of Caveat
        None where there is no list.
    """
    if not directories:
        return ()
    found = [
        Caveat(
            "dicomdir",
            f"{len(directories)} DICOMDIR found; the files were read themselves, not its list of them.",
        )
    ]
    # Media give names in capitals, and copies of them often do not.
    there = {f"{file.folder}/{file.name}".replace("\\", "/").lower() for file in files}
    missing = [name for header in directories for name in _listed(header) if name.lower() not in there]
    if missing:
        named = ", ".join(name.rsplit("/", 1)[-1] for name in missing[:NAMED])
        found.append(
            Caveat(
                "dicomdir_files_missing",
                f"{len(missing)} files that the DICOMDIR lists are not there: {named}"
                f"{' and others' if len(missing) > NAMED else ''}. "
                "Whether the first or last slices are missing cannot be seen; copy the medium again.",
            )
        )
    return tuple(found)


def _listed(header: Header) -> list[str]:
    try:
        full = read_header(header.file, wanted=frozenset({mask_tags.DIRECTORY_RECORDS}))
    except FlrError:
        return []
    records = full.attributes.items(mask_tags.DIRECTORY_RECORDS) if full else []
    folder = header.file.folder.replace("\\", "/")
    names = ["/".join(record.texts(mask_tags.REFERENCED_FILE)) for record in records]
    return [f"{folder}/{name}" for name in names if name]

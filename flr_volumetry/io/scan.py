"""What lies under some paths: every header read once, and sorted by what it is.

DICOM files are put together into series; SEG and RTSTRUCT objects stay files of
their own, of kind `Kind.MASKS`, with their headers, for the readers of masks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.errors import FlrError, NotAVolumeError, UnreadableError
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.classes import ENHANCED_CLASSES, MASK_CLASSES, SLICE_CLASSES, class_name
from flr_volumetry.io.dicom.directory import DIRECTORY_NAME, directory_caveats, is_directory
from flr_volumetry.io.dicom.header import FIRST_READ_BYTES, Header, read_header
from flr_volumetry.io.dicom.layouts import Layouts
from flr_volumetry.io.dicom.series import Series, group, series_of
from flr_volumetry.io.files import ARCHIVE_MAGIC, ARCHIVE_SUFFIX, StoredFile, collect
from flr_volumetry.io.metaimage import is_metaimage, read_metaimage_header
from flr_volumetry.io.nifti import is_nifti, nifti_head, read_nifti_header
from flr_volumetry.io.nrrd import MAGIC as NRRD_MAGIC
from flr_volumetry.io.nrrd import read_nrrd_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flr_volumetry.errors import Caveat
    from flr_volumetry.io.dicom.stacks import Stack
    from flr_volumetry.io.voxelfile import VoxelFile

    Progress = Callable[[int, int], None]

_DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")
_DAMAGED = frozenset({"unreadable", "truncated"})
_VOXEL_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


class Kind(Enum):
    """What a thing found can be used as."""

    IMAGE = "image"
    MASKS = "masks"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One thing that lies under the paths: a volume, a file of masks, or something else.

    Parameters
    ----------
    kind : Kind
        What it can be used as.
    path : str
        Its file, or the folder of its series.
    files : tuple of StoredFile
        All of it.
    headers : tuple of Header
        If it is DICOM, those of its files.
    stack : Stack or None
        If it is a DICOM volume, its slices; with a refusal, what may be a mask is no scan.
    voxels : VoxelFile or None
        If it is a NIfTI, NRRD or MetaImage file that can be read, its header.
    refusal : FlrError or None
        Why it cannot be read as what it is.
    """

    kind: Kind
    path: str
    files: tuple[StoredFile, ...]
    headers: tuple[Header, ...] = field(default=(), repr=False)
    stack: Stack | None = None
    voxels: VoxelFile | None = field(default=None, repr=False)
    refusal: FlrError | None = None

    @property
    def is_readable(self) -> bool:
        """Whether nothing known from its header speaks against reading it."""
        return self.refusal is None

    def text(self, tag: int) -> str:
        """Return an attribute of its first DICOM header; empty if it has none."""
        return self.headers[0].attributes.text(tag) if self.headers else ""

    @property
    def may_be_masks(self) -> bool:
        """Whether it is read as masks if its voxels are labels, as secondary captures are, too."""
        return self.refusal is None or self.stack is not None

    @property
    def is_dicom_image(self) -> bool:
        """Whether it is a series of DICOM images, readable or not."""
        return self.kind is Kind.IMAGE and bool(self.headers)


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """All that lies under some paths.

    Parameters
    ----------
    found : tuple of Found
        In the order of the paths.
    caveats : tuple of Caveat
        What was seen on the way.
    """

    found: tuple[Found, ...]
    caveats: tuple[Caveat, ...] = ()

    def images(self) -> list[Found]:
        """Return what is an image, readable or not."""
        return [item for item in self.found if item.kind is Kind.IMAGE]

    def damaged(self) -> list[Found]:
        """Return files that are damaged so that nobody can say what they belong to."""
        return [
            item
            for item in self.found
            if item.kind is Kind.OTHER and item.refusal is not None and item.refusal.reason in _DAMAGED
        ]

    def masks(self) -> list[Found]:
        """Return what is a DICOM SEG or RTSTRUCT."""
        return [item for item in self.found if item.kind is Kind.MASKS]


def scan(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str], *, progress: Progress | None = None
) -> Scan:
    """Read every header under some paths, once, and say what there is.

    Parameters
    ----------
    paths : path-like, or iterable of path-like
        Files, folders with all they hold, zip archives.
    progress : callable, optional
        Called with the number of files read and of all.

    Returns
    -------
    Scan
        Each series, each file of voxels or masks, and what is none of these.

    Raises
    ------
    UnreadableError
        If a path does not exist, or an archive is damaged.
    """
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files = collect(_meant(path) for path in named)
    headers: list[Header] = []
    found: list[Found] = []
    directories: list[Header] = []
    layouts = Layouts()
    for number, file in enumerate(files):
        if progress is not None:
            progress(number, len(files))
        item = _identify(file, layouts)
        if not isinstance(item, Header):
            found.append(item)
        elif is_directory(item):
            directories.append(item)
        else:
            headers.append(item)
    if progress is not None:
        progress(len(files), len(files))
    found = [*_dicom(headers), *found]
    return Scan(tuple(found), directory_caveats(directories, files))


def _meant(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return what a path stands for: of a DICOMDIR the folder that it describes."""
    where = os.fspath(path)
    if os.path.basename(where).upper() == DIRECTORY_NAME and os.path.isfile(where):  # noqa: PTH113, PTH119
        return os.path.dirname(where) or os.curdir  # noqa: PTH120
    return path


def _identify(file: StoredFile, layouts: Layouts) -> Header | Found:
    """Return the header of a DICOM file, or what else the file is."""
    try:
        head = file.read(0, FIRST_READ_BYTES)
        header = read_header(file, head, layouts=layouts)
    except FlrError as error:
        return Found(Kind.OTHER, file.label, (file,), refusal=error)
    if header is not None:
        return header
    reader = _reader_of(file, head)
    if reader is not None:
        try:
            return Found(Kind.IMAGE, file.label, (file,), voxels=reader(file))
        except FlrError as error:
            return Found(Kind.IMAGE, file.label, (file,), refusal=error)
    return Found(Kind.OTHER, file.label, (file,), refusal=_no_format(file, head))


def _no_format(file: StoredFile, head: bytes) -> FlrError:
    """Return why a file is of no format that is read; a copy that failed is not passed over as a text."""
    if file.size == 0:
        return UnreadableError(f"{file.label} is empty.", reason="truncated")
    if nifti_head(file, head)[128:132] == b"DICM":
        return UnreadableError(f"{file.label} is a DICOM file packed with gzip; unpack it first.")
    if not head.strip(b"\0"):
        return UnreadableError(f"{file.label} begins with nothing but zeros: its copy failed. Copy it again.")
    if file.name.lower().endswith(_DICOM_SUFFIXES):
        return UnreadableError(f"{file.label} is named like a DICOM file, but is none.")
    if head.startswith(ARCHIVE_MAGIC) and file.name.lower().endswith(ARCHIVE_SUFFIX):
        return NotAVolumeError(
            f"{file.label} is an archive within what was named; it is opened only where it is named itself.",
            reason="not_an_image",
        )
    return NotAVolumeError(f"{file.label} is no image that is read here.", reason="not_an_image")


def _reader_of(file: StoredFile, head: bytes) -> Callable[[StoredFile], VoxelFile] | None:
    """Return what reads the header of a file of voxels; None if it is none."""
    if head.startswith(NRRD_MAGIC):
        return read_nrrd_header
    if is_metaimage(head):
        return read_metaimage_header
    if is_nifti(nifti_head(file, head)) or file.name.lower().endswith(_VOXEL_SUFFIXES):
        return read_nifti_header
    return None


def _dicom(headers: list[Header]) -> list[Found]:
    found: list[Found] = []
    images: list[Header] = []
    for header in headers:
        sop_class = header.attributes.text(tags.SOP_CLASS)
        if sop_class in MASK_CLASSES:
            found.append(Found(Kind.MASKS, header.file.label, (header.file,), (header,)))
        elif sop_class in SLICE_CLASSES | ENHANCED_CLASSES or tags.ROWS in header.attributes:
            images.append(header)
        else:
            found.append(_no_image(header, sop_class))
    made: list[Found] = []
    for members in group(images).values():
        made.extend(_of_series(series_of(members)))
    return made + found


def _no_image(header: Header, sop_class: str) -> Found:
    file = header.file
    refusal: FlrError = NotAVolumeError(
        f"{file.label} is no image: it is of the kind {class_name(sop_class)}.", reason="not_an_image"
    )
    if not header.complete:
        refusal = UnreadableError(
            f"{file.label} ends within its header: it is cut short.", reason="truncated"
        )
    return Found(Kind.OTHER, file.label, (file,), (header,), refusal=refusal)


def _of_series(series: Series) -> list[Found]:
    files = tuple(header.file for header in series.headers)
    folders = sorted({file.folder for file in files})
    path = files[0].label if len(files) == 1 else folders[0]
    if not series.volumes:
        return [Found(Kind.IMAGE, path, files, series.headers, refusal=series.refusal)]
    made = []
    for volume in series.volumes:
        own = tuple({id(frame.header): frame.header for frame in volume.frames}.values())
        of_it = tuple(h.file for h in own)
        made.append(Found(Kind.IMAGE, path, of_it, own, stack=volume, refusal=series.refusal))
    return made

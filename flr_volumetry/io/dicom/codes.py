"""What a segmented structure is, as codes say it (PS3.3, section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flr_volumetry.io.dicom import mask_tags

if TYPE_CHECKING:
    from flr_volumetry.io.dicom.header import Attributes


@dataclass(frozen=True, slots=True)
class Code:
    """One coded concept.

    Parameters
    ----------
    scheme : str
        Coding scheme designator: SCT, SRT, DCM, ...
    value : str
        Code value.
    meaning : str
        What the file calls it.
    """

    scheme: str
    value: str
    meaning: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}:{self.value}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A structure as its file declares it.

    Parameters
    ----------
    number : int
        By which the file refers to it.
    name : str
        Its label.
    types : tuple of Code
        What it is, then its modifiers.
    regions : tuple of Code
        Where in the body it lies.
    category : Code or None
        What kind of thing it is.
    """

    number: int
    name: str
    types: tuple[Code, ...] = ()
    regions: tuple[Code, ...] = ()
    category: Code | None = None

    @property
    def code(self) -> Code | None:
        """What it is."""
        return self.types[0] if self.types else None


def codes_in(item: Attributes, sequence: int) -> tuple[Code, ...]:
    """Return the codes of a sequence.

    Parameters
    ----------
    item : Attributes
        What holds it.
    sequence : int
        Its tag.

    Returns
    -------
    tuple of Code
        Those that have a value; none where it is absent.
    """
    found = []
    for code in item.items(sequence):
        value = code.text(mask_tags.CODE_VALUE) or code.text(mask_tags.LONG_CODE_VALUE)
        if value:
            found.append(Code(code.text(mask_tags.CODING_SCHEME), value, code.text(mask_tags.CODE_MEANING)))
    return tuple(found)


def type_codes(item: Attributes) -> tuple[Code, ...]:
    """Return what a segment is, with the modifiers of that.

    Parameters
    ----------
    item : Attributes
        An item of the Segment Sequence.

    Returns
    -------
    tuple of Code
        Its type, then its modifiers.
    """
    found: tuple[Code, ...] = ()
    for part in item.items(mask_tags.PROPERTY_TYPE):
        found += codes_in(part, mask_tags.PROPERTY_TYPE_MODIFIER)
    return codes_in(item, mask_tags.PROPERTY_TYPE) + found

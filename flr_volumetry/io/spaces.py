"""The two ways in which programs count patient axes."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Space(Enum):
    """Which way x and y point in a file; z points to the head in both."""

    LPS = "LPS"
    """To the patient's left and back, as in DICOM and here."""
    RAS = "RAS"
    """To the patient's right and front."""


_SIGNS: Final = {Space.LPS: (1.0, 1.0, 1.0), Space.RAS: (-1.0, -1.0, 1.0)}
_DECLARED: Final = re.compile(rb"\bSPACE\s*=\s*(\w+)", re.IGNORECASE)


def to_lps(points: npt.NDArray[np.float64], space: Space) -> npt.NDArray[np.float64]:
    """Return points or directions in LPS.

    Parameters
    ----------
    points : (..., 3) float64 ndarray
        In the axes of `space`.
    space : Space
        As the file says.

    Returns
    -------
    (..., 3) float64 ndarray
        The change is half a turn about the patient's long axis: what faced outwards still does.
    """
    # A nought is added so that no coordinate comes out as minus nought.
    return np.asarray(points * np.array(_SIGNS[space]) + 0.0)


def declared(comments: Iterable[bytes], label: str) -> Space | None:
    """Return the axes that a file's comments state, as 3D Slicer writes them: ``SPACE=LPS``.

    Parameters
    ----------
    comments : iterable of bytes
        Headers and comments.
    label : str
        What to call the file in a message.

    Returns
    -------
    Space or None
        None if none of them states any.

    Raises
    ------
    UnreadableError
        If they state axes that are not known, or contradict each other.
    """
    said = {word.upper() for comment in comments for word in _DECLARED.findall(comment)}
    if not said:
        return None
    names = sorted(word.decode("ascii", "replace") for word in said)
    if len(names) > 1 or names[0] not in Space.__members__:
        raise UnreadableError(
            f"{label} says SPACE={' and SPACE='.join(names)}; LPS or RAS can be read, one for a file.",
            reason="unknown_space",
        )
    return Space(names[0])


def settled(stated: Space | None, given: Space | None, label: str) -> Space:
    """Return the axes of a file from what it states and what the caller says.

    Parameters
    ----------
    stated : Space or None
        By the file.
    given : Space or None
        By the caller.
    label : str
        What to call the file in a message.

    Returns
    -------
    Space
        The one, or the other.

    Raises
    ------
    UnreadableError
        If neither says it, or they contradict each other: left and right are never guessed.
    """
    if stated is not None and given is not None and stated is not given:
        raise UnreadableError(
            f"{label} says that it counts its axes in {stated.value}, and the case says {given.value}. "
            "Leave out space, or correct it.",
            reason="contradictory_space",
        )
    space = stated or given
    if space is None:
        raise UnreadableError(
            f"{label} does not say whether its axes are LPS or RAS: left and right, front and back cannot be "
            'told. Say which with space = "LPS" or space = "RAS".',
            reason="unknown_space",
        )
    return space

"""What the mesh formats share: the raw mesh, bounds, numbers in text, fans and strips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.io.spaces import Space

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_LENGTH_MM: Final = 1e6
CHUNK_BYTES: Final = 1 << 20
_NUMERIC: Final = b"0123456789+-.eE \t\r\n\v\f"


@dataclass(frozen=True, slots=True, eq=False)
class RawMesh:
    """A mesh as a file tells it.

    Parameters
    ----------
    points : (n, 3) float64 ndarray
        In the file's own axes.
    triangles : (m, 3) int64 ndarray
        Three points each, from 0.
    space : Space or None
        The axes, if the file states them.
    """

    points: Floats = field(repr=False)
    triangles: Ints = field(repr=False)
    space: Space | None = None


def damaged(label: str, what: str, reason: str = "damaged") -> UnreadableError:
    """Return the error of a file that is not what it claims."""
    return UnreadableError(f"{label} {what}", reason=reason)


def require_bytes(data: bytes, start: int, count: int, label: str, what: str) -> None:
    """Refuse a file that ends before what it announces; nothing is allocated before this.

    Parameters
    ----------
    data : bytes
        The file.
    start, count : int
        Where the bytes begin, and how many they are.
    label, what : str
        The file and the part of it, for the message.

    Raises
    ------
    UnreadableError
        If they are not all there.
    """
    if start < 0 or count < 0 or start + count > len(data):
        raise damaged(
            label,
            f"is cut short or damaged: {what} would need {count} bytes from byte {start}, and the file has "
            f"{len(data)}.",
            "truncated",
        )


def chunks(text: bytes, separator: bytes = b"") -> Iterator[bytes]:
    """Give a text in pieces of about a megabyte, cut at white space, or behind a separator.

    Parameters
    ----------
    text : bytes
        All of it.
    separator : bytes
        Where it may be cut; at any white space if empty.

    Yields
    ------
    bytes
        Together the whole text.
    """
    start = 0
    while start < len(text):
        stop = min(start + CHUNK_BYTES, len(text))
        if separator:
            found = text.find(separator, stop)
            stop = found + len(separator) if found >= 0 else len(text)
        else:
            while stop < len(text) and text[stop : stop + 1] not in b" \t\r\n\v\f":
                stop += 1
        yield text[start:stop]
        start = stop


def numbers(text: bytes, label: str, count: int | None, what: str) -> Floats:
    """Return the numbers of a text.

    Parameters
    ----------
    text : bytes
        Numbers between white space, and nothing else.
    label : str
        The file, for messages.
    count : int or None
        How many there must be; None if that is not known.
    what : str
        What they are, for messages.

    Returns
    -------
    (count,) float64 ndarray
        In order.

    Raises
    ------
    UnreadableError
        If there are more or fewer, or something that is not a number.
    """
    # Each takes at least a digit and a space, so that no count can ask for more memory than the file.
    if count is not None and (count < 0 or 2 * count > len(text) + 1):
        raise damaged(label, f"is cut short: it announces {count} numbers for {what}.", "truncated")
    parts = [np.zeros(0)]
    for chunk in chunks(text):
        # Python's own reading of numbers knows words (nan) and underscores too.
        words = [b"?"] if chunk.translate(None, _NUMERIC) else chunk.split()
        try:
            parts.append(np.array(words, dtype=np.float64))
        except ValueError as error:
            raise damaged(label, f"holds something that is not a number in {what}.", "not_numbers") from error
    values = np.concatenate(parts)
    if count is not None and len(values) != count:
        raise damaged(label, f"holds {len(values)} numbers for {what}, and announces {count}.", "truncated")
    return values


def floats(values: npt.NDArray[Any]) -> Floats:
    """Return numbers of any type in float64, those that are none included."""
    # A signalling NaN makes the processor raise a flag, which numpy tells as a warning.
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def whole(values: npt.NDArray[Any], label: str, what: str) -> Ints:
    """Return numbers that must be whole as whole numbers."""
    if values.size and (not np.isfinite(values).all() or np.abs(values).max() > 2**52):
        raise damaged(label, f"holds impossible numbers in {what}.", "bad_index")
    integers = values.astype(np.int64)
    if (integers != values).any():
        raise damaged(label, f"holds numbers that are not whole in {what}.", "bad_index")
    return integers


def fans(corners: Ints, ends: Ints, label: str) -> Ints:
    """Divide polygons into triangles, from the first corner of each.

    Parameters
    ----------
    corners : (k,) int64 ndarray
        The points of all polygons, one after the other.
    ends : (p,) int64 ndarray
        Where each polygon ends among them.
    label : str
        The file, for messages.

    Returns
    -------
    (m, 3) int64 ndarray
        In order, turning the same way as their polygon.

    Raises
    ------
    UnreadableError
        If a polygon has fewer than three corners, or they do not end where the corners do.
    """
    sizes = _sizes(ends, len(corners), label, "polygon")
    starts = np.repeat(ends - sizes, sizes - 2)
    second = _inner(sizes - 2) + 1
    return np.stack([corners[starts], corners[starts + second], corners[starts + second + 1]], axis=1)


def strips(corners: Ints, ends: Ints, label: str) -> Ints:
    """Divide strips into triangles: each point makes one with the two before it, turned by turns.

    Parameters
    ----------
    corners : (k,) int64 ndarray
        The points of all strips, one after the other.
    ends : (p,) int64 ndarray
        Where each strip ends among them.
    label : str
        The file, for messages.

    Returns
    -------
    (m, 3) int64 ndarray
        In order, all turning as the first of their strip does.

    Raises
    ------
    UnreadableError
        If a strip has fewer than three points, or they do not end where the points do.
    """
    sizes = _sizes(ends, len(corners), label, "triangle strip")
    place = _inner(sizes - 2)
    first = np.repeat(ends - sizes, sizes - 2) + place
    odd = place % 2
    return np.stack([corners[first], corners[first + 1 + odd], corners[first + 2 - odd]], axis=1)


def _sizes(ends: Ints, total: int, label: str, what: str) -> Ints:
    sizes = np.diff(ends, prepend=np.int64(0))
    if ends.size and (sizes.min() < 3 or ends[-1] != total):
        raise damaged(label, f"holds a {what} of fewer than three points, or wrong lengths.", "bad_polygon")
    if not ends.size and total:
        raise damaged(label, f"holds points of no {what}.", "bad_polygon")
    return sizes


def _inner(counts: Ints) -> Ints:
    """0, 1, 2, ... anew for each count."""
    total = int(counts.sum())
    return np.arange(total, dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)

"""Headers in groups that say the same, so that what follows from it is worked out once for each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flr_volumetry.io.dicom.header import Header


def alike(headers: Iterable[Header], wanted: Sequence[int]) -> list[list[Header]]:
    """Return headers in groups that have the same pixels' length, syntax, and values of some attributes.

    Parameters
    ----------
    headers : iterable of Header
        Of one series.
    wanted : sequence of int
        Tags.

    Returns
    -------
    list of list of Header
        Each in the order given, and in the order of their first ones.
    """
    groups: dict[object, list[Header]] = {}
    for header in headers:
        get = header.attributes.elements.get
        key: object = (header.pixel_length, header.complete, header.syntax, *map(get, wanted))
        try:
            groups.setdefault(key, []).append(header)
        except TypeError:
            # A sequence where a damaged file should have a value.
            groups.setdefault(repr(key), []).append(header)
    return list(groups.values())

"""Identifiers of what is made of a scan: new ones for objects, lasting ones for what is tracked."""

from __future__ import annotations

import uuid
from typing import Final

NAMESPACE: Final = uuid.UUID("2d7f5a0e-9f0c-5b63-8f3e-7b1a4f6c9d21")
"""Of all lasting identifiers made here (RFC 9562, version 5)."""


def new_uid() -> str:
    """Return an identifier that nothing else has, as PS3.5, B.2 derives it from a UUID."""
    return f"2.25.{uuid.uuid4().int}"


def tracking_uid(series_uid: str, what: str) -> str:
    """Return the lasting identifier of something seen in a series.

    Parameters
    ----------
    series_uid : str
        Of the scan in which it was first seen.
    what : str
        It, within that scan: "lesion 2".

    Returns
    -------
    str
        The same for the same words, whenever and wherever it is made; empty without a series.

    Examples
    --------
    >>> tracking_uid("1.2.3", "lesion 1") == tracking_uid("1.2.3", "lesion 1")
    True
    >>> tracking_uid("1.2.3", "lesion 1") == tracking_uid("1.2.3", "lesion 2")
    False
    """
    return f"2.25.{uuid.uuid5(NAMESPACE, f'{series_uid}/{what}').int}" if series_uid else ""

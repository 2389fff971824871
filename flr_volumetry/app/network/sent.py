"""What became of an object that was sent, and what a peer's status codes mean for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flr_volumetry.app.network.instances import Instance

Status = Literal["sent", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one object.

    Parameters
    ----------
    path : Path
        Its file.
    sop_instance_uid : str
        Which object; empty where the file does not say.
    status : str
        "sent"; "refused", if the peer will not take it whenever it is sent; "failed", if it may at another
        time.
    reason : str
        Why, or with what warning it was taken; nothing of the patient, nothing of the peer's own words.
    """

    path: Path
    sop_instance_uid: str
    status: Status
    reason: str = ""


def sent(instance: Instance, status: Status, reason: str = "") -> Sent:
    """Return what became of an object that was read."""
    return Sent(instance.path, instance.sop_instance_uid, status, reason)


def verdict(code: int) -> tuple[Status, str]:
    """Put a status of the storage service in words.

    Parameters
    ----------
    code : int
        Of C-STORE (PS3.4, B.2.3; PS3.7, C), or a failure or warning reason of STOW-RS (PS3.3, C.12.1.13.2).

    Returns
    -------
    str
        "sent", "refused" or "failed".
    str
        What it means; empty for success.
    """
    if code == 0:
        return "sent", ""
    if code in _WORDS:
        status, words = _WORDS[code]
    elif code >> 8 in _FAMILIES:
        status, words = _FAMILIES[code >> 8]
    elif code >> 12 in (0xB, 0xC):
        status, words = (
            ("sent", "taken with a warning") if code >> 12 == 0xB else ("refused", _NOT_UNDERSTOOD)
        )
    else:
        status, words = "failed", "an unknown status"
    return status, f"{words} (0x{code:04X})"


_NOT_UNDERSTOOD = "the peer cannot understand it"
_WORDS: dict[int, tuple[Status, str]] = {
    0x0001: ("sent", "taken with a warning"),
    0x0107: ("sent", "taken, with a warning about attributes"),
    0x0110: ("failed", "the peer failed to process it"),
    # Whether what it has is the same object it does not say; ours say so of another one only.
    0x0111: ("refused", "the peer has an object with this UID already"),
    0x0116: ("sent", "taken, with values out of range"),
    0x0117: ("refused", "not a valid object to the peer"),
    0x0122: ("refused", "the peer takes no objects of this class"),
    0x0124: ("refused", "we are not authorised"),
    0x0210: ("failed", "the peer takes it for a repeated message"),
    0x0211: ("refused", "the peer does not know the operation"),
    0x0212: ("refused", "the peer does not know the message"),
    0xB000: ("sent", "taken; the peer changed attributes"),
    0xB006: ("sent", "taken; the peer left out attributes"),
    0xB007: ("sent", "taken, though it does not match its class"),
}
_FAMILIES: dict[int, tuple[Status, str]] = {
    0xA7: ("failed", "the peer is out of resources"),
    0xA8: ("refused", "the peer refuses it"),
    0xA9: ("refused", "the peer finds that it does not match its class"),
}

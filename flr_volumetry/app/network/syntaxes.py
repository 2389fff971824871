"""Losslessly into another transfer syntax, for peers that do not take the one of the file."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.network.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.app.network.instances import Instance

EXPLICIT: Final = "1.2.840.10008.1.2.1"
IMPLICIT: Final = "1.2.840.10008.1.2"
JPEG_LS: Final = "1.2.840.10008.1.2.4.80"
RLE: Final = "1.2.840.10008.1.2.5"
NATIVE: Final = (EXPLICIT, IMPLICIT)
LOSSLESS: Final = (JPEG_LS, RLE)
"""Compressed syntaxes that can be made, in the order of preference."""
_WORD_BYTES: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


class NotConvertibleError(Exception):
    """An object cannot be brought losslessly into any syntax that the peer takes; the text says why."""


@contextmanager
def converted(instance: Instance, syntaxes: Sequence[str]) -> Iterator[Path]:
    """Hold a copy of an object in a transfer syntax that the peer takes, its pixels the same.

    Parameters
    ----------
    instance : Instance
        In a file, in another syntax.
    syntaxes : sequence of str
        UIDs of those that the peer takes.

    Yields
    ------
    Path
        The copy; its UID is the same, as its pixels are.

    Raises
    ------
    NotConvertibleError
        If there is no way that loses nothing.
    OSError
        If a file cannot be read or written.
    """
    from pydicom.uid import UID

    target = next((s for s in (*NATIVE, *LOSSLESS) if s in syntaxes), None)
    own = UID(instance.syntax).name
    if target is None:
        raise NotConvertibleError(f"stored as {own}, and the peer takes nothing that it can be brought into")
    quiet()
    with TemporaryDirectory(prefix="flr-") as folder:
        path = Path(folder) / "object.dcm"
        try:
            _convert(instance.path, target, path)
        except OSError:
            raise
        # Codecs raise what they like, with values of the object in the text.
        except Exception:
            raise NotConvertibleError(
                f"stored as {own}, which cannot be brought into {UID(target).name} here"
            ) from None
        yield path


def _convert(path: Path, target: str, copy: Path) -> None:
    from pydicom import dcmread, dcmwrite
    from pydicom.uid import UID

    data = dcmread(path)
    own = data.file_meta.TransferSyntaxUID
    if own.is_compressed and not own.is_deflated:
        data.decompress(as_rgb=False, generate_instance_uid=False)
    elif not own.is_little_endian:
        _swap(data)
    if target in LOSSLESS:
        data.compress(target, generate_instance_uid=False)
    data.file_meta.TransferSyntaxUID = UID(target)
    dcmwrite(copy, data)


def _swap(data: Any) -> None:
    """Swap the bytes of all words, which pydicom leaves as they are stored."""
    import numpy as np

    for element in data:
        if element.VR == "SQ":
            for item in element.value:
                _swap(item)
        elif element.VR in _WORD_BYTES and isinstance(element.value, bytes):
            words = np.frombuffer(element.value, f"u{_WORD_BYTES[element.VR]}")
            element.value = words.byteswap().tobytes()

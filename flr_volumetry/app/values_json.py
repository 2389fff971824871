"""Frozen values as JSON and back, to the last bit: what a later run needs of an earlier one.

Only the classes listed here are made again, each of plain values; nothing in a file is ever run.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import math
import zlib
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

KIND: Final = "$"
"""The key that says what an object stands for."""
ARRAYS: Final = ("bool", "uint8", "uint16", "int32", "int64", "float32", "float64")
Json = Any


class Codec:
    """Turns values of some classes into JSON and back.

    Parameters
    ----------
    *classes : type
        Frozen dataclasses and enums, each of a name of its own.
    """

    def __init__(self, *classes: type) -> None:
        self.classes: Final = {one.__name__: one for one in classes}

    def encoded(self, value: Any) -> Json:
        """Return a value as JSON.

        Parameters
        ----------
        value : object
            Of the codec's classes, tuples, sets, dictionaries, arrays, dates, texts and numbers.

        Returns
        -------
        object
            Of dictionaries, lists, texts and finite numbers, which JSON holds without loss.

        Raises
        ------
        TypeError
            If there is anything else in it: a fault of the program.
        """
        if isinstance(value, tuple | list):
            return [self.encoded(one) for one in value]
        if isinstance(value, Enum):
            return {KIND: self._name(value), "value": value.value}
        if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return {KIND: self._name(value)} | {f.name: self.encoded(getattr(value, f.name)) for f in fields}
        return self._gathered(value) if isinstance(value, dict | frozenset) else _simple(value)

    def _gathered(self, value: dict[Any, Any] | frozenset[Any]) -> Json:
        if isinstance(value, dict):
            pairs = [[self.encoded(k), self.encoded(v)] for k, v in value.items()]
            return {KIND: "map", "items": pairs}
        return {KIND: "set", "items": [self.encoded(one) for one in sorted(value)]}

    def _name(self, value: Any) -> str:
        name = type(value).__name__
        if self.classes.get(name) is not type(value):
            raise TypeError(f"no file can hold a {name}")
        return name

    def decoded(self, raw: Json) -> Any:
        """Return the value that was encoded.

        Parameters
        ----------
        raw : object
            As `encoded` returned it.

        Returns
        -------
        object
            Equal to what was encoded, arrays read-only.

        Raises
        ------
        UnreadableError
            If it is none of the codec's, or a class refuses the values ("damaged_result").
        """
        try:
            return self._decoded(raw)
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
            raise UnreadableError(
                f"what was measured cannot be read back: {type(error).__name__}: {error}.",
                reason="damaged_result",
            ) from error

    def _decoded(self, raw: Json) -> Any:
        if isinstance(raw, list):
            return tuple(self._decoded(one) for one in raw)
        if not isinstance(raw, dict):
            return raw
        kind, values = raw[KIND], {k: v for k, v in raw.items() if k != KIND}
        if kind in SIMPLE:
            return SIMPLE[kind](values)
        if kind in ("map", "set"):
            items = [self._decoded(one) for one in values["items"]]
            return dict(items) if kind == "map" else frozenset(items)
        made_of = self.classes[kind]
        if issubclass(made_of, Enum):
            return made_of(values["value"])
        return self._made(made_of, {k: self._decoded(v) for k, v in values.items()})

    @staticmethod
    def _made(made_of: type, values: dict[str, Any]) -> Any:
        known = {one.name for one in dataclasses.fields(made_of)}
        if known != set(values):
            raise ValueError(f"{made_of.__name__} has other fields: {sorted(known ^ set(values))}")
        made = made_of(**values)
        # A class may scale what it is given, a normal to length 1 for one: twice is not once.
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made


def _simple(value: Any) -> Json:
    """Return what needs no other value."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else {KIND: "float", "value": repr(number)}
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return {KIND: "date", "value": value.isoformat()}
    if isinstance(value, np.ndarray):
        return _array_encoded(value)
    raise TypeError(f"no file can hold a {type(value).__name__}")


def _array_encoded(array: np.ndarray[Any, Any]) -> Json:
    if array.dtype.name not in ARRAYS:
        raise TypeError(f"no file can hold an array of {array.dtype}")
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    flat = array.ravel(order="F" if order == "F" else "C")
    content = np.packbits(flat).tobytes() if array.dtype == np.bool_ else _little(flat).tobytes()
    return {
        KIND: "array",
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "order": order,
        "zlib": base64.b64encode(zlib.compress(content, 6)).decode("ascii"),
    }


def _little(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _array_decoded(raw: dict[str, Any]) -> np.ndarray[Any, Any]:
    if raw["dtype"] not in ARRAYS or raw["order"] not in ("C", "F"):
        raise ValueError(f"an array of {raw['dtype']}")
    shape = tuple(int(n) for n in raw["shape"])
    content = zlib.decompress(base64.b64decode(raw["zlib"], validate=True))
    kind = np.dtype(raw["dtype"])
    if kind == np.bool_:
        flat = np.unpackbits(np.frombuffer(content, np.uint8), count=math.prod(shape)).view(np.bool_)
    else:
        flat = np.frombuffer(content, kind.newbyteorder("<")).astype(kind)
    made = flat.reshape(shape, order=raw["order"])
    made.setflags(write=False)
    return made


SIMPLE: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "float": lambda raw: float(raw["value"]),
    "date": lambda raw: dt.date.fromisoformat(raw["value"]),
    "array": _array_decoded,
}
"""What is made of values that hold no other."""

"""What every table of a case file shares: strict keys, points, and masks named in it."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator

# TOML knows arrays, not tuples; their numbers stay strict.
Point = Annotated[tuple[float, float, float], Strict(strict=False)]
ThreePoints = Annotated[tuple[Point, Point, Point], Strict(strict=False)]


class Section(BaseModel):
    """A table of the case file: unknown keys are refused, with the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known:
                    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                    hint = f" Did you mean {near[0]!r}?" if near else ""
                    raise ValueError(f"unknown key {key!r}.{hint} Known here: {', '.join(known)}.")
        return data


def first_fault(error: ValidationError) -> tuple[str, bool]:
    """Say the first thing that is wrong with a table that people wrote, and where.

    Parameters
    ----------
    error : ValidationError
        Of a `Section`.

    Returns
    -------
    str
        Place, tables of an array counted from one, and what is wrong there.
    bool
        Whether it is a key that is not known.
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "missing":
        message = "this key is required"
    return f"{place or 'the file'}: {message}", message.startswith("unknown key")


class MaskEntry(Section):
    """One structure of a file: the whole of it, a segment by name, or labels by number."""

    path: str = Field(min_length=1)
    segment: str | None = None
    label: int | list[int] | None = None
    split: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"path": data} if isinstance(data, str) else data

    @property
    def labels(self) -> tuple[int, ...] | None:
        """The labels chosen, if any."""
        if self.label is None:
            return None
        return (self.label,) if isinstance(self.label, int) else tuple(self.label)

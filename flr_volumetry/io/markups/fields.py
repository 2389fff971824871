"""Numbers in JSON."""

from __future__ import annotations

from typing import Any

from flr_volumetry.errors import InputError


def vector(value: Any, length: int, what: str) -> list[float]:
    """Return a list of so many numbers.

    Parameters
    ----------
    value : object
        As the file has it.
    length : int
        How many there must be.
    what : str
        The file and what they are, for messages.

    Returns
    -------
    list of float
        All of them finite.

    Raises
    ------
    InputError
        If they are not.
    """
    numbers = value if isinstance(value, list) else []
    sound = len(numbers) == length and all(
        isinstance(n, (int, float)) and not isinstance(n, bool) and abs(n) < 1e300 for n in numbers
    )
    if not sound:
        raise InputError(f"{what} is not {length} numbers, but {str(value)[:80]}.", reason="bad_numbers")
    return [float(n) for n in numbers]

"""Units of what rules judge, and how an amount in each is written."""

from __future__ import annotations

from dataclasses import dataclass

from flr_volumetry.assessment.model import FRACTION
from flr_volumetry.volumetry.formulas import Ascites, Extent


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit.

    Parameters
    ----------
    key : str
        As findings and report.json name it.
    toml : str
        Key of a threshold of it in a protocol file.
    decimals : int
        With which a value is written.
    divisor : float
        What the number of the file is divided by: 100 for a percentage.
    labels : tuple of str
        Of an ordinal: its grades from 1 on, the least first; empty for a number.
    suffix : str
        Written behind a number.
    """

    key: str
    toml: str
    decimals: int
    divisor: float = 1.0
    labels: tuple[str, ...] = ()
    suffix: str = ""

    def text(self, value: float, *, exact: bool = False) -> str:
        """Return an amount as people read it.

        Parameters
        ----------
        value : float
            In this unit; of an ordinal, its grade.
        exact : bool
            Whether to print a threshold as its source does, without rounding.

        Returns
        -------
        str
            With its unit, for example ``0.054 per min``.

        Examples
        --------
        >>> UNITS["/min"].text(0.05373), UNITS["Child-Pugh class"].text(1)
        ('0.0537 per min', 'A')
        """
        if self.labels:
            return self.labels[round(value) - 1]
        number = f"{value:g}" if exact else f"{value:.{self.decimals}f}"
        return f"{number}{self.suffix}"


EXTENT_LABELS = tuple(extent.name.lower() for extent in Extent)

_ALL = (
    Unit(FRACTION, "threshold_percent", 1, 100.0),
    Unit("mL/m2", "threshold_ml_per_m2", 1, suffix=" mL/m2"),
    Unit("mL/kg", "threshold_ml_per_kg", 1, suffix=" mL/kg"),
    Unit("/min", "threshold_per_min", 4, suffix=" per min"),
    Unit("%/min", "threshold_percent_per_min", 2, suffix=" %/min"),
    Unit("%/min/m2", "threshold_percent_per_min_per_m2", 2, suffix=" %/min/m2"),
    Unit("ug/kg/h", "threshold_ug_per_kg_per_h", 0, suffix=" ug/kg/h"),
    Unit("points", "threshold_points", 1, suffix=" points"),
    Unit("ALBI", "threshold_albi", 2),
    Unit("ratio", "threshold_ratio", 2),
    Unit("/nL", "threshold_per_nl", 0, suffix=" per nL"),
    Unit("g/dL", "threshold_g_per_dl", 1, suffix=" g/dL"),
    Unit("Child-Pugh class", "threshold_class", 0, labels=("A", "B", "C")),
    Unit("sign", "threshold_sign", 0, labels=("absent", "present")),
    Unit("ascites", "threshold_ascites", 0, labels=tuple(a.name.lower() for a in Ascites)),
    Unit("extent", "threshold_extent", 0, labels=EXTENT_LABELS),
)
UNITS = {unit.key: unit for unit in _ALL}
"""Every unit by its key."""


def rank(unit: str, label: str) -> float:
    """Return the grade of an ordinal's label, from 1.

    Parameters
    ----------
    unit : str
        Key of an ordinal unit.
    label : str
        One of its labels.

    Returns
    -------
    float
        Its place, the least first.

    Examples
    --------
    >>> rank("Child-Pugh class", "B")
    2.0
    """
    return float(UNITS[unit].labels.index(label) + 1)

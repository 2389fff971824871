"""Growth since a baseline, as columns of a later scan's row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flr_volumetry.report.row import CaseRow, Kind, RowColumn

if TYPE_CHECKING:
    from flr_volumetry.report.row import Value

GROWTH = "growth"
AMOUNTS = (
    ("weeks", "weeks", "wk", "Since the procedure, or since the baseline where its day is not given"),
    ("gain_ml", "gain_ml", "mL", "What the functional remnant gained"),
    ("relative", "relative_growth", "fraction", "Relative growth of the functional remnant"),
    ("hypertrophy", "hypertrophy_points", "points", "Degree of hypertrophy, on one fixed denominator"),
    ("kinetic_rate", "kinetic_growth_rate", "points/wk", "Kinetic growth rate"),
    ("share", "share", "fraction", "The later remnant as a share of the fixed denominator"),
    ("other_side_change", "other_side_change", "fraction", "Relative change of the side that goes"),
)
"""Column, key in followup.json, unit and meaning; an interval beside the key gives two more columns."""


def with_growth(row: CaseRow, baseline: str, document: dict[str, Any]) -> CaseRow:
    """Return a later scan's row with growth since its baseline.

    Parameters
    ----------
    row : CaseRow
        Of the later scan.
    baseline : str
        What the baseline is called.
    document : dict
        followup.json of one later scan.

    Returns
    -------
    CaseRow
        With columns that begin with ``growth.``; they stand behind those of all cases.
    """
    (scan,) = document["scans"]
    cells: list[tuple[RowColumn, Value]] = [
        (_column("baseline", Kind.TEXT, "", "The case that it follows"), baseline)
    ]
    for name, key, unit, meaning in AMOUNTS:
        cells.append((_column(name, Kind.NUMBER, unit, meaning), _number(scan[key])))
        if f"{key}_interval" in scan:
            low, high = scan[f"{key}_interval"] or (None, None)
            for end, value in (("low", low), ("high", high)):
                words = f"{meaning}: {'lower' if end == 'low' else 'upper'} end of its 95 % interval"
                cells.append((_column(f"{name}_{end}", Kind.NUMBER, unit, words), _number(value)))
    codes = " ".join(sorted({caveat["code"] for caveat in document["caveats"]}))
    cells.append((_column("caveat_codes", Kind.TEXT, "", "What the reader must know of it"), codes or None))
    return CaseRow(
        (*row.columns, *(column for column, _ in cells)), (*row.values, *(value for _, value in cells))
    )


def _column(name: str, kind: Kind, unit: str, meaning: str) -> RowColumn:
    return RowColumn(f"{GROWTH}.{name}", kind, unit, meaning, by_protocol=True)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)

"""Rows of cases as CSV with a description of its columns, and as Parquet."""

from __future__ import annotations

import csv
import datetime as dt
import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flr_volumetry.errors import OutputError
from flr_volumetry.report.row import CaseRow, Kind, RowColumn, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.report.row import Value

FORMULA_SIGNS = ("=", "+", "-", "@")
"""A text that begins with one of these is a formula to a spreadsheet."""
CSVW = "http://www.w3.org/ns/csvw"


def rows_csv(rows: Sequence[CaseRow]) -> str:
    """Return rows as comma-separated values.

    Parameters
    ----------
    rows : sequence of CaseRow
        See `flr_volumetry.report.row.case_row`; at least one.

    Returns
    -------
    str
        A head and one line for each case, by RFC 4180 but for line ends of one sign; numbers with all their
        digits, true and false, days as ISO 8601, nothing for what is not known. A text that a spreadsheet
        would take for a formula has an apostrophe before it.
    """
    columns, values = joined(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    writer.writerows([[_written(value) for value in row] for row in values])
    return text.getvalue()


def _written(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_SIGNS) else value
    return repr(value)


def rows_metadata(rows: Sequence[CaseRow], name: str) -> dict[str, Any]:
    """Describe each column of a CSV file: what it holds, and in which unit.

    Parameters
    ----------
    rows : sequence of CaseRow
        Those of the file.
    name : str
        Of the CSV file, from the description's own folder.

    Returns
    -------
    dict
        JSON of the W3C's "CSV on the Web", to be written beside it as ``<name>-metadata.json``.
    """
    columns, _ = joined(rows)
    return {
        "@context": CSVW,
        "url": name,
        "dc:title": "One row for each case and plan, by flr_volumetry. Research use only.",
        "tableSchema": {
            "columns": [
                {
                    "name": column.name,
                    "titles": column.name,
                    "datatype": column.kind.value,
                    "dc:description": column.meaning,
                    **({"schema:unitText": column.unit} if column.unit else {}),
                }
                for column in columns
            ],
            "primaryKey": "case_id",
        },
    }


def read_row(text: str, described: dict[str, Any]) -> CaseRow:
    """Read the row of one case back from its CSV file.

    Parameters
    ----------
    text : str
        As `rows_csv` wrote it of one row.
    described : dict
        As `rows_metadata` described it.

    Returns
    -------
    CaseRow
        With the columns' kinds, units and meanings.

    Raises
    ------
    OutputError
        If the two do not belong together.
    """
    return row_in(text, columns_of(described))


def columns_of(described: dict[str, Any]) -> tuple[RowColumn, ...]:
    """Return the columns that a description tells of.

    Parameters
    ----------
    described : dict
        As `rows_metadata` made it.

    Returns
    -------
    tuple of RowColumn
        In order.
    """
    return tuple(
        RowColumn(
            column["name"],
            Kind(column["datatype"]),
            column.get("schema:unitText", ""),
            column["dc:description"],
            by_protocol="." in column["name"],
        )
        for column in described["tableSchema"]["columns"]
    )


def row_in(text: str, columns: tuple[RowColumn, ...]) -> CaseRow:
    """Read the row of one case whose columns are known.

    Parameters
    ----------
    text : str
        As `rows_csv` wrote it of one row.
    columns : tuple of RowColumn
        Of that file; rows share it, so that many of them take little memory.

    Returns
    -------
    CaseRow
        With these very columns.

    Raises
    ------
    OutputError
        If the two do not belong together.
    """
    names, *lines = csv.reader(io.StringIO(text))
    if len(lines) != 1 or names != [column.name for column in columns]:
        raise OutputError(
            "a row of a case and the description of its columns do not belong together; run the case again.",
            reason="damaged_result",
        )
    return CaseRow(columns, tuple(map(_read, columns, lines[0])))


def _read(column: RowColumn, cell: str) -> Value:
    if not cell:
        return None
    match column.kind:
        case Kind.NUMBER:
            return float(cell)
        case Kind.COUNT:
            return int(cell)
        case Kind.TRUTH:
            return cell == "true"
        case Kind.DATE:
            return dt.date.fromisoformat(cell)
        case Kind.TEXT:
            return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_SIGNS) else cell


def parquet_available() -> bool:
    """Return whether Parquet can be written: it needs pyarrow."""
    return find_spec("pyarrow") is not None


def rows_parquet(rows: Sequence[CaseRow]) -> bytes:
    """Return rows as an Apache Parquet file.

    Parameters
    ----------
    rows : sequence of CaseRow
        At least one.

    Returns
    -------
    bytes
        Typed columns, each with its unit and meaning as metadata.

    Raises
    ------
    OutputError
        If pyarrow is not installed.
    """
    if not parquet_available():
        raise OutputError(
            "Parquet needs pyarrow, which is not installed: pip install flr-volumetry[parquet]",
            reason="package_missing",
        )
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        Kind.TEXT: pa.string(),
        Kind.NUMBER: pa.float64(),
        Kind.COUNT: pa.int64(),
        Kind.TRUTH: pa.bool_(),
        Kind.DATE: pa.date32(),
    }
    columns, values = joined(rows)
    fields = [
        pa.field(c.name, kinds[c.kind], metadata={"unit": c.unit, "meaning": c.meaning}) for c in columns
    ]
    arrays = [pa.array([row[n] for row in values], type=f.type) for n, f in enumerate(fields)]
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), buffer)
    return buffer.getvalue()

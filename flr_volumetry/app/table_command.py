"""``flr table``: rows of results as one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flr_volumetry.app.console import refusing
from flr_volumetry.errors import CaseError, UnreadableError

if TYPE_CHECKING:
    from flr_volumetry.report.row import CaseRow


@click.command("table")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    "out_dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the table; made if absent.",
)
def table(results: tuple[Path, ...], out_dir: Path) -> None:
    r"""Put the rows of RESULTS together: cohort.csv, its description, and cohort.parquet with pyarrow.

    RESULTS are folders that flr run wrote. Rows stand in their order; cases with other protocols share the
    columns that both have. Standard output carries nothing. Exit status: 0 the table was written; 1 a result
    has no row, or two are of one case and plan; 2 misuse.

    \b
    Example:
        flr table reports/cases/* --out reports
    """
    from flr_volumetry.app.exports import write_table

    with refusing():
        rows = [read_result(folder) for folder in results]
        names = [str(row["case_id"]) for row in rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise CaseError(
                f"several results are of the case {twice[0]!r}; a table has one row for each. Give each plan "
                "a case id of its own.",
                reason="same_name",
            )
        try:
            out_dir.mkdir(parents=True, exist_ok=True)
            write_table(out_dir, "cohort", rows)
        except OSError as error:
            raise UnreadableError(
                f"{out_dir} cannot be written: {error.strerror or error}", reason="unwritable"
            ) from error
    click.echo(f"{len(rows)} rows: {out_dir / 'cohort.csv'}", err=True)


def read_result(folder: Path) -> CaseRow:
    """Read the row of a result.

    Parameters
    ----------
    folder : Path
        As flr run wrote it.

    Returns
    -------
    CaseRow
        The row.

    Raises
    ------
    UnreadableError
        If there is none.
    """
    from flr_volumetry.app.exports import ROW
    from flr_volumetry.report.row_files import read_row

    try:
        text = (folder / f"{ROW}.csv").read_text(encoding="utf-8")
        described = json.loads((folder / f"{ROW}.csv-metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableError(
            f"{folder} holds no row of a case: {error}. Name folders that flr run wrote.",
            reason="no_row",
        ) from error
    return read_row(text, described)

"""The ``flr`` command."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flr_volumetry.app import mask_commands
from flr_volumetry.app.batch.command import batch
from flr_volumetry.app.console import progress, refusing
from flr_volumetry.app.network.command import COMMANDS as NETWORK_COMMANDS
from flr_volumetry.app.node.command import node
from flr_volumetry.app.review.command import review
from flr_volumetry.app.table_command import table

if TYPE_CHECKING:
    from datetime import datetime

    from flr_volumetry.app.case import Case

OUT = click.option(
    "--out",
    "out_dir",
    type=click.Path(file_okay=True, path_type=Path),
    required=True,
    help="Folder for the report, its figures and its JSON; made if absent.",
)
ROOT = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that relative paths of the case file start from; its own folder if not given.",
)


DICOM = click.option(
    "--dicom/--no-dicom",
    default=None,
    help="Write DICOM objects, or refuse; or write none. By default where the scan is a DICOM series.",
)
ANONYMOUS = click.option(
    "--anonymous",
    is_flag=True,
    help="Write nothing that says who the patient is: no name, number, date or path.",
)
PSEUDONYM = click.option(
    "--pseudonym", default="", metavar="TEXT", help="The same, with this in place of name and case id."
)
MESHES = click.option(
    "--meshes/--no-meshes",
    default=None,
    help="Write the pieces as STL (LPS, mm) and together as GLB, into the folder meshes. By default not.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flr-volumetry")
def main() -> None:
    """Future-liver-remnant volumetry. Research use only, not a medical device."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal of another encoding shows a name escaped, rather than stopping the run.
            stream.reconfigure(errors="backslashreplace")


@main.command()
@click.argument("case_file", metavar="CASE.toml", type=click.Path(path_type=Path))
@OUT
@ROOT
@click.option("--series", help="Which series of the image folder: its number in the list, or its UID.")
@DICOM
@ANONYMOUS
@PSEUDONYM
@MESHES
def run(case_file: Path, out_dir: Path, root: Path | None, series: str | None, **wishes: Any) -> None:
    r"""Measure the remnant of a planned resection, and write the report.

    CASE.toml names the CT or MR series, the masks, the patient and the plan.

    Standard output carries the summary; everything else goes to standard error.
    Exit status: 0 a report was written, whatever it says; 1 the case could not be
    assessed; 2 the command was misused.

    \b
    Example:
        flr run sample_data/case.toml --out build/sample
    """
    from flr_volumetry.app.case import read_case
    from flr_volumetry.app.identifiers import hiding

    with refusing():
        with hiding(case_file, None, wished=wishes["anonymous"] or bool(wishes["pseudonym"])):
            case = read_case(case_file)
            if root is not None:
                case = case.with_root(root)
            if series is not None:
                case = case.with_series(series)
        _run(_wished(case, **wishes), out_dir, case_file)


@main.command()
@OUT
@DICOM
@ANONYMOUS
@PSEUDONYM
@MESHES
def demo(out_dir: Path, **wishes: Any) -> None:
    r"""Run the bundled sample patient.

    A synthetic liver with three lesions, and a two-stage plan for it.

    \b
    Example:
        flr demo --out build/demo
    """
    from flr_volumetry.app.case import read_case
    from flr_volumetry.app.sample import sample_case

    with refusing():
        _run(_wished(read_case(sample_case()), **wishes), out_dir)


@main.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def inspect(paths: tuple[Path, ...], as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Say what is in files and folders: each image and mask, read or refused, and why.

    Folders are taken with all they hold; a .zip archive only if it is named itself; a DICOMDIR stands
    for its folder. Nothing is joined across patients or studies. JSON holds {"items": [...], "caveats":
    [...]}, an item for each volume, file of masks and other file: path, kind (image, masks, other),
    status (ok, refused), reason, message, modality, series_uid, shape, spacing_mm, voxel_mm3,
    affine_lps, tilt_deg, and segments with name, number, voxels, ml and code.

    \b
    Example:
        flr inspect sample_data
    """
    from flr_volumetry.app.inspect import render_inspection
    from flr_volumetry.io.inspection import inspect as look

    with refusing(), progress() as tell:
        found = look(paths, progress=lambda done, of: tell(f"reading headers: {done} of {of} files"))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        click.echo(render_inspection(found, width=max(80, shutil.get_terminal_size((100, 24)).columns)))


@main.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with protocols of your own, beside the bundled ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def protocols(keys: tuple[str, ...], folder: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List the rules there are, their sources, and why one is not evaluated.

    \b
    Example:
        flr protocols consensus-20-30-40
    """
    from flr_volumetry.app.protocols import protocols_json, render_protocols
    from flr_volumetry.io.protocols import available_protocols, read_protocols

    with refusing():
        found = read_protocols(keys, folder=folder) if keys else available_protocols(folder=folder)
    if as_json:
        click.echo(json.dumps(protocols_json(found), indent=2, allow_nan=False))
    else:
        click.echo(render_protocols(found, width=max(100, shutil.get_terminal_size((100, 24)).columns)))


@main.command()
@click.argument("case_file", metavar="CASE.toml", type=click.Path(path_type=Path))
@OUT
@ROOT
@click.option(
    "--margin", "margin_mm", type=float, default=5.0, show_default=True, help="Margin wished for, mm."
)
@click.option(
    "--least-flr", "least_percent", type=float, default=20.0, show_default=True, help="Least remnant, %."
)
@click.option("--weeks", type=float, default=4.0, show_default=True, help="From embolization to stage two.")
@click.option("--no-wedges", is_flag=True, help="Consider no wedges.")
@click.option("--no-ablations", is_flag=True, help="Consider no ablations.")
@click.option("--one-stage", is_flag=True, help="Consider no two-stage plans.")
@click.option("--one-piece", is_flag=True, help="The remnant must hang together.")
@click.option("--adjacent", is_flag=True, help="Two neighbouring segments must be spared.")
@click.option("--partial", is_flag=True, help="Give plans though some lesion cannot be cleared.")
@ANONYMOUS
@PSEUDONYM
def search(case_file: Path, out_dir: Path, root: Path | None, partial: bool, **asked: Any) -> None:  # noqa: FBT001 - click passes it
    r"""Find which resections clear all lesions, and what each leaves.

    Segments, portal territories, wedges, ablations and their combinations, in one stage and in two.
    Those that no other beats are printed, drawn, and written as plans for flr run. The plan of the case
    file itself is not looked at.

    \b
    Example:
        flr search sample_data/case.toml --out build/search --margin 5
    """
    from flr_volumetry.app.anonymous import NOBODY, mapped
    from flr_volumetry.app.case import read_case
    from flr_volumetry.app.identifiers import hiding, identifiers_of
    from flr_volumetry.app.search import SEARCH, search_case, write_search
    from flr_volumetry.app.write import require_writable
    from flr_volumetry.planning import SearchSettings
    from flr_volumetry.report.search_page import search_text

    with refusing(), progress() as tell:
        settings = SearchSettings(
            margin_mm=asked["margin_mm"],
            weeks=asked["weeks"],
            least_flr=asked["least_percent"] / 100,
            wedges=not asked["no_wedges"],
            ablations=not asked["no_ablations"],
            two_stages=not asked["one_stage"],
            one_piece=asked["one_piece"],
            adjacent_pair=asked["adjacent"],
        )
        case = read_case(case_file)
        if root is not None:
            case = case.with_root(root)
        case = _wished(case, dicom=None, anonymous=asked["anonymous"], pseudonym=asked["pseudonym"])
        hidden = case.output.anonymous
        name = (case.output.pseudonym or NOBODY) if hidden else case.case.id
        with hiding(case_file, case, wished=hidden):
            require_writable(out_dir, SEARCH)
            result = search_case(case, settings, allow_partial=partial, tell=tell)
            if hidden:
                result = mapped(result, identifiers_of(case).hidden)
            page = write_search(result, out_dir, case_id=name)
    width = max(100, shutil.get_terminal_size((100, 24)).columns)
    click.echo(search_text(result, case_id=name, width=width), nl=False)
    click.echo(f"search: {page.name if hidden else page}", err=True)


@main.command()
@click.argument("baseline", metavar="BASELINE.json", type=click.Path(path_type=Path))
@click.argument("scans", metavar="FOLLOWUP...", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUT
@click.option(
    "--procedure-date",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Day of the embolization or first stage; without it weeks count from the baseline scan.",
)
@click.option("--procedure", default="", help="pve, pve_s4, lvd or alpps; the plan's if not given.")
@click.option(
    "--stages-done",
    type=click.IntRange(min=0),
    help="Stages of the baseline's plan carried out since; those before its procedure if not given.",
)
def followup(
    baseline: Path,
    scans: tuple[Path, ...],
    out_dir: Path,
    procedure_date: datetime | None,
    procedure: str,
    stages_done: int | None,
) -> None:
    r"""Hold later scans against a baseline: how the remnant grew since PVE or stage one.

    BASELINE.json is the report.json of a run; each FOLLOWUP that of a later one, or the case
    file of a later scan. A case file without a [[stage]] gets the baseline's plan, carried over
    by registration; its own report is written too.

    \b
    Example:
        flr followup before/report.json week4.toml --procedure-date 2024-05-03 --out growth
    """
    from flr_volumetry.app.followup import FOLLOWUP, Asked, write_followup
    from flr_volumetry.app.write import require_writable

    asked = Asked(procedure_date.date() if procedure_date else None, procedure.lower(), stages_done)
    with refusing(), progress() as tell:
        require_writable(out_dir, FOLLOWUP)
        page, text = write_followup(baseline, scans, out_dir, asked, tell=tell)
    click.echo(text, nl=False)
    click.echo(f"follow-up: {page}", err=True)


@main.command()
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUT
def compare(reports: tuple[Path, ...], out_dir: Path) -> None:
    r"""Lay several plans for one liver side by side.

    Each REPORT is the report.json of a run, or its folder: two or more, of one patient. What goes, what
    stays, each rule, lesions and margins, growth; no plan is said to be the best.

    \b
    Example:
        flr compare plan_a/report.json plan_b/report.json --out side_by_side
    """
    from flr_volumetry.app.compare import COMPARE, write_compare
    from flr_volumetry.app.write import require_writable

    if len(reports) < 2:
        raise click.UsageError("name two reports or more: one plan has nothing to stand beside")
    with refusing():
        require_writable(out_dir, COMPARE)
        page, text = write_compare(
            reports, out_dir, width=max(100, shutil.get_terminal_size((100, 24)).columns)
        )
    click.echo(text, nl=False)
    click.echo(f"comparison: {page}", err=True)


def _wished(case: Case, *, anonymous: bool, pseudonym: str, **wishes: bool | None) -> Case:
    """Return a case with what the command's options say of its output."""
    hide = False if anonymous or pseudonym else None
    return case.with_output(identifiers=hide, pseudonym=pseudonym or None, **wishes)


def _run(case: Case, out_dir: Path, case_file: Path | None = None) -> None:
    from flr_volumetry.app.identifiers import hiding
    from flr_volumetry.app.run import run_case
    from flr_volumetry.app.write import require_writable, write_outcome
    from flr_volumetry.report import summary_text

    with progress() as tell, hiding(case_file, case, wished=case.output.anonymous):
        require_writable(out_dir)
        outcome = run_case(case, tell=tell)
        report = write_outcome(outcome, out_dir, tell=tell)
    click.echo(summary_text(outcome.summary), nl=False)
    click.echo(f"report: {report.name if case.output.anonymous else report}", err=True)


for _command in (*mask_commands.COMMANDS, *NETWORK_COMMANDS, batch, node, table):
    main.add_command(_command)
main.add_command(review)

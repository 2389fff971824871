"""``flr push``, ``flr pull``, ``flr peers``: the hospital's network from the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flr_volumetry.app.console import progress, refusing, table_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.app.network.addresses import Peer
    from flr_volumetry.app.network.matches import Query, Study
    from flr_volumetry.app.network.pull import Pulled
    from flr_volumetry.app.network.push import Pushed

ALL, NONE, SOME = 0, 1, 3
"""Exit status: all objects are there, none is, some are."""
PORT = 11112
PEER = click.option("--peer", "peer_name", required=True, metavar="NAME", help="Which peer.")
PEERS = click.option(
    "--peers",
    "peers_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with [[peer]] tables; by default what FLR_PEERS names, or the user's own.",
)


@click.command()
@click.argument(
    "paths", metavar="FILE_OR_FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@PEER
@PEERS
@click.option("--tries", type=click.IntRange(min=1), default=3, show_default=True, help="Of what fails.")
@click.option("--journal", type=click.Path(dir_okay=False, path_type=Path), help="File of what was sent.")
@click.option("--again", is_flag=True, help="Send what was sent before, too.")
def push(paths: tuple[Path, ...], peer_name: str, peers_file: Path | None, **asked: Any) -> None:
    r"""Send DICOM objects to a PACS or another peer.

    Of folders, the result folders of flr run among them, all DICOM objects are sent, whatever their
    names. What fails and may pass is tried again. A journal says what each peer has: a push that was
    interrupted goes on where it was, and nothing is sent twice.

    Exit status: 0 the peer has all; 3 some; 1 none, or it cannot be worked with; 2 misuse.

    \b
    Example:
        flr push results/P007 --peer pacs
    """
    from flr_volumetry.app.held import held
    from flr_volumetry.app.network.journal import journal_folder, open_journal
    from flr_volumetry.app.network.peers import find_peer
    from flr_volumetry.app.network.push import Patience
    from flr_volumetry.app.network.push import push as push_all

    with refusing():
        peer = find_peer(peer_name, peers_file)
        file = asked["journal"] or journal_folder() / "journal"
        in_use = f"{file} is in use by another flr push; wait for it, or name another with --journal."
        with (
            held(file.parent, f".{file.name}.lock", refusal=in_use, reason="in_use"),
            progress() as tell,
        ):
            journal = open_journal(file)
            try:
                pushed = push_all(
                    peer, paths, journal, patience=Patience(asked["tries"]), tell=tell, again=asked["again"]
                )
            finally:
                journal.close()
    _say_pushed(pushed, peer)
    there = pushed.count("sent") + len(pushed.before)
    sys.exit(ALL if there == len(pushed.results) + len(pushed.before) and there else SOME if there else NONE)


def _say_pushed(pushed: Pushed, peer: Peer) -> None:
    for result in pushed.results:
        if result.reason:
            click.echo(f"{result.path}: {result.status}: {result.reason}", err=True)
    total = len(pushed.results) + len(pushed.before)
    counts = ", ".join(f"{pushed.count(status)} {status}" for status in ("sent", "refused", "failed"))
    before = f", {len(pushed.before)} sent before" if pushed.before else ""
    click.echo(f"{total} objects for {peer.name}: {counts}{before}")


class DateRange(click.ParamType[str]):
    """A day, or a range of days."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it, as DICOM writes it."""
        from flr_volumetry.app.network.matches import date_range

        try:
            return date_range(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is neither a day nor a range; write 2024-05-03 or 2024-05-01..2024-05-31",
                param,
                ctx,
            )


@click.command()
@PEER
@PEERS
@click.option("--out", "out_dir", type=click.Path(file_okay=False, path_type=Path), help="Folder of objects.")
@click.option("--patient-id", default="", help="The patient's number; * and ? stand for any characters.")
@click.option("--accession", default="", help="Accession number.")
@click.option("--study-uid", default="", help="Study Instance UID.")
@click.option("--date", "dates", type=DateRange(), default=None, help="A day, or 2024-05-01..2024-05-31.")
@click.option("--modality", default="", help="Only series of this one: CT, MR, SEG.")
@click.option("--description", default="", help="Text in the study's description.")
@click.option("--series", default="", help="Only series with this text in their description.")
@click.option("--list", "only_list", is_flag=True, help="Show what matches, and fetch nothing.")
@click.option("--all", "fetch_all", is_flag=True, help="Fetch though several studies match.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.option(
    "--by",
    type=click.Choice(["auto", "get", "move"]),
    default="auto",
    show_default=True,
    help="C-GET, or C-MOVE.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Of ours, for C-MOVE."
)
@click.option(
    "--host", default="", help="Address of ours, for C-MOVE; by default the one that leads to the peer."
)
def pull(peer_name: str, peers_file: Path | None, out_dir: Path | None, **asked: Any) -> None:
    r"""Find studies in a PACS, and fetch them.

    Objects are written as OUT/STUDY/SERIES/OBJECT.dcm by their UIDs, each whole or not at all; those
    that are there are not fetched again, and a pull that was cut short goes on where it was. Where
    several studies match, they are listed, and fetched with --all only.

    Exit status: 0 all is there; 3 some is; 1 none is, nothing or too much matches, or the peer cannot be
    worked with; 2 misuse.

    \b
    Example:
        flr pull --peer pacs --patient-id P007 --modality CT --out studies
    """
    from flr_volumetry.app.network.peers import find_peer
    from flr_volumetry.app.network.pull import Listening, pull_study
    from flr_volumetry.errors import FlrError

    if out_dir is None and not asked["only_list"]:
        raise click.UsageError("name the folder with --out, or ask for the list only with --list")
    with refusing():
        peer = find_peer(peer_name, peers_file)
        query = _query(asked)
        studies = _matching(peer, query, asked)
    if asked["only_list"] or out_dir is None:
        return
    how = Listening(asked["by"], asked["port"], asked["host"])
    pulled: list[Pulled] = []
    stopped = ""
    with progress() as tell:
        try:
            for study in studies:
                pulled += pull_study(peer, study, query, out_dir, how=how, tell=tell)
        except FlrError as error:
            stopped = f"Error: {error.message} [{error.reason}]"
    _say_pulled(pulled, as_json=asked["as_json"])
    if stopped:
        click.echo(stopped, err=True)
    whole = pulled and not stopped and all(one.complete for one in pulled)
    some = any(one.before + one.came for one in pulled)
    sys.exit(ALL if whole else SOME if some else NONE)


def _query(asked: dict[str, Any]) -> Query:
    from flr_volumetry.app.network.matches import Query

    return Query(
        asked["patient_id"],
        asked["accession"],
        asked["study_uid"],
        asked["dates"] or "",
        asked["modality"].upper(),
        asked["description"],
        asked["series"],
    )


def _matching(peer: Peer, query: Query, asked: dict[str, Any]) -> list[Study]:
    """Return the studies that are meant; shown where that was asked for, or there are too many."""
    from flr_volumetry.app.network.pull import find_studies
    from flr_volumetry.errors import InputError

    with progress() as tell:
        tell(f"asking {peer.name}")
        studies = find_studies(peer, query)
    many = len(studies) > 1 and not asked["fetch_all"]
    if asked["only_list"] or many:
        _say_studies(studies, as_json=asked["as_json"])
    if not studies:
        raise InputError(f"{peer.address} has nothing that matches.", reason="no_match")
    if many and not asked["only_list"]:
        raise InputError(
            f"{len(studies)} studies match; ask for less, or fetch them with --all.", reason="many_match"
        )
    return studies


def _say_studies(studies: Sequence[Study], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"studies": [asdict(study) for study in studies]}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("date", "patient", "name", "accession", "modalities", "description", "objects", "study"):
        table.add_column(title, overflow="fold", no_wrap=title in ("date", "objects"))
    for one in studies:
        count = "" if one.instances is None else str(one.instances)
        texts = (one.date, one.patient_id, one.patient_name, one.accession, " ".join(one.modalities))
        table.add_row(*map(_plain, (*texts, one.description, count, one.uid)))
    Console(width=table_width(), highlight=False).print(table)


def _plain(text: str) -> str:
    """Show what a peer says as it is: no markup, no control characters."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else "?" for c in text))


def _say_pulled(pulled: Sequence[Pulled], *, as_json: bool) -> None:
    for one in pulled:
        if one.message:
            click.echo(f"{one.folder}: {one.message} [{one.reason}]", err=True)
    if as_json:
        click.echo(json.dumps({"series": [asdict(one) for one in pulled]}, indent=2, default=str))
        return
    for one in pulled:
        of = "" if one.expected is None else f" of {one.expected}"
        before = f", {one.before} there before" if one.before else ""
        click.echo(f"{one.folder}: {one.before + one.came}{of} objects{before}")


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@PEERS
@click.option("--check", is_flag=True, help="Ask each whether it is there and takes us.")
def peers(names: tuple[str, ...], peers_file: Path | None, check: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List the peers that are known, and ask whether they are there.

    Exit status: 0; with --check 3 if some do not take us, 1 if none does.

    \b
    Example:
        flr peers --check
    """
    from flr_volumetry.app.network.client import echo
    from flr_volumetry.app.network.peers import find_peer, known_peers, peers_path
    from flr_volumetry.errors import FlrError

    failures = 0
    click.echo(f"peers: {peers_path(peers_file)}", err=True)
    with refusing():
        found = [find_peer(name, peers_file) for name in names] or list(known_peers(peers_file).values())
    for peer in found:
        said = ""
        if check:
            try:
                echo(peer)
                said = ": answers"
            except FlrError as error:
                failures += 1
                said = f": {error.message} [{error.reason}]"
        click.echo(f"{peer.address}{said}" if not said.startswith(f": {peer.address}") else said[2:])
    sys.exit(ALL if not failures else NONE if failures == len(found) else SOME)


COMMANDS = (push, pull, peers)

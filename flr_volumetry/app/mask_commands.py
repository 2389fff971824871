"""The commands on masks: ``flr backends`` and ``flr segment``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from flr_volumetry.app.console import progress, refusing, table_width


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def backends(as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List what can find a liver in a scan, and what is missing where one cannot be used.

    \b
    Example:
        flr backends
    """
    from flr_volumetry.app.backends import backends_json, render_backends

    with refusing():
        if as_json:
            click.echo(json.dumps(backends_json(), indent=2, allow_nan=False))
        else:
            click.echo(render_backends(width=table_width()), nl=False)


def _numbers(count: int) -> Any:
    def parse(_: click.Context, __: click.Parameter, value: Any) -> Any:
        many = isinstance(value, tuple)
        try:
            read = [tuple(float(x) for x in text.split(",")) for text in (value if many else [value]) if text]
        except ValueError:
            read = [()]
        if any(len(numbers) != count for numbers in read):
            raise click.BadParameter(f"needs {count} numbers with commas between them, in mm (LPS)")
        return tuple(read) if many else (read[0] if read else None)

    return parse


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "out_dir",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the masks and their quality page; made if absent.",
)
@click.option("--structures", help="What to find, with commas: liver,lesions,... All if left out.")
@click.option("--backend", default="classical", show_default=True, help="What finds it; see flr backends.")
@click.option("--series", help="Which series of the folder: its number in the list, or its UID.")
@click.option("--hints", type=click.Path(path_type=Path), help="Points drawn in 3D Slicer (.mrk.json).")
@click.option("--box", callback=_numbers(6), help="Box around the liver: x,y,z,x,y,z, mm (LPS).")
@click.option("--seed", "seeds", multiple=True, callback=_numbers(3), help="A point in the liver: x,y,z.")
@click.option("--outside", multiple=True, callback=_numbers(3), help="A point that is no liver: x,y,z.")
@click.option(
    "--lesion-seed", "lesion_seeds", multiple=True, callback=_numbers(3), help="A point in a lesion: x,y,z."
)
@click.option("--rough", type=click.Path(path_type=Path), help="A rough mask of the liver, to be refined.")
@click.option("--liver", type=click.Path(path_type=Path), help="The liver's mask, if it is drawn already.")
@click.option("--folder", type=click.Path(path_type=Path), help="Weights, a trained model, or an atlas.")
@click.option("--labels", type=click.Path(path_type=Path), help="TOML file: what a model's labels mean.")
@click.option("--device", type=click.Choice(["cpu", "gpu", "mps"]), default="cpu", show_default=True)
def segment(image: Path, out_dir: Path, **asked: Any) -> None:
    r"""Find liver, lesions and vessels in a scan.

    IMAGE is a folder of DICOM files or a NIfTI, NRRD or MetaImage file. Masks are written as NIfTI and, in
    the scan's study, as DICOM SEG; correct them in 3D Slicer, ITK-SNAP or OHIF, and name the files under
    [masks] in a case file.

    \b
    Example:
        flr segment sample_data/ct --out build/masks --structures liver
    """
    from flr_volumetry.app.segment_files import SEGMENTATION, write_segmented
    from flr_volumetry.app.segmenting import read_request, segment_scan
    from flr_volumetry.app.write import require_writable

    with refusing(), progress() as tell:
        require_writable(out_dir, SEGMENTATION)
        scan, request = read_request(image, asked)
        done = segment_scan(scan, request, path=str(image), series=asked["series"], tell=tell)
        page = write_segmented(done, out_dir, tell=tell)
    click.echo(done.text, nl=False)
    click.echo(f"segmentation: {page}", err=True)


@click.command()
@click.argument("predicted", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option("--out", "out_dir", type=click.Path(path_type=Path), help="Folder for table and pictures.")
def evaluate(predicted: Path, reference: Path, out_dir: Path | None, **shape: bool) -> None:
    r"""Compare masks with a reference: overlap, distance of surfaces, volume, lesions found.

    PREDICTED and REFERENCE are files or folders of masks in any format and on any grid. Structures are told
    by their codes and names; one mask each is compared whatever it is called.

    \b
    Example:
        flr evaluate build/masks/masks sample_data/masks --out build/evaluation
    """
    from flr_volumetry.app.evaluate import EVALUATION, write_evaluation
    from flr_volumetry.app.evaluate import evaluate as compared
    from flr_volumetry.app.write import require_writable

    if shape["as_json"] and shape["as_csv"]:
        raise click.UsageError("--json and --csv exclude each other")
    with refusing():
        if out_dir is not None:
            require_writable(out_dir, EVALUATION)
        done = compared(predicted, reference)
        if out_dir is not None:
            click.echo(f"evaluation: {write_evaluation(done, out_dir)}", err=True)
    if shape["as_json"]:
        click.echo(json.dumps(done.to_json(), indent=2, allow_nan=False))
    else:
        click.echo(done.csv if shape["as_csv"] else done.text, nl=False)


COMMANDS = (backends, segment, evaluate)

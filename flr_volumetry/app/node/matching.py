"""Which recipe fits a study, which of its series is meant, and the case that comes of both."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flr_volumetry.app.batch.cohort import Job
from flr_volumetry.app.batch.template import filled, read_toml
from flr_volumetry.app.case import make_case
from flr_volumetry.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flr_volumetry.app.node.records import Study
    from flr_volumetry.app.node.settings import NodeSettings, RecipeEntry, Words

KNOWN = ("number", "study", "series", "series_uid", "caller")
"""What the texts of a recipe's case file may hold in braces."""
PHASES = {
    "unenhanced": r"nativ\w*|unenhanced|non?[ -]?(?:contrast|enhanced)|without|w/?o|ohne|sans|senza|sin"
    r"|pre[ -]?(?:contrast|gd|km)|plain|nc",
    "arterial": r"art(?:eri\w*|[eé]riel\w*)?|hap|aph",
    "portal_venous": r"port(?:al\w*|o?[ -]?ven\w*|\.)|pv[cp]?|pven\w*|ven[oö]u?s\w*|veineu\w*|ven",
    "delayed": r"delay\w*|late|sp[äa]t\w*|tardi\w*|equilib\w*|excret\w*|5 ?min|3 ?min",
    "hepatobiliary": r"hbp|hepatobil\w*|20 ?min|15 ?min",
}
"""Words that series are called by, in a handful of languages."""
_BOUNDED = {key: re.compile(rf"(?<![a-zà-ÿ])(?:{words})(?![a-zà-ÿ])") for key, words in PHASES.items()}
FACTS = (
    "Modality", "StudyDescription", "SeriesDescription", "ProtocolName", "ContrastBolusAgent", "ImageType",
    "NumberOfFrames",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What is said of a series.

    Parameters
    ----------
    uid : str
        Series Instance UID.
    folder : Path
        Where it lies.
    modality, study_description, description, protocol : str
        As its first object says.
    images : int
        How many objects it has.
    original : bool
        Whether it was acquired, and is no scout or reformatted picture by its Image Type.
    phase : str
        The phase that its description names; empty if it names none, or several.
    """

    uid: str
    folder: Path
    modality: str
    study_description: str
    description: str
    protocol: str
    images: int
    original: bool
    phase: str


@dataclass(frozen=True, slots=True)
class Meant:
    """A recipe, and the series of a study that it means.

    Parameters
    ----------
    recipe : RecipeEntry
        The first that fits.
    series : SeriesFacts
        The series.
    """

    recipe: RecipeEntry
    series: SeriesFacts


def told_phase(*texts: str) -> str:
    """Return the phase that the words of a series name.

    Parameters
    ----------
    *texts : str
        Its description, its protocol.

    Returns
    -------
    str
        One of `PHASES`; empty if none is named, or several are.

    Examples
    --------
    >>> told_phase("Abdomen 1.0 portalvenös"), told_phase("ART/PV"), told_phase("Thorax")
    ('portal_venous', '', '')
    """
    text = " ".join(texts).lower().replace("_", " ")
    found = [key for key, words in _BOUNDED.items() if words.search(text)]
    return found[0] if len(found) == 1 else ""


def series_facts(folder: Path) -> list[SeriesFacts]:
    """Read what is said of each series of a received study.

    Parameters
    ----------
    folder : Path
        Of the study: in it a folder for each series.

    Returns
    -------
    list of SeriesFacts
        In the order of their UIDs.
    """
    from pydicom import dcmread

    found = []
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        files = sorted(place.glob("*.dcm"))
        if not files:
            continue
        header = dcmread(files[0], stop_before_pixels=True, specific_tags=list(FACTS))
        said = {key: str(header.get(key, "") or "") for key in FACTS}
        description, protocol = said["SeriesDescription"], said["ProtocolName"]
        kinds = {str(value).upper() for value in header.get("ImageType") or ()}
        found.append(
            SeriesFacts(
                place.name,
                place,
                said["Modality"],
                said["StudyDescription"],
                description,
                protocol,
                # Of an enhanced object each frame is an image.
                len(files) * max(int(said["NumberOfFrames"] or 1), 1),
                not kinds & {"LOCALIZER", "SECONDARY"},
                told_phase(description) or told_phase(protocol),
            )
        )
    return found


def meant_by(recipes: Sequence[RecipeEntry], series: Sequence[SeriesFacts], caller: str) -> Meant | None:
    """Find the first recipe that fits a study.

    Parameters
    ----------
    recipes : sequence of RecipeEntry
        In the order of the node's file.
    series : sequence of SeriesFacts
        Of the study.
    caller : str
        Who sent it.

    Returns
    -------
    Meant or None
        None if no recipe fits.

    Raises
    ------
    CaseError
        If it fits several series, and the recipe does not say which of them is meant.
    """
    there = {one.modality for one in series}
    for recipe in recipes:
        fitting = [one for one in series if _fits(recipe, one, caller)]
        if not fitting or not there.issuperset(_several(recipe.holds)):
            continue
        if len(fitting) > 1 and recipe.several == "most_images":
            most = max(one.images for one in fitting)
            fitting = [one for one in fitting if one.images == most]
        if len(fitting) > 1:
            listed = "; ".join(f"{one.description!r}, {one.images} images" for one in fitting)
            raise CaseError(
                f"the recipe {recipe.name!r} fits {len(fitting)} series: {listed}. Narrow its "
                'series_description or phase, or write several = "most_images".',
                reason="several_series",
            )
        return Meant(recipe, fitting[0])
    return None


def _fits(recipe: RecipeEntry, series: SeriesFacts, caller: str) -> bool:
    return (
        series.original
        and series.images >= recipe.least_images
        and series.modality in _several(recipe.modality)
        and _like(recipe.study_description, series.study_description)
        and _like(recipe.series_description, series.description)
        and _like(recipe.caller, caller)
        and recipe.phase in (None, series.phase)
    )


def _several(words: Words) -> list[str]:
    return [words] if isinstance(words, str) else words


def _like(patterns: Words, text: str) -> bool:
    return any(fnmatch.fnmatchcase(text.lower(), pattern.lower()) for pattern in _several(patterns))


def job_of(study: Study, meant: Meant, settings: NodeSettings) -> Job:
    """Return the case of a study.

    Parameters
    ----------
    study : Study
        Complete.
    meant : Meant
        Its recipe and series.
    settings : NodeSettings
        Where the recipe's case file lies.

    Returns
    -------
    Job
        To be run by `flr_volumetry.app.batch.work.run_job`.

    Raises
    ------
    FlrError
        If the recipe's case file cannot be read, or is none.
    """
    known = {
        "number": study.name,
        "study": str(meant.series.folder.parent),
        "series": str(meant.series.folder),
        "series_uid": meant.series.uid,
        "caller": study.caller,
    }
    return _job(meant.recipe, known, settings, study.name)


def require_recipes(settings: NodeSettings) -> None:
    """Refuse a node whose recipes could not be run.

    Parameters
    ----------
    settings : NodeSettings
        Of the node.

    Raises
    ------
    FlrError
        If a recipe's case file cannot be read, is none, or names what a study does not have.
    """
    for recipe in settings.file.recipe:
        _job(recipe, dict.fromkeys(KNOWN, "1.2.3"), settings, "study-000000")


def _job(recipe: RecipeEntry, known: dict[str, str], settings: NodeSettings, name: str) -> Job:
    path = settings.resolve(recipe.case)
    where = f"recipe {recipe.name!r} ({path.name})"
    data = filled(read_toml(path), known, where, as_text=KNOWN)
    data["case"] = {"id": known["number"], **data.get("case", {})}
    # DICOM objects are what is sent back; without them nothing would be.
    data["output"] = {"dicom": True, **data.get("output", {})}
    make_case(data, folder=path.parent, where=where)
    return Job(name, "", data, path.parent, where)

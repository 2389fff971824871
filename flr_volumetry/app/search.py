"""``flr search``: which plans clear the lesions, written as a page, as JSON and as plans to run."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

from flr_volumetry.app.landmarks import with_case_segments
from flr_volumetry.app.load import load_case
from flr_volumetry.app.vessels import with_case_territories
from flr_volumetry.app.write import files_of, replacing
from flr_volumetry.planning import search_plans
from flr_volumetry.report.search_page import render_search, search_json, search_text
from flr_volumetry.resection import Ablation, SegmentResection, TerritoryResection, WedgeResection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flr_volumetry.app.case import Case
    from flr_volumetry.planning import SearchResult, SearchSettings
    from flr_volumetry.resection import Resection, ResectionPlan

SEARCH = "search.json"


def search_case(
    case: Case, settings: SearchSettings, *, allow_partial: bool, tell: Callable[[str], None]
) -> SearchResult:
    """Search the plans of a case; what plan it names itself does not matter.

    Parameters
    ----------
    case : Case
        As `flr_volumetry.app.case.read_case` returns it.
    settings : SearchSettings
        The margin wished for, and what may be done.
    allow_partial : bool
        Whether plans are given that leave lesions which nothing can clear.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    SearchResult
        The front.

    Raises
    ------
    FlrError
        If an input cannot be read, or no plan clears the lesions.
    """
    tell("reading image and masks")
    liver = load_case(case).liver
    tell("following the vessels")
    liver = with_case_territories(liver, case)
    liver, _ = with_case_segments(liver, case)
    tell("searching")
    return search_plans(
        liver,
        settings,
        allow_partial=allow_partial,
        tell=lambda done, of: tell(f"measuring plan {done} of {of}"),
    )


def write_search(result: SearchResult, out_dir: Path, *, case_id: str) -> Path:
    """Write search.html, search.json, search.txt and one TOML file of stages for each plan.

    Parameters
    ----------
    result : SearchResult
        As found.
    out_dir : Path
        Made if absent; an earlier search in it is replaced.
    case_id : str
        As the case file says.

    Returns
    -------
    Path
        Of search.html.

    Raises
    ------
    OutputError
        If the folder holds files that are not an earlier result, or cannot be written.
    """
    with replacing(out_dir, SEARCH) as folder:
        (folder / "plans").mkdir()
        for number, option in enumerate(result.options, start=1):
            text = f"# {option.title}\n\n{stages_toml(option.plan)}"
            (folder / "plans" / f"plan_{number:02d}.toml").write_text(text, encoding="utf-8")
        page = render_search(result, case_id=case_id, version=version("flr-volumetry"))
        (folder / "search.html").write_text(page, encoding="utf-8")
        (folder / "search.txt").write_text(search_text(result, case_id=case_id), encoding="utf-8")
        document = {**search_json(result, case_id=case_id), "outputs": files_of(folder)}
        (folder / SEARCH).write_text(
            json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )
    return out_dir / "search.html"


def stages_toml(plan: ResectionPlan) -> str:
    """Write a plan of a search as the [[stage]] tables of a case file.

    Parameters
    ----------
    plan : ResectionPlan
        Of segments, territories, wedges and ablations.

    Returns
    -------
    str
        TOML.
    """
    parts = []
    for stage in plan.stages:
        lines = ["[[stage]]", f"name = {json.dumps(stage.name)}"]
        if stage.after:
            procedure = json.dumps(stage.after.procedure)
            lines.append(f"after = {{ procedure = {procedure}, weeks = {stage.after.weeks!r} }}")
        cuts = "".join(f"  {_entry(cut)},\n" for cut in stage.resections)
        lines.append(f"resections = [\n{cuts}]")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _entry(cut: Resection) -> str:
    match cut:
        case SegmentResection():
            return f'{{ kind = "segments", segments = {sorted(cut.segments)} }}'
        case TerritoryResection():
            branches = json.dumps(list(cut.branches))
            return f'{{ kind = "territory", structure = "{cut.structure.value}", branches = {branches} }}'
        case WedgeResection() | Ablation():
            kind = "wedge" if isinstance(cut, WedgeResection) else "ablation"
            return (
                f'{{ kind = "{kind}", lesions = {list(cut.lesions)}, margin_mm = {float(cut.margin_mm)!r} }}'
            )
        case _:
            raise TypeError(f"a search does not make a {type(cut).__name__}")

"""``flr followup``: later scans against a baseline."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.app.carry import (
    carried_labels,
    carry,
    stages_done,
    still_there,
)
from flr_volumetry.app.case import Case, read_case
from flr_volumetry.app.exports import write_figures
from flr_volumetry.app.followup_facts import (
    Laid,
    asked_rules,
    baseline_scan,
    dated_scan,
    fixed_denominator,
    scan_name,
)
from flr_volumetry.app.record import Record, read_record
from flr_volumetry.app.run import run_case
from flr_volumetry.app.same_patient import require_same_patient
from flr_volumetry.app.write import files_of, replacing, write_outcome
from flr_volumetry.assessment.followup import follow_up
from flr_volumetry.assessment.followup_model import FollowUp, GrowthSetting
from flr_volumetry.assessment.lesion_growth import lesion_alerts
from flr_volumetry.assessment.model import ScanFacts
from flr_volumetry.assessment.pathway import PROCEDURES
from flr_volumetry.errors import CaseError, Caveat
from flr_volumetry.io import plan_markups, write_markups
from flr_volumetry.report.document import sealed
from flr_volumetry.report.followup_page import (
    CarriedView,
    followup_figures,
    followup_json,
    followup_text,
    render_followup,
)
from flr_volumetry.report.followup_pdf import followup_pdf_bytes
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.segmentation.registration import register
from flr_volumetry.volumetry.forecast import Technique

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

FOLLOWUP = "followup.json"
PLANS_DIFFER = 0.10
"""A plan drawn on the later scan whose remnant differs by more from the carried one is said to (assumed)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command says beside the files.

    Parameters
    ----------
    procedure : datetime.date or None
        Day of the embolization or first stage.
    technique : str
        A key of `flr_volumetry.assessment.pathway.PROCEDURES`; empty for the plan's, or PVE.
    stages_done : int or None
        Stages of the baseline's plan carried out since.
    """

    procedure: dt.date | None = None
    technique: str = ""
    stages_done: int | None = None


def write_followup(
    baseline: Path,
    paths: Sequence[Path | Case],
    out_dir: Path,
    asked: Asked,
    *,
    tell: Callable[[str], None],
    also: Mapping[str, bytes] | None = None,
) -> tuple[Path, str]:
    """Hold later scans against a baseline, and write followup.html, followup.json and summary.txt.

    Parameters
    ----------
    baseline : Path
        Its report.json.
    paths : sequence of Path or Case
        report.json of later runs, or cases of later scans or their files, which are run first: their reports
        stand in the folders scan_1, scan_2 and so on.
    out_dir : Path
        Made if absent; an earlier follow-up in it is replaced.
    asked : Asked
        What the command says.
    tell : callable
        Called with the name of each step as it begins.
    also : mapping of str to bytes or None
        Further files to be written into the folder, by name.

    Returns
    -------
    Path
        Of followup.html.
    str
        The summary.

    Raises
    ------
    FlrError
        If an input cannot be read, is of another patient or was edited, dates are reversed, or the scans
        cannot be laid upon each other.
    """
    with replacing(out_dir, FOLLOWUP) as folder:
        base = read_record(baseline)
        done = stages_done(base.report.plan, asked.stages_done)
        laid = [_laid(base, path, done, folder / f"scan_{n}", tell) for n, path in enumerate(paths, start=1)]
        tell("measuring growth")
        result = _followed(base, laid, done, asked)
        tell("drawing")
        views = [_view(one) for one in laid if one.carried is not None]
        figures = followup_figures(result, views)
        for number, one in enumerate(laid, start=1):
            if one.carried is not None and one.carried.drawn is not None:
                write_markups(folder / f"plan_scan_{number}.mrk.json", plan_markups(one.carried.drawn))
        program = version("flr-volumetry")
        text = followup_text(result)
        _put(folder / "followup.html", render_followup(result, figures, views, version=program))
        made = dt.datetime.now(dt.UTC)
        printed = followup_pdf_bytes(result, figures, version=program, made=made)
        (folder / "followup.pdf").write_bytes(printed)
        write_figures(folder, figures)
        _put(folder / "summary.txt", text)
        document = followup_json(
            result, views, version=program, inputs=[_input(r) for r in [base, *(x.record for x in laid)]]
        )
        for name, content in (also or {}).items():
            (folder / name).write_bytes(content)
        document = sealed({**document, "outputs": files_of(folder)})
        _put(folder / FOLLOWUP, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return out_dir / "followup.html", text


def _put(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def _input(record: Record) -> dict[str, str]:
    return {"case": record.report.case.id, "sha256": record.report.sha256}


def _laid(base: Record, later: Path | Case, done: int, folder: Path, tell: Callable[[str], None]) -> Laid:
    """Read or run one later scan, and lay the baseline upon it."""
    case = later if isinstance(later, Case) else None
    if isinstance(later, Path) and later.suffix.lower() == ".toml":
        case = read_case(later, followup_of=base.path)
    if case is not None:
        if case.output.anonymous and base.report.names_its_patient:
            raise CaseError(
                "nothing may say who the patient of this follow-up is, but the baseline's report does: run "
                "the baseline with --anonymous or --pseudonym too.",
                reason="baseline_names_patient",
            )
        require_same_patient(base, ScanFacts(), case.person(), case.case.id)
        case = _with_done(case, done)
        outcome = run_case(case, tell=tell)
        write_outcome(outcome, folder, tell=tell)
        record, carried = read_record(folder), outcome.carried
    else:
        record, carried = read_record(Path(str(later))), None
    if record.report.sha256 == base.report.sha256:
        raise CaseError(f"{record.path} is the baseline itself.", reason="same_report")
    facts = ScanFacts(record.report.case.scan_date, record.report.case.patient_key or "")
    doubts = require_same_patient(base, facts, record.report.case.patient, record.report.case.id)
    if carried is not None:
        return Laid(record, carried, own_plan=False, caveats=(*doubts, *carried.caveats))
    if base.liver is None or record.liver is None:
        return Laid(record, None, own_plan=True, caveats=(*doubts, *base.caveats, *record.caveats))
    registration = register(still_there(base, done), record.liver, tell=tell)
    carried = carry(base, record.liver, registration, done)
    labels = carried_labels(base, record.liver, registration, done)
    return Laid(
        record,
        carried,
        own_plan=True,
        caveats=(*doubts, *registration.caveats, *_plans_agree(record, labels)),
        labels=labels,
    )


def _with_done(case: Case, done: int) -> Case:
    if case.followup is None or case.followup.stages_done is not None:
        return case
    return case.model_copy(update={"followup": case.followup.model_copy(update={"stages_done": done})})


def _plans_agree(record: Record, labels: npt.NDArray[np.uint8]) -> list[Caveat]:
    """Compare the remnant of a scan's own plan with the baseline's carried over."""
    if record.liver is None or record.labels is None:
        return []
    own, theirs = record.labels == REMNANT, labels == REMNANT
    ml = record.liver.grid.voxel_ml
    own_ml, their_ml = float(own.sum()) * ml, float(theirs.sum()) * ml
    overlap = 2 * float((own & theirs).sum()) / max(float(own.sum() + theirs.sum()), 1.0)
    if abs(own_ml - their_ml) <= PLANS_DIFFER * their_ml:
        return []
    said = (
        f"{record.report.case.id}: its own plan leaves {own_ml:.0f} mL, the baseline's carried over "
        f"{their_ml:.0f} mL (overlap {overlap:.2f}, Dice): growth may be that of the plan, not of the liver. "
        "Its own plan is counted."
    )
    return [Caveat("plans_differ", said)]


def _followed(base: Record, laid: Sequence[Laid], done: int, asked: Asked) -> FollowUp:
    rules = asked_rules(base)
    scans = [dated_scan(base, one, done) for one in laid]
    result = follow_up(
        baseline_scan(base, done), scans, fixed_denominator(base), _setting(base, asked), rules
    )
    alerts = [
        alert for growth in result.scans for alert in lesion_alerts(growth.scan.courses, growth.scan.name)
    ]
    doubts = [c for one in laid for c in one.caveats]
    methods = [m for one in laid if one.carried is not None for m in one.carried.methods]
    return replace(
        result,
        caveats=tuple(dict.fromkeys((*alerts, *result.caveats, *doubts))),
        methods=(*result.methods, *dict.fromkeys(methods)),
    )


def _setting(base: Record, asked: Asked) -> GrowthSetting:
    named = asked.technique or next((s.after.procedure.lower() for s in base.report.plan if s.after), "")
    if asked.technique and asked.technique not in PROCEDURES:
        raise CaseError(
            f"unknown procedure {asked.technique!r}; known: {', '.join(PROCEDURES)}",
            reason="unknown_procedure",
        )
    cirrhosis = base.report.case.patient.parenchyma == "cirrhosis"
    return GrowthSetting(PROCEDURES.get(named, Technique.PVE), asked.procedure, cirrhosis)


def _view(one: Laid) -> CarriedView:
    """Collect what the pictures and the tables show of one carried plan."""
    carried = one.carried
    assert carried is not None
    base, record = carried.baseline, one.record
    assert base.liver is not None
    assert base.labels is not None
    assert record.liver is not None
    assert record.labels is not None
    return CarriedView(
        name=scan_name(record),
        baseline_name=scan_name(base),
        baseline=base.liver,
        baseline_labels=base.labels,
        later=record.liver,
        later_labels=record.labels if one.labels is None else one.labels,
        to_later=carried.registration.to_later,
        facts={
            "channels": [c.value for c in carried.registration.channels],
            "rigid_dice": carried.registration.rigid_dice,
            "dice": carried.registration.dice,
            "surface_mean_mm": carried.registration.surface_mean_mm,
            "surface_95_mm": carried.registration.surface_95_mm,
            "inverse_mean_mm": carried.registration.inverse_mean_mm,
            "inverse_95_mm": carried.registration.inverse_95_mm,
            "folded": carried.registration.folded,
        },
        planes=tuple(
            {
                "stage": p.stage,
                "title": p.title,
                "point_mm": [float(v) for v in p.plane.point_mm],
                "normal": [float(v) for v in p.plane.normal],
                "residual_mm": p.residual_mm,
            }
            for p in carried.planes
        ),
        own_plan=one.own_plan,
        stages_done=carried.done,
    )

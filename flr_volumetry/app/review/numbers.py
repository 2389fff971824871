"""What the page shows of a plan while it moves: volumes, states and margins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flr_volumetry.assessment.function import weigh_function
from flr_volumetry.assessment.indices import compute_indices, with_function
from flr_volumetry.assessment.model import State
from flr_volumetry.assessment.rules import evaluate_rule
from flr_volumetry.report import wording
from flr_volumetry.volumetry.measure import LiverVolumes
from flr_volumetry.volumetry.uncertainty import DEFAULT_ERRORS, VolumeErrors, relative_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flr_volumetry.app.review.session import Opened
    from flr_volumetry.assessment.model import Finding
    from flr_volumetry.resection import LesionMargin, LiveVolumes

FLR, FLR_OF_TOTAL = "flr", "flr_of_total"


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How far volumes are off, carried from a plan assessed in full to one that is near it.

    Parameters
    ----------
    errors : VolumeErrors
        Of the plan assessed.
    volumes : LiverVolumes
        Of the same plan.
    """

    errors: VolumeErrors
    volumes: LiverVolumes

    def near(self, volumes: LiverVolumes) -> VolumeErrors:
        """Return errors of other volumes: the same shares, correlated in the same way.

        Parameters
        ----------
        volumes : LiverVolumes
            Of a plan of the same liver.

        Returns
        -------
        VolumeErrors
            Of the amounts that both know.
        """
        names = [n for n in self.errors.names if getattr(self.volumes, n, 0.0) > 0]
        kept = [self.errors.names.index(n) for n in names]
        by = np.array([getattr(volumes, n) / getattr(self.volumes, n) for n in names])
        return VolumeErrors(tuple(names), self.errors.covariance_ml2[np.ix_(kept, kept)] * np.outer(by, by))


def live_volumes(opened: Opened, live: LiveVolumes | None) -> LiverVolumes:
    """Return volumes counted live in the form that rules judge.

    Parameters
    ----------
    opened : Opened
        The case.
    live : LiveVolumes or None
        As `ReadyLiver.volumes` counted them; None if nothing is cut.

    Returns
    -------
    LiverVolumes
        Without lesions, segments and stages.
    """
    rows, ml = opened.ready.rows, opened.ready.liver.grid.voxel_ml
    total = int(rows.counts.sum()) * ml
    tumour = np.zeros(len(rows.labels), dtype=bool)
    for name in rows.layers:
        if name.startswith("lesion "):
            tumour |= rows.layer(name) > 0
    lesions = int(rows.counts @ tumour) * ml
    return LiverVolumes(
        total_ml=total,
        tumour_ml=lesions,
        functional_ml=int(rows.counts @ ~tumour) * ml,
        remnant_ml=live.remnant_ml if live else total,
        remnant_functional_ml=live.remnant_functional_ml if live else int(rows.counts @ ~tumour) * ml,
        resected_ml=live.resected_ml if live else 0.0,
        ablated_ml=live.ablated_ml if live else 0.0,
        resected_tumour_ml=0.0,
        segments=(),
        lesions=(),
        stages=(),
        voxel_ml=ml,
    )


def numbers(opened: Opened, live: LiveVolumes | None, spread: Spread | None) -> dict[str, Any]:
    """Return all that is counted of a plan, as JSON.

    Parameters
    ----------
    opened : Opened
        The case.
    live : LiveVolumes or None
        None if nothing is cut.
    spread : Spread or None
        Of a plan near it; without one, shares of 5 and 3 %.

    Returns
    -------
    dict
        Volumes in mL, shares as fractions, findings with the words of the report.
    """
    volumes = live_volumes(opened, live)
    whole = {name: getattr(volumes, name) for name in ("total_ml", "tumour_ml", "functional_ml")}
    counted = {
        **whole,
        **{
            name: getattr(volumes, name)
            for name in ("remnant_ml", "remnant_functional_ml", "resected_ml", "ablated_ml")
        },
        "segments": dict(live.segments) if live else None,
        "lesions": dict(live.lesions) if live else None,
        "pieces": [
            {"label": p.label, "title": p.title, "kind": p.kind.value, "stage": p.stage, "count": p.count}
            for p in live.pieces
        ]
        if live
        else [],
        "problem": live.problem if live else "",
    }
    if not volumes.remnant_functional_ml > 0:
        return {**counted, "flr": 0.0, "flr_of_total": 0.0, "findings": []}
    return {**counted, **judged(opened, volumes, spread)}


def judged(opened: Opened, volumes: LiverVolumes, spread: Spread | None) -> dict[str, Any]:
    """Return shares and findings of volumes that were counted live."""
    errors = relative_errors(volumes, DEFAULT_ERRORS) if spread is None else spread.near(volumes)
    table = compute_indices(volumes, opened.patient, errors=errors)
    index = {i.key: i.value for i in table.indices}
    flr = table.find(FLR)
    if flr is not None and opened.patient.function is not None:
        table = with_function(table, weigh_function(opened.patient, volumes, flr))
    findings = [
        evaluate_rule(rule, protocol=protocol.key, table=table, patient=opened.patient)
        for protocol in opened.protocols
        for rule in protocol.rules
    ]
    return {
        "flr": index.get(FLR, math.nan),
        "flr_of_total": index.get(FLR_OF_TOTAL, math.nan),
        "findings": finding_rows(findings),
    }


def finding_rows(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as the page shows them: those that could be judged.

    Parameters
    ----------
    findings : iterable of Finding
        Of all protocols.

    Returns
    -------
    list of dict
        In their order, with the words of the report.
    """
    return [
        {
            "rule": f.rule.id,
            "title": f.rule.title,
            "protocol": f.protocol,
            "index": f.rule.index,
            "asks": wording.short_threshold(f),
            "value": f.value,
            "state": f.state.value,
            "symbol": wording.STATES[f.state].symbol,
            "words": wording.STATES[f.state].words,
            "css": wording.STATES[f.state].css,
            "margin_ml": f.margin_ml,
            "margin": wording.missing_ml(f),
            "probability": wording.probability(f.probability_above),
        }
        for f in findings
        if f.state is not State.NOT_EVALUABLE
    ]


def margin_rows(margins: Sequence[LesionMargin]) -> list[dict[str, Any]]:
    """Return margins as JSON; an infinite one, where nothing stays, is null."""
    return [
        {
            "number": m.lesion,
            "margin_mm": m.margin_mm if math.isfinite(m.margin_mm) else None,
            "remaining": m.remaining,
            "cleared_in_stage": m.cleared_in_stage,
            "closest_mm": m.closest_mm,
            "cut_mm": m.cut_mm,
        }
        for m in margins
    ]

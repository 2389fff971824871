"""What ``flr protocols`` prints: the rules there are, and why one is not evaluated."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from flr_volumetry.assessment.model import FRACTION
from flr_volumetry.assessment.units import UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.model import Applicability, Protocol, Rule


def render_protocols(protocols: Sequence[Protocol], *, width: int) -> str:
    """Return protocols and their rules as text for people.

    Parameters
    ----------
    protocols : sequence of Protocol
        In the order to be shown.
    width : int
        Columns.

    Returns
    -------
    str
        One table a protocol, without escape sequences.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    buffer = io.StringIO()
    console = Console(
        file=buffer, width=width, no_color=True, color_system=None, force_terminal=False, force_jupyter=False
    )
    for protocol in protocols:
        console.print(Text(f"{protocol.key} {protocol.version}: {protocol.title}", style="bold"))
        console.print(Text(protocol.description))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("rule", "index", "asks for", "made for", "evidence", "source"):
            table.add_column(name, overflow="fold", no_wrap=name in {"rule", "asks for", "evidence"})
        for rule in protocol.rules:
            off = "" if rule.enabled else " (off)"
            cells = (rule.id + off, rule.index, asked(rule), made_for(rule.applies_if), rule.evidence.value)
            table.add_row(*(Text(cell) for cell in (*cells, rule.citation.text)))
        console.print(table)
        for rule in protocol.rules:
            if not rule.enabled:
                console.print(Text(f"{rule.id} is not evaluated: {rule.note}"))
        console.print()
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def protocols_json(protocols: Sequence[Protocol]) -> dict[str, Any]:
    """Return protocols and their rules as plain values.

    Parameters
    ----------
    protocols : sequence of Protocol
        In the order to be shown.

    Returns
    -------
    dict
        ``{"protocols": [{"key", "title", "version", "description", "rules": [...]}]}``.
    """
    return {
        "protocols": [
            {
                "key": p.key,
                "title": p.title,
                "version": p.version,
                "description": p.description,
                "rules": [_rule(rule) for rule in p.rules],
            }
            for p in protocols
        ]
    }


def _rule(rule: Rule) -> dict[str, Any]:
    condition = rule.applies_if
    return {
        "id": rule.id,
        "title": rule.title,
        "index": rule.index,
        "denominator": rule.denominator,
        "threshold": rule.threshold,
        "unit": rule.unit,
        "strict": rule.strict,
        "op": rule.op,
        "population": rule.population,
        "parenchyma": [p.value for p in condition.parenchyma],
        "chemotherapy_weeks_above": condition.chemotherapy_weeks_min,
        "chemotherapy_weeks_at_most": condition.chemotherapy_weeks_max,
        "extent": [e.value for e in condition.extents],
        "disease": [d.value for d in condition.diseases],
        "bile_duct_resection": condition.bile_duct_resection,
        "effect_below": rule.effect_below,
        "effect_above": rule.effect_above,
        "source": rule.citation.text,
        "source_via": rule.citation.via,
        "evidence": rule.evidence.value,
        "enabled": rule.enabled,
        "note": rule.note,
    }


def asked(rule: Rule) -> str:
    """Return what a rule asks for, for example ``>= 30 %``."""
    if rule.unit == FRACTION:
        return f"{rule.op} {100 * rule.threshold:.4g} %"
    return f"{rule.op} {UNITS[rule.unit].text(rule.threshold, exact=True)}"


def made_for(condition: Applicability) -> str:
    """Return for whom a rule was made, in few words."""
    words = [" or ".join(p.value for p in condition.parenchyma)] if condition.parenchyma else []
    if condition.chemotherapy_weeks_min is not None:
        words.append(f"over {condition.chemotherapy_weeks_min:g} weeks of chemotherapy")
    if condition.chemotherapy_weeks_max is not None:
        words.append(f"at most {condition.chemotherapy_weeks_max:g} weeks of chemotherapy")
    if condition.extents:
        words.append(" or ".join(e.value.replace("_", " ") for e in condition.extents))
    if condition.diseases:
        words.append(" or ".join(d.value for d in condition.diseases))
    if condition.bile_duct_resection:
        words.append("bile duct resected too")
    return ", ".join(words) or "all"

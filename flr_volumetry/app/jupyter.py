"""Tells IPython how values of the package show themselves; the values know nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flr_volumetry.app.run import Outcome
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Partition

HTML, PLAIN = "text/html", "text/plain"


def register(shell: Any) -> None:
    """Have an IPython shell show outcomes, livers and partitions with their pictures.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
        The one that runs. Nothing is imported before a value is shown.
    """
    formatters = shell.display_formatter.formatters
    for (module, name), shown in SHOWN.items():
        formatters[HTML].for_type_by_name(module, name, shown)
        formatters[PLAIN].for_type_by_name(module, name, _in_one_line)


def _outcome(outcome: Outcome) -> str:
    from flr_volumetry.report.notebook import outcome_html

    return outcome_html(outcome.summary, outcome.liver, outcome.partition)


def _liver(liver: Liver) -> str:
    from flr_volumetry.report.notebook import liver_html

    return liver_html(liver)


def _partition(partition: Partition) -> str:
    from flr_volumetry.report.notebook import partition_html

    return partition_html(partition)


def _in_one_line(value: Outcome | Liver | Partition, printer: Any, _cycle: bool) -> None:  # noqa: FBT001 - IPython's
    """Say what a value is where no page can be shown: its repr holds every fact and runs over pages."""
    from flr_volumetry.report.notebook import in_one_line

    printer.text(in_one_line(value))


SHOWN = {
    ("flr_volumetry.app.run", "Outcome"): _outcome,
    ("flr_volumetry.liver.values", "Liver"): _liver,
    ("flr_volumetry.resection.partition", "Partition"): _partition,
}

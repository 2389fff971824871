"""The node's log: one line for each thing that happens, studies by number, without a word of any patient."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "flr_volumetry.node"
TALKATIVE = ("pynetdicom", "pydicom", "httpx", "httpcore", "uvicorn", "highdicom", "dicomweb_client", "PIL")


def node_log() -> Callable[[str], None]:
    """Return what writes a line to standard error, with the hour, and silence what shows objects.

    Returns
    -------
    callable
        Of a line.
    """
    for name in TALKATIVE:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
    # Warnings of pydicom quote values.
    warnings.simplefilter("ignore")
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.handlers[:] = [handler]
    return logger.info

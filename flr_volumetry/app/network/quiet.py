"""What the libraries of the network say of their own is kept out of logs: it holds names and numbers."""

from __future__ import annotations

import logging
import warnings

SPEAKERS = ("pynetdicom", "pydicom", "httpx2", "httpcore2")
_SILENT = logging.CRITICAL + 1


def quiet() -> None:
    """Keep patients out of logs and warnings of pynetdicom, pydicom and the HTTP client.

    pynetdicom logs whole data sets, pydicom warns with the value that it finds odd, and the HTTP client
    logs addresses, in which a query stands. What goes wrong is said by our own errors instead.
    """
    for name in SPEAKERS:
        logging.getLogger(name).setLevel(_SILENT)
    warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom)(\.|$)")


def quiet_dimse() -> None:
    """Do the same, and have pynetdicom send files as they are, without decoding them."""
    from pynetdicom import _config

    quiet()
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True

"""What the node shows and asks for where TLS is used."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from flr_volumetry.errors import CaseError

if TYPE_CHECKING:
    from flr_volumetry.app.node.settings import NodeSettings, TlsSection


def tls_context(section: TlsSection, settings: NodeSettings) -> ssl.SSLContext:
    """Return what the node shows and asks for where TLS is used.

    Parameters
    ----------
    section : TlsSection
        Of its file.
    settings : NodeSettings
        To resolve paths.

    Returns
    -------
    ssl.SSLContext
        TLS 1.2 or later, as the BCP 195 profile of DICOM asks (PS3.15, B.9).

    Raises
    ------
    CaseError
        If a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.resolve(section.certificate), settings.resolve(section.key))
        if section.ca is not None:
            context.load_verify_locations(settings.resolve(section.ca))
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise CaseError(
            f"[node.tls]: certificate, key or ca cannot be used: {error}", reason="bad_certificate"
        ) from error
    return context

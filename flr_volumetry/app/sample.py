"""Where the bundled sample patient lies."""

from __future__ import annotations

from pathlib import Path

from flr_volumetry.errors import UnreadableError

PACKAGE = Path(__file__).resolve().parent.parent


def sample_case() -> Path:
    """Return the sample's case file: inside an installed package, or in a checkout.

    Returns
    -------
    Path
        Of case.toml.

    Raises
    ------
    UnreadableError
        If it is in neither place.
    """
    places = [PACKAGE / "_sample_data" / "case.toml", PACKAGE.parent / "sample_data" / "case.toml"]
    for place in places:
        if place.is_file():
            return place
    raise UnreadableError(
        f"the sample patient is missing: neither {places[0]} nor {places[1]} exists. Reinstall the package.",
        reason="no_sample",
    )

"""How sure a volume, a ratio, a margin and the side of a threshold are."""

from flr_volumetry.volumetry.uncertainty.estimate import estimate_errors
from flr_volumetry.volumetry.uncertainty.normal import (
    MAX_RELATIVE_SD,
    NORMAL_95,
    Measured,
    amount_interval,
    margin_sd,
    probability_at_least,
    ratio_interval,
)
from flr_volumetry.volumetry.uncertainty.settings import (
    DEFAULT_ERRORS,
    DRAWING_ERRORS,
    DrawingErrors,
    RelativeErrors,
)
from flr_volumetry.volumetry.uncertainty.values import (
    AMOUNTS,
    STAGE_AMOUNTS,
    ErrorSource,
    LesionErrors,
    VolumeErrors,
    interval_around,
    relative_errors,
    stage_amount,
)

__all__ = [
    "AMOUNTS",
    "DEFAULT_ERRORS",
    "DRAWING_ERRORS",
    "MAX_RELATIVE_SD",
    "NORMAL_95",
    "STAGE_AMOUNTS",
    "DrawingErrors",
    "ErrorSource",
    "LesionErrors",
    "Measured",
    "RelativeErrors",
    "VolumeErrors",
    "amount_interval",
    "estimate_errors",
    "interval_around",
    "margin_sd",
    "probability_at_least",
    "ratio_interval",
    "relative_errors",
    "stage_amount",
]

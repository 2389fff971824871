"""One patient's liver, lesions, vessels and segments on one cropped grid."""

from flr_volumetry.liver.crop import CROP_MARGIN_MM, Masks, crop_liver
from flr_volumetry.liver.territory import Branch, Territories
from flr_volumetry.liver.values import Lesion, Liver, Vessel

__all__ = [
    "CROP_MARGIN_MM",
    "Branch",
    "Lesion",
    "Liver",
    "Masks",
    "Territories",
    "Vessel",
    "crop_liver",
]

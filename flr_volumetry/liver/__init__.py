"""One patient's liver, lesions, vessels and segments on one cropped grid."""

from flr_volumetry.liver.crop import CROP_MARGIN_MM, Masks, crop_liver
from flr_volumetry.liver.values import Lesion, Liver, Vessel

__all__ = ["CROP_MARGIN_MM", "Lesion", "Liver", "Masks", "Vessel", "crop_liver"]

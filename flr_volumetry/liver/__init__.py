"""One patient's liver, lesions, vessels and segments on one cropped grid."""

from flr_volumetry.liver.values import Lesion, Liver, Vessel

__all__ = ["Lesion", "Liver", "Vessel"]

"""A synthetic patient with known answers, at any resolution and orientation.

The anatomy is a set of smooth shapes in LPS millimetres; grids only sample it.
So the same patient can be scanned thick or thin, flipped, turned or with a tilted
gantry, and every volume can be compared with the truth.
"""

from flr_volumetry.phantom.dicom import Compression, SeriesInfo, write_dicom_series, write_mask_series
from flr_volumetry.phantom.liver_shape import LiverShape
from flr_volumetry.phantom.masks import PhantomMasks
from flr_volumetry.phantom.patient import Phantom, phantom_of, random_patient, sample_patient
from flr_volumetry.phantom.pose import Growth, Pose, Warp, Wave
from flr_volumetry.phantom.spec import LesionSpec, PhantomSpec, random_spec

__all__ = [
    "Compression",
    "Growth",
    "LesionSpec",
    "LiverShape",
    "Phantom",
    "PhantomMasks",
    "PhantomSpec",
    "Pose",
    "SeriesInfo",
    "Warp",
    "Wave",
    "phantom_of",
    "random_patient",
    "random_spec",
    "sample_patient",
    "write_dicom_series",
    "write_mask_series",
]

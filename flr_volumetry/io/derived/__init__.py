"""DICOM objects made of a scan, in its study: segmentations, structured reports, pictures, documents."""

from flr_volumetry.io.derived.identity import Identity, deidentified
from flr_volumetry.io.derived.measurements import Amount, Group, Statement, measurement_report, renewed_report
from flr_volumetry.io.derived.pictures import Picture, document_object, picture_objects, renewed_document
from flr_volumetry.io.derived.segments import Coded, SegmentObject, SegmentToWrite, segment_object
from flr_volumetry.io.derived.source import SourceScan, source_scan
from flr_volumetry.io.derived.uids import tracking_uid

__all__ = [
    "Amount",
    "Coded",
    "Group",
    "Identity",
    "Picture",
    "SegmentObject",
    "SegmentToWrite",
    "SourceScan",
    "Statement",
    "deidentified",
    "document_object",
    "measurement_report",
    "picture_objects",
    "renewed_document",
    "renewed_report",
    "segment_object",
    "source_scan",
    "tracking_uid",
]

"""DICOM: headers, the frames they describe, and the volumes the frames form."""

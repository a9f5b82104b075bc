"""DICOM: series, headers, grids, uptake."""

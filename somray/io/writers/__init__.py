"""Masks to files that other programs open: NIfTI, NRRD, DICOM-SEG, RTSTRUCT.

A writer gets voxels on a `Geometry` (LPS mm) and never the path of a source; DICOM's writers get the
headers of the slices that a mask refers to as well. Every file appears whole or not at all (`StoreError`).
"""

"""DICOM objects that refer to the slices a mask was drawn on: segmentations and structure sets.

They carry the patient, the study and the frame of reference of their source, as DICOM asks: they are for
the archive that the source came from, and name the person whom the source names.
"""

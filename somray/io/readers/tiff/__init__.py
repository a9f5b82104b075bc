"""TIFF, OME-TIFF and ImageJ stacks, alone and as sets of files."""

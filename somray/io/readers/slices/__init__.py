"""Stacks whose slices are files of their own: TIFF or PNG pages of one folder."""

"""Answers as bytes: JSON, .npy, a zip of maps, NIfTI. All of them carry the verdict and that they are no diagnosis."""

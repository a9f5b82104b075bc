"""Synthetic cohorts as real input files, with their truth beside them."""

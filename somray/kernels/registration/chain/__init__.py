"""Pairs of slices composed along z."""

"""Bytes in and out: readers, OME-Zarr, tables, models, ledger; no mathematics, no Ray."""

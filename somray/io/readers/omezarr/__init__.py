"""OME-Zarr groups as input."""

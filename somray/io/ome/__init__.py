"""A scan as an OME-Zarr group: image, pyramid, labels, marks."""

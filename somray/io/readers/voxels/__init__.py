"""What NIfTI, NRRD and MetaImage share: compressed and written-out streams, data files, units, axes."""

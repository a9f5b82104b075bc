"""Local thickness of lesions: the largest ball inside that contains a voxel, voxel by voxel."""

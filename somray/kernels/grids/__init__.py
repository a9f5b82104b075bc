"""Voxels of one grid on another: resampling, labels."""
